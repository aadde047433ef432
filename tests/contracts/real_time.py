"""A day-ahead session, and the second real-time session of its day: PoDs 0 to 2 sold day ahead in one slot that both have.

Each session's book is the small book: day ahead PoDs 0 and 1 give 5 kW each and PoD 2 the remaining 2, in real time the
same is offered and asked for again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from offchain.protocol.lists import ListDocument
from offchain.protocol.market_time import day_start_s, local_date
from offchain.protocol.real_time import sold_places
from offchain.protocol.terms import SLOT_S, SessionTerms
from oracles.clearing.core.session import ClearedSession
from tests.contracts.chain import now_s, travel_to
from tests.contracts.conftest import account_of
from tests.contracts.outcomes import SLOT, Posted, SmallBook, posted_of, register_pods, small_book
from tests.contracts.play import (
    as_struct,
    certify,
    commit,
    notarise_grid_model,
    post_market,
    reveal,
    session_terms,
)
from tests.contracts.results import Results, Roles

OFFSET = 16
"""Slots of the day before the real-time session's first."""
STEP_S = 1000
DEADLINES = ("baselineGate", "gateOpening", "gateClosure", "revealDeadline", "documentsDeadline")
DEADLINES += ("marketOutcomeDeadline", "validatedOutcomeDeadline")
AFTER_S = 7 * STEP_S
"""So much later than the day-ahead's is each deadline of real time, if nothing else is said: after its last one."""
Lie = Callable[[Results], Any]


def honest_validated(results: Results) -> Any:
    """Post the validated outcome as it is right."""
    return results.post_validated()


@dataclass(frozen=True)
class RealTimeDay:
    """The real-time session when its market outcome is due, and the day-ahead's results."""

    market: Any
    ahead: Results
    book: SmallBook

    @property
    def sold(self) -> Posted:
        """The day-ahead's validated outcome."""
        assert self.ahead.validated is not None
        assert self.ahead.validated_document is not None
        return Posted(self.ahead.validated, self.ahead.validated_document)

    def cleared(self) -> ClearedSession:
        """What is right in real time."""
        seed = bytes(self.market.CommitmentBook.seed(self.book.terms.session))
        return self.book.cleared(account_of("clearing_oracle").address, seed)

    def sold_again(self) -> ListDocument:
        """What clearing gives if it doesn't look at the day-ahead result."""
        return replace(self, book=replace(self.book, sold={})).cleared().market

    def post(self, document: ListDocument) -> Posted:
        """Post a market outcome of real time."""
        made = posted_of(document, bytes(self.market.CommitmentBook.seed(self.book.terms.session)))
        post_market(self.market, self.book.terms, made.outcome, account_of("clearing_oracle"))
        return made


def create(market: Any, terms: SessionTerms) -> SessionTerms:
    """The session, created."""
    market.MarketSessions.create(as_struct(terms), {"from": account_of("operator")})
    session = market.MarketSessions.count()
    return replace(
        terms, session=session, pausedBeforeS=market.MarketSessions.terms(session)["pausedBeforeS"]
    )


def day_ahead_terms() -> SessionTerms:
    """A day-ahead session of the first local day that its deadlines leave time for."""
    start_s = day_start_s(local_date(now_s() + 10 * STEP_S) + timedelta(days=1))
    return session_terms(deliveryStart=start_s, settlementDeadline=start_s + 97 * SLOT_S)


def real_time_terms(ahead: SessionTerms, after_s: int = AFTER_S, **changes: Any) -> SessionTerms:
    """The second real-time session of a day-ahead session's day, each deadline so much after the day-ahead's."""
    start_s = ahead.deliveryStart + OFFSET * SLOT_S
    later = {name: getattr(ahead, name) + after_s for name in DEADLINES}
    fixed = {"marketType": 2, "slots": 16, "deliveryStart": start_s}
    fixed |= {"settlementDeadline": start_s + 97 * SLOT_S, "pausedBeforeS": 0, "session": 0}
    return replace(ahead, **{**later, **fixed, **changes})


def play(
    market: Any,
    ahead: SessionTerms,
    terms: SessionTerms,
    post_validated: Lie = honest_validated,
    rests_on_it: bool = True,
) -> RealTimeDay:
    """Play both sessions, which are created, until the real-time market outcome is due. `post_validated`: posts the
    day-ahead's; `rests_on_it`: whether its result counts in real time."""
    aggregators = [account_of("aggregator"), account_of("other_aggregator")]
    dso, clearing, grid = (account_of(name) for name in ("dso", "clearing_oracle", "grid_oracle"))
    roles = Roles(aggregators, account_of("customer"), dso, clearing, grid, None, None)
    facts = register_pods(market, aggregators, roles.customer, dso, account_of)
    books = [
        small_book(each, facts, aggregators, dso, [slot])
        for each, slot in ((ahead, OFFSET + SLOT), (terms, SLOT))
    ]
    results = Results(market, ahead, roles, books[0], {})

    def post_ahead() -> None:
        results.post_market()
        results.post_technical(results.refusals_of([]))
        post_validated(results)

    def put_in(book: SmallBook) -> None:
        for document in book.sealed():
            commit(market, book.terms.session, document)

    def open_up(book: SmallBook) -> None:
        for document in book.sealed():
            reveal(market, book.terms.session, document)
            certify(market, book.terms, document)

    steps: list[tuple[int, Callable[[], None]]] = [(ahead.documentsDeadline + 500, post_ahead)]
    for book in books:
        notarise_grid_model(market, book.terms.session, grid)
        steps.append((book.terms.gateOpening, lambda book=book: put_in(book)))
        steps.append((book.terms.gateClosure, lambda book=book: open_up(book)))
    for time_s, act in sorted(steps, key=lambda step: step[0]):
        travel_to(time_s)
        act()
    travel_to(terms.documentsDeadline)
    sold = {}
    if rests_on_it and results.validated_document is not None:
        sold = sold_places(results.validated_document, ahead, terms)
    return RealTimeDay(market, results, replace(books[1], sold=sold))
