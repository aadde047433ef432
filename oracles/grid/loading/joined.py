"""One net of a medium-voltage grid and the low-voltage grids below it that have participants.

It is what a session's grid model is made of: assessment, request and their proofs know one model, one hash and one list
of elements, so that both levels' limits are held at once, and an auditor needs no other rule for two levels than for
one. Grids without participants aren't in it: nothing that the market does changes them, and their forecast is a load at
their node. Whole cities are watched by `oracles.grid.core.composition`, which needs no joined model.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pandapower.create import create_switch
from pandapower.toolbox import merge_nets

from offchain.protocol.errors import InvalidInput


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


def join_nets(medium: Any, low: Mapping[str, LowVoltageNet]) -> JoinedNet:
    """Hang low-voltage nets below a medium-voltage one; their elements' names begin with the net's name.

    Raises InvalidInput where a net has not one slack, or its bus isn't in the medium-voltage net or has another voltage.
    """
    net = copy.deepcopy(medium)
    bus_of: dict[str, Mapping[int, int]] = {}
    for name, each in sorted(low.items()):
        slacks = each.net.ext_grid[each.net.ext_grid.in_service.astype(bool)]
        if len(slacks) != 1:
            raise InvalidInput(
                f"{name}.ext_grid", len(slacks), "must be one slack, which the MV bus stands for"
            )
        if each.bus not in net.bus.index:
            raise InvalidInput(f"{name}.bus", each.bus, "must be a bus of the medium-voltage net")
        slack_bus = int(slacks.bus.iloc[0])
        levels_kv = (float(net.bus.vn_kv.at[each.bus]), float(each.net.bus.vn_kv.at[slack_bus]))
        if levels_kv[0] != levels_kv[1]:
            raise InvalidInput(
                f"{name}.bus", levels_kv, "the MV bus and the slack that it stands for must have one voltage"
            )
        part = copy.deepcopy(each.net)
        part.ext_grid = part.ext_grid.iloc[:0]
        for table in ("bus", "line", "trafo", "switch", "load", "sgen", "storage"):
            part[table]["name"] = [f"{name}: {element}" for element in part[table].name]
        net, indices = merge_nets(
            net,
            part,
            validate=False,
            merge_results=False,
            std_prio_on_net1=True,
            return_net2_reindex_lookup=True,
            net2_reindex_log_level=None,
        )
        bus_of[name] = {int(bus): int(indices["bus"].get(bus, bus)) for bus in each.net.bus.index}
        create_switch(net, each.bus, bus_of[name][slack_bus], "b", closed=True, name=f"{name}: boundary")
    return JoinedNet(net, bus_of)
