"""Newton's method for the states and grids that the fixed point can't do: held voltages, and what it doesn't converge for.

In polar coordinates with relative magnitudes, where dS_i/dθ_j = -j V_i conj(Y_ij V_j) (+ j S_i for i = j) and dS_i/d(ln |V_j|) =
V_i conj(Y_ij V_j) (+ S_i): Zimmerman, "AC Power Flows, Generalized OPF Costs and their Derivatives using Complex Matrix
Notation" (MATPOWER Technical Note 2). The Jacobians of many states are factorised as the blocks of one sparse matrix.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

from oracles.grid.core.network import Complexes, Floats, GridModel, Integers

TOLERANCE_PU = 1e-8
MAX_ITERATIONS = 12
_UNKNOWNS_AT_ONCE = 20_000
_MOST_STEP = 1.0
"""Most that an angle (rad) or the logarithm of a magnitude moves in an iteration."""


def solve_newton(model: GridModel, power_pu: Complexes) -> tuple[Complexes, npt.NDArray[np.bool_]]:
    """Complex voltages (s, n) for what is absorbed at each node (s, n), and which states converged.

    Every state starts from no load, with held magnitudes, so that its result doesn't depend on the others.
    """
    layout = _layout(model)
    start = np.empty(model.nodes, dtype=np.complex128)
    start[model.slacks] = model.slack_voltage_pu
    start[model.loads] = model.no_load_pu
    start[model.held] *= model.held_vm_pu / np.abs(start[model.held])
    voltage: Complexes = np.tile(start, (len(power_pu), 1))
    converged = np.zeros(len(power_pu), dtype=np.bool_)
    at_once = max(1, _UNKNOWNS_AT_ONCE // max(1, layout.unknowns))
    for first in range(0, len(power_pu), at_once):
        part = slice(first, first + at_once)
        voltage[part], converged[part] = _solve_together(model, layout, -power_pu[part], voltage[part])
    return voltage, converged


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where the entries of the admittance (rows `row`, columns `column`) go in a state's Jacobian.

    Unknowns are the angles of all `loads`, then the magnitudes of those that aren't held. `pick` (four kinds, entries):
    the entries that are P by θ, P by |V|, Q by θ, Q by |V|; `order` puts their values into the columns of the Jacobian, whose
    `indices` and `first` they are.
    """

    row: Integers
    column: Integers
    value: Complexes
    diagonal: Integers
    free: Integers
    pick: tuple[npt.NDArray[np.bool_], ...]
    order: Integers
    indices: Integers
    first: Integers

    @property
    def unknowns(self) -> int:
        return len(self.first) - 1


def _layout(model: GridModel) -> _Layout:
    entries = model.admittance.tocoo()
    row, column = entries.row.astype(np.int64), entries.col.astype(np.int64)
    free = np.setdiff1d(model.loads, model.held)
    angle = np.full(model.nodes, -1, dtype=np.int64)
    angle[model.loads] = np.arange(len(model.loads))
    size = np.full(model.nodes, -1, dtype=np.int64)
    size[free] = len(model.loads) + np.arange(len(free))
    pick, rows, columns = [], [], []
    for equation, unknown in ((angle, angle), (angle, size), (size, angle), (size, size)):
        chosen = (equation[row] >= 0) & (unknown[column] >= 0)
        pick.append(chosen)
        rows.append(equation[row[chosen]])
        columns.append(unknown[column[chosen]])
    at, to = np.concatenate(rows), np.concatenate(columns)
    order = np.lexsort((at, to))
    first = np.zeros(len(model.loads) + len(free) + 1, dtype=np.int64)
    np.cumsum(np.bincount(to, minlength=len(first) - 1), out=first[1:])
    return _Layout(
        row=row,
        column=column,
        value=entries.data,
        diagonal=np.flatnonzero(row == column),
        free=free,
        pick=tuple(pick),
        order=order,
        indices=at[order],
        first=first,
    )


def _solve_together(
    model: GridModel, layout: _Layout, injected: Complexes, voltage: Complexes
) -> tuple[Complexes, npt.NDArray[np.bool_]]:
    loads, free = model.loads, layout.free
    converged = np.zeros(len(voltage), dtype=np.bool_)
    solution = voltage.copy()
    active = np.arange(len(voltage))
    with np.errstate(all="ignore"):
        for iteration in range(MAX_ITERATIONS + 1):
            through = voltage[:, layout.row] * (layout.value * voltage[:, layout.column]).conj()
            power = _sum_by_row(layout, through, model.nodes)
            missing = injected[active] - power
            wrong = np.concatenate((missing[:, loads].real, missing[:, free].imag), axis=1)
            worst = np.abs(wrong).max(axis=1, initial=0.0)
            done = worst <= TOLERANCE_PU
            solution[active[done]] = voltage[done]
            converged[active[done]] = True
            kept = ~done & np.isfinite(worst)
            active, voltage = active[kept], voltage[kept]
            if not len(active) or iteration == MAX_ITERATIONS:
                break
            step = _steps(layout, through[kept], power[kept], wrong[kept])
            step = np.clip(step, -_MOST_STEP, _MOST_STEP)
            turned = np.zeros(voltage.shape, dtype=np.complex128)
            turned[:, loads] = 1j * step[:, : len(loads)]
            turned[:, free] += step[:, len(loads) :]
            voltage = voltage * np.exp(turned)
    return solution, converged


def _sum_by_row(layout: _Layout, values: Complexes, nodes: int) -> Complexes:
    first = np.searchsorted(layout.row, np.arange(nodes))
    return np.asarray(np.add.reduceat(values, first, axis=1))


def _steps(layout: _Layout, through: Complexes, power: Complexes, wrong: Floats) -> Floats:
    """Newton's step of each state, (s, unknowns)."""
    own = power[:, layout.row[layout.diagonal]]
    by_angle = -1j * through
    by_angle[:, layout.diagonal] += 1j * own
    by_size = through.copy()
    by_size[:, layout.diagonal] += own
    kinds = (by_angle.real, by_size.real, by_angle.imag, by_size.imag)
    values = np.concatenate(
        [kind[:, chosen] for kind, chosen in zip(kinds, layout.pick, strict=True)], axis=1
    )[:, layout.order]
    states, entries = values.shape
    shift = np.arange(states)[:, None]
    matrix = csc_array(
        (
            values.ravel(),
            (layout.indices + shift * layout.unknowns).ravel(),
            np.append((layout.first[:-1] + shift * entries).ravel(), states * entries),
        ),
        shape=(states * layout.unknowns,) * 2,
    )
    try:
        return np.asarray(splu(matrix).solve(wrong.ravel())).reshape(wrong.shape)
    except RuntimeError:
        # One state's Jacobian is singular: the others must not suffer from it.
        if states == 1:
            return np.full(wrong.shape, np.nan)
        each = [slice(state, state + 1) for state in range(states)]
        return np.concatenate([_steps(layout, through[part], power[part], wrong[part]) for part in each])
