"""Linear programs one like the other, solved with HiGHS, each from where the last one ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import highspy
import numpy as np
import numpy.typing as npt

from offchain.protocol.errors import FlexledgerError
from oracles.grid.core.network import Floats, Integers

_CONTINUOUS, _INTEGER, _SEMI_CONTINUOUS, _SEMI_INTEGER = (
    int(kind)
    for kind in (
        highspy.HighsVarType.kContinuous,
        highspy.HighsVarType.kInteger,
        highspy.HighsVarType.kSemiContinuous,
        highspy.HighsVarType.kSemiInteger,
    )
)
_NOT_SET, _SOLVE_ERROR = highspy.HighsModelStatus.kNotset, highspy.HighsModelStatus.kSolveError
_OPTIMAL, _LIMIT = highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kSolutionLimit
_TIGHT, _LOOSE = 1e-9, 1e-6
"""How far from a whole number may be one: of a range as wide as a million W, the looser leaves a W where there should be none."""
_BASIC, _AT_LOWER = highspy.HighsBasisStatus.kBasic, highspy.HighsBasisStatus.kLower
INTEGER_GAP = 1e-4
"""Relative gap to which programs with whole numbers are solved."""
MOST_NODES = 2_000
"""Nodes after which the best found of a program with whole numbers is taken: no clock, so that it is the same again."""


class LinearProgramFailed(FlexledgerError):
    """HiGHS ended without an optimum, which a feasible and bounded program rules out."""


@dataclass(frozen=True, eq=False)
class Row:
    """values · x[columns], with the shortfall of `soft` added, is at least `at_least`. `name` says which row of the last
    program it stands for; `soft`: what is short where it can't be reached, shared by rows; None: a hard row."""

    name: tuple[int, ...]
    columns: Integers
    values: Floats
    at_least: float
    soft: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Program:
    """Minimise costs · x + shortfall_cost · sum(shortfalls), 0 <= x <= upper.

    `least` (variables,): what x is at least unless it is 0. `whole` (variables,): whether x is a whole number.
    Must be feasible without its soft rows.
    """

    costs: Floats
    upper: Floats
    rows: Sequence[Row]
    shortfall_cost: float
    least: Floats
    whole: npt.NDArray[np.bool_]

    @classmethod
    def continuous(
        cls, costs: Floats, upper: Floats, rows: Sequence[Row], shortfall_cost: float
    ) -> "Program":
        """One in which every amount up to `upper` may be."""
        nothing = np.zeros(len(costs))
        return cls(costs, upper, rows, shortfall_cost, nothing, nothing > 0)


class Solver:
    """One instance of HiGHS. Where the next program has as many variables as the last one, it starts at its basis.

    `gap`: share of the last optimum's cost by which a better one may be cheaper, as far as that is proven; 0 without whole
    numbers.
    """

    def __init__(self, most_nodes: int = MOST_NODES) -> None:
        make_solver: Callable[[], highspy.Highs] = highspy.Highs
        self._highs = make_solver()
        self._highs.silent()
        self._highs.setOptionValue("threads", 1)
        self._highs.setOptionValue("presolve", "off")
        self._highs.setOptionValue("mip_rel_gap", INTEGER_GAP)
        self._highs.setOptionValue("mip_max_nodes", most_nodes)
        self._highs.setOptionValue("mip_feasibility_tolerance", _TIGHT)
        self._variables = 0
        self._shortfall_cost = 0.0
        self._column_of: dict[tuple[int, ...], int] = {}
        self._names: list[tuple[int, ...]] = []
        self._discrete, self.gap = True, 0.0

    def minimise(self, program: Program) -> Floats:
        """The optimum x (variables,), always there, for what can't be reached is short; the best found where whole numbers take
        more than MOST_NODES."""
        count = len(program.costs)
        last = self._highs.getBasis() if not self._discrete and self._variables == count else None
        names = self._names
        self._variables, self._shortfall_cost = count, program.shortfall_cost
        self._column_of, self._names = {}, []
        discrete = bool(program.whole.any() or program.least.any())
        self._highs.clearModel()
        self._add_columns(program.costs, program.least, program.upper)
        if discrete:
            kinds = np.where(
                program.least > 0,
                np.where(program.whole, _SEMI_INTEGER, _SEMI_CONTINUOUS),
                np.where(program.whole, _INTEGER, _CONTINUOUS),
            )
            self._highs.changeColsIntegrality(count, np.arange(count, dtype=np.int32), kinds.astype(np.uint8))
        self._add(program.rows)
        if last is not None and last.valid and program.rows and not discrete:
            status_of = dict(zip(names, last.row_status, strict=True))
            start = highspy.HighsBasis()
            start.valid = start.alien = True  # alien: HiGHS mends the number of basic variables
            start.col_status = last.col_status[:count] + [_AT_LOWER] * len(self._column_of)
            start.row_status = [status_of.get(name, _BASIC) for name in self._names]
            self._highs.setBasis(start)
        self._discrete = discrete
        return self._optimum()

    def minimise_with(self, rows: Sequence[Row]) -> Floats:
        """The optimum of the last program with further rows."""
        self._add(rows)
        return self._optimum()

    def duals(self) -> dict[tuple[int, ...], float]:
        """What the last continuous program's optimum would cost more, by name of a row, were one more W asked for there."""
        return dict(zip(self._names, self._highs.getSolution().row_dual, strict=True)) if self._names else {}

    def _add(self, rows: Sequence[Row]) -> None:
        softened = [row.soft for row in rows if row.soft is not None and row.soft not in self._column_of]
        for name in softened:
            self._column_of.setdefault(name, self._variables + len(self._column_of))
        fresh = np.zeros(self._variables + len(self._column_of) - self._highs.getNumCol())
        self._add_columns(fresh + self._shortfall_cost, fresh, fresh + highspy.kHighsInf)
        columns, values, lengths = [np.zeros(0, dtype=np.int64)], [np.zeros(0)], [0]
        for row in rows:
            columns.append(row.columns)
            values.append(row.values)
            if row.soft is not None:
                columns.append(np.array([self._column_of[row.soft]]))
                values.append(np.ones(1))
            lengths.append(len(row.columns) + (row.soft is not None))
        of_all = np.concatenate(values)
        filled = of_all != 0
        starts = np.concatenate(([0], np.cumsum(filled)))[np.cumsum(lengths[:-1], dtype=np.int64)]
        self._highs.addRows(
            len(rows),
            np.array([row.at_least for row in rows], dtype=np.float64),
            np.full(len(rows), highspy.kHighsInf),
            int(filled.sum()),
            starts.astype(np.int32),
            np.concatenate(columns)[filled].astype(np.int32),
            of_all[filled],
        )
        self._names += [row.name for row in rows]

    def _add_columns(self, costs: Floats, lower: Floats, upper: Floats) -> None:
        none = np.zeros(0, np.int32)
        starts = np.zeros(len(costs), np.int32)
        self._highs.addCols(len(costs), costs, lower, upper, 0, starts, none, np.zeros(0))

    def _optimum(self) -> Floats:
        if not self._names:
            return np.zeros(self._variables)  # HiGHS solves no program without rows from a basis
        self._highs.run()
        if self._highs.getModelStatus() == _NOT_SET:
            self._highs.clearSolver()  # the basis couldn't be mended: from none, then
            self._highs.run()
        if self._discrete and self._highs.getModelStatus() == _SOLVE_ERROR:
            # HiGHS calls it an error when what may be 0 or at least so much ends a billionth beside that.
            self._highs.setOptionValue("mip_feasibility_tolerance", _LOOSE)
            self._highs.run()
            self._highs.setOptionValue("mip_feasibility_tolerance", _TIGHT)
        status, solution = self._highs.getModelStatus(), self._highs.getSolution()
        taken = self._discrete and status == _LIMIT and solution.value_valid
        if status != _OPTIMAL and not taken:
            raise LinearProgramFailed(f"model status = {status}: must be optimal")
        self.gap = max(float(self._highs.getInfo().mip_gap), 0.0) if self._discrete else 0.0
        return np.array(solution.col_value[: self._variables])
