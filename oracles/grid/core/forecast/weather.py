"""Weather as a forecast takes it: series of quarter-hours, checked, with short gaps bridged."""

from dataclasses import dataclass, fields

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.terms import SLOT_S
from oracles.grid.core.forecast.history import Floats

BRIDGED_SLOTS = 4
"""Gaps up to an hour are interpolated; beyond, a plant is forecast from its history."""
_LIMITS = {
    "ghi_w_per_m2": (0.0, 1500.0),
    "dni_w_per_m2": (0.0, 1500.0),
    "dhi_w_per_m2": (0.0, 1500.0),
    "temperature_c": (-60.0, 60.0),
    "wind_m_per_s": (0.0, 80.0),
    "pressure_pa": (50_000.0, 110_000.0),
}


@dataclass(frozen=True, eq=False)
class Weather:
    """Means of consecutive quarter-hours from `start_s` (UTC Unix seconds) on at one place; NaN where there is a gap.

    Irradiance is global horizontal, direct normal and diffuse horizontal; the latter two are derived where they
    aren't given. Temperature of the air and wind speed are those at the heights that the plants' models say.
    """

    start_s: int
    ghi_w_per_m2: Floats | None = None
    dni_w_per_m2: Floats | None = None
    dhi_w_per_m2: Floats | None = None
    temperature_c: Floats | None = None
    wind_m_per_s: Floats | None = None
    pressure_pa: Floats | None = None

    def __post_init__(self) -> None:
        if self.start_s % SLOT_S:
            raise InvalidInput("weather.start_s", self.start_s, f"must be a multiple of {SLOT_S}")
        lengths = set()
        for name, (low, high) in _LIMITS.items():
            values = getattr(self, name)
            if values is None:
                continue
            lengths.add(len(values))
            wrong = np.flatnonzero((values < low) | (values > high))
            if len(wrong):
                place = int(wrong[0])
                rule = f"must be between {low:g} and {high:g}, or NaN"
                raise InvalidInput(f"weather.{name}[{place}]", float(values[place]), rule)
        if len(lengths) > 1:
            raise InvalidInput("weather", sorted(lengths), "all series must be of one length")
        if (self.dni_w_per_m2 is None) != (self.dhi_w_per_m2 is None):
            raise InvalidInput("weather.dni_w_per_m2", None, "must be given together with dhi_w_per_m2")

    def at(self, start_s: int, slots: int) -> "Weather":
        """The quarter-hours of a window, gaps of up to BRIDGED_SLOTS bridged; NaN where there is nothing."""
        values: dict[str, Floats | None] = {}
        for field in fields(self)[1:]:
            series = getattr(self, field.name)
            if series is not None:
                bridged = _bridged(series)
                wanted = (start_s - self.start_s) // SLOT_S + np.arange(slots)
                inside = (wanted >= 0) & (wanted < len(bridged))
                series = np.where(inside, bridged[np.clip(wanted, 0, max(0, len(bridged) - 1))], np.nan)
            values[field.name] = series
        return Weather(start_s, **values)


def _bridged(series: Floats) -> Floats:
    known = np.flatnonzero(np.isfinite(series))
    if not len(known):
        return series
    places = np.arange(len(series))
    after = np.searchsorted(known, places)
    before = np.maximum(after - 1, 0)
    inner = (after > 0) & (after < len(known))
    gap = known[np.minimum(after, len(known) - 1)] - known[before] - 1
    short = inner & (gap <= BRIDGED_SLOTS)
    return np.where(
        np.isfinite(series), series, np.where(short, np.interp(places, known, series[known]), np.nan)
    )
