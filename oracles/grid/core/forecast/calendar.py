"""Local days as demand sees them: which kind of day it is, and what the wall clock shows in each quarter-hour."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from functools import lru_cache
from typing import Protocol

import holidays
import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import (
    INTERVALS_PER_DAY,
    day_start_s,
    local_date,
    wall_clock_interval,
)
from offchain.protocol.terms import SLOT_S
from oracles.grid.core.network import Integers

SATURDAY, SUNDAY = 5, 6


class DayKind(IntEnum):
    """The three kinds of day that have a typical profile of their own."""

    WEEKDAY = 0
    SATURDAY = 1
    SUNDAY_OR_HOLIDAY = 2


class DayCalendar(Protocol):
    """What kind of day a day is to what is forecast."""

    def kind(self, day: date) -> DayKind:
        """The kind of a local day."""


class EveryDayAlike:
    """The calendar of plants: sun, wind and water keep no holidays."""

    def kind(self, day: date) -> DayKind:
        """The same for every day."""
        return DayKind.WEEKDAY


@dataclass(frozen=True)
class HolidayCalendar:
    """National holidays of a country, by its ISO 3166 code: Italy's unless said otherwise."""

    country: str = "IT"

    def __post_init__(self) -> None:
        if self.country not in holidays.list_supported_countries():
            raise InvalidInput("country", self.country, "must be an ISO 3166 code with known holidays")

    def is_holiday(self, day: date) -> bool:
        """Whether a day is a national holiday."""
        return day in _holidays(self.country, day.year)

    def kind(self, day: date) -> DayKind:
        """The kind of a local day; a holiday counts as a Sunday."""
        if day.weekday() == SUNDAY or self.is_holiday(day):
            return DayKind.SUNDAY_OR_HOLIDAY
        return DayKind.SATURDAY if day.weekday() == SATURDAY else DayKind.WEEKDAY


@dataclass(frozen=True, eq=False)
class LocalSlots:
    """Consecutive quarter-hours on the local clock.

    `days`: the local days that they touch; `day`: index of its day for each quarter-hour; `interval`: what the wall
    clock shows at its start, hour * 4 + quarter. A short day has no intervals 8 to 11, a long day has them twice.
    """

    days: tuple[date, ...]
    day: Integers
    interval: Integers


def local_slots(start_s: int, slots: int) -> LocalSlots:
    """The quarter-hours from an instant on (UTC Unix seconds). Raises InvalidInput unless one starts then."""
    if start_s % SLOT_S:
        raise InvalidInput("start_s", start_s, f"must be a multiple of {SLOT_S}")
    first = local_date(start_s)
    count = (local_date(start_s + max(0, slots - 1) * SLOT_S) - first).days + 1
    days = tuple(first + timedelta(days=number) for number in range(count))
    midnights_s = np.array([day_start_s(day) for day in (*days, days[-1] + timedelta(days=1))])
    starts_s = start_s + SLOT_S * np.arange(slots)
    day = np.searchsorted(midnights_s, starts_s, side="right") - 1
    interval = (starts_s - midnights_s[day]) // SLOT_S
    for number in np.flatnonzero(np.diff(midnights_s) != INTERVALS_PER_DAY * SLOT_S):
        changing = np.flatnonzero(day == number)
        interval[changing] = [wall_clock_interval(int(moment_s)) for moment_s in starts_s[changing]]
    return LocalSlots(days, day, interval)


def kinds_of(calendar: DayCalendar, days: Iterable[date]) -> Integers:
    """The kind of each day, as integers."""
    return np.array([calendar.kind(day) for day in days], dtype=np.int64)


@lru_cache(maxsize=64)
def _holidays(country: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, years=year))
