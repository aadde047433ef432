"""What flexible customers are expected to absorb of whom no baseline was nominated, learned from their certified readings."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offchain.protocol.keccak import keccak256
from offchain.protocol.market_time import INTERVALS_PER_DAY, Window
from offchain.protocol.metering import Net, PodSlot
from offchain.protocol.terms import SLOT_S, SessionTerms
from oracles.grid.core.documents import FORECAST_BEYOND_SLOTS, ForecastBasis
from oracles.grid.core.forecast.calendar import HolidayCalendar
from oracles.grid.core.forecast.documents import forecaster_bytes
from oracles.grid.core.forecast.forecaster import Forecaster, Unit, retraining_s
from oracles.grid.core.forecast.history import Floats, History, first_finite
from oracles.grid.core.forecast.load_model import MEMORY_DAYS, Horizon
from oracles.grid.core.forecast.typical_profiles import learn_typical_profiles
from oracles.grid.customer_readings import DAY_S, REMEMBERED_S
from oracles.grid.reading_store import ReadingStore
from oracles.grid.trained import TrainedForecasters, issue_of

LEARNT_FROM_SLOTS = 14 * INTERVALS_PER_DAY
"""Readings that a PoD must have before the month for the model that learns: two of each day of the week."""
TYPICAL_FROM_SLOTS = INTERVALS_PER_DAY
"""Readings that it must have by the issue for typical profiles of its own."""
MEMORY_S = (MEMORY_DAYS + 2) * DAY_S
"""How far back the model looks."""
PURPOSE = "customers"


@dataclass(frozen=True)
class CustomersExpected:
    """`nets`: by PoD and slot of the session. `basis`: None where nobody was forecast."""

    nets: Mapping[PodSlot, Net]
    basis: ForecastBasis | None


class CustomerForecast:
    """The same readings, forecaster of the month and terms give the same forecast, whenever it is asked for."""

    def __init__(self, store: ReadingStore, calendar: HolidayCalendar = HolidayCalendar()) -> None:
        self._store = store
        self._calendar = calendar
        self._forecasters = TrainedForecasters(store)

    def expected(self, terms: SessionTerms, pods: Collection[bytes]) -> CustomersExpected:
        """Net power of these PoDs in each slot and FORECAST_BEYOND_SLOTS after the window, from the readings that had ended by
        the session's baseline gate: by the model that learns where it has enough of them, by typical profiles where there are
        some; nothing of the others."""
        ordered = sorted(pods)
        if not ordered:
            return CustomersExpected({}, None)
        issue_s, horizon = issue_of(terms)
        window = Window(terms.deliveryStart, terms.slots + FORECAST_BEYOND_SLOTS)
        both = self._history(ordered, issue_s - REMEMBERED_S, issue_s)
        values = self._typical(both, window)
        known = np.isfinite(both.power_w[:, : len(ordered)]).sum(axis=0)
        typical = {pod for place, pod in enumerate(ordered) if known[place] >= TYPICAL_FROM_SLOTS}
        forecaster, learnt = self._forecaster(issue_s, horizon), set[bytes]()
        if forecaster is not None:
            members = [_pod_of(unit) for unit in forecaster.units[: len(forecaster.units) // 2]]
            recent = self._history(members, issue_s - MEMORY_S, issue_s)
            said = forecaster.forecast(recent, issue_s, window)
            learnt = set(members) & set(ordered)
            for pod in learnt:
                place, member = ordered.index(pod), members.index(pod)
                values[:, place] = said[:, member]
                values[:, len(ordered) + place] = said[:, len(members) + member]
        typical -= learnt
        if not learnt and not typical:
            return CustomersExpected({}, None)
        nets = {
            (pod, slot): Net(round(values[slot, place]), round(values[slot, len(ordered) + place]))
            for place, pod in enumerate(ordered)
            if pod in learnt or pod in typical
            for slot in range(window.slots)
        }
        forecaster_hash = keccak256(forecaster_bytes(forecaster)) if forecaster and learnt else b""
        basis = ForecastBasis(forecaster_hash, both.digest(), tuple(sorted(learnt)), tuple(sorted(typical)))
        return CustomersExpected(nets, basis)

    def _forecaster(self, issue_s: int, horizon: Horizon) -> Forecaster | None:
        """The month's: of all who had enough readings when it was trained, whoever is forecast; None where nobody had. Who has
        enough later is in the next month's."""
        kept = self._forecasters.kept(PURPOSE, issue_s, horizon)
        if kept is not None:
            return kept
        trained_s = retraining_s(issue_s)
        pods = self._store.pods()
        past = self._history(pods, trained_s - REMEMBERED_S, trained_s)
        known = np.isfinite(past.power_w[:, : len(pods)]).sum(axis=0)
        places = np.flatnonzero(known >= LEARNT_FROM_SLOTS).tolist()
        if not places:
            return None
        own = past.power_w[:, [*places, *(len(pods) + place for place in places)]]
        first = int(np.isfinite(own).any(axis=1).argmax())
        names = [f"{quantity} 0x{pods[place].hex()}" for quantity in ("P", "Q") for place in places]
        # Each of a kind of its own: no customer is forecast from another's readings.
        units = [Unit(name, name, 1) for name in names]
        since = History(past.start_s, own).since(past.start_s + first * SLOT_S)
        return self._forecasters.forecaster(PURPOSE, units, since, issue_s, horizon, self._calendar)

    def _history(self, pods: Sequence[bytes], start_s: int, end_s: int) -> History:
        """Net W of each, then net var of each."""
        p, q = self._store.history(pods, start_s, end_s)
        return History(p.start_s, np.concatenate([p.power_w, q.power_w], axis=1))

    def without(
        self, total: History, pods: Mapping[bytes, int], reactive: bool, most_va: Floats | None = None
    ) -> History:
        """What sensors read at each node, less what the market's PoDs there absorbed: their readings, and in gaps of these their
        typical profiles. `pods`: node of each. What was never read of a PoD stays in the total. `most_va` (nodes,): readings
        beyond that can't be meant, and are gaps."""
        ordered = sorted(pods)
        p, q = self._store.history(ordered, total.start_s, total.end_s)
        absorbed = q if reactive else p
        if most_va is not None and ordered:
            most = np.array([most_va[pods[pod]] for pod in ordered])
            meant = np.where(np.abs(absorbed.power_w) <= most, absorbed.power_w, np.nan)
            absorbed = History(absorbed.start_s, meant)
        window = Window(total.start_s, len(total.power_w))
        filled = first_finite(absorbed.power_w, self._typical(absorbed, window))
        power_w = total.power_w.copy()
        for place, pod in enumerate(ordered):
            power_w[:, pods[pod]] -= np.nan_to_num(filled[:, place])
        return History(total.start_s, power_w)

    def _typical(self, past: History, window: Window) -> Floats:
        return learn_typical_profiles(past, self._calendar).at(window, self._calendar)


def _pod_of(unit: Unit) -> bytes:
    return bytes.fromhex(unit.name.removeprefix("P 0x"))
