"""Creating sessions (SPECIFICATION.md 3.x)."""

from dataclasses import replace
from typing import Any

import pytest

from offchain.protocol.terms import SLOT_S, SessionTerms
from tests.contracts.chain import next_block_at, now_s, refused
from tests.contracts.play import as_struct, session_terms

DEADLINES = (
    "baselineGate",
    "gateOpening",
    "gateClosure",
    "revealDeadline",
    "documentsDeadline",
    "marketOutcomeDeadline",
    "validatedOutcomeDeadline",
)


def create(market: Any, sender: Any, terms: SessionTerms) -> Any:
    return market.MarketSessions.create(as_struct(terms), {"from": sender})


def test_keeps_the_terms(market: Any, operator: Any) -> None:
    terms = session_terms()
    tx = create(market, operator, terms)
    assert tx.events["SessionCreated"]["session"] == 1
    assert tx.events["SessionCreated"]["terms"] == as_struct(terms)
    assert market.MarketSessions.terms(1) == as_struct(terms)
    assert market.MarketSessions.count() == 1
    assert market.MarketSessions.sessionAt(0, terms.deliveryStart) == 1
    assert market.MarketSessions.deliveryEnd(1) == terms.delivery_end_s


@pytest.mark.parametrize(("market_type", "slots"), [(0, 92), (0, 96), (0, 100), (1, 12), (3, 16), (6, 20)])
def test_takes_days_and_hours_of_every_length(
    market: Any, operator: Any, market_type: int, slots: int
) -> None:
    terms = session_terms(marketType=market_type, slots=slots)
    deadline = terms.delivery_end_s + 1
    create(market, operator, replace(terms, settlementDeadline=deadline))


@pytest.mark.parametrize(("market_type", "slots"), [(0, 95), (0, 16), (0, 0), (1, 96), (6, 15)])
def test_refuses_other_lengths(market: Any, operator: Any, market_type: int, slots: int) -> None:
    with refused("MarketSessionsWrongSlots", market_type, slots):
        create(market, operator, session_terms(marketType=market_type, slots=slots))


def test_refuses_an_eighth_market(market: Any, operator: Any) -> None:
    with refused("MarketSessionsUnknownMarketType", 7):
        create(market, operator, session_terms(marketType=7, slots=16))


def test_refuses_a_start_between_quarter_hours(market: Any, operator: Any) -> None:
    start = session_terms().deliveryStart + 1
    with refused("MarketSessionsDeliveryStartNotOnQuarterHour", start):
        create(market, operator, session_terms(deliveryStart=start))


@pytest.mark.parametrize("place", range(len(DEADLINES) - 1))
def test_deadlines_increase_strictly(market: Any, operator: Any, place: int) -> None:
    terms = session_terms()
    earlier, later = DEADLINES[place : place + 2]
    instant = getattr(terms, earlier)
    with refused("MarketSessionsDeadlinesNotIncreasing", instant, instant):
        create(market, operator, replace(terms, **{later: instant}))


def test_is_created_before_its_baseline_gate(market: Any, operator: Any) -> None:
    terms = session_terms()
    next_block_at(terms.baselineGate)
    with refused("MarketSessionsTooLate", terms.baselineGate, terms.baselineGate):
        create(market, operator, terms)
    terms = session_terms(baselineGate=now_s() + 5)
    next_block_at(terms.baselineGate - 1)
    create(market, operator, terms)


def test_set_points_have_15_minutes(market: Any, operator: Any) -> None:
    terms = session_terms()
    latest = terms.deliveryStart - SLOT_S
    with refused("MarketSessionsNoTimeForSetPoints", latest + 1, terms.deliveryStart):
        create(market, operator, replace(terms, validatedOutcomeDeadline=latest + 1))
    create(market, operator, replace(terms, validatedOutcomeDeadline=latest))


def test_settlement_follows_delivery(market: Any, operator: Any) -> None:
    terms = session_terms()
    end = terms.delivery_end_s
    with refused("MarketSessionsSettlementBeforeDeliveryEnd", end, end):
        create(market, operator, replace(terms, settlementDeadline=end))
    create(market, operator, replace(terms, settlementDeadline=end + 1))


@pytest.mark.parametrize("field", ["tolerancePermille", "bondPermille"])
def test_a_share_is_at_most_the_whole(market: Any, operator: Any, field: str) -> None:
    with refused("MarketSessionsPermilleAbove1000", field, 1001):
        create(market, operator, session_terms(**{field: 1001}))
    create(market, operator, session_terms(**{field: 1000}))


def test_a_quarter_hour_is_sold_once_in_each_market(market: Any, operator: Any) -> None:
    terms = session_terms()
    create(market, operator, terms)
    with refused("MarketSessionsExists", 1):
        create(market, operator, terms)
    create(market, operator, replace(terms, marketType=1, slots=16))
    assert market.MarketSessions.count() == 2


def test_only_an_operator_creates(market: Any, dso: Any) -> None:
    with refused("ParticipantRegistryMissingRole", dso, 9):
        create(market, dso, session_terms())
