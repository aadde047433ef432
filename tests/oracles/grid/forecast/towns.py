"""Made-up readings for the forecast's tests: weekdays, Saturdays and Sundays differ, seasons too, and there is noise."""

from datetime import date, timedelta

import numpy as np

from offchain.protocol.market_time import day_start_s
from oracles.grid.core.forecast.calendar import HolidayCalendar, kinds_of, local_slots
from oracles.grid.core.forecast.forecaster import Unit
from oracles.grid.core.forecast.history import History

FIRST_DAY = date(2026, 2, 2)
START_S = day_start_s(FIRST_DAY)
LEVELS = np.array([1.0, 0.7, 0.5])

UNITS = (
    Unit("home 1", "household", 3000),
    Unit("shop", "commerce", 20_000),
    Unit("mill", "hydro", 10_000),
)


def instant_s(days: int) -> int:
    """Local midnight so many days after the first one."""
    return day_start_s(FIRST_DAY + timedelta(days=days))


def readings(days: int, *, noise: float = 0.05, seed: int = 1) -> History:
    """Readings of UNITS for so many local days."""
    count = (instant_s(days) - START_S) // 900
    slots = local_slots(START_S, count)
    kind = kinds_of(HolidayCalendar(), slots.days)[slots.day]
    hour = slots.interval / 4
    home = 300 + 400 * np.exp(-(((hour - 19) / 3) ** 2)) + 100 * (kind == 2)
    shop = 2000 + 8000 * LEVELS[kind] * ((hour >= 8) & (hour < 19))
    mill = -6000 + 1000 * np.sin(slots.day / 20)
    draw = np.random.default_rng(seed).normal(1.0, noise, (count, 3))
    return History(START_S, np.rint(np.column_stack([home, shop, mill]) * draw))
