"""One net of a medium-voltage grid and low-voltage grids below it.

It is what a session's grid model is made of: assessment, request and their proofs know one model, one hash and one list
of elements, so that both levels' limits are held at once, and an auditor needs no other rule for two levels than for
one. Grids without participants needn't be in it: what they draw is a load at their node, and
`oracles.grid.composition` watches them without a joined model.
"""

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from pandapower.create import create_switch
from pandapower.toolbox import element_bus_tuples

from offchain.protocol.errors import InvalidInput
from oracles.grid.core.pandapower_elements import unique_names

T = TypeVar("T")
_TABLE_OF_SWITCH = {"b": "bus", "l": "line", "t": "trafo", "t3": "trafo3w"}


@dataclass(frozen=True, eq=False)
class LowVoltageNet:
    """A low-voltage net, and the bus (its index) of the medium-voltage net that its slack stands for."""

    net: Any
    bus: int


@dataclass(frozen=True, eq=False)
class JoinedNet:
    """The net of both levels. `bus_of`: by the low-voltage net's name, from the index of a bus in it to the one here."""

    net: Any
    bus_of: Mapping[str, Mapping[int, int]]

    def bus(self, grid: str, bus: int) -> int:
        """The index here of a bus of a low-voltage net, or of the medium-voltage one (empty)."""
        return self.bus_of[grid][bus] if grid else bus


def joined_name(grid: str, element: str) -> str:
    """Name of a low-voltage net's element beside those of other nets."""
    return f"{grid}: {element}"


def by_grid(of_elements: Mapping[str, T], grids: Collection[str]) -> dict[str, dict[str, T]]:
    """What is set for elements, by the low-voltage net that they are in (empty: none of these) and their key in it."""
    known = frozenset(grids)
    found: dict[str, dict[str, T]] = {}
    for key, value in of_elements.items():
        kind, _, name = key.partition(":")
        grid, _, element = name.partition(": ")
        if grid in known:
            found.setdefault(grid, {})[f"{kind}:{element}"] = value
        else:
            found.setdefault("", {})[key] = value
    return found


def check_hangs(medium: Any, name: str, low: LowVoltageNet) -> None:
    """Raises InvalidInput where a net has not one slack, or its bus isn't in the medium-voltage net or has another voltage, or
    its frequency is another."""
    slacks = _slack_buses(low.net)
    if len(slacks) != 1:
        raise InvalidInput(f"{name}.ext_grid", len(slacks), "must be one slack, which the MV bus stands for")
    if low.bus not in medium.bus.index:
        raise InvalidInput(f"{name}.bus", low.bus, "must be a bus of the medium-voltage net")
    levels_kv = (float(medium.bus.vn_kv.at[low.bus]), float(low.net.bus.vn_kv.at[slacks[0]]))
    if levels_kv[0] != levels_kv[1]:
        rule = "the MV bus and the slack that it stands for must have one voltage"
        raise InvalidInput(f"{name}.bus", levels_kv, rule)
    if medium.f_hz != low.net.f_hz:
        raise InvalidInput(f"{name}.f_hz", low.net.f_hz, f"must be the medium-voltage net's, {medium.f_hz}")


def join_nets(
    medium: Any, low: Mapping[str, LowVoltageNet], only: Collection[str] | None = None
) -> JoinedNet:
    """Hang low-voltage nets below a medium-voltage one; their elements' names begin with the net's name.

    `only`: names of those that are joined, all by default. An element's index is the same whichever are.
    Raises InvalidInput as `check_hangs` does.
    """
    net = copy.deepcopy(medium)
    bus_of: dict[str, Mapping[int, int]] = {}
    parts: dict[str, list[pd.DataFrame]] = {}
    free: dict[str, int] = {"switch": _free_index(net.switch)}
    boundary: dict[str, int] = {}
    for name, each in sorted(low.items()):
        shifts = {table: free.get(table, _free_index(net[table])) for table in _tables(each.net)}
        for table, shift in shifts.items():
            free[table] = shift + _free_index(each.net[table])
        boundary[name] = free["switch"]
        free["switch"] += 1
        if only is not None and name not in only:
            continue
        check_hangs(medium, name, each)
        for table, rows in _moved(each.net, name, shifts).items():
            parts.setdefault(table, []).append(rows)
        bus_of[name] = {int(bus): int(bus) + shifts["bus"] for bus in each.net.bus.index}
    for table, rows in parts.items():
        net[table] = _together([net[table], *rows])
    for name, lookup in bus_of.items():
        (slack,) = _slack_buses(low[name].net)
        at = low[name].bus, lookup[slack]
        create_switch(net, *at, "b", name=joined_name(name, "boundary"), index=boundary[name])
    return JoinedNet(net, bus_of)


def _slack_buses(net: Any) -> list[int]:
    generators = net.gen[net.gen.in_service.astype(bool)]
    slacks = net.ext_grid[net.ext_grid.in_service.astype(bool)]
    return [int(bus) for bus in (*slacks.bus, *generators.bus[generators.slack.isin((True,))])]


def _tables(net: Any) -> list[str]:
    """Tables of the grid's elements that have any, but for the slacks."""
    tables = ("bus", *dict.fromkeys(table for table, _ in element_bus_tuples()))
    return [table for table in tables if table in net and len(net[table]) and table != "ext_grid"]


def _free_index(rows: Any) -> int:
    """The first index beyond a table's own."""
    return int(rows.index.max()) + 1 if len(rows) else 0


def _moved(net: Any, name: str, shifts: Mapping[str, int]) -> dict[str, pd.DataFrame]:
    """A low-voltage net's tables, indices shifted and elements named for a net of many."""
    moved = {}
    for table, shift in shifts.items():
        rows = net[table].copy()
        names = unique_names(table, list(zip(rows.index, rows.name, strict=True)))
        rows["name"] = [joined_name(name, names[int(index)]) for index in rows.index]
        rows.index = rows.index + shift
        for of_table, column in element_bus_tuples():
            if of_table == table:
                rows[column] = rows[column].astype(np.int64) + shifts["bus"]
        if table == "switch":
            by = rows.et.map(lambda kind: shifts[_TABLE_OF_SWITCH[kind]])
            rows["element"] = rows.element.astype(np.int64) + by.astype(np.int64)
        moved[table] = rows
    return moved


def _together(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """One table of several; a flag that one of them lacks is off, and what else one lacks is nothing."""
    filled = [rows for rows in tables if len(rows)]
    whole = pd.concat([rows.astype(object) for rows in filled])
    for column in whole:
        kinds = {rows[column].dtype for rows in filled if column in rows}
        if kinds == {np.dtype(bool)}:
            whole[column] = whole[column].isin((True,))
        elif all(kind.kind in "iuf" for kind in kinds):
            whole[column] = pd.to_numeric(whole[column])
        else:
            whole[column] = whole[column].where(whole[column].notna(), None)
    return whole
