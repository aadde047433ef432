"""The DSO's network as a pandapower net that is switched: what the grid daemon asks of one, also after some actions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.metering import Net, PodSlot
from offchain.protocol.terms import SessionTerms
from oracles.grid.core.documents import grid_from_document, switched_document
from oracles.grid.core.from_pandapower import LimitSettings, model_document
from oracles.grid.core.network import Document, Integers
from oracles.grid.core.own_means import Action, Actions, BusForecast, operated
from oracles.grid.core.switched_grid import watch_of

Background = Callable[[SessionTerms], tuple[Integers, Integers]]
"""Net W and var absorbed at each bus (slots, buses) by everybody who isn't in the market."""


class PlacedNetwork:
    """A grid with everything that is connected to it: at its bus, and only then at the node that closed switches make of it, or
    the place that it is where the grid is switched in the course of the window.

    `buses`: where anybody outside the market is connected, in the order of `background`'s columns: such as `ForecastNetwork`'s
    with readings a series a bus.
    """

    def __init__(
        self,
        document: Document,
        bus_of_pod: Mapping[bytes, int],
        buses: Sequence[int],
        background: Background,
    ) -> None:
        self._bus_of_pod = bus_of_pod
        self._buses = tuple(buses)
        self._background = background
        self._document = document
        self._grid = grid_from_document(document)

    def document(self) -> Document:
        """The grid's document."""
        return self._document

    def node_of(self, pod: bytes) -> int:
        """Node, or place, of a PoD by its pseudonym. Raises InvalidInput for one that the DSO doesn't know or always supply."""
        bus = self._bus_of_pod.get(pod)
        if bus is None or bus not in self._grid.node_of_bus:
            raise InvalidInput("pod", "0x" + pod.hex(), "must be connected to a bus that the grid supplies")
        return self._grid.node_of_bus[bus]

    def background(self, terms: SessionTerms) -> tuple[Integers, Integers]:
        """Net W and var at each node (slots, nodes) of everybody who isn't in the market."""
        return BusForecast(self._buses, *self._background(terms)).at_nodes(self._grid)


class SwitchedNetwork(PlacedNetwork):
    """A pandapower net that may be switched."""

    def __init__(
        self,
        net: Any,
        bus_of_pod: Mapping[bytes, int],
        buses: Sequence[int],
        background: Background,
        limits: LimitSettings = LimitSettings(),
    ) -> None:
        super().__init__(model_document(net, limits), bus_of_pod, buses, background)
        self.net = net
        self.limits = limits

    def after(self, actions: Iterable[Action]) -> "SwitchedNetwork":
        """The network with these actions taken, all the time."""
        net = operated(self.net, actions)
        return SwitchedNetwork(net, self._bus_of_pod, self._buses, self._background, self.limits)

    @property
    def rating_w(self) -> int:
        """Apparent power (VA) that all transformers together, or without any the strongest line, may carry."""
        return watch_of(self._grid).rating_w

    def over(self, ranges: Sequence[tuple[int, Actions]]) -> PlacedNetwork:
        """The network with actions taken in ranges of slots, one after the other: how many slots, and what is held in them."""
        changes = list(dict.fromkeys(actions for _, actions in ranges))
        if len(changes) == 1:
            return self.after(changes[0])
        models = [model_document(operated(self.net, actions), self.limits) for actions in changes]
        document = switched_document(models, [(slots, changes.index(actions)) for slots, actions in ranges])
        return PlacedNetwork(document, self._bus_of_pod, self._buses, self._background)

    def at_buses(self, terms: SessionTerms, expected: Mapping[PodSlot, Net]) -> BusForecast:
        """What everybody is expected to absorb, the market's PoDs as `expected`: at each bus where somebody is
        connected, in the delivery window. PoDs that the DSO doesn't know, or doesn't supply, are left out."""
        supplied = {pod for pod, bus in self._bus_of_pod.items() if bus in self._grid.node_of_bus}
        expected = {place: net for place, net in expected.items() if place[0] in supplied}
        pods = {pod for pod, _ in expected}
        buses = sorted({*self._buses, *(self._bus_of_pod[pod] for pod in pods)})
        column = {bus: place for place, bus in enumerate(buses)}
        others = self._background(terms)
        p_w, q_var = (np.zeros((len(others[0]), len(buses)), dtype=np.int64) for _ in range(2))
        for total, values in zip((p_w, q_var), others, strict=True):
            for place, bus in enumerate(self._buses):
                total[:, column[bus]] += values[:, place]
        column_of_pod = {pod: column[self._bus_of_pod[pod]] for pod in pods}
        both = with_expected((p_w, q_var), expected, column_of_pod)
        return BusForecast(tuple(buses), *(values[: terms.slots] for values in both))

    def of_market(self, nets: Mapping[PodSlot, Net], slot: int) -> dict[int, Net]:
        """What the market's PoDs absorb together in a slot, by bus. PoDs that the DSO doesn't know are left out."""
        out: dict[int, Net] = {}
        for (pod, at), net in nets.items():
            bus = self._bus_of_pod.get(pod)
            if at == slot and bus is not None:
                known = out.get(bus, Net(0, 0))
                out[bus] = Net(known.power_w + net.power_w, known.reactive_var + net.reactive_var)
        return out


def with_expected(
    background: tuple[Integers, Integers], expected: Mapping[PodSlot, Net], column_of_pod: Mapping[bytes, int]
) -> tuple[Integers, Integers]:
    """Net W and var at each node, or bus, with the market's PoDs on top of the background."""
    p_w, q_var = (array.copy() for array in background)
    for (pod, slot), net in expected.items():
        p_w[slot, column_of_pod[pod]] += net.power_w
        q_var[slot, column_of_pod[pod]] += net.reactive_var
    return p_w, q_var
