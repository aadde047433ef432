"""The forecast that learns: a weighted sum of simple forecasts, with the weights that would have been best of late.

The simple forecasts ("experts") of a quarter-hour are quantiles of the same time of similar days, the last such days, a
mean profile, and by how much the latest readings lie above that profile. Weights are learned for each series and lead
so that they minimise the mean of |real - forecast| / |real| (what KPI_IT_02 and KPI_IT_03 measure) over past issues of
the same horizon: least absolute deviations, solved by iteratively reweighted least squares, drawn towards the weights
that suit all series together. A forecast of least relative error lies below the mean where readings scatter: so a node is
forecast from the sum of its customers' readings, not by summing their forecasts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import (
    INTERVALS_PER_DAY,
    Window,
    day_start_s,
    day_window,
    local_date,
    real_time_windows,
)
from offchain.protocol.terms import SLOT_S
from oracles.grid.core.forecast.calendar import DayCalendar, DayKind, kinds_of, local_slots
from oracles.grid.core.forecast.history import Floats, History, first_finite, mean_of_known
from oracles.grid.core.network import Integers

MEMORY_DAYS = 56
"""How far back similar days are looked for."""
TRAINING_DAYS = 42
"""Past days whose issues weights are learned from."""
SHORTEST_MEMORY_DAYS = 7
"""Days that must lie before an issue that is learned from."""
LEAD_EDGES = (2, 4, 8, 16, 32)
"""Weights differ between these leads (slots from the issue to the start of the forecast slot)."""
_SHORT_LIFE_DAYS, _LONG_LIFE_DAYS = 7.0, 28.0
_QUANTILES = (
    (_SHORT_LIFE_DAYS, 0.5),
    (_LONG_LIFE_DAYS, 0.5),
    (_LONG_LIFE_DAYS, 0.25),
    (_LONG_LIFE_DAYS, 0.75),
)
_NEIGHBOURS = {-1: 0.6, 0: 1.0, 1: 0.6}
_RECENT_SLOTS = (1, 4, 16, 96, 672)
_SCALED_SLOTS = (4, 16, 96)
_MOST_SCALED = 3.0
EXPERTS = len(_QUANTILES) + 3 + len(_RECENT_SLOTS) + len(_SCALED_SLOTS)
_START = np.array([0.5, 0.5] + [0.0] * (EXPERTS - 2))
_FLOOR = 0.02
"""No reading weighs more than one of this share of its series' mean: a meter's near-zero isn't infinitely important."""
_ITERATIONS, _SMALLEST_ERROR, _RIDGE = 12, 0.01, 0.05


@dataclass(frozen=True)
class Horizon:
    """What is forecast at once, and when: the windows of a local day, each issued `lead_slots` before it starts."""

    name: str
    lead_slots: int = 0

    def __post_init__(self) -> None:
        if self.name not in ("24h", "4h"):
            raise InvalidInput("horizon.name", self.name, "must be '24h' or '4h'")
        if not 0 <= self.lead_slots <= 2 * INTERVALS_PER_DAY:
            raise InvalidInput("horizon.lead_slots", self.lead_slots, "must be between 0 and two days")

    def issues(self, until_s: int, days: int) -> Iterator[tuple[int, Window]]:
        """Issue instants and windows of the last `days` local days that have ended by `until_s`, in order."""
        last = local_date(until_s) - timedelta(days=1)
        for number in range(days - 1, -1, -1):
            day = last - timedelta(days=number)
            for window in [day_window(day)] if self.name == "24h" else real_time_windows(day):
                yield window.start_s - self.lead_slots * SLOT_S, window


@dataclass(frozen=True, eq=False)
class LoadModel:
    """`weights`: (leads, series, experts)."""

    weights: Floats

    def __post_init__(self) -> None:
        shape = self.weights.shape
        if len(shape) != 3 or (shape[0], shape[2]) != (len(LEAD_EDGES) + 1, EXPERTS):
            rule = f"must be of shape ({len(LEAD_EDGES) + 1}, series, {EXPERTS})"
            raise InvalidInput("model.weights", shape, rule)
        if not np.isfinite(self.weights).all():
            raise InvalidInput("model.weights", "NaN or infinite", "must be finite")

    def forecast(self, past: History, issue_s: int, window: Window, calendar: DayCalendar) -> Floats:
        """Net W of each series in the window (slots, series), from the readings that have ended by `issue_s`.

        Never beyond the range of the readings looked back on; NaN for a series without any.
        """
        if past.series != self.weights.shape[1]:
            raise InvalidInput("past.series", past.series, f"must be {self.weights.shape[1]}, as in training")
        memory = _memory(past, issue_s)
        weights = self.weights[_lead_group(issue_s, window)]
        value = np.einsum("tse,ets->ts", weights, experts(memory, window, calendar))
        low, high = _range(memory.power_w)
        within: Floats = np.clip(value, low, high)
        return within


def train_load_model(past: History, until_s: int, horizon: Horizon, calendar: DayCalendar) -> LoadModel:
    """Learn weights from the readings that have ended by `until_s`.

    At a lead that the horizon doesn't have, the weights are half of each median of similar days. Raises InvalidInput where they span less than SHORTEST_MEMORY_DAYS and a day.
    """
    past = past.until(until_s)
    earliest_s = past.start_s + SHORTEST_MEMORY_DAYS * INTERVALS_PER_DAY * SLOT_S
    issues = [
        (issue_s, window)
        for issue_s, window in horizon.issues(until_s, TRAINING_DAYS)
        if issue_s >= earliest_s and window.end_s <= past.end_s
    ]
    if not issues:
        days = (past.end_s - past.start_s) / (INTERVALS_PER_DAY * SLOT_S)
        raise InvalidInput("past", f"{days:.1f} days", f"must span {SHORTEST_MEMORY_DAYS + 1} days at least")
    said = np.concatenate(
        [experts(_memory(past, issue_s), window, calendar) for issue_s, window in issues], axis=1
    )
    real = np.concatenate([past.at(window.start_s, window.slots) for _, window in issues])
    group = np.concatenate([_lead_group(issue_s, window) for issue_s, window in issues])
    least = _FLOOR * np.nan_to_num(mean_of_known(np.abs(real), axis=0))
    share = 1.0 / np.maximum(np.maximum(np.nan_to_num(np.abs(real)), least), 1.0)
    usable = np.isfinite(real) & (real != 0) & np.isfinite(said).all(axis=0)
    inputs = np.where(usable, said * share, 0.0).transpose(2, 1, 0)
    targets = np.where(usable, real * share, 0.0).T
    weights = np.tile(_START, (len(LEAD_EDGES) + 1, past.series, 1))
    for lead in np.unique(group):
        rows, wanted = inputs[:, group == lead], targets[:, group == lead]
        pooled = _least_deviations(rows.reshape(1, -1, EXPERTS), wanted.reshape(1, -1), _START[np.newaxis])
        weights[lead] = _least_deviations(rows, wanted, np.tile(pooled, (past.series, 1)))
    return LoadModel(weights)


def experts(memory: History, window: Window, calendar: DayCalendar) -> Floats:
    """What each expert says of the window (experts, slots, series) on the readings of `memory`, all of the past."""
    known = local_slots(memory.start_s, len(memory.power_w))
    wall = np.full((len(known.days), INTERVALS_PER_DAY, memory.series), np.nan)
    wall[known.day, known.interval] = memory.power_w
    kind_known = kinds_of(calendar, known.days)
    profiles = np.stack([mean_of_known(wall[kind_known == kind], axis=0) for kind in DayKind])
    profiles = first_finite(profiles, mean_of_known(wall, axis=0), mean_of_known(memory.power_w, axis=0))

    target = local_slots(window.start_s, window.slots)
    out = np.empty((EXPERTS, window.slots, memory.series))
    for number, day in enumerate(target.days):
        slots = np.flatnonzero(target.day == number)
        interval = target.interval[slots]
        kind = calendar.kind(day)
        profile = profiles[kind][interval]
        ages = np.array([(day - other).days for other in known.days])
        similar = np.flatnonzero((kind_known == kind) & (ages > 0))
        said = _quantiles(wall, similar, ages, interval)
        weekday = similar[ages[similar] % 7 == 0]
        lasts = [_smoothed(wall, days[-1:], interval) for days in (similar, weekday)]
        for place, value in enumerate([*said, *lasts, profile]):
            out[place, slots] = first_finite(value, profile)
    usual = np.where(np.isfinite(memory.power_w), profiles[kind_known[known.day], known.interval], np.nan)
    excesses = [
        np.nan_to_num(mean_of_known((memory.power_w - usual)[-count:], axis=0)) for count in _RECENT_SLOTS
    ]
    scales = [_scale(memory.power_w[-count:], usual[-count:]) for count in _SCALED_SLOTS]
    profile = out[len(_QUANTILES) + 2]
    for place, value in enumerate([*excesses, *(scale * profile for scale in scales)]):
        out[len(_QUANTILES) + 3 + place] = value
    return out


def _memory(past: History, issue_s: int) -> History:
    first = local_date(issue_s) - timedelta(days=MEMORY_DAYS)
    return past.until(issue_s).since(day_start_s(first))


def _lead_group(issue_s: int, window: Window) -> Integers:
    leads = (window.start_s - issue_s) // SLOT_S + np.arange(window.slots)
    if leads[0] < 0:
        raise InvalidInput("issue_s", issue_s, f"must not be after the window's start, {window.start_s}")
    return np.searchsorted(LEAD_EDGES, leads, side="right")


def _quantiles(wall: Floats, similar: Integers, ages: Integers, interval: Integers) -> list[Floats]:
    """Weighted quantiles of the same and neighbouring quarter-hours of similar days (each of slots, series)."""
    shape = (len(interval), wall.shape[2])
    if not len(similar):
        return [np.full(shape, np.nan)] * len(_QUANTILES)
    flat = wall.reshape(-1, wall.shape[2])
    places = similar[:, np.newaxis] * INTERVALS_PER_DAY + interval
    values = np.concatenate([flat[np.clip(places + step, 0, len(flat) - 1)] for step in _NEIGHBOURS])
    least = _FLOOR * np.nan_to_num(mean_of_known(np.abs(flat), axis=0))
    importance = np.where(np.isfinite(values), 1.0 / np.maximum(np.maximum(np.abs(values), least), 1.0), 0.0)
    order = np.argsort(values, axis=0)
    values = np.take_along_axis(values, order, axis=0)
    out, cumulated = [], {}
    for life_days, quantile in _QUANTILES:
        if life_days not in cumulated:
            by_age = np.exp2(-ages[similar] / life_days)
            weight = np.concatenate([near * by_age for near in _NEIGHBOURS.values()])
            weighted = importance * weight[:, np.newaxis, np.newaxis]
            cumulated[life_days] = np.cumsum(np.take_along_axis(weighted, order, axis=0), axis=0)
        running = cumulated[life_days]
        place = (running >= quantile * running[-1]).argmax(axis=0)
        out.append(np.take_along_axis(values, place[np.newaxis], axis=0)[0])
    return out


def _smoothed(wall: Floats, days: Integers, interval: Integers) -> Floats:
    """Mean of a day's readings at and beside the intervals (slots, series); NaN without a day."""
    if not len(days):
        return np.full((len(interval), wall.shape[2]), np.nan)
    beside = [np.clip(interval + step, 0, INTERVALS_PER_DAY - 1) for step in _NEIGHBOURS]
    return mean_of_known(wall[days[0]][np.array(beside)], axis=0)


def _least_deviations(inputs: Floats, targets: Floats, prior: Floats) -> Floats:
    """Weights (series, experts) of least sum of |target - input . weights|, drawn towards `prior`.

    inputs: (series, rows, experts), targets: (series, rows). A row of zeros says nothing.
    """
    weights = prior
    for _ in range(_ITERATIONS):
        error = np.abs(targets - np.einsum("sre,se->sr", inputs, weights))
        scaled = inputs / np.maximum(error, _SMALLEST_ERROR)[:, :, np.newaxis]
        gram = scaled.transpose(0, 2, 1) @ inputs
        ridge = _RIDGE * np.einsum("see->se", gram) + 1e-9
        pulled = np.einsum("sre,sr->se", scaled, targets) + ridge * prior
        weights = np.linalg.solve(gram + ridge[:, :, np.newaxis] * np.eye(EXPERTS), pulled[:, :, np.newaxis])[
            :, :, 0
        ]
    return weights


def _scale(power_w: Floats, usual_w: Floats) -> Floats:
    """How many times the usual the latest readings are, within bounds; 1 where nothing is usual."""
    real, usual = np.nan_to_num(mean_of_known(power_w, axis=0)), np.nan_to_num(mean_of_known(usual_w, axis=0))
    return np.clip(np.where(usual != 0, real / np.where(usual != 0, usual, 1.0), 1.0), 0.0, _MOST_SCALED)


def _range(power_w: Floats) -> tuple[Floats, Floats]:
    seen = np.isfinite(power_w)
    some = seen.any(axis=0)
    low = np.where(some, np.where(seen, power_w, np.inf).min(axis=0, initial=np.inf), np.nan)
    high = np.where(some, np.where(seen, power_w, -np.inf).max(axis=0, initial=-np.inf), np.nan)
    return low, high
