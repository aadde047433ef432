"""The power flow against pandapower's `runpp`, on SimBench grids and on grids made to be awkward."""

import json
from typing import Any

import numpy as np
import pandapower
import pytest

from offchain.protocol.errors import InvalidInput
from oracles.grid.core.errors import PowerFlowDiverged, UnsupportedGrid
from oracles.grid.core.from_pandapower import LimitSettings, model_document
from oracles.grid.core.network import GridModel, grid_model_from_document
from oracles.grid.core.power_flow import PowerFlow, run_power_flow
from oracles.grid.simbench_case import load_simbench_net
from tests.oracles.grid.small_grids import feeder, radial_document

VOLTAGE_TOLERANCE_PU = 1e-6
LOADING_TOLERANCE_PERCENT = 1e-4


def flow_of(net: Any) -> tuple[GridModel, PowerFlow]:
    """Our power flow for the powers that stand in the net, from the document as it would be stored."""
    document = json.loads(json.dumps(model_document(net)))
    model = grid_model_from_document(document)
    p_w = np.zeros((1, model.nodes))
    q_var = np.zeros((1, model.nodes))
    for table, sign in (("load", 1e6), ("sgen", -1e6), ("storage", 1e6)):
        for row in net[table][net[table].in_service].itertuples():
            p_w[0, model.node_of_bus[row.bus]] += sign * row.p_mw * row.scaling
            q_var[0, model.node_of_bus[row.bus]] += sign * row.q_mvar * row.scaling
    return model, run_power_flow(model, np.rint(p_w).astype(np.int64), np.rint(q_var).astype(np.int64))


def assert_agrees(net: Any) -> None:
    for table in ("load", "sgen", "storage"):
        for column in ("p_mw", "q_mvar"):
            net[table][column] = net[table][column].round(6)
    pandapower.runpp(net, numba=False)
    model, flow = flow_of(net)
    ours = {bus: flow.vm_pu[0, node] for bus, node in model.node_of_bus.items()}
    energised = net.res_bus.vm_pu.dropna()
    assert set(ours) == set(energised.index)
    assert max(abs(ours[bus] - value) for bus, value in energised.items()) <= VOLTAGE_TOLERANCE_PU
    theirs_lines = dict(zip(net.line.name, net.res_line.loading_percent, strict=True))
    theirs_trafos = dict(zip(net.trafo.name, net.res_trafo.loading_percent, strict=True))
    for index, name in enumerate(model.transformer_names):
        assert flow.loading_percent[0, index] == pytest.approx(
            theirs_trafos[name], abs=LOADING_TOLERANCE_PERCENT
        )
    theirs_ka = dict(zip(net.line.name, net.res_line.i_ka, strict=True))
    for index, name in enumerate(model.line_names):
        loading = flow.loading_percent[0, len(model.transformer_names) + index]
        assert loading == pytest.approx(theirs_lines[name], abs=LOADING_TOLERANCE_PERCENT)
        assert flow.line_current_ka[0, index] == pytest.approx(theirs_ka[name], abs=1e-7)
    supply = net.res_ext_grid.p_mw.iloc[0] * 1e6
    assert flow.supply_va[0].real == pytest.approx(supply, abs=1.0)


@pytest.mark.parametrize(
    "code",
    ["1-LV-rural1--2-no_sw", "1-LV-semiurb4--2-sw", "1-MV-rural--2-sw", "1-MV-comm--2-no_sw"],
)
def test_agrees_with_runpp_on_simbench(code: str) -> None:
    assert_agrees(load_simbench_net(code))


def test_agrees_off_neutral_on_either_tap_side() -> None:
    for side in ("hv", "lv"):
        net = small_net()
        net.trafo["tap_side"] = side
        net.trafo["tap_pos"] = 2
        assert_agrees(net)


def test_agrees_with_parallel_systems_and_derating() -> None:
    net = small_net()
    net.line["parallel"] = 2
    net.line["df"] = 0.8
    net.trafo["parallel"] = 2
    net.trafo["df"] = 0.9
    assert_agrees(net)


def test_agrees_with_open_and_closed_switches() -> None:
    net = small_net()
    # A ring, open at one end: the open line still charges.
    pandapower.create_line(net, 1, 3, 3.0, "NA2XS2Y 1x95 RM/25 6/10 kV", name="ring")
    pandapower.create_switch(net, 3, net.line.index[-1], "l", closed=False)
    joined = pandapower.create_bus(net, 0.4, name="joined")
    pandapower.create_switch(net, 3, joined, "b", closed=True)
    pandapower.create_load(net, joined, 0.01, 0.002)
    net.res_line = net.res_line.iloc[:0]
    pandapower.runpp(net, numba=False)
    model, flow = flow_of(net)
    assert "ring" not in model.line_names
    for bus, node in model.node_of_bus.items():
        assert flow.vm_pu[0, node] == pytest.approx(net.res_bus.vm_pu.at[bus], abs=VOLTAGE_TOLERANCE_PU)
    assert model.node_of_bus[joined] == model.node_of_bus[3]


def test_many_slots_equal_one_by_one() -> None:
    model, p_w, q_var = feeder(5_000, slots=4)
    p_w = p_w * np.arange(-1, 3)[:, None]
    together = run_power_flow(model, p_w, q_var)
    for slot in range(4):
        alone = run_power_flow(model, p_w[slot : slot + 1], q_var[slot : slot + 1])
        assert np.abs(alone.vm_pu[0] - together.vm_pu[slot]).max() < 1e-12


def test_power_is_balanced() -> None:
    model, p_w, q_var = feeder(8_000)
    flow = run_power_flow(model, p_w, q_var)
    iron_w = 800 * flow.vm_pu[0, 1] ** 2
    assert flow.supply_va[0].real == pytest.approx(p_w.sum() + flow.losses_w[0], abs=0.01)
    assert flow.losses_w[0] > iron_w


def test_absorbing_lowers_and_injecting_raises_the_voltage() -> None:
    model, p_w, q_var = feeder(8_000)
    absorbing = run_power_flow(model, p_w, q_var).vm_pu[0, -1]
    injecting = run_power_flow(model, -p_w, q_var).vm_pu[0, -1]
    assert absorbing < 1.0 < injecting


def test_no_solution_names_the_slots() -> None:
    model, p_w, q_var = feeder(5_000, slots=3)
    p_w[1] *= 1_000
    with pytest.raises(PowerFlowDiverged, match=r"slots = \(1,\)") as caught:
        run_power_flow(model, p_w, q_var)
    assert caught.value.slots == (1,)


def test_refuses_wrong_shapes() -> None:
    model, p_w, q_var = feeder(5_000)
    with pytest.raises(InvalidInput, match=r"p_w\.shape"):
        run_power_flow(model, p_w[:, 1:], q_var[:, 1:])
    with pytest.raises(InvalidInput, match=r"q_var\.shape"):
        run_power_flow(model, p_w, np.concatenate((q_var, q_var)))


def test_refuses_what_is_not_modelled() -> None:
    net = small_net()
    pandapower.create_ext_grid(net, 3)
    with pytest.raises(UnsupportedGrid, match="exactly one slack"):
        model_document(net)
    net = small_net()
    pandapower.create_gen(net, 3, 0.01, vm_pu=1.0)
    with pytest.raises(UnsupportedGrid, match=r"net\.gen"):
        model_document(net)
    net = small_net()
    net.trafo["tap_pos"] = 1
    net.trafo["tap_changer_type"] = None
    with pytest.raises(UnsupportedGrid, match="tap_changer_type"):
        model_document(net)
    net = small_net()
    net.line.loc[0, "r_ohm_per_km"] = float("nan")
    with pytest.raises(UnsupportedGrid, match=r"line:.*r_ohm"):
        model_document(net)


def test_document_is_refused_when_foreign_or_incomplete() -> None:
    document = radial_document([1], [0.1])
    with pytest.raises(InvalidInput, match=r"gridModel\.format"):
        grid_model_from_document({**document, "format": "other"})
    with pytest.raises(InvalidInput, match="slack"):
        grid_model_from_document({key: value for key, value in document.items() if key != "slack"})


def test_document_does_not_depend_on_the_order_of_tables() -> None:
    net = small_net()
    shuffled = small_net()
    shuffled.line = shuffled.line.iloc[::-1]
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
