"""Slither over the contracts that forge compiled, held to the findings that are accepted with a reason."""

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ACCEPTED = Path(__file__).parent / "accepted.toml"
HELD = {"High", "Medium"}


@dataclass(frozen=True, order=True)
class Finding:
    """A detector's finding in a function, such as unused-return in Vault.withdraw."""

    check: str
    where: str


def findings(report: dict[str, Any]) -> dict[Finding, str]:
    """High and medium findings of slither's JSON report, each with its description."""
    out = {}
    for entry in report["results"].get("detectors", []):
        if entry["impact"] in HELD:
            named = re.match(r"(?:Reentrancy in )?(\w+(?:\.\w+)?)", entry["description"])
            where = named.group(1) if named else entry["description"]
            out[Finding(entry["check"], where)] = entry["description"].strip()
    return out


def accepted(document: dict[str, Any]) -> set[Finding]:
    """The accepted findings. Raises ValueError for one without a reason."""
    out = set()
    for entry in document["accepted"]:
        if not str(entry.get("why", "")).strip():
            raise ValueError(f"{entry['check']} in {entry['where']}: accepted without a why")
        out |= {Finding(entry["check"], where) for where in entry["where"]}
    return out


def problems(found: dict[Finding, str], known: Iterable[Finding]) -> list[str]:
    """What is found and not accepted, and what is accepted and not found."""
    known = set(known)
    new = [f"new: {finding.check}: {found[finding]}" for finding in sorted(found.keys() - known)]
    gone = [
        f"accepted, but found no more: {finding.check} in {finding.where}"
        for finding in sorted(known - found.keys())
    ]
    return new + gone


def run(project: Path, slither: Path, forge: Path, out: Path) -> list[str]:
    """Problems of the contracts whose compilation by forge lies in `out`. RuntimeError where slither breaks down."""
    # Slither asks forge, by its name, for its settings.
    path = f"{forge.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    report = project / "build" / "slither.json"
    report.unlink(missing_ok=True)
    finished = subprocess.run(
        [
            *(str(slither), ".", "--compile-force-framework", "foundry", "--foundry-ignore-compile"),
            *("--foundry-out-directory", str(out.relative_to(project)), "--json", str(report)),
            *("--filter-paths", "node_modules|contracts/test|tests/", "--exclude-dependencies"),
            *("--exclude-informational", "--exclude-optimization", "--exclude-low"),
        ],
        cwd=project,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if not report.exists():
        raise RuntimeError(f"slither failed with {finished.returncode}:\n{finished.stderr[-4000:]}")
    written = json.loads(report.read_text())
    if not written["success"]:
        raise RuntimeError(f"slither failed: {written['error']}")
    return problems(findings(written), accepted(tomllib.loads(ACCEPTED.read_text())))
