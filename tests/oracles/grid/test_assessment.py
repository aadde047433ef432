"""What the assessment must never do, on random small grids, and what its refusals say."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offchain.protocol.errors import InvalidInput
from offchain.protocol.products import MarginUnit, Product
from oracles.grid.core.assessment import Assessment, Item, assess
from oracles.grid.core.network import Floats, GridModel, Integers
from oracles.grid.core.power_flow import solve_power_flow
from oracles.grid.core.violations import TOLERANCE, Watch
from tests.oracles.grid.small_grids import feeder, random_grid

Case = tuple[GridModel, Integers, Integers, list[Item]]


def random_case(seed: int) -> Case:
    model, p_w, q_var = random_grid(seed)
    chance = random.Random(seed + 1)
    items = []
    for slot in range(len(p_w)):
        for priority in range(chance.randint(0, 12)):
            accepted_w = chance.randint(1, 40_000)
            items.append(
                Item(
                    priority=priority,
                    node=chance.randint(2, model.nodes - 1),
                    slot=slot,
                    product=Product(chance.choice((0, 0, 1, 1, 2, 3))),
                    accepted_w=accepted_w,
                    min_w=chance.choice((0, 0, 0, accepted_w // 2, accepted_w)),
                )
            )
    return model, p_w, q_var, items


def values_with(case: Case, quantities_w: list[int]) -> Floats:
    """Watched values (slots, k) with so much of each item; infinite where the grid can't carry that."""
    model, p_w, q_var, items = case
    p_w, q_var = p_w.copy(), q_var.copy()
    for item, quantity_w in zip(items, quantities_w, strict=True):
        target = p_w if item.product.is_active else q_var
        target[item.slot, item.node] -= item.product.sign * quantity_w
    return Watch(model).values(solve_power_flow(model, p_w, q_var))


def ceilings_of(case: Case) -> Floats:
    return np.maximum(Watch(case[0]).limits, values_with(case, [0] * len(case[3])))


def with_blocks(case: Case, seed: int) -> Case:
    """The case with blocks over all its slots, among the other items in priority."""
    model, p_w, q_var, items = case
    chance = random.Random(seed + 2)
    items = [replace(item, priority=3 * item.priority) for item in items]
    for block in range(chance.randint(1, 4)):
        accepted_w, node = chance.randint(1, 40_000), chance.randint(2, model.nodes - 1)
        product, min_w = Product(chance.choice((0, 1, 2))), chance.choice((0, 0, accepted_w // 3))
        places = [(slot, 3 * chance.randint(0, 4) + 1 + block * 100) for slot in range(len(p_w))]
        items += [
            Item(priority, node, slot, product, accepted_w, min_w, block=block) for slot, priority in places
        ]
    return model, p_w, q_var, items


seeds = st.integers(min_value=0, max_value=10**6)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_blocks_stay_even_and_nothing_is_violated_for_it(seed: int) -> None:
    case = with_blocks(random_case(seed), seed)
    items = case[3]
    found = assess(*case)
    assert (values_with(case, list(found.allowed_w)) <= ceilings_of(case) + TOLERANCE).all()
    of_block: dict[int, set[int]] = {}
    for item, allowed_w in zip(items, found.allowed_w, strict=True):
        assert allowed_w == 0 or item.min_w <= allowed_w <= item.accepted_w
        if item.block is not None:
            of_block.setdefault(item.block, set()).add(allowed_w)
    assert all(len(allowed) == 1 for allowed in of_block.values())
    missing = {
        (item.slot, item.priority): item.accepted_w - allowed_w
        for item, allowed_w in zip(items, found.allowed_w, strict=True)
        if allowed_w < item.accepted_w
    }
    assert {(r.item.slot, r.item.priority): r.refused_w for r in found.refusals} == missing


def test_some_blocks_are_cut_for_another_slots_sake() -> None:
    """Else the property above shows nothing of them."""
    cut = 0
    for seed in range(40):
        case = with_blocks(random_case(seed), seed)
        alone = assess(*case[:3], [replace(item, block=None) for item in case[3]])
        cut += alone.allowed_w != assess(*case).allowed_w
    assert cut > 3


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_adds_no_violation_and_worsens_none(seed: int) -> None:
    case = random_case(seed)
    assessment = assess(*case)
    assert (values_with(case, list(assessment.allowed_w)) <= ceilings_of(case) + TOLERANCE).all()


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_every_refusal_would_pass_a_limit_as_it_says(seed: int) -> None:
    case = random_case(seed)
    model, _, _, items = case
    assessment = assess(*case)
    watch, ceilings = Watch(model), ceilings_of(case)
    refused = {(refusal.item.slot, refusal.item.priority): refusal for refusal in assessment.refusals}
    for index, item in enumerate(items):
        allowed_w = assessment.allowed_w[index]
        refusal = refused.pop((item.slot, item.priority), None)
        assert (refusal is None) == (allowed_w == item.accepted_w)
        assert allowed_w == 0 or allowed_w >= item.min_w
        if refusal is not None:
            assert refusal.refused_w == item.accepted_w - allowed_w
            quantities_w = list(assessment.allowed_w)
            quantities_w[index] = item.accepted_w
            excess = (values_with(case, quantities_w) - ceilings)[item.slot]
            column = watch.elements.index(refusal.element)
            assert excess[column] > TOLERANCE
            assert refusal.margin >= 1
            if np.isfinite(excess[column]):
                assert refusal.margin == max(1, refusal.element.in_units(excess[column]))
    assert not refused


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_refuses_nothing_where_everything_fits(seed: int) -> None:
    case = random_case(seed)
    model, p_w, q_var, items = case
    wholes = [item.accepted_w for item in items]
    fits = (values_with(case, wholes) <= ceilings_of(case) + TOLERANCE).all(axis=1)
    assessment = assess(model, p_w, q_var, items)
    for item, allowed_w in zip(items, assessment.allowed_w, strict=True):
        if fits[item.slot]:
            assert allowed_w == item.accepted_w


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_never_refuses_what_only_reduces_violations(seed: int) -> None:
    case = random_case(seed)
    assessment = assess(*case)
    ceilings = ceilings_of(case)
    before = values_with(case, list(assessment.allowed_w))
    for index, item in enumerate(case[3]):
        quantities_w = list(assessment.allowed_w)
        quantities_w[index] = item.accepted_w
        after = values_with(case, quantities_w)[item.slot]
        worse = after > before[item.slot]
        only_reduces = not (worse & (after > ceilings[item.slot] + TOLERANCE)).any()
        assert not only_reduces or assessment.allowed_w[index] == item.accepted_w


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_order_matters_only_through_priority(seed: int) -> None:
    model, p_w, q_var, items = random_case(seed)
    shuffled = items.copy()
    random.Random(seed).shuffle(shuffled)
    first, second = assess(model, p_w, q_var, items), assess(model, p_w, q_var, shuffled)
    by_item = dict(zip(shuffled, second.allowed_w, strict=True))
    assert [by_item[item] for item in items] == list(first.allowed_w)
    assert first.refusals == second.refusals


def test_priority_decides_who_is_cut() -> None:
    model, p_w, q_var = feeder(20_000)
    items = [
        Item(priority, node, 0, Product.ACTIVE_DOWN, 40_000) for priority, node in ((0, 4), (1, 3), (2, 2))
    ]
    allowed = assess(model, p_w, q_var, items).allowed_w
    assert 0 < allowed[0] < 40_000
    turned = [replace(item, priority=2 - item.priority) for item in items]
    other = assess(model, p_w, q_var, turned).allowed_w
    assert other[2] > allowed[2]
    assert other[0] < allowed[0]


def test_partial_amount_is_exact_to_the_watt() -> None:
    model, p_w, q_var = feeder(20_000)
    case = (model, p_w, q_var, [Item(0, 4, 0, Product.ACTIVE_DOWN, 100_000)])
    assessment = assess(*case)
    (allowed_w,) = assessment.allowed_w
    ceilings = ceilings_of(case) + TOLERANCE
    assert (values_with(case, [allowed_w]) <= ceilings).all()
    assert not (values_with(case, [allowed_w + 1]) <= ceilings).all()


def test_worsening_is_refused_and_relieving_accepted_on_an_overloaded_line() -> None:
    model, p_w, q_var = feeder(-35_000)
    worsening = Item(0, 4, 0, Product.ACTIVE_UP, 5_000)
    relieving = Item(1, 3, 0, Product.ACTIVE_DOWN, 2_000)
    assessment = assess(model, p_w, q_var, [worsening, relieving])
    assert assessment.allowed_w[1] == 2_000
    # What the relief makes room for, up to the overload that was there without any flexibility, isn't refused.
    assert 1_500 < assessment.allowed_w[0] < 2_500
    (refusal,) = assessment.refusals
    assert refusal.item == worsening
    assert refusal.element.kind == "line"
    assert refusal.unit is MarginUnit.LOADING_MILLIPERCENT
    assert refusal.margin >= 1


def test_indivisible_item_is_taken_whole_or_not_at_all() -> None:
    model, p_w, q_var = feeder(20_000)
    whole = Item(0, 4, 0, Product.ACTIVE_DOWN, 100_000, min_w=100_000)
    small = Item(1, 4, 0, Product.ACTIVE_DOWN, 1_000)
    assert assess(model, p_w, q_var, [whole, small]).allowed_w == (0, 1_000)


def test_quantity_beyond_any_solution_is_cut_and_explained() -> None:
    model, p_w, q_var = feeder(20_000)
    assessment = assess(model, p_w, q_var, [Item(0, 4, 0, Product.ACTIVE_DOWN, 50_000_000)])
    assert 0 < assessment.allowed_w[0] < 100_000
    assert assessment.refusals[0].margin > 0


def test_nothing_to_assess() -> None:
    model, p_w, q_var = feeder(20_000)
    assert assess(model, p_w, q_var, []) == Assessment((), ())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"node": 99}, "node"),
        ({"slot": 1}, "slot"),
        ({"slot": -1}, "slot"),
        ({"accepted_w": 0}, "accepted_w"),
        ({"min_w": 11}, "min_w"),
    ],
)
def test_refuses_bad_items(change: dict[str, int], field: str) -> None:
    model, p_w, q_var = feeder(1_000)
    item = replace(Item(0, 2, 0, Product.ACTIVE_UP, 10), **change)
    with pytest.raises(InvalidInput, match=field):
        assess(model, p_w, q_var, [item])


def test_refuses_doubled_priorities() -> None:
    model, p_w, q_var = feeder(1_000)
    item = Item(0, 2, 0, Product.ACTIVE_UP, 10)
    with pytest.raises(InvalidInput, match="priority"):
        assess(model, p_w, q_var, [item, replace(item, node=3)])
