"""The contract takes a whole day's sessions, on days of every length (SPECIFICATION.md 3.x)."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from offchain.market.timetable import SessionKind, sessions_of_day
from tests.contracts.chain import refused, travel_to
from tests.contracts.play import as_struct


@pytest.mark.parametrize("day", [date(2027, 3, 28), date(2027, 6, 1), date(2027, 10, 31)], ids=str)
def test_a_days_seven_sessions(market: Any, operator: Any, day: date) -> None:
    contract, sessions = market.MarketSessions, sessions_of_day(day)
    travel_to(sessions[0].baselineGate - 60)
    for terms in sessions:
        contract.create(as_struct(terms), {"from": operator})
        number = contract.count()
        assert contract.terms(number) == as_struct(terms)
        assert contract.sessionAt(terms.marketType, terms.deliveryStart) == number
        with refused("MarketSessionsExists", number):
            contract.create(as_struct(terms), {"from": operator})
    last = sessions[SessionKind.REAL_TIME_6]
    travel_to(last.gateOpening)
    assert contract.phase(contract.count()) == 2


@pytest.mark.parametrize(("kind", "slots"), [(0, 16), (0, 95), (1, 96), (6, 15), (6, 24)])
def test_other_lengths_are_refused(market: Any, operator: Any, kind: int, slots: int) -> None:
    terms = replace(sessions_of_day(date(2027, 6, 1))[kind], slots=slots)
    with refused("MarketSessionsWrongSlots", kind, slots):
        market.MarketSessions.create(as_struct(terms), {"from": operator})
