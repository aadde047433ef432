"""The network that forecasts: what the grid daemon gets as its nodes' background, and from which readings."""

from datetime import date

import numpy as np
import pytest

from offchain.market.timetable import MarketRules, SessionKind, sessions_of_day
from offchain.protocol.errors import InvalidInput
from offchain.protocol.terms import SessionTerms
from oracles.grid.core.documents import FORECAST_BEYOND_SLOTS
from oracles.grid.core.forecast.forecaster import Unit
from oracles.grid.core.forecast.history import History
from oracles.grid.core.forecast.weather import Weather
from oracles.grid.core.forecast.wind import WindTurbine
from oracles.grid.forecast_network import ForecastNetwork, WeatherPlants
from tests.oracles.grid.forecast.towns import readings

POD = b"p" * 32


class Sensors:
    """Readings of two nodes, and until when they were asked for."""

    def __init__(self) -> None:
        self.p, self.asked = readings(62), list[int]()

    def until(self, instant_s: int) -> tuple[History, History]:
        self.asked.append(instant_s)
        p = History(self.p.start_s, self.p.power_w[:, :2])
        return p, History(p.start_s, p.power_w / 4)


@pytest.fixture
def sensors() -> Sensors:
    return Sensors()


def _network(sensors: Sensors) -> ForecastNetwork:
    return ForecastNetwork({"nodes": []}, {POD: 1}, sensors)


def _session(kind: SessionKind, day: date = date(2026, 3, 12)) -> SessionTerms:
    return sessions_of_day(day, MarketRules())[kind]


def test_every_node_is_forecast_in_every_slot(sensors: Sensors) -> None:
    terms = _session(SessionKind.DAY_AHEAD)
    p_w, q_var = _network(sensors).background(terms)
    assert p_w.shape == q_var.shape == (96 + FORECAST_BEYOND_SLOTS, 2)
    assert p_w.dtype == q_var.dtype == np.int64
    assert p_w[48, 1] == pytest.approx(10_000, rel=0.1)
    assert q_var[48, 1] == pytest.approx(2500, rel=0.1)
    assert sensors.asked == [terms.baselineGate]


def test_readings_after_the_baseline_gate_change_nothing(sensors: Sensors) -> None:
    terms = _session(SessionKind.REAL_TIME_4)
    honest = _network(sensors).background(terms)
    assert honest[0].shape == (16 + FORECAST_BEYOND_SLOTS, 2)
    later = (terms.baselineGate - sensors.p.start_s) // 900
    sensors.p.power_w[later:] *= 9
    assert (_network(sensors).background(terms)[0] == honest[0]).all()
    sensors.p.power_w[later - 4 : later] *= 2
    assert (_network(sensors).background(terms)[0] != honest[0]).any()


def test_what_it_says_doesnt_depend_on_what_it_was_asked_before(sensors: Sensors) -> None:
    network = _network(sensors)
    for day in (date(2026, 3, 12), date(2026, 3, 20), date(2026, 4, 2)):
        terms = _session(SessionKind.DAY_AHEAD, day)
        assert (network.background(terms)[0] == _network(sensors).background(terms)[0]).all()


def test_a_node_that_was_never_read_is_refused(sensors: Sensors) -> None:
    sensors.p.power_w[:, 1] = np.nan
    with pytest.raises(InvalidInput, match=r"units\[node 1 P\].kind = 'node 1 P': has no readings"):
        _network(sensors).background(_session(SessionKind.DAY_AHEAD))


def test_a_pod_that_the_grid_doesnt_know_is_refused(sensors: Sensors) -> None:
    assert _network(sensors).node_of(POD) == 1
    with pytest.raises(InvalidInput, match=r"pod = .*must be connected"):
        _network(sensors).node_of(b"x" * 32)


class Park:
    """Meter and weather of a wind park at node 1: 5 kW so far, and from now on as the wind is forecast."""

    TURBINE = WindTurbine((3.0, 12.0, 25.0), (0.0, 9000.0, 9000.0), hub_m=10)

    def __init__(self, speed_m_per_s: float) -> None:
        self.speed_m_per_s = speed_m_per_s
        self.asked: list[int] = []

    def plants(self) -> WeatherPlants:
        return WeatherPlants([Unit("park", "wind", 9000, self.TURBINE)], [1], self)

    def until(self, instant_s: int) -> History:
        p = readings(62)
        return History(p.start_s, np.full((len(p.power_w), 1), -5000.0)).until(instant_s)

    def weather(self, issue_s: int) -> dict[str, Weather]:
        self.asked.append(issue_s)
        start_s = issue_s + 56 * 900
        return {"park": Weather(start_s, wind_m_per_s=np.full(96, self.speed_m_per_s))}


def test_plants_follow_their_weather_and_the_rest_of_their_node_its_readings(sensors: Sensors) -> None:
    terms = _session(SessionKind.DAY_AHEAD)
    without = _network(sensors).background(terms)
    sensors.p.power_w[:, 1] -= 5000
    park = Park(12.0)
    network = ForecastNetwork({"nodes": []}, {POD: 1}, sensors, plants=park.plants())
    p_w, _ = network.background(terms)
    assert park.asked == [terms.baselineGate]
    assert np.abs(p_w[:96, 1] - (without[0][:96, 1] - 9000)).max() <= 50
    assert np.abs(p_w[:, 0] / without[0][:, 0] - 1).max() < 0.1
    # After the weather's end the park is forecast from its own history.
    assert np.abs(p_w[96:, 1] - (without[0][96:, 1] - 5000)).max() <= 50
    calm = ForecastNetwork({"nodes": []}, {POD: 1}, sensors, plants=Park(0.0).plants())
    assert np.abs(calm.background(terms)[0][:96, 1] - without[0][:96, 1]).max() <= 50
    with pytest.raises(InvalidInput, match=r"plants.nodes = 0: must be 1"):
        WeatherPlants(Park(0.0).plants().units, [], Park(0.0))
