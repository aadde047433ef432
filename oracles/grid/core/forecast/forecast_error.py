"""How much a forecast misses, as a figure that a request's reserve is sized by."""

import numpy as np

from offchain.protocol.errors import InvalidInput
from oracles.grid.core.network import Integers


def forecast_error_permille(forecast_w: Integers, measured_w: Integers, quantile_permille: int) -> int:
    """What the grid's net power missed by in so many of a thousand slots at most, per mille of the mean forecast.

    `forecast_w`, `measured_w` (slots, series): of issues at one horizon, backtested or lived through. Rounded up.
    Raises InvalidInput where they don't fit, or nothing was forecast.
    """
    if forecast_w.shape != measured_w.shape or not forecast_w.size:
        raise InvalidInput(
            "measured_w.shape", measured_w.shape, f"must be that of forecast_w, {forecast_w.shape}"
        )
    if not 0 < quantile_permille <= 1000:
        raise InvalidInput("quantile_permille", quantile_permille, "must be 1 to 1000")
    forecast, measured = forecast_w.sum(axis=1), measured_w.sum(axis=1)
    mean_w = float(np.abs(forecast).mean())
    if not mean_w:
        raise InvalidInput("forecast_w", 0, "must be of some power")
    missed_w = float(np.quantile(np.abs(measured - forecast), quantile_permille / 1000, method="higher"))
    return int(np.ceil(1000 * missed_w / mean_w))
