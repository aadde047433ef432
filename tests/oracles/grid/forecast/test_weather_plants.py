"""Photovoltaics and wind from weather: against physics that can be reckoned by hand, and what isn't weather."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from pvlib.location import Location

from offchain.protocol.errors import InvalidInput
from offchain.protocol.terms import SLOT_S
from oracles.grid.core.forecast.pv import PvPlant, pv_generation_w
from oracles.grid.core.forecast.weather import Weather
from oracles.grid.core.forecast.wind import WindTurbine, wind_generation_w

ROME = {"latitude_deg": 41.9, "longitude_deg": 12.5}
ROOF = PvPlant(**ROME, tilt_deg=30, azimuth_deg=180, rated_w=6000, inverter_w=6000)
JUNE_S = int(datetime(2026, 6, 21, 22, tzinfo=UTC).timestamp())
TURBINE = WindTurbine((3.0, 7.0, 12.0, 25.0), (0.0, 600_000.0, 2_000_000.0, 2_000_000.0), hub_m=10)


def _clear_day(start_s: int = JUNE_S, *, parts: bool = False) -> Weather:
    middles = start_s + 450 + SLOT_S * np.arange(96)
    sky = Location(41.9, 12.5).get_clearsky(pd.to_datetime(middles, unit="s", utc=True))
    others = (sky["dni"].to_numpy(), sky["dhi"].to_numpy()) if parts else (None, None)
    return Weather(start_s, sky["ghi"].to_numpy(), *others, temperature_c=np.full(96, 25.0))


def test_a_clear_day_of_june_gives_what_such_a_roof_gives() -> None:
    generated = pv_generation_w(ROOF, _clear_day())
    assert (generated[:20] == 0).all()
    assert (generated[-8:] == 0).all()
    # Solar noon in Rome is 13:11 by the clock.
    assert abs(int(generated.argmax()) - 52) <= 2
    assert 4000 < generated.max() < 5200
    assert 32_000 < generated.sum() / 4 < 42_000  # Wh
    given = pv_generation_w(ROOF, _clear_day(parts=True))
    assert np.abs(given - generated).max() < 0.1 * ROOF.rated_w


def test_an_east_roof_peaks_before_a_west_roof() -> None:
    east, west = (
        pv_generation_w(
            PvPlant(**ROME, tilt_deg=30, azimuth_deg=azimuth, rated_w=6000, inverter_w=6000), _clear_day()
        )
        for azimuth in (90, 270)
    )
    assert east.argmax() < west.argmax() - 12


def test_the_inverter_is_the_most_that_is_fed_in() -> None:
    small = PvPlant(**ROME, tilt_deg=30, azimuth_deg=180, rated_w=6000, inverter_w=3000)
    generated = pv_generation_w(small, _clear_day())
    assert generated.max() == pytest.approx(3000)
    assert (generated == generated.max()).sum() > 10


def test_heat_costs_power() -> None:
    hot = _clear_day()
    hot = Weather(hot.start_s, hot.ghi_w_per_m2, temperature_c=np.full(96, 40.0))
    noon = 52
    lost = 1 - pv_generation_w(ROOF, hot)[noon] / pv_generation_w(ROOF, _clear_day())[noon]
    assert 0.04 < lost < 0.08  # 15 K at 0.35 % a kelvin


def test_short_gaps_of_weather_are_bridged_and_long_ones_stay() -> None:
    ghi = np.arange(20.0)
    ghi[3:7] = np.nan
    ghi[10:15] = np.nan
    ghi[19] = np.nan
    window = Weather(JUNE_S, ghi_w_per_m2=ghi).at(JUNE_S - SLOT_S, 21)
    assert window.ghi_w_per_m2 is not None
    known = np.flatnonzero(np.isfinite(window.ghi_w_per_m2)) - 1
    assert known.tolist() == [*range(10), *range(15, 19)]
    assert window.ghi_w_per_m2[5] == pytest.approx(4.0)


def test_pv_in_a_gap_is_unknown_except_at_night() -> None:
    weather = _clear_day()
    assert weather.ghi_w_per_m2 is not None
    ghi = weather.ghi_w_per_m2.copy()
    ghi[40:50] = np.nan
    generated = pv_generation_w(ROOF, Weather(JUNE_S, ghi, temperature_c=weather.temperature_c))
    assert np.isnan(generated[40:50]).all()
    assert np.isfinite(np.delete(generated, range(40, 50))).all()


def test_wind_follows_the_curve_between_cut_in_and_cut_out() -> None:
    speeds = np.array([0.0, 2.9, 5.0, 7.0, 12.0, 20.0, 25.0, 25.1, np.nan])
    generated = wind_generation_w(TURBINE, Weather(JUNE_S, wind_m_per_s=speeds))
    assert generated[:-1].tolist() == [0, 0, 300_000, 600_000, 2_000_000, 2_000_000, 2_000_000, 0]
    assert np.isnan(generated[-1])


def test_thin_and_warm_air_carries_less() -> None:
    speeds = np.array([9.0, 9.0, 9.0, 24.9])
    temperature_c = np.array([15.0, 35.0, np.nan, 35.0])
    weather = Weather(
        JUNE_S, wind_m_per_s=speeds, temperature_c=temperature_c, pressure_pa=np.full(4, 101_325.0)
    )
    normal, warm, unknown, strong = wind_generation_w(TURBINE, weather)
    # 35 degrees: 1.1455 kg/m3, so 9 m/s count for 8.801 m/s: 600 kW + 1.801 / 5 * 1400 kW.
    assert warm == pytest.approx(1_104_300, rel=1e-3)
    assert normal == pytest.approx(unknown, rel=1e-3) == pytest.approx(1_160_000, rel=1e-3)
    assert strong == 2_000_000


def test_wind_at_the_hub_is_stronger_than_where_it_is_measured() -> None:
    tall = WindTurbine(TURBINE.speeds_m_per_s, TURBINE.powers_w, hub_m=100)
    weather = Weather(JUNE_S, wind_m_per_s=np.array([5.0, 19.0]))
    generated = wind_generation_w(tall, weather)
    # 5 m/s * 10^(1/7) = 6.947 m/s; 19 m/s are 26.4 m/s at the hub, beyond cut-out.
    assert generated[0] == pytest.approx(592_100, rel=1e-3)
    assert generated[1] == 0


def test_what_isnt_weather_is_refused_by_name_value_and_rule() -> None:
    with pytest.raises(
        InvalidInput, match=r"weather.ghi_w_per_m2\[1\] = -3.0: must be between 0 and 1500, or NaN"
    ):
        Weather(JUNE_S, ghi_w_per_m2=np.array([np.nan, -3.0]))
    with pytest.raises(InvalidInput, match=r"weather.temperature_c\[0\] = 293.0"):
        Weather(JUNE_S, temperature_c=np.array([293.0]))
    with pytest.raises(InvalidInput, match="must be of one length"):
        Weather(JUNE_S, ghi_w_per_m2=np.zeros(2), temperature_c=np.zeros(3))
    with pytest.raises(InvalidInput, match="together with dhi_w_per_m2"):
        Weather(JUNE_S, dni_w_per_m2=np.zeros(2))
    with pytest.raises(InvalidInput, match="photovoltaics need both"):
        pv_generation_w(ROOF, Weather(JUNE_S, ghi_w_per_m2=np.zeros(2)))
    with pytest.raises(InvalidInput, match="wind turbines need it"):
        wind_generation_w(TURBINE, Weather(JUNE_S, ghi_w_per_m2=np.zeros(2)))


def test_plants_that_cant_be_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"pv.tilt_deg = 100"):
        PvPlant(**ROME, tilt_deg=100, azimuth_deg=180, rated_w=1, inverter_w=1)
    with pytest.raises(InvalidInput, match=r"pv.latitude_deg = nan"):
        PvPlant(float("nan"), 12.5, tilt_deg=30, azimuth_deg=180, rated_w=1, inverter_w=1)
    with pytest.raises(InvalidInput, match=r"wind.speeds_m_per_s = .*must rise"):
        WindTurbine((3.0, 3.0), (0.0, 1.0), hub_m=10)
    with pytest.raises(InvalidInput, match=r"wind.powers_w = -1.0"):
        WindTurbine((3.0, 4.0), (0.0, -1.0), hub_m=10)
    with pytest.raises(InvalidInput, match="must be finite"):
        WindTurbine((3.0, float("nan")), (0.0, 1.0), hub_m=10)
    with pytest.raises(InvalidInput, match=r"wind.powers_w = 1: must be as many"):
        WindTurbine((3.0, 4.0), (0.0,), hub_m=10)
