"""Blocks, exclusive groups and links: what breaks their rule is struck, what keeps to it isn't."""

from typing import Any

import pytest

from offchain.protocol.lists import ListDocument
from tests.contracts.chain import refused
from tests.contracts.orders import (
    BLOCK,
    FIRST,
    LINKED,
    OFFERS,
    SECOND,
    SINGLE,
    SLOTS,
    entries_of,
    with_offers,
)
from tests.contracts.OutcomeChallenges.conftest import ANSWER, ENTRY, accuse, posted, word
from tests.contracts.outcomes import SmallBook, with_lie


@pytest.fixture
def book(play_book: Any) -> SmallBook:
    return play_book(with_offers(OFFERS), slots=SLOTS)


def is_no_fault(fault: str) -> Any:
    return refused("ChallengesNotAFault", fault.encode().ljust(32, b"\0"))


def answered(made: Any, book: SmallBook, index: int) -> tuple[Any, ...]:
    """IClearingChallenges.Answered of an offer of the first document."""
    return (made.answer(index), book.offer(0, index))


def test_nothing_in_an_honest_outcome_is_a_fault(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    """The block runs in slots 7 and 8, the first of the group is taken, and so is what is linked to it."""
    made = posted(market, book, honest, clearing_oracle)
    taken = honest.list_of(ANSWER).integers("acceptedW")[:4]
    assert taken == [4_000, 4_000, 0, 4_000]
    for index in range(5):
        for entry in entries_of(honest, index):
            with is_no_fault("BlockBroken"):
                shown = (made.answer(index), book.offer(0, index), made.entry(entry))
                accuse(market, made, "blockBroken", *shown, sender=auditor)
        with is_no_fault("FalselyExcluded"):
            shown = (made.answer(index), book.offer(0, index), made.entry(0))
            accuse(market, made, "falselyExcluded", *shown, sender=auditor)
        for other in range(5):
            with is_no_fault("GroupBroken"):
                pair = (answered(made, book, index), answered(made, book, other))
                accuse(market, made, "groupBroken", *pair, sender=auditor)
    first, second = entries_of(honest, BLOCK)
    with is_no_fault("BlockBroken"):
        shown = (book.offer(0, BLOCK), made.entry(first), made.entry(second))
        accuse(market, made, "blockSplit", *shown, sender=auditor)
    with is_no_fault("OfferChainBroken"):
        accuse(market, made, "offerSumBroken", made.entry(first), made.entry(second), sender=auditor)
    with is_no_fault("LinkBroken"):
        accuse(market, made, "linkBroken", answered(made, book, LINKED), made.answer(FIRST), sender=auditor)
    with is_no_fault("LinkBroken"):
        accuse(market, made, "linkBroken", answered(made, book, FIRST), made.answer(BLOCK), sender=auditor)
    for index in range(5):
        with is_no_fault("Miscounted"):
            shown = (made.answer(max(index - 1, 0)), made.answer(index), book.offer(0, index))
            accuse(market, made, "miscounted", *shown, sender=auditor)
        with is_no_fault("WrongCopy"):
            accuse(market, made, "wrongCopy", made.answer(index), book.offer(0, index), sender=auditor)


@pytest.mark.parametrize(
    ("of", "values"),
    [
        (0, {"acceptedW": 3_999}),
        (1, {"acceptedW": 4_001}),
        (0, {"slot": 6}),
        (1, {"slot": 9}),
        (0, {"slot": 8}),
        (1, {"slot": 7}),
        (0, {"nextForOffer": 0}),
        (1, {"nextForOffer": 9}),
    ],
)
def test_a_block_that_isnt_taken_as_one(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, of: int,
    values: dict[str, int],
) -> None:  # fmt: skip
    """Another power in one of its slots, another slot, a first or last that isn't."""
    entry = entries_of(honest, BLOCK)[of]
    made = posted(market, book, with_lie(honest, ENTRY, entry, **values), clearing_oracle)
    shown = (made.answer(BLOCK), book.offer(0, BLOCK), made.entry(entry))
    tx = accuse(market, made, "blockBroken", *shown, sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("BlockBroken")


@pytest.mark.parametrize("start_slot", [6, 9])
def test_a_block_that_starts_where_it_may_not(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, start_slot: int
) -> None:
    made = posted(market, book, with_lie(honest, ANSWER, BLOCK, startSlot=start_slot), clearing_oracle)
    tx = accuse(market, made, "wrongCopy", made.answer(BLOCK), book.offer(0, BLOCK), sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("WrongCopy")


@pytest.mark.parametrize("slot", [7, 9])
def test_a_block_with_a_gap(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, slot: int
) -> None:
    first, second = entries_of(honest, BLOCK)
    made = posted(market, book, with_lie(honest, ENTRY, second, slot=slot), clearing_oracle)
    shown = (book.offer(0, BLOCK), made.entry(first), made.entry(second))
    tx = accuse(market, made, "blockSplit", *shown, sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("BlockBroken")


def test_another_offers_entries_say_nothing_of_a_block(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    made = posted(market, book, honest, clearing_oracle)
    (other,) = entries_of(honest, FIRST)
    with refused("ChallengesNotTheLeaf", BLOCK, FIRST):
        shown = (made.answer(BLOCK), book.offer(0, BLOCK), made.entry(other))
        accuse(market, made, "blockBroken", *shown, sender=auditor)


def test_two_of_a_group(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    lie = with_lie(honest, ANSWER, SECOND, acceptedW=1, status=1, firstByRequest=1)
    made = posted(market, book, lie, clearing_oracle)
    for index, other in ((FIRST, FIRST), (SECOND, SINGLE)):
        with is_no_fault("GroupBroken"):
            pair = (answered(made, book, index), answered(made, book, other))
            accuse(market, made, "groupBroken", *pair, sender=auditor)
    pair = (answered(made, book, FIRST), answered(made, book, SECOND))
    tx = accuse(market, made, "groupBroken", *pair, sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("GroupBroken")


def test_a_linked_offer_without_its_parent(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    lie = with_lie(honest, ANSWER, FIRST, acceptedW=0, status=2, firstByRequest=0)
    made = posted(market, book, lie, clearing_oracle)
    with refused("ChallengesNotTheLeaf", FIRST, SECOND):
        accuse(market, made, "linkBroken", answered(made, book, LINKED), made.answer(SECOND), sender=auditor)
    tx = accuse(market, made, "linkBroken", answered(made, book, LINKED), made.answer(FIRST), sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("LinkBroken")


@pytest.mark.parametrize("values", [{"countedW": 2_000}, {"coverUeur": 4 * 30_000}])
def test_a_block_is_covered_in_each_of_its_slots(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, values: dict[str, int]
) -> None:  # fmt: skip
    """4 kW in two slots: the penalty for delivering none of it twice."""
    assert honest.list_of(ANSWER).integers("coverUeur")[BLOCK] == 2 * 4 * 30_000
    made = posted(market, book, with_lie(honest, ANSWER, BLOCK, **values), clearing_oracle)
    shown = (made.answer(BLOCK), made.answer(BLOCK), book.offer(0, BLOCK))
    tx = accuse(market, made, "miscounted", *shown, sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("Miscounted")


def test_a_cheaper_block_refused_is_the_arbiters(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    """No two leaves say whether it fitted."""
    lie = with_lie(honest, ANSWER, BLOCK, acceptedW=0, status=2, firstByRequest=0)
    made = posted(market, book, lie, clearing_oracle)
    (dearer,) = entries_of(honest, FIRST)
    with is_no_fault("CheaperRefused"):
        shown = (
            made.entry(dearer),
            made.answer(BLOCK),
            book.offer(0, BLOCK),
            book.request(),
            book.effectiveness(0),
        )
        accuse(market, made, "cheaperRefused", *shown, sender=auditor)
