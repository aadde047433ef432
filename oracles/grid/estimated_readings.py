"""Readings of the grid in real time: the latest quarter-hours as the state estimation found them.

What `ForecastNetwork` reads: its model of four hours ahead has learned how far the latest readings' distance from the usual carries
on, so that an estimated state moves the forecast as far as it has done before.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.metering import Net
from offchain.protocol.terms import SLOT_S
from oracles.grid.core.forecast.history import Floats, History
from oracles.grid.forecast_network import NodeReadings
from oracles.grid.state_estimation import EstimatedState


class EstimatedReadings:
    """`readings`: what is known otherwise, a series a bus in the order of `buses`. An estimate stands before it."""

    def __init__(self, readings: NodeReadings, buses: Sequence[int]) -> None:
        self._readings = readings
        self._column = {bus: place for place, bus in enumerate(buses)}
        self._estimated: dict[int, tuple[Floats, Floats]] = {}

    @property
    def buses(self) -> frozenset[int]:
        """Buses that are read."""
        return frozenset(self._column)

    def take(self, start_s: int, state: EstimatedState, market: Mapping[int, Net]) -> None:
        """Take the mean state of the quarter-hour that starts at an instant; the last one for it stands.

        `market`: what the market's PoDs absorbed then, by bus, by their readings or what they are expected to do: the forecast
        is of everybody else. Raises InvalidInput for an instant that starts no quarter-hour, and for unknown buses.
        """
        if start_s % SLOT_S:
            raise InvalidInput("start_s", start_s, f"must be a multiple of {SLOT_S}")
        unknown = sorted(({*state.buses} | market.keys()) - self._column.keys())
        if unknown:
            raise InvalidInput("state.buses", unknown, "must be buses that are read")
        p_w, q_var = (np.full(len(self._column), np.nan) for _ in range(2))
        for bus, active_w, reactive_var in zip(state.buses, state.p_w, state.q_var, strict=True):
            of_market = market.get(bus, Net(0, 0))
            p_w[self._column[bus]] = active_w - of_market.power_w
            q_var[self._column[bus]] = reactive_var - of_market.reactive_var
        self._estimated[start_s] = p_w, q_var

    def until(self, instant_s: int) -> tuple[History, History]:
        """Net W and var of everybody outside the market at each bus, in the quarter-hours ended by an instant."""
        p, q = self._readings.until(instant_s)
        return self._with_estimates(p, 0, instant_s), self._with_estimates(q, 1, instant_s)

    def _with_estimates(self, known: History, kind: int, instant_s: int) -> History:
        known = known.until(instant_s)
        ended = [start_s for start_s in self._estimated if known.start_s <= start_s <= instant_s - SLOT_S]
        slots = max([len(known.power_w), *((start_s - known.start_s) // SLOT_S + 1 for start_s in ended)])
        power_w = known.at(known.start_s, slots)
        for start_s in ended:
            row = (start_s - known.start_s) // SLOT_S
            estimate = self._estimated[start_s][kind]
            power_w[row] = np.where(np.isfinite(estimate), estimate, power_w[row])
        return History(known.start_s, power_w)
