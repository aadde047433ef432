"""What flexible customers are expected to absorb of whom no baseline was nominated, learned from their certified readings."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from offchain.protocol.keccak import keccak256
from offchain.protocol.market_time import INTERVALS_PER_DAY, Window
from offchain.protocol.metering import Net, PodSlot
from offchain.protocol.terms import SLOT_S, SessionTerms
from oracles.grid.core.documents import ForecastBasis
from oracles.grid.core.forecast.calendar import HolidayCalendar
from oracles.grid.core.forecast.documents import forecaster_bytes
from oracles.grid.core.forecast.forecaster import Unit, retraining_s
from oracles.grid.core.forecast.history import Floats, History, first_finite
from oracles.grid.core.forecast.typical_profiles import learn_typical_profiles
from oracles.grid.customer_readings import REMEMBERED_S
from oracles.grid.reading_store import ReadingStore
from oracles.grid.trained import TrainedForecasters, issue_of

LEARNT_FROM_SLOTS = 14 * INTERVALS_PER_DAY
"""Readings that a PoD must have before the month for the model that learns: two of each day of the week."""
TYPICAL_FROM_SLOTS = INTERVALS_PER_DAY
"""Readings that it must have by the issue for typical profiles of its own."""


@dataclass(frozen=True)
class CustomersExpected:
    """`nets`: by PoD and slot of the session. `basis`: None where nobody was forecast."""

    nets: Mapping[PodSlot, Net]
    basis: ForecastBasis | None


class CustomerForecast:
    """The same readings and terms give the same forecast, whenever it is asked for."""

    def __init__(self, store: ReadingStore, calendar: HolidayCalendar = HolidayCalendar()) -> None:
        self._store = store
        self._calendar = calendar
        self._forecasters = TrainedForecasters(store)

    def expected(self, terms: SessionTerms, pods: Collection[bytes]) -> CustomersExpected:
        """Net power of these PoDs in each slot, from the readings that had ended by the session's baseline gate: by the model that
        learns where it has enough of them, by typical profiles where there are some; nothing of the others."""
        issue_s, horizon = issue_of(terms)
        ordered = sorted(pods)
        p, q = self._store.history(ordered, issue_s - REMEMBERED_S, issue_s)
        trained_s = retraining_s(issue_s)
        by_training = np.isfinite(p.until(trained_s).power_w).sum(axis=0)
        by_issue = np.isfinite(p.power_w).sum(axis=0)
        learnt = np.flatnonzero(by_training >= LEARNT_FROM_SLOTS).tolist()
        typical = [
            place
            for place in np.flatnonzero(by_issue >= TYPICAL_FROM_SLOTS).tolist()
            if by_training[place] < LEARNT_FROM_SLOTS
        ]
        if not learnt and not typical:
            return CustomersExpected({}, None)
        both = History(p.start_s, np.concatenate([p.power_w, q.power_w], axis=1))
        window = Window(terms.deliveryStart, terms.slots)
        values, forecaster_hash = np.zeros((terms.slots, 2 * len(ordered))), b""
        if learnt:
            columns = [*learnt, *(len(ordered) + place for place in learnt)]
            own = _from_first(both, columns)
            names = [f"{quantity} 0x{ordered[place].hex()}" for quantity in ("P", "Q") for place in learnt]
            # Each of a kind of its own: no customer is forecast from another's readings.
            units = [Unit(name, name, 1) for name in names]
            forecaster = self._forecasters.forecaster(
                "customers", units, own, issue_s, horizon, self._calendar
            )
            values[:, columns] = forecaster.forecast(own, issue_s, window)
            forecaster_hash = keccak256(forecaster_bytes(forecaster))
        if typical:
            columns = [*typical, *(len(ordered) + place for place in typical)]
            values[:, columns] = self._typical(_from_first(both, columns), window)
        nets = {
            (ordered[place], slot): Net(round(values[slot, place]), round(values[slot, len(ordered) + place]))
            for place in (*learnt, *typical)
            for slot in range(terms.slots)
        }
        basis = ForecastBasis(
            forecaster_hash,
            both.digest(),
            tuple(ordered[place] for place in learnt),
            tuple(ordered[place] for place in typical),
        )
        return CustomersExpected(nets, basis)

    def without(self, total: History, pods: Mapping[bytes, int], reactive: bool) -> History:
        """What sensors read at each node, less what the market's PoDs there absorbed: their readings, and in gaps of these their
        typical profiles. `pods`: node of each. What was never read of a PoD stays in the total."""
        ordered = sorted(pods)
        p, q = self._store.history(ordered, total.start_s, total.end_s)
        absorbed = q if reactive else p
        window = Window(total.start_s, len(total.power_w))
        filled = first_finite(absorbed.power_w, self._typical(absorbed, window))
        power_w = total.power_w.copy()
        for place, pod in enumerate(ordered):
            power_w[:, pods[pod]] -= np.nan_to_num(filled[:, place])
        return History(total.start_s, power_w)

    def _typical(self, past: History, window: Window) -> Floats:
        return learn_typical_profiles(past, self._calendar).at(window, self._calendar)


def _from_first(both: History, columns: list[int]) -> History:
    """These series from the first quarter-hour on in which one of them was read."""
    own = both.power_w[:, columns]
    first = int(np.isfinite(own).any(axis=1).argmax())
    return History(both.start_s, own).since(both.start_s + first * SLOT_S)
