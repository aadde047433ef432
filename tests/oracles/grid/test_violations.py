"""Limits, and the order and integers in which violations are told."""

import numpy as np

from offchain.protocol.products import MarginUnit
from oracles.grid.core.network import grid_model_from_document
from oracles.grid.core.power_flow import run_power_flow
from oracles.grid.core.violations import Element, Side, find_violations
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
