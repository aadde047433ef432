"""Forge's invariants of money and fuzz of challenges, and that what they called did succeed sometimes."""

import re
import subprocess
from collections import Counter
from pathlib import Path

TESTS = "tests/forge/*"
LEAST_CALLS = 100_000
CHALLENGES_PER_RUN = 7
"""A fuzz run tries at least so many challenges."""


def problems(printed: str) -> list[str]:
    """What forge's report lacks: tests, calls, or a call of the handler that ever succeeded."""
    passed = re.findall(r"^\[PASS\] (\w+)\(.*\) \(runs: (\d+),(?: calls: (\d+))?", printed, re.MULTILINE)
    money = sum(int(calls) for _, _, calls in passed if calls)
    challenges = sum(int(runs) * CHALLENGES_PER_RUN for name, runs, calls in passed if not calls)
    out = [
        f"{name}: {calls} calls: must be {LEAST_CALLS} or more"
        for name, calls in (("invariants of money", money), ("fuzz of challenges", challenges))
        if calls < LEAST_CALLS
    ]
    done: Counter[str] = Counter()
    for function, calls, reverts in re.findall(
        r"^\| \w+ +\| (\w+) +\| (\d+) +\| (\d+) +\|", printed, re.MULTILINE
    ):
        done[function] += int(calls) - int(reverts)
    if not done:
        out.append("no table of the handler's calls")
    out += [f"{name}: never succeeded, and so tested nothing" for name, count in done.items() if count == 0]
    return out


def run(project: Path, forge: Path) -> list[str]:
    """Compile and test, printing what forge prints; gives what went wrong."""
    # Compiled anew with the build's description, which slither reads.
    finished = subprocess.run(
        [str(forge), "test", "--build-info", "--match-path", TESTS, "--color", "never"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print("\n".join(line for line in finished.stdout.splitlines() if not line.startswith("|-")))
    if finished.returncode:
        return [f"forge test failed with {finished.returncode}"]
    return problems(finished.stdout)
