"""What the assessment must never do, on random small grids, and what its refusals say."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.errors import InvalidInput
from offchain.protocol.products import MarginUnit, Product
from oracles.grid.core.assessment import Assessment, Case, Item, assess
from oracles.grid.core.network import Floats, GridModel, Integers
from oracles.grid.core.power_flow import solve_power_flow
from oracles.grid.core.violations import TOLERANCE, Watch
from tests.examples import examples
from tests.oracles.grid.small_grids import feeder, random_grid

Book = tuple[GridModel, Integers, Integers, list[Item]]


def random_case(seed: int) -> Book:
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


def values_with(case: Book, quantities_w: list[int]) -> Floats:
    """Watched values (slots, k) with so much of each item and its payback; infinite where the grid can't carry that."""
    model, p_w, q_var, items = case
    p_w, q_var = p_w.copy(), q_var.copy()
    for item, quantity_w in zip(items, quantities_w, strict=True):
        target = p_w if item.product.is_active else q_var
        target[item.slot, item.node] -= item.product.sign * quantity_w
        for after, payback_w in enumerate(item.payback_w, start=1):
            target[item.slot + after, item.node] -= payback_w * quantity_w // item.offered_w
    return Watch(model).values(solve_power_flow(model, p_w, q_var))


def ceilings_of(case: Book) -> Floats:
    return np.maximum(Watch(case[0]).limits, values_with(case, [0] * len(case[3])))


def with_blocks(case: Book, seed: int) -> Book:
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


def with_paybacks(case: Book, seed: int) -> Book:
    """The case with two slots more, in which nothing is accepted, and paybacks of some items in them and before."""
    model, p_w, q_var, items = case
    chance = random.Random(seed + 3)
    last = {item.block: max(each.slot for each in items if each.block == item.block) for item in items}
    out = []
    for item in items:
        if chance.random() < 0.5 and (item.block is None or item.slot == last[item.block]):
            payback_w = tuple(chance.randint(-item.accepted_w, item.accepted_w // 2) for _ in range(2))
            item = replace(item, payback_w=payback_w, offered_w=item.accepted_w + chance.randint(0, 3))
        out.append(item)
    return model, np.concatenate((p_w, p_w[:2])), np.concatenate((q_var, q_var[:2])), out


def mixed_case(seed: int) -> Book:
    """Single items, in three of four cases with blocks, paybacks or both among them."""
    case = random_case(seed)
    if seed % 2:
        case = with_blocks(case, seed)
    return with_paybacks(case, seed) if seed % 4 > 1 else case


def together(case: Book, index: int) -> list[int]:
    """The items that are allowed as one with an item: its block's, or itself."""
    block = case[3][index].block
    return [index] if block is None else [i for i, each in enumerate(case[3]) if each.block == block]


def with_all_of(case: Book, allowed_w: tuple[int, ...], index: int) -> Floats:
    """Watched values with all of an item, or its block, on top of what is allowed."""
    quantities_w = list(allowed_w)
    for each in together(case, index):
        quantities_w[each] = case[3][each].accepted_w
    return values_with(case, quantities_w)


seeds = st.integers(min_value=0, max_value=10**6)


@examples(60)
@given(seeds)
def test_blocks_stay_even_and_minima_hold(seed: int) -> None:
    case = with_paybacks(with_blocks(random_case(seed), seed), seed)
    items = case[3]
    found = assess(*case)
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


def test_some_are_refused_for_what_they_pay_back() -> None:
    """Else the properties below show nothing of it."""
    elsewhere = 0
    for seed in range(40):
        found = assess(*with_paybacks(random_case(seed), seed))
        elsewhere += any(refusal.slot != refusal.item.slot for refusal in found.refusals)
    assert elsewhere > 3


@examples(80)
@given(seeds)
def test_adds_no_violation_and_worsens_none(seed: int) -> None:
    case = mixed_case(seed)
    assessment = assess(*case)
    assert (values_with(case, list(assessment.allowed_w)) <= ceilings_of(case) + TOLERANCE).all()


@examples(80)
@given(seeds)
def test_every_refusal_would_pass_a_limit_as_it_says(seed: int) -> None:
    case = mixed_case(seed)
    model, _, _, items = case
    assessment = assess(*case)
    watch, ceilings = Watch(model), ceilings_of(case)
    before = values_with(case, list(assessment.allowed_w))
    refused = {(refusal.item.slot, refusal.item.priority): refusal for refusal in assessment.refusals}
    for index, item in enumerate(items):
        allowed_w = assessment.allowed_w[index]
        refusal = refused.pop((item.slot, item.priority), None)
        assert (refusal is None) == (allowed_w == item.accepted_w)
        if refusal is None:
            continue
        assert refusal.refused_w == item.accepted_w - allowed_w
        column = watch.elements.index(refusal.element)
        excess = (with_all_of(case, assessment.allowed_w, index) - ceilings)[refusal.slot]
        assert excess[column] > TOLERANCE
        assert refusal.margin >= 1
        if not np.isfinite(excess).all():
            continue
        assert refusal.margin == max(1, refusal.element.in_units(excess[column]))
        step_w = max(1, model.rating_w // 1000)
        stepped_w = list(assessment.allowed_w)
        for each in together(case, index):
            stepped_w[each] += step_w
        slope = (values_with(case, stepped_w) - before)[refusal.slot, column] / step_w
        of_mw = refusal.element.in_units(slope * 1_000_000)
        assert abs(refusal.sensitivity - of_mw) <= 0.03 * abs(of_mw) + 30_000
    assert not refused


@examples(60)
@given(seeds)
def test_refuses_nothing_where_everything_fits(seed: int) -> None:
    case = mixed_case(seed)
    model, p_w, q_var, items = case
    wholes = [item.accepted_w for item in items]
    fits = (values_with(case, wholes) <= ceilings_of(case) + TOLERANCE).all(axis=1)
    assessment = assess(model, p_w, q_var, items)
    is_joined = any(item.block is not None or item.payback_w for item in items)
    for item, allowed_w in zip(items, assessment.allowed_w, strict=True):
        if fits.all() if is_joined else fits[item.slot]:
            assert allowed_w == item.accepted_w


@examples(80)
@given(seeds)
def test_never_refuses_what_only_reduces_violations(seed: int) -> None:
    case = mixed_case(seed)
    assessment = assess(*case)
    ceilings = ceilings_of(case)
    before = values_with(case, list(assessment.allowed_w))
    for index, item in enumerate(case[3]):
        after = with_all_of(case, assessment.allowed_w, index)
        only_reduces = not ((after > before) & (after > ceilings + TOLERANCE)).any()
        assert not only_reduces or assessment.allowed_w[index] == item.accepted_w


@examples(30)
@given(seeds)
def test_order_matters_only_through_priority(seed: int) -> None:
    model, p_w, q_var, items = mixed_case(seed)
    shuffled = items.copy()
    random.Random(seed).shuffle(shuffled)
    first, second = assess(model, p_w, q_var, items), assess(model, p_w, q_var, shuffled)
    by_item = dict(zip(shuffled, second.allowed_w, strict=True))
    assert [by_item[item] for item in items] == list(first.allowed_w)
    assert first.refusals == second.refusals


def test_what_helps_is_never_refused_for_what_harms() -> None:
    """Nor does it matter who comes first: whole or not, the one that harms gets the room that the other makes."""
    model, p_w, q_var = feeder(-30_000)
    for priority, min_w in ((0, 0), (0, 30_000), (5, 0), (5, 30_000)):
        harming = Item(priority, 4, 0, Product.ACTIVE_UP, 30_000, min_w=min_w)
        helping = Item(3, 3, 0, Product.ACTIVE_DOWN, 32_000)
        harmless = Item(4, 3, 0, Product.REACTIVE_UP, 10)
        assert assess(model, p_w, q_var, [harming, helping, harmless]).allowed_w == (30_000, 32_000, 10)
        late = Item(6, 4, 0, Product.ACTIVE_UP, 40_000)
        allowed_w = assess(model, p_w, q_var, [harming, helping, late]).allowed_w
        assert allowed_w[:2] == (30_000, 32_000)
        assert 0 < allowed_w[2] < 40_000


def overloading() -> tuple[GridModel, Integers, Integers]:
    """A feeder that carries a little more than it is loaded with, in a slot and two after it."""
    return feeder(20_000, slots=3)


def test_a_violation_that_only_the_payback_brings_refuses_its_offer() -> None:
    model, p_w, q_var = overloading()
    honest = Item(0, 4, 0, Product.ACTIVE_UP, 10_000, payback_w=(-4_000, -4_000), offered_w=10_000)
    assert assess(model, p_w, q_var, [honest]).allowed_w == (10_000,)
    greedy = replace(honest, payback_w=(0, -200_000))
    case = (model, p_w, q_var, [greedy])
    assessment = assess(*case)
    (allowed_w,) = assessment.allowed_w
    assert 0 < allowed_w < 10_000
    (refusal,) = assessment.refusals
    assert (refusal.slot, refusal.item.slot) == (2, 0)
    assert refusal.sensitivity > 0
    assert (values_with(case, [allowed_w]) <= ceilings_of(case) + TOLERANCE).all()
    assert not (values_with(case, [allowed_w + 1]) <= ceilings_of(case) + TOLERANCE).all()


def test_a_payback_that_relieves_makes_room_for_others() -> None:
    model, p_w, q_var = overloading()
    loading = Item(1, 4, 1, Product.ACTIVE_DOWN, 50_000)
    alone = assess(model, p_w, q_var, [loading]).allowed_w[0]
    assert alone < 50_000
    relieving = Item(0, 4, 0, Product.ACTIVE_DOWN, 1_000, payback_w=(50_000,), offered_w=1_000)
    assert assess(model, p_w, q_var, [loading, relieving]).allowed_w == (50_000, 1_000)


def test_a_payback_has_its_offers_priority() -> None:
    model, p_w, q_var = overloading()
    paying = Item(0, 4, 0, Product.ACTIVE_UP, 10_000, payback_w=(-50_000,), offered_w=10_000)
    loading = Item(1, 4, 1, Product.ACTIVE_DOWN, 50_000)
    first = assess(model, p_w, q_var, [paying, loading])
    assert 0 < first.allowed_w[0] < 10_000
    assert first.allowed_w[1] == 0
    second = assess(model, p_w, q_var, [replace(paying, priority=2), loading])
    assert second.allowed_w[0] == 0
    assert 0 < second.allowed_w[1] < 50_000


def test_a_payback_is_in_proportion_to_what_is_allowed_rounded_down() -> None:
    model, p_w, q_var = overloading()
    payback = Item(0, 2, 0, Product.ACTIVE_UP, 7, payback_w=(-10, 10), offered_w=20)
    power = Case(Watch(model), p_w, q_var, [payback]).power_with(np.array([7]))
    assert (power[:, 2] - p_w[:, 2]).tolist() == [-7, 4, -3]


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
        ({"payback_w": (1,)}, "payback_w"),
        ({"offered_w": 0}, "offered_w"),
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


def test_refuses_uneven_blocks() -> None:
    model, p_w, q_var = feeder(1_000, slots=2)
    item = Item(0, 2, 0, Product.ACTIVE_UP, 10, block=1)
    with pytest.raises(InvalidInput, match="block"):
        assess(model, p_w, q_var, [item, replace(item, slot=1, accepted_w=11)])
