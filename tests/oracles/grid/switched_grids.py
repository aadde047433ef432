"""Small medium-voltage grids with switches, as pandapower nets, and what pandapower says of one after some actions."""

from collections.abc import Iterable
from itertools import combinations, product
from typing import Any

import numpy as np
import pandapower
import pandapower.topology

from oracles.grid.core.own_means import Action, BusForecast, MeansKind, Operable, operable_of, operated

LINES = [(1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (4, 6), (3, 6)]
"""Two feeders from the substation's bus 1; the last two lines are open."""
OPEN_LINES = (5, 6)


def two_feeders(rating_ka: float = 0.16, ties: tuple[int, ...] = OPEN_LINES) -> Any:
    """A 110/20 kV transformer with taps and two feeders that open lines join; a switch at the start of each line."""
    net = pandapower.create_empty_network(name="two feeders")
    pandapower.create_bus(net, 110.0, name="source")
    for number in range(1, 7):
        pandapower.create_bus(net, 20.0, name=f"bus {number}", min_vm_pu=0.96, max_vm_pu=1.04)
    pandapower.create_ext_grid(net, 0, vm_pu=1.0)
    pandapower.create_transformer_from_parameters(
        net, 0, 1, sn_mva=25, vn_hv_kv=110, vn_lv_kv=20, vkr_percent=0.4, vk_percent=12, pfe_kw=14, i0_percent=0.07,
        tap_side="hv", tap_neutral=0, tap_min=-3, tap_max=3, tap_pos=0, tap_step_percent=1.5, tap_changer_type="Ratio",
        name="trafo",
    )  # fmt: skip
    for index, (start, end) in enumerate(LINES):
        if index in OPEN_LINES and index not in ties:
            continue
        line = pandapower.create_line_from_parameters(
            net,
            start,
            end,
            4.0,
            0.16,
            0.12,
            270.0,
            rating_ka,
            name=f"line {index}",
            max_loading_percent=100.0,
        )
        pandapower.create_switch(
            net, start, line, "l", closed=index not in OPEN_LINES, type="LBS", name=f"switch {index}"
        )
    return net


def coupled_busbar(net: Any) -> dict[str, int]:
    """A second busbar, joined by a coupler, to which the second feeder moves; its transformer is switched off."""
    bus = pandapower.create_bus(net, 20.0, name="busbar 2", min_vm_pu=0.95, max_vm_pu=1.05)
    net.line.loc[net.line.name == "line 3", "from_bus"] = bus
    net.switch.loc[net.switch.name == "switch 3", "bus"] = bus
    coupler = pandapower.create_switch(net, 1, bus, "b", closed=True, type="CB", name="coupler")
    second = pandapower.create_transformer_from_parameters(
        net, 0, bus, sn_mva=25, vn_hv_kv=110, vn_lv_kv=20, vkr_percent=0.4, vk_percent=12, pfe_kw=14, i0_percent=0.07,
        name="trafo 2",
    )  # fmt: skip
    switch = pandapower.create_switch(net, bus, second, "t", closed=False, type="CB", name="transformer 2")
    return {"coupler": int(coupler), "transformer": int(switch)}


def loads(*by_bus_mw: float) -> BusForecast:
    """The same loads at buses 2 to 6 in one slot, and half of them in another."""
    p_w = np.array(
        [[round(1e6 * mw) for mw in by_bus_mw], [round(5e5 * mw) for mw in by_bus_mw]], dtype=np.int64
    )
    return BusForecast((2, 3, 4, 5, 6), p_w, p_w // 5)


def violations_by_pandapower(net: Any, forecast: BusForecast) -> int:
    """Number of limits passed, over all slots, by Newton's method."""
    found = 0
    for p_w, q_var in zip(forecast.p_w, forecast.q_var, strict=True):
        net.load.drop(net.load.index, inplace=True)
        for bus, active, reactive in zip(forecast.buses, p_w, q_var, strict=True):
            pandapower.create_load(net, bus, active / 1e6, reactive / 1e6)
        pandapower.runpp(net, trafo_loading="current")
        vm_pu = net.res_bus.vm_pu[1:]
        found += int((net.res_line.loading_percent > 100).sum() + (net.res_trafo.loading_percent > 100).sum())
        found += int((vm_pu > 1.04).sum() + (vm_pu < 0.96).sum())
    return found


def is_radial_and_supplied(net: Any) -> bool:
    """By networkx, on pandapower's graph."""
    graph = pandapower.topology.create_nxgraph(net)
    return (
        graph.number_of_edges() == graph.number_of_nodes() - 1
        and not pandapower.topology.unsupplied_buses(net)
    )


def all_actions(net: Any, operable: Operable) -> Iterable[list[Action]]:
    """For each switch and transformer, what may be done with it."""
    for switch in sorted(operable.switches):
        yield [Action(MeansKind.SWITCH, switch, int(not net.switch.closed.at[switch]))]
    for trafo, (lowest, highest) in operable.taps.items():
        standing = int(net.trafo.tap_pos.at[trafo])
        yield [Action(MeansKind.TAP, trafo, to) for to in range(lowest, highest + 1) if to != standing]


def fewest_by_brute_force(net: Any, forecast: BusForecast, most_actions: int) -> set[frozenset[Action]]:
    """All plans of the least number of actions that removes all, of everything that could be done."""
    choices = list(all_actions(net, operable_of(net)))
    for count in range(1, most_actions + 1):
        complete = set()
        for chosen in combinations(choices, count):
            for actions in product(*chosen):
                changed = operated(net, actions)
                changed["load"] = net.load.copy()
                if is_radial_and_supplied(changed) and not violations_by_pandapower(changed, forecast):
                    complete.add(frozenset(actions))
        if complete:
            return complete
    return set()
