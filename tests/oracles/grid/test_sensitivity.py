"""Sensitivities against central differences of the AC power flow."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles.grid.core.network import Floats, GridModel, Integers, grid_model_from_document
from oracles.grid.core.power_flow import solve_power_flow
from oracles.grid.core.sensitivity import add_at_nodes, relief_per_unit
from oracles.grid.core.violations import Watch
from oracles.grid.simbench_case import load_simbench_case
from tests.oracles.grid.small_grids import holding_document, random_grid


def central_differences(watch: Watch, p_w: Integers, q_var: Integers, nodes: Integers) -> Floats:
    """As `relief_per_unit`, from power flows a small step to either side."""
    step = watch.model.rating_w / 20_000
    falls = []
    for moves_p in (True, False):
        states = [
            np.repeat(each[None, :].astype(np.float64), 2 * len(nodes), axis=0) for each in (p_w, q_var)
        ]
        moved = states[0 if moves_p else 1]
        for index, node in enumerate(nodes.tolist()):
            moved[2 * index, node] += step
            moved[2 * index + 1, node] -= step
        values = watch.values(solve_power_flow(watch.model, *states))
        falls.append((values[::2] - values[1::2]) / (2 * step))
    return np.array(falls)


def assert_agree(model: GridModel, p_w: Integers, q_var: Integers) -> None:
    watch = Watch(model)
    nodes = np.arange(model.nodes)
    flow = solve_power_flow(model, p_w[None, :], q_var[None, :])
    exact = relief_per_unit(watch, flow, 0, nodes)
    rough = central_differences(watch, p_w, q_var, nodes)
    # Where a branch carries next to nothing, or both ends the same, its loading has a kink that differences smooth.
    smooth = np.ones(rough.shape[2], dtype=bool)
    smooth[: model.branches] = flow.loading_percent[0] > 5
    scale = np.abs(rough).max(axis=(0, 1))
    assert (np.abs(exact - rough).max(axis=(0, 1))[smooth] <= 1e-4 * scale[smooth] + 1e-16).all()


@given(st.integers(0, 2**32))
def test_are_those_of_central_differences(seed: int) -> None:
    model, p_w, q_var = random_grid(seed)
    assert_agree(model, p_w[0], q_var[0])


def test_nodes_whose_voltage_is_held_answer() -> None:
    model = grid_model_from_document(holding_document())
    assert list(model.held) == [4]
    p_w, q_var = np.full((2, model.nodes), 4_000)
    assert_agree(model, p_w, q_var)


@pytest.mark.parametrize("code", ["1-LV-rural1--2-no_sw", "1-MV-semiurb--2-no_sw"])
def test_are_those_of_central_differences_on_a_simbench_grid(code: str) -> None:
    case = load_simbench_case(code, date(2026, 6, 1))
    assert_agree(case.model, case.at_nodes(case.p_w)[50], case.at_nodes(case.q_var)[50])


def test_flexibility_of_several_at_a_node_adds_up() -> None:
    changed = add_at_nodes(np.array([[5, 7], [1, 1]]), np.array([1, 1]), np.array([[2, 3], [0, -4]]))
    assert changed.tolist() == [[5, 2], [1, 5]]
