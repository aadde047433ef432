"""What is missing or contradictory in a net, all of it at once, before any model is made of it.

First whether tables hold together (indices, buses, flags, numbers); only where they do, what the grid as a whole says
against itself (voltages, switches, islands, slacks). Elements out of service are held to the first kind's references
only. What the power flow doesn't model is an error, too: better no answer than a wrong one.
"""

from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from oracles.grid.core.errors import UnsupportedGrid
from oracles.grid.core.from_pandapower import (
    DEFAULT_MAX_LOADING_PERCENT,
    DEFAULT_MAX_VM_PU,
    DEFAULT_MIN_VM_PU,
    model_document,
)
from oracles.grid.loading.files import load_net
from oracles.grid.loading.problems import Problem, Severity, UnusableNetwork
from oracles.grid.loading.topology import bus_names, connections, in_service_buses

RATED_VOLTAGE_TOLERANCE = 0.3
"""How far a transformer's rated voltage may be from its bus's nominal one, as a share of it."""
MOST_NAMED = 5
"""Elements that a warning names; it says how many there are."""

_ENDS: Mapping[str, tuple[str, ...]] = {
    "line": ("from_bus", "to_bus"),
    "trafo": ("hv_bus", "lv_bus"),
    "trafo3w": ("hv_bus", "mv_bus", "lv_bus"),
    "impedance": ("from_bus", "to_bus"),
    "ext_grid": ("bus",),
    "load": ("bus",),
    "sgen": ("bus",),
    "gen": ("bus",),
    "storage": ("bus",),
    "shunt": ("bus",),
    "ward": ("bus",),
    "motor": ("bus",),
    "switch": ("bus",),
}
_ANY, _NOT_NEGATIVE, _POSITIVE = "a number", "a number, not negative", "a positive number"
_COUNT = "a whole number, at least 1"
_NUMBERS: Mapping[str, Mapping[str, str]] = {
    "bus": {"vn_kv": _POSITIVE},
    "ext_grid": {"vm_pu": _POSITIVE, "va_degree": _ANY},
    "gen": {"vm_pu": _POSITIVE, "p_mw": _ANY, "scaling": _ANY},
    "load": {"p_mw": _ANY, "q_mvar": _ANY, "scaling": _NOT_NEGATIVE},
    "sgen": {"p_mw": _ANY, "q_mvar": _ANY, "scaling": _NOT_NEGATIVE},
    "storage": {"p_mw": _ANY, "q_mvar": _ANY, "scaling": _NOT_NEGATIVE},
    "line": {
        "length_km": _POSITIVE,
        "r_ohm_per_km": _NOT_NEGATIVE,
        "x_ohm_per_km": _NOT_NEGATIVE,
        "c_nf_per_km": _NOT_NEGATIVE,
        "g_us_per_km": _NOT_NEGATIVE,
        "max_i_ka": _POSITIVE,
        "parallel": _COUNT,
        "df": _POSITIVE,
    },
    "trafo": {
        "sn_mva": _POSITIVE,
        "vn_hv_kv": _POSITIVE,
        "vn_lv_kv": _POSITIVE,
        "vk_percent": _POSITIVE,
        "vkr_percent": _NOT_NEGATIVE,
        "pfe_kw": _NOT_NEGATIVE,
        "i0_percent": _NOT_NEGATIVE,
        "shift_degree": _ANY,
        "parallel": _COUNT,
        "df": _POSITIVE,
    },
}  # fmt: skip
_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "bus": ("min_vm_pu", "max_vm_pu"),
    "load": ("const_z_percent", "const_i_percent"),
    "line": ("max_loading_percent",),
    "trafo": (
        "max_loading_percent", "tap_pos", "tap_neutral", "tap_min", "tap_max", "tap_step_percent", "tap_step_degree",
    ),
    "switch": ("z_ohm",),
}  # fmt: skip
_SWITCHED = {"l": "line", "t": "trafo", "t3": "trafo3w", "b": "bus"}
_PROFILES = {"load": ("load", "_pload"), "sgen": ("renewables", ""), "storage": ("storage", "")}
"""Where SimBench's nets keep a table's profiles, and what is added to a profile's name there."""
_LIMITS = (
    ("bus", "min_vm_pu", DEFAULT_MIN_VM_PU),
    ("bus", "max_vm_pu", DEFAULT_MAX_VM_PU),
    ("line", "max_loading_percent", DEFAULT_MAX_LOADING_PERCENT),
    ("trafo", "max_loading_percent", DEFAULT_MAX_LOADING_PERCENT),
)


def load_checked_net(source: str, bus_of_pod: Mapping[str, str] | None = None) -> Any:
    """The pandapower net of a file, a folder or a SimBench code. Raises UnusableNetwork with all errors, and InvalidInput
    where it can't be read."""
    loaded = load_net(source)
    problems = [*loaded.notes, *check_net(loaded.net, bus_of_pod)]
    if _errors(problems):
        raise UnusableNetwork(source, problems)
    return loaded.net


def check_net(net: Any, bus_of_pod: Mapping[str, str] | None = None) -> tuple[Problem, ...]:
    """All problems of a net and, where given, of the PoDs' buses (PoD id to bus name); errors first."""
    problems = list(_tables(net))
    if not _errors(problems):
        problems += [*_contradictions(net), *_islands(net), *_profiles(net)]
        problems += [*_pods(net, bus_of_pod or {}), *_assumptions(net)]
    if not _errors(problems):
        try:
            model_document(net)
        except UnsupportedGrid as refusal:
            problems.append(Problem(Severity.ERROR, "net", "", "", str(refusal), "isn't modelled"))
    return tuple(sorted(problems, key=lambda problem: problem.severity is not Severity.ERROR))


def _errors(problems: list[Problem]) -> bool:
    return any(problem.severity is Severity.ERROR for problem in problems)


def _error(table: str, element: str, column: str, value: object, rule: str) -> Problem:
    return Problem(Severity.ERROR, table, element, column, value, rule)


def _tables(net: Any) -> Iterator[Problem]:
    """Whether the tables hold together."""
    if not isinstance(net.f_hz, int | float | np.number) or not 0 < net.f_hz < np.inf:
        yield _error("net", "", "f_hz", net.f_hz, f"must be {_POSITIVE}")
    if not len(net.bus):
        yield _error("bus", "", "", 0, "a net needs buses")
    filled = [table for table in ("bus", *_ENDS) if len(net[table])]
    indexed = [table for table in filled if _is_index(net[table].index)]
    for table in [table for table in filled if table not in indexed]:
        repeated = net[table].index[net[table].index.duplicated()].unique().tolist()
        yield _error(table, "", "index", repeated, "indices must be whole numbers, each there once")
    for table in indexed if indexed == filled else ():
        rows = net[table]
        flag = "closed" if table == "switch" else "in_service"
        yield from _flags(rows, table, flag)
        for end in _ENDS.get(table, ()):
            yield from _references(net, rows, table, end)
        if table == "switch":
            yield from _switches(net)
            yield from _numbers(rows, table)
        elif flag in rows:
            yield from _numbers(rows[rows[flag].isin((True,))], table)


def _is_index(index: Any) -> bool:
    return bool(pd.api.types.is_integer_dtype(index) and index.is_unique)


def _flags(rows: Any, table: str, flag: str) -> Iterator[Problem]:
    if flag not in rows:
        yield _error(table, "", flag, None, "this column is missing")
        return
    for index, value in rows.loc[~rows[flag].isin((True, False)), flag].items():
        yield _error(table, _name(rows, index), flag, value, "must be true or false")


def _references(net: Any, rows: Any, table: str, end: str) -> Iterator[Problem]:
    if end not in rows:
        yield _error(table, "", end, None, "this column is missing")
        return
    for index, bus in rows.loc[~np.isin(_as_numbers(rows[end]), net.bus.index), end].items():
        yield _error(table, _name(rows, index), end, bus, "must be a bus of the net")


def _numbers(rows: Any, table: str) -> Iterator[Problem]:
    for column, rule in _NUMBERS.get(table, {}).items():
        if column not in rows:
            yield _error(table, "", column, None, "this column is missing")
            continue
        values = _as_numbers(rows[column])
        wrong = ~np.isfinite(values)
        if rule is _POSITIVE:
            wrong |= values <= 0
        elif rule is _NOT_NEGATIVE:
            wrong |= values < 0
        elif rule is _COUNT:
            wrong |= (values < 1) | (values % 1 != 0)
        for index, value in rows.loc[wrong, column].items():
            yield _error(table, _name(rows, index), column, value, f"must be {rule}")
    for column in _OPTIONAL.get(table, ()):
        if column in rows:
            given = rows.loc[
                rows[column].map(lambda value: not isinstance(value, float) or value == value), column
            ]
            for index, value in given[~np.isfinite(_as_numbers(given))].items():
                yield _error(table, _name(rows, index), column, value, "must be a number, or nothing")


def _as_numbers(values: Any) -> Any:
    """Values as floats; what isn't a number, text that reads as one included, is NaN."""
    if values.dtype == object:
        values = values.where(
            values.map(lambda value: isinstance(value, Real) and not isinstance(value, bool))
        )
    return pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _switches(net: Any) -> Iterator[Problem]:
    for row in net.switch.itertuples():
        name = _name(net.switch, row.Index)
        target = _SWITCHED.get(row.et)
        if target is None:
            yield _error("switch", name, "et", row.et, f"must be one of {', '.join(_SWITCHED)}")
        elif isinstance(row.element, bool) or row.element not in net[target].index:
            yield _error("switch", name, "element", row.element, f"must be in the table {target}")
        elif target == "bus":
            if row.element == row.bus:
                yield _error("switch", name, "element", row.element, "must be another bus than the switch's")
        elif row.bus not in [net[target].at[row.element, end] for end in _ENDS[target]]:
            rule = f"must be an end of {target} {_name(net[target], row.element)}, which the switch cuts off"
            yield _error("switch", name, "bus", row.bus, rule)


def _contradictions(net: Any) -> Iterator[Problem]:
    """What elements in service say against each other."""
    vn_kv = net.bus.vn_kv
    for row in _in_service(net.line).itertuples():
        name = _name(net.line, row.Index)
        start_kv, end_kv = vn_kv.at[row.from_bus], vn_kv.at[row.to_bus]
        if row.from_bus == row.to_bus:
            yield _error("line", name, "to_bus", row.to_bus, "must be another bus than from_bus")
        if not np.isclose(start_kv, end_kv, rtol=1e-6):
            yield _error(
                "line", name, "to_bus", f"{start_kv} and {end_kv} kV", "both ends must have one voltage"
            )
        if row.r_ohm_per_km == 0 and row.x_ohm_per_km == 0:
            rule = "the line has no impedance: join its buses by a switch instead"
            yield _error("line", name, "x_ohm_per_km", 0.0, rule)
    for row in _in_service(net.trafo).itertuples():
        yield from _transformer(net, row)
    closed = net.switch[(net.switch.et == "b") & net.switch.closed.astype(bool)]
    for index, first, second in zip(closed.index, closed.bus, closed.element, strict=True):
        if not np.isclose(vn_kv.at[first], vn_kv.at[second], rtol=1e-6):
            levels = f"{vn_kv.at[first]} and {vn_kv.at[second]} kV"
            yield _error(
                "switch", _name(net.switch, index), "closed", levels, "must not join different voltages"
            )
    for table, lowest, highest in (("bus", "min_vm_pu", "max_vm_pu"), ("trafo", "tap_min", "tap_max")):
        if lowest in net[table] and highest in net[table]:
            rows = _in_service(net[table])
            for index, low in rows.loc[rows[lowest] > rows[highest], lowest].items():
                yield _error(table, _name(rows, index), lowest, low, f"must not be above {highest}")


def _transformer(net: Any, row: Any) -> Iterator[Problem]:
    name = _name(net.trafo, row.Index)
    if row.vkr_percent > row.vk_percent:
        yield _error(
            "trafo", name, "vkr_percent", row.vkr_percent, f"must not be above vk_percent, {row.vk_percent}"
        )
    for end, bus in (("vn_hv_kv", row.hv_bus), ("vn_lv_kv", row.lv_bus)):
        rated_kv, nominal_kv = getattr(row, end), net.bus.vn_kv.at[bus]
        if abs(rated_kv - nominal_kv) > RATED_VOLTAGE_TOLERANCE * nominal_kv:
            bus_name = _name(net.bus, bus)
            yield _error(
                "trafo", name, end, rated_kv, f"contradicts the {nominal_kv} kV of its bus {bus_name}"
            )
    if pd.isna(row.tap_pos):
        return
    for bound, outside in (("tap_min", row.tap_pos < row.tap_min), ("tap_max", row.tap_pos > row.tap_max)):
        if outside:
            yield _error("trafo", name, "tap_pos", row.tap_pos, f"is beyond {bound}, {getattr(row, bound)}")
    neutral = 0 if pd.isna(row.tap_neutral) else row.tap_neutral
    if row.tap_pos != neutral:
        for column, wrong in (
            ("tap_neutral", pd.isna(row.tap_neutral)),
            ("tap_step_percent", pd.isna(row.tap_step_percent)),
            ("tap_side", row.tap_side not in ("hv", "lv")),
        ):
            if wrong:
                rule = f"is missing, and tap_pos is {row.tap_pos}"
                yield _error("trafo", name, column, getattr(row, column), rule)


def _islands(net: Any) -> Iterator[Problem]:
    """Loads that nothing feeds, slacks that are joined, and buses that are left out."""
    island_of = _island_of_bus(net)
    slacks = _in_service(net.ext_grid)
    slacks = slacks[slacks.bus.isin(list(island_of))]
    fed = _fed_islands(net, island_of)
    if not fed:
        yield _error("ext_grid", "", "in_service", 0, "a net needs a slack in service, at a bus in service")
        return
    for table in ("load", "sgen", "gen", "storage"):
        rows = _in_service(net[table])
        for index, bus, p_mw in zip(rows.index, rows.bus, rows.p_mw, strict=True):
            if p_mw and island_of.get(int(bus)) not in fed:
                rule = f"nothing feeds it, and its p_mw is {p_mw}: connect it to a slack, or take it out of service"
                yield _error(table, _name(rows, index), "bus", _name(net.bus, bus), rule)
    dead = [bus for bus, island in island_of.items() if island not in fed]
    if dead:
        yield _several(net.bus, "bus", "", dead, "aren't fed by a slack, and are left out")
    switched = net.switch[(net.switch.et == "b") & net.switch.closed.astype(bool)]
    joined = _components(island_of, zip(switched.bus, switched.element, strict=True))
    first_at: dict[int, str] = {}
    for index, bus in slacks.bus.items():
        name = _name(slacks, index)
        at = joined[int(bus)]
        if at in first_at:
            rule = f"is at the same node as the slack {first_at[at]}: one of them must go out of service"
            yield _error("ext_grid", name, "bus", _name(net.bus, bus), rule)
        first_at.setdefault(at, name)


def _fed_islands(net: Any, island_of: Mapping[int, int]) -> set[int]:
    """Islands with an external grid or a generator that is a slack."""
    generators = _in_service(net.gen)
    buses = [*_in_service(net.ext_grid).bus, *generators.bus[generators.slack.isin((True,))]]
    return {island_of[int(bus)] for bus in buses if int(bus) in island_of}


def _island_of_bus(net: Any) -> dict[int, int]:
    """Buses in service to the lowest bus that they are connected with."""
    return _components(in_service_buses(net), connections(net))


def _components(buses: Any, pairs: Any) -> dict[int, int]:
    parent = {int(bus): int(bus) for bus in buses}

    def root(bus: int) -> int:
        while parent[bus] != bus:
            parent[bus] = parent[parent[bus]]
            bus = parent[bus]
        return bus

    for first, second in pairs:
        if int(first) in parent and int(second) in parent:
            low, high = sorted((root(int(first)), root(int(second))))
            parent[high] = low
    return {bus: root(bus) for bus in parent}


def _profiles(net: Any) -> Iterator[Problem]:
    for table, (kind, suffix) in _PROFILES.items():
        rows = net[table]
        if "profile" in rows and kind in net.get("profiles", {}):
            known = net.profiles[kind].columns
            for index, profile in rows.loc[
                ~(rows.profile.astype(str) + suffix).isin(known), "profile"
            ].items():
                yield _error(table, _name(rows, index), "profile", profile, "must be a profile of the net")


def _pods(net: Any, bus_of_pod: Mapping[str, str]) -> Iterator[Problem]:
    known = {name: bus for bus, name in bus_names(net).items()}
    island_of = _island_of_bus(net)
    fed = _fed_islands(net, island_of)
    for pod, bus in bus_of_pod.items():
        if bus not in known:
            yield _error("PoD", pod, "bus", bus, "must be a bus of the net")
        elif island_of.get(known[bus]) not in fed:
            yield Problem(Severity.WARNING, "PoD", pod, "bus", bus, "isn't fed: the PoD has no PoM now")


def _assumptions(net: Any) -> Iterator[Problem]:
    """Limits and names that are missing, and what is taken instead."""
    for table, column, default in _LIMITS:
        rows = _in_service(net[table])
        missing = (
            rows.index if column not in rows else rows.index[pd.to_numeric(rows[column], "coerce").isna()]
        )
        if len(missing):
            yield _several(rows, table, column, missing, f"have no limit: {default:g} is taken")
    for table in ("bus", "line", "trafo"):
        rows = _in_service(net[table])
        named = rows.name.map(lambda name: isinstance(name, str) and name != "").astype(bool)
        repeated = rows.index[named & rows.name.duplicated(keep=False)]
        for kind, at in (("have no name", rows.index[~named]), ("share their names", repeated)):
            if len(at):
                yield _several(rows, table, "name", at, f"{kind}: they go by their index")


def _several(rows: Any, table: str, column: str, indices: Any, rule: str) -> Problem:
    names = [_name(rows, index) for index in list(indices)[:MOST_NAMED]]
    shown = ", ".join(names) + (", ..." if len(indices) > MOST_NAMED else "")
    return Problem(Severity.WARNING, table, "", column, f"{len(indices)} of {len(rows)} ({shown})", rule)


def _in_service(rows: Any) -> Any:
    return rows[rows.in_service.astype(bool)]


def _name(rows: Any, index: Any) -> str:
    name = rows.name.get(index) if "name" in rows else None
    return f"{name} #{index}" if isinstance(name, str) and name else f"#{index}"
