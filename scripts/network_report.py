"""What the DSO is told of a network before it is used: its problems, what it is made of, and its points of measure."""

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from offchain.dso.pom_mapping import PomsOfPods, fed_buses
from offchain.protocol.errors import InvalidInput
from oracles.grid.loading.composed import MEDIUM, Place, read_composed
from oracles.grid.loading.problems import Severity, printable
from oracles.grid.loading.topology import bus_names, topology

_COUNTED = {
    "bus": "buses", "line": "lines", "trafo": "transformers", "trafo3w": "three-winding transformers",
    "switch": "switches", "ext_grid": "slacks", "load": "loads", "sgen": "static generators", "gen": "generators",
    "storage": "storages",
}  # fmt: skip


def report(source: str, pods: Path | None, say: Callable[[str], None]) -> bool:
    """Tell of a network, or of a composition of several; False where it can't be used. `pods`: CSV with the columns podId and bus
    (its name), and in a composition grid: the substation's name, empty for the medium voltage."""
    try:
        place_of_pod = _places_of_pods(pods) if pods else {}
        composition = read_composed(source, place_of_pod)
    except InvalidInput as refusal:
        say(f"error: {refusal}")
        return False
    problems = [each for found in composition.problems.values() for each in found]
    problems.sort(key=lambda problem: problem.severity is not Severity.ERROR)
    for problem in problems:
        say(str(problem))
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    if composition.nets is None:
        say(f"{source} can't be used: {errors} errors, {len(problems) - errors} warnings")
        return False
    nets = composition.nets
    whole = nets.join(set(place_of_pod.values()))
    say(f"{source}: " + _made_of(nets.medium))
    for name, low in nets.low.items():
        how = "joined" if name in whole.bus_of else "watched by itself"
        say(f"{printable(name)}, {how}: " + _made_of(low.net))
    names = bus_names(whole.net)
    bus_of_pod = {
        pod: names[whole.bus(place.grid, nets.bus_at(place))] for pod, place in place_of_pod.items()
    }
    try:
        for line in _points(whole.net, bus_of_pod):
            say(line)
    except InvalidInput as refusal:
        say(f"error: points of measure: {refusal}")
        return False
    return True


def _places_of_pods(path: Path) -> dict[str, Place]:
    out: dict[str, Place] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            pod, bus = row.get("podId"), row.get("bus")
            if not pod or not bus:
                raise InvalidInput(
                    f"{path.name}:{number}", row, "must have the columns podId and bus, both filled"
                )
            place = Place(row.get("grid") or MEDIUM, bus)
            before = out.setdefault(pod, place)
            if before.grid != place.grid:
                rule = f"contradicts {before.grid!r}, told before of {pod}: a PoD is in one grid"
                raise InvalidInput(f"{path.name}:{number}.grid", place.grid, rule)
            if before.bus != bus:
                rule = f"contradicts {before.bus!r}, told before of {pod}"
                raise InvalidInput(f"{path.name}:{number}.bus", bus, rule)
    return out


def _made_of(net: Any) -> str:
    counts = [f"{len(net[table])} {name}" for table, name in _COUNTED.items() if len(net[table])]
    levels = sorted({float(level) for level in net.bus.vn_kv}, reverse=True)
    return ", ".join(counts) + "; at " + ", ".join(f"{level:g}" for level in levels) + " kV"


def _points(net: Any, bus_of_pod: dict[str, str]) -> list[str]:
    now = topology(net)
    pom_of_bus = fed_buses(now.connection_points, now.branches, now.buses)
    poms = PomsOfPods(bus_of_pod, pom_of_bus)
    pods = Counter(poms(pod) for pod in bus_of_pod)
    told = [
        f"PoM {printable(pom)}: {buses} buses" + (f", {pods[pom]} PoDs" if bus_of_pod else "")
        for pom, buses in Counter(pom_of_bus.values()).items()
        if pom is not None
    ]
    return [*told, f"without a PoM now: {pods[None]} PoDs"] if pods[None] else told
