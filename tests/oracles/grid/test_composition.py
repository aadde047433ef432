"""LV grids under an MV grid: solved each by itself they come to what pandapower finds for everything joined."""

import copy
from typing import Any

import numpy as np
import pandapower
import pandapower.networks
import pytest
from pandapower.toolbox import drop_buses, select_subnet

from offchain.protocol.errors import InvalidInput
from oracles.grid.core import composition
from oracles.grid.core.composition import ComposedFlow, Substation, lumped, run_composed
from oracles.grid.core.errors import PowerFlowDiverged
from oracles.grid.core.from_pandapower import LimitSettings, model_document
from oracles.grid.core.network import GridModel, Integers, grid_model_from_document
from oracles.grid.core.power_flow import run_power_flow
from oracles.grid.core.violations import find_violations
from oracles.grid.loading.joined import LowVoltageNet, join_nets
from oracles.grid.simbench_case import load_simbench_net
from tests.oracles.grid.test_against_pandapower import small_net

SLOTS = 3
SHARES = np.array([1.0, 0.3, -0.6])
"""What each slot has of the nets' own loads; below 0 everything injects."""
AGREES_PU = 1e-6
LIMITS = LimitSettings(min_vm_pu=0.98, max_vm_pu=1.02, max_loading_percent=60)
"""Narrow ones, so that there are violations at both levels."""


def medium_net() -> Any:
    net = pandapower.networks.create_cigre_network_mv()
    net.trafo["tap_changer_type"] = "Ratio"
    for column in ("p_mw", "q_mvar"):
        net.load[column] = (net.load[column] / 2).round(6)
    return net


def powers(net: Any, model: GridModel) -> tuple[Integers, Integers]:
    """Net W and var of a net's own elements at each node, in all slots."""
    p_w, q_var = np.zeros((SLOTS, model.nodes)), np.zeros((SLOTS, model.nodes))
    for table, sign in (("load", 1e6), ("sgen", -1e6), ("storage", 1e6)):
        for row in net[table][net[table].in_service].itertuples():
            p_w[:, model.node_of_bus[row.bus]] += sign * row.p_mw * row.scaling * SHARES
            q_var[:, model.node_of_bus[row.bus]] += sign * row.q_mvar * row.scaling * SHARES
    return np.rint(p_w).astype(np.int64), np.rint(q_var).astype(np.int64)


def built(net: Any) -> tuple[GridModel, Integers, Integers]:
    model = grid_model_from_document(model_document(net, LIMITS))
    return model, *powers(net, model)


def runpp_voltages(net: Any, slot: int) -> Any:
    """pandapower's voltages by bus in a slot."""
    net = copy.deepcopy(net)
    for table in ("load", "sgen", "storage"):
        net[table]["scaling"] = net[table].scaling * SHARES[slot]
    pandapower.runpp(net, numba=False, tolerance_mva=1e-9, trafo_model="t")
    return net.res_bus.vm_pu


HANGS = {"CS 1": 3, "CS 2": 5, "CS 3": 14}


@pytest.fixture(scope="module")
def composed() -> tuple[ComposedFlow, list[Substation]]:
    model, p_w, q_var = built(medium_net())
    low_model, low_p_w, low_q_var = built(small_net())
    substations = [
        Substation(name, model.node_of_bus[bus], low_model, (1 + place) * low_p_w, low_q_var)
        for place, (name, bus) in enumerate(HANGS.items())
    ]
    return run_composed(model, p_w, q_var, substations), substations


def joined_net() -> Any:
    """Everything joined, with each LV grid's active power as in `composed`."""
    low = {}
    for place, (name, bus) in enumerate(HANGS.items()):
        net = small_net()
        for table in ("load", "sgen"):
            net[table]["p_mw"] *= 1 + place
        low[name] = LowVoltageNet(net, bus)
    return join_nets(medium_net(), low)


def test_agrees_with_runpp_of_everything_joined(composed: tuple[ComposedFlow, list[Substation]]) -> None:
    flow, _ = composed
    joined = joined_net()
    for slot in range(SLOTS):
        theirs = runpp_voltages(joined.net, slot)
        for bus, node in flow.medium.model.node_of_bus.items():
            assert flow.medium.vm_pu[slot, node] == pytest.approx(theirs.at[bus], abs=AGREES_PU)
        for name, low in flow.low.items():
            for bus, node in low.model.node_of_bus.items():
                ours = low.vm_pu[slot, node]
                assert ours == pytest.approx(theirs.at[joined.bus_of[name][bus]], abs=AGREES_PU)
    assert flow.rounds <= 8


def test_voltages_agree_at_every_boundary(composed: tuple[ComposedFlow, list[Substation]]) -> None:
    flow, substations = composed
    assert np.ptp(flow.medium.vm_pu) > 0.01
    for substation in substations:
        low = flow.low[substation.name]
        difference = low.vm_pu[:, low.model.slack] - flow.medium.vm_pu[:, substation.node]
        assert np.abs(difference).max() <= 1e-8


def test_one_joined_model_finds_the_same_violations_at_both_levels(
    composed: tuple[ComposedFlow, list[Substation]],
) -> None:
    flow, _ = composed
    joined = joined_net()
    model, p_w, q_var = built(joined.net)
    whole = find_violations(run_power_flow(model, p_w, q_var))
    found = {
        (
            violation.slot,
            f"{name}: {violation.element.name}" if name else violation.element.name,
            violation.value,
        )
        for name, violations in flow.violations().items()
        for violation in violations
    }
    assert set(flow.violations()) == {"", *HANGS}, "the case must have violations at both levels"
    assert found == {(violation.slot, violation.element.name, violation.value) for violation in whole}


def test_agrees_with_runpp_on_simbench_joined_by_simbench() -> None:
    """SimBench's own combination of an MV and an LV grid, cut at the LV grid's transformer."""
    net = load_simbench_net("1-MVLV-rural-1.108-0-sw")
    for table in ("load", "sgen", "storage"):
        for column in ("p_mw", "q_mvar"):
            net[table][column] = net[table][column].round(6)
    below = net.bus.index[net.bus.vn_kv < 1]
    boundary = int(net.trafo.hv_bus[net.trafo.lv_bus.isin(below)].iloc[0])
    low = select_subnet(net, [boundary, *below], keep_everything_else=True)
    for table in ("load", "sgen", "storage"):
        low[table] = low[table][low[table].bus != boundary]
    pandapower.create_ext_grid(low, boundary)
    medium = copy.deepcopy(net)
    drop_buses(medium, below)
    model, p_w, q_var = built(medium)
    low_model, low_p_w, low_q_var = built(low)
    flow = run_composed(
        model, p_w, q_var, [Substation("LV1.108", model.node_of_bus[boundary], low_model, low_p_w, low_q_var)]
    )
    for slot in range(SLOTS):
        theirs = runpp_voltages(net, slot)
        for part in (flow.medium, flow.low["LV1.108"]):
            for bus, node in part.model.node_of_bus.items():
                assert part.vm_pu[slot, node] == pytest.approx(theirs.at[bus], abs=AGREES_PU)


def test_slack_at_the_busbar_is_the_same_as_at_the_transformer(
    composed: tuple[ComposedFlow, list[Substation]],
) -> None:
    """The transformer may be in either model."""
    busbar = small_net()
    busbar.trafo["in_service"] = False
    busbar.ext_grid["bus"] = 1
    medium = medium_net()
    place = pandapower.create_bus(medium, 0.4, name="busbar")
    pandapower.create_transformer(medium, HANGS["CS 1"], place, "0.4 MVA 20/0.4 kV", name="trafo CS 1")
    medium.trafo["tap_changer_type"] = "Ratio"
    _, substations = composed
    model, p_w, q_var = built(medium)
    low_model, low_p_w, low_q_var = built(busbar)
    moved = [Substation("CS 1", model.node_of_bus[place], low_model, low_p_w, low_q_var)]
    moved += [
        Substation(each.name, model.node_of_bus[HANGS[each.name]], each.model, each.p_w, each.q_var)
        for each in substations[1:]
    ]
    flow, (before, _) = run_composed(model, p_w, q_var, moved), composed
    for bus in (2, 3):
        ours = flow.low["CS 1"].vm_pu[:, low_model.node_of_bus[bus]]
        other = before.low["CS 1"].vm_pu[:, before.low["CS 1"].model.node_of_bus[bus]]
        assert np.abs(ours - other).max() <= 1e-8


def test_substation_without_participants_is_a_load(composed: tuple[ComposedFlow, list[Substation]]) -> None:
    flow, substations = composed
    model, p_w, q_var = built(medium_net())
    p_lumped, q_lumped = lumped(p_w, q_var, substations[1:])
    assert (p_lumped - p_w).sum() == sum(substation.p_w.sum() for substation in substations[1:])
    assert (q_lumped - q_var).sum() == sum(substation.q_var.sum() for substation in substations[1:])
    partly = run_composed(model, p_lumped, q_lumped, substations[:1])
    assert set(partly.low) == {"CS 1"}
    # What it loses inside, some percent of 0.1 MW of LV load in a grid of many MW, is all the difference.
    assert 0 < np.abs(partly.medium.vm_pu - flow.medium.vm_pu).max() < 1e-4
    assert np.abs(partly.low["CS 1"].vm_pu - flow.low["CS 1"].vm_pu).max() < 1e-4


def test_grids_of_one_model_are_solved_together(monkeypatch: pytest.MonkeyPatch) -> None:
    model, p_w, q_var = built(medium_net())
    low_model, low_p_w, low_q_var = built(small_net())
    states: list[int] = []
    solve = composition.solve_power_flow

    def counted(of: GridModel, p: Any, q: Any) -> Any:
        states.append(len(p))
        return solve(of, p, q)

    monkeypatch.setattr(composition, "solve_power_flow", counted)
    many = [Substation(f"CS {number}", 3, low_model, low_p_w, low_q_var) for number in range(20)]
    flow = run_composed(model, p_w, q_var, many)
    assert states == [20 * SLOTS, SLOTS] * flow.rounds


def test_grid_without_a_solution_names_its_slots(composed: tuple[ComposedFlow, list[Substation]]) -> None:
    model, p_w, q_var = built(medium_net())
    _, (first, second, _) = composed
    beyond = second.p_w.copy()
    beyond[1] *= 1_000
    with pytest.raises(PowerFlowDiverged) as caught:
        run_composed(model, p_w, q_var, [first, Substation("x", 5, second.model, beyond, second.q_var)])
    assert caught.value.slots == (1,)


def test_what_can_not_hang_is_refused(composed: tuple[ComposedFlow, list[Substation]]) -> None:
    model, p_w, q_var = built(medium_net())
    _, (first, *_) = composed
    with pytest.raises(InvalidInput, match="names of their own"):
        run_composed(model, p_w, q_var, [first, first])
    with pytest.raises(InvalidInput, match=r"x\.node"):
        run_composed(model, p_w, q_var, [Substation("x", model.nodes, first.model, first.p_w, first.q_var)])
    with pytest.raises(InvalidInput, match="must have 3 slots"):
        run_composed(model, p_w, q_var, [Substation("x", 3, first.model, first.p_w[:2], first.q_var[:2])])
    held = small_net()
    pandapower.create_gen(held, 3, 0.01, vm_pu=1.0)
    holding, held_p_w, held_q_var = built(held)
    with pytest.raises(InvalidInput, match=r"x\.model.*hold no other voltage"):
        run_composed(model, p_w, q_var, [Substation("x", 3, holding, held_p_w, held_q_var)])
    with pytest.raises(InvalidInput, match=r"x\.bus.*one voltage"):
        join_nets(medium_net(), {"x": LowVoltageNet(small_net(), 0)})
    with pytest.raises(InvalidInput, match=r"x\.bus = 99"):
        join_nets(medium_net(), {"x": LowVoltageNet(small_net(), 99)})
    slackless = small_net()
    slackless.ext_grid["in_service"] = False
    with pytest.raises(InvalidInput, match=r"x\.ext_grid = 0"):
        join_nets(medium_net(), {"x": LowVoltageNet(slackless, 3)})
