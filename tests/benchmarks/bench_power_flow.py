"""AC power flow of a day's 96 slots: against a loop over pandapower's `runpp`, lightsim2grid and power-grid-model, of all
low-voltage grids of a city, and as grids and days grow.

Whoever is timed solves the same grid, and has to find the same voltages.
"""

import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import lightsim2grid
import numpy as np
import pandapower
from lightsim2grid.network import init_from_pandapower
from lightsim2grid.timeSerie import TimeSeriesCPP
from matplotlib.figure import Figure
from power_grid_model import CalculationMethod, ComponentType, DatasetType, PowerGridModel, initialize_array
from power_grid_model_io.converters import PandaPowerConverter

from oracles.grid.core.documents import grid_model_bytes
from oracles.grid.core.from_pandapower import model_document
from oracles.grid.core.network import GridModel, grid_model_from_document
from oracles.grid.core.power_flow import run_power_flow
from oracles.grid.many_grids import GridStates, solve_grids
from oracles.grid.simbench_case import SimbenchCase, load_simbench_case, load_simbench_net
from tests.oracles.grid.small_grids import radial_document

PROJECT = Path(__file__).parents[2]
GROWTH = PROJECT / "build" / "bench" / "power-flow-growth.svg"
CODE, DAY = "1-MV-semiurb--0-no_sw", date(2026, 6, 1)
REPEATS = 9
TOLERANCE_PU = 1e-6
RUNPP_TARGET, PEER_TARGET = 1000, 1
CITY = {
    "1-LV-urban6": 5958, "1-LV-semiurb5": 2648, "1-LV-semiurb4": 2648, "1-LV-rural3": 662, "1-LV-rural2": 661,
    "1-LV-rural1": 661,
}  # fmt: skip
"""Secondary substations of the reference city (design.md), 13,238: 45 % urban, 40 % suburban, 15 % villages around it."""
CITY_LIMIT_S, CITY_THREADS = 60, 2
GRIDS_AT_ONCE = 16
GROWING_NODES = (30, 100, 300, 1_000, 3_000, 10_000)
GROWING_SLOTS = (1, 4, 16, 96, 384, 1_536, 6_144)
GIB_KIB = 2**20


def run() -> list[dict[str, object]]:
    """Rows for the report. Raises RuntimeError where voltages differ by more than 1e-6 pu."""
    rows = _series()
    city = _city_in_own_process()
    print(
        f"city: {city['states']:,} states in {city['seconds']:.1f} s, {city['violations']:,} limits passed, "
        f"{city['peak_gib']:.2f} GiB"
    )
    of_nodes, of_slots = draw_growth(GROWTH)
    print(
        f"time grows as nodes to the power of {of_nodes:.2f}, as slots to that of {of_slots:.2f}; "
        f"drawn in {GROWTH.relative_to(PROJECT)}"
    )
    return [
        *rows,
        {
            "name": f"power flow of {sum(CITY.values()):,} low-voltage grids x 96 slots, {CITY_THREADS} threads",
            "unit": "s",
            "ours": city["seconds"],
            "peer": CITY_LIMIT_S,
            "peer_name": "limit",
            "ratio": CITY_LIMIT_S / city["seconds"],
            "target": 1,
        },
    ]


def _series() -> list[dict[str, object]]:
    """A day of a medium-voltage grid, by us and by each peer."""
    case = load_simbench_case(CODE, DAY)
    net = _plain_net()
    model = grid_model_from_document(model_document(net))
    p_w, q_var = case.at_nodes(case.p_w), case.at_nodes(case.q_var)
    if model.node_names != case.model.node_names:
        raise RuntimeError("the case's nodes aren't the net's")
    ours = run_power_flow(model, p_w, q_var).vm_pu
    ours_s = _median_s(lambda: run_power_flow(model, p_w, q_var))
    peers: tuple[tuple[str, int, Callable[..., tuple[float, Any]]], ...] = (
        (f"pandapower {pandapower.__version__} runpp loop", RUNPP_TARGET, _runpp_loop),
        (f"lightsim2grid {lightsim2grid.__version__}", PEER_TARGET, _lightsim2grid),
        (f"power-grid-model {version('power-grid-model')}, 2 threads", PEER_TARGET, _power_grid_model),
    )
    rows: list[dict[str, object]] = []
    for name, target, peer in peers:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the peers' converters', of limits that nobody uses here
            theirs_s, theirs = peer(case, net, model)
        difference_pu = float(np.abs(np.sort(ours, axis=1) - np.sort(theirs, axis=1)).max())
        if difference_pu > TOLERANCE_PU:
            raise RuntimeError(f"{name}: voltages differ by {difference_pu} pu, more than {TOLERANCE_PU}")
        rows.append(
            {
                "name": f"power flow of {case.slots} slots on {CODE}",
                "unit": "s",
                "ours": ours_s,
                "peer": theirs_s,
                "peer_name": name,
                "ratio": theirs_s / ours_s,
                "target": target,
            }
        )
    return rows


def _median_s(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def _plain_net() -> Any:
    """The grid without switches, lines that are open at one end taken out: lightsim2grid knows no switches."""
    net = load_simbench_net(CODE)
    net.line.loc[net.switch.element[(net.switch.et == "l") & ~net.switch.closed], "in_service"] = False
    net.switch = net.switch.iloc[:0]
    return net


def _powers_mw(case: SimbenchCase, net: Any) -> dict[str, tuple[Any, Any]]:
    """Power by table (slots, elements) with pandapower's signs: loads absorb, generators inject."""
    loads = len(net.load)
    return {
        "load": (1e-6 * case.p_w[:, :loads], 1e-6 * case.q_var[:, :loads]),
        "sgen": (-1e-6 * case.p_w[:, loads:], -1e-6 * case.q_var[:, loads:]),
    }


def _runpp_loop(case: SimbenchCase, net: Any, model: GridModel) -> tuple[float, Any]:
    """Seconds that `runpp` takes for all slots, and its voltages by node."""
    powers = _powers_mw(case, net)
    buses = _one_bus_a_node(model)
    voltages, seconds = [], 0.0
    for slot in range(case.slots):
        for table, (p_mw, q_mvar) in powers.items():
            net[table]["p_mw"], net[table]["q_mvar"] = p_mw[slot], q_mvar[slot]
        started = time.perf_counter()
        pandapower.runpp(net)
        seconds += time.perf_counter() - started
        voltages.append(net.res_bus.vm_pu[buses].to_numpy())
    return seconds, np.array(voltages)


def _one_bus_a_node(model: GridModel) -> list[int]:
    bus_of_node = {node: bus for bus, node in sorted(model.node_of_bus.items(), reverse=True)}
    return [bus_of_node[node] for node in range(model.nodes)]


def _lightsim2grid(case: SimbenchCase, net: Any, model: GridModel) -> tuple[float, Any]:
    for table in ("sgen", "gen", "ext_grid"):
        for column in ("min_p_mw", "max_p_mw", "min_q_mvar", "max_q_mvar"):
            if column in net[table]:
                net[table][column] = net[table][column].astype(float)
    grid = init_from_pandapower(net)
    flat = np.full(grid.total_bus(), net.ext_grid.vm_pu[0], dtype=np.complex128)
    start = grid.ac_pf(grid.dc_pf(flat, 1, 1e-8), 30, 1e-8)
    powers = _powers_mw(case, net)
    of_slack = np.zeros((case.slots, len(grid.get_generators())))
    series = TimeSeriesCPP(grid)

    def solve() -> None:
        series.clear()
        status = series.compute_Vs(of_slack, powers["sgen"][0], *powers["load"], start, 20, 1e-8)
        if status != 1:
            raise RuntimeError("lightsim2grid found no solution")

    seconds = _median_s(solve)
    return seconds, np.abs(series.get_voltages())


def _power_grid_model(case: SimbenchCase, net: Any, model: GridModel) -> tuple[float, Any]:
    """The faster of its two AC methods."""
    converter = PandaPowerConverter()
    data, _ = converter.load_input_data(net)
    data["source"]["sk"] = 1e40
    grid = PowerGridModel(data)
    update = {}
    for table, component, kind in (
        ("load", ComponentType.sym_load, "const_power"),
        ("sgen", ComponentType.sym_gen, None),
    ):
        p_mw, q_mvar = _powers_mw(case, net)[table]
        given = initialize_array(DatasetType.update, component, p_mw.shape)
        given["id"] = [converter.get_id(table, index, kind) for index in net[table].index]
        given["p_specified"], given["q_specified"] = 1e6 * p_mw, 1e6 * q_mvar
        update[component] = given
    found: list[tuple[float, Any]] = []
    for method in (CalculationMethod.newton_raphson, CalculationMethod.iterative_current):
        solved: dict[Any, Any] = {}

        def solve(method: CalculationMethod = method, solved: dict[Any, Any] = solved) -> None:
            solved.update(
                grid.calculate_power_flow(
                    update_data=update,
                    calculation_method=method,
                    error_tolerance=1e-8,
                    threading=2,
                    output_component_types=[
                        ComponentType.node,
                        ComponentType.line,
                        ComponentType.transformer,
                    ],
                )
            )

        seconds = _median_s(solve)
        row = {node: position for position, node in enumerate(data["node"]["id"].tolist())}
        columns = [row[converter.get_id("bus", bus)] for bus in _one_bus_a_node(model)]
        found.append((seconds, solved[ComponentType.node]["u_pu"][:, columns]))
    return min(found, key=lambda each: each[0])


def _city_in_own_process() -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_power_flow", "city"]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def city() -> dict[str, Any]:
    """Seconds for all grids of the city with their violations counted and alarms found, and the process's peak of memory.

    Each grid is its SimBench type, its day at each node times a factor of its own from 0.5 to 1.5.
    """
    cases = {grid: load_simbench_case(f"{grid}--0-sw", DAY) for grid in CITY}
    documents = {grid: grid_model_bytes(case.document) for grid, case in cases.items()}
    days = {grid: (case.at_nodes(case.p_w), case.at_nodes(case.q_var)) for grid, case in cases.items()}
    chance = np.random.default_rng(1)
    run_power_flow(cases["1-LV-rural1"].model, *days["1-LV-rural1"])  # compiled by now

    def parts() -> Iterator[GridStates]:
        for grid, count in CITY.items():
            p_w, q_var = days[grid]
            for first in range(0, count, GRIDS_AT_ONCE):
                grids = min(GRIDS_AT_ONCE, count - first)
                factors = chance.uniform(0.5, 1.5, (grids, 1, p_w.shape[1]))
                yield GridStates(
                    documents[grid],
                    (p_w * factors).astype(np.int64).reshape(-1, p_w.shape[1]),
                    (q_var * factors).astype(np.int64).reshape(-1, p_w.shape[1]),
                    slots=len(p_w),
                )

    started = time.perf_counter()
    states = violations = 0
    for result in chain.from_iterable(solve_grids(parts())):
        if not result.converged.all():
            raise RuntimeError("a grid of the city has no solution")
        states += len(result.converged)
        violations += int(result.violations.sum())
    seconds = time.perf_counter() - started
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB_KIB
    return {"seconds": seconds, "states": states, "violations": violations, "peak_gib": peak_gib}


def draw_growth(path: Path) -> tuple[float, float]:
    """Draw seconds over nodes (96 slots) and over slots (300 nodes) as SVG; gives the powers by which they grow, fitted on
    the upper half."""
    by_nodes = [_seconds(nodes, 96) for nodes in GROWING_NODES]
    by_slots = [_seconds(300, slots) for slots in GROWING_SLOTS]
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    exponents = []
    for axes, sizes, seconds, label in zip(
        figure.subplots(1, 2),
        (GROWING_NODES, GROWING_SLOTS),
        (by_nodes, by_slots),
        ("nodes, 96 slots", "slots, 300 nodes"),
        strict=True,
    ):
        n, t = np.array(sizes, dtype=np.float64), np.array(seconds)
        upper = slice(len(n) // 2, None)
        exponents.append(float(np.polyfit(np.log(n[upper]), np.log(t[upper]), 1)[0]))
        axes.loglog(n, t, "o-", color="#2f5d8a", label="power flow")
        axes.loglog(n, t[-1] * n / n[-1], "--", color="#b5403a", label="in proportion")
        axes.set_xlabel(label)
        axes.set_ylabel("seconds")
        axes.set_title(f"to the power of {exponents[-1]:.2f}")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg")
    return exponents[0], exponents[1]


def _seconds(nodes: int, slots: int) -> float:
    """Power flow of a random radial grid in which nobody's voltage falls by much, whatever its size."""
    chance = np.random.default_rng(nodes)
    parents = [1 + int(chance.integers(max(0, index - 20), index + 1)) for index in range(nodes - 2)]
    document = radial_document(parents, [1 / nodes] * len(parents))
    document["transformers"][0]["sn_mva"] = 1.0
    model = grid_model_from_document(document)
    p_w = chance.integers(0, 100_000 // nodes + 1, (slots, model.nodes))
    run_power_flow(model, p_w, p_w // 5)
    return _median_s(lambda: run_power_flow(model, p_w, p_w // 5))


if __name__ == "__main__":
    print(json.dumps(city()) if sys.argv[1:] else run())
