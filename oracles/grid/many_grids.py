"""Power flows of many grids, each by itself: in threads, or by the workers of a Dask scheduler, with the same result.

A worker builds the model from its document, as everybody does, and once for all parts of a grid that come to it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from oracles.grid.core.documents import grid_model_of_bytes
from oracles.grid.core.network import Complexes, Floats, GridModel, Integers
from oracles.grid.core.power_flow import solve_power_flow
from oracles.grid.core.violations import Watch
from oracles.parallel import MapParts, in_threads

_MODELS_KEPT = 64


@dataclass(frozen=True, eq=False)
class GridStates:
    """States of one grid, or of several alike. `document`: its model's bytes. `p_w`, `q_var` (s, n): net absorbed."""

    document: bytes
    p_w: Integers
    q_var: Integers


@dataclass(frozen=True, eq=False)
class GridResults:
    """What comes back of s states: `values` (s, k) as `Watch` has them, `losses_w` (s,), what the grid draws from its slacks,
    `supply_va` (s,), and `converged` (s,): where False, the rest means nothing."""

    values: Floats
    losses_w: Floats
    supply_va: Complexes
    converged: npt.NDArray[np.bool_]


def solve_grids(parts: Iterable[GridStates], map_parts: MapParts = in_threads) -> Iterable[GridResults]:
    """Results in the order of the parts, which are made as workers come free.

    Raises InvalidInput where a document isn't a model's or states don't fit it.
    """
    return map_parts(solve_states, parts)


def solve_states(part: GridStates) -> GridResults:
    """One part."""
    model = _model_of(part.document)
    flow = solve_power_flow(model, part.p_w, part.q_var)
    return GridResults(Watch(model).values(flow), flow.losses_w, flow.supply_va, flow.converged)


@lru_cache(_MODELS_KEPT)
def _model_of(document: bytes) -> GridModel:
    return grid_model_of_bytes(document)
