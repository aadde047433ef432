"""Rows of a pandapower net's tables as elements of a grid model's document; ends are still buses of the net.

Star points of three-winding transformers and sources behind extended wards are buses below 0, which no net has.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oracles.grid.core.errors import UnsupportedGrid
from oracles.grid.core.network import BASE_VA, Document

_BASE_MVA = BASE_VA / 1e6
_SIDES = ("hv", "mv", "lv")


@dataclass(frozen=True)
class Elements:
    """Elements by kind, as the document lists them, and the buses that only they have: names and nominal voltages."""

    slacks: list[Document] = field(default_factory=list)
    generators: list[Document] = field(default_factory=list)
    given_powers: list[Document] = field(default_factory=list)
    shunts: list[Document] = field(default_factory=list)
    transformers: list[Document] = field(default_factory=list)
    open_transformers: list[Document] = field(default_factory=list)
    lines: list[Document] = field(default_factory=list)
    open_lines: list[Document] = field(default_factory=list)
    impedances: list[Document] = field(default_factory=list)
    inner_buses: dict[int, tuple[str, float]] = field(default_factory=dict)

    def add_inner_bus(self, name: str, vn_kv: float) -> int:
        """A new bus below 0."""
        bus = -1 - len(self.inner_buses)
        self.inner_buses[bus] = (name, vn_kv)
        return bus


def elements_of(net: Any, joined: Mapping[int, int]) -> Elements:
    """All elements in service. `joined`: each bus in service, and the bus that stands for its node."""
    elements = Elements()
    _add_sources(net, joined, elements)
    _add_two_winding(net, joined, elements)
    _add_three_winding(net, joined, elements)
    _add_lines(net, joined, elements)
    _add_impedances(net, joined, elements)
    _add_wards(net, joined, elements)
    _add_shunts(net, joined, elements)
    for kind, rows in vars(elements).items():
        if kind != "inner_buses":
            for row in rows:
                _require_finite(kind, row)
    return elements


def unique_names(kind: str, pairs: list[tuple[int, Any]]) -> dict[int, str]:
    """A name per index: the net's own, with the index added where it is missing or not unique."""
    given = {int(index): name if isinstance(name, str) else "" for index, name in pairs}
    counts = Counter(given.values())
    return {
        index: name if name and counts[name] == 1 else f"{name or kind} #{index}"
        for index, name in given.items()
    }


def _in_service(net: Any, table: str) -> tuple[list[Any], dict[int, str]]:
    """Rows in service, by name tuples, and a unique name of each by its index."""
    rows = net[table][net[table].in_service.astype(bool)]
    return list(rows.itertuples()), unique_names(table, list(zip(rows.index, rows.name, strict=True)))


def _open_switches(net: Any, element_type: str) -> dict[int, set[int]]:
    """Buses at which an element (of pandapower's switch type `element_type`) is cut off."""
    rows = net.switch[(net.switch.et == element_type) & ~net.switch.closed.astype(bool)]
    cut: dict[int, set[int]] = {}
    for element, bus in zip(rows.element, rows.bus, strict=True):
        cut.setdefault(int(element), set()).add(int(bus))
    return cut


def _add_sources(net: Any, joined: Mapping[int, int], elements: Elements) -> None:
    """Slacks (external grids, and generators that are slacks) and generators that hold a voltage."""
    held: dict[int, tuple[float, float]] = {}
    rows, _ = _in_service(net, "ext_grid")
    sources = [(f"ext_grid:{row.Index}", row.bus, row.vm_pu, row.va_degree) for row in rows]
    generators, names = _in_service(net, "gen")
    sources += [(f"gen:{row.Index}", row.bus, row.vm_pu, 0.0) for row in generators if row.slack]
    for key, bus, vm_pu, va_degree in sources:
        if int(bus) in joined:
            node, voltage = joined[int(bus)], (float(vm_pu), float(va_degree))
            if held.setdefault(node, voltage) != voltage:
                raise UnsupportedGrid(f"{key}.vm_pu", voltage, "slacks at one node must hold one voltage")
    for node, (vm_pu, va_degree) in sorted(held.items()):
        elements.slacks.append({"name": f"bus {node}", "node": node, "vm_pu": vm_pu, "va_degree": va_degree})
    set_points = {node: vm_pu for node, (vm_pu, _) in held.items()}
    for row in generators:
        if int(row.bus) in joined:
            node, vm_pu = joined[int(row.bus)], float(row.vm_pu)
            if set_points.setdefault(node, vm_pu) != vm_pu:
                raise UnsupportedGrid(f"gen:{row.Index}.vm_pu", vm_pu, "generators at one node must agree")
            p_mw = float(row.p_mw * row.scaling)
            elements.generators.append(
                {"name": names[int(row.Index)], "node": node, "p_mw": p_mw, "vm_pu": vm_pu}
            )


def _add_two_winding(net: Any, joined: Mapping[int, int], elements: Elements) -> None:
    cut = _open_switches(net, "t")
    rows, names = _in_service(net, "trafo")
    for row in rows:
        name = names[int(row.Index)]
        steps, step_percent, step_degree, ideal_degree = _tap(row, name, row.tap_side)
        for ratio in ("leakage_resistance_ratio_hv", "leakage_reactance_ratio_hv"):
            if getattr(row, ratio, 0.5) != 0.5:
                rule = "the impedance must be half on either side"
                raise UnsupportedGrid(f"trafo:{name}.{ratio}", getattr(row, ratio), rule)
        transformer = {
            "name": name,
            "sn_mva": float(row.sn_mva),
            "vn_hv_kv": float(row.vn_hv_kv),
            "vn_lv_kv": float(row.vn_lv_kv),
            "vk_percent": float(row.vk_percent),
            "vkr_percent": float(row.vkr_percent),
            "pfe_kw": float(row.pfe_kw),
            "i0_percent": float(row.i0_percent),
            "shift_degree": float(row.shift_degree) + ideal_degree,
            "tap_side": row.tap_side if steps else "hv",
            "tap_steps": steps,
            "tap_step_percent": step_percent,
            "tap_step_degree": step_degree,
            "parallel": int(row.parallel),
            "df": float(row.df),
            "rated": "both",
        }
        ends = {"hv": int(row.hv_bus), "lv": int(row.lv_bus)}
        if set(ends.values()) <= set(joined):
            _add_transformer(elements, transformer, ends, cut.get(int(row.Index), set()), joined, row)


def _add_transformer(
    elements: Elements,
    transformer: Document,
    ends: Mapping[str, int],
    cut: set[int],
    joined: Mapping[int, int],
    row: Any,
) -> None:
    """As it stands, or as what it draws while one end is open."""
    closed = {side: joined.get(bus, bus) for side, bus in ends.items() if bus not in cut}
    if len(closed) == 2:
        elements.transformers.append({**transformer, **closed, **_most_loading(row)})
    elif closed:
        ((side, at),) = closed.items()
        elements.open_transformers.append({**transformer, "at": at, "closed": side})


def _add_three_winding(net: Any, joined: Mapping[int, int], elements: Elements) -> None:
    """Three two-winding transformers around a star point at the high side's voltage, the no-load losses at one of them."""
    cut = _open_switches(net, "t3")
    rows, names = _in_service(net, "trafo3w")
    for row in rows:
        name, index = names[int(row.Index)], int(row.Index)
        buses = {side: int(getattr(row, f"{side}_bus")) for side in _SIDES}
        if not set(buses.values()) <= set(joined):
            continue
        iron = getattr(row, "loss_side", "hv")
        if iron not in _SIDES:
            raise UnsupportedGrid(f"trafo3w:{name}.loss_side", iron, "must be one of the three sides")
        star = elements.add_inner_bus(f"{name} star", float(net.bus.vn_kv.at[buses["hv"]]))
        for side, (vk_percent, vkr_percent) in zip(_SIDES, _star_percents(row), strict=True):
            tap = _tap(row, name, row.tap_side) if row.tap_side == side else (0.0, 0.0, 0.0, 0.0)
            if tap[0] and bool(row.tap_at_star_point):
                raise UnsupportedGrid(f"trafo3w:{name}.tap_at_star_point", True, "must be at a terminal")
            outer, inner = ("hv", "lv") if side == "hv" else ("lv", "hv")
            shift = 0.0 if side == "hv" else float(getattr(row, f"shift_{side}_degree"))
            leg = {
                "name": f"{name} {side}",
                "sn_mva": float(getattr(row, f"sn_{side}_mva")),
                "vn_hv_kv": float(row.vn_hv_kv),
                "vn_lv_kv": float(getattr(row, f"vn_{side}_kv")),
                "vk_percent": vk_percent,
                "vkr_percent": vkr_percent,
                "pfe_kw": float(row.pfe_kw) if side == iron else 0.0,
                "i0_percent": float(row.i0_percent) if side == iron else 0.0,
                "shift_degree": shift + tap[3],
                "tap_side": outer if tap[0] else "hv",
                "tap_steps": tap[0],
                "tap_step_percent": tap[1],
                "tap_step_degree": tap[2],
                "parallel": 1,
                "df": 1.0,
                "rated": outer,
            }
            ends = {outer: buses[side], inner: star}
            _add_transformer(elements, leg, ends, cut.get(index, set()), joined, row)


def _star_percents(row: Any) -> list[tuple[float, float]]:
    """Short-circuit voltage and its resistive part of the three legs, from those between pairs of windings (hv-mv, mv-lv,
    hv-lv): delta turned into star, with the sign of the reactance on the voltage."""
    sn_mva = np.array([getattr(row, f"sn_{side}_mva") for side in _SIDES], dtype=np.float64)
    between = np.minimum(sn_mva, np.roll(sn_mva, -1))
    vk = np.array([getattr(row, f"vk_{side}_percent") for side in _SIDES]) * sn_mva[0] / between
    vkr = np.array([getattr(row, f"vkr_{side}_percent") for side in _SIDES]) * sn_mva[0] / between
    delta = np.stack((vkr, np.sqrt(vk**2 - vkr**2)))
    star = 0.5 * sn_mva / sn_mva[0] * (delta + np.roll(delta, 1, axis=1) - np.roll(delta, -1, axis=1))
    size = np.copysign(np.hypot(star[0], star[1]), star[1])
    return [(float(whole), float(real)) for whole, real in zip(size, star[0], strict=True)]


def _tap(row: Any, name: str, side: str) -> tuple[float, float, float, float]:
    """Steps away from neutral, percent and degrees a step, and an ideal phase shifter's degrees. Only what is set on a tap
    changer that has a type counts, as in `runpp`."""
    if bool(getattr(row, "tap_dependency_table", False)):
        raise UnsupportedGrid(f"trafo:{name}.tap_dependency_table", True, "tap tables aren't modelled")
    second = getattr(row, "tap2_pos", np.nan)
    if second is not None and not np.isnan(second) and second != row.tap2_neutral:
        raise UnsupportedGrid(f"trafo:{name}.tap2_pos", second, "a second tap changer must be neutral")
    steps = 0.0 if row.tap_pos is None or np.isnan(row.tap_pos) else float(row.tap_pos - row.tap_neutral)
    if steps == 0.0:
        return 0.0, 0.0, 0.0, 0.0
    changer = row.tap_changer_type
    percent, degree = float(row.tap_step_percent), float(np.nan_to_num(row.tap_step_degree))
    if changer == "Ideal":
        turn = degree * steps or 2 * np.degrees(np.arcsin(steps * percent / 200))
        return 0.0, 0.0, 0.0, float(turn if side == "hv" else -turn)
    if changer not in ("Ratio", "Symmetrical"):
        rule = "a tap off neutral needs tap_changer_type 'Ratio', or runpp ignores it silently"
        raise UnsupportedGrid(f"trafo:{name}.tap_changer_type", changer, rule)
    return steps, percent, degree, 0.0


def _add_lines(net: Any, joined: Mapping[int, int], elements: Elements) -> None:
    cut = _open_switches(net, "l")
    rows, names = _in_service(net, "line")
    for row in rows:
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
        if len(connected) == 2:
            rated = {
                "from": joined[connected[0]],
                "to": joined[connected[1]],
                "max_i_ka": float(row.max_i_ka * row.df * row.parallel),
            }
            elements.lines.append({**circuit, **rated, **_most_loading(row)})
        elif len(connected) == 1:
            elements.open_lines.append({**circuit, "at": joined[connected[0]]})


def _most_loading(row: Any) -> Document:
    """The highest loading that the net allows, where it says so."""
    percent = getattr(row, "max_loading_percent", None)
    return {} if percent is None or np.isnan(percent) else {"max_loading_percent": float(percent)}


def _add_impedances(net: Any, joined: Mapping[int, int], elements: Elements) -> None:
    rows, names = _in_service(net, "impedance")
    for row in rows:
        if int(row.from_bus) in joined and int(row.to_bus) in joined:
            scale = _BASE_MVA / row.sn_mva
            elements.impedances.append(
                {
                    "name": names[int(row.Index)],
                    "from": joined[int(row.from_bus)],
                    "to": joined[int(row.to_bus)],
                    "r_from_pu": float(row.rft_pu * scale),
                    "x_from_pu": float(row.xft_pu * scale),
                    "r_to_pu": float(row.rtf_pu * scale),
                    "x_to_pu": float(row.xtf_pu * scale),
                    "g_from_pu": float(row.gf_pu / scale),
                    "b_from_pu": float(row.bf_pu / scale),
                    "g_to_pu": float(row.gt_pu / scale),
                    "b_to_pu": float(row.bt_pu / scale),
                }
            )


def _add_wards(net: Any, joined: Mapping[int, int], elements: Elements) -> None:
    """Power that is given, power with the square of the voltage, and with an extended ward a source behind an impedance."""
    for table in ("ward", "xward"):
        rows, names = _in_service(net, table)
        for row in rows:
            if int(row.bus) not in joined:
                continue
            name, node = names[int(row.Index)], joined[int(row.bus)]
            constant = {"p_mw": float(row.ps_mw), "q_mvar": float(row.qs_mvar)}
            square = {"p_mw": float(row.pz_mw), "q_mvar": float(row.qz_mvar)}
            elements.given_powers.append({"name": f"{table} {name}", "node": node, **constant})
            elements.shunts.append({"name": f"{table} {name}", "node": node, **square})
            if table == "xward":
                vn_kv = float(net.bus.vn_kv.at[node])
                inner = elements.add_inner_bus(f"{name} source", vn_kv)
                r_pu, x_pu = (float(ohm * _BASE_MVA / vn_kv**2) for ohm in (row.r_ohm, row.x_ohm))
                series = {"r_from_pu": r_pu, "x_from_pu": x_pu, "r_to_pu": r_pu, "x_to_pu": x_pu}
                none = dict.fromkeys(("g_from_pu", "b_from_pu", "g_to_pu", "b_to_pu"), 0.0)
                ends = {"name": f"xward {name}", "from": node, "to": inner}
                elements.impedances.append({**ends, **series, **none})
                source = {"name": f"xward {name}", "node": inner, "p_mw": 0.0, "vm_pu": float(row.vm_pu)}
                elements.generators.append(source)


def _add_shunts(net: Any, joined: Mapping[int, int], elements: Elements) -> None:
    rows, names = _in_service(net, "shunt")
    for row in rows:
        if int(row.bus) not in joined:
            continue
        name, node = names[int(row.Index)], joined[int(row.bus)]
        if bool(getattr(row, "step_dependency_table", False)):
            raise UnsupportedGrid(f"shunt:{name}.step_dependency_table", True, "step tables aren't modelled")
        rated_kv = net.bus.vn_kv.at[node] if np.isnan(row.vn_kv) else row.vn_kv
        scale = row.step * (net.bus.vn_kv.at[node] / rated_kv) ** 2
        power = {"p_mw": float(row.p_mw * scale), "q_mvar": float(row.q_mvar * scale)}
        elements.shunts.append({"name": f"shunt {name}", "node": node, **power})


def _require_finite(kind: str, document: Document) -> None:
    for name, value in document.items():
        if isinstance(value, float) and not np.isfinite(value):
            raise UnsupportedGrid(f"{kind}:{document['name']}.{name}", value, "must be a finite number")
