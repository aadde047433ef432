"""What rolls over of the day-ahead offers, kind by kind."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.aggregator.roll_over import Leftover, merged, rolled_over
from offchain.market.timetable import SessionKind, sessions_of_day
from offchain.protocol.book_documents import OfferEntry, offers_document
from offchain.protocol.book_rules import check_document, check_offers, most_ueur
from offchain.protocol.leaves import OFFER
from offchain.protocol.products import OfferOption, Product, Side
from offchain.protocol.real_time import SoldPlaces
from offchain.protocol.terms import SessionTerms
from tests.oracles.clearing.books import AGGREGATORS, offer, pod, registry, salt

SESSIONS = [replace(terms, session=kind + 1) for kind, terms in enumerate(sessions_of_day(date(2027, 6, 1)))]
AHEAD, SECOND = SESSIONS[SessionKind.DAY_AHEAD], SESSIONS[SessionKind.REAL_TIME_2]
"""The second real-time session has the day's slots 16 to 31."""


def marked(slot: int = 20, number: int = 0, **other: object) -> OfferEntry:
    return replace(offer(number, 1000, 10_000, slot), real_time=True, **other)  # type: ignore[arg-type]


def rolls(
    offers: Sequence[OfferEntry],
    accepted_w: dict[int, int] | None = None,
    sold: SoldPlaces | None = None,
    barred: frozenset[int] = frozenset(),
    terms: SessionTerms = SECOND,
    ahead: SessionTerms = AHEAD,
) -> list[OfferEntry]:
    leaves = offers_document(1, AGGREGATORS[0], offers, salt).list_of(OFFER).records()
    leftovers = [Leftover(leaf, (accepted_w or {}).get(place, 0)) for place, leaf in enumerate(leaves)]
    return rolled_over(leftovers, ahead, terms, sold or {}, barred)


def test_a_marked_offer_that_nobody_took_as_it_was_but_for_its_slot() -> None:
    payback = (-500, -(2**31), 2**31 - 1, 0, 7, 0, 0, -1)
    made = marked(21, min_power_w=300, payback_w=payback)
    (rolled,) = rolls([made])
    assert rolled == replace(made, slot=5, last_slot=5)
    assert rolled.options == OfferOption.REAL_TIME


def test_not_what_isnt_marked_or_was_taken_or_may_not_be_offered_any_more() -> None:
    assert rolls([offer(0, 1000, 10_000, 20)]) == []
    assert rolls([marked(), marked(21)], accepted_w={0: 1}) == rolls([marked(21)])
    assert rolls([marked(), marked(21)], barred=frozenset({1})) == rolls([marked()])


@pytest.mark.parametrize(("slot", "own"), [(15, None), (16, 0), (31, 15), (32, None), (0, None), (95, None)])
def test_only_into_the_session_that_has_its_slot(slot: int, own: int | None) -> None:
    assert [entry.slot for entry in rolls([marked(slot)])] == ([] if own is None else [own])


@pytest.mark.parametrize(
    ("slot", "last_slot", "duration", "fits"),
    [(16, 16, 16, True), (16, 30, 2, True), (16, 31, 2, False), (15, 20, 2, False), (30, 30, 3, False)],
)
def test_a_block_only_with_every_slot_in_which_it_may_run(
    slot: int, last_slot: int, duration: int, fits: bool
) -> None:
    rolled = rolls([marked(slot, last_slot=last_slot, duration_slots=duration)])
    assert [(e.slot, e.last_slot, e.duration_slots) for e in rolled] == (
        [(slot - 16, last_slot - 16, duration)] if fits else []
    )


def test_what_was_sold_of_its_pod_leaves_it_no_place_or_another() -> None:
    sold = {(pod(0), 4, True): 0}
    assert rolls([marked(20)], sold=sold) == []
    assert rolls([marked(20, duration_slots=2)], sold=sold) == []
    assert len(rolls([marked(21), marked(20, number=2)], sold=sold)) == 2
    assert len(rolls([marked(20, product=Product.REACTIVE_UP)], sold=sold)) == 1
    assert len(rolls([marked(20, last_slot=21)], sold=sold)) == 1, "it may still run a slot later"


def test_a_group_of_which_nothing_was_taken_stays_one() -> None:
    group = [marked(20, exclusive_group=7), marked(21, exclusive_group=7), marked(40, exclusive_group=7)]
    assert [entry.exclusive_group for entry in rolls(group)] == [7, 7]
    assert rolls(group, accepted_w={2: 500}) == [], "its third one was taken, outside the session"
    assert len(rolls([*group, marked(22, exclusive_group=8)], accepted_w={0: 500})) == 1


def test_a_linked_one_with_the_other_or_not_at_all() -> None:
    offers = [offer(0, 1, 1, 20), marked(21), marked(22, linked_to=1), marked(23, linked_to=0)]
    assert [(entry.slot, entry.linked_to) for entry in rolls(offers)] == [(5, None), (6, 0)]
    assert rolls(offers, accepted_w={1: 1}) == [], "what it was linked to was taken"
    assert rolls(offers, barred=frozenset({1})) == []
    assert rolls([marked(40), marked(20, linked_to=0)]) == [], "the other one lies elsewhere"


@pytest.mark.parametrize("day", [date(2027, 3, 28), date(2027, 10, 31)])
def test_every_slot_of_a_day_with_a_clock_change_rolls_into_one_session(day: date) -> None:
    ahead, *real_time = sessions_of_day(day)
    offers = [marked(slot) for slot in range(ahead.slots)]
    found = []
    for terms in real_time:
        own = rolls(offers, terms=terms, ahead=ahead)
        assert [entry.slot for entry in own] == list(range(terms.slots))
        found += [terms.slot_start_s(entry.slot) for entry in own]
    assert found == [ahead.slot_start_s(slot) for slot in range(ahead.slots)]


def test_several_documents_become_one_with_links_and_groups_of_their_own() -> None:
    first = [marked(1, exclusive_group=4), marked(2, exclusive_group=4), marked(3, exclusive_group=5)]
    second = [marked(4), marked(5, exclusive_group=4), marked(6, linked_to=0)]
    one = merged([first, second, []])
    assert [entry.exclusive_group for entry in one] == [1, 1, 2, 0, 3, 0]
    assert [entry.linked_to for entry in one] == [None, None, None, None, None, 3]
    assert [replace(e, exclusive_group=0, linked_to=None) for e in one] == [
        replace(e, exclusive_group=0, linked_to=None) for e in (*first, *second)
    ]


ENTRIES = st.lists(
    st.builds(
        lambda slot, more, duration, group, link, real_time: replace(
            marked(slot, last_slot=slot + more, duration_slots=duration, exclusive_group=group),
            linked_to=link,
            real_time=real_time,
        ),
        st.integers(14, 32),
        st.sampled_from([0, 0, 1, 5]),
        st.sampled_from([1, 1, 2, 4]),
        st.sampled_from([0, 0, 1, 2]),
        st.sampled_from([None, None, 0, 1]),
        st.booleans(),
    ),
    max_size=8,
)


@given(
    ENTRIES, st.dictionaries(st.integers(0, 7), st.integers(1, 1000), max_size=2), st.sets(st.integers(0, 15))
)
def test_what_rolls_over_is_a_document_that_its_own_client_would_commit(
    entries: list[OfferEntry], accepted_w: dict[int, int], sold_slots: set[int]
) -> None:
    """Whatever there is: slots within the session, links to offers that aren't linked, nothing void."""
    offers = [
        replace(entry, linked_to=None) if entry.linked_to is None or entry.linked_to >= place else entry
        for place, entry in enumerate(entries)
    ]
    linked = {place for place, entry in enumerate(offers) if entry.linked_to is not None}
    offers = [replace(e, linked_to=None) if e.linked_to in linked else e for e in offers]
    sold = {(pod(0), slot, True): 0 for slot in sold_slots}
    rolled = merged([rolls(offers, accepted_w, sold), rolls(offers, accepted_w, sold)])
    document = offers_document(SECOND.session, AGGREGATORS[0], rolled, salt)
    check_document(document, Side.OFFER, AGGREGATORS[0], most_ueur(document, Side.OFFER, SECOND), SECOND)
    check_offers(document, AGGREGATORS[0], registry(4), SECOND)
    assert all(entry.real_time for entry in rolled)
