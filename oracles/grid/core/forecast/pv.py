"""Photovoltaics from weather, with pvlib: the plane's irradiance, the cells' temperature, PVWatts' modules and inverter."""

from dataclasses import dataclass

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.terms import SLOT_S
from oracles.grid.core.forecast.history import Floats
from oracles.grid.core.forecast.weather import Weather

LIGHT_WIND_M_PER_S = 1.0
"""What the cells are cooled by where no wind is given."""
INVERTER_EFFICIENCY = 0.96
"""At its rating; PVWatts' curve below."""


@dataclass(frozen=True)
class PvPlant:
    """A plant's place (degrees north and east), plane (tilt from horizontal, azimuth clockwise from north) and rating.

    `rated_w`: modules at standard conditions; `inverter_w`: most it feeds in; `losses_permille`: soiling, cables,
    mismatch (PVWatts' default is 140); `temperature_permille`: change of power a kelvin, in 10^-3.
    """

    latitude_deg: float
    longitude_deg: float
    tilt_deg: float
    azimuth_deg: float
    rated_w: int
    inverter_w: int
    losses_permille: float = 140.0
    temperature_permille: float = -3.5

    def __post_init__(self) -> None:
        for name, low, high in (
            ("latitude_deg", -90, 90),
            ("longitude_deg", -180, 180),
            ("tilt_deg", 0, 90),
            ("azimuth_deg", 0, 360),
            ("rated_w", 1, 10**10),
            ("inverter_w", 1, 10**10),
            ("losses_permille", 0, 999),
            ("temperature_permille", -10, 0),
        ):
            if not low <= getattr(self, name) <= high:
                raise InvalidInput(f"pv.{name}", getattr(self, name), f"must be between {low} and {high}")


def pv_generation_w(plant: PvPlant, weather: Weather) -> Floats:
    """Mean generated W of each quarter-hour of the weather; NaN where irradiance or temperature has a gap.

    Raises InvalidInput where the weather has no irradiance or temperature at all.
    """
    if weather.ghi_w_per_m2 is None or weather.temperature_c is None:
        raise InvalidInput("weather", "no ghi_w_per_m2 or temperature_c", "photovoltaics need both")
    # Here, not above: pvlib takes a second to import, and most who import the forecast need none of it.
    import pandas as pd
    from pvlib import inverter, irradiance, pvsystem, solarposition, temperature

    ghi = weather.ghi_w_per_m2
    middles = weather.start_s + SLOT_S // 2 + SLOT_S * np.arange(len(ghi), dtype=np.int64)
    times = pd.to_datetime(middles, unit="s", utc=True)
    sun = solarposition.get_solarposition(times, plant.latitude_deg, plant.longitude_deg)
    if weather.dni_w_per_m2 is None or weather.dhi_w_per_m2 is None:
        parts = irradiance.erbs(ghi, sun["zenith"].to_numpy(), times)
        dni, dhi = np.asarray(parts["dni"]), np.asarray(parts["dhi"])
    else:
        dni, dhi = weather.dni_w_per_m2, weather.dhi_w_per_m2
    plane = irradiance.get_total_irradiance(
        plant.tilt_deg,
        plant.azimuth_deg,
        sun["apparent_zenith"].to_numpy(),
        sun["azimuth"].to_numpy(),
        dni,
        ghi,
        dhi,
        dni_extra=np.asarray(irradiance.get_extra_radiation(times)),
        model="haydavies",
    )
    on_plane = np.asarray(plane["poa_global"])
    wind = np.full(len(ghi), np.nan) if weather.wind_m_per_s is None else weather.wind_m_per_s
    cooling = np.nan_to_num(wind, nan=LIGHT_WIND_M_PER_S)
    cells_c = temperature.faiman(on_plane, weather.temperature_c, cooling)
    direct_w = pvsystem.pvwatts_dc(on_plane, cells_c, plant.rated_w, plant.temperature_permille / 1000)
    direct_w = np.maximum(direct_w, 0.0) * (1 - plant.losses_permille / 1000)
    fed_w = inverter.pvwatts(direct_w, plant.inverter_w / INVERTER_EFFICIENCY)
    dark = np.isfinite(ghi) & (sun["apparent_elevation"].to_numpy() < 0)
    return np.where(dark, 0.0, np.asarray(fed_w, dtype=np.float64))
