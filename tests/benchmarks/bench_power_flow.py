"""AC power flow of a day's 96 slots: ours, all at once, against a loop over pandapower's `runpp`."""

import time
from datetime import date
from typing import Any

import numpy as np
import pandapower

from oracles.grid.core.power_flow import run_power_flow
from oracles.grid.simbench_case import SimbenchCase, load_simbench_case, load_simbench_net

GRIDS = ("1-LV-rural1--2-no_sw", "1-MV-semiurb--2-no_sw")
DAY = date(2026, 6, 1)
REPEATS = 7
TARGET = 100
TOLERANCE_PU = 1e-6


def run() -> list[dict[str, object]]:
    """Rows for the report. Raises RuntimeError where the voltages differ by more than 1e-6 pu."""
    return [_row(code) for code in GRIDS]


def _row(code: str) -> dict[str, object]:
    case = load_simbench_case(code, DAY)
    p_w, q_var = case.at_nodes(case.p_w), case.at_nodes(case.q_var)
    theirs_s, theirs_pu = _loop(case)
    ours_s = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        flow = run_power_flow(case.model, p_w, q_var)
        ours_s.append(time.perf_counter() - started)
    buses = sorted(case.model.node_of_bus)
    ours_pu = flow.vm_pu[:, [case.model.node_of_bus[bus] for bus in buses]]
    difference_pu = float(np.abs(ours_pu - theirs_pu[:, buses]).max())
    if difference_pu > TOLERANCE_PU:
        raise RuntimeError(f"{code}: voltages differ by {difference_pu} pu, more than {TOLERANCE_PU}")
    ours = float(np.median(ours_s))
    return {
        "name": f"power flow of {case.slots} slots on {code}",
        "unit": "s",
        "ours": ours,
        "peer": theirs_s,
        "peer_name": f"pandapower {pandapower.__version__} runpp loop",
        "ratio": theirs_s / ours,
        "target": TARGET,
    }


def _loop(case: SimbenchCase) -> tuple[float, Any]:
    """Seconds that `runpp` takes for all slots, and its voltages (slots, buses by index)."""
    net = load_simbench_net(case.code)
    tables = [(table, len(net[table])) for table in ("load", "sgen", "storage")]
    voltages = np.full((case.slots, int(net.bus.index.max()) + 1), np.nan)
    seconds = 0.0
    for slot in range(case.slots):
        first = 0
        for table, count in tables:
            sign = -1e-6 if table == "sgen" else 1e-6
            net[table]["p_mw"] = sign * case.p_w[slot, first : first + count]
            net[table]["q_mvar"] = sign * case.q_var[slot, first : first + count]
            first += count
        started = time.perf_counter()
        pandapower.runpp(net)
        seconds += time.perf_counter() - started
        voltages[slot, net.bus.index] = net.res_bus.vm_pu
    return seconds, voltages
