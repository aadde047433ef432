"""The small market's day-ahead session and real-time sessions of its day, with a grid on which everything fits."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from offchain.aggregator.real_time import RealTimeDesk
from offchain.market.timetable import MarketRules, SessionKind, sessions_of_day
from offchain.protocol.book_documents import (
    Area,
    BaselineEntry,
    OfferEntry,
    Relief,
    SaltOf,
    offers_document,
    request_document,
)
from offchain.protocol.keccak import keccak256
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Product, Side
from offchain.protocol.terms import SessionTerms
from oracles.clearing.daemon import ClearingDaemon
from oracles.grid.core.documents import FORECAST_BEYOND_SLOTS
from oracles.grid.core.network import Document, Integers
from oracles.grid.daemon import GridDaemon, GridDaemonSettings
from scripts.demo.cast import Person
from tests.chain.small_market import CAST, FIRST, SECOND, TERMS, SmallMarket, pod
from tests.market.desk import Desk, leaf_salt
from tests.oracles.grid.small_grids import radial_document

UP = Product.ACTIVE_UP
DAY = date(2026, 9, 10)
KINDS = (SessionKind.REAL_TIME_2, SessionKind.REAL_TIME_3)
"""The real-time sessions that are created: slots 16 to 31, and 32 to 47, of the day."""
SECOND_SESSION = 2
"""Number of the first of them."""


def offer(number: int, slot: int, power_w: int, price: int, *, real_time: bool = True) -> OfferEntry:
    """An offer of a numbered PoD."""
    return OfferEntry(pod(number), slot, UP, power_w, price, real_time=real_time)


AHEAD_OFFERS = {
    FIRST: [
        offer(0, 20, 10_000, 40_000),
        offer(2, 20, 10_000, 41_000),
        offer(0, 21, 8_000, 42_000),
        offer(2, 22, 6_000, 30_000, real_time=False),
    ],
    SECOND: [offer(1, 20, 10_000, 80_000), offer(3, 21, 5_000, 50_000)],
}
"""Of 15 kW asked for in slot 20, PoD 0 gives 10 kW and PoD 2 the rest; in slot 21 nobody asks for anything."""
AHEAD_NEED_W = {20: 15_000}
REAL_TIME_NEED_W = {4: 6_000, 5: 12_000}
"""Slots 20 and 21 of the day."""
FRESH = offer(0, 4, 10_000, 10_000, real_time=False)
"""The cheapest, of a PoD and slot that were sold."""


class StandInNetwork:
    """A transformer, a line to each PoD, and nobody else."""

    def document(self) -> Document:
        """IEC: wide lines."""
        return radial_document([1] * 4, [0.01] * 4, rating_ka=5.0)

    def node_of(self, pod_: bytes) -> int:
        """The numbered PoD's node."""
        return 2 + [pod(number) for number in range(4)].index(pod_)

    def background(self, terms: SessionTerms) -> tuple[Integers, Integers]:
        """Nothing."""
        nothing = np.zeros((terms.slots + FORECAST_BEYOND_SLOTS, 6), dtype=np.int64)
        return nothing, nothing.copy()


class NoRequests:
    """The DSO asks by hand here."""

    def submit(self, terms: SessionTerms, areas: Sequence[Area]) -> None:
        """Nothing is violated."""
        raise AssertionError(areas)


@dataclass
class Plans:
    """An aggregator's forecasting: 20 kW of each of its PoDs, always; and what it newly offers."""

    pods: Sequence[bytes]
    fresh: dict[int, list[OfferEntry]] = field(default_factory=dict)

    def baseline(self, terms: SessionTerms) -> Sequence[BaselineEntry]:
        """20 kW."""
        return [BaselineEntry(each, slot, 20_000, 0) for each in self.pods for slot in range(terms.slots)]

    def offers(self, terms: SessionTerms) -> Sequence[OfferEntry]:
        """By session."""
        return self.fresh.get(terms.session, [])

    def salts(self, terms: SessionTerms, purpose: str) -> SaltOf:
        """By position and purpose."""
        key = keccak256(f"{terms.session}/{purpose}".encode())
        return lambda _, position: keccak256(key + position.to_bytes(4, "big"))


def request_of(session: int, need_w: dict[int, int]) -> ListDocument:
    """The DSO's request from all four PoDs."""
    area = Area(
        element=keccak256(b"line 1"),
        product=UP,
        grid_model=bytes(32),
        reliefs=[Relief(slot, relief_w, 90_000) for slot, relief_w in need_w.items()],
        effectiveness=[(pod(number), 1000) for number in range(4)],
    )
    return request_document(session, CAST.dso.address, [area], leaf_salt)


def before_opening(market: SmallMarket) -> None:
    """Create the real-time sessions, and anchor the grid of the day-ahead one."""
    rules = MarketRules(settlement_s=72 * 3600)
    for kind, terms in enumerate(sessions_of_day(DAY, rules)):
        if kind in KINDS:
            values = [getattr(terms, name) for name in SessionTerms.__dataclass_fields__ if name != "session"]
            market.operator.send("MarketSessions", "create", tuple(values))
            market.operator.send("OutcomeBoard", "prepare", market.operator.call("MarketSessions", "count"))
    market.chain.advance_to(TERMS.baselineGate)
    grid_of(market).step()


def grid_of(market: SmallMarket) -> GridDaemon:
    """The grid oracle."""
    chain, documents = market.speaking_as(CAST.oracles["grid"]), market.documents
    settings = GridDaemonSettings(90_000)
    return GridDaemon(chain, documents, market.stores, StandInNetwork(), NoRequests(), settings)


@dataclass
class RealTimeDay:
    """The day at the market's API. Every step is taken by a platform or daemon that was just started."""

    desk: Desk
    plans: dict[Person, Plans] = field(
        default_factory=lambda: {
            person: Plans([pod(first), pod(first + 2)]) for first, person in enumerate(CAST.aggregators)
        }
    )

    @property
    def market(self) -> SmallMarket:
        """The contracts and documents."""
        return self.desk.market

    @property
    def terms(self) -> SessionTerms:
        """Of the second real-time session."""
        return self.market.view.terms(SECOND_SESSION)

    def until(self, instant_s: int) -> None:
        """Advance the clock, if it isn't later yet."""
        if self.market.operator.now_s() < instant_s:
            self.market.chain.advance_to(instant_s)

    def step(self) -> None:
        """Every aggregator's platform looks once."""
        for person, plans in self.plans.items():
            chain, client = self.market.speaking_as(person), self.desk.client(person)
            RealTimeDesk(chain, self.market.documents, client, plans).step()

    def book_ahead(self) -> None:
        """The day-ahead book, until its market outcome is due."""
        players = {person: (self._offers(person), Side.OFFER) for person in AHEAD_OFFERS}
        players[CAST.dso] = (request_of(TERMS.session, AHEAD_NEED_W), Side.DSO_REQUEST)
        self._play(TERMS, players)

    def validate(self, terms: SessionTerms, clear: bool = True) -> None:
        """Market, technical and validated outcome. `clear`: the market outcome, too."""
        market = self.market
        clearing = market.speaking_as(CAST.oracles["clearing"])
        daemon = ClearingDaemon(clearing, market.documents, market.stores)
        if clear:
            daemon.step()
        grid_of(market).step()
        daemon.step()
        assert market.view.validated_outcome(terms.session) is not None

    def roll_over_until_gate(self) -> None:
        """From the fixed day-ahead result, with baselines and the grid anchored, until the second session's gate is open."""
        self.until(TERMS.validatedOutcomeDeadline)
        self.step()
        self.until(self.terms.baselineGate)
        grid_of(self.market).step()
        self.until(self.terms.gateOpening)

    def roll_over(self) -> None:
        """The same, and the aggregators' offers are in."""
        self.roll_over_until_gate()
        self.step()

    def book_real_time(self) -> None:
        """The real-time book, until its market outcome is due: the DSO asks again, the platforms do the rest."""
        terms, client = self.terms, self.desk.client(CAST.dso)
        sealed = client.commit(
            request_of(SECOND_SESSION, REAL_TIME_NEED_W), Side.DSO_REQUEST, terms.gateClosure
        )
        self.until(terms.gateClosure)
        client.reveal(sealed)
        self.step()
        self.until(terms.documentsDeadline)

    def _offers(self, person: Person) -> ListDocument:
        return offers_document(TERMS.session, person.address, AHEAD_OFFERS[person], leaf_salt)

    def _play(self, terms: SessionTerms, players: dict[Person, tuple[ListDocument, Side]]) -> None:
        clients = {person: self.desk.client(person) for person in players}
        sealed = {
            person: clients[person].commit(document, side, terms.gateClosure)
            for person, (document, side) in players.items()
        }
        self.until(terms.gateClosure)
        for person, made in sealed.items():
            clients[person].reveal(made)
        self.until(terms.documentsDeadline)


def with_fresh_offer(day: RealTimeDay) -> RealTimeDay:
    """The first aggregator newly offers what was sold already."""
    day.plans[FIRST] = replace(day.plans[FIRST], fresh={SECOND_SESSION: [FRESH]})
    return day
