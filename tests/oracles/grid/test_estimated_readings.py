"""The state estimated now moves the forecast of the next four hours, as readings do."""

from datetime import date

import numpy as np
import pytest

from offchain.market.timetable import SessionKind, sessions_of_day
from offchain.protocol.errors import InvalidInput
from offchain.protocol.metering import Net
from offchain.protocol.terms import SLOT_S, SessionTerms
from oracles.grid.core.forecast.history import History
from oracles.grid.core.network import Integers
from oracles.grid.estimated_readings import EstimatedReadings
from oracles.grid.forecast_network import ForecastNetwork
from oracles.grid.state_estimation import EstimatedState
from tests.oracles.grid.forecast.towns import readings

BUSES = (7, 9)
NOTHING: dict[int, Net] = {}


class LateReadings:
    """Two buses whose meters' readings come hours later. Some days have more demand than others, all day."""

    def __init__(self, until_s: int) -> None:
        known = readings(62)
        of_day = np.random.default_rng(4).uniform(0.6, 1.4, (len(known.power_w) // 96 + 1, 2))
        levels = np.repeat(of_day, 96, axis=0)[: len(known.power_w)]
        self.p = History(known.start_s, known.power_w[:, :2] * levels)
        self.late_s = until_s

    def until(self, instant_s: int) -> tuple[History, History]:
        p = self.p.until(min(instant_s, self.late_s))
        return p, History(p.start_s, p.power_w / 4)


def state(*p_w: int) -> EstimatedState:
    values = np.array(p_w, dtype=np.int64)
    return EstimatedState(BUSES, values, values // 4, {}, (), (), 0.0, 0.0)


@pytest.fixture
def terms() -> SessionTerms:
    return sessions_of_day(date(2026, 3, 12))[SessionKind.REAL_TIME_4]


@pytest.fixture
def estimated(terms: SessionTerms) -> EstimatedReadings:
    return EstimatedReadings(LateReadings(terms.baselineGate - 8 * SLOT_S), BUSES)


def forecast(estimated: EstimatedReadings, terms: SessionTerms) -> Integers:
    return ForecastNetwork({"nodes": []}, {}, estimated).background(terms)[0]


def test_the_next_four_hours_follow_the_measured_state(
    estimated: EstimatedReadings, terms: SessionTerms
) -> None:
    on_time = LateReadings(terms.baselineGate)
    usual = forecast(EstimatedReadings(on_time, BUSES), terms)
    read = on_time.p
    for slots_ago in range(8, 0, -1):
        start_s = terms.baselineGate - slots_ago * SLOT_S
        now_w = read.at(start_s, 1)[0]
        estimated.take(start_s, state(round(now_w[0]), round(1.5 * now_w[1])), NOTHING)
    moved = forecast(estimated, terms)
    assert moved[:, 1].mean() > 1.1 * usual[:, 1].mean()
    assert moved[:, 0].mean() == pytest.approx(usual[:, 0].mean(), rel=0.01)


def test_what_the_markets_pods_absorbed_isnt_the_others(
    estimated: EstimatedReadings, terms: SessionTerms
) -> None:
    start_s = terms.baselineGate - SLOT_S
    estimated.take(start_s, state(1000, 2000), {9: Net(1500, -40)})
    p, q = estimated.until(terms.baselineGate)
    assert p.power_w[-1].tolist() == [1000, 500]
    assert q.power_w[-1].tolist() == [250, 540]
    assert np.isnan(p.power_w[-2]).all(), "neither read nor estimated"


def test_an_estimate_of_what_hasnt_ended_changes_nothing(
    estimated: EstimatedReadings, terms: SessionTerms
) -> None:
    before = forecast(estimated, terms)
    estimated.take(terms.baselineGate, state(10**6, 10**6), NOTHING)
    assert (forecast(estimated, terms) == before).all()


def test_the_last_estimate_stands_before_the_reading(terms: SessionTerms) -> None:
    estimated = EstimatedReadings(LateReadings(terms.baselineGate), BUSES)
    for value in (5, 6):
        estimated.take(terms.baselineGate - SLOT_S, state(value, value), NOTHING)
    p, _ = estimated.until(terms.baselineGate)
    assert p.power_w[-1].tolist() == [6, 6]
    assert np.isfinite(p.power_w[-2]).all()


def test_what_doesnt_fit_is_refused(estimated: EstimatedReadings) -> None:
    with pytest.raises(InvalidInput, match="start_s = 5: must be a multiple of 900"):
        estimated.take(5, state(1, 1), NOTHING)
    with pytest.raises(InvalidInput, match=r"state.buses = \[8\]: must be buses that are read"):
        estimated.take(900, state(1, 1), {8: Net(1, 1)})
