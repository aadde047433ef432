"""Three typical profiles of each customer and month: weekday, Saturday, Sunday and holidays."""

from dataclasses import dataclass

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import INTERVALS_PER_DAY, Window
from oracles.grid.core.forecast.calendar import DayCalendar, DayKind, kinds_of, local_slots
from oracles.grid.core.forecast.history import Floats, History, first_finite, mean_of_known

MONTHS = 12


@dataclass(frozen=True, eq=False)
class TypicalProfiles:
    """`power_w`: (months, kinds of day, intervals of the wall clock, series); NaN for a series without any reading."""

    power_w: Floats

    def __post_init__(self) -> None:
        shape = (MONTHS, len(DayKind), INTERVALS_PER_DAY)
        if self.power_w.ndim != 4 or self.power_w.shape[:3] != shape:
            raise InvalidInput(
                "profiles.power_w", self.power_w.shape, f"must be of shape {(*shape, 'series')}"
            )

    def at(self, window: Window, calendar: DayCalendar) -> Floats:
        """Typical net W in a window (slots, series)."""
        slots = local_slots(window.start_s, window.slots)
        months = np.array([day.month - 1 for day in slots.days])
        power_w: Floats = self.power_w[
            months[slots.day], kinds_of(calendar, slots.days)[slots.day], slots.interval
        ]
        return power_w


def learn_typical_profiles(past: History, calendar: DayCalendar) -> TypicalProfiles:
    """Mean readings of each month, kind of day and interval.

    A month without readings of a kind has the profile of the last month before it that has some (December comes
    before January); an interval without has the mean of the series.
    """
    slots = local_slots(past.start_s, len(past.power_w))
    month = np.array([day.month - 1 for day in slots.days], dtype=np.int64)[slots.day]
    kind = kinds_of(calendar, slots.days)[slots.day]
    shape = (MONTHS, len(DayKind), INTERVALS_PER_DAY, past.series)
    total, count = np.zeros(shape), np.zeros(shape)
    known = np.isfinite(past.power_w)
    np.add.at(total, (month, kind, slots.interval), np.where(known, past.power_w, 0.0))
    np.add.at(count, (month, kind, slots.interval), known)
    seen = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    earlier = [np.roll(seen, step, axis=0) for step in range(1, MONTHS)]
    return TypicalProfiles(first_finite(seen, *earlier, mean_of_known(past.power_w, axis=0)))
