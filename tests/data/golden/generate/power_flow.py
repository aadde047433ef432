"""Makes power_flow.json: a SimBench grid as a model document, three slots, and what pandapower's runpp finds for them.

Run from the repository's root: .venv/bin/python -m tests.data.golden.generate.power_flow
"""

import json
from datetime import date
from pathlib import Path

import pandapower

from oracles.grid.simbench_case import load_simbench_case, load_simbench_net

CODE, DAY, SLOTS = "1-LV-rural1--2-no_sw", date(2026, 6, 1), (0, 50, 78)
TARGET = Path(__file__).parent.parent / "power_flow.json"


def main() -> None:
    """Write the file."""
    case = load_simbench_case(CODE, DAY)
    net = load_simbench_net(CODE)
    p_w, q_var = case.at_nodes(case.p_w), case.at_nodes(case.q_var)
    for table in ("load", "sgen", "storage"):
        net[table] = net[table].iloc[:0]
    vm_pu, loading_percent = [], []
    for slot in SLOTS:
        net.load = net.load.iloc[:0]
        for bus, node in case.model.node_of_bus.items():
            pandapower.create_load(net, bus, p_w[slot, node] * 1e-6, q_var[slot, node] * 1e-6)
        pandapower.runpp(net, tolerance_mva=1e-10)
        by_bus = sorted((node, bus) for bus, node in case.model.node_of_bus.items())
        vm_pu.append([net.res_bus.vm_pu.at[bus] for _, bus in by_bus])
        named = {
            **dict(zip(net.trafo.name, net.res_trafo.loading_percent, strict=True)),
            **dict(zip(net.line.name, net.res_line.loading_percent, strict=True)),
        }
        loading_percent.append(
            [named[name] for name in (*case.model.transformer_names, *case.model.line_names)]
        )
    golden = {
        "made_by": f"pandapower {pandapower.__version__} runpp",
        "document": case.document,
        "p_w": p_w[list(SLOTS)].tolist(),
        "q_var": q_var[list(SLOTS)].tolist(),
        "vm_pu": vm_pu,
        "loading_percent": loading_percent,
    }
    TARGET.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
