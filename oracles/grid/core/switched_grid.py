"""A grid that is switched in the course of a window: another model in some slots than in the others.

Power is absorbed at *places*: buses that share a node in every slot. What a place's node is, the slot's model says. An element
that a model doesn't have (a line that is switched off) never passes its limit in its slots.

`solve` is the one way to states of a grid for who needn't know whether it is switched.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from offchain.protocol.errors import InvalidInput
from oracles.grid.core.errors import PowerFlowDiverged
from oracles.grid.core.network import Floats, GridModel, Integers
from oracles.grid.core.newton import MAX_ITERATIONS
from oracles.grid.core.power_flow import PowerFlow, solve_power_flow
from oracles.grid.core.sensitivity import relief_per_unit
from oracles.grid.core.violations import Element, Watch, Watching


@dataclass(frozen=True, eq=False)
class SwitchedGrid:
    """`model_of_slot` (slots,): which of `models` holds in each. Raises InvalidInput where it names another, or where the models
    share no bus."""

    models: tuple[GridModel, ...]
    model_of_slot: Integers

    def __post_init__(self) -> None:
        for slot, model in enumerate(self.model_of_slot.tolist()):
            if not 0 <= model < len(self.models):
                raise InvalidInput(
                    f"grid.modelOfSlot[{slot}]", model, f"must be from 0 to {len(self.models) - 1}"
                )
        if not len(self.places):
            raise InvalidInput("grid.models", [model.name for model in self.models], "must share a bus")

    @cached_property
    def places(self) -> Integers:
        """Node of each place in each model, (places, models)."""
        shared = sorted(set.intersection(*(set(model.node_of_bus) for model in self.models)))
        nodes = [[model.node_of_bus[bus] for model in self.models] for bus in shared]
        return np.unique(np.array(nodes, dtype=np.int64).reshape(-1, len(self.models)), axis=0)

    @cached_property
    def node_of_bus(self) -> Mapping[int, int]:
        """Place of a bus that all models supply, by the bus's index in the net."""
        place = {tuple(nodes): number for number, nodes in enumerate(self.places.tolist())}
        first, *others = (model.node_of_bus for model in self.models)
        return {
            bus: place[node, *(each[bus] for each in others)]
            for bus, node in first.items()
            if all(bus in each for each in others)
        }

    @cached_property
    def slack(self) -> int:
        """The place that stands for the network above: the first that is a slack in every model. Raises InvalidInput where there
        is none."""
        held = [np.isin(self.places[:, number], model.slacks) for number, model in enumerate(self.models)]
        always = np.flatnonzero(np.all(held, axis=0))
        if not len(always):
            raise InvalidInput("grid.models", [model.name for model in self.models], "must share a slack")
        return int(always[0])

    @property
    def nodes(self) -> int:
        """Number of places."""
        return len(self.places)

    def flows(
        self, p_w: Integers | Floats, q_var: Integers | Floats, slots: Integers
    ) -> Iterator["PartOfFlow"]:
        """Power flows of states (s, places), each with the model of its slot (s,): one by model."""
        of_state = self.model_of_slot[slots]
        for number, model in enumerate(self.models):
            states = np.flatnonzero(of_state == number)
            if len(states):
                p, q = (self._at_nodes(number, each[states]) for each in (p_w, q_var))
                yield PartOfFlow(number, states, solve_power_flow(model, p, q))

    def _at_nodes(self, number: int, power: Integers | Floats) -> Floats:
        """Sums of what is absorbed at places (s, places) at each node of a model."""
        sums = np.zeros((len(power), self.models[number].nodes))
        np.add.at(sums.T, self.places[:, number], power.T)
        return sums


@dataclass(frozen=True, eq=False)
class PartOfFlow:
    """The states (their numbers) that one model holds in, and their power flow."""

    model: int
    states: Integers
    flow: PowerFlow


Grid = GridModel | SwitchedGrid


@dataclass(frozen=True, eq=False)
class SwitchedWatch(Watching):
    """All limits of a grid's models, each once; an element with different limits once for each."""

    grid: SwitchedGrid

    @property
    def nodes(self) -> int:
        """Places of the grid."""
        return self.grid.nodes

    @property
    def rating_w(self) -> int:
        """The first model's."""
        return self.grid.models[0].rating_w

    @cached_property
    def watches(self) -> tuple[Watch, ...]:
        """Of each model."""
        return tuple(Watch(model) for model in self.grid.models)

    @cached_property
    def _columns(self) -> dict[tuple[Element, float], int]:
        columns: dict[tuple[Element, float], int] = {}
        for watch in self.watches:
            for limited in zip(watch.elements, watch.limits.tolist(), strict=True):
                columns.setdefault(limited, len(columns))
        return columns

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """Of all models."""
        return tuple(element for element, _ in self._columns)

    @cached_property
    def limits(self) -> Floats:
        """As Watching has them."""
        return np.array([limit for _, limit in self._columns])

    @cached_property
    def columns(self) -> tuple[Integers, ...]:
        """Of each model: where its own columns stand among all."""
        return tuple(
            np.array(
                [self._columns[each] for each in zip(watch.elements, watch.limits.tolist(), strict=True)]
            )
            for watch in self.watches
        )


class States(Protocol):
    """Solved states of a grid. `values` (s, k): what is watched, infinite in a state without a solution."""

    @property
    def values(self) -> Floats:
        """Watched values."""

    @property
    def flows(self) -> Sequence[tuple[Integers, PowerFlow]]:
        """Which states each model's power flow is of."""

    def relief(self, state: int, nodes: Integers) -> Floats:
        """Fall of every watched value per W (first) and per var (second) of flexibility up at each node: (2, nodes, k)."""


@dataclass(frozen=True, eq=False)
class _OfOneModel:
    watch: Watch
    flow: PowerFlow

    @cached_property
    def values(self) -> Floats:
        return self.watch.values(self.flow)

    @property
    def flows(self) -> Sequence[tuple[Integers, PowerFlow]]:
        return ((np.arange(len(self.flow.converged)), self.flow),)

    def relief(self, state: int, nodes: Integers) -> Floats:
        return relief_per_unit(self.watch, self.flow, state, nodes)


@dataclass(frozen=True, eq=False)
class _OfSeveral:
    watch: SwitchedWatch
    parts: tuple[PartOfFlow, ...]
    count: int

    @cached_property
    def values(self) -> Floats:
        # What isn't there is as far from its limit as what carries nothing.
        values = np.tile(self.watch.limits - 1.0, (self.count, 1))
        for part in self.parts:
            found = self.watch.watches[part.model].values(part.flow)
            values[part.states[:, None], self.watch.columns[part.model]] = found
        return values

    @property
    def flows(self) -> Sequence[tuple[Integers, PowerFlow]]:
        return tuple((part.states, part.flow) for part in self.parts)

    def relief(self, state: int, nodes: Integers) -> Floats:
        part = next(each for each in self.parts if state in each.states)
        row = int(np.flatnonzero(part.states == state)[0])
        at = self.watch.grid.places[nodes, part.model]
        relief = np.zeros((2, len(nodes), len(self.watch.elements)))
        found = relief_per_unit(self.watch.watches[part.model], part.flow, row, at)
        relief[:, :, self.watch.columns[part.model]] = found
        return relief


def watch_of(grid: Grid) -> Watching:
    """What is watched of a grid."""
    return SwitchedWatch(grid) if isinstance(grid, SwitchedGrid) else Watch(grid)


def solve(
    watch: Watching, p_w: Integers | Floats, q_var: Integers | Floats, slots: Integers | Sequence[int]
) -> States:
    """States (s, nodes) of a grid, each in a slot (s,): net W and var absorbed."""
    if isinstance(watch, SwitchedWatch):
        at = np.asarray(slots, dtype=np.int64)
        return _OfSeveral(watch, tuple(watch.grid.flows(p_w, q_var, at)), len(p_w))
    assert isinstance(watch, Watch)
    return _OfOneModel(watch, solve_power_flow(watch.model, p_w, q_var))


def solved(watch: Watching, p_w: Integers, q_var: Integers) -> States:
    """The states of all slots, one each. Raises PowerFlowDiverged naming those without a solution."""
    states = solve(watch, p_w, q_var, range(len(p_w)))
    diverged = np.flatnonzero(~np.isfinite(states.values).all(axis=1))
    if len(diverged):
        raise PowerFlowDiverged(tuple(diverged.tolist()), MAX_ITERATIONS)
    return states
