"""A small linear program, solved with HiGHS."""

from collections.abc import Callable
from dataclasses import dataclass

import highspy
import numpy as np

from offchain.protocol.errors import FlexledgerError
from oracles.grid.core.network import Floats


class LinearProgramFailed(FlexledgerError):
    """HiGHS ended without an optimum, which a feasible and bounded program rules out."""


@dataclass(frozen=True, eq=False)
class Softened:
    """Optimum `x` (variables,) and how far each row stays short of what it asks, `shortfall` (rows,)."""

    x: Floats
    shortfall: Floats


def minimise_cost(
    costs: Floats, upper: Floats, rows: Floats, at_least: Floats, shortfall_cost: float
) -> Softened:
    """Minimise costs · x + shortfall_cost · sum(shortfall), 0 <= x <= upper, rows @ x + shortfall >= at_least.

    Always feasible: what can't be reached shows as shortfall. `rows` is (rows, variables).
    """
    row_count, column_count = rows.shape
    program = highspy.HighsLp()
    program.num_col_ = column_count + row_count
    program.num_row_ = row_count
    program.col_cost_ = np.concatenate((costs, np.full(row_count, shortfall_cost)))
    program.col_lower_ = np.zeros(column_count + row_count)
    program.col_upper_ = np.concatenate((upper, np.full(row_count, highspy.kHighsInf)))
    program.row_lower_ = at_least
    program.row_upper_ = np.full(row_count, highspy.kHighsInf)
    full = np.concatenate((rows, np.eye(row_count)), axis=1)
    filled = full != 0
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_ = np.concatenate(([0], np.cumsum(filled.sum(axis=1)))).astype(np.int32)
    program.a_matrix_.index_ = np.nonzero(filled)[1].astype(np.int32)
    program.a_matrix_.value_ = full[filled]
    make_solver: Callable[[], highspy.Highs] = highspy.Highs
    solver = make_solver()
    solver.silent()
    solver.setOptionValue("threads", 1)
    solver.passModel(program)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise LinearProgramFailed(f"model status = {solver.getModelStatus()}: must be optimal")
    solution = np.array(solver.getSolution().col_value)
    return Softened(x=solution[:column_count], shortfall=solution[column_count:])
