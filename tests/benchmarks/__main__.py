"""`make bench`: every benchmark in one run, ours beside the peer's; writes build/bench/results.json.

A row is {name, unit, ours, peer, peer_name, ratio, target}: `ratio` says how many times better than the peer or the
limit we are, `target` the least that is asked (0: nothing yet). Nothing here fails: it measures.
"""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import (
    bench_assessment,
    bench_assume,
    bench_clearing,
    bench_fronts,
    bench_gas,
    bench_merkle,
    bench_outcome_root,
    bench_power_flow,
    bench_request,
    bench_signatures,
)

PROJECT = Path(__file__).resolve().parents[2]
RESULTS = PROJECT / "build" / "bench" / "results.json"
SUMMARY = PROJECT / "build" / "demo" / "summary.json"
DEMO_LIMIT_S = 180


def demo_row() -> list[dict[str, Any]]:
    """The last demo day's seconds against its limit; none if none was played."""
    if not SUMMARY.exists():
        return []
    seconds = sum(json.loads(SUMMARY.read_text())["seconds"].values())
    row = {"name": "demo day, last played", "unit": "s", "ours": seconds, "peer": DEMO_LIMIT_S}
    return [{**row, "peer_name": "limit", "ratio": DEMO_LIMIT_S / seconds, "target": 1}]


def main() -> None:
    """Run all, print, write."""
    rows: list[dict[str, Any]] = []
    # ASSUME first: it runs in a fresh process, and what takes milliseconds here is slower in one that has held a city.
    benchmarks = (
        bench_assume,
        bench_merkle,
        bench_clearing,
        bench_outcome_root,
        bench_power_flow,
        bench_assessment,
        bench_request,
        bench_signatures,
        bench_fronts,
        bench_gas,
    )
    for benchmark in benchmarks:
        rows.extend(benchmark.run())
    rows.extend(demo_row())
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=1))
    table = Table("what", "unit", "ours", "peer", "peer is", "ratio", "asked")
    for row in rows:
        figures = [f"{row[name]:,.4g}" for name in ("ours", "peer")]
        table.add_row(
            str(row["name"]),
            row["unit"],
            *figures,
            row["peer_name"],
            f"{row['ratio']:.2f}",
            str(row["target"]),
        )
    Console(width=150).print(table)
    Console().print(f"written to {RESULTS.relative_to(PROJECT)}")


if __name__ == "__main__":
    main()
