"""Market days of Europe/Rome, those of the clock changes above all."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import (
    day_of_week,
    day_start_s,
    day_window,
    local_date,
    real_time_windows,
    slot_start_s,
    slots_of_day,
    wall_clock_interval,
)
from offchain.protocol.units import iso_to_unix_s

SHORT_DAY = date(2026, 3, 29)
LONG_DAY = date(2026, 10, 25)
PLAIN_DAY = date(2026, 6, 15)
days = st.dates(date(2000, 1, 1), date(2099, 12, 30))


def intervals(day: date) -> list[int]:
    """The wall clock's interval of every slot of a day."""
    start = day_start_s(day)
    return [wall_clock_interval(slot_start_s(start, slot)) for slot in range(slots_of_day(day))]


@pytest.mark.parametrize(("day", "slots"), [(SHORT_DAY, 92), (LONG_DAY, 100), (PLAIN_DAY, 96)])
def test_length_of_the_day(day: date, slots: int) -> None:
    assert slots_of_day(day) == slots
    assert day_window(day).slots == slots
    assert day_window(day).end_s == day_start_s(day + timedelta(days=1))


@pytest.mark.parametrize(
    ("day", "midnight"),
    [
        (SHORT_DAY, "2026-03-29T00:00:00+01:00"),
        (SHORT_DAY + timedelta(days=1), "2026-03-30T00:00:00+02:00"),
        (LONG_DAY, "2026-10-25T00:00:00+02:00"),
        (LONG_DAY + timedelta(days=1), "2026-10-26T00:00:00+01:00"),
    ],
)
def test_a_day_starts_at_local_midnight(day: date, midnight: str) -> None:
    assert day_start_s(day) == iso_to_unix_s("midnight", midnight)


def test_intervals_of_a_plain_day_are_its_slots() -> None:
    assert intervals(PLAIN_DAY) == list(range(96))


def test_intervals_of_the_short_day_skip_an_hour() -> None:
    assert intervals(SHORT_DAY) == [*range(8), *range(12, 96)]


def test_intervals_of_the_long_day_repeat_an_hour() -> None:
    assert intervals(LONG_DAY) == [*range(12), *range(8, 96)]


@pytest.mark.parametrize(("day", "first"), [(SHORT_DAY, 12), (LONG_DAY, 20), (PLAIN_DAY, 16)])
def test_real_time_windows(day: date, first: int) -> None:
    assert [window.slots for window in real_time_windows(day)] == [first, 16, 16, 16, 16, 16]


@given(days)
def test_real_time_windows_cover_the_day(day: date) -> None:
    windows = real_time_windows(day)
    assert windows[0].start_s == day_start_s(day)
    for before, after in pairwise(windows):
        assert before.end_s == after.start_s
    assert windows[-1].end_s == day_start_s(day + timedelta(days=1))
    assert [wall_clock_interval(window.start_s) for window in windows] == [0, 16, 32, 48, 64, 80]


@given(days, st.integers(0, 99))
def test_slots_belong_to_their_day(day: date, slot: int) -> None:
    if slot < slots_of_day(day):
        moment_s = slot_start_s(day_start_s(day), slot)
        assert local_date(moment_s) == day
        assert day_of_week(moment_s) == day.weekday()


def test_the_week_starts_on_monday_by_the_local_clock() -> None:
    # Monday 2026-06-15, 00:00 in Rome is still Sunday in UTC.
    start = iso_to_unix_s("start", "2026-06-14T22:00:00Z")
    assert (day_of_week(start), day_of_week(start - 1)) == (0, 6)


def test_only_quarter_hours_have_an_interval() -> None:
    with pytest.raises(InvalidInput, match="slot_start_s = 901: must be a multiple of 900"):
        wall_clock_interval(901)
