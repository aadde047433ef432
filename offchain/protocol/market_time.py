"""Local market days of Europe/Rome: their quarter-hours, their real-time windows, and the wall clock then.

A slot is counted from local midnight in time that really passes: index 0 starts at midnight and each next one
a quarter-hour later. A day has 96 slots; the day of the change to summer time 92 (at index 8 the clock jumps
from 02:00 to 03:00), the day of the change back 100 (indices 8 to 11 and 12 to 15 are both 02:00 to 03:00 on
the clock).

Settlement mechanisms (D2.3 Table 23) have 96 intervals a day, whatever the day: their interval is what the
wall clock shows at the slot's start, hour * 4 + quarter. On the short day intervals 8 to 11 don't occur, on
the long day they occur twice; on other days interval and index are the same number.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from offchain.protocol.errors import InvalidInput
from offchain.protocol.terms import SLOT_S
from offchain.protocol.units import unix_s_to_datetime

MARKET_ZONE = ZoneInfo("Europe/Rome")
DAY_LENGTHS = (92, 96, 100)
"""Slots that a local day may have."""
REAL_TIME_HOURS = 4
REAL_TIME_LENGTHS = (12, 16, 20)
"""Slots that a real-time window may have."""
INTERVALS_PER_DAY = 96
"""Intervals of a settlement mechanism's day."""
DAYS_PER_WEEK = 7


@dataclass(frozen=True)
class Window:
    """Delivery window of a session: when its first slot starts (UTC Unix seconds), and how many it has."""

    start_s: int
    slots: int

    @property
    def end_s(self) -> int:
        """When its last slot ends."""
        return slot_start_s(self.start_s, self.slots)


def day_start_s(day: date) -> int:
    """Local midnight with which a day begins, in UTC Unix seconds."""
    return _local_s(day, 0)


def slots_of_day(day: date) -> int:
    """Quarter-hours of a local day: 92, 96 or 100."""
    return (day_start_s(day + timedelta(days=1)) - day_start_s(day)) // SLOT_S


def slot_start_s(day_start_s: int, slot: int) -> int:
    """When a slot starts, counted from the start of its day or window; UTC Unix seconds."""
    return day_start_s + slot * SLOT_S


def day_window(day: date) -> Window:
    """Delivery window of a day-ahead session: the whole local day."""
    return Window(day_start_s(day), slots_of_day(day))


def real_time_windows(day: date) -> tuple[Window, ...]:
    """Delivery windows of the six real-time sessions: four local hours each.

    16 slots; the first one 12 or 20 on a day of clock change, which is at two in the morning.
    """
    starts = [_local_s(day, hour) for hour in range(0, 24, REAL_TIME_HOURS)]
    ends = [*starts[1:], day_start_s(day + timedelta(days=1))]
    return tuple(Window(start, (end - start) // SLOT_S) for start, end in zip(starts, ends, strict=True))


def local_date(moment_s: int) -> date:
    """The local day to which a moment (UTC Unix seconds) belongs."""
    return _local(moment_s).date()


def day_of_week(moment_s: int) -> int:
    """Local day of the week of a moment (UTC Unix seconds): 0 is Monday, as mechanisms count."""
    return _local(moment_s).weekday()


def wall_clock_interval(slot_start_s: int) -> int:
    """A mechanism's interval, 0 to 95, of the slot that starts then: local hour * 4 + quarter.

    Raises InvalidInput unless a quarter-hour starts then (UTC Unix seconds).
    """
    if slot_start_s % SLOT_S:
        raise InvalidInput("slot_start_s", slot_start_s, f"must be a multiple of {SLOT_S}")
    local = _local(slot_start_s)
    return local.hour * 4 + local.minute // 15


def _local(moment_s: int) -> datetime:
    return unix_s_to_datetime(moment_s).astimezone(MARKET_ZONE)


def _local_s(day: date, hour: int) -> int:
    local = datetime(day.year, day.month, day.day, hour, tzinfo=MARKET_ZONE)
    return int(local.astimezone(UTC).timestamp())
