"""The aggregator's part in real time, by itself: once a session, whenever it is killed, and by no other way than any player's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from offchain.chain.client import ChainClient
from offchain.protocol.book_documents import offers_document
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.leaves import BASELINE, OFFER
from offchain.protocol.lists import Record
from offchain.protocol.products import Side
from offchain.protocol.typed_data import NoticeKind
from oracles.session_facts import baseline_documents, book_documents
from scripts.demo.cast import Person
from tests.chain.real_time_day import (
    AHEAD_OFFERS,
    FRESH,
    SECOND_SESSION,
    RealTimeDay,
    before_opening,
    offer,
    with_fresh_offer,
)
from tests.chain.small_market import CAST, FIRST, SECOND, TERMS, pod, prepared
from tests.chain.workers import shared_folder
from tests.market.desk import Desk, leaf_salt, open_desk, played


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(shared_folder(tmp_path_factory) / "small-market")


def book_ahead(desk: Desk) -> None:
    RealTimeDay(desk).book_ahead()


@pytest.fixture
def day(original: Path, tmp_path: Path) -> Iterator[RealTimeDay]:
    """The day-ahead market outcome is due."""
    with open_desk(played(original, "ahead-booked", book_ahead, before_opening), tmp_path) as desk:
        yield RealTimeDay(desk)


def commitments_of(day: RealTimeDay, person: Person, session: int = SECOND_SESSION) -> int:
    return sum(entry.player == person.address for entry in day.market.view.commitments(session))


def offers_of(day: RealTimeDay, person: Person) -> list[Record]:
    """What stands in the real-time book."""
    return [
        leaf
        for reveal, document in book_documents(day.market.view, day.market.documents, SECOND_SESSION)
        if reveal.player == person.address and document is not None
        for leaf in document.list_of(OFFER).records()
    ]


def places(leaves: list[Record]) -> list[tuple[bytes, int]]:
    return [(leaf.word("pod"), leaf.integer("slot")) for leaf in leaves]


def test_without_a_day_ahead_result_all_that_is_marked_rolls_over_once(day: RealTimeDay) -> None:
    """The day-ahead session ends empty: nothing was accepted, and nothing sold. Nothing rolls where nothing lies."""
    day.roll_over()
    day.step()
    for person in CAST.aggregators:
        assert commitments_of(day, person) == 1
        assert commitments_of(day, person, SECOND_SESSION + 1) == 0
    day.book_real_time()
    day.step()
    for person, offered in AHEAD_OFFERS.items():
        marked = [(entry.pod, entry.slot - 16) for entry in offered if entry.real_time]
        assert places(offers_of(day, person)) == marked


def test_nothing_rolls_over_before_the_day_ahead_result_is_fixed(day: RealTimeDay) -> None:
    day.until(TERMS.validatedOutcomeDeadline - 60)
    day.step()
    assert day.market.view.notices(NoticeKind.BASELINE, SECOND_SESSION) == []
    day.until(TERMS.validatedOutcomeDeadline)
    day.step()
    assert len(day.market.view.notices(NoticeKind.BASELINE, SECOND_SESSION)) == len(CAST.aggregators)


def test_its_baseline_is_anchored_once_for_what_isnt_sold_and_the_day_aheads_stands(day: RealTimeDay) -> None:
    """PoDs 0 and 2 were sold in slot 4 (20 of the day); both sessions' baselines are their own."""
    day.validate(TERMS)
    day.roll_over()
    day.step()
    view, documents = day.market.view, day.market.documents
    found = dict(baseline_documents(view, documents, day.terms))
    leaves = found[FIRST.address].list_of(BASELINE).records()
    assert set(places(leaves)) == {(pod(n), s) for n in (0, 2) for s in range(16) if s != 4}
    assert len(found[SECOND.address].list_of(BASELINE)) == 2 * 16
    assert len(view.notices(NoticeKind.BASELINE, SECOND_SESSION)) == 2
    assert baseline_documents(view, documents, TERMS) == []


def test_what_it_newly_offers_stands_in_the_same_document(day: RealTimeDay) -> None:
    day.validate(TERMS)
    with_fresh_offer(day)
    day.roll_over()
    day.book_real_time()
    assert commitments_of(day, FIRST) == 1
    assert places(offers_of(day, FIRST)) == [(pod(0), 5), (FRESH.pod, FRESH.slot)]


def test_what_was_prequalified_no_more_doesnt_roll_over_and_keeps_back_no_other(day: RealTimeDay) -> None:
    day.market.speaking_as(CAST.dso).send("PodRegistry", "suspend", pod(1), "meter broken")
    day.validate(TERMS)
    day.roll_over()
    day.book_real_time()
    assert places(offers_of(day, SECOND)) == [(pod(3), 5)]


def test_an_aggregator_that_offered_by_hand_has_spoken(day: RealTimeDay) -> None:
    day.roll_over_until_gate()
    own = offers_document(SECOND_SESSION, FIRST.address, [offer(0, 7, 1_000, 1)], leaf_salt)
    day.desk.client(FIRST).commit(own, Side.OFFER, day.terms.gateClosure)
    day.step()
    assert commitments_of(day, FIRST) == 1
    assert commitments_of(day, SECOND) == 1


def test_a_bad_offer_of_its_own_is_named_and_stops_nobody_else(day: RealTimeDay) -> None:
    day.plans[FIRST].fresh[SECOND_SESSION] = [offer(1, 7, 1_000, 1)]
    day.roll_over_until_gate()
    with pytest.raises(FlexledgerError, match="is offered by its aggregator only"):
        day.step()
    assert commitments_of(day, FIRST) == 0


@pytest.mark.parametrize("function", ["notarise", "commitFor"])
def test_killed_after_any_transaction_it_does_nothing_twice(
    day: RealTimeDay, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """Right after the chain has it, before the platform hears so."""
    send = ChainClient.send

    def send_and_die(self: ChainClient, contract: str, name: str, *arguments: object) -> object:
        mined = send(self, contract, name, *arguments)
        if name == function:
            raise FlexledgerError("killed")
        return mined

    with monkeypatch.context() as patch:
        patch.setattr(ChainClient, "send", send_and_die)
        with pytest.raises(FlexledgerError):
            day.roll_over()
    day.roll_over()
    for person in CAST.aggregators:
        assert commitments_of(day, person) == 1
    assert len(day.market.view.notices(NoticeKind.BASELINE, SECOND_SESSION)) == len(CAST.aggregators)
