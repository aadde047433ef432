"""A mixed-integer linear program, solved with HiGHS in one thread: the same build gives the same solution.

A few dozen all-or-nothing offers can make a program that takes days to prove an optimum of. So the search ends after a number of
nodes, not after a time that other machines would need otherwise, with the best that it has found. What no row joins is solved apart,
wherever: areas and slots that nothing binds to each other.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import highspy
import numpy as np
import numpy.typing as npt

from offchain.protocol.errors import FlexledgerError
from oracles.clearing.core.part_kernels import connect
from oracles.parallel import MapParts, in_threads

Floats = npt.NDArray[np.float64]
Terms = Mapping[int, float]
"""Coefficients by column."""
Bounded = tuple[Terms, float, float]
"""A row, and what it is at least and at most."""
OPTIMALITY_GAP = 1e-5
"""Relative: a hundredth of the 0.1 % that `verify` allows."""
MOST_NODES = 20_000
"""Of a program's searches, after which the best that was found counts: shared among its parts."""
LEAST_NODES = 500
"""Of each part's search."""
COLUMNS_A_PART = 2_000
"""Of parts without whole numbers, so many together are solved at once."""


class ProgramInfeasible(FlexledgerError):
    """No point keeps to all rows, or none was found."""


@dataclass
class MixedIntegerProgram:
    """Columns from 0 to an upper bound, rows between bounds. Built once, minimised for several objectives."""

    _upper: list[float] = field(default_factory=list)
    _is_integer: list[bool] = field(default_factory=list)
    _rows: list[Bounded] = field(default_factory=list)

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

    def minimise(
        self,
        costs: Terms,
        *bounds: tuple[Terms, float],
        most_nodes: int = MOST_NODES,
        map_parts: MapParts = in_threads,
    ) -> Floats:
        """Values of the columns that minimise the costs, or the best of so many nodes; each of `bounds` is a further row, at most
        its value. `map_parts`: who solves the parts that no row joins.

        Raises ProgramInfeasible.
        """
        rows = [*self._rows, *((dict(terms), -highspy.kHighsInf, most) for terms, most in bounds)]
        parts = list(self._parts(costs, rows, most_nodes))
        out = np.zeros(len(self._upper))
        for part, values in zip(parts, map_parts(_solve, parts), strict=True):
            out[part.columns] = values
        return out

    def _parts(self, costs: Terms, rows: Sequence[Bounded], most_nodes: int) -> Iterator["_Part"]:
        """What rows join; where no number is to be whole, many of these together."""
        label = np.arange(len(self._upper))
        ends = [(next(iter(terms)), column) for terms, _, _ in rows for column in terms]
        first, other = np.array(ends, dtype=np.int64).reshape(-1, 2).T
        connect(first, other, label)
        integer = np.array(self._is_integer, dtype=bool)
        joined: dict[int, list[int]] = {}
        for column, number in enumerate(label.tolist()):
            joined.setdefault(number, []).append(column)
        of_rows: dict[int, list[Bounded]] = {}
        for row in rows:
            if row[0]:
                of_rows.setdefault(int(label[next(iter(row[0]))]), []).append(row)
            elif not row[1] <= 0 <= row[2]:
                raise ProgramInfeasible("a row without columns can't be kept")
        in_whole = {number for number, columns in joined.items() if integer[columns].any()}
        # What each slot of each area may search for as long as all together would takes days again.
        most_nodes = min(most_nodes, max(LEAST_NODES, most_nodes // max(1, len(in_whole))))
        together: list[int] = []
        width = 0
        for number, columns in joined.items():
            if number in in_whole:
                yield self._part(costs, [number], joined, of_rows, most_nodes)
                continue
            together.append(number)
            width += len(columns)
            if width >= COLUMNS_A_PART:
                yield self._part(costs, together, joined, of_rows, most_nodes)
                together, width = [], 0
        if together:
            yield self._part(costs, together, joined, of_rows, most_nodes)

    def _part(
        self,
        costs: Terms,
        numbers: Sequence[int],
        joined: Mapping[int, Sequence[int]],
        of_rows: Mapping[int, Sequence[Bounded]],
        most_nodes: int,
    ) -> "_Part":
        columns = [column for number in numbers for column in joined[number]]
        place = {column: index for index, column in enumerate(columns)}
        rows = [
            ({place[column]: value for column, value in terms.items()}, low, high)
            for number in numbers
            for terms, low, high in of_rows.get(number, ())
        ]
        return _Part(
            columns,
            [costs.get(column, 0.0) for column in columns],
            [self._upper[column] for column in columns],
            [self._is_integer[column] for column in columns],
            rows,
            most_nodes,
        )


@dataclass(frozen=True)
class _Part:
    """A part of a program: its columns' indexes in the whole, their costs, upper bounds and kinds, and its rows."""

    columns: Sequence[int]
    costs: Sequence[float]
    upper: Sequence[float]
    is_integer: Sequence[bool]
    rows: Sequence[Bounded]
    most_nodes: int


def _solve(part: _Part) -> Floats:
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = len(part.columns), len(part.rows)
    program.col_cost_ = np.array(part.costs, dtype=np.float64)
    program.col_lower_ = np.zeros(len(part.columns))
    program.col_upper_ = np.array(part.upper, dtype=np.float64)
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    program.integrality_ = [kinds[is_integer] for is_integer in part.is_integer]
    program.row_lower_ = np.array([low for _, low, _ in part.rows], dtype=np.float64)
    program.row_upper_ = np.array([high for _, _, high in part.rows], dtype=np.float64)
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_ = np.cumsum([0, *(len(terms) for terms, _, _ in part.rows)]).astype(np.int32)
    program.a_matrix_.index_ = np.array([c for terms, _, _ in part.rows for c in terms], dtype=np.int32)
    program.a_matrix_.value_ = np.array(
        [v for terms, _, _ in part.rows for v in terms.values()], dtype=np.float64
    )
    make_solver: Callable[[], highspy.Highs] = highspy.Highs
    solver = make_solver()
    solver.silent()
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("mip_rel_gap", OPTIMALITY_GAP)
    solver.setOptionValue("mip_max_nodes", part.most_nodes)
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
