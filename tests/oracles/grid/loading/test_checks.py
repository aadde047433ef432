"""What is missing or contradictory in a net is named, all of it at once; and what passes can be made a model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandapower
import pandapower.networks
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles.grid.core.from_pandapower import model_document
from oracles.grid.core.network import grid_model_from_document
from oracles.grid.loading.checks import check_net
from oracles.grid.loading.problems import Problem, Severity
from tests.examples import examples

LIMITS = {"min_vm_pu": 0.95, "max_vm_pu": 1.05}


def sound_net() -> Any:
    """A 20/0.4 kV substation, two feeders, a switch of each kind; nothing is missing."""
    net = pandapower.create_empty_network(name="sound")
    mv, busbar, head, end, other = (
        pandapower.create_bus(net, kv, name=name, **LIMITS)
        for name, kv in (("mv", 20.0), ("busbar", 0.4), ("head", 0.4), ("end", 0.4), ("other", 0.4))
    )
    pandapower.create_ext_grid(net, mv, name="PoM 1")
    pandapower.create_transformer(
        net, mv, busbar, "0.4 MVA 20/0.4 kV", name="trafo", max_loading_percent=100.0
    )
    net.trafo["tap_changer_type"] = "Ratio"
    pandapower.create_switch(net, busbar, head, "b", name="coupler")
    for start, stop, name in ((head, end, "line 1"), (busbar, other, "line 2")):
        pandapower.create_line(net, start, stop, 0.1, "NAYY 4x50 SE", name=name, max_loading_percent=100.0)
    pandapower.create_switch(net, head, 0, "l", name="line switch")
    pandapower.create_switch(net, mv, 0, "t", name="trafo switch")
    pandapower.create_load(net, end, 0.02, 0.005, name="load")
    pandapower.create_sgen(net, other, 0.01, 0.0, name="pv")
    return net


def put(table: str, column: str, value: object, index: int = 0) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        net[table][column] = net[table][column].astype(object)
        net[table].loc[index, column] = value

    return change


def drop(table: str, column: str) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        net[table] = net[table].drop(columns=[column])

    return change


def second_slack(net: Any) -> None:
    pandapower.create_ext_grid(net, 0, name="PoM 2")


def repeated_index(net: Any) -> None:
    net.line = pd.concat([net.line, net.line.iloc[:1]])


ERRORS = [
    (put("line", "to_bus", 77), "line line 1 #0.to_bus = 77: must be a bus of the net"),
    (put("load", "bus", float("nan")), "load load #0.bus = nan: must be a bus of the net"),
    (put("switch", "bus", 99), "switch coupler #0.bus = 99"),
    (put("switch", "element", 42, 1), "switch line switch #1.element = 42: must be in the table line"),
    (put("switch", "element", 1, 0), "must be another bus than the switch's"),
    (put("switch", "bus", 4, 1), "switch line switch #1.bus = 4: must be an end of line line 1 #0"),
    (put("switch", "et", "x", 2), "switch trafo switch #2.et = 'x': must be one of l, t, t3, b"),
    (put("switch", "closed", None), "switch coupler #0.closed = None: must be true or false"),
    (put("bus", "in_service", "yes", 4), "bus other #4.in_service = 'yes': must be true or false"),
    (put("bus", "vn_kv", 0.0, 4), "bus other #4.vn_kv = 0.0: must be a positive number"),
    (put("line", "length_km", -0.1), "line line 1 #0.length_km = -0.1: must be a positive number"),
    (put("line", "x_ohm_per_km", None), "line line 1 #0.x_ohm_per_km = None: must be a number, not negative"),
    (put("line", "max_i_ka", float("inf")), "line line 1 #0.max_i_ka = inf"),
    (put("line", "parallel", 0), "line line 1 #0.parallel = 0: must be a whole number"),
    (put("trafo", "sn_mva", "big"), "trafo trafo #0.sn_mva = 'big'"),
    (put("load", "q_mvar", float("nan")), "load load #0.q_mvar = nan"),
    (put("ext_grid", "vm_pu", 0), "ext_grid PoM 1 #0.vm_pu = 0: must be a positive number"),
    (drop("line", "c_nf_per_km"), "line.c_nf_per_km = None: this column is missing"),
    (drop("trafo", "in_service"), "trafo.in_service = None: this column is missing"),
    (drop("load", "bus"), "load.bus = None: this column is missing"),
    (repeated_index, "line.index = [0]: indices must be whole numbers, each there once"),
    (put("bus", "vn_kv", 0.69, 4), "line line 2 #1.to_bus = '0.4 and 0.69 kV': both ends must have one voltage"),
    (put("bus", "vn_kv", 0.69, 2), "switch coupler #0.closed = '0.4 and 0.69 kV': must not join different voltages"),
    (put("line", "to_bus", 2), "line line 1 #0.to_bus = 2: must be another bus than from_bus"),
    (put("trafo", "vn_hv_kv", 10.0), "trafo trafo #0.vn_hv_kv = 10.0: contradicts the 20.0 kV of its bus mv #0"),
    (put("trafo", "vkr_percent", 9.0), "trafo trafo #0.vkr_percent = 9.0: must not be above vk_percent"),
    (put("trafo", "tap_pos", 3), "trafo trafo #0.tap_pos = 3: is beyond tap_max, 2"),
    (put("trafo", "tap_pos", -3), "trafo trafo #0.tap_pos = -3: is beyond tap_min, -2"),
    (put("trafo", "tap_min", 5), "trafo trafo #0.tap_min = 5: must not be above tap_max"),
    (put("bus", "min_vm_pu", 1.2), "bus mv #0.min_vm_pu = 1.2: must not be above max_vm_pu"),
    (put("ext_grid", "in_service", False), "ext_grid.in_service = 0: a net needs a slack in service"),
    (put("switch", "closed", False), "load load #0.bus = 'end #3': nothing feeds it, and its p_mw is 0.02"),
    (put("bus", "in_service", False, 4), "sgen pv #0.bus = 'other #4': nothing feeds it"),
    (second_slack, "ext_grid PoM 2 #1.bus = 'mv #0': is at the same node as the slack PoM 1 #0"),
    (lambda net: net.line.update({"r_ohm_per_km": [0.0, 1.0], "x_ohm_per_km": [0.0, 1.0]}), "has no impedance"),
    (lambda net: pandapower.create_motor(net, 1, 0.01, 0.9), "net.motor = 1"),
    (lambda net: net.update(f_hz="fifty"), "net.f_hz = 'fifty': must be a positive number"),
    (lambda net: net.update(bus=net.bus.iloc[:0]), "bus = 0: a net needs buses"),
]  # fmt: skip


def texts(problems: tuple[Problem, ...], severity: Severity) -> list[str]:
    return [str(problem) for problem in problems if problem.severity is severity]


def test_sound_net_has_no_problem() -> None:
    assert check_net(sound_net()) == ()


@pytest.mark.parametrize(("change", "told"), ERRORS, ids=[told[:60] for _, told in ERRORS])
def test_error_is_named(change: Callable[[Any], None], told: str) -> None:
    net = sound_net()
    change(net)
    errors = texts(check_net(net), Severity.ERROR)
    assert any(told in error for error in errors), errors


def test_all_errors_are_told_at_once() -> None:
    beginnings = (
        "line line 1 #0.to_bus", "load load #0.bus", "switch trafo switch", "switch coupler #0.closed",
        "line line 1 #0.length", "line line 1 #0.x_ohm", "trafo trafo #0.sn_mva", "load load #0.q_mvar", "ext_grid PoM",
    )  # fmt: skip
    chosen = [next(entry for entry in ERRORS if entry[1].startswith(beginning)) for beginning in beginnings]
    net = sound_net()
    for change, _ in chosen:
        change(net)
    errors = texts(check_net(net), Severity.ERROR)
    assert len(errors) == len(chosen)
    assert all(any(told in error for error in errors) for _, told in chosen)


def test_what_is_out_of_service_needs_no_parameters() -> None:
    net = sound_net()
    pandapower.create_line(net, 3, 4, 0.1, "NAYY 4x50 SE", name="spare", in_service=False)
    net.line.loc[2, ["r_ohm_per_km", "max_i_ka"]] = np.nan
    assert check_net(net) == ()


def test_missing_limits_and_names_are_told_with_what_is_taken() -> None:
    net = sound_net()
    net.bus.loc[[1, 2], "max_vm_pu"] = np.nan
    net.line = net.line.drop(columns=["max_loading_percent"])
    net.bus.loc[3, "name"] = "head"
    net.line.loc[0, "name"] = None
    assert texts(check_net(net), Severity.WARNING) == [
        "warning: bus.max_vm_pu = '2 of 5 (busbar #1, head #2)': have no limit: 1.1 is taken",
        "warning: line.max_loading_percent = '2 of 2 (#0, line 2 #1)': have no limit: 100 is taken",
        "warning: bus.name = '2 of 5 (head #2, head #3)': share their names: they go by their index",
        "warning: line.name = '1 of 2 (#0)': have no name: they go by their index",
    ]


def test_buses_that_nothing_feeds_are_left_out_with_a_warning() -> None:
    net = sound_net()
    net.switch.loc[0, "closed"] = False
    net.load["p_mw"] = 0.0
    (warning,) = texts(check_net(net), Severity.WARNING)
    assert warning == "warning: bus = '2 of 5 (head #2, end #3)': aren't fed by a slack, and are left out"
    assert texts(check_net(net), Severity.ERROR) == []


def test_pods_are_held_to_the_net() -> None:
    net = sound_net()
    pandapower.create_bus(net, 0.4, name="island", **LIMITS)
    problems = check_net(net, {"IT1": "end", "IT2": "nowhere", "IT3": "island"})
    assert texts(problems, Severity.ERROR) == ["error: PoD IT2.bus = 'nowhere': must be a bus of the net"]
    assert "warning: PoD IT3.bus = 'island': isn't fed: the PoD has no PoM now" in texts(
        problems, Severity.WARNING
    )


def test_profile_that_is_not_there_is_named() -> None:
    net = sound_net()
    net.profiles = {
        "load": pd.DataFrame(columns=["H0_pload", "H0_qload"]),
        "renewables": pd.DataFrame(columns=["PV1"]),
    }
    net.load["profile"], net.sgen["profile"] = "H0", "PV2"
    assert texts(check_net(net), Severity.ERROR) == [
        "error: sgen pv #0.profile = 'PV2': must be a profile of the net"
    ]


def test_name_that_would_steer_a_terminal_is_spelt_out() -> None:
    net = sound_net()
    net.line.loc[0, ["name", "length_km"]] = ["line\x1b[2J", -1.0]
    (error,) = texts(check_net(net), Severity.ERROR)
    assert error.isprintable()
    assert r"line\x1b[2J #0.length_km = -1.0" in error


CELLS = st.sampled_from(
    [float("nan"), None, -1, 0, 1, 2, 3, 0.4, 20.0, 1e9, float("inf"), True, False, "b", "x", ""]
)


@examples(100)
@given(data=st.data())
def test_whatever_stands_in_a_cell_is_named_or_can_be_computed_with(data: st.DataObject) -> None:
    net = sound_net()
    for _ in range(data.draw(st.integers(1, 3))):
        table = data.draw(st.sampled_from(["bus", "line", "trafo", "switch", "load", "sgen", "ext_grid"]))
        column = data.draw(st.sampled_from(list(net[table].columns)))
        put(table, column, data.draw(CELLS), data.draw(st.sampled_from(list(net[table].index))))(net)
    if not texts(check_net(net), Severity.ERROR):
        model = grid_model_from_document(model_document(net))
        assert np.isfinite(model.impedance_pu).all()
