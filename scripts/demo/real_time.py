"""The demo's real-time session: after something happened on the grid the DSO asks again, and what is left of the day-ahead offers
answers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

from offchain.aggregator.real_time import RealTimeDesk
from offchain.market.client import MarketClient
from offchain.market.timetable import SessionKind, sessions_of_day
from offchain.protocol.book_documents import BaselineEntry, OfferEntry, SaltOf
from offchain.protocol.rounds import MOST_ROUNDS
from offchain.protocol.terms import SLOT_S, SessionTerms
from oracles.grid.daemon import GridDaemon
from scripts.demo.case import DemoCase, MarketPod
from scripts.demo.control_room import Operator
from scripts.demo.stage import Stage

REAL_TIME_SESSION = 2
KIND = SessionKind.REAL_TIME_4
"""From noon to four: then photovoltaics inject most."""


def real_time_terms(day: date) -> SessionTerms:
    """The chain's second session."""
    return replace(sessions_of_day(day)[KIND], session=REAL_TIME_SESSION)


class CasePlans:
    """An aggregator's plans for real time: its PoDs' profiles as day ahead, and nothing new to offer."""

    def __init__(
        self,
        case: DemoCase,
        pods: Sequence[MarketPod],
        pseudonym_of: dict[str, bytes],
        salts: Callable[[str], SaltOf],
    ) -> None:
        self._case = case
        self._pods = pods
        self._pseudonym_of = pseudonym_of
        self._salts = salts

    def baseline(self, terms: SessionTerms) -> list[BaselineEntry]:
        """The profiles in the session's window."""
        first = (terms.deliveryStart - self._case.case.slot_starts_s[0]) // SLOT_S
        return [
            replace(entry, slot=entry.slot - first)
            for entry in self._case.baseline(self._pods, self._pseudonym_of)
            if 0 <= entry.slot - first < terms.slots
        ]

    def offers(self, terms: SessionTerms) -> list[OfferEntry]:
        """Only what rolls over."""
        return []

    def salts(self, terms: SessionTerms, purpose: str) -> SaltOf:
        """Salts of a document's leaves."""
        return self._salts(f"{purpose}/{terms.session}")


class RealTimeSession:
    """Goes on beside the delivery of the day: everybody does at each quarter-hour what is due."""

    def __init__(
        self,
        stage: Stage,
        terms: SessionTerms,
        desks: Sequence[RealTimeDesk],
        dso: MarketClient,
        operator: Operator,
        grid: GridDaemon,
    ) -> None:
        self._stage = stage
        self._terms = terms
        self._desks = desks
        self._dso = dso
        self._operator = operator
        self._grid = grid

    def step(self, now_s: int) -> None:
        """What is due at the start of a quarter-hour."""
        terms = self._terms
        if not terms.baselineGate - SLOT_S <= now_s < terms.deliveryStart:
            return
        for desk in self._desks:
            desk.step()
        self._operator.step()
        if terms.gateClosure <= now_s < terms.revealDeadline:
            for sealed in self._dso.pending(terms.session):
                self._dso.reveal(sealed)
        if now_s >= terms.documentsDeadline:
            for _ in range(1 + MOST_ROUNDS):
                self._stage.clearing.step()
                self._stage.validate()
                self._grid.step()
                self._stage.validate()
            self._stage.publication.step()
