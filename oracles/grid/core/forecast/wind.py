"""Wind power from a turbine's power curve, corrected for the air's density."""

from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

import numpy as np

from offchain.protocol.errors import InvalidInput
from oracles.grid.core.forecast.history import Floats
from oracles.grid.core.forecast.weather import Weather

REFERENCE_DENSITY_KG_PER_M3 = 1.225
DRY_AIR_J_PER_KG_K = 287.05
ZERO_CELSIUS_K = 273.15


@dataclass(frozen=True)
class WindTurbine:
    """A power curve at 1.225 kg/m³: W at wind speeds (m/s) that rise from cut-in to cut-out.

    `hub_m` and `measured_m`: heights of the hub and of the weather's wind speed; wind rises with height to the power of
    `shear`.
    """

    speeds_m_per_s: tuple[float, ...]
    powers_w: tuple[float, ...]
    hub_m: float
    measured_m: float = 10.0
    shear: float = 1 / 7

    def __post_init__(self) -> None:
        speeds, powers = self.speeds_m_per_s, self.powers_w
        if len(speeds) < 2 or len(speeds) != len(powers):
            raise InvalidInput(
                "wind.powers_w", len(powers), "must be as many as speeds_m_per_s, two at least"
            )
        if not all(isfinite(value) for value in (*speeds, *powers, self.hub_m, self.measured_m, self.shear)):
            raise InvalidInput("wind", (speeds, powers), "must be finite")
        if speeds[0] < 0 or any(late <= early for early, late in pairwise(speeds)):
            raise InvalidInput("wind.speeds_m_per_s", speeds, "must rise, from 0 or more")
        if min(powers) < 0:
            raise InvalidInput("wind.powers_w", min(powers), "must not be negative")
        for name in ("hub_m", "measured_m"):
            if getattr(self, name) <= 0:
                raise InvalidInput(f"wind.{name}", getattr(self, name), "must be above 0")

    @property
    def rated_w(self) -> float:
        """The most it generates."""
        return max(self.powers_w)


def wind_generation_w(turbine: WindTurbine, weather: Weather) -> Floats:
    """Mean generated W of each quarter-hour of the weather; NaN where wind speed has a gap.

    The curve is read at the speed that carries the same power in air of the reference density (IEC 61400-12-1:
    v * (density / 1.225)^(1/3)); cut-out goes by the real speed. Without temperature and pressure the density is the
    reference one. Raises InvalidInput where the weather has no wind speed.
    """
    if weather.wind_m_per_s is None:
        raise InvalidInput("weather.wind_m_per_s", None, "wind turbines need it")
    speed = weather.wind_m_per_s * (turbine.hub_m / turbine.measured_m) ** turbine.shear
    density = np.full(len(speed), REFERENCE_DENSITY_KG_PER_M3)
    if weather.temperature_c is not None and weather.pressure_pa is not None:
        measured = weather.pressure_pa / (DRY_AIR_J_PER_KG_K * (weather.temperature_c + ZERO_CELSIUS_K))
        density = np.where(np.isfinite(measured), measured, density)
    equivalent = speed * (density / REFERENCE_DENSITY_KG_PER_M3) ** (1 / 3)
    cut_in, cut_out = turbine.speeds_m_per_s[0], turbine.speeds_m_per_s[-1]
    power = np.interp(np.minimum(equivalent, cut_out), turbine.speeds_m_per_s, turbine.powers_w)
    power = np.where((equivalent < cut_in) | (speed > cut_out), 0.0, power)
    return np.where(np.isfinite(speed), power, np.nan)
