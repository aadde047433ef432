"""Price priority: who is taken, at which price, in which order, and why the others aren't."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.book_documents import OfferEntry
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import OFFER
from offchain.protocol.products import OfferStatus, Product, Side
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.book import Book
from oracles.clearing.core.price_priority import clear
from oracles.clearing.core.state import Clearing
from tests.examples import examples
from tests.oracles.clearing.books import (
    AGGREGATORS,
    PLENTY_UEUR,
    SEED,
    TERMS,
    area,
    book_of,
    delivered_ueur_per_kw,
    offer,
    pod,
    registry,
    renumbered,
    reveal_of,
)

PODS = registry(64)


def cleared(book_documents: list, seed: bytes = SEED, pods: dict | None = None) -> tuple[Book, Clearing]:
    facts = PODS if pods is None else pods
    book = assemble(book_documents, facts, TERMS)
    return book, clear(book, facts, seed)


def taken(clearing: Clearing) -> dict[bytes, int]:
    out: Counter[bytes] = Counter()
    for entry in clearing.acceptances:
        out[entry.offer.pod] += entry.accepted_w
    return dict(out)


def status_of(book: Book, clearing: Clearing, number: int) -> OfferStatus:
    (position,) = [entry.position for entry in book.offers if entry.pod == pod(number)]
    return clearing.status[position]


def test_cheapest_first_and_the_last_one_in_part() -> None:
    offers = [offer(0, 4000, 30_000), offer(1, 4000, 10_000), offer(2, 4000, 20_000)]
    book, clearing = cleared(book_of(offers, dso=[area(6000, {0: 1000, 1: 1000, 2: 1000})]))
    assert taken(clearing) == {pod(1): 4000, pod(2): 2000}
    assert [entry.offer.pod for entry in clearing.acceptances] == [pod(1), pod(2)]
    assert status_of(book, clearing, 1) is OfferStatus.ACCEPTED
    assert status_of(book, clearing, 2) is OfferStatus.PARTLY_ACCEPTED
    assert status_of(book, clearing, 0) is OfferStatus.COM_DEARER


def test_merit_is_price_over_effectiveness() -> None:
    offers = [offer(0, 4000, 10_000), offer(1, 4000, 15_000)]
    _, clearing = cleared(book_of(offers, dso=[area(2000, {0: 500, 1: 1000})]))
    assert taken(clearing) == {pod(1): 2000}


def test_amounts_count_times_effectiveness_and_never_pass_the_relief() -> None:
    _, clearing = cleared(book_of([offer(0, 9000, 10_000)], dso=[area(1000, {0: 300})]))
    assert taken(clearing) == {pod(0): 3333}


def test_the_dso_is_served_before_a_tso_that_committed_first_or_last() -> None:
    offers = [offer(0, 5000, 10_000), offer(1, 5000, 20_000)]
    everyone = {0: 1000, 1: 1000}
    tso = [area(10_000, everyone)]
    _, clearing = cleared(book_of(offers, dso=[area(5000, everyone)], tso=tso))
    by_side = {entry.request.side: entry.offer.pod for entry in clearing.acceptances}
    assert by_side == {Side.DSO_REQUEST: pod(0), Side.TSO_REQUEST: pod(1)}
    documents = book_of(offers, dso=[area(5000, everyone)], tso=tso)
    _, swapped = cleared(renumbered(documents[::-1]))
    assert {e.request.side: e.offer.pod for e in swapped.acceptances} == by_side


def test_price_cap_refuses_what_is_dearer_than_the_request_pays() -> None:
    book, clearing = cleared(book_of([offer(0, 1000, 10_001)], dso=[area(1000, {0: 1000}, cap=10_000)]))
    assert taken(clearing) == {}
    assert status_of(book, clearing, 0) is OfferStatus.COM_NOT_NEEDED


def test_divisible_ties_are_shared_pro_rata() -> None:
    offers = [offer(0, 6000, 10_000), offer(1, 2000, 10_000)]
    _, clearing = cleared(book_of(offers, dso=[area(4000, {0: 1000, 1: 1000})]))
    assert taken(clearing) == {pod(0): 3000, pod(1): 1000}


def test_the_indivisible_rest_of_a_tie_goes_by_the_seed() -> None:
    offers = [offer(0, 1000, 10_000), offer(2, 1000, 10_000)]
    winners = set()
    for number in range(20):
        _, clearing = cleared(
            book_of(offers, dso=[area(3, {0: 1000, 2: 1000})]), seed=keccak256(b"%d" % number)
        )
        assert sum(taken(clearing).values()) == 3
        winners.add(max(taken(clearing), key=lambda entry: taken(clearing)[entry]))
    assert winners == {pod(0), pod(2)}


def test_an_all_or_nothing_offer_is_passed_over_when_less_is_needed() -> None:
    offers = [offer(0, 5000, 10_000, minimum_w=5000), offer(1, 5000, 20_000)]
    book, clearing = cleared(book_of(offers, dso=[area(3000, {0: 1000, 1: 1000})]))
    assert taken(clearing) == {pod(1): 3000}
    assert status_of(book, clearing, 0) is OfferStatus.COM_MINIMUM


def test_a_pod_is_never_taken_in_both_directions_of_a_slot() -> None:
    offers = [offer(0, 5000, 10_000), offer(0, 5000, 10_000, product=Product.ACTIVE_DOWN)]
    tso = [area(1000, {0: 1000}, product=Product.ACTIVE_DOWN)]
    _, clearing = cleared(book_of(offers, dso=[area(1000, {0: 1000})], tso=tso))
    assert [entry.request.side for entry in clearing.acceptances] == [Side.DSO_REQUEST]
    assert clearing.status[1] is OfferStatus.COM_EXCLUDED


def test_price_steps_of_a_pod_stay_within_its_limit() -> None:
    offers = [offer(0, 800, 10_000), offer(0, 800, 20_000)]
    pods = registry(64, limit_w=1000)
    _, clearing = cleared(book_of(offers, dso=[area(5000, {0: 1000})]), pods=pods)
    assert [entry.accepted_w for entry in clearing.acceptances] == [800, 200]


def test_void_offers_count_for_nothing_and_keep_their_positions() -> None:
    foreign = replace(offer(1, 1000, 1), pod=pod(1))
    documents = book_of([offer(0, 1000, 10_000)], dso=[area(2000, {0: 1000, 1: 1000})])
    reveal, document = documents[1]
    assert document is not None
    rows = [list(document.lists[0].row(0)) for _ in range(3)]
    for position, row in enumerate(rows):
        row[0], row[1] = position, 3
    rows[0][2] = foreign.pod
    rows[1][2] = keccak256(b"unknown")
    leaves = type(document.lists[0]).of_rows(OFFER, rows)
    documents[1] = reveal_of(2, reveal.player, Side.OFFER, replace(document, lists=(leaves,)))
    _, clearing = cleared(documents)
    assert list(clearing.status) == [
        OfferStatus.VOID,
        OfferStatus.VOID,
        OfferStatus.ACCEPTED,
    ]
    assert [entry.offer.position for entry in clearing.acceptances] == [2]


def test_a_document_that_cannot_be_read_is_void_and_the_others_go_on() -> None:
    documents = book_of(
        [offer(0, 1000, 10_000), offer(1, 1000, 20_000)], dso=[area(2000, {0: 1000, 1: 1000})]
    )
    documents[1] = (documents[1][0], None)
    book, clearing = cleared(documents)
    assert taken(clearing) == {pod(1): 1000}
    assert clearing.status == (OfferStatus.VOID, OfferStatus.ACCEPTED)
    assert list(book.void_documents) == [2]


def test_a_document_beyond_its_cap_is_void() -> None:
    documents = book_of([offer(0, 1000, 10_000)], dso=[area(2000, {0: 1000})])
    reveal, document = documents[1]
    documents[1] = (replace(reveal, cap_ueur=reveal.cap_ueur - 1), document)
    book, clearing = cleared(documents)
    assert clearing.acceptances == ()
    assert "capUeur" in book.void_documents[2]


def test_offers_count_as_far_as_collateral_covers_their_penalty() -> None:
    documents = book_of(
        [offer(0, 1000, 10_000), offer(2, 1000, 10_000)], dso=[area(5000, {0: 1000, 2: 1000})]
    )
    reveal, document = documents[1]
    documents[1] = (replace(reveal, coverage_ueur=150_000), document)
    book, _ = cleared(documents)
    assert [entry.counted_w for entry in book.offers] == [1000, 500]
    documents[1] = (replace(reveal, coverage_ueur=100_000), document)
    assert cleared(documents)[1].status == (OfferStatus.ACCEPTED, OfferStatus.UNCOVERED)


def test_requests_count_as_far_as_escrow_covers_them() -> None:
    documents = book_of([offer(0, 9000, 10_000)], dso=[area(4000, {0: 1000}, cap=10_000)])
    documents[0] = (replace(documents[0][0], coverage_ueur=25_000), documents[0][1])
    _, clearing = cleared(documents)
    assert taken(clearing) == {pod(0): 2500}


def test_a_pod_at_its_limit_excludes_its_dearer_steps_and_says_by_which_entry() -> None:
    offers = [offer(0, 1000, 10_000), offer(0, 1000, 20_000), offer(1, 500, 30_000)]
    pods = registry(64, limit_w=1000)
    _, clearing = cleared(book_of(offers, dso=[area(5000, {0: 1000, 1: 1000})]), pods=pods)
    assert clearing.status == (OfferStatus.ACCEPTED, OfferStatus.COM_EXCLUDED, OfferStatus.ACCEPTED)
    assert clearing.because == (0, 1, 0)


def test_what_nobody_asked_for_is_not_needed_even_of_a_pod_at_its_limit() -> None:
    offers = [offer(0, 1000, 10_000), offer(0, 1000, 20_000)]
    pods = registry(64, limit_w=1000)
    _, clearing = cleared(book_of(offers, dso=[area(5000, {0: 1000}, cap=15_000)]), pods=pods)
    assert clearing.status == (OfferStatus.ACCEPTED, OfferStatus.COM_NOT_NEEDED)


def test_void_offers_name_the_leaf_that_breaks_a_rule() -> None:
    offers = [offer(0, 1000, 10_000), offer(0, 200_000, 10_000), offer(2, 1000, 10_000)]
    book, clearing = cleared(book_of(offers))
    assert clearing.because == (0, 2, 0)
    assert [entry.cover_ueur for entry in book.offers] == [100_000, 100_000, 200_000]
    outside = [offer(0, 1000, 10_000), offer(2, 1000, 10_000, slot=TERMS.slots)]
    assert cleared(book_of(outside))[1].because == (2, 2), "one leaf outside the session voids the document"
    documents = book_of([offer(0, 1000, 10_000)])
    documents[0] = (replace(documents[0][0], cap_ueur=0), documents[0][1])
    assert cleared(documents)[1].because == (0,), "no leaf voids a document beyond its cap"


def test_a_pod_is_offered_for_products_that_it_is_prequalified_for() -> None:
    pods = {**PODS, pod(0): replace(PODS[pod(0)], products=1 << Product.ACTIVE_DOWN)}
    book, _ = cleared(book_of([offer(0, 1000, 10_000)]), pods=pods)
    assert book.offers[0].void is OfferStatus.VOID


def test_of_several_leaves_for_a_pod_the_most_effective_up_to_1000_counts() -> None:
    needs = area(1000, {0: 300})
    needs = replace(needs, effectiveness=[(pod(0), 300), (pod(0), 800), (pod(0), 800), (pod(0), 1001)])
    book, _ = cleared(book_of([], dso=[needs]))
    assert book.requests[0].effectiveness == {pod(0): (800, 2, 0)}


def test_a_document_that_is_missing_from_the_book_is_noticed() -> None:
    documents = book_of([offer(0, 1000, 10_000), offer(1, 1000, 10_000)])
    with pytest.raises(InvalidInput, match="first_position"):
        assemble(documents[1:], PODS, TERMS)


NUMBERS = st.integers(0, 7)
OFFERS = st.lists(
    st.builds(
        offer,
        NUMBERS,
        st.integers(1, 5000),
        st.integers(0, 4).map(lambda step: step * 10_000),
        st.integers(0, 1),
        st.sampled_from([Product.ACTIVE_UP, Product.ACTIVE_DOWN]),
    ),
    max_size=12,
)
AREAS = st.lists(
    st.builds(
        area,
        st.integers(0, 9000),
        st.dictionaries(NUMBERS, st.integers(1, 1000), max_size=8),
        st.integers(0, 60_000),
        st.integers(0, 1),
        st.sampled_from([Product.ACTIVE_UP, Product.ACTIVE_DOWN]),
        st.just(0),
        st.dictionaries(NUMBERS, st.sampled_from([1, 5_000, 10_000, 20_000]), max_size=4),
    ),
    max_size=3,
)


@examples(150)
@given(OFFERS, AREAS, AREAS)
def test_invariants_of_any_book(offers: list[OfferEntry], dso: list, tso: list) -> None:
    documents = book_of(offers, dso, tso)
    book, clearing = cleared(documents)
    by_offer: Counter[int] = Counter()
    by_request: Counter[int] = Counter()
    for entry in clearing.acceptances:
        permille = entry.request.effectiveness[entry.offer.pod].permille
        assert entry.accepted_w > 0
        assert (entry.offer.slot, entry.offer.product) == (entry.request.slot, entry.request.product)
        delivered = delivered_ueur_per_kw(entry.offer, entry.request)
        assert delivered * 1000 <= entry.request.price_cap_ueur_per_kw * permille
        by_offer[entry.offer.position] += entry.accepted_w
        by_request[entry.request.position] += entry.accepted_w * permille
    for position, amount_w in by_offer.items():
        assert amount_w <= book.offers[position].power_w
    for request in book.requests:
        assert by_request[request.position] <= request.relief_w * 1000
    _assert_no_cheaper_one_was_refused(book, clearing)
    shuffled, again = cleared(list(reversed(documents)))
    assert (shuffled, again) == (book, clearing)


def _assert_no_cheaper_one_was_refused(book: Book, clearing: Clearing) -> None:
    for entry in clearing.acceptances:
        permille = entry.request.effectiveness[entry.offer.pod].permille
        for other in book.offers:
            same_place = (other.slot, other.product) == (entry.request.slot, entry.request.product)
            if clearing.status[other.position] is OfferStatus.COM_DEARER and same_place:
                if other.pod not in entry.request.effectiveness:
                    continue
                theirs = entry.request.effectiveness[other.pod].permille
                costs = [delivered_ueur_per_kw(each, entry.request) for each in (other, entry.offer)]
                assert costs[0] * permille >= costs[1] * theirs, (other, entry)


@examples(100)
@given(OFFERS, AREAS, AREAS)
def test_the_dso_is_never_worse_because_of_the_tso(offers: list[OfferEntry], dso: list, tso: list) -> None:
    def for_dso(clearing: Clearing) -> list[tuple[bytes, int]]:
        mine = (entry for entry in clearing.acceptances if entry.request.side is Side.DSO_REQUEST)
        return [(entry.offer.leaf_hash, entry.accepted_w) for entry in mine]

    assert for_dso(cleared(book_of(offers, dso, tso))[1]) == for_dso(cleared(book_of(offers, dso))[1])


def test_aggregators_and_coverage_of_the_fixture_are_what_the_tests_think() -> None:
    assert PODS[pod(0)].aggregator == AGGREGATORS[0]
    assert PODS[pod(1)].aggregator == AGGREGATORS[1]
    assert all(reveal.coverage_ueur == PLENTY_UEUR for reveal, _ in book_of([offer(0, 1, 1)]))
