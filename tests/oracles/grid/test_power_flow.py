"""The power flow: balance, many states at once, when Newton's method takes over, and what is refused."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.errors import InvalidInput
from oracles.grid.core import newton
from oracles.grid.core.errors import PowerFlowDiverged
from oracles.grid.core.network import Document, grid_model_from_document
from oracles.grid.core.power_flow import MISMATCH_PU, PowerFlow, run_power_flow, solve_power_flow
from tests.examples import examples
from tests.oracles.grid.small_grids import feeder, holding_document, radial_document, random_grid

ALMOST_TOO_MUCH_W = 188_500
"""At each bus of the feeder of three: so near the collapse that the fixed point creeps."""


def missing_va(flow: PowerFlow, p_w: Any, q_var: Any) -> Any:
    """What isn't balanced at each node but the slacks, reckoned from the flows in the branches alone."""
    model = flow.model
    left = p_w + 1j * q_var + model.given_power_pu * 1e6
    for end in range(2):
        np.add.at(left.T, model.branch_ends[end], flow.branch_power_va[end].T)
    return np.abs(left[:, model.loads])


def test_many_slots_equal_one_by_one() -> None:
    model, p_w, q_var = feeder(5_000, slots=70)
    p_w = p_w * np.arange(-10, 60)[:, None] // 4
    together = run_power_flow(model, p_w, q_var)
    for slot in range(70):
        alone = run_power_flow(model, p_w[slot : slot + 1], q_var[slot : slot + 1])
        assert (alone.voltage_pu[0] == together.voltage_pu[slot]).all()


def test_one_slot_that_needs_newton_changes_no_other() -> None:
    model, p_w, q_var = feeder(5_000, slots=3)
    usual = run_power_flow(model, p_w, q_var)
    p_w[1, 2:] = ALMOST_TOO_MUCH_W
    flow = run_power_flow(model, p_w, q_var)
    assert flow.by_newton.tolist() == [False, True, False]
    assert (flow.voltage_pu[[0, 2]] == usual.voltage_pu[[0, 2]]).all()
    assert missing_va(flow, p_w, q_var).max() < 1e-6 * 1e6


@examples(30)
@given(st.integers(0, 10**6))
def test_every_node_is_balanced(seed: int) -> None:
    model, p_w, q_var = random_grid(seed)
    flow = run_power_flow(model, p_w, q_var)
    assert missing_va(flow, p_w, q_var).max() < 0.01


@examples(30)
@given(st.integers(0, 10**6))
def test_newton_finds_the_same(seed: int) -> None:
    model, p_w, q_var = random_grid(seed)
    flow = run_power_flow(model, p_w, q_var)
    voltage, converged = newton.solve_newton(model, (p_w + 1j * q_var) / 1e6)
    assert converged.all()
    assert not flow.by_newton.any()
    assert np.abs(voltage - flow.voltage_pu).max() < 1e-7


def test_losses_are_what_supply_and_loads_differ_by() -> None:
    model, p_w, q_var = feeder(8_000)
    flow = run_power_flow(model, p_w, q_var)
    iron_w = 800 * flow.vm_pu[0, 1] ** 2
    assert flow.supply_va[0].real == pytest.approx(p_w.sum() + flow.losses_w[0], abs=0.01)
    assert flow.branch_losses_w.shape == (1, model.branches)
    assert flow.branch_losses_w[0, 0] > iron_w
    assert (flow.branch_losses_w > 0).all()
    # The last line carries what its bus absorbs, from the bus above.
    assert flow.branch_power_va[1, 0, -1].real == pytest.approx(-8_000, abs=0.01)
    assert flow.branch_power_va[0, 0, -1].real == pytest.approx(8_000 + flow.branch_losses_w[0, -1], abs=0.01)


def test_absorbing_lowers_and_injecting_raises_the_voltage() -> None:
    model, p_w, q_var = feeder(8_000)
    absorbing = run_power_flow(model, p_w, q_var).vm_pu[0, -1]
    injecting = run_power_flow(model, -p_w, q_var).vm_pu[0, -1]
    assert absorbing < 1.0 < injecting


def test_a_wrong_result_of_the_fixed_point_is_found_and_solved_again() -> None:
    model, p_w, q_var = feeder(8_000, slots=2)
    right = run_power_flow(model, p_w, q_var)
    wrong = replace(model, no_load_pu=model.no_load_pu * (1 + 1e-5))
    flow = run_power_flow(wrong, p_w, q_var)
    assert flow.by_newton.all()
    assert np.abs(flow.voltage_pu - right.voltage_pu).max() < 1e-9
    assert missing_va(right, p_w, q_var).max() < MISMATCH_PU * 1e6


def test_no_solution_names_the_slots() -> None:
    model, p_w, q_var = feeder(5_000, slots=3)
    p_w[1] *= 1_000
    with pytest.raises(PowerFlowDiverged, match=r"slots = \(1,\)") as caught:
        run_power_flow(model, p_w, q_var)
    assert caught.value.slots == (1,)
    flow = solve_power_flow(model, p_w, q_var)
    assert flow.converged.tolist() == [True, False, True]
    assert not flow.by_newton.any()


def test_held_voltages_without_a_solution_name_the_slots_too() -> None:
    document = holding_document()
    model = grid_model_from_document(document)
    p_w = np.zeros((3, model.nodes), dtype=np.int64)
    p_w[2, 3] = 10**8
    with pytest.raises(PowerFlowDiverged, match=r"slots = \(2,\)"):
        run_power_flow(model, p_w, np.zeros_like(p_w))


def test_a_held_voltage_takes_no_notice_of_reactive_power_and_a_slot_may_inject_otherwise() -> None:
    model = grid_model_from_document(holding_document())
    p_w = np.zeros((3, model.nodes), dtype=np.int64)
    q_var = np.zeros_like(p_w)
    q_var[1, 4] = 5_000
    p_w[2, 4] = -10_000
    flow = run_power_flow(model, p_w, q_var)
    assert flow.vm_pu[:, 4] == pytest.approx([1.01] * 3, abs=1e-9)
    assert flow.voltage_pu[1] == pytest.approx(flow.voltage_pu[0], abs=1e-9)
    document = holding_document()
    document["generators"][0]["p_mw"] = 0.03
    more = run_power_flow(grid_model_from_document(document), p_w[:1], q_var[:1])
    assert more.voltage_pu[0] == pytest.approx(flow.voltage_pu[2], abs=1e-9)


def test_two_thousand_meshed_nodes() -> None:
    """No square of the grid is held: this one's would be 64 MB each."""
    model = grid_model_from_document(lattice_document(45))
    assert model.nodes > 2_000
    chance = np.random.default_rng(1)
    p_w = chance.integers(-20, 60, (8, model.nodes))
    p_w[:, model.slacks] = 0
    flow = run_power_flow(model, p_w, p_w // 4)
    assert not flow.by_newton.any()
    assert missing_va(flow, p_w, p_w // 4).max() < 1.0
    assert not {"admittance_pu", "impedance_pu"} & set(vars(model))


def test_full_matrices_are_those_of_the_model() -> None:
    model, p_w, q_var = feeder(8_000)
    voltage = run_power_flow(model, p_w, q_var).voltage_pu[0]
    current = -((p_w - 1j * q_var)[0] / 1e6 / voltage.conj())[model.loads]
    assert model.admittance_pu[model.loads] @ voltage == pytest.approx(current, abs=1e-6)
    assert model.no_load_pu + model.impedance_pu @ current == pytest.approx(voltage[model.loads], abs=1e-9)


def test_refuses_wrong_shapes() -> None:
    model, p_w, q_var = feeder(5_000)
    with pytest.raises(InvalidInput, match=r"p_w\.shape"):
        run_power_flow(model, p_w[:, 1:], q_var[:, 1:])
    with pytest.raises(InvalidInput, match=r"q_var\.shape"):
        run_power_flow(model, p_w, np.concatenate((q_var, q_var)))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": "other"}, r"gridModel\.format"),
        ({"format": "flexledger-grid-model-1"}, r"gridModel\.format"),
        ({"slacks": None}, "gridModel"),
        ({"slacks": []}, r"gridModel\.slacks"),
        ({"slacks": 2 * radial_document([1], [0.1])["slacks"]}, r"gridModel\.slacks"),
        ({"lines": []}, "must be joined to a slack"),
        ({"lines": 2 * radial_document([1], [0.1])["lines"]}, "names must be unique"),
        ({"shunts": [{"name": "far", "node": 99, "p_mw": 0.0, "q_mvar": 0.0}]}, "gridModel"),
    ],
)
def test_document_is_refused_when_foreign_or_contradictory(change: Document, named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        grid_model_from_document({**radial_document([1], [0.1]), **change})


@pytest.mark.parametrize("field", sorted(set(radial_document([1], [0.1])) - {"format"}))
def test_document_is_refused_when_incomplete(field: str) -> None:
    document = radial_document([1], [0.1])
    del document[field]
    with pytest.raises(InvalidInput, match=field):
        grid_model_from_document(document)


@pytest.mark.parametrize(("field", "value"), [("r_ohm", float("nan")), ("x_ohm", 0.0), ("r_ohm", "much")])
def test_a_line_without_an_admittance_is_refused(field: str, value: object) -> None:
    document = radial_document([1], [0.1])
    document["lines"][0].update({"r_ohm": 0.0, field: value})
    with pytest.raises(InvalidInput, match="gridModel"):
        grid_model_from_document(document)


def lattice_document(side: int) -> Document:
    """A square lattice of lines below the transformer, as far from radial as grids get."""
    document = radial_document([0] * (side * side - 1), [0.05] * (side * side - 1))
    document["transformers"][0]["sn_mva"] = 10.0
    line = document["lines"][0]
    place = np.arange(1, side * side + 1).reshape(side, side)
    pairs = np.concatenate(
        (
            np.stack((place[:, :-1], place[:, 1:])).reshape(2, -1),
            np.stack((place[:-1], place[1:])).reshape(2, -1),
        ),
        axis=1,
    ).T
    document["lines"] = [
        {**line, "name": f"line {index:05d}", "from": start, "to": end}
        for index, (start, end) in enumerate(pairs.tolist())
    ]
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]
