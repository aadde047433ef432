"""The two use cases of acceptance.md, each on a grid of its own, day ahead and in real time: what was wrong is right as measured."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import DAY_TIMEOUT_S, FLEXLEDGER, PROJECT

Verify = Callable[..., subprocess.CompletedProcess[str]]
VOLTAGE = ("--use-case", "voltage", "--day", "2026-09-10", "--pods", "24")


def summary_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def assert_relieved(summary: dict[str, Any], kind: str) -> None:
    """Violations of a kind of element day ahead, and others in real time after what happened; none is left as measured."""
    assert summary["violations_before"] > 0
    assert summary["violations_after"] == 0
    real_time = summary["real_time"]
    assert [line.split()[0] for line in real_time["violations_before"]] == [kind]
    assert real_time["violations_after"] == []
    assert real_time["accepted_wh"] > 0
    assert real_time["paid_ueur"] > 0


def test_congestion(played: Path) -> None:
    """An overloaded transformer, that may carry less from the morning on."""
    assert_relieved(summary_of(played), "trafo")


@pytest.fixture(scope="module")
def voltage_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished day of the voltage use case."""
    folder = tmp_path_factory.mktemp("voltage") / "demo"
    finished = subprocess.run(
        [FLEXLEDGER, "demo", *VOLTAGE, "--folder", str(folder)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=DAY_TIMEOUT_S,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
    return folder


def test_voltage(voltage_day: Path, verify: Verify) -> None:
    """Voltage too high at noon, and higher still once the network above has changed."""
    summary = summary_of(voltage_day)
    assert summary["grid"] == "1-LV-rural3--2-no_sw"
    assert_relieved(summary, "bus")
    for session in (1, 2):
        finished = verify(voltage_day, session=session)
        assert finished.stdout.splitlines()[-1] == "PASS", finished.stdout + finished.stderr
