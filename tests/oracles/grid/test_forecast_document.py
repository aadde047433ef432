"""The DSO's forecast: over the window and as long as what is activated in it may be paid back."""

from dataclasses import replace

import numpy as np
import pytest

from offchain.protocol.errors import InvalidInput
from offchain.protocol.metering import Net
from oracles.grid.core.documents import (
    FORECAST_BEYOND_SLOTS,
    Forecast,
    ForecastBasis,
    forecast_bytes,
    forecast_of_bytes,
)
from oracles.grid.switched_network import with_expected

SLOTS, NODES, POD = 4, 3, b"p" * 32


def forecast() -> Forecast:
    p_w = np.arange((SLOTS + FORECAST_BEYOND_SLOTS) * NODES, dtype=np.int64).reshape(-1, NODES)
    return Forecast(7, b"m" * 32, p_w, -p_w, {POD: 2})


def test_is_read_as_it_was_written() -> None:
    written = forecast()
    read = forecast_of_bytes(forecast_bytes(written)).fitting(NODES, SLOTS)
    assert (read.session, read.grid_model, read.node_of_pod) == (7, b"m" * 32, {POD: 2})
    assert (read.p_w == written.p_w).all()
    assert (read.q_var == written.q_var).all()


def test_says_with_what_pods_without_a_baseline_were_forecast() -> None:
    basis = ForecastBasis(b"m" * 32, b"r" * 32, (POD,), (b"q" * 32,))
    raw = forecast_bytes(replace(forecast(), basis=basis))
    assert forecast_of_bytes(raw).basis == basis
    assert forecast_of_bytes(forecast_bytes(forecast())).basis is None
    with pytest.raises(InvalidInput, match="must hold what forecast_bytes writes"):
        forecast_of_bytes(raw.replace(b'"learnt"', b'"learned"'))


def test_of_the_window_alone_is_refused() -> None:
    written = forecast()
    short = replace(written, p_w=written.p_w[:SLOTS], q_var=written.q_var[:SLOTS])
    with pytest.raises(InvalidInput, match=r"pW.*must be of shape \(12, 3\)"):
        forecast_of_bytes(forecast_bytes(short)).fitting(NODES, SLOTS)


def test_of_another_format_is_refused() -> None:
    raw = forecast_bytes(forecast()).replace(b"forecast-2", b"forecast-1")
    with pytest.raises(InvalidInput, match="format"):
        forecast_of_bytes(raw)


def test_pods_stand_on_top_of_everybody_else() -> None:
    background = np.ones((SLOTS, NODES), dtype=np.int64)
    expected = {(POD, slot): Net(10 * slot, slot) for slot in (1, 2, 3)}
    p_w, q_var = with_expected((background, background), expected, {POD: 2})
    assert p_w[:, 2].tolist() == [1, 11, 21, 31]
    assert q_var[:, 2].tolist() == [1, 2, 3, 4]
    assert (p_w[:, :2] == 1).all()
    assert (background == 1).all()


def test_says_whose_baselines_are_set_aside() -> None:
    raw = forecast_bytes(replace(forecast(), set_aside=frozenset({POD})))
    assert forecast_of_bytes(raw).set_aside == {POD}
    assert b"setAside" not in forecast_bytes(forecast())
