"""One small demo day, played once a session by the command itself, that the tests here look at and work on copies of."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chain.small_market import locked
from tests.chain.workers import shared_folder

PROJECT = Path(__file__).resolve().parents[2]
FLEXLEDGER = str(Path(sys.executable).with_name("flexledger"))
ARGUMENTS = ("--grid", "1-LV-rural1--2-no_sw", "--day", "2026-09-10", "--pods", "12")
DAY_TIMEOUT_S = 900
"""Far more than it takes: a machine may have much else to do."""


def demo_command(folder: Path) -> list[str]:
    """The command that plays the small day in a folder."""
    return [FLEXLEDGER, "demo", *ARGUMENTS, "--folder", str(folder)]


def summary_of(folder: Path) -> dict[str, Any]:
    """A day's summary without what differs from run to run."""
    summary = json.loads((folder / "summary.json").read_text())
    summary.pop("seconds")
    for used in summary["gas"].values():
        # The gas of a transaction may differ by a few units with the number of zero bytes in its data.
        del used["least"], used["most"], used["total"]
    return summary


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished day, which all processes of this test run share."""
    shared = shared_folder(tmp_path_factory) / "day"
    folder = shared / "demo"
    with locked(shared):
        if not (folder / "summary.json").exists():
            finished = subprocess.run(
                demo_command(folder),
                cwd=PROJECT,
                capture_output=True,
                text=True,
                timeout=DAY_TIMEOUT_S,
                check=False,
            )
            assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
    return folder


@pytest.fixture
def copied(played: Path, tmp_path: Path) -> Path:
    """A copy of the finished day, to spoil."""
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "chain").mkdir()
    shutil.copy(played / "manifest.json", folder)
    shutil.copy(played / "chain" / "state.json", folder / "chain")
    shutil.copytree(played / "documents", folder / "documents")
    return folder


@pytest.fixture
def verify() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `flexledger verify` on a demo folder."""

    def run(folder: Path, session: int = 1) -> subprocess.CompletedProcess[str]:
        command = [FLEXLEDGER, "verify", str(session), "--folder", str(folder)]
        return subprocess.run(
            command, cwd=PROJECT, capture_output=True, text=True, timeout=DAY_TIMEOUT_S, check=False
        )

    return run
