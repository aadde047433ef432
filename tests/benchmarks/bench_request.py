"""Sizing a request: a day of 96 slots, 300 PoDs up and down, a 136-bus grid; against HiGHS on its linear programs alone.

HiGHS alone: the programs of all rounds as they were solved, handed over again in the same order to one instance. Our time
is all of it: power flows, sensitivities, programs, areas, and the check of every filling. Both are CPU seconds.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from unittest.mock import patch

import numpy as np
from matplotlib.figure import Figure

from offchain.protocol.products import Product
from oracles.grid.core.flexible_pods import Flexibility, FlexiblePod
from oracles.grid.core.from_pandapower import LimitSettings
from oracles.grid.core.linear_program import Program, Row, Solver
from oracles.grid.core.network import Floats
from oracles.grid.core.request import size_request
from oracles.grid.simbench_case import SimbenchCase, load_simbench_case

Call = tuple[int, Program | Sequence[Row]]

CODE, DAY = "1-MV-urban--2-no_sw", date(2026, 1, 15)
LIMITS = LimitSettings(max_loading_percent=10)
"""A limit that the day's currents pass in three of four slots, on many lines."""
PODS, SLOTS = 300, 96
REPEATS = 3
LIMIT = 10
"""Most that sizing may take against HiGHS alone."""
GROWTH = Path(__file__).resolve().parents[2] / "build" / "bench" / "request-growth.svg"


def run() -> list[dict[str, object]]:
    """Rows for the report: the ratio; how time grows with slots and PoDs is drawn beside the results."""
    case = load_simbench_case(CODE, DAY, LIMITS)
    whole_s, highs_s = _seconds(case, SLOTS, PODS)
    figures = {"slots": [(SLOTS, whole_s)], "PoDs": [(PODS, whole_s)]}
    for slots in (24, 48, 72):
        figures["slots"].append((slots, _seconds(case, slots, PODS)[0]))
    for pods in (75, 150, 225):
        figures["PoDs"].append((pods, _seconds(case, SLOTS, pods)[0]))
    _draw({what: sorted(points) for what, points in figures.items()})
    return [
        {
            "name": f"request for {SLOTS} slots, {PODS} PoDs, {case.model.nodes} buses",
            "unit": "s",
            "ours": whole_s,
            "peer": LIMIT * highs_s,
            "peer_name": f"{LIMIT} x HiGHS alone ({highs_s:.2f} s)",
            "ratio": LIMIT * highs_s / whole_s,
            "target": 1,
        }
    ]


def _pods(case: SimbenchCase, slots: int, count: int) -> list[FlexiblePod]:
    """PoDs that may turn all that they absorb or inject, at least 5 kW, up or down."""
    rng = np.random.default_rng(3)
    chosen = rng.permutation(len(case.pods))[:count]
    prices = rng.integers(20_000, 200_000, len(case.pods))
    return [
        FlexiblePod(
            int(index).to_bytes(32),
            case.pods[index].node,
            {
                product: Flexibility(np.maximum(np.abs(case.p_w[:slots, index]), 5_000), int(prices[index]))
                for product in (Product.ACTIVE_UP, Product.ACTIVE_DOWN)
            },
        )
        for index in sorted(chosen.tolist())
    ]


def _seconds(case: SimbenchCase, slots: int, count: int) -> tuple[float, float]:
    """Least of some runs: of the whole, and of HiGHS on its programs alone. Raises RuntimeError where nothing is to do, or
    something is left that all PoDs together could lift."""
    p_w, q_var = case.at_nodes(case.p_w)[:slots], case.at_nodes(case.q_var)[:slots]
    pods = _pods(case, slots, count)
    with _recording() as calls:
        request = size_request(case.model, p_w, q_var, pods)
    if not request.areas or (count == PODS and request.remaining):
        raise RuntimeError(f"{len(request.areas)} areas, {len(request.remaining)} violations remain")
    whole = min(_timed(lambda: size_request(case.model, p_w, q_var, pods)) for _ in range(REPEATS))
    return whole, min(_timed(lambda: _solve_again(calls)) for _ in range(REPEATS))


def _timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


@contextmanager
def _recording() -> Iterator[list[Call]]:
    """What solvers are asked, each with which solver it was."""
    calls: list[Call] = []
    minimise, minimise_with = Solver.minimise, Solver.minimise_with

    def recorded(solver: Solver, program: Program) -> Floats:
        calls.append((id(solver), program))
        return minimise(solver, program)

    def recorded_with(solver: Solver, rows: Sequence[Row]) -> Floats:
        calls.append((id(solver), rows))
        return minimise_with(solver, rows)

    with patch.object(Solver, "minimise", recorded), patch.object(Solver, "minimise_with", recorded_with):
        yield calls


def _solve_again(calls: Sequence[Call]) -> None:
    solver, last = Solver(), None
    for number, asked in calls:
        solver = solver if number == last else Solver()
        last = number
        if isinstance(asked, Program):
            solver.minimise(asked)
        else:
            solver.minimise_with(asked)


def _draw(figures: dict[str, list[tuple[int, float]]]) -> None:
    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, (what, points) in zip(figure.subplots(1, len(figures)), figures.items(), strict=True):
        axes.plot(*zip(*points, strict=True), "o-", color="#2f5d8a")
        axes.set_xlabel(what)
        axes.set_ylabel("CPU seconds of a request")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    GROWTH.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(GROWTH, format="svg")


if __name__ == "__main__":
    print(run())
