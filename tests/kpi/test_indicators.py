"""Indicators against examples reckoned by hand."""

import pytest

from offchain.kpi.indicators import (
    customer_forecast_error,
    flexibility_availability,
    flexibility_effectiveness,
    grid_forecast_error,
    market_liquidity,
)

A, B = b"a", b"b"


def test_availability_is_a_mean_over_the_slots() -> None:
    baseline = {(A, 0): 1000, (B, 0): 3000, (A, 1): 2000, (B, 1): 0}
    available = {(A, 0): 300, (B, 0): 500, (A, 1): 1000}
    # Slot 0: 800 / 4000 = 0.2; slot 1: 1000 / 2000 = 0.5.
    assert flexibility_availability(available, baseline, slots=2) == pytest.approx(0.35)
    # Two more slots in which nobody offers count as 0: 0.7 / 4.
    assert flexibility_availability(available, baseline, slots=4) == pytest.approx(0.175)


def test_availability_counts_only_pods_that_offer_at_all() -> None:
    baseline = {(A, 0): 1000, (B, 0): 9000}
    assert flexibility_availability({(A, 0): 500}, baseline, slots=1) == pytest.approx(0.5)


def test_availability_takes_injection_as_it_takes_demand() -> None:
    assert flexibility_availability({(A, 0): -250}, {(A, 0): -1000}, slots=1) == pytest.approx(0.25)


def test_availability_of_a_slot_without_baseline_is_nothing() -> None:
    baseline = {(A, 0): 0, (A, 1): 1000}
    assert flexibility_availability({(A, 0): 500, (A, 1): 500}, baseline, slots=2) == pytest.approx(0.25)


@pytest.mark.parametrize(("available", "slots"), [({}, 2), ({(A, 0): 1}, 0)])
def test_availability_of_nothing_is_unknown(available: dict[tuple[bytes, int], int], slots: int) -> None:
    assert flexibility_availability(available, {(A, 0): 1}, slots) is None


def test_effectiveness_is_a_mean_over_the_pods_then_over_the_slots() -> None:
    ordered = {(A, 0): 1000, (B, 0): 500, (A, 1): 400}
    provided = {(A, 0): 900, (B, 0): 250, (A, 1): 400}
    # Slot 0: (0.9 + 0.5) / 2 = 0.7; slot 1: 1. Over all three at once it would be 0.8.
    assert flexibility_effectiveness(provided, ordered) == pytest.approx(0.85)


def test_effectiveness_counts_what_never_came_and_not_what_wasnt_ordered() -> None:
    assert flexibility_effectiveness({(B, 0): 700}, {(A, 0): 100, (B, 0): 0}) == 0.0
    assert flexibility_effectiveness({}, {(A, 0): 0}) is None
    assert flexibility_effectiveness({(A, 0): -150}, {(A, 0): -100}) == pytest.approx(1.5)


def test_liquidity_is_a_mean_over_the_slots_with_a_request() -> None:
    # 3000 / 1000 = 3 and 500 / 2000 = 0.25; slot 2 has no request.
    assert market_liquidity({0: 3000, 1: 500, 2: 9000}, {0: 1000, 1: 2000, 2: 0}) == pytest.approx(1.625)
    assert market_liquidity({}, {0: 1000}) == 0.0
    assert market_liquidity({0: 1000}, {}) is None


def test_customer_forecast_error_is_a_mean_over_the_customers_then_over_the_slots() -> None:
    # Slot 0: (0.1 + 0.5) / 2 = 0.3; slot 1: 0.2. Over all three at once it would be 0.267.
    assert customer_forecast_error([[1000, 200], [-500, None]], [[900, 300], [-400, 7]]) == pytest.approx(
        0.25
    )


def test_forecast_errors_of_either_sign_dont_cancel_out() -> None:
    assert customer_forecast_error([[100, 100]], [[80, 120]]) == pytest.approx(0.2)
    assert customer_forecast_error([[-100]], [[100]]) == pytest.approx(2.0)


def test_forecast_error_counts_no_customer_whose_real_value_is_nothing() -> None:
    assert customer_forecast_error([[0, 100], [0, None]], [[50, 150], [9, 9]]) == pytest.approx(0.5)
    assert customer_forecast_error([[0], [None]], [[1], [1]]) is None
    assert customer_forecast_error([], []) is None


def test_grid_forecast_error_is_reckoned_alike_for_assets() -> None:
    assert grid_forecast_error([[1000, 200], [500, 100]], [[900, 300], [400, 80]]) == pytest.approx(0.25)


@pytest.mark.parametrize("forecast", [[[1]], [[1], [1, 2]]])
def test_forecast_error_of_rows_that_dont_fit_is_refused(forecast: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        customer_forecast_error([[1], [1]], forecast)
