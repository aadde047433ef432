"""Power flows of many grids, each by itself: in threads, or by the workers of a Dask scheduler, with the same result.

A worker builds the model from its document, as everybody does, and once for all parts of a grid that come to it. Values stay
with it: what comes back of each grid is what its operator is told.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from oracles.grid.core.documents import grid_model_of_bytes
from oracles.grid.core.network import Complexes, Floats, GridModel, Integers
from oracles.grid.core.power_flow import PowerFlow, solve_below, solve_power_flow
from oracles.grid.core.violations import TOLERANCE, Alarm, AlarmSettings, Watch
from oracles.parallel import MapParts, in_threads

_MODELS_KEPT = 64


@dataclass(frozen=True, eq=False)
class GridStates:
    """States of one grid, or of several alike one after the other, `slots` of each. `document`: its model's bytes.

    `p_w`, `q_var` (s, n): net absorbed. `slack_vm_pu` (s,): magnitudes at the slack; None: the model's own. `alarms`: of
    elements that aren't there they are left aside.
    """

    document: bytes
    p_w: Integers
    q_var: Integers
    slots: int
    slack_vm_pu: Floats | None = None
    alarms: AlarmSettings = AlarmSettings()


@dataclass(frozen=True, eq=False)
class GridResults:
    """What comes back of one grid, in arrays (slots,): `losses_w`, what it draws from its slacks (`supply_va`), its highest
    loading and lowest and highest voltage, how many limits are passed, and `converged`: where False, the rest means nothing,
    and no alarm is told."""

    losses_w: Floats
    supply_va: Complexes
    highest_percent: Floats
    lowest_vm_pu: Floats
    highest_vm_pu: Floats
    violations: Integers
    converged: npt.NDArray[np.bool_]
    alarms: tuple[Alarm, ...]


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a part's grids draw from their slacks, `supply_va` (s,), where `converged` (s,)."""

    supply_va: Complexes
    converged: npt.NDArray[np.bool_]


def solve_grids(
    parts: Iterable[GridStates], map_parts: MapParts = in_threads
) -> Iterable[tuple[GridResults, ...]]:
    """Results by grid, in the order of the parts, which are made as workers come free.

    Raises InvalidInput where a document isn't a model's or states don't fit it.
    """
    return map_parts(solve_states, parts)


def drawn_by_grids(parts: Iterable[GridStates], map_parts: MapParts = in_threads) -> Iterable[Drawn]:
    """What they draw, and nothing else. Raises as `solve_grids`."""
    return map_parts(_drawn_by_states, parts)


def solve_states(part: GridStates) -> tuple[GridResults, ...]:
    """One part."""
    flow = _flow_of(part)
    watch = Watch(flow.model)
    values = watch.values(flow)
    values[~flow.converged] = -np.inf
    keys = {element.key for element in watch.elements}
    of_elements = {key: each for key, each in part.alarms.of_elements.items() if key in keys}
    settings = AlarmSettings(part.alarms.of_grid, of_elements)
    vm_pu = flow.vm_pu
    by_state = {
        "losses_w": flow.losses_w,
        "supply_va": flow.supply_va,
        "highest_percent": flow.loading_percent.max(axis=1, initial=0.0),
        "lowest_vm_pu": vm_pu.min(axis=1),
        "highest_vm_pu": vm_pu.max(axis=1),
        "violations": (values > watch.limits + TOLERANCE).sum(axis=1),
        "converged": flow.converged,
    }
    return tuple(
        GridResults(
            **{name: each[first : first + part.slots] for name, each in by_state.items()},
            alarms=watch.alarms(values[first : first + part.slots], settings),
        )
        for first in range(0, len(values), part.slots)
    )


def _drawn_by_states(part: GridStates) -> Drawn:
    flow = _flow_of(part)
    return Drawn(flow.supply_va, flow.converged)


def _flow_of(part: GridStates) -> PowerFlow:
    model = _model_of(part.document)
    if part.slack_vm_pu is None:
        return solve_power_flow(model, part.p_w, part.q_var)
    return solve_below(model, part.p_w, part.q_var, part.slack_vm_pu)


@lru_cache(_MODELS_KEPT)
def _model_of(document: bytes) -> GridModel:
    return grid_model_of_bytes(document)
