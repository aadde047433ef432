"""A session whose market outcome is due, and its accuser."""

from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any

import pytest

from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST
from offchain.protocol.lists import ListDocument
from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import now_s, travel_to
from tests.contracts.conftest import account_of
from tests.contracts.outcomes import SLOT, Posted, SmallBook, posted_of, register_pods, small_book
from tests.contracts.play import MARKET, certify, commit, notarise_grid_model, post_market, reveal

ENTRY, ANSWER = OUTCOME_BY_REQUEST, OUTCOME_BY_OFFER
Change = Callable[[SmallBook], SmallBook]


def word(fault: str) -> str:
    """A fault as brownie shows a bytes32."""
    return "0x" + fault.encode().ljust(32, b"\0").hex()


def unchanged(book: SmallBook) -> SmallBook:
    """The small book as it is."""
    return book


def nothing() -> None:
    """Nothing happens."""


@pytest.fixture
def play_book(
    market: Any, terms: SessionTerms, aggregator: Any, other_aggregator: Any, customer: Any, dso: Any, grid_oracle: Any
) -> Callable[..., SmallBook]:  # fmt: skip
    """Play the session with the small book, changed, until its market outcome is due. `at_gate` happens when all have
    committed and nobody has revealed."""

    def play(
        change: Change = unchanged, at_gate: Callable[[], None] = nothing, slots: Sequence[int] = (SLOT,)
    ) -> SmallBook:
        aggregators: Sequence[Any] = (aggregator, other_aggregator)
        facts = register_pods(market, aggregators, customer, dso, account_of)
        notarise_grid_model(market, terms.session, grid_oracle)
        made = change(small_book(terms, facts, aggregators, dso, slots))
        travel_to(terms.gateOpening)
        for document in made.sealed():
            commit(market, terms.session, document)
        at_gate()
        paused_s = now_s() - market.MarketSessions.marketTime(terms.session)
        if now_s() < terms.gateClosure + paused_s:
            travel_to(terms.gateClosure + paused_s)
        for document in made.sealed():
            reveal(market, terms.session, document)
            certify(market, terms, document)
        travel_to(terms.documentsDeadline + paused_s)
        return made

    return play


@pytest.fixture
def book(play_book: Callable[..., SmallBook]) -> SmallBook:
    """The session's book, complete; its market outcome is due."""
    return play_book()


@pytest.fixture
def honest(market: Any, book: SmallBook, clearing_oracle: Any) -> ListDocument:
    """Offers 0 and 1 taken whole, 2 kW of offer 2, none of offer 3."""
    return book.honest(clearing_oracle.address, bytes(market.CommitmentBook.seed(book.terms.session)))


def posted(market: Any, book: SmallBook, document: ListDocument, oracle: Any, **totals: int) -> Posted:
    """The document's outcome, posted."""
    made = posted_of(document, bytes(market.CommitmentBook.seed(book.terms.session)), **totals)
    post_market(market, book.terms, made.outcome, oracle)
    return made


def accuse(market: Any, made: Posted, name: str, *proofs: Any, sender: Any) -> Any:
    """Send a challenge of the market outcome."""
    contracts = (market.OutcomeChallenges, market.ClearingChallenges, market.ReserveChallenges)
    challenge = getattr(next(each for each in contracts if name in each.signatures), name)
    return challenge(astuple(made.outcome), MARKET, *proofs, {"from": sender})
