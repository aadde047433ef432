"""The figure that a request's reserve is sized by."""

import numpy as np
import pytest

from offchain.protocol.errors import InvalidInput
from oracles.grid.core.forecast.forecast_error import forecast_error_permille


def test_is_the_quantile_of_what_the_grid_as_a_whole_missed_by() -> None:
    forecast_w = np.full((10, 2), 500)
    measured_w = forecast_w.copy()
    measured_w[:, 0] += np.arange(0, 100, 10)
    assert forecast_error_permille(forecast_w, measured_w, 1000) == 90
    assert forecast_error_permille(forecast_w, measured_w, 500) == 50
    measured_w[:, 1] -= np.arange(0, 100, 10)
    assert forecast_error_permille(forecast_w, measured_w, 1000) == 0


def test_of_what_does_not_fit_is_refused() -> None:
    ones = np.ones((2, 2), dtype=np.int64)
    for forecast_w, measured_w, quantile in (
        (ones, ones[:1], 900),
        (ones[:0], ones[:0], 900),
        (0 * ones, ones, 900),
        (ones, ones, 0),
        (ones, ones, 1001),
    ):
        with pytest.raises(InvalidInput):
            forecast_error_permille(forecast_w, measured_w, quantile)
