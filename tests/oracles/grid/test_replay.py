"""The power flow from a stored document alone: what an auditor does, without pandapower or SimBench."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from oracles.grid.core.network import grid_model_from_document
from oracles.grid.core.power_flow import run_power_flow

GOLDEN = Path(__file__).parents[2] / "data" / "golden" / "power_flow.json"


def test_golden_case() -> None:
    golden = json.loads(GOLDEN.read_text())
    model = grid_model_from_document(golden["document"])
    flow = run_power_flow(model, np.array(golden["p_w"]), np.array(golden["q_var"]))
    assert np.abs(flow.vm_pu - golden["vm_pu"]).max() <= 1e-8
    assert np.abs(flow.loading_percent - golden["loading_percent"]).max() <= 1e-5


def test_the_core_needs_neither_pandapower_nor_simbench() -> None:
    script = (
        "import sys\n"
        "import oracles.grid.core.assessment, oracles.grid.core.request, oracles.grid.core.from_pandapower\n"
        "sys.exit(bool({'pandapower', 'simbench', 'pandas', 'web3'} & set(sys.modules)))\n"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[3]).returncode == 0
