"""How much is allowed by priority: against all combinations where one element limits, against linear programs where several do."""

import random
from itertools import product as combinations

import numpy as np
import pytest
from scipy.optimize import linprog

from offchain.protocol.products import Product
from oracles.grid.core.assessment import Case, Item, assess_case
from oracles.grid.core.network import Floats, GridModel, Integers, grid_model_from_document
from oracles.grid.core.power_flow import solve_power_flow
from oracles.grid.core.violations import TOLERANCE, Watch
from tests.oracles.grid.small_grids import radial_document, random_grid

STEPS = 8
PENALTY_RATIO = 4.0
"""Penalty factor of an item, in times of the next one's."""


def behind_one_transformer(seed: int) -> Case:
    """Items on a grid whose transformer alone limits anything, some with it, some against."""
    chance = random.Random(seed)
    document = radial_document([1, 2, 3], [0.05] * 3, rating_ka=10.0, band=(0.1, 2.0))
    document["transformers"][0]["sn_mva"] = 0.1
    model: GridModel = grid_model_from_document(document)
    p_w = np.zeros((1, model.nodes), dtype=np.int64)
    p_w[0, 2:] = chance.randint(-20_000, 20_000)
    items = [
        Item(
            priority,
            chance.randint(2, 4),
            0,
            Product(chance.choice((0, 1))),
            STEPS * chance.randint(1_000, 9_000),
        )
        for priority in range(4)
    ]
    return Case(Watch(model), p_w, np.zeros_like(p_w), items)


def excess_of(case: Case, quantities_w: Integers | Floats) -> Floats:
    """How far anything passes what it may reach with so much of each item, of one slot: (states,)."""
    nodes = case.watch.model.nodes
    states = np.repeat(case.power.astype(np.float64), len(quantities_w), axis=0)
    for index, item in enumerate(case.items):
        column = item.node + (0 if item.product.is_active else nodes)
        states[:, column] -= item.product.sign * quantities_w[:, case.quantity_of[index]]
    flow = solve_power_flow(case.watch.model, states[:, :nodes], states[:, nodes:])
    return np.asarray((case.watch.values(flow) - case.ceilings).max(axis=1))


def allowed_of(case: Case) -> Integers:
    """By quantity."""
    out = np.zeros(len(case.accepted_w), dtype=np.int64)
    out[case.quantity_of] = assess_case(case).allowed_w
    return out


@pytest.mark.parametrize("seed", range(40))
def test_where_one_element_limits_nobody_could_have_more_by_priority(seed: int) -> None:
    """Of all combinations of eighths none allows the first in priority more, nor the next ones with as much before them."""
    case = behind_one_transformer(seed)
    own_w = allowed_of(case)
    eighths = np.array(list(combinations(range(STEPS + 1), repeat=len(own_w)))) * (case.accepted_w // STEPS)
    differing = eighths != own_w
    first = np.argmax(differing, axis=1)
    row = np.arange(len(eighths))
    better = eighths[differing.any(axis=1) & (eighths[row, first] > own_w[first])]
    assert (excess_of(case, better) > TOLERANCE).all()


def test_some_of_them_are_cut() -> None:
    """Else the test above shows nothing."""
    cut = [
        seed
        for seed in range(40)
        if not (allowed_of(case := behind_one_transformer(seed)) == case.accepted_w).all()
    ]
    assert len(cut) > 10


def optimum_w(case: Case, own_w: Integers, penalties: Floats) -> Floats:
    """What a linear program on the slopes at our own result allows, with the least penalty for what it refuses."""
    step_w = 50
    states = np.concatenate([own_w + step_w * np.eye(len(own_w)), own_w - step_w * np.eye(len(own_w))])
    values = np.stack([case.values(state.astype(np.int64))[0] for state in states])
    slopes = (values[: len(own_w)] - values[len(own_w) :]) / (2 * step_w)
    room = np.maximum(case.ceilings[0] + TOLERANCE - case.values(own_w)[0], 0)
    bounds = list(zip(-own_w / 1000, (case.accepted_w - own_w) / 1000, strict=True))
    found = linprog(-penalties, A_ub=slopes.T * 1000, b_ub=room, bounds=bounds)
    return np.asarray(own_w + 1000 * found.x)


def test_where_several_elements_limit_it_is_close_to_linear_programs_with_penalty_factors() -> None:
    """Where the program's optimum holds in AC. By penalty factors that each outweigh the next by 4, 99 % of what it allows."""
    shares = []
    for seed in range(150):
        model, p_w, q_var = random_grid(seed)
        chance = random.Random(seed + 7)
        items = [
            Item(
                priority,
                chance.randint(2, model.nodes - 1),
                0,
                Product(chance.choice((0, 0, 1, 1, 2, 3))),
                chance.randint(1_000, 60_000),
            )
            for priority in range(8)
        ]
        case = Case(Watch(model), p_w[:1], q_var[:1], items)
        own_w = allowed_of(case)
        if (own_w == case.accepted_w).all():
            continue
        penalties = PENALTY_RATIO ** -np.arange(len(items), dtype=np.float64)
        best_w = optimum_w(case, own_w, penalties)
        if excess_of(case, best_w[None, :])[0] < 1e-3:
            shares.append(float(penalties @ own_w / (penalties @ best_w)))
    assert len(shares) > 40
    assert np.mean(shares) > 0.98, np.mean(shares)
    assert np.mean(np.array(shares) > 0.999) > 0.75, np.mean(np.array(shares) > 0.999)
