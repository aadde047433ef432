"""The forecast against SimBench's profiles, at the market's leads: the targets of KPI_IT_02 and KPI_IT_03.

A month here, because of the time it takes; `flexledger backtest` does a year.
"""

import numpy as np
import pytest

from offchain.kpi.indicators import grid_forecast_error
from oracles.grid.core.forecast.calendar import HolidayCalendar
from oracles.grid.core.forecast.history import History
from oracles.grid.core.forecast.load_model import Horizon
from scripts.forecast_backtest import (
    CUSTOMER_TARGET,
    GRID_TARGET,
    MARKET_LEADS,
    apparent_va,
    backtest,
    customer_scores,
    grid_assets,
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


def test_substations_are_within_the_target_and_better_than_typical() -> None:
    categories, units, history = grid_assets("1-MV-comm--0-no_sw")
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


def test_apparent_power_is_of_both() -> None:
    assert apparent_va(np.array([[3, -6, 4, 8]])).tolist() == [[5, 10]]
