"""The document of a grid model, read off a pandapower net.

Takes the net as data (its tables), so that nothing here needs pandapower to be installed.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracles.grid.core.errors import UnsupportedGrid
from oracles.grid.core.network import MODEL_FORMAT, Document

_UNMODELLED = (
    "gen", "shunt", "trafo3w", "impedance", "ward", "xward", "dcline", "motor", "asymmetric_load", "asymmetric_sgen",
    "svc", "tcsc", "ssc", "vsc", "line_dc",
)  # fmt: skip


DEFAULT_MIN_VM_PU = 0.9
DEFAULT_MAX_VM_PU = 1.1
DEFAULT_MAX_LOADING_PERCENT = 100.0


@dataclass(frozen=True)
class LimitSettings:
    """Limits for the whole grid. None: as the net says of each element, else 0.9 to 1.1 pu and 100 %."""

    min_vm_pu: float | None = None
    max_vm_pu: float | None = None
    max_loading_percent: float | None = None


def model_document(net: Any, limits: LimitSettings = LimitSettings()) -> Document:
    """The document from which `grid_model_from_document` rebuilds the power flow of a pandapower net.

    What is out of service, and what no closed path joins to the slack, is left out. Loads aren't part of it.
    Raises UnsupportedGrid where the net has more than one slack, voltage-controlled nodes, or anything that the power
    flow doesn't model: better no answer than a wrong one.
    """
    _refuse_unmodelled(net)
    in_service = {int(bus) for bus in net.bus.index[net.bus.in_service.astype(bool)]}
    joined = _joined_buses(net, in_service)
    slacks = net.ext_grid[net.ext_grid.in_service.astype(bool)]
    slack_bus = joined[int(slacks.bus.iloc[0])]
    transformers = _transformers(net, joined, limits)
    lines, open_lines = _lines(net, joined, limits)
    energised = _energised(
        slack_bus, [(t["hv"], t["lv"]) for t in transformers] + [(x["from"], x["to"]) for x in lines]
    )
    members: dict[int, list[int]] = {}
    for bus in sorted(joined):
        if joined[bus] in energised:
            members.setdefault(joined[bus], []).append(bus)
    names = _unique_names("bus", [(bus, net.bus.name.at[bus]) for bus in members])
    order = sorted(members, key=lambda bus: names[bus])
    position = {bus: place for place, bus in enumerate(order)}

    def placed(rows: list[Document], *ends: str) -> list[Document]:
        kept = [row for row in rows if row[ends[0]] in energised]
        moved = [{**row, **{end: position[row[end]] for end in ends}} for row in kept]
        return sorted(moved, key=lambda row: str(row["name"]))

    return {
        "format": MODEL_FORMAT,
        "name": str(net.name or ""),
        "frequency_hz": float(net.f_hz),
        "slack": {"node": position[slack_bus], "vm_pu": float(slacks.vm_pu.iloc[0])},
        "nodes": [
            {
                "name": names[bus],
                "vn_kv": float(net.bus.vn_kv.at[bus]),
                "buses": members[bus],
                "min_vm_pu": max(
                    _limit(net.bus, "min_vm_pu", each, limits.min_vm_pu, DEFAULT_MIN_VM_PU)
                    for each in members[bus]
                ),
                "max_vm_pu": min(
                    _limit(net.bus, "max_vm_pu", each, limits.max_vm_pu, DEFAULT_MAX_VM_PU)
                    for each in members[bus]
                ),
            }
            for bus in order
        ],
        "transformers": placed(transformers, "hv", "lv"),
        "lines": placed(lines, "from", "to"),
        "open_lines": placed(open_lines, "at"),
    }


def _refuse_unmodelled(net: Any) -> None:
    for table in _UNMODELLED:
        rows = net.get(table)
        if rows is not None and len(rows) and bool(rows.in_service.astype(bool).any()):
            rule = "the power flow models one slack, PQ loads, lines and two-winding transformers only"
            raise UnsupportedGrid(f"net.{table}", len(rows), rule)
    slacks = net.ext_grid[net.ext_grid.in_service.astype(bool)]
    if len(slacks) != 1:
        raise UnsupportedGrid("net.ext_grid", slacks.bus.tolist(), "exactly one slack must be in service")
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


def _energised(slack_bus: int, branches: list[tuple[int, int]]) -> set[int]:
    neighbours: dict[int, list[int]] = {}
    for start, end in branches:
        neighbours.setdefault(start, []).append(end)
        neighbours.setdefault(end, []).append(start)
    reached, frontier = {slack_bus}, [slack_bus]
    while frontier:
        for bus in neighbours.get(frontier.pop(), ()):
            if bus not in reached:
                reached.add(bus)
                frontier.append(bus)
    return reached


def _open_switches(net: Any, element_type: str) -> dict[int, set[int]]:
    """Buses at which an element (of pandapower's switch type `element_type`) is cut off."""
    rows = net.switch[(net.switch.et == element_type) & ~net.switch.closed.astype(bool)]
    cut: dict[int, set[int]] = {}
    for element, bus in zip(rows.element, rows.bus, strict=True):
        cut.setdefault(int(element), set()).add(int(bus))
    return cut


def _limit(table: Any, column: str, index: int, setting: float | None, default: float) -> float:
    if setting is not None:
        return float(setting)
    value = table[column].at[index] if column in table else None
    return default if value is None or np.isnan(value) else float(value)


def _lines(net: Any, joined: dict[int, int], limits: LimitSettings) -> tuple[list[Document], list[Document]]:
    rows = net.line[net.line.in_service.astype(bool)]
    cut = _open_switches(net, "l")
    names = _unique_names("line", list(zip(rows.index, rows.name, strict=True)))
    whole: list[Document] = []
    one_ended: list[Document] = []
    for row in rows.itertuples():
        connected = [
            int(bus)
            for bus in (row.from_bus, row.to_bus)
            if int(bus) in joined and int(bus) not in cut.get(int(row.Index), set())
        ]
        circuit = {
            "name": names[int(row.Index)],
            "r_ohm": float(row.r_ohm_per_km * row.length_km / row.parallel),
            "x_ohm": float(row.x_ohm_per_km * row.length_km / row.parallel),
            "c_nf": float(row.c_nf_per_km * row.length_km * row.parallel),
            "g_us": float(row.g_us_per_km * row.length_km * row.parallel),
        }
        _require_finite("line", circuit)
        if len(connected) == 2:
            rated = {
                "from": joined[connected[0]],
                "to": joined[connected[1]],
                "max_i_ka": float(row.max_i_ka * row.df * row.parallel),
                "max_loading_percent": _loading_limit(net.line, int(row.Index), limits),
            }
            whole.append({**circuit, **rated})
            _require_finite("line", whole[-1])
        elif len(connected) == 1:
            one_ended.append({**circuit, "at": joined[connected[0]]})
    return whole, one_ended


def _loading_limit(table: Any, index: int, limits: LimitSettings) -> float:
    return _limit(
        table, "max_loading_percent", index, limits.max_loading_percent, DEFAULT_MAX_LOADING_PERCENT
    )


def _transformers(net: Any, joined: dict[int, int], limits: LimitSettings) -> list[Document]:
    rows = net.trafo[net.trafo.in_service.astype(bool)]
    cut = _open_switches(net, "t")
    names = _unique_names("trafo", list(zip(rows.index, rows.name, strict=True)))
    shifts: dict[tuple[float, float], float] = {}
    documents: list[Document] = []
    for row in rows.itertuples():
        if int(row.Index) in cut or int(row.hv_bus) not in joined or int(row.lv_bus) not in joined:
            continue
        name = names[int(row.Index)]
        levels = (float(net.bus.vn_kv.at[row.hv_bus]), float(net.bus.vn_kv.at[row.lv_bus]))
        if shifts.setdefault(levels, float(row.shift_degree)) != float(row.shift_degree):
            rule = "transformers between the same voltages must have the same phase shift"
            raise UnsupportedGrid(f"trafo:{name}.shift_degree", row.shift_degree, rule)
        steps, step_percent = _tap(row, name)
        document = {
            "name": name,
            "hv": joined[int(row.hv_bus)],
            "lv": joined[int(row.lv_bus)],
            "sn_mva": float(row.sn_mva),
            "vn_hv_kv": float(row.vn_hv_kv),
            "vn_lv_kv": float(row.vn_lv_kv),
            "vk_percent": float(row.vk_percent),
            "vkr_percent": float(row.vkr_percent),
            "pfe_kw": float(row.pfe_kw),
            "i0_percent": float(row.i0_percent),
            "tap_side": row.tap_side if steps else "hv",
            "tap_steps": steps,
            "tap_step_percent": step_percent,
            "parallel": int(row.parallel),
            "df": float(row.df),
            "max_loading_percent": _loading_limit(net.trafo, int(row.Index), limits),
        }
        _require_finite("trafo", document)
        documents.append(document)
    return documents


def _tap(row: Any, name: str) -> tuple[float, float]:
    """Steps away from neutral, and percent a step. Only what is set on a ratio tap changer counts, as in `runpp`."""
    if bool(getattr(row, "tap_dependency_table", False)):
        raise UnsupportedGrid(f"trafo:{name}.tap_dependency_table", True, "tap tables aren't modelled")
    changer = row.tap_changer_type
    steps = 0.0 if row.tap_pos is None or np.isnan(row.tap_pos) else float(row.tap_pos - row.tap_neutral)
    if steps == 0.0:
        return 0.0, 0.0
    if changer not in ("Ratio", "Symmetrical"):
        rule = "a tap off neutral needs tap_changer_type 'Ratio', or runpp ignores it silently"
        raise UnsupportedGrid(f"trafo:{name}.tap_changer_type", changer, rule)
    if not np.isnan(row.tap_step_degree) and row.tap_step_degree != 0:
        raise UnsupportedGrid(
            f"trafo:{name}.tap_step_degree", row.tap_step_degree, "phase shifters aren't modelled"
        )
    return steps, float(row.tap_step_percent)


def _unique_names(kind: str, pairs: list[tuple[int, Any]]) -> dict[int, str]:
    """A name per index: the net's own, with the index added where it is missing or not unique."""
    given = {int(index): name if isinstance(name, str) else "" for index, name in pairs}
    counts = Counter(given.values())
    return {
        index: name if name and counts[name] == 1 else f"{name or kind} #{index}"
        for index, name in given.items()
    }


def _require_finite(kind: str, document: Document) -> None:
    for field, value in document.items():
        if isinstance(value, float) and not np.isfinite(value):
            raise UnsupportedGrid(f"{kind}:{document['name']}.{field}", value, "must be a finite number")
