"""How a lie is played: posted by its oracle, then proven."""

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE, LeafKind
from offchain.protocol.lists import ListDocument
from tests.contracts.outcomes import Posted, SmallBook, posted_of, with_lie
from tests.contracts.play import MARKET, post_market
from tests.contracts.results import Results

ENTRY, ANSWER, RESERVE = OUTCOME_BY_REQUEST, OUTCOME_BY_OFFER, OUTCOME_RESERVE
Play = Callable[[Results, Any], Any]
"""Posts the lie, and proves it as this sender; gives the proof's transaction."""
Shown = Callable[[Posted, SmallBook], Any]
"""What a proof shows of the posted outcome and the book."""


def call(results: Results, contract: str, name: str, *arguments: Any, sender: Any) -> Any:
    return getattr(getattr(results.market, contract), name)(*arguments, {"from": sender})


def contract_of(results: Results, name: str) -> str:
    """The contract that has a challenge of this name."""
    contracts = ("OutcomeChallenges", "ClearingChallenges", "ReserveChallenges", "AssessmentChallenges")
    return next(each for each in contracts if name in getattr(results.market, each).signatures)


def of_outcome(
    name: str, kind: LeafKind, index: Callable[[ListDocument], int], values: dict[str, Any], *shown: Shown
) -> Play:
    """A lie in a leaf of the market outcome; `index`: of the leaf, in the honest outcome."""

    def play(results: Results, sender: Any) -> Any:
        book, oracle = results.book, results.roles.clearing_oracle
        seed = bytes(results.market.CommitmentBook.seed(results.session))
        honest = book.honest(oracle.address, seed)
        made = posted_of(with_lie(honest, kind, index(honest), **values), seed)
        post_market(results.market, results.terms, made.outcome, oracle)
        proofs = [each(made, book) for each in shown]
        contract = contract_of(results, name)
        return call(results, contract, name, astuple(made.outcome), MARKET, *proofs, sender=sender)

    return play


def entry(index: int) -> Shown:
    return lambda made, _: made.entry(index)


def answer(index: int) -> Shown:
    return lambda made, _: made.answer(index)


def first_offer(index: int) -> Shown:
    """An offer of the first document."""
    return lambda _, book: book.offer(0, index)


def second_offer(index: int) -> Shown:
    """An offer of the second document."""
    return lambda _, book: book.offer(1, index)


def request(_: Posted, book: SmallBook) -> Any:
    return book.request(0)


def effectiveness(index: int) -> Shown:
    return lambda _, book: book.effectiveness(index)


def opening_of_request(_: Posted, book: SmallBook) -> Any:
    return book.opening(2)


def no(_: Posted, __: SmallBook) -> bool:
    """The answer to a question that the proof asks."""
    return False
