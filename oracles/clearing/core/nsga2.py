"""NSGA-II over the same objectives and rules as the exact program, seeded with greedy and exact solutions.

A solution is the share of each run that is wanted, from 0 to 1; it counts as what of it keeps to all rules, in whole W.
pymoo's, with the session's seed: the same build gives the same front.
"""

from typing import Any

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem
from pymoo.optimize import minimize

from oracles.clearing.core.mixed_integer import Floats
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.service_program import ServiceProgram


class _Wanted(Problem):  # type: ignore[misc]
    """Cost, unserved and unreliable W of wanted shares, and CO2 where the operator minds."""

    def __init__(self, program: ServiceProgram, parameters: ClearingParameters) -> None:
        self.program = program
        self._counted = [0, 1, 2, 4] if parameters.co2_ueur_per_kg else [0, 1, 2]
        super().__init__(n_var=len(program.runs), n_obj=len(self._counted), xl=0.0, xu=1.0)

    def _evaluate(self, x: Floats, out: dict[str, Any], *_: object, **__: object) -> None:
        points = [self.program.point(self.quantities(shares)).as_tuple() for shares in x]
        out["F"] = np.array(points, dtype=np.float64)[:, self._counted]

    def quantities(self, shares: Floats) -> Floats:
        """Whole W by column."""
        return self.program.in_whole_w(self.program.of_shares(shares))


def evolve(program: ServiceProgram, parameters: ClearingParameters, seed: int) -> list[Floats]:
    """Quantities by column of the front that NSGA-II ends with, and of the exact optimum: so the best of them by the
    operator's weights is never worse than that in whole W."""
    problem = _Wanted(program, parameters)
    optimum = program.shares_of(program.best())
    # Everything wanted, cheapest first; the exact optimum and trade-offs; the rest at random.
    known = [np.ones(len(program.runs)), optimum, *map(program.shares_of, program.trade_offs())]
    known = known[: parameters.population]
    rest = np.random.default_rng(seed).random((parameters.population - len(known), len(program.runs)))
    first = np.concatenate([known, rest])
    algorithm = NSGA2(pop_size=parameters.population, sampling=first, eliminate_duplicates=False)
    found = minimize(problem, algorithm, ("n_gen", parameters.generations), seed=seed, verbose=False)
    return [problem.quantities(shares) for shares in [*np.atleast_2d(found.X), optimum]]
