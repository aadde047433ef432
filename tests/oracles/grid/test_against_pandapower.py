"""The power flow against pandapower's `runpp`: the 13 basic SimBench grids, and nets made to be awkward."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandapower
import pytest

from offchain.protocol.errors import InvalidInput
from oracles.grid.core.errors import UnsupportedGrid
from oracles.grid.core.from_pandapower import ElementLimits, LimitSettings, model_document
from oracles.grid.core.network import GridModel, grid_model_from_document
from oracles.grid.core.power_flow import PowerFlow, run_power_flow
from tests.oracles.grid.basic_grids import BASIC_GRIDS, basic_net

VOLTAGE_TOLERANCE_PU = 1e-6
LOADING_TOLERANCE_PERCENT = 1e-2
SHARES = ((1.0, 1.0), (0.3, 0.9), (1.2, 0.1))
"""What loads, and what generators without a held voltage, have of their rated power in the states that are compared."""


def model_of(net: Any) -> GridModel:
    """Ours, from the document as it would be stored."""
    return grid_model_from_document(json.loads(json.dumps(model_document(net))))


def absorbed(net: Any, model: GridModel) -> tuple[Any, Any]:
    """Net W and var at each node (1, nodes) for the powers that stand in the net."""
    p_w, q_var = np.zeros((1, model.nodes)), np.zeros((1, model.nodes))
    for table, sign in (("load", 1e6), ("sgen", -1e6), ("storage", 1e6)):
        for row in net[table][net[table].in_service].itertuples():
            if row.bus in model.node_of_bus:
                p_w[0, model.node_of_bus[row.bus]] += sign * row.p_mw * row.scaling
                q_var[0, model.node_of_bus[row.bus]] += sign * row.q_mvar * row.scaling
    return np.rint(p_w).astype(np.int64), np.rint(q_var).astype(np.int64)


def assert_agrees(net: Any, shares: tuple[tuple[float, float], ...] = SHARES) -> PowerFlow:
    """All states at once against a `runpp` of each: voltages with angles, loadings, flows, losses, what slacks supply."""
    rated = {table: net[table][["p_mw", "q_mvar"]].copy() for table in ("load", "sgen", "storage")}
    model = model_of(net)
    states, found = [], []
    for of_loads, of_generators in shares:
        for table, share in (("load", of_loads), ("sgen", of_generators), ("storage", of_loads)):
            net[table][["p_mw", "q_mvar"]] = (rated[table] * share).round(6)
        states.append(absorbed(net, model))
        pandapower.runpp(net, numba=False)
        found.append(theirs(net, model))
    flow = run_power_flow(model, *(np.concatenate(each) for each in zip(*states, strict=True)))
    nodes = list(model.node_of_bus.values())
    for state, (voltage, loading, power, losses, supply) in enumerate(found):
        assert np.abs(flow.voltage_pu[state, nodes] - voltage).max() <= VOLTAGE_TOLERANCE_PU
        ours = branches(model, flow.loading_percent[state])
        assert {name: ours[name] for name in loading} == pytest.approx(loading, abs=LOADING_TOLERANCE_PERCENT)
        for end in range(2):
            ours = branches(model, flow.branch_power_va[end, state] / 1e6)
            assert {name: ours[name] for name in power[end]} == pytest.approx(power[end], abs=1e-4)
        ours = branches(model, flow.branch_losses_w[state] / 1e6)
        assert {name: ours[name] for name in losses} == pytest.approx(losses, abs=1e-5)
        assert (flow.supply_va[state] + at_slacks(flow, states[state])) / 1e6 == pytest.approx(
            supply, abs=1e-4
        )
    return flow


def at_slacks(flow: PowerFlow, state: tuple[Any, Any]) -> complex:
    """What is connected to the slacks themselves."""
    model = flow.model
    given = (state[0][0] + 1j * state[1][0]) + model.given_power_pu * 1e6
    return complex(given[model.slacks].sum())


def branches(model: GridModel, values: Any) -> dict[str, Any]:
    """Values by key of the branch."""
    kinds = (("trafo", model.transformer_names), ("line", model.line_names), ("imp", model.impedance_names))
    keys = [f"{kind}:{name}" for kind, names in kinds for name in names]
    return dict(zip(keys, values, strict=True))


def theirs(net: Any, model: GridModel) -> Any:
    """Voltages in the order of `node_of_bus`; loadings, powers at both ends and losses by branch; the slacks' power."""
    energised = net.res_bus.vm_pu.dropna()
    assert set(model.node_of_bus) == set(energised.index)
    buses = list(model.node_of_bus)
    voltage = net.res_bus.vm_pu[buses] * np.exp(1j * np.radians(net.res_bus.va_degree[buses]))
    kept = set(branches(model, range(model.branches)))
    loading, losses = {}, {}
    power: tuple[dict[str, complex], ...] = ({}, {})
    for kind, table, ends in (("trafo", "trafo", ("hv", "lv")), ("line", "line", ("from", "to")),
                              ("imp", "impedance", ("from", "to"))):  # fmt: skip
        results = net[f"res_{table}"]
        for name, row in zip(net[table].name, results.itertuples(), strict=True):
            if (key := f"{kind}:{name}") in kept:
                if kind != "imp":
                    loading[key] = row.loading_percent
                for end, side in enumerate(ends):
                    power[end][key] = complex(getattr(row, f"p_{side}_mw"), getattr(row, f"q_{side}_mvar"))
                losses[key] = row.pl_mw
    supply = complex(net.res_ext_grid.p_mw.sum(), net.res_ext_grid.q_mvar.sum())
    if len(net.gen):
        at_slack = net.gen.bus.map(model.node_of_bus).isin(model.slacks)
        injected = net.res_gen[at_slack]
        supply += complex(injected.p_mw.sum() - net.gen[at_slack].p_mw.sum(), injected.q_mvar.sum())
    return voltage.to_numpy(), loading, power, losses, supply


@pytest.mark.parametrize("grid", BASIC_GRIDS)
def test_agrees_on_the_basic_simbench_grids(grid: str) -> None:
    # Its generators make the extra-high-voltage grid collapse, for pandapower too, where loads differ much from theirs.
    shares = ((1.0, 1.0), (0.95, 0.9)) if grid == "1-EHV-mixed" else SHARES
    flow = assert_agrees(basic_net(grid), shares)
    assert flow.by_newton.all() == (grid == "1-EHV-mixed")
    assert len(flow.model.slacks) == {"1-EHV-mixed": 7, "1-HV-mixed": 3}.get(grid, 1)


def test_agrees_off_neutral_on_either_tap_side() -> None:
    for side in ("hv", "lv"):
        net = small_net()
        net.trafo["tap_side"] = side
        net.trafo["tap_pos"] = 2
        assert_agrees(net)


@pytest.mark.parametrize("changer", ["Ratio", "Ideal"])
@pytest.mark.parametrize("side", ["hv", "lv"])
def test_agrees_where_transformers_turn_the_phase(changer: str, side: str) -> None:
    """Two in parallel of which one turns it: what runs round between them is right only with the angle."""
    net = small_net()
    pandapower.create_transformer(net, 0, 1, "0.4 MVA 20/0.4 kV", name="turning")
    net.trafo["tap_changer_type"] = [None, changer]
    net.trafo["tap_side"] = side
    net.trafo["tap_pos"] = [0, 2]
    net.trafo["tap_step_degree"] = [0.0, 1.0 if changer == "Ideal" else 60.0]
    net.trafo["tap_step_percent"] = [2.5, 0.0 if changer == "Ideal" else 1.5]
    flow = assert_agrees(net)
    assert flow.branch_power_va[0, 0, 0].real * flow.branch_power_va[0, 0, 1].real < 0


def test_agrees_with_parallel_systems_and_derating() -> None:
    net = small_net()
    net.line["parallel"] = 2
    net.line["df"] = 0.8
    net.trafo["parallel"] = 2
    net.trafo["df"] = 0.9
    assert_agrees(net)


def test_agrees_with_open_and_closed_switches() -> None:
    net = small_net()
    # A ring, open at one end: the open line still charges. A second transformer, open below: it still magnetises.
    pandapower.create_line(net, 1, 3, 3.0, "NA2XS2Y 1x95 RM/25 6/10 kV", name="ring")
    pandapower.create_switch(net, 3, net.line.index[-1], "l", closed=False)
    for side, bus in (("above", 0), ("below", 1)):
        spare = pandapower.create_transformer(net, 0, 1, "0.4 MVA 20/0.4 kV", name=f"open {side}")
        pandapower.create_switch(net, bus, spare, "t", closed=False)
    net.trafo["pfe_kw"], net.trafo["i0_percent"] = 5.0, 4.0
    joined = pandapower.create_bus(net, 0.4, name="joined")
    pandapower.create_switch(net, 3, joined, "b", closed=True)
    pandapower.create_load(net, joined, 0.01, 0.002)
    model = assert_agrees(net).model
    assert model.line_names == ("line 1", "line 2")
    assert model.transformer_names == ("trafo",)
    assert model.node_of_bus[joined] == model.node_of_bus[3]


def test_agrees_with_several_slacks_that_differ_in_voltage_and_angle() -> None:
    net = small_net()
    pandapower.create_ext_grid(net, 3, vm_pu=0.99, va_degree=1.5 - 150.0)
    flow = assert_agrees(net)
    assert len(flow.model.slacks) == 2
    assert not flow.by_newton.any()


def test_agrees_with_generators_that_hold_their_voltage() -> None:
    net = small_net()
    pandapower.create_gen(net, 3, 0.03, vm_pu=1.02, name="holds")
    pandapower.create_gen(net, 0, 0.02, vm_pu=1.01, name="at the slack")
    flow = assert_agrees(net)
    assert flow.by_newton.all()
    held = flow.model.node_of_bus[3]
    assert flow.vm_pu[:, held] == pytest.approx([1.02] * 3, abs=1e-9)


def test_agrees_with_a_generator_as_slack() -> None:
    net = small_net()
    net.ext_grid["in_service"] = False
    pandapower.create_gen(net, 0, 0.01, vm_pu=1.015, slack=True, name="slack")
    assert_agrees(net)


def test_agrees_with_shunts_and_wards() -> None:
    net = small_net()
    pandapower.create_shunt(net, 2, q_mvar=-0.02, p_mw=0.001, vn_kv=0.42, step=2, name="capacitor")
    pandapower.create_ward(net, 3, ps_mw=0.004, qs_mvar=0.001, pz_mw=0.003, qz_mvar=-0.002, name="ward")
    assert not assert_agrees(net).by_newton.any()
    pandapower.create_xward(net, 2, 0.003, 0.001, 0.002, 0.001, 0.05, 0.2, 1.01, name="extended")
    assert assert_agrees(net).by_newton.all()


def test_agrees_with_impedances_that_differ_by_direction() -> None:
    net = small_net()
    bus = pandapower.create_bus(net, 0.4, name="behind")
    pandapower.create_impedance(
        net, 3, bus, rft_pu=0.01, xft_pu=0.02, rtf_pu=0.012, xtf_pu=0.018, sn_mva=0.4, gf_pu=0.01, bf_pu=0.02,
        gt_pu=0.015, bt_pu=0.03, name="impedance",
    )  # fmt: skip
    pandapower.create_load(net, bus, 0.01, 0.002)
    assert assert_agrees(net).model.impedance_names == ("impedance",)


@pytest.mark.parametrize("tap_side", [None, "hv", "mv", "lv"])
def test_agrees_with_a_three_winding_transformer(tap_side: str | None) -> None:
    net = three_winding_net()
    if tap_side:
        net.trafo3w["tap_side"] = tap_side
        net.trafo3w["tap_pos"] = 2
        net.trafo3w["tap_changer_type"] = "Ratio"
    flow = assert_agrees(net)
    for leg, side in enumerate(("hv", "lv", "mv")):
        assert flow.model.transformer_names[leg] == f"three {side}"
        ka, row = net.res_trafo3w[f"i_{side}_ka"][0], net.trafo3w.loc[0]
        percent = 100 * ka * row[f"vn_{side}_kv"] * 3**0.5 / row[f"sn_{side}_mva"]
        assert flow.loading_percent[-1, leg] == pytest.approx(percent, abs=LOADING_TOLERANCE_PERCENT)
    lost = flow.branch_losses_w[-1, :3].sum() / 1e6
    assert lost == pytest.approx(net.res_trafo3w.pl_mw[0], abs=1e-6)


def test_agrees_with_a_three_winding_transformer_open_at_one_side() -> None:
    net = three_winding_net()
    pandapower.create_switch(net, net.trafo3w.lv_bus[0], 0, "t3", closed=False)
    assert assert_agrees(net).model.transformer_names == ("three hv", "three mv")


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no slack": (lambda net: net.ext_grid.drop(net.ext_grid.index, inplace=True), "at least one slack"),
    "slacks that differ": (lambda net: pandapower.create_ext_grid(net, 0, vm_pu=1.02), "one voltage"),
    "generators that differ": (
        lambda net: [pandapower.create_gen(net, 3, 0.01, vm_pu=vm_pu) for vm_pu in (1.0, 1.01)],
        "must agree",
    ),
    "generator against slack": (lambda net: pandapower.create_gen(net, 0, 0.01, vm_pu=1.0), "must agree"),
    "tap without type": (
        lambda net: net.trafo.__setitem__(["tap_pos", "tap_changer_type"], [[1, None]]),
        "tap_changer_type",
    ),
    "not a number": (lambda net: net.line.__setitem__("r_ohm_per_km", float("nan")), r"lines:.*r_ohm"),
    "motor": (lambda net: pandapower.create_motor(net, 3, 0.01, 0.9), r"net\.motor"),
    "load by voltage": (lambda net: net.load.__setitem__("const_z_percent", 50.0), "constant power"),
    "tap table": (lambda net: net.trafo.__setitem__("tap_dependency_table", True), "tap_dependency_table"),
    "second tap": (
        lambda net: net.trafo.__setitem__(["tap2_pos", "tap2_neutral"], [[1, 0]]),
        "second tap changer",
    ),
    "uneven leakage": (
        lambda net: net.trafo.__setitem__("leakage_reactance_ratio_hv", 0.3),
        "leakage_reactance_ratio_hv",
    ),
    "switch with impedance": (
        lambda net: pandapower.create_switch(net, 2, 3, "b", closed=True, z_ohm=0.1),
        "no impedance",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refuses_what_is_not_modelled(what: str) -> None:
    change, rule = REFUSED[what]
    net = small_net()
    change(net)
    with pytest.raises(UnsupportedGrid, match=rule):
        model_document(net)


def test_refuses_a_tap_at_the_star_point() -> None:
    net = three_winding_net()
    net.trafo3w["tap_side"], net.trafo3w["tap_pos"], net.trafo3w["tap_changer_type"] = "mv", 1, "Ratio"
    net.trafo3w["tap_at_star_point"] = True
    with pytest.raises(UnsupportedGrid, match="at a terminal"):
        model_document(net)


def test_document_does_not_depend_on_the_order_of_tables() -> None:
    net, shuffled = small_net(), small_net()
    for each in (net, shuffled):
        pandapower.create_gen(each, 2, 0.01, vm_pu=1.0, name="first")
        pandapower.create_gen(each, 3, 0.01, vm_pu=1.0, name="second")
    shuffled.line = shuffled.line.iloc[::-1]
    shuffled.gen = shuffled.gen.iloc[::-1]
    assert json.dumps(model_document(net)) == json.dumps(model_document(shuffled))


def test_limits_come_from_the_net_unless_set() -> None:
    net = small_net()
    net.bus["max_vm_pu"] = 1.05
    model = grid_model_from_document(model_document(net))
    assert set(model.max_vm_pu) == {1.05}
    assert set(model.min_vm_pu) == {0.9}
    model = grid_model_from_document(
        model_document(net, LimitSettings(max_vm_pu=1.03, max_loading_percent=80))
    )
    assert set(model.max_vm_pu) == {1.03}
    assert set(model.max_loading_percent) == {80.0}


def test_limits_of_single_elements_hold_instead() -> None:
    single = {
        "bus:bus 0.4 2": ElementLimits(min_vm_pu=0.95),
        "line:line 2": ElementLimits(max_loading_percent=60),
        "trafo:trafo": ElementLimits(max_loading_percent=120),
    }
    settings = LimitSettings(max_loading_percent=80, of_elements=single)
    model = grid_model_from_document(model_document(small_net(), settings))
    assert dict(zip(model.node_names, model.min_vm_pu, strict=True))["bus 0.4 2"] == 0.95
    assert sorted(model.min_vm_pu)[:3] == [0.9] * 3
    assert branches(model, model.max_loading_percent) == {
        "trafo:trafo": 120,
        "line:line 1": 80,
        "line:line 2": 60,
    }


@pytest.mark.parametrize(
    ("key", "limits"),
    [
        ("bus:nowhere", ElementLimits(max_vm_pu=1.0)),
        ("line:line 1", ElementLimits(max_vm_pu=1.0)),
        ("bus:bus 0.4 2", ElementLimits(max_loading_percent=80)),
    ],
)
def test_a_limit_of_what_is_not_there_is_refused(key: str, limits: ElementLimits) -> None:
    with pytest.raises(InvalidInput, match="of_elements"):
        model_document(small_net(), LimitSettings(of_elements={key: limits}))


def small_net() -> Any:
    net = pandapower.create_empty_network()
    buses = [
        pandapower.create_bus(net, kv, name=f"bus {kv} {index}")
        for index, kv in enumerate((20, 0.4, 0.4, 0.4))
    ]
    pandapower.create_ext_grid(net, buses[0], vm_pu=1.01)
    pandapower.create_transformer(net, buses[0], buses[1], "0.4 MVA 20/0.4 kV", name="trafo")
    net.trafo["tap_changer_type"] = "Ratio"
    for start, end in ((1, 2), (2, 3)):
        pandapower.create_line(net, buses[start], buses[end], 0.1, "NAYY 4x50 SE", name=f"line {start}")
    pandapower.create_load(net, buses[2], 0.03, 0.01)
    pandapower.create_load(net, buses[3], 0.02, 0.004)
    pandapower.create_sgen(net, buses[3], 0.045, 0.0)
    return net


def three_winding_net() -> Any:
    """110/20/10 kV, the legs' ratings and phases all different, one reactance negative, with a load below each."""
    net = pandapower.create_empty_network()
    high, middle, low = (pandapower.create_bus(net, kv, name=f"{kv} kV") for kv in (110, 20, 10))
    pandapower.create_ext_grid(net, high, vm_pu=1.02)
    pandapower.create_transformer3w_from_parameters(
        net, high, middle, low, vn_hv_kv=112, vn_mv_kv=20, vn_lv_kv=10.5, sn_hv_mva=63, sn_mv_mva=40, sn_lv_mva=25,
        vk_hv_percent=10.4, vk_mv_percent=6.0, vk_lv_percent=17.0, vkr_hv_percent=0.28, vkr_mv_percent=0.3,
        vkr_lv_percent=0.35, pfe_kw=35, i0_percent=0.9, shift_mv_degree=30, shift_lv_degree=150, tap_neutral=0,
        tap_min=-8, tap_max=8, tap_pos=0, tap_step_percent=1.25, tap_side="hv", name="three",
    )  # fmt: skip
    for bus, p_mw in ((middle, 25.0), (low, 15.0)):
        pandapower.create_load(net, bus, p_mw, p_mw / 4)
    return net
