"""The forecast against SimBench's profiles, at the market's leads: the targets of KPI_IT_02 and KPI_IT_03.

A month here, because of the time it takes; `flexledger backtest` does a year.
"""

import numpy as np
import pytest

from offchain.kpi.indicators import grid_forecast_error
from oracles.grid.core.forecast.calendar import HolidayCalendar
from oracles.grid.core.forecast.history import History
from oracles.grid.core.forecast.load_model import Horizon
from oracles.grid.core.forecast.weather import Weather
from oracles.grid.core.forecast.wind import WindTurbine, wind_generation_w
from oracles.grid.simbench_case import SimbenchYear, load_simbench_year
from scripts.forecast_backtest import (
    CUSTOMER_TARGET,
    GRID_TARGET,
    MARKET_LEADS,
    apparent_va,
    backtest,
    customer_scores,
    grid_assets,
    primary_substation_scores,
    wind_error,
    wind_parks,
)

GERMANY = HolidayCalendar("DE")


@pytest.mark.parametrize("horizon", MARKET_LEADS, ids=lambda horizon: horizon.name)
def test_customers_are_within_the_target_and_better_than_typical(horizon: Horizon) -> None:
    scores = {score.subject: score for score in customer_scores([horizon], GERMANY, [10])}
    everybody = scores.pop("all customers")
    assert everybody.forecast <= CUSTOMER_TARGET
    assert everybody.forecast < everybody.typical
    assert scores.keys() == {"household", "commerce", "farm"}
    assert all(score.forecast < score.typical for score in scores.values())


@pytest.fixture(scope="module")
def year() -> SimbenchYear:
    return load_simbench_year("1-MV-comm--0-no_sw")


def test_substations_are_within_the_target_and_better_than_typical(year: SimbenchYear) -> None:
    categories, units, history = grid_assets(year)
    assert categories[-1] == "primary substation"
    substations = [place for place, category in enumerate(categories) if category == "secondary substations"]
    columns = [first + place for first in (0, len(categories)) for place in substations[::8]]
    some, theirs = (
        [units[column] for column in columns],
        History(history.start_s, history.power_w[:, columns]),
    )
    for horizon in MARKET_LEADS:
        result = backtest(some, theirs, horizon, GERMANY, [10])
        real, forecast, typical = (
            apparent_va(values).tolist() for values in (result.real_w, result.forecast_w, result.typical_w)
        )
        error, of_typical = grid_forecast_error(real, forecast), grid_forecast_error(real, typical)
        assert error is not None
        assert of_typical is not None
        assert error <= GRID_TARGET
        assert error < of_typical


def test_a_primary_substation_with_wind_is_within_the_target_by_weather_and_not_without(
    year: SimbenchYear,
) -> None:
    scores = list(primary_substation_scores([year], MARKET_LEADS[:1], GERMANY, [10], [1.0]))
    by_history, _, by_weather, total = scores
    assert by_weather.forecast <= GRID_TARGET < by_history.forecast
    assert by_weather.forecast < by_history.typical
    assert total.forecast == by_weather.forecast
    assert "a park's power to" in total.subject
    missed = float(total.subject.split("power to ")[1].split("%")[0])
    assert 7 < missed < 13


def test_the_wind_of_a_park_gives_its_profile_and_its_error_is_as_it_says(year: SimbenchYear) -> None:
    parks = wind_parks(year)
    assert len(parks) == 3
    for park in parks:
        plant = park.unit.plant
        assert isinstance(plant, WindTurbine)
        weather = Weather(year.start_s, wind_m_per_s=park.speed_m_per_s)
        missed_w = wind_generation_w(plant, weather) - park.generation_w
        assert np.abs(missed_w).max() < 0.001 * plant.rated_w
    error = wind_error(1.5, seed=1)
    assert error.std() == pytest.approx(1.5, rel=0.1)
    assert np.corrcoef(error[:-24], error[24:])[0, 1] == pytest.approx(np.exp(-1), abs=0.1)
    assert (wind_error(0.0, seed=1) == 0).all()


def test_apparent_power_is_of_both() -> None:
    assert apparent_va(np.array([[3, -6, 4, 8]])).tolist() == [[5, 10]]
