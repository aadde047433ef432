"""Low-voltage grids without participants, below the grid of a session's model: each a load there, and watched by itself."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from offchain.protocol.terms import SessionTerms
from oracles.grid.composition import Substation, results_below, run_composed
from oracles.grid.core.errors import PowerFlowDiverged
from oracles.grid.core.network import Floats, GridModel, Integers
from oracles.grid.core.own_means import summed_at
from oracles.grid.core.switched_grid import Grid
from oracles.grid.core.violations import AlarmSettings
from oracles.grid.loading.joined import by_grid
from oracles.grid.many_grids import GridResults
from oracles.grid.switched_network import Background
from oracles.parallel import MapParts, in_threads

logger = logging.getLogger(__name__)

AGREEMENT_PU = 1e-6
"""Voltages at which what a grid draws is known to less than a W."""


@dataclass(frozen=True, eq=False)
class WatchedGrid:
    """A grid that hangs at `bus` of the net above. `document`: its model's bytes, of so many `nodes`; `columns`: which of them
    each column of `background` is of: what everybody there absorbs."""

    name: str
    bus: int
    document: bytes
    nodes: int
    columns: Integers
    background: Background

    def at(self, node: int, terms: SessionTerms) -> Substation:
        """The grid at a node of a session's model, with all that it is expected to absorb."""
        p_w, q_var = (summed_at(self.columns, self.nodes, each) for each in self.background(terms))
        return Substation(self.name, node, self.document, p_w, q_var)


@dataclass(frozen=True, eq=False)
class WatchedGrids:
    """All grids that are watched, solved in threads or by `map_parts`."""

    grids: tuple[WatchedGrid, ...] = ()
    map_parts: MapParts = in_threads

    def drawn(
        self, model: GridModel, p_w: Integers, q_var: Integers, terms: SessionTerms
    ) -> tuple[Integers, Integers]:
        """What each draws, W and var (slots, grids), where everybody else absorbs `p_w`, `q_var` (slots, nodes). Where there is no
        solution, the sum of what is connected to it."""
        substations = self._substations(model, terms)
        try:
            flow = run_composed(model, p_w, q_var, substations, self.map_parts, AGREEMENT_PU)
            drawn_va = [flow.drawn_va[each.name] for each in substations]
        except PowerFlowDiverged as problem:
            logger.error("session %d: grids without participants are loads: %s", terms.session, problem)
            drawn_va = [each.p_w.sum(axis=1) + 1j * each.q_var.sum(axis=1) for each in substations]
        whole = np.rint(np.column_stack([np.zeros((len(p_w), 0)), *drawn_va]))
        return whole.real.astype(np.int64), whole.imag.astype(np.int64)

    def results(
        self, model: Grid, vm_pu: Floats, terms: SessionTerms, settings: AlarmSettings
    ) -> Iterator[tuple[str, GridResults]]:
        """Each grid's results in the delivery window, as they come, at the voltages of the model's nodes (slots, nodes).
        `settings`: thresholds of elements go by names with the grid's before. Grids at a bus that the model doesn't always supply
        are left out: they have come to it since it was anchored."""
        slots = len(vm_pu)
        here = replace(self, grids=tuple(each for each in self.grids if each.bus in model.node_of_bus))
        left_out = sorted({*self._names} - {*here._names})
        if left_out:
            logger.warning("session %d: not supplied by its grid: %s", terms.session, ", ".join(left_out))
        substations = [
            replace(each, p_w=each.p_w[:slots], q_var=each.q_var[:slots])
            for each in here._substations(model, terms)
        ]
        of_grid = by_grid(settings.of_elements, self._names)

        def alarms_of(name: str) -> AlarmSettings:
            return AlarmSettings(settings.of_grid, of_grid.get(name, {}))

        return results_below(vm_pu, substations, alarms_of, self.map_parts)

    def above(self, settings: AlarmSettings) -> AlarmSettings:
        """Thresholds of what isn't in these grids."""
        return replace(settings, of_elements=by_grid(settings.of_elements, self._names).get("", {}))

    @property
    def _names(self) -> list[str]:
        return [each.name for each in self.grids]

    def _substations(self, model: Grid, terms: SessionTerms) -> list[Substation]:
        return [each.at(model.node_of_bus[each.bus], terms) for each in self.grids]
