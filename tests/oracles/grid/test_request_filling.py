"""What the market itself takes for a request at reference prices: as good as the plan in AC, and hardly dearer."""

import random

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from offchain.protocol.products import Product
from oracles.grid.core.areas_as_planned import areas_as_planned
from oracles.grid.core.errors import PowerFlowDiverged
from oracles.grid.core.flexible_pods import Flexibility, FlexiblePod, Resources
from oracles.grid.core.linear_program import Program, Row, Solver
from oracles.grid.core.market_filling import Asked, filling
from oracles.grid.core.network import GridModel, Integers, grid_model_from_document
from oracles.grid.core.power_flow import run_power_flow
from oracles.grid.core.request import size_request
from oracles.grid.core.request_areas import MOST_COST
from oracles.grid.core.violations import Watch
from tests.examples import examples
from tests.oracles.grid.activation import activated
from tests.oracles.grid.market import taken_by_market
from tests.oracles.grid.optimal_power_flow import cost_ueur
from tests.oracles.grid.small_grids import radial_document

SLOTS = 2
ALMOST = 1e-4
"""Weighted pu that whole W may leave of a slot that can't be solved: a hundredth of a percent of loading."""


def strained_grid(chance: random.Random) -> tuple[GridModel, Integers, Integers]:
    """A radial grid with a narrow band, far beyond its limits in most slots: (slots, nodes)."""
    parents = [chance.randint(1, 1 + index) for index in range(chance.randint(2, 8))]
    lengths = [chance.uniform(0.02, 0.25) for _ in parents]
    document = radial_document(parents, lengths, chance.choice((0.06, 0.142, 0.3)), (0.94, 1.06))
    model = grid_model_from_document(document)
    p_w = np.zeros((SLOTS, model.nodes), dtype=np.int64)
    p_w[:, 2:] = [[chance.randint(-45_000, 45_000) for _ in parents] for _ in range(SLOTS)]
    return model, p_w, p_w // 10


def priced_pods(chance: random.Random, nodes: int, discrete: bool, coupled: bool) -> list[FlexiblePod]:
    """A PoD at each load, with one to four products at prices of which some are equal."""
    pods = []
    for node in range(2, nodes):
        flexibility = {}
        for product in chance.sample(list(Product), chance.randint(1, 4)):
            least_w, step_w = chance.choice(
                ((0, 1), (5_000, 1), (0, 2_500), (0, 8_000)) if discrete else ((0, 1),)
            )
            price = chance.choice((20_000, 50_000, chance.randint(20_000, 200_000)))
            most_w = np.array([chance.randint(0, 40_000) for _ in range(SLOTS)])
            flexibility[product] = Flexibility(most_w, price, least_w, step_w)
        limited = chance.choice((None, None, 6_000)) if coupled else None
        payback = chance.choice(((), (), (300,))) if coupled else ()
        pods.append(FlexiblePod(node.to_bytes(32), node, flexibility, limited, payback))
    return pods


@examples(20)
@given(
    st.integers(0, 2**32),
    st.sampled_from([(False, False)] * 4 + [(True, False), (False, True), (True, True)]),
)
def test_lifts_what_the_plan_lifts_at_its_cost(seed: int, kinds: tuple[bool, bool]) -> None:
    chance = random.Random(seed)
    model, p_w, q_var = strained_grid(chance)
    pods = priced_pods(chance, model.nodes, *kinds)
    try:
        request = size_request(model, p_w, q_var, pods)
    except PowerFlowDiverged:
        assume(False)
    assume(request.before)
    watch = Watch(model)
    taken = taken_by_market(request.areas, pods, request.planned)

    def left(amounts: dict[Product, Integers]) -> list[float]:
        values = watch.values(run_power_flow(model, *activated(p_w, q_var, pods, amounts)))
        return (np.maximum(values - watch.limits - 1e-7, 0) * watch.weights).sum(axis=1).tolist()

    asking = np.sum([np.array(area.relief_w) > 0 for area in request.areas], axis=0) * np.ones(SLOTS)
    for slot, (by_market, by_plan) in enumerate(zip(left(taken), left(dict(request.planned)), strict=True)):
        assert by_market <= by_plan + (ALMOST if by_plan else 0.0)
        cost = cost_ueur(dict(request.planned), pods, slot)
        assert cost_ueur(taken, pods, slot) <= MOST_COST * cost + 200_000 / 1000 * asking[slot]
    # What is expected is what the market takes, but for who of those that tie gets the last W.
    for product in Product:
        assert np.abs(taken[product] - request.expected[product]).max() <= 1


@examples(30)
@given(st.integers(0, 2**32))
def test_of_areas_as_planned_is_the_plan(seed: int) -> None:
    """Whatever is planned of resources of one product, in any slots."""
    chance = np.random.default_rng(seed)
    rows, count = 3, 8
    most_w = chance.integers(0, 30, (rows, count)) * 1_000
    planned = np.where(
        chance.random((rows, count)) < 0.5,
        0,
        (most_w * chance.choice((0.5, 1.0), (rows, count))).astype(np.int64),
    )
    prices = chance.integers(1, 9, count) * 10_000.0
    permille = chance.choice([0, 200, 700, 1_000], count)
    pods = [
        FlexiblePod(
            index.to_bytes(32), 1, {Product.ACTIVE_UP: Flexibility(most_w[:, index] + 1, int(prices[index]))}
        )
        for index in range(count)
    ]
    resources = Resources(tuple(pods), tuple(range(rows)))
    used = planned.any(axis=0)
    areas = [
        Asked(members, -(-(planned @ members) // 1000))
        for members in areas_as_planned(prices, permille, used, planned, most_w)
    ]
    in_areas = (
        np.array([[area.permille > 0] for area in areas]).sum(axis=(0, 1)) if areas else np.zeros(count)
    )
    assert (in_areas[used] == 1).all()
    taken = filling(resources, most_w, areas)
    # Relief comes in whole W: what is over goes to the next in order.
    assert (taken >= np.where(used, planned, 0)).all()
    assert ((taken - planned).sum(axis=1) <= 5 * len(areas)).all()


def test_a_pod_is_planned_one_way_only_where_steps_would_have_it_both() -> None:
    """The market takes none both ways."""
    for seed in (11, 12):
        chance = random.Random(seed)
        model, p_w, q_var = strained_grid(chance)
        pods = priced_pods(chance, model.nodes, discrete=True, coupled=False)
        planned = size_request(model, p_w, q_var, pods).planned
        for product in (Product.ACTIVE_UP, Product.REACTIVE_UP):
            assert not ((planned[product] > 0) & (planned[product.opposite] > 0)).any()


def test_what_takes_too_long_is_the_best_found_and_says_how_good_it_may_be() -> None:
    """A knapsack that no few nodes prove: the same again, feasible, and its gap told."""
    chance = np.random.default_rng(0)
    count = 60
    weights = chance.integers(1_000, 9_999, count).astype(float)
    costs = weights * chance.uniform(0.99, 1.01, count)
    rows = [
        Row((number,), np.arange(count), weights * chance.integers(0, 2, count), weights.sum() / 5, (number,))
        for number in range(5)
    ]
    every = np.ones(count, dtype=np.bool_)
    program = Program(costs, np.ones(count), rows, 1e6, np.zeros(count), every)
    quick = Solver(most_nodes=1)
    found = quick.minimise(program)
    assert all(row.values @ np.round(found) >= row.at_least for row in rows)
    assert 1e-4 < quick.gap < 1
    again = Solver(most_nodes=1)
    assert (again.minimise(program) == found).all()
    assert again.gap == quick.gap
    with_lp = Solver()
    with_lp.minimise(Program.continuous(costs, np.ones(count), rows, 1e6))
    assert with_lp.gap == 0
