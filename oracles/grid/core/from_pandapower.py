"""The document of a grid model, read off a pandapower net.

Takes the net as data (its tables), so that nothing here needs pandapower to be installed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from offchain.protocol.errors import InvalidInput
from oracles.grid.core.errors import UnsupportedGrid
from oracles.grid.core.network import MODEL_FORMAT, Document
from oracles.grid.core.pandapower_elements import Elements, elements_of, unique_names

_UNMODELLED = (
    "dcline", "motor", "asymmetric_load", "asymmetric_sgen", "svc", "tcsc", "ssc", "vsc", "line_dc",
)  # fmt: skip
_ENDS = ("node", "hv", "lv", "from", "to", "at")

DEFAULT_MIN_VM_PU = 0.9
DEFAULT_MAX_VM_PU = 1.1
DEFAULT_MAX_LOADING_PERCENT = 100.0
_NO_MIN_VM_PU, _NO_MAX_VM_PU = 0.0, 1000.0
"""Limits of points inside an element, where nothing is connected."""


@dataclass(frozen=True)
class ElementLimits:
    """Limits of one element. None: as for the whole grid."""

    min_vm_pu: float | None = None
    max_vm_pu: float | None = None
    max_loading_percent: float | None = None


@dataclass(frozen=True)
class LimitSettings:
    """Limits for the whole grid. None: as the net says of each element, else 0.9 to 1.1 pu and 100 %.

    `of_elements`: what holds instead for single ones, by key such as `bus:LV1.101 Bus 4`, `line:...` or `trafo:...`.
    """

    min_vm_pu: float | None = None
    max_vm_pu: float | None = None
    max_loading_percent: float | None = None
    of_elements: Mapping[str, ElementLimits] = field(default_factory=dict)


def model_document(net: Any, limits: LimitSettings = LimitSettings()) -> Document:
    """The document from which `grid_model_from_document` rebuilds the power flow of a pandapower net.

    What is out of service, and what no closed path joins to a slack, is left out. Loads, static generators and storages
    aren't part of it. Raises UnsupportedGrid where the net has anything that the power flow doesn't model (better no answer
    than a wrong one), InvalidInput where a limit is set for an element that the net doesn't have.
    """
    _refuse_unmodelled(net)
    joined = _joined_buses(net, {int(bus) for bus in net.bus.index[net.bus.in_service.astype(bool)]})
    elements = elements_of(net, joined)
    if not elements.slacks:
        raise UnsupportedGrid("net.ext_grid", len(net.ext_grid), "at least one slack must be in service")
    energised = _energised(elements)
    members: dict[int, list[int]] = {bus: [] for bus in elements.inner_buses if bus in energised}
    for bus in sorted(joined):
        if joined[bus] in energised:
            members.setdefault(joined[bus], []).append(bus)
    of_net = unique_names("bus", [(bus, net.bus.name.at[bus]) for bus in members if bus >= 0])
    names = {bus: of_net[bus] if bus >= 0 else elements.inner_buses[bus][0] for bus in members}
    order = sorted(members, key=lambda bus: names[bus])
    position = {bus: place for place, bus in enumerate(order)}

    def placed(rows: list[Document]) -> list[Document]:
        kept = [row for row in rows if all(row[end] in energised for end in _ENDS if end in row)]
        moved = [{**row, **{end: position[row[end]] for end in _ENDS if end in row}} for row in kept]
        return sorted(moved, key=lambda row: str(row["name"]))

    loading = (
        DEFAULT_MAX_LOADING_PERCENT if limits.max_loading_percent is None else limits.max_loading_percent
    )
    document: Document = {
        "format": MODEL_FORMAT,
        "name": str(net.name or ""),
        "frequency_hz": float(net.f_hz),
        "nodes": [_node(net, bus, names[bus], members[bus], elements, limits) for bus in order],
        **{kind: placed(rows) for kind, rows in vars(elements).items() if kind != "inner_buses"},
    }
    for branch in (*document["transformers"], *document["lines"]):
        if limits.max_loading_percent is not None or "max_loading_percent" not in branch:
            branch["max_loading_percent"] = float(loading)
    _set_limits(document, limits.of_elements, net)
    return document


def _node(
    net: Any, bus: int, name: str, members: list[int], elements: Elements, limits: LimitSettings
) -> Document:
    """A node with the narrowest voltage band of its buses."""
    if bus in elements.inner_buses:
        vn_kv, lowest, highest = elements.inner_buses[bus][1], _NO_MIN_VM_PU, _NO_MAX_VM_PU
    else:
        vn_kv = float(net.bus.vn_kv.at[bus])
        lowest = max(
            _limit(net.bus, "min_vm_pu", each, limits.min_vm_pu, DEFAULT_MIN_VM_PU) for each in members
        )
        highest = min(
            _limit(net.bus, "max_vm_pu", each, limits.max_vm_pu, DEFAULT_MAX_VM_PU) for each in members
        )
    return {"name": name, "vn_kv": vn_kv, "buses": members, "min_vm_pu": lowest, "max_vm_pu": highest}


def _limit(table: Any, column: str, index: int, setting: float | None, default: float) -> float:
    if setting is not None:
        return float(setting)
    value = table[column].at[index] if column in table else None
    return default if value is None or np.isnan(value) else float(value)


def _set_limits(document: Document, of_elements: Mapping[str, ElementLimits], net: Any) -> None:
    """Write single elements' limits into the document; none of what the net has, but not as it is switched: it passes none."""
    kinds = {"bus": "nodes", "trafo": "transformers", "line": "lines"}
    rows = {f"{kind}:{row['name']}": row for kind, rows in kinds.items() for row in document[rows]}
    of_net = {
        f"{table}:{name}"
        for table in kinds
        for name in unique_names(table, list(zip(net[table].index, net[table].name, strict=True))).values()
    }
    for key, element in of_elements.items():
        if key in of_net - rows.keys():
            continue
        for name, value in vars(element).items():
            if value is not None:
                if name not in rows.get(key, {}):
                    rule = "must be a bus's voltage or a branch's loading in the grid"
                    raise InvalidInput(f"limits.of_elements[{key}].{name}", value, rule)
                rows[key][name] = float(value)


def _refuse_unmodelled(net: Any) -> None:
    for table in _UNMODELLED:
        rows = net.get(table)
        if rows is not None and len(rows) and bool(rows.in_service.astype(bool).any()):
            raise UnsupportedGrid(f"net.{table}", len(rows), "the power flow doesn't model these")
    for column in (name for name in net.load.columns if name.startswith("const_")):
        if bool((net.load[column].fillna(0) != 0).any()):
            raise UnsupportedGrid(
                f"net.load.{column}", float(net.load[column].max()), "loads must be constant power"
            )
    closed = net.switch[(net.switch.et == "b") & net.switch.closed.astype(bool)]
    if bool((closed.z_ohm.fillna(0) > 0).any()):
        raise UnsupportedGrid(
            "net.switch.z_ohm", float(closed.z_ohm.max()), "a bus-bus switch must have no impedance"
        )


def _joined_buses(net: Any, in_service: set[int]) -> dict[int, int]:
    """Each bus's representative: the lowest bus that closed bus-bus switches join it to."""
    parent = {bus: bus for bus in in_service}

    def root(bus: int) -> int:
        while parent[bus] != bus:
            bus = parent[bus]
        return bus

    switches = net.switch[(net.switch.et == "b") & net.switch.closed.astype(bool)]
    for first, second in zip(switches.bus, switches.element, strict=True):
        if int(first) in in_service and int(second) in in_service:
            low, high = sorted((root(int(first)), root(int(second))))
            parent[high] = low
    return {bus: root(bus) for bus in in_service}


def _energised(elements: Elements) -> set[int]:
    """Buses that a path of branches joins to a slack."""
    neighbours: dict[int, list[int]] = {}

    def join(rows: Iterable[Document], start: str, end: str) -> None:
        for row in rows:
            neighbours.setdefault(row[start], []).append(row[end])
            neighbours.setdefault(row[end], []).append(row[start])

    join(elements.transformers, "hv", "lv")
    join(elements.lines, "from", "to")
    join(elements.impedances, "from", "to")
    reached = {slack["node"] for slack in elements.slacks}
    frontier = list(reached)
    while frontier:
        for bus in neighbours.get(frontier.pop(), ()):
            if bus not in reached:
                reached.add(bus)
                frontier.append(bus)
    return reached
