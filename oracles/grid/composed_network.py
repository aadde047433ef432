"""The DSO's medium-voltage network with the low-voltage ones at its substations: what the grid daemon works on.

Low-voltage grids with participants, and those whose limits are to bind anyway, are joined to the medium-voltage one: that is a net
like any other, so forecast, request, own means, assessment and `verify` know one model of both levels. The rest are watched by
themselves: what each draws is a load at its node in the anchored forecast, and its own alarms are told beside the others.
"""

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.terms import SessionTerms
from oracles.grid.core.documents import grid_model_bytes
from oracles.grid.core.from_pandapower import ElementLimits, LimitSettings, model_document
from oracles.grid.core.network import GridModel, Integers, grid_model_from_document
from oracles.grid.core.own_means import BusForecast, nodes_of_buses
from oracles.grid.loading.composed import MEDIUM, ComposedNets, Place
from oracles.grid.loading.joined import by_grid
from oracles.grid.switched_network import Background, SwitchedNetwork
from oracles.grid.watched_grids import WatchedGrid, WatchedGrids
from oracles.parallel import MapParts, in_threads

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class BusBackground:
    """Who is outside the market in one network: at which `buses` of its net, and what they are expected to absorb there, in the
    order of `background`'s columns. What is in a low-voltage network isn't in the medium-voltage one's a second time."""

    buses: tuple[int, ...]
    background: Background


@dataclass(frozen=True, eq=False)
class ComposedNetwork:
    """`network`: of everything that is joined, the rest as loads. `watched`: the rest."""

    network: SwitchedNetwork
    watched: WatchedGrids


def compose(
    nets: ComposedNets,
    place_of_pod: Mapping[bytes, Place],
    others: Mapping[str, BusBackground],
    limits: LimitSettings = LimitSettings(),
    map_parts: MapParts = in_threads,
) -> ComposedNetwork:
    """Made anew when PoDs of further substations come into the market.

    `place_of_pod`: the market's PoDs by pseudonym. `others`: by substation, and of the medium-voltage network. `limits`: of
    elements by their names with the substation's before. Raises InvalidInput for a PoD at a bus that isn't there, a substation
    without `others` or that can't be solved apart, somebody at a bus that nothing supplies, or a limit of what isn't there.
    """
    for grid in (MEDIUM, *nets.low):
        if grid not in others:
            raise InvalidInput("others", grid, "everybody outside the market must be known of each network")
    bus_of_pod = {pod: (place.grid, nets.bus_at(place)) for pod, place in place_of_pod.items()}
    whole = nets.join(set(place_of_pod.values()))
    joined = whole.bus_of.keys()
    below = by_grid(limits.of_elements, nets.low.keys() - joined)
    own_limits = replace(limits, of_elements=below.pop(MEDIUM, {}))
    model = grid_model_from_document(model_document(whole.net, own_limits))
    watched = WatchedGrids(
        tuple(_watched(nets, others, limits, below, set(model.node_of_bus), joined)), map_parts
    )
    parts = [(grid, others[grid]) for grid in (MEDIUM, *joined)]
    buses = [whole.bus(grid, bus) for grid, part in parts for bus in part.buses]

    @lru_cache(1)
    def background(terms: SessionTerms) -> tuple[Integers, Integers]:
        known = [part.background(terms) for _, part in parts]
        p_w, q_var = (np.concatenate(values, axis=1) for values in zip(*known, strict=True))
        at_nodes = BusForecast(tuple(buses), p_w, q_var).at_nodes(model)
        drawn = watched.drawn(model, *at_nodes, terms)
        return np.concatenate([p_w, drawn[0]], axis=1), np.concatenate([q_var, drawn[1]], axis=1)

    network = SwitchedNetwork(
        whole.net,
        {pod: whole.bus(*at) for pod, at in bus_of_pod.items()},
        [*buses, *(each.bus for each in watched.grids)],
        background,
        own_limits,
    )
    return ComposedNetwork(network, watched)


def _watched(
    nets: ComposedNets,
    others: Mapping[str, BusBackground],
    limits: LimitSettings,
    own: Mapping[str, Mapping[str, ElementLimits]],
    supplied: Collection[int],
    joined: Collection[str],
) -> Iterator[WatchedGrid]:
    """Those that aren't joined, but for what nothing supplies. A net that serves at several substations is one model."""
    known: dict[tuple[int, str], tuple[bytes, GridModel]] = {}
    for name, low in nets.low.items():
        if name in joined:
            continue
        if low.bus not in supplied:
            logger.warning("%s: its bus isn't supplied, and it is left out", name)
            continue
        key = (id(low.net), name if name in own else "")
        if key not in known:
            document = model_document(low.net, replace(limits, of_elements=own.get(name, {})))
            known[key] = grid_model_bytes(document), grid_model_from_document(document)
            if len(known[key][1].held):
                rule = "must be set, since the network holds a voltage: it can't be solved apart"
                raise InvalidInput(f"low.{name}.joined", False, rule)
        document_bytes, model = known[key]
        yield WatchedGrid(
            name,
            low.bus,
            document_bytes,
            model.nodes,
            nodes_of_buses(model, others[name].buses),
            others[name].background,
        )
