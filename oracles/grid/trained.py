"""Forecasters trained once a local month, and kept: a daemon that is started again goes on with the one that it had."""

import logging
from collections.abc import Sequence

from offchain.protocol.errors import InvalidInput
from offchain.protocol.terms import SLOT_S, SessionTerms
from oracles.grid.core.forecast.calendar import HolidayCalendar
from oracles.grid.core.forecast.documents import forecaster_bytes, forecaster_of_bytes
from oracles.grid.core.forecast.forecaster import Forecaster, Unit, retraining_s, train_forecaster
from oracles.grid.core.forecast.history import History
from oracles.grid.core.forecast.load_model import Horizon
from oracles.grid.reading_store import ReadingStore

logger = logging.getLogger(__name__)

DAY_AHEAD = 0
"""Market type of the day-ahead session; the others are real-time ones."""


def issue_of(terms: SessionTerms) -> tuple[int, Horizon]:
    """When a session is forecast (its baseline gate, at the quarter-hour's start), and how far that is ahead."""
    lead_slots = -((terms.baselineGate - terms.deliveryStart) // SLOT_S)
    horizon = Horizon("24h" if terms.marketType == DAY_AHEAD else "4h", lead_slots)
    return terms.deliveryStart - lead_slots * SLOT_S, horizon


class TrainedForecasters:
    """`store`: where they are kept; None: as long as this lives."""

    def __init__(self, store: ReadingStore | None = None) -> None:
        self._store = ReadingStore() if store is None else store
        self._latest: dict[tuple[str, Horizon], Forecaster] = {}

    def forecaster(
        self,
        purpose: str,
        units: Sequence[Unit],
        past: History,
        issue_s: int,
        horizon: Horizon,
        calendar: HolidayCalendar,
    ) -> Forecaster:
        """The forecaster of a purpose for an issue, trained until the start of its local month: the one that there is for just
        these units, else a new one from `past`. Raises InvalidInput where that is too short."""
        until_s = retraining_s(issue_s)
        kept = self.kept(purpose, issue_s, horizon)
        if kept is not None and kept.units == tuple(units) and kept.calendar == calendar:
            return kept
        trained = train_forecaster(units, past, until_s, horizon, calendar)
        document = forecaster_bytes(trained)
        self._store.put_forecaster(purpose, horizon.name, horizon.lead_slots, until_s, document)
        logger.info("%s: forecaster trained for %s until %d", purpose, horizon.name, until_s)
        self._latest[purpose, horizon] = trained
        return trained

    def kept(self, purpose: str, issue_s: int, horizon: Horizon) -> Forecaster | None:
        """The forecaster of a purpose for an issue that was trained already, whatever its units; None where there is none."""
        until_s = retraining_s(issue_s)
        latest = self._latest.get((purpose, horizon))
        if latest is None or latest.trained_until_s != until_s:
            latest = self._read(purpose, horizon, until_s)
        if latest is not None:
            self._latest[purpose, horizon] = latest
        return latest

    def _read(self, purpose: str, horizon: Horizon, until_s: int) -> Forecaster | None:
        raw = self._store.forecaster(purpose, horizon.name, horizon.lead_slots, until_s)
        if raw is None:
            return None
        try:
            return forecaster_of_bytes(raw)
        except InvalidInput as problem:
            logger.warning("%s: forecaster of %d is trained anew: %s", purpose, until_s, problem)
            return None
