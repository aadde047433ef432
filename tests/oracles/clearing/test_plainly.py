"""Price priority against a plain implementation of its rules, and what else must hold of every method on any book."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from offchain.protocol.book_documents import Area, OfferEntry
from offchain.protocol.products import ClearingMethod, Side
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.book import Book
from oracles.clearing.core.price_priority import clear
from oracles.clearing.core.session import SEVERAL_OBJECTIVES, clear_session
from oracles.clearing.core.state import Clearing
from tests.examples import examples
from tests.oracles.clearing.books import ORACLE, SEED, TERMS, area, book_of, offer, pod, renumbered
from tests.oracles.clearing.challenger import Documents
from tests.oracles.clearing.plain_price_priority import clear_plainly
from tests.oracles.clearing.test_honest_outcomes import PODS, books
from tests.oracles.clearing.test_nsga2 import QUICK
from tests.oracles.clearing.test_several_objectives import (
    DIVISIBLE,
    EFFECTS,
    SEVERAL,
    WHOLE,
    every_result,
    legal,
    one_area,
)


@examples(200)
@given(books(), st.integers(0, 255))
def test_takes_what_the_plain_rules_take(documents: Documents, seed: int) -> None:
    """Blocks, groups, links, minima, ties, limits, caps, cover, both sides and directions: to the W."""
    book = assemble(documents, PODS, TERMS)
    found = clear(book, PODS, bytes([seed] * 32))
    taken = {(each.request.position, each.offer.position): each.accepted_w for each in found.acceptances}
    assert taken == clear_plainly(book, PODS, bytes([seed] * 32))


@examples(150)
@given(WHOLE, EFFECTS, st.lists(st.sampled_from([0, 1500, 3000]), min_size=2, max_size=3))
def test_what_nsga2_takes_is_one_of_the_results_that_enumeration_finds(
    offers: list[OfferEntry], effects: dict[int, int], reliefs_w: list[int]
) -> None:
    assume(legal(offers))
    book = assemble(book_of(offers, dso=[one_area(effects, reliefs_w)]), PODS, TERMS)
    clearing, _ = SEVERAL_OBJECTIVES[ClearingMethod.NSGA2](book, PODS, SEED, QUICK)
    took = {(entry.offer.position, entry.request.position) for entry in clearing.acceptances}
    assert took in [
        {(each.position, request.position) for each, run in result for request in run}
        for result in every_result(book)
    ]


@pytest.mark.parametrize("method", SEVERAL_OBJECTIVES)
@examples(25)
@given(offers=DIVISIBLE, dso=SEVERAL, tso=SEVERAL)
def test_the_dso_is_never_worse_because_of_the_tso(
    method: ClearingMethod, offers: list[OfferEntry], dso: list[Area], tso: list[Area]
) -> None:
    def for_dso(documents: Documents) -> list[tuple[bytes, int]]:
        found, _ = SEVERAL_OBJECTIVES[method](assemble(documents, PODS, TERMS), PODS, SEED, QUICK)
        mine = (entry for entry in found.acceptances if entry.request.side is Side.DSO_REQUEST)
        return [(entry.offer.leaf_hash, entry.accepted_w) for entry in mine]

    assert for_dso(book_of(offers, dso, tso)) == for_dso(book_of(offers, dso))


@pytest.mark.parametrize("method", ClearingMethod)
@pytest.mark.parametrize("minimum_w", [0, 1001])
def test_who_committed_first_is_irrelevant_by_every_method(method: ClearingMethod, minimum_w: int) -> None:
    """Two aggregators' offers that all tie, of which two and a half are needed, and half of one in reserve."""
    terms = replace(TERMS, method=method)
    effects = dict.fromkeys(range(6), 1000)
    offers = [offer(number, 1001, 10_000, minimum_w=minimum_w) for number in effects]
    documents = book_of(offers, dso=[area(2503, effects, reserve_permille=450)])
    for seed in range(3):
        found = [
            clear_session(renumbered(order), PODS, bytes([seed] * 32), terms, ORACLE, QUICK).clearing
            for order in (documents, documents[::-1])
        ]
        taken = [
            {(entry.offer.pod, entry.accepted_w) for entry in entries}
            for clearing in found
            for entries in (clearing.acceptances, clearing.reserve)
        ]
        assert taken[:2] == taken[2:]
        assert all(taken)


# One more divisible offer in a divisible book. An area alone: where several share PoDs, the first one's gain may be the
# second one's loss.

PLAIN = st.lists(
    st.builds(
        offer, st.integers(0, 5), st.integers(1, 3000), st.integers(0, 4).map(lambda step: 10_000 * step)
    ),
    min_size=1,
    max_size=10,
)


def relief(clearing: Clearing) -> int:
    """Relief served, W times per mille."""
    return sum(w * permille for w, permille, _ in steps(clearing))


def steps(clearing: Clearing) -> list[tuple[int, int, int]]:
    """(W, per mille, µ€/kW) of what is taken, in merit order."""
    return [
        (entry.accepted_w, entry.request.effectiveness[entry.offer.pod][0], entry.price_ueur_per_kw)
        for entry in clearing.acceptances
    ]


def cost_of(clearing: Clearing, amount: int) -> Fraction:
    """What the first `amount` of relief (W times per mille) costs, in thousandths of µ€."""
    cost, left = Fraction(0), amount
    for w, permille, price in steps(clearing):
        used = min(left, w * permille)
        cost += Fraction(used * price, permille)
        left -= used
    assert left == 0, "it serves as much"
    return cost


@examples(100)
@given(
    PLAIN,
    st.dictionaries(st.integers(0, 5), st.integers(1, 1000), min_size=1),
    st.integers(0, 9000),
    st.builds(
        offer, st.integers(0, 5), st.integers(1, 3000), st.integers(0, 4).map(lambda step: 10_000 * step)
    ),
)
def test_one_more_divisible_offer_lowers_no_amount_and_raises_no_cost(
    offers: list[OfferEntry], effects: dict[int, int], relief_w: int, more: OfferEntry
) -> None:
    """Price priority serves as much, short of one W's effect, and what both serve costs no more."""

    def cleared(entries: list[OfferEntry]) -> Clearing:
        return clear(book(entries), PODS, SEED)

    def book(entries: list[OfferEntry]) -> Book:
        return assemble(book_of(entries, dso=[one_area(effects, [relief_w])]), PODS, TERMS)

    before, after = cleared(offers), cleared([*offers, more])
    assert relief(after) > relief(before) - max(effects.values())
    both = min(relief(before), relief(after))
    assert cost_of(after, both) <= cost_of(before, both)


def test_where_areas_share_a_pod_one_more_offer_may_serve_less() -> None:
    """Why that is said of an area alone: the cheap step fills the PoD's limit for the first area, which had another."""
    offers = [offer(0, 3000, 20_000), offer(2, 3000, 30_000)]
    dso = [one_area({0: 1000, 2: 1000}, [3000]), one_area({2: 1000}, [3000])]
    before, after = (
        clear(assemble(book_of(entries, dso=dso), PODS, TERMS), PODS, SEED)
        for entries in (offers, [*offers, replace(offer(2, 3000, 10_000), pod=pod(2))])
    )
    assert (relief(before), relief(after)) == (6_000_000, 3_000_000)
