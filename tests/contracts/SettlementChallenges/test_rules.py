"""The contracts judge a delivery, and read the clock of Europe/Rome, as Python does (SPECIFICATION.md 23.x)."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from brownie import project
from brownie.test import given
from hypothesis import example
from hypothesis import strategies as st

from offchain.protocol.market_time import (
    day_of_week,
    day_start_s,
    local_date,
    slots_of_day,
    wall_clock_interval,
)
from offchain.protocol.products import DeliveryStatus
from offchain.protocol.terms import SLOT_S
from oracles.settlement.core.settle import judge
from tests.contracts.play import session_terms
from tests.examples import examples

POWER = st.integers(1, 2**32 - 1)
FIRST_S = int(datetime(1996, 10, 27, 1, tzinfo=UTC).timestamp())
"""Since then the whole Union changes its clocks on the same Sundays."""


@pytest.fixture(scope="module")
def harness(admin: Any) -> Any:
    return project.get_loaded_projects()[0].RulesHarness.deploy({"from": admin})


@given(
    accepted_w=POWER,
    more_w=st.integers(0, 2**31),
    delivered_w=st.one_of(st.integers(0, 2**35), st.integers(0, 20_000)),
    price=st.integers(0, 2**40),
    tolerance=st.integers(0, 1000),
    penalty=st.integers(0, 2**40),
)
@example(accepted_w=1000, more_w=0, delivered_w=700, price=1, tolerance=300, penalty=1)
@example(accepted_w=1000, more_w=0, delivered_w=699, price=1, tolerance=300, penalty=1)
@example(accepted_w=1000, more_w=0, delivered_w=1301, price=1, tolerance=300, penalty=1)
@example(accepted_w=2**32 - 1, more_w=0, delivered_w=2**35, price=2**40, tolerance=0, penalty=2**40)
@examples(200)
def test_judges_alike(
    harness: Any, accepted_w: int, more_w: int, delivered_w: int, price: int, tolerance: int, penalty: int
) -> None:
    terms = replace(session_terms(), tolerancePermille=tolerance, penaltyUeurPerKw=penalty)
    total_w = accepted_w + more_w
    expected = judge(accepted_w, total_w, delivered_w, DeliveryStatus.MEASURED, price, 0, terms)
    found = harness.judge(accepted_w, total_w, delivered_w, price, tolerance, penalty)
    assert tuple(found) == (expected.delivered_w, expected.payment_ueur, expected.penalty_ueur)


def slots_around_the_changes() -> list[int]:
    """Every slot of the days on which clocks change, and of the turn of each year, from 2024 to 2040."""
    out = []
    for year in range(2024, 2041):
        days = [date(year, month, day) for month in (3, 10) for day in range(25, 32)]
        days = [day for day in days if slots_of_day(day) != 96]
        for day in (*days, date(year, 1, 1), date(year, 2, 28), date(year, 3, 1), date(year, 12, 31)):
            out.extend(day_start_s(day) + SLOT_S * slot for slot in range(slots_of_day(day)))
    return out


def test_reads_the_clock_alike_whenever_it_changes(harness: Any) -> None:
    instants = slots_around_the_changes()
    assert len(instants) > 9_000
    for first in range(0, len(instants), 500):
        some = instants[first : first + 500]
        expected = [(day_of_week(instant), wall_clock_interval(instant)) for instant in some]
        assert [tuple(found) for found in harness.daysAndIntervals(some)] == expected
        assert list(harness.dayStarts(some)) == [day_start_s(local_date(instant)) for instant in some]


@given(quarters=st.lists(st.integers(FIRST_S // SLOT_S, 2**32 // SLOT_S), min_size=100, max_size=100))
def test_reads_the_clock_alike_at_any_quarter_hour(harness: Any, quarters: list[int]) -> None:
    instants = [SLOT_S * quarter for quarter in quarters]
    expected = [(day_of_week(instant), wall_clock_interval(instant)) for instant in instants]
    assert [tuple(found) for found in harness.daysAndIntervals(instants)] == expected
    assert list(harness.dayStarts(instants)) == [day_start_s(local_date(instant)) for instant in instants]
