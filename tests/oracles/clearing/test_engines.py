"""Price priority in columns and offer by offer are one: the same outcome, leaf by leaf, of any book."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.book_documents import OfferEntry
from oracles.clearing.core import parts, plain
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.book import Book
from oracles.clearing.core.outcome import outcome_document
from oracles.clearing.core.parts import BookIndex, Extract, parts_of
from oracles.clearing.core.plain_kernels import KEY_SCALE, MOST_KEYED_UEUR, share_of
from oracles.clearing.core.price_priority import clear, clear_one_by_one
from oracles.clearing.core.state import Clearing, areas_of
from oracles.parallel import MapParts
from tests.examples import examples
from tests.oracles.clearing.books import ORACLE, SEED, TERMS, area, book_of, offer, pod, registry
from tests.oracles.clearing.challenger import Documents
from tests.oracles.clearing.test_honest_outcomes import AREAS, COVERAGE, OFFERS, PODS, books

A = TypeVar("A")
B = TypeVar("B")


def one_by_one(book: Book) -> Clearing:
    """The whole book cleared as one part, offer by offer."""
    return clear_one_by_one(Extract(list(book.offers), areas_of(book.requests), PODS, SEED))


PLAIN = OFFERS.map(
    lambda offers: [
        replace(each, min_power_w=0, duration_slots=1, last_slot=None, exclusive_group=0, linked_to=None)
        for each in offers
    ]
)


@st.composite
def plain_books(draw: st.DrawFn) -> Documents:
    """Books of divisible single offers only."""
    documents = book_of(draw(PLAIN) + draw(PLAIN), draw(AREAS), draw(AREAS))
    return [(replace(reveal, coverage_ueur=draw(COVERAGE)), document) for reveal, document in documents]


@examples(200)
@given(plain_books() | books())
def test_columns_give_the_same_as_offer_by_offer(documents: Documents) -> None:
    book = assemble(documents, PODS, TERMS)
    found, expected = clear(book, PODS, SEED), one_by_one(book)
    assert list(found.acceptances) == list(expected.acceptances)
    for name in ("status", "because", "start_slots"):
        assert list(getattr(found, name)) == list(getattr(expected, name)), name
    said, expected_said = (outcome_document(book, each, 1, ORACLE).to_bytes() for each in (found, expected))
    assert said == expected_said


def worked_by(threads: int) -> MapParts:
    def map_parts(function: Callable[[A], B], things: Iterable[A]) -> Iterator[B]:
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(function, things)

    return map_parts


@examples(40)
@given(plain_books() | books(), st.integers(1, 4), st.integers(1, 4))
def test_parts_and_workers_change_nothing(documents: Documents, offers: int, threads: int) -> None:
    book = assemble(documents, PODS, TERMS)
    whole = clear(book, PODS, SEED)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(parts, "OFFERS_A_PART", offers)
        assert clear(book, PODS, SEED, worked_by(threads)) == whole


@pytest.mark.parametrize("number", range(40))
def test_what_a_sample_says_of_prices_changes_nothing(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One PoD in ten is looked at first. They may be dearer than the others, as dear, or cheaper than what is needed costs."""
    chance = Random(number)
    pods = registry(64, limit_w=2500)
    prices = [[chance.randint(1, 9) * 1000 for _ in range(chance.choice((1, 4)))] for _ in range(2)]
    offers = [
        offer(pod_number, chance.randint(1, 2000), chance.choice(prices[pod_number % 10 == 0]), slot=slot)
        for pod_number in range(0, 60)
        for slot in (0, 1)
        for _ in range(chance.choice((1, 2)))
    ]
    effects = {each: chance.choice((1000, 500)) for each in range(0, 60)}
    needs = [area(chance.randint(1, 90_000), effects, cap=10_000, slot=slot) for slot in (0, 1)]
    for_tso = [area(chance.randint(1, 90_000), effects, cap=10_000, slot=slot) for slot in (0, 1)]
    book = assemble(book_of(offers, dso=needs, tso=for_tso), pods, TERMS)
    monkeypatch.setattr(plain, "SAMPLED_PODS", 6)
    monkeypatch.setattr(plain, "FEWEST_SAMPLED", 0)
    found = clear(book, pods, SEED)
    expected = clear_one_by_one(Extract(list(book.offers), areas_of(book.requests), pods, SEED))
    assert list(found.acceptances) == list(expected.acceptances)
    assert list(found.status) == list(expected.status)


@examples(60)
@given(plain_books(), st.randoms(use_true_random=False))
def test_the_order_of_input_changes_nothing(documents: Documents, chance: Random) -> None:
    shuffled, pods = documents.copy(), list(PODS.items())
    chance.shuffle(shuffled)
    chance.shuffle(pods)
    book, again = assemble(documents, PODS, TERMS), assemble(shuffled, dict(pods), TERMS)
    assert clear(again, dict(pods), SEED) == clear(book, PODS, SEED)


def villages(*more: OfferEntry) -> Book:
    """Two villages of two PoDs of one aggregator each, with a request in slots 0 and 1."""
    offers = [offer(number, 1000, 10_000, slot=slot) for number in (0, 2, 4, 6) for slot in (0, 1)]
    needs = [
        area(1500, dict.fromkeys(numbers, 1000), slot=slot) for numbers in ((0, 2), (4, 6)) for slot in (0, 1)
    ]
    return assemble(book_of([*offers, *more], dso=needs), PODS, TERMS)


def bound_pods(book: Book) -> list[set[bytes]]:
    """PoDs of each part that is cleared offer by offer."""
    extracts, _ = parts_of(BookIndex(book, PODS), PODS, SEED)
    return [{each.pod for each in extract.offers} for extract in extracts]


class TestAVillagesBlock:
    def test_leaves_the_others_to_the_columns(self) -> None:
        block = replace(offer(0, 500, 9_000), duration_slots=2)
        book = villages(block)
        assert bound_pods(book) == [{pod(0), pod(2)}]
        _, plain = parts_of(BookIndex(book, PODS), PODS, SEED)
        assert sorted(int(each) for part in plain for each in part.request) == [2, 3]

    def test_of_one_slot_leaves_its_other_slots_to_them(self) -> None:
        book = villages(offer(0, 500, 9_000, minimum_w=500))
        _, plain = parts_of(BookIndex(book, PODS), PODS, SEED)
        assert sorted(int(each) for part in plain for each in part.request) == [1, 2, 3]

    def test_binds_those_that_a_group_or_a_link_binds_to_it(self) -> None:
        assert bound_pods(villages()) == []
        alternatives = [replace(offer(number, 500, 9_000), exclusive_group=1) for number in (0, 4)]
        assert bound_pods(villages(*alternatives)) == [{pod(0), pod(2), pod(4), pod(6)}]
        linked = replace(offer(4, 500, 9_000), linked_to=0)
        assert bound_pods(villages(linked)) == [{pod(0), pod(2), pod(4), pod(6)}]


def test_prices_without_a_key_are_cleared_offer_by_offer() -> None:
    """Where a cap takes prices of 9 million € per kW, their merits don't fit 64 bits."""
    offers = [offer(number, 1000, 2**52 + number) for number in (0, 2)]
    book = assemble(book_of(offers, dso=[area(1500, {0: 1000, 2: 1000}, cap=2**53 - 1)]), PODS, TERMS)
    assert bound_pods(book) == [{pod(0), pod(2)}]
    assert [entry.offer.pod for entry in clear(book, PODS, SEED).acceptances] == [pod(0)]


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**42), st.integers(1, 2**62))
def test_shares_beyond_64_bits_are_exact(room_w: int, needed: int, more: int) -> None:
    offered = needed + more
    assert share_of(np.int64(room_w), np.int64(needed), np.int64(offered)) == room_w * needed // offered


@given(st.integers(0, MOST_KEYED_UEUR), st.integers(0, 1000), st.integers(1, 1000), st.integers(1, 1000))
def test_keys_tell_merits_apart(price: int, more: int, permille: int, other: int) -> None:
    near = (price * other // permille + more) if more < 3 else more
    if near <= MOST_KEYED_UEUR:
        by_key = (price * KEY_SCALE // permille, near * KEY_SCALE // other)
        merits = (Fraction(price, permille), Fraction(near, other))
        assert (by_key[0] < by_key[1], by_key[0] == by_key[1]) == (
            merits[0] < merits[1],
            merits[0] == merits[1],
        )
