"""The DSO's network with a forecast behind it: what the grid daemon asks of one, from readings at the nodes."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import Window
from offchain.protocol.terms import SLOT_S, SessionTerms
from oracles.grid.core.documents import FORECAST_BEYOND_SLOTS
from oracles.grid.core.forecast.calendar import HolidayCalendar
from oracles.grid.core.forecast.forecaster import Forecaster, Unit, retraining_s, train_forecaster
from oracles.grid.core.forecast.history import History
from oracles.grid.core.forecast.load_model import Horizon
from oracles.grid.core.network import Document, Integers

DAY_AHEAD = 0
"""Market type of the day-ahead session; the others are real-time ones."""


class NodeReadings(Protocol):
    """What the DSO's sensors and meters read at its nodes."""

    def until(self, instant_s: int) -> tuple[History, History]:
        """Net W and net var of everybody outside the market at each node, in the quarter-hours ended by an instant.

        A series a node, in the grid model's order; zeros where nobody is connected.
        """


class ForecastNetwork:
    """Forecasts each node when a session's baseline gate closes, by forecasters trained at the start of the month."""

    def __init__(
        self,
        document: Document,
        node_of_pod: Mapping[bytes, int],
        readings: NodeReadings,
        calendar: HolidayCalendar = HolidayCalendar(),
    ) -> None:
        self._document = document
        self._node_of_pod = node_of_pod
        self._readings = readings
        self._calendar = calendar
        self._trained: dict[Horizon, Forecaster] = {}

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
        lead_slots = -((terms.baselineGate - terms.deliveryStart) // SLOT_S)
        issue_s = terms.deliveryStart - lead_slots * SLOT_S
        horizon = Horizon("24h" if terms.marketType == DAY_AHEAD else "4h", lead_slots)
        p, q = self._readings.until(issue_s)
        if p.start_s != q.start_s or p.power_w.shape != q.power_w.shape:
            raise InvalidInput(
                "readings", (p.power_w.shape, q.power_w.shape), "must be of the same slots and nodes"
            )
        past = History(p.start_s, np.concatenate([p.power_w, q.power_w], axis=1))
        window = Window(terms.deliveryStart, terms.slots + FORECAST_BEYOND_SLOTS)
        values = self._forecaster(horizon, past, issue_s).forecast(past, issue_s, window)
        return values[:, : p.series], values[:, p.series :]

    def _forecaster(self, horizon: Horizon, past: History, issue_s: int) -> Forecaster:
        trained = self._trained.get(horizon)
        if trained is None or trained.trained_until_s != retraining_s(issue_s):
            names = [f"node {node} {quantity}" for quantity in ("P", "Q") for node in range(past.series // 2)]
            # Each of a kind of its own: no node is forecast from another's readings.
            units = [Unit(name, name, 1) for name in names]
            trained = train_forecaster(units, past, retraining_s(issue_s), horizon, self._calendar)
            self._trained[horizon] = trained
        return trained
