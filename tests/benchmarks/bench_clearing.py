"""Price priority at the scale of a city: 1.6 million PoDs with 96 slots each, and how the time grows from 10³ to 10⁸ offers.

Each city is cleared in a process of its own, whose peak of memory is the kernel's VmHWM; beside it, in the same process, one
numpy pass sums the book's columns.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from matplotlib.figure import Figure

from oracles.clearing.core.parts import BookIndex, parts_of
from oracles.clearing.core.plain import PlainPart
from oracles.clearing.core.price_priority import clear
from oracles.clearing.core.results import clearing_of
from oracles.parallel import in_threads
from tests.benchmarks.city import City, CitySize, city_of

PROJECT = Path(__file__).parents[2]
GROWTH = PROJECT / "build" / "bench" / "clearing-growth.svg"
MOST_PASSES, MOST_GIB, MOST_EXPONENT = 20, 4, 1
"""The limits: passes over the book, memory, exponent of n log n."""
GROWING_PODS = [10, 104, 1_042, 10_417, 104_167, 1_041_667]
FITTED_FROM = 100_000
"""Below so many offers what doesn't grow decides the time."""
WHOLE = CitySize()
GIB_KIB = 2**20
T = TypeVar("T")


def run() -> list[dict[str, object]]:
    """Rows for the report."""
    city = _in_own_process(WHOLE)
    print(
        f"{city['offers']:,} offers, {city['entries']:,} accepted quantities; one pass {city['pass_s']:.2f} s"
    )
    for step, seconds in city["steps"].items():
        print(f"  {step:28} {seconds:8.2f} s  {seconds / city['seconds']:4.0%}")
    grown = [_in_own_process(_smaller(pods)) for pods in GROWING_PODS]
    exponent = draw_growth([each["offers"] for each in grown], [each["seconds"] for each in grown], GROWTH)
    print(f"time grows as (n log n) to the power of {exponent:.2f}; drawn in {GROWTH.relative_to(PROJECT)}")
    name = f"price priority, {city['offers']:,} offers"
    return [
        _row(name, "s", city["seconds"], MOST_PASSES * city["pass_s"], f"{MOST_PASSES} passes over the book"),
        _row(f"{name}: peak of memory", "GiB", city["peak_gib"], MOST_GIB, "limit"),
        _row("price priority, time's power of n log n", "", exponent, MOST_EXPONENT, "limit"),
    ]


def _row(name: str, unit: str, ours: float, peer: float, peer_name: str) -> dict[str, object]:
    row: dict[str, object] = {"name": name, "unit": unit, "ours": ours, "peer": peer, "peer_name": peer_name}
    return {**row, "ratio": peer / ours, "target": 1}


def _smaller(pods: int) -> CitySize:
    return CitySize(
        pods=pods,
        secondary=max(1, WHOLE.secondary * pods // WHOLE.pods),
        primary=max(1, WHOLE.primary * pods // WHOLE.pods),
    )


def _in_own_process(size: CitySize) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_clearing", *map(str, astuple(size))]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def measured(size: CitySize) -> dict[str, Any]:
    """Seconds of clearing a city, by step, and of a pass over its book; and the process's peak of memory."""
    warm = city_of(_smaller(1_000))
    clear(warm.book, warm.pods, warm.seed)
    city = city_of(size)
    pass_s = _pass_s(city)
    steps: dict[str, float] = {}
    index = _timed(steps, "where offers and areas are", partial(BookIndex, city.book, city.pods))
    extracts, plain = _timed(steps, "in parts", partial(parts_of, index, city.pods, city.seed))
    if extracts:
        raise RuntimeError("a city of plain offers has parts that aren't plain")
    taken = _timed(steps, "parts cleared", lambda: list(in_threads(PlainPart.clear, plain)))
    clearing = _timed(steps, "list and reasons", partial(clearing_of, index, taken, extracts, []))
    return {
        "offers": len(city.book.columns),
        "entries": len(clearing.acceptances),
        "pass_s": pass_s,
        "seconds": sum(steps.values()),
        "steps": steps,
        "peak_gib": _peak_kib() / GIB_KIB,
    }


def _pass_s(city: City) -> float:
    """Seconds of one numpy pass that sums the columns which the book holds in memory, each once."""
    columns = {id(column): column for column in vars(city.book.columns).values() if all(column.strides)}
    start = time.perf_counter()
    for column in columns.values():
        column.sum(dtype=np.int64)
    return time.perf_counter() - start


def _timed(steps: dict[str, float], name: str, work: Callable[[], T]) -> T:
    start = time.perf_counter()
    out = work()
    steps[name] = time.perf_counter() - start
    return out


def _peak_kib() -> int:
    """Most memory that this process ever had, as the kernel knows it."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def draw_growth(offers: Iterable[int], seconds: Iterable[float], path: Path) -> float:
    """Draw seconds over offers as SVG; gives the power of n log n by which they grow, fitted on the long ones."""
    n, t = np.array(list(offers)), np.array(list(seconds))
    work = n * np.log(n)
    is_long = n >= FITTED_FROM
    exponent, _ = np.polyfit(np.log(work[is_long]), np.log(t[is_long]), 1)
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.loglog(n, t, "o-", color="#2f5d8a", label="price priority")
    axes.loglog(n, t[-1] * work / work[-1], "--", color="#b5403a", label="n log n")
    axes.set_xlabel("offers")
    axes.set_ylabel("seconds")
    axes.set_title(f"time grows as (n log n) to the power of {exponent:.2f} from {FITTED_FROM:,} offers")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg")
    return float(exponent)


if __name__ == "__main__":
    print(json.dumps(measured(CitySize(*map(int, sys.argv[1:])))) if sys.argv[1:] else run())
