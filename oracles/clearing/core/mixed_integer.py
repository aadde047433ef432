"""A mixed-integer linear program, solved with HiGHS in one thread: the same build gives the same solution.

A few dozen all-or-nothing offers can make a program that takes days to prove an optimum of. So the search ends after a number of
nodes, not after a time that other machines would need otherwise, with the best that it has found.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import highspy
import numpy as np
import numpy.typing as npt

from offchain.protocol.errors import FlexledgerError

Floats = npt.NDArray[np.float64]
Terms = Mapping[int, float]
"""Coefficients by column."""
OPTIMALITY_GAP = 1e-5
"""Relative: a hundredth of the 0.1 % that `verify` allows."""
MOST_NODES = 20_000
"""Of a search, after which the best that was found counts."""


class ProgramInfeasible(FlexledgerError):
    """No point keeps to all rows, or none was found."""


@dataclass
class MixedIntegerProgram:
    """Columns from 0 to an upper bound, rows between bounds. Built once, minimised for several objectives."""

    _upper: list[float] = field(default_factory=list)
    _is_integer: list[bool] = field(default_factory=list)
    _rows: list[tuple[dict[int, float], float, float]] = field(default_factory=list)

    def column(self, upper: float, *, integer: bool = False) -> int:
        """A new column; gives its index."""
        self._upper.append(upper)
        self._is_integer.append(integer)
        return len(self._upper) - 1

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self._upper)

    def upper(self, column: int) -> float:
        """A column's upper bound."""
        return self._upper[column]

    def row(
        self, terms: Terms, *, at_least: float = -highspy.kHighsInf, at_most: float = highspy.kHighsInf
    ) -> None:
        """A new row."""
        self._rows.append((dict(terms), at_least, at_most))

    def minimise(self, costs: Terms, *bounds: tuple[Terms, float], most_nodes: int = MOST_NODES) -> Floats:
        """Values of the columns that minimise the costs, or the best of so many nodes; each of `bounds` is a further row, at most
        its value.

        Raises ProgramInfeasible.
        """
        rows = [*self._rows, *((dict(terms), -highspy.kHighsInf, most) for terms, most in bounds)]
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = len(self._upper), len(rows)
        program.col_cost_ = _dense(costs, len(self._upper))
        program.col_lower_ = np.zeros(len(self._upper))
        program.col_upper_ = np.array(self._upper, dtype=np.float64)
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        program.integrality_ = [kinds[is_integer] for is_integer in self._is_integer]
        program.row_lower_ = np.array([low for _, low, _ in rows], dtype=np.float64)
        program.row_upper_ = np.array([high for _, _, high in rows], dtype=np.float64)
        program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        program.a_matrix_.start_ = np.cumsum([0, *(len(terms) for terms, _, _ in rows)]).astype(np.int32)
        program.a_matrix_.index_ = np.array([c for terms, _, _ in rows for c in terms], dtype=np.int32)
        program.a_matrix_.value_ = np.array(
            [v for terms, _, _ in rows for v in terms.values()], dtype=np.float64
        )
        make_solver: Callable[[], highspy.Highs] = highspy.Highs
        solver = make_solver()
        solver.silent()
        solver.setOptionValue("threads", 1)
        solver.setOptionValue("mip_rel_gap", OPTIMALITY_GAP)
        solver.setOptionValue("mip_max_nodes", most_nodes)
        solver.passModel(program)
        solver.run()
        status = solver.getModelStatus()
        feasible = int(highspy.SolutionStatus.kSolutionStatusFeasible)
        is_found = solver.getInfo().primal_solution_status == feasible
        is_cut_short = status == highspy.HighsModelStatus.kSolutionLimit
        if status == highspy.HighsModelStatus.kInfeasible or (is_cut_short and not is_found):
            raise ProgramInfeasible("no point keeps to all rows, or none was found")
        if status != highspy.HighsModelStatus.kOptimal and not is_cut_short:
            raise FlexledgerError(f"model status = {status}: must be optimal, for columns are bounded")
        return np.array(solver.getSolution().col_value)


def value_of(terms: Terms, x: Floats) -> float:
    """The terms' sum at a point."""
    return float(sum(coefficient * x[column] for column, coefficient in terms.items()))


def _dense(terms: Terms, length: int) -> Floats:
    out = np.zeros(length)
    for column, coefficient in terms.items():
        out[column] = coefficient
    return out
