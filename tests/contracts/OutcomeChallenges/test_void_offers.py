"""Offers that break a rule are void, those that break none aren't, and what happens to a PoD after the gate changes
neither (SPECIFICATION.md 21.x)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from offchain.protocol.leaves import OFFER
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import OfferStatus
from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import next_block_at, refused
from tests.contracts.conftest import account_of
from tests.contracts.OutcomeChallenges.conftest import ANSWER, Change, accuse, nothing, posted, word
from tests.contracts.outcomes import LIMIT_W, PODS, SmallBook, with_first_document, with_lie

FALSELY_VOID, TAKEN = b"FalselyVoid".ljust(32, b"\0"), b"TakenThoughVoid".ljust(32, b"\0")
VOID = {"status": int(OfferStatus.VOID), "acceptedW": 0, "firstByRequest": 0}
ACCEPTED = {"status": int(OfferStatus.PARTLY_ACCEPTED), "acceptedW": 1, "firstByRequest": 1, "because": 0}
ODD_POD = 1
"""The PoD of the offer at position 1, of the first aggregator's document."""


def first_document_with(**values: int | bytes) -> Change:
    """The book with values of its second offer changed."""

    def change(book: SmallBook) -> SmallBook:
        return with_first_document(book, with_lie(book.documents[0][1], OFFER, 1, **values))

    return change


def without_first_product(book: SmallBook) -> SmallBook:
    """The book of a registry in which the odd PoD may not be offered for the product that the book is about."""
    pod = PODS[ODD_POD]
    return replace(book, facts={**book.facts, pod: replace(book.facts[pod], products=0b1110)})


def cleared(market: Any, book: SmallBook, oracle: Any) -> ListDocument:
    return book.honest(oracle.address, bytes(market.CommitmentBook.seed(book.terms.session)))


def status_of(document: ListDocument, position: int) -> tuple[int, int]:
    """An offer's status, and the position + 1 of the leaf because of which."""
    record = document.list_of(ANSWER).records()[position]
    return record.integer("status"), record.integer("because")


def payback_word(*payback_w: int) -> bytes:
    """An offer leaf's payback, eight int32."""
    return b"".join(power_w.to_bytes(4, "big", signed=True) for power_w in payback_w).ljust(32, b"\0")


RULES: list[dict[str, int | bytes]] = [
    {"durationSlots": 0},
    {"lastSlot": 6},
    {"lastSlot": 95, "durationSlots": 2},
    {"linkedTo": 2},
    {"powerW": 0},
    {"powerW": LIMIT_W + 1},
    {"minPowerW": 5_001},
    {"pod": PODS[2]},
    {"pod": b"\1" * 32},
    {"payback": payback_word(-5_001)},
    {"payback": payback_word(0, 0, 2_500, 0, 0, 0, 0, -2_501)},
    {"payback": payback_word(-(2**31))},
]
OUTSIDE: list[dict[str, int | bytes]] = [{"slot": 96, "lastSlot": 96}, {"product": 4}]


@pytest.mark.parametrize("values", RULES)
def test_an_offer_that_breaks_a_rule_is_void_and_nobody_may_accept_it(
    market: Any, play_book: Any, clearing_oracle: Any, auditor: Any, values: dict[str, int | bytes]
) -> None:
    book = play_book(first_document_with(**values))
    honest = cleared(market, book, clearing_oracle)
    assert status_of(honest, 0)[0] == OfferStatus.ACCEPTED
    assert status_of(honest, 1) == (OfferStatus.VOID, 2)
    made = posted(market, book, with_lie(honest, ANSWER, 1, **ACCEPTED), clearing_oracle)
    tx = accuse(market, made, "takenThoughVoid", made.answer(1), book.offer(0, 1), sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("TakenThoughVoid")


@pytest.mark.parametrize("values", RULES)
def test_to_call_it_void_is_no_fault(
    market: Any, play_book: Any, clearing_oracle: Any, auditor: Any, values: dict[str, int | bytes]
) -> None:
    book = play_book(first_document_with(**values))
    made = posted(market, book, cleared(market, book, clearing_oracle), clearing_oracle)
    with refused("ChallengesNotAFault", FALSELY_VOID):
        accuse(market, made, "falselyVoid", made.answer(1), book.offer(0, 1), sender=auditor)
    for position in (0, 1):
        with refused("ChallengesNotAFault", TAKEN):
            offer = book.offer(0, position)
            accuse(market, made, "takenThoughVoid", made.answer(position), offer, sender=auditor)


@pytest.mark.parametrize("values", OUTSIDE)
def test_a_leaf_outside_the_session_voids_its_whole_document(
    market: Any, play_book: Any, clearing_oracle: Any, auditor: Any, values: dict[str, int | bytes]
) -> None:
    book = play_book(first_document_with(**values))
    honest = cleared(market, book, clearing_oracle)
    assert [status_of(honest, position) for position in (0, 1)] == [(OfferStatus.VOID, 2)] * 2
    lie = with_lie(honest, ANSWER, 0, **ACCEPTED)
    made = posted(market, book, lie, clearing_oracle)
    with refused("ChallengesNotAFault", FALSELY_VOID):
        accuse(market, made, "falselyVoid", made.answer(1), book.offer(0, 1), sender=auditor)
    with refused("ChallengesNotAFault", TAKEN):
        accuse(market, made, "takenThoughVoid", made.answer(0), book.offer(0, 0), sender=auditor)
    tx = accuse(market, made, "takenThoughVoid", made.answer(0), book.offer(0, 1), sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("TakenThoughVoid")


def test_an_offer_said_to_be_void_that_isnt(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    made = posted(market, book, with_lie(honest, ANSWER, 3, **VOID, because=2), clearing_oracle)
    tx = accuse(market, made, "falselyVoid", made.answer(3), book.offer(1, 1), sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("FalselyVoid")


@pytest.mark.parametrize("payback_w", [(-5_000,), (-2_000, 0, 0, 0, 0, 0, 0, 3_000)])
def test_an_offer_that_pays_back_what_it_moves_isnt_void(
    market: Any, play_book: Any, clearing_oracle: Any, auditor: Any, payback_w: tuple[int, ...]
) -> None:
    book = play_book(first_document_with(payback=payback_word(*payback_w)))
    honest = cleared(market, book, clearing_oracle)
    assert status_of(honest, 1) == (OfferStatus.ACCEPTED, 0)
    made = posted(market, book, with_lie(honest, ANSWER, 1, **VOID, because=2), clearing_oracle)
    tx = accuse(market, made, "falselyVoid", made.answer(1), book.offer(0, 1), sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("FalselyVoid")


def test_an_offer_isnt_void_because_another_breaks_a_rule(
    market: Any, play_book: Any, clearing_oracle: Any, auditor: Any
) -> None:
    """Only a leaf outside the session voids more than itself."""
    book = play_book(first_document_with(durationSlots=2))
    lie = with_lie(cleared(market, book, clearing_oracle), ANSWER, 0, **VOID, because=2)
    made = posted(market, book, lie, clearing_oracle)
    tx = accuse(market, made, "falselyVoid", made.answer(0), book.offer(0, 1), sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("FalselyVoid")


def test_another_documents_leaf_voids_nothing(
    market: Any, play_book: Any, clearing_oracle: Any, auditor: Any
) -> None:
    book = play_book(first_document_with(product=4))
    made = posted(market, book, cleared(market, book, clearing_oracle), clearing_oracle)
    with refused("ChallengesNotTheLeaf", 1, 2):
        accuse(market, made, "takenThoughVoid", made.answer(2), book.offer(0, 1), sender=auditor)
    with refused("ChallengesNotTheLeaf", 1, 0):
        accuse(market, made, "falselyVoid", made.answer(0), book.offer(0, 0), sender=auditor)


Move = Callable[[Any], None]


def suspend(market: Any) -> None:
    market.PodRegistry.suspend(PODS[ODD_POD], "meter broken", {"from": account_of("dso")})


def withdraw_grid(market: Any) -> None:
    market.PodRegistry.prequalifyGrid(PODS[ODD_POD], 0b1110, "feeder too weak", {"from": account_of("dso")})


def withdraw_product(market: Any) -> None:
    market.PodRegistry.prequalifyProducts(PODS[ODD_POD], 0b1110, "too slow", {"from": account_of("dso")})


def reinstate(market: Any) -> None:
    market.PodRegistry.reinstate(PODS[ODD_POD], {"from": account_of("dso")})


def prequalify_grid(market: Any) -> None:
    market.PodRegistry.prequalifyGrid(PODS[ODD_POD], 0b1111, "", {"from": account_of("dso")})


def prequalify_product(market: Any) -> None:
    market.PodRegistry.prequalifyProducts(PODS[ODD_POD], 0b1111, "", {"from": account_of("dso")})


@pytest.mark.parametrize("move", [suspend, withdraw_grid, withdraw_product])
def test_a_pod_that_may_not_be_offered_in_the_last_second_before_the_gate(
    market: Any, terms: SessionTerms, play_book: Any, clearing_oracle: Any, auditor: Any, move: Move
) -> None:
    def at_gate() -> None:
        next_block_at(terms.gateClosure - 1)
        move(market)

    book = play_book(without_first_product, at_gate)
    honest = cleared(market, book, clearing_oracle)
    assert status_of(honest, 1) == (OfferStatus.VOID, 2)
    made = posted(market, book, with_lie(honest, ANSWER, 1, **ACCEPTED), clearing_oracle)
    tx = accuse(market, made, "takenThoughVoid", made.answer(1), book.offer(0, 1), sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("TakenThoughVoid")


@pytest.mark.parametrize(("after", "fault"), [(-1, True), (0, False)])
def test_the_gate_at_which_a_pod_is_judged_is_the_one_that_a_pause_moved(
    market: Any, terms: SessionTerms, admin: Any, play_book: Any, clearing_oracle: Any, auditor: Any, after: int, fault: bool
) -> None:  # fmt: skip
    def at_gate() -> None:
        next_block_at(terms.gateClosure - 10)
        market.MarketSessions.pause({"from": admin})
        next_block_at(terms.gateClosure + 90)
        market.MarketSessions.resume({"from": admin})
        next_block_at(terms.gateClosure + 100 + after)
        suspend(market)

    book = play_book(at_gate=at_gate)
    made = posted(market, book, cleared(market, book, clearing_oracle), clearing_oracle)
    answer = (made.answer(1), book.offer(0, 1))
    if fault:
        tx = accuse(market, made, "takenThoughVoid", *answer, sender=auditor)
        assert tx.events["ResultStruck"]["fault"] == word("TakenThoughVoid")
    else:
        with refused("ChallengesNotAFault", TAKEN):
            accuse(market, made, "takenThoughVoid", *answer, sender=auditor)


@pytest.mark.parametrize("move", [suspend, withdraw_grid, withdraw_product])
@pytest.mark.parametrize("instant", ["the gate", "later"])
def test_what_a_pod_loses_from_the_gate_on_makes_no_honest_outcome_false(
    market: Any, terms: SessionTerms, play_book: Any, clearing_oracle: Any, auditor: Any, move: Move, instant: str
) -> None:  # fmt: skip
    def at_gate() -> None:
        next_block_at(terms.gateClosure)
        move(market)

    book = play_book(at_gate=at_gate if instant == "the gate" else nothing)
    honest = cleared(market, book, clearing_oracle)
    assert status_of(honest, 1) == (OfferStatus.ACCEPTED, 0)
    made = posted(market, book, honest, clearing_oracle)
    if instant == "later":
        move(market)
    with refused("ChallengesNotAFault", TAKEN):
        accuse(market, made, "takenThoughVoid", made.answer(1), book.offer(0, 1), sender=auditor)


@pytest.mark.parametrize(
    ("move", "undo"),
    [(suspend, reinstate), (withdraw_grid, prequalify_grid), (withdraw_product, prequalify_product)],
)
def test_what_a_pod_gets_back_after_the_gate_makes_no_honest_outcome_false(
    market: Any, play_book: Any, clearing_oracle: Any, auditor: Any, move: Move, undo: Move
) -> None:
    book = play_book(without_first_product, lambda: move(market))
    made = posted(market, book, cleared(market, book, clearing_oracle), clearing_oracle)
    for _ in range(2):
        with refused("ChallengesNotAFault", FALSELY_VOID):
            accuse(market, made, "falselyVoid", made.answer(1), book.offer(0, 1), sender=auditor)
        if market.PodRegistry.pods(PODS[ODD_POD])["changedAt"] < book.terms.gateClosure:
            undo(market)
