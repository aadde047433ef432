"""The DSO's network with a forecast behind it: what the grid daemon asks of one, from readings at the nodes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import Window
from offchain.protocol.terms import SessionTerms
from oracles.grid.core.documents import FORECAST_BEYOND_SLOTS
from oracles.grid.core.forecast.calendar import HolidayCalendar
from oracles.grid.core.forecast.forecaster import Unit
from oracles.grid.core.forecast.history import History
from oracles.grid.core.forecast.weather import Weather
from oracles.grid.core.network import Document, Floats, Integers
from oracles.grid.customer_forecast import CustomerForecast
from oracles.grid.trained import TrainedForecasters, issue_of


class NodeReadings(Protocol):
    """What the DSO's sensors and meters read at its nodes."""

    def until(self, instant_s: int) -> tuple[History, History]:
        """Net W and net var of everybody outside the market at each node, in the quarter-hours ended by an instant.

        A series a node, in the grid model's order; zeros where nobody is connected.
        """


class PlantData(Protocol):
    """Meters of plants that follow the weather, and the weather as it was forecast for them."""

    def until(self, instant_s: int) -> History:
        """Net W of each plant, a series a plant in their order, in the quarter-hours ended by an instant."""

    def weather(self, issue_s: int) -> Mapping[str, Weather]:
        """The latest weather forecast issued by an instant for each plant, by its name; plants without are left out."""


@dataclass(frozen=True)
class WeatherPlants:
    """Photovoltaics and wind outside the market. `units`: with their plants; `nodes`: where each is connected."""

    units: Sequence[Unit]
    nodes: Sequence[int]
    data: PlantData

    def __post_init__(self) -> None:
        if len(self.nodes) != len(self.units):
            raise InvalidInput("plants.nodes", len(self.nodes), f"must be {len(self.units)}: one a plant")


class OutsideTheMarket:
    """Readings of everybody outside the market, where sensors read the market's PoDs as well.

    `totals`: what they read; `node_of_pod`: of the market's PoDs. `most_va` (nodes,): beyond which no PoD's reading can be meant
    (`plausible.most_va`).
    """

    def __init__(
        self,
        totals: NodeReadings,
        customers: CustomerForecast,
        node_of_pod: Mapping[bytes, int],
        most_va: Floats | None = None,
    ) -> None:
        self._most_va = most_va
        self._totals = totals
        self._customers = customers
        self._node_of_pod = node_of_pod

    def until(self, instant_s: int) -> tuple[History, History]:
        """Net W and net var at each node, less what the market's PoDs there absorbed by their certified readings."""
        p, q = self._totals.until(instant_s)
        return (
            self._customers.without(p.until(instant_s), self._node_of_pod, False, self._most_va),
            self._customers.without(q.until(instant_s), self._node_of_pod, True, self._most_va),
        )


class ForecastNetwork:
    """Forecasts each node when a session's baseline gate closes, by forecasters trained at the start of the month.

    `forecasters`: where these are kept. `plants`: forecast from their weather apart from the rest of their nodes; where that has
    a gap, from their own history.
    """

    def __init__(
        self,
        document: Document,
        node_of_pod: Mapping[bytes, int],
        readings: NodeReadings,
        calendar: HolidayCalendar = HolidayCalendar(),
        forecasters: TrainedForecasters | None = None,
        plants: WeatherPlants | None = None,
    ) -> None:
        self._document = document
        self._node_of_pod = node_of_pod
        self._readings = readings
        self._calendar = calendar
        self._forecasters = TrainedForecasters() if forecasters is None else forecasters
        self._plants = plants

    def document(self) -> Document:
        """The grid model's document."""
        return self._document

    def node_of(self, pod: bytes) -> int:
        """Node of a PoD by its pseudonym. Raises InvalidInput for one that the DSO doesn't know."""
        if pod not in self._node_of_pod:
            raise InvalidInput("pod", "0x" + pod.hex(), "must be connected to a node of the grid")
        return self._node_of_pod[pod]

    def background(self, terms: SessionTerms) -> tuple[Integers, Integers]:
        """Net W and var at each node as forecast at the baseline gate, in the window and FORECAST_BEYOND_SLOTS after it
        (slots, nodes); the same whenever it is asked."""
        issue_s, horizon = issue_of(terms)
        p, q = self._readings.until(issue_s)
        if p.start_s != q.start_s or p.power_w.shape != q.power_w.shape:
            raise InvalidInput(
                "readings", (p.power_w.shape, q.power_w.shape), "must be of the same slots and nodes"
            )
        names = [f"node {node} {quantity}" for quantity in ("P", "Q") for node in range(p.series)]
        # Each of a kind of its own: no node is forecast from another's readings.
        units = [Unit(name, name, 1) for name in names]
        rest_w, plants_w, weather = p.power_w.copy(), np.empty((len(p.power_w), 0)), {}
        plants: Sequence[int] = ()
        if self._plants is not None:
            units += self._plants.units
            plants = self._plants.nodes
            plants_w = self._plants.data.until(issue_s).at(p.start_s, len(p.power_w))
            weather = dict(self._plants.data.weather(issue_s))
        for place, node in enumerate(plants):
            rest_w[:, node] -= plants_w[:, place]
        past = History(p.start_s, np.concatenate([rest_w, q.power_w, plants_w], axis=1))
        window = Window(terms.deliveryStart, terms.slots + FORECAST_BEYOND_SLOTS)
        forecaster = self._forecasters.forecaster("nodes", units, past, issue_s, horizon, self._calendar)
        values = forecaster.forecast(past, issue_s, window, weather)
        p_w, q_var, of_plants_w = np.split(values, [p.series, 2 * p.series], axis=1)
        for place, node in enumerate(plants):
            p_w[:, node] += of_plants_w[:, place]
        return p_w, q_var
