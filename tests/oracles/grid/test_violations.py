"""Limits, the order and integers in which violations are told, and alarms with their levels and how long they last."""

import numpy as np
import pytest

from offchain.protocol.errors import InvalidInput
from offchain.protocol.products import MarginUnit
from oracles.grid.core.errors import PowerFlowDiverged
from oracles.grid.core.network import grid_model_from_document
from oracles.grid.core.power_flow import PowerFlow, run_power_flow, solve_power_flow
from oracles.grid.core.violations import (
    Alarm,
    AlarmLevel,
    AlarmSettings,
    AlarmThresholds,
    Element,
    Side,
    Watch,
    find_alarms,
    find_violations,
)
from tests.oracles.grid.small_grids import feeder, radial_document


def test_none_within_limits() -> None:
    model, p_w, q_var = feeder(5_000)
    assert find_violations(run_power_flow(model, p_w, q_var)) == ()


def test_names_element_slot_value_and_limit() -> None:
    model, p_w, q_var = feeder(35_000, slots=2)
    p_w[0] = 0
    flow = run_power_flow(model, p_w, q_var)
    found = find_violations(flow)
    assert {violation.slot for violation in found} == {1}
    first = next(violation for violation in found if violation.element.kind == "line")
    assert first.element == Element("line", "line 00", Side.ABOVE)
    assert first.element.key == "line:line 00"
    assert first.element.unit is MarginUnit.LOADING_MILLIPERCENT
    assert first.limit == 100_000
    assert first.value == round(flow.loading_percent[1, 1] * 1000)
    assert first.excess == first.value - 100_000


def test_voltage_on_both_sides_of_the_band() -> None:
    document = radial_document([1, 2], [0.2, 0.2], rating_ka=10.0, band=(0.99, 1.01))
    document["transformers"][0]["max_loading_percent"] = 1e9
    model = grid_model_from_document(document)
    p_w = np.zeros((2, model.nodes), dtype=np.int64)
    p_w[0, 3], p_w[1, 3] = 30_000, -30_000
    found = find_violations(run_power_flow(model, p_w, np.zeros_like(p_w)))
    sides = [(violation.slot, violation.element.name, violation.element.side) for violation in found]
    assert sides == [
        (0, "bus 2", Side.BELOW),
        (0, "bus 3", Side.BELOW),
        (1, "bus 2", Side.ABOVE),
        (1, "bus 3", Side.ABOVE),
    ]
    assert found[0].limit == 990_000
    assert found[0].value < 990_000
    assert found[-1].limit == 1_010_000
    assert found[-1].value > 1_010_000
    assert all(violation.element.unit is MarginUnit.VOLTAGE_MICRO_PU for violation in found)


def test_order_is_slot_then_transformers_lines_buses() -> None:
    model, p_w, q_var = feeder(90_000, slots=2)
    found = find_violations(run_power_flow(model, p_w, q_var))
    assert [violation.slot for violation in found] == sorted(violation.slot for violation in found)
    in_first = [violation.element.kind for violation in found if violation.slot == 0]
    assert in_first == sorted(in_first, key=["trafo", "line", "bus"].index)
    assert set(in_first) == {"trafo", "line", "bus"}


LOAD_W = {0: 0, 83: 80_000, 94: 90_000, 105: 100_000, 135: 128_000}
"""Load at the first bus by the first line's loading that it makes (%, about)."""


def day_of_the_first_line(percents: list[int]) -> PowerFlow:
    """A feeder whose first line has these loadings, slot by slot, and whose voltages are never in danger."""
    document = radial_document([1, 2, 3], [0.05, 0.05, 0.05], band=(0.5, 1.5))
    for branch in (*document["transformers"], *document["lines"][1:]):
        branch["max_loading_percent"] = 1e6
    model = grid_model_from_document(document)
    p_w = np.zeros((len(percents), model.nodes), dtype=np.int64)
    p_w[:, 2] = [LOAD_W[percent] for percent in percents]
    return run_power_flow(model, p_w, np.zeros_like(p_w))


def test_levels_by_how_near_or_far_and_how_long() -> None:
    flow = day_of_the_first_line([94, 105, 94, 83, 135, 0, 94])
    line = Element("line", "line 00", Side.ABOVE)
    told = find_alarms(flow)
    assert [(alarm.level, alarm.first_slot, alarm.slots, alarm.worst_slot) for alarm in told] == [
        (AlarmLevel.CRITICAL, 4, 1, 4),
        (AlarmLevel.ALARM, 0, 3, 1),
        (AlarmLevel.WARNING, 6, 1, 6),
    ]
    value = round(flow.loading_percent[4, 1] * 1000)
    assert told[0] == Alarm(AlarmLevel.CRITICAL, line, 4, 1, 4, value, 100_000)
    assert {alarm.element for alarm in told} == {line}


def test_levels_of_single_elements() -> None:
    flow = day_of_the_first_line([94, 105, 135])
    late = AlarmThresholds(warning_percent=100, critical_percent=150)
    told = find_alarms(flow, AlarmSettings(of_elements={"line:line 00": late}))
    assert [(alarm.level, alarm.first_slot, alarm.slots) for alarm in told] == [(AlarmLevel.ALARM, 1, 2)]
    soon = AlarmThresholds(warning_percent=80, critical_percent=100)
    told = find_alarms(flow, AlarmSettings(of_grid=soon))
    assert [(alarm.level, alarm.slots) for alarm in told] == [(AlarmLevel.CRITICAL, 3)]


def test_levels_of_voltages_on_both_sides() -> None:
    document = radial_document([1], [0.2], rating_ka=10.0, band=(0.95, 1.05))
    document["transformers"][0]["max_loading_percent"] = 1e9
    model = grid_model_from_document(document)
    p_w = np.zeros((4, model.nodes), dtype=np.int64)
    p_w[:, 2] = (0, 56_000, 70_000, -130_000)
    flow = run_power_flow(model, p_w, np.zeros_like(p_w))
    assert flow.vm_pu[:, 2] == pytest.approx([1.0, 0.949, 0.935, 1.10], abs=0.005)
    told = {(alarm.level, alarm.element.side, alarm.first_slot, alarm.slots) for alarm in find_alarms(flow)}
    assert told == {
        (AlarmLevel.CRITICAL, Side.ABOVE, 3, 1),
        (AlarmLevel.ALARM, Side.BELOW, 1, 2),
    }


def test_every_violation_is_in_an_alarm_and_every_alarm_is_one() -> None:
    model, p_w, q_var = feeder(40_000, slots=6)
    p_w = p_w * np.array([0, 1, 2, 0, 1, -1])[:, None]
    flow = run_power_flow(model, p_w, q_var)
    passed = {(violation.element, violation.slot) for violation in find_violations(flow)}
    told = [alarm for alarm in find_alarms(flow) if alarm.level >= AlarmLevel.ALARM]
    covered = {
        (alarm.element, slot)
        for alarm in told
        for slot in range(alarm.first_slot, alarm.first_slot + alarm.slots)
    }
    assert passed <= covered
    assert {(alarm.element, alarm.worst_slot) for alarm in told} <= passed


def test_at_its_limit_nothing_is_passed_wherever_levels_begin() -> None:
    model, _, _ = feeder(5_000)
    watch = Watch(model)
    at_once = AlarmSettings(AlarmThresholds(100, 100, 0, 0))
    assert (watch.levels(watch.limits[None, :], at_once) == AlarmLevel.WARNING).all()
    assert (watch.levels(watch.limits[None, :] + 1e-6, at_once) == AlarmLevel.CRITICAL).all()


def test_no_alarms_without_a_solution_and_of_what_is_not_there() -> None:
    model, p_w, q_var = feeder(5_000, slots=2)
    with pytest.raises(InvalidInput, match="line:nowhere"):
        find_alarms(
            run_power_flow(model, p_w, q_var),
            AlarmSettings(of_elements={"line:nowhere": AlarmThresholds()}),
        )
    p_w[1] *= 1_000
    with pytest.raises(PowerFlowDiverged, match=r"slots = \(1,\)"):
        find_alarms(solve_power_flow(model, p_w, q_var))


@pytest.mark.parametrize(
    "thresholds",
    [
        {"warning_percent": 101},
        {"critical_percent": 99},
        {"warning_within_pu": -0.1},
        {"critical_beyond_pu": -0.1},
    ],
)
def test_levels_out_of_order_are_refused(thresholds: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="at the limit at the latest"):
        AlarmThresholds(**thresholds)
