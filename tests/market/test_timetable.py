"""A delivery day's seven sessions, on days of every length."""

from datetime import date

import pytest

from offchain.market.timetable import MarketRules, SessionKind, sessions_of_day
from offchain.protocol.market_time import day_start_s, slots_of_day
from offchain.protocol.terms import SLOT_S
from tests.chain.small_market import CAST

DAYS = [date(2027, 3, 28), date(2027, 6, 1), date(2027, 10, 31)]


@pytest.mark.parametrize(("day", "slots", "first"), zip(DAYS, (92, 96, 100), (12, 16, 20), strict=True))
def test_real_time_tiles_the_day(day: date, slots: int, first: int) -> None:
    ahead, *real_time = sessions_of_day(day)
    assert (ahead.deliveryStart, ahead.slots) == (day_start_s(day), slots)
    assert slots == slots_of_day(day)
    assert [terms.slots for terms in real_time] == [first, 16, 16, 16, 16, 16]
    starts = [terms.deliveryStart for terms in real_time]
    assert starts[0] == ahead.deliveryStart
    assert [terms.delivery_end_s for terms in real_time] == [*starts[1:], ahead.delivery_end_s]


@pytest.mark.parametrize("day", DAYS)
def test_gates_are_open_for_four_and_for_two_hours(day: date) -> None:
    sessions = sessions_of_day(day)
    assert [terms.marketType for terms in sessions] == list(SessionKind)
    open_s = [terms.gateClosure - terms.gateOpening for terms in sessions]
    assert open_s == [4 * 3600, *[2 * 3600] * 6]
    for terms in sessions:
        assert terms.validatedOutcomeDeadline + SLOT_S <= terms.deliveryStart
    assert sessions[0].validatedOutcomeDeadline <= sessions[1].baselineGate, (
        "day-ahead is known before real time"
    )


def test_a_market_has_rules_of_its_own() -> None:
    oracle = CAST.oracles["clearing"].address
    for terms in sessions_of_day(DAYS[0], MarketRules(clearing_oracle=oracle, receipts=3, settlement_s=3600)):
        assert (terms.clearingOracle, terms.receipts) == (oracle, 3)
        assert terms.settlementDeadline == terms.delivery_end_s + 3600
