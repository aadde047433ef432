"""An emergency pause moves what is still to come, and nothing that is owed (SPECIFICATION.md 3.x)."""

from typing import Any

import pytest

from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import next_block_at, refused, travel_to
from tests.contracts.play import EURO, OFFER, as_struct, commit, reveal, sealed, session_terms

OPEN, REVEAL = 2, 3


@pytest.fixture
def paused(market: Any, terms: SessionTerms, admin: Any) -> SessionTerms:
    """The session, paused from 100 s to 400 s after its gate opened."""
    next_block_at(terms.gateOpening + 100)
    market.MarketSessions.pause({"from": admin})
    next_block_at(terms.gateOpening + 400)
    market.MarketSessions.resume({"from": admin})
    return terms


def test_the_clock_stands_still_and_never_goes_back(market: Any, terms: SessionTerms, admin: Any) -> None:
    sessions, session = market.MarketSessions, terms.session
    next_block_at(terms.gateOpening + 100)
    sessions.pause({"from": admin})
    assert sessions.paused()
    assert sessions.marketTime(session) == terms.gateOpening + 100
    travel_to(terms.gateOpening + 399)
    assert sessions.marketTime(session) == terms.gateOpening + 100
    next_block_at(terms.gateOpening + 400)
    tx = sessions.resume({"from": admin})
    assert tx.events["Resumed"]["lengthS"] == 300
    assert sessions.marketTime(session) == terms.gateOpening + 100
    travel_to(terms.gateOpening + 410)
    assert sessions.marketTime(session) == terms.gateOpening + 110


def test_what_the_clock_showed_at_any_instant_is_known(
    market: Any, terms: SessionTerms, admin: Any, operator: Any
) -> None:
    """Two pauses, a session of the time between them, and a third pause that holds."""
    sessions, session, start = market.MarketSessions, terms.session, terms.baselineGate
    shown = {}

    def look(instant: int) -> None:
        travel_to(instant)
        shown[instant] = sessions.marketTime(session)

    look(start - 50)
    for begins, ends in ((start, start + 300), (start + 400, start + 500)):
        next_block_at(begins)
        sessions.pause({"from": admin})
        shown[begins] = sessions.marketTime(session)
        look(begins + 99)
        next_block_at(ends)
        sessions.resume({"from": admin})
        shown[ends] = sessions.marketTime(session)
        look(ends + 99)
        if begins == start:
            later = session_terms(deliveryStart=terms.deliveryStart + 900 * 96, settlementDeadline=terms.settlementDeadline + 900 * 96)  # fmt: skip
            sessions.create(as_struct(later), {"from": operator})
            after_first = sessions.marketTime(session + 1)
    next_block_at(start + 700)
    sessions.pause({"from": admin})
    look(start + 900)
    assert {instant: sessions.marketTimeAt(session, instant) for instant in shown} == shown
    assert shown[start + 900] == start + 300
    assert sessions.marketTimeAt(session + 1, start + 399) == after_first
    assert sessions.marketTimeAt(session + 1, start + 900) == start + 600


def test_a_pause_lengthens_the_open_window_by_its_length(
    market: Any, paused: SessionTerms, aggregator: Any
) -> None:
    session = paused.session
    next_block_at(paused.gateClosure + 299)
    commit(market, session, sealed(aggregator, OFFER, EURO))
    next_block_at(paused.gateClosure + 300)
    with refused("MarketSessionsNotInPhase", session, OPEN, REVEAL):
        commit(market, session, sealed(aggregator, OFFER, EURO, "late"))
    reveal(market, session, sealed(aggregator, OFFER, EURO))


def test_a_pause_reopens_nothing(market: Any, terms: SessionTerms, admin: Any, aggregator: Any) -> None:
    next_block_at(terms.gateClosure + 10)
    market.MarketSessions.pause({"from": admin})
    next_block_at(terms.gateClosure + 5000)
    market.MarketSessions.resume({"from": admin})
    with refused("MarketSessionsNotInPhase", terms.session, OPEN, REVEAL):
        commit(market, terms.session, sealed(aggregator, OFFER, EURO))


def test_a_pause_moves_no_delivery(market: Any, paused: SessionTerms) -> None:
    sessions, session = market.MarketSessions, paused.session
    travel_to(paused.deliveryStart - 900)
    assert not sessions.tooLateForSetPoints(session)
    travel_to(paused.deliveryStart - 899)
    assert sessions.tooLateForSetPoints(session)
    assert sessions.deliveryEnd(session) == paused.delivery_end_s


def test_a_later_session_doesnt_count_an_earlier_pause(
    market: Any, paused: SessionTerms, operator: Any
) -> None:
    later = session_terms(deliveryStart=paused.deliveryStart + 900 * 96, settlementDeadline=paused.settlementDeadline + 900 * 96)  # fmt: skip
    market.MarketSessions.create(as_struct(later), {"from": operator})
    travel_to(later.gateOpening)
    assert market.MarketSessions.marketTime(paused.session + 1) == later.gateOpening
    assert market.MarketSessions.terms(paused.session + 1)["pausedBeforeS"] == 300


def test_only_administrators_pause(market: Any, terms: SessionTerms, admin: Any, operator: Any) -> None:
    with refused("AccessManagedUnauthorized", operator):
        market.MarketSessions.pause({"from": operator})
    with refused("MarketSessionsNotPaused"):
        market.MarketSessions.resume({"from": admin})
    next_block_at(terms.baselineGate)
    market.MarketSessions.pause({"from": admin})
    with refused("AccessManagedUnauthorized", operator):
        market.MarketSessions.resume({"from": operator})
    with refused("MarketSessionsPaused", terms.baselineGate):
        market.MarketSessions.pause({"from": admin})


def test_what_is_free_is_withdrawn_in_a_pause(market: Any, terms: SessionTerms, admin: Any, dso: Any) -> None:
    market.MarketSessions.pause({"from": admin})
    before = market.Euro.balanceOf(dso)
    market.Vault.withdraw(7, {"from": dso})
    assert market.Euro.balanceOf(dso) == before + 7


def test_nothing_is_created_in_a_pause(market: Any, terms: SessionTerms, admin: Any, operator: Any) -> None:
    next_block_at(terms.baselineGate)
    market.MarketSessions.pause({"from": admin})
    with refused("MarketSessionsPaused", terms.baselineGate):
        market.MarketSessions.create(as_struct(session_terms()), {"from": operator})
