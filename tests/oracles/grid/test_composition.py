"""LV grids under an MV grid: solved each by itself they come to what pandapower finds for everything joined."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pandapower
import pandapower.networks
import pytest
from pandapower.toolbox import drop_buses, select_subnet

from offchain.protocol.errors import InvalidInput
from oracles.grid import composition, many_grids
from oracles.grid.composition import ComposedFlow, Substation, results_below, run_composed
from oracles.grid.core.documents import grid_model_bytes, grid_model_of_bytes
from oracles.grid.core.from_pandapower import LimitSettings, model_document
from oracles.grid.core.network import GridModel, Integers, grid_model_from_document
from oracles.grid.core.power_flow import PowerFlow, run_power_flow, solve_below
from oracles.grid.core.violations import find_violations
from oracles.grid.loading.joined import LowVoltageNet, join_nets, joined_name
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


LOW_MODEL, *LOW_POWERS = built(small_net())
LOW_DOCUMENT = grid_model_bytes(model_document(small_net(), LIMITS))


@pytest.fixture(scope="module")
def composed() -> tuple[ComposedFlow, list[Substation]]:
    model, p_w, q_var = built(medium_net())
    low_p_w, low_q_var = LOW_POWERS
    substations = [
        Substation(name, model.node_of_bus[bus], LOW_DOCUMENT, (1 + place) * low_p_w, low_q_var)
        for place, (name, bus) in enumerate(HANGS.items())
    ]
    return run_composed(model, p_w, q_var, substations), substations


def low_flow(flow: ComposedFlow, substation: Substation) -> PowerFlow:
    """A substation's grid at the voltage of its node."""
    model = grid_model_of_bytes(substation.document)
    return solve_below(model, substation.p_w, substation.q_var, flow.medium.vm_pu[:, substation.node])


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
    flow, substations = composed
    joined = joined_net()
    for slot in range(SLOTS):
        theirs = runpp_voltages(joined.net, slot)
        for bus, node in flow.medium.model.node_of_bus.items():
            assert flow.medium.vm_pu[slot, node] == pytest.approx(theirs.at[bus], abs=AGREES_PU)
        for substation in substations:
            low = low_flow(flow, substation)
            for bus, node in low.model.node_of_bus.items():
                ours = low.vm_pu[slot, node]
                assert ours == pytest.approx(theirs.at[joined.bus_of[substation.name][bus]], abs=AGREES_PU)
    assert flow.rounds <= 8


def test_what_each_draws_feeds_the_medium_voltage_run(
    composed: tuple[ComposedFlow, list[Substation]],
) -> None:
    flow, substations = composed
    assert np.ptp(flow.medium.vm_pu) > 0.01
    for substation in substations:
        low = low_flow(flow, substation)
        assert np.abs(low.supply_va - flow.drawn_va[substation.name]).max() <= 0.01
        assert (low.losses_w > 50).any()


def test_one_joined_model_finds_the_same_violations_at_both_levels(
    composed: tuple[ComposedFlow, list[Substation]],
) -> None:
    flow, substations = composed
    joined = joined_net()
    model, p_w, q_var = built(joined.net)
    whole = find_violations(run_power_flow(model, p_w, q_var))
    by_grid = {"": find_violations(flow.medium)}
    by_grid |= {each.name: find_violations(low_flow(flow, each)) for each in substations}
    found = {
        (each.slot, joined_name(name, each.element.name) if name else each.element.name, each.value)
        for name, violations in by_grid.items()
        for each in violations
    }
    assert all(by_grid.values()), "the case must have violations at both levels"
    assert found == {(each.slot, each.element.name, each.value) for each in whole}
    results = dict(results_below(flow.medium.vm_pu, substations))
    assert {name: int(each.violations.sum()) for name, each in results.items()} == {
        name: len(violations) for name, violations in by_grid.items() if name
    }


@pytest.mark.parametrize("joined_too", [["CS 1"], ["CS 2", "CS 3"]])
def test_an_elements_index_is_the_same_whichever_are_joined(joined_too: list[str]) -> None:
    nets = {name: LowVoltageNet(small_net(), bus) for name, bus in HANGS.items()}
    every, few = join_nets(medium_net(), nets), join_nets(medium_net(), nets, joined_too)
    assert set(few.bus_of) == set(joined_too)
    for table in ("bus", "line", "trafo", "load", "sgen", "switch"):
        assert len(few.net[table]) < len(every.net[table])
        assert few.net[table].name.to_dict().items() <= every.net[table].name.to_dict().items()


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
    document = grid_model_bytes(model_document(low, LIMITS))
    hung = Substation("LV1.108", model.node_of_bus[boundary], document, *built(low)[1:])
    flow = run_composed(model, p_w, q_var, [hung])
    for slot in range(SLOTS):
        theirs = runpp_voltages(net, slot)
        for part in (flow.medium, low_flow(flow, hung)):
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
    before, substations = composed
    model, p_w, q_var = built(medium)
    document = grid_model_bytes(model_document(busbar, LIMITS))
    moved = [Substation("CS 1", model.node_of_bus[place], document, *built(busbar)[1:])]
    moved += [replace(each, node=model.node_of_bus[HANGS[each.name]]) for each in substations[1:]]
    flow = run_composed(model, p_w, q_var, moved)
    one, other = low_flow(flow, moved[0]), low_flow(before, substations[0])
    for bus in (2, 3):
        ours = one.vm_pu[:, one.model.node_of_bus[bus]]
        assert np.abs(ours - other.vm_pu[:, other.model.node_of_bus[bus]]).max() <= 1e-8


def test_grids_of_one_model_are_solved_together(monkeypatch: pytest.MonkeyPatch) -> None:
    model, p_w, q_var = built(medium_net())
    states: list[int] = []

    def counted(of: GridModel, p: Any, q: Any, vm_pu: Any) -> Any:
        states.append(len(p))
        return solve_below(of, p, q, vm_pu)

    monkeypatch.setattr(many_grids, "solve_below", counted)
    monkeypatch.setattr(composition, "STATES_A_PART", 15 * SLOTS)
    many = [Substation(f"CS {number}", 3, LOW_DOCUMENT, *LOW_POWERS) for number in range(20)]
    flow = run_composed(model, p_w, q_var, many)
    assert sorted(states) == sorted([15 * SLOTS, 5 * SLOTS] * flow.rounds)


def test_a_grid_without_a_solution_is_a_load_there_and_named() -> None:
    model, p_w, q_var = built(medium_net())
    low_p_w, low_q_var = LOW_POWERS
    beyond = low_p_w.copy()
    beyond[1] *= 1_000
    hung = Substation("x", 5, LOW_DOCUMENT, beyond, low_q_var)
    flow = run_composed(model, p_w, q_var, [hung])
    assert flow.unsolved == {"x": (1,)}
    whole_va = complex(beyond[1].sum(), low_q_var[1].sum())
    assert flow.drawn_va["x"][1] == whole_va
    assert flow.drawn_va["x"][0].real > beyond[0].sum()
    ((name, result),) = results_below(flow.medium.vm_pu, [hung])
    assert (name, result.converged.tolist()) == ("x", [True, False, True])
    assert all(not alarm.first_slot <= 1 < alarm.first_slot + alarm.slots for alarm in result.alarms)


def test_what_can_not_hang_is_refused(composed: tuple[ComposedFlow, list[Substation]]) -> None:
    model, p_w, q_var = built(medium_net())
    _, (first, *_) = composed

    def run(*substations: Substation) -> None:
        run_composed(model, p_w, q_var, substations)

    with pytest.raises(InvalidInput, match="names of their own"):
        run(first, first)
    with pytest.raises(InvalidInput, match=r"x\.node"):
        run(replace(first, name="x", node=model.nodes))
    with pytest.raises(InvalidInput, match="must have 3 slots"):
        run(replace(first, p_w=first.p_w[:2]))
    held = small_net()
    pandapower.create_gen(held, 3, 0.01, vm_pu=1.0)
    with pytest.raises(InvalidInput, match=r"model.*hold no other voltage"):
        run(replace(first, document=grid_model_bytes(model_document(held, LIMITS))))
    with pytest.raises(InvalidInput, match=r"x\.bus.*one voltage"):
        join_nets(medium_net(), {"x": LowVoltageNet(small_net(), 0)})
    with pytest.raises(InvalidInput, match=r"x\.bus = 99"):
        join_nets(medium_net(), {"x": LowVoltageNet(small_net(), 99)})
    slackless = small_net()
    slackless.ext_grid["in_service"] = False
    with pytest.raises(InvalidInput, match=r"x\.ext_grid = 0"):
        join_nets(medium_net(), {"x": LowVoltageNet(slackless, 3)})
    fast = small_net()
    fast.f_hz = 60.0
    with pytest.raises(InvalidInput, match=r"x\.f_hz = 60"):
        join_nets(medium_net(), {"x": LowVoltageNet(fast, 3)})
