"""Kinds of day by the Italian calendar, and quarter-hours by the clock of Rome."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import day_start_s, local_date, slots_of_day, wall_clock_interval
from offchain.protocol.terms import SLOT_S
from oracles.grid.core.forecast.calendar import DayKind, EveryDayAlike, HolidayCalendar, local_slots

ITALY = HolidayCalendar()


@pytest.mark.parametrize(
    "day",
    [
        date(2026, 1, 1),
        date(2026, 1, 6),
        date(2026, 4, 6),  # Easter Monday
        date(2027, 3, 29),  # Easter Monday
        date(2025, 4, 25),
        date(2026, 5, 1),
        date(2026, 6, 2),
        date(2025, 8, 15),
        date(2027, 11, 1),
        date(2026, 12, 8),
        date(2026, 12, 25),
        date(2028, 12, 26),
    ],
)
def test_italian_holidays_count_as_sundays(day: date) -> None:
    assert day.weekday() != 6
    assert ITALY.is_holiday(day)
    assert ITALY.kind(day) is DayKind.SUNDAY_OR_HOLIDAY


def test_other_days_go_by_the_week() -> None:
    kinds = [ITALY.kind(date(2026, 6, 8) + timedelta(days=number)) for number in range(7)]
    assert kinds == [DayKind.WEEKDAY] * 5 + [DayKind.SATURDAY, DayKind.SUNDAY_OR_HOLIDAY]
    # Whit Monday is a holiday in Germany, not in Italy.
    assert ITALY.kind(date(2026, 5, 25)) is DayKind.WEEKDAY
    assert HolidayCalendar("DE").kind(date(2026, 5, 25)) is DayKind.SUNDAY_OR_HOLIDAY


def test_a_plant_keeps_no_holidays() -> None:
    assert (
        len({EveryDayAlike().kind(date(2026, 12, 20) + timedelta(days=number)) for number in range(9)}) == 1
    )


def test_a_country_without_known_holidays_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"country = 'Atlantis'"):
        HolidayCalendar("Atlantis")


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25), date(2026, 6, 1)])
def test_days_of_clock_change_are_read_by_the_wall(day: date) -> None:
    slots = local_slots(day_start_s(day), slots_of_day(day))
    assert slots.days == (day,)
    expected = [
        wall_clock_interval(day_start_s(day) + number * SLOT_S) for number in range(slots_of_day(day))
    ]
    assert slots.interval.tolist() == expected


@given(start=st.integers(0, 35_000), count=st.integers(1, 400))
def test_each_slot_has_its_local_day_and_interval(start: int, count: int) -> None:
    start_s = day_start_s(date(2026, 1, 1)) + start * SLOT_S
    slots = local_slots(start_s, count)
    place = np.random.default_rng(start).integers(count)
    moment_s = start_s + int(place) * SLOT_S
    assert slots.days[slots.day[place]] == local_date(moment_s)
    assert slots.interval[place] == wall_clock_interval(moment_s)


def test_a_start_within_a_quarter_hour_is_refused() -> None:
    with pytest.raises(InvalidInput, match="start_s = 1: must be a multiple of 900"):
        local_slots(1, 4)
