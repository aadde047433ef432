"""Every fault of a reserve is struck by its proof, and no honest reserve is (SPECIFICATION.md 21.x)."""

from collections.abc import Callable
from dataclasses import astuple
from itertools import pairwise
from typing import Any

import pytest

from offchain.protocol.leaves import OFFER, OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE, LeafKind
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import OfferStatus
from tests.contracts.chain import refused
from tests.contracts.orders import OFFERS, SLOTS, with_offers
from tests.contracts.OutcomeChallenges.conftest import accuse, posted, word
from tests.contracts.outcomes import PODS, Posted, SmallBook, with_document, with_lie
from tests.contracts.play import MARKET
from tests.contracts.reserves import (
    AVAILABILITY_UEUR_PER_KW,
    DEARER,
    DEAREST,
    KEPT_OUT,
    MARGINAL,
    SECOND_STEP,
    with_reserve,
)

RESERVE, ENTRY, ANSWER = OUTCOME_RESERVE, OUTCOME_BY_REQUEST, OUTCOME_BY_OFFER
LENGTH = 3
"""Of the list by request, and of the reserve."""
NO_ENTRY = ((0, 0, 0, 0, 0, bytes(32), *[0] * 16, bytes(32)), [])
"""Where none is to be shown."""
Shown = Callable[[Posted, SmallBook], Any]


def reserved(index: int) -> Shown:
    return lambda made, _: made.reserved(index)


def taken(index: int) -> Shown:
    return lambda made, _: made.entry(index)


def answer(index: int) -> Shown:
    return lambda made, _: made.answer(index)


def of_second(index: int) -> Shown:
    return lambda _, book: book.offer(1, index)


def request(_: Posted, book: SmallBook) -> Any:
    return book.request()


def effectiveness(index: int) -> Shown:
    return lambda _, book: book.effectiveness(index)


def opening(_: Posted, book: SmallBook) -> Any:
    return book.opening(2)


def in_reserve(made: Posted, book: SmallBook) -> bool:
    return True


def in_list(made: Posted, book: SmallBook) -> bool:
    return False


def nothing(made: Posted, book: SmallBook) -> Any:
    return NO_ENTRY


def struck(
    market: Any, book: SmallBook, lie: ListDocument, oracle: Any, auditor: Any, name: str, *shown: Shown
) -> Any:
    made = posted(market, book, lie, oracle)
    tx = accuse(market, made, name, *(each(made, book) for each in shown), sender=auditor)
    assert bytes(market.OutcomeBoard.outcomeHash(book.terms.session, MARKET)) == bytes(32)
    return tx.events["ResultStruck"]


def test_the_reserve_is_as_told(honest: ListDocument) -> None:
    leaves = honest.list_of(RESERVE).records()
    found = [(leaf.integer("offerPosition"), leaf.integer("acceptedW")) for leaf in leaves]
    assert found == [(MARGINAL, 3_000), (SECOND_STEP, 5_000), (DEARER, 1_000)]
    status = [OfferStatus(leaf.integer("status")) for leaf in honest.list_of(ANSWER).records()]
    assert status[MARGINAL:] == [
        OfferStatus.PARTLY_ACCEPTED,
        OfferStatus.RESERVED,
        OfferStatus.RESERVE_EXCLUDED,
        OfferStatus.RESERVED,
        OfferStatus.COM_DEARER,
    ]


MALFORMED: list[tuple[int, dict[str, Any]]] = [
    (0, {"length": 4}),
    (0, {"position": 3}),
    (0, {"product": 4}),
    (0, {"slot": 96}),
    (0, {"acceptedW": 0}),
    (0, {"effectivenessPermille": 0}),
    (0, {"effectivenessPermille": 1001}),
    # It stands fourth of both lists: what follows is the fifth or sixth.
    (0, {"nextForOffer": LENGTH + 1}),
    (0, {"nextForOffer": 2 * LENGTH + 1}),
    (0, {"nextForPod": LENGTH + 1}),
    (0, {"nextForPod": 2 * LENGTH + 1}),
    (0, {"previousForPod": LENGTH + 1}),
    (2, {"podRunningW": 2_000, "podTotalW": 2_000}),
    (1, {"podTotalW": 10_001}),
    (0, {"offerRunningW": 2_999}),
    (0, {"offerRunningW": 5_001}),
    (0, {"runningW": 3_001}),
    (0, {"runningUeur": 1}),
    (0, {"documentUeur": 1}),
    (0, {"requestRunningWPermille": 1}),
]


@pytest.mark.parametrize(("index", "values"), MALFORMED)
def test_an_entry_that_is_false_by_itself(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, index: int,
    values: dict[str, Any],
) -> None:  # fmt: skip
    lie = with_lie(honest, RESERVE, index, **values)
    found = struck(market, book, lie, clearing_oracle, auditor, "malformedReserve", reserved(index))
    assert found["fault"] == word("MalformedReserve")


# The lie (list, leaf, changed values), the challenge with what it shows, and the fault.
LIES: list[tuple[LeafKind, int, dict[str, Any], str, tuple[Shown, ...], str]] = [
    (RESERVE, 1, {"position": 0}, "reserveDoubled", (reserved(0), reserved(1)), "Doubled"),
    *(
        (RESERVE, 1, values, "reserveSumBroken", (reserved(0), reserved(1)), "SumBroken")
        for values in (
            {"runningW": 1},
            {"runningUeur": 1},
            {"documentUeur": 1},
            {"requestRunningWPermille": 1},
            {"priceUeurPerKw": 39_999},
        )
    ),
    (
        RESERVE,
        1,
        {"offerPosition": MARGINAL},
        "reserveOfferSumBroken",
        (reserved(0), reserved(1)),
        "OfferChainBroken",
    ),
    (
        RESERVE,
        0,
        {"nextForOffer": LENGTH + 2},
        "reserveOfferSumBroken",
        (reserved(0), reserved(1)),
        "OfferChainBroken",
    ),
    *(
        (RESERVE, 1, values, "reservePodSumBroken", (reserved(0), reserved(1)), "PodChainBroken")
        for values in (
            {"pod": PODS[1]},
            {"podRunningW": 9_999},
            {"podTotalW": 9_999},
            {"previousForPod": 3},
        )
    ),
    # Against what the request took of the PoD: none of it, or not what it names.
    *(
        (RESERVE, 0, values, "reserveNotContinued", (taken(place), reserved(0)), "PodChainBroken")
        for values, place in (
            ({"previousForPod": 0, "podRunningW": 3_000}, 2),
            ({"previousForPod": 2}, 1),
            ({"podRunningW": 5_001}, 2),
        )
    ),
    (
        RESERVE,
        2,
        {"previousForPod": 1, "podRunningW": 6_000, "podTotalW": 6_000},
        "reserveNotContinued",
        (taken(0), reserved(2)),
        "PodChainBroken",
    ),
    (ENTRY, 2, {"product": 1}, "reservedBothWays", (reserved(0), taken(2), in_list), "TakenBothWays"),
    (
        RESERVE,
        2,
        {"pod": PODS[2], "product": 1},
        "reservedBothWays",
        (reserved(0), reserved(2), in_reserve),
        "TakenBothWays",
    ),
    (RESERVE, 1, {"offerPosition": 7}, "reserveNotInBook", (reserved(1),), "NotInBook"),
    (RESERVE, 1, {"requestPosition": 5}, "reserveNotInBook", (reserved(1),), "NotInBook"),
    (RESERVE, 1, {"effectivenessPosition": 5}, "reserveNotInBook", (reserved(1),), "NotInBook"),
    (RESERVE, 1, {"podRunningW": 10_001}, "reservePodExceeded", (reserved(1),), "PodExceeded"),
    *(
        (RESERVE, 1, values, "reserveNotAsOffered", (reserved(1), of_second(1)), "NotAsOffered")
        for values in (
            {"priceUeurPerKw": 41_001},
            {"priceUeurPerKw": 40_999},
            {"pod": PODS[3]},
            {"product": 1},
            {"slot": 8},
            {"offerRunningW": 5_001},
        )
    ),
    *(
        (RESERVE, 2, values, "reserveNotAsRequested", (reserved(2), request), "NotAsRequested")
        for values in (
            {"slot": 8},
            {"product": 1},
            {"requestRunningWPermille": 9_000_001},
            {"priceUeurPerKw": 90_001},
            {"gridFeeUeurPerKw": 40_001},
        )
    ),
    *(
        (
            RESERVE,
            1,
            values,
            "reserveWrongEffectiveness",
            (reserved(1), request, effectiveness(2)),
            "WrongEffectiveness",
        )
        for values in ({"effectivenessPermille": 999}, {"gridFeeUeurPerKw": 1})
    ),
    *(
        (kind, place, values, "reserveBeyondOffer", (answer(offer), reserved(entry)), "ReserveBeyondOffer")
        for kind, place, values, offer, entry in (
            (RESERVE, 0, {"offerRunningW": 3_001}, MARGINAL, 0),
            (ANSWER, MARGINAL, {"acceptedW": 2_001}, MARGINAL, 0),
            (ANSWER, SECOND_STEP, {"status": int(OfferStatus.COM_DEARER)}, SECOND_STEP, 1),
            (ANSWER, SECOND_STEP, {"status": int(OfferStatus.RESERVE_EXCLUDED)}, SECOND_STEP, 1),
            (ANSWER, SECOND_STEP, {"because": 3}, SECOND_STEP, 1),
        )
    ),
    (
        RESERVE,
        2,
        {"offerRunningW": 999},
        "reserveBelowMinimum",
        (answer(DEARER), of_second(3), reserved(2)),
        "BelowMinimum",
    ),
    (
        RESERVE,
        0,
        {"documentUeur": 2**40},
        "reserveEscrowExceeded",
        (reserved(0), nothing, opening),
        "EscrowExceeded",
    ),
    # Covered are 10 €: neither list alone passes that.
    (
        RESERVE,
        2,
        {"documentUeur": 9_700_000},
        "reserveEscrowExceeded",
        (reserved(2), taken(2), opening),
        "EscrowExceeded",
    ),
    *(
        (ANSWER, DEARER, {"because": because}, "falselyReserved", (answer(DEARER), shown), "FalselyReserved")
        for because, shown in ((2, reserved(1)), (0, nothing), (4, nothing))
    ),
    *(
        (ANSWER, place, values, "falselyKeptOut", (answer(place), of_second(place - 2), shown), "FalselyKeptOut")
        for place, values, shown in (
            (DEAREST, {"status": int(OfferStatus.RESERVE_EXCLUDED), "because": 3}, reserved(2)),
            (DEAREST, {"status": int(OfferStatus.RESERVE_EXCLUDED), "because": 1}, reserved(0)),
            (KEPT_OUT, {"because": 3}, reserved(2)),
            (KEPT_OUT, {"because": 0}, nothing),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "index", "values", "name", "shown", "fault"), LIES)
def test_a_lie_is_struck(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, kind: LeafKind,
    index: int, values: dict[str, Any], name: str, shown: tuple[Shown, ...], fault: str,
) -> None:  # fmt: skip
    lie = with_lie(honest, kind, index, **values)
    assert struck(market, book, lie, clearing_oracle, auditor, name, *shown)["fault"] == word(fault)


def test_nothing_in_an_honest_reserve_is_a_fault(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    made = posted(market, book, honest, clearing_oracle)
    entries = [made.entry(index) for index in range(LENGTH)]
    answers = [made.answer(index) for index in range(7)]
    found = [made.reserved(index) for index in range(LENGTH)]
    offers = [book.offer(0, index) for index in range(2)] + [book.offer(1, index) for index in range(5)]
    of_entry = [MARGINAL, SECOND_STEP, DEARER]

    def innocent(name: str, fault: str, *proofs: Any) -> None:
        with refused("ChallengesNotAFault", fault.encode().ljust(32, b"\0")):
            accuse(market, made, name, *proofs, sender=auditor)

    for index, entry in enumerate(found):
        position = of_entry[index]
        innocent("malformedReserve", "MalformedReserve", entry)
        innocent("reserveNotInBook", "NotInBook", entry)
        innocent("reservePodExceeded", "PodExceeded", entry)
        innocent("reserveNotAsOffered", "NotAsOffered", entry, offers[position])
        innocent("reserveNotAsRequested", "NotAsRequested", entry, book.request())
        effect = book.effectiveness(PODS.index(entry[0][5]))
        innocent("reserveWrongEffectiveness", "WrongEffectiveness", entry, book.request(), effect)
        innocent("reserveBeyondOffer", "ReserveBeyondOffer", answers[position], entry)
        innocent("reserveBelowMinimum", "BelowMinimum", answers[position], offers[position], entry)
        innocent("reserveEscrowExceeded", "EscrowExceeded", entry, NO_ENTRY, book.opening(2))
        for taken_entry in entries:
            innocent("reserveNotContinued", "PodChainBroken", taken_entry, entry)
            innocent("reservedBothWays", "TakenBothWays", entry, taken_entry, False)
            innocent("reserveEscrowExceeded", "EscrowExceeded", entry, taken_entry, book.opening(2))
        for other in found:
            innocent("reserveDoubled", "Doubled", entry, other)
            innocent("reserveOfferSumBroken", "OfferChainBroken", entry, other)
            innocent("reservePodSumBroken", "PodChainBroken", entry, other)
            innocent("reservedBothWays", "TakenBothWays", entry, other, True)
        for position, made_answer in enumerate(answers):
            pod = (0, 1, 2, 2, 2, 3, 3)[position]
            against = (made_answer, offers[position], book.request(), book.effectiveness(pod))
            innocent("cheaperLeftOut", "CheaperLeftOut", entry, *against)
    for earlier, later in pairwise(found):
        innocent("reserveSumBroken", "SumBroken", earlier, later)
    for position, made_answer in enumerate(answers):
        innocent("malformedAnswer", "MalformedAnswer", made_answer)
        named = found[max(made_answer[0][9] - 1, 0)]
        innocent("falselyReserved", "FalselyReserved", made_answer, named)
        innocent("falselyKeptOut", "FalselyKeptOut", made_answer, offers[position], named)
        for taken_entry in entries:
            pod = (0, 1, 2, 2, 2, 3, 3)[position]
            against = (made_answer, offers[position], book.request(), book.effectiveness(pod))
            innocent("cheaperRefused", "CheaperRefused", taken_entry, *against)
    assert market.Vault.bonded(clearing_oracle) > 0


@pytest.mark.parametrize(
    "status", [OfferStatus.COM_DEARER, OfferStatus.COM_NOT_NEEDED, OfferStatus.COM_MINIMUM]
)
def test_a_cheaper_offer_left_out_is_made_good_for(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, other_aggregator: Any,
    status: OfferStatus,
) -> None:  # fmt: skip
    """The kW at 50 ct is said to be one at 61 ct; the offer at 60 ct loses a kW's availability."""
    lie = with_lie(honest, RESERVE, 2, priceUeurPerKw=61_000)
    lie = with_lie(lie, ANSWER, DEAREST, status=int(status))
    before = market.Vault.free(other_aggregator)
    shown = (reserved(2), answer(DEAREST), of_second(4), request, effectiveness(3))
    found = struck(market, book, lie, clearing_oracle, auditor, "cheaperLeftOut", *shown)
    assert (found["fault"], found["wronged"]) == (word("CheaperLeftOut"), other_aggregator)
    assert market.Vault.free(other_aggregator) == before + AVAILABILITY_UEUR_PER_KW


@pytest.mark.parametrize("status", [OfferStatus.RESERVED, OfferStatus.RESERVE_EXCLUDED])
def test_in_the_reserve_a_cheaper_offer_is_still_refused_by_the_request(
    market: Any,
    book: SmallBook,
    honest: ListDocument,
    clearing_oracle: Any,
    auditor: Any,
    status: OfferStatus,
) -> None:
    """The cheapest offer gets a place in the reserve, or is kept out of it, so that a dearer one serves the request."""
    lie = with_lie(honest, ANSWER, 0, status=int(status), acceptedW=0, firstByRequest=0, because=1)
    shown = (taken(2), answer(0), lambda _, book: book.offer(0, 0), request, effectiveness(0))
    found = struck(market, book, lie, clearing_oracle, auditor, "cheaperRefused", *shown)
    assert found["fault"] == word("CheaperRefused")


def test_a_block_in_the_reserve(
    market: Any, play_book: Callable[..., SmallBook], clearing_oracle: Any, auditor: Any
) -> None:
    book = play_book(lambda book: with_offers(OFFERS)(with_reserve(book)), slots=SLOTS)
    honest = book.honest(clearing_oracle.address, bytes(market.CommitmentBook.seed(book.terms.session)))
    block = OFFERS[0]
    values = {"pod": block.pod, "priceUeurPerKw": block.price_ueur_per_kw, "offerRunningW": 1}
    lie = with_lie(honest, RESERVE, 0, offerPosition=0, slot=7, **values)
    shown = (reserved(0), lambda _, book: book.offer(0, 0))
    found = struck(market, book, lie, clearing_oracle, auditor, "reserveNotAsOffered", *shown)
    assert found["fault"] == word("NotAsOffered")


def with_void_offer(book: SmallBook) -> SmallBook:
    """The book with a reserve, the minimum of an offer above its power."""
    changed = with_reserve(book)
    document = with_lie(changed.documents[1][1], OFFER, DEARER - 2, minPowerW=5_001)
    return with_document(changed, 1, document)


def test_a_void_offer_is_left_out_and_no_fault(
    market: Any, play_book: Callable[..., SmallBook], clearing_oracle: Any, auditor: Any
) -> None:
    book = play_book(with_void_offer)
    honest = book.honest(clearing_oracle.address, bytes(market.CommitmentBook.seed(book.terms.session)))
    assert honest.list_of(ANSWER).integers("status")[DEARER] == OfferStatus.VOID
    made = posted(market, book, honest, clearing_oracle)
    with refused("ChallengesNotAFault", b"TakenThoughVoid".ljust(32, b"\0")):
        accuse(
            market, made, "takenThoughVoid", made.answer(DEARER), book.offer(1, DEARER - 2), sender=auditor
        )


def test_a_void_offer_said_to_be_reserved(
    market: Any, play_book: Callable[..., SmallBook], clearing_oracle: Any, auditor: Any
) -> None:
    book = play_book(with_void_offer)
    honest = book.honest(clearing_oracle.address, bytes(market.CommitmentBook.seed(book.terms.session)))
    lie = with_lie(honest, ANSWER, DEARER, status=int(OfferStatus.RESERVED), because=3)
    found = struck(
        market, book, lie, clearing_oracle, auditor, "takenThoughVoid", answer(DEARER), of_second(DEARER - 2)
    )
    assert found["fault"] == word("TakenThoughVoid")


def test_an_entry_of_the_list_by_request_is_none_of_the_reserve(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    made = posted(market, book, with_lie(honest, ENTRY, 0, acceptedW=0), clearing_oracle)
    for proof in (made.entry(0), (made.entry(0)[0], made.reserved(0)[1])):
        with pytest.raises(Exception, match="ProofsNotInList"):
            accuse(market, made, "malformedReserve", proof, sender=auditor)
    with pytest.raises(Exception, match="ProofsNotInList"):
        market.OutcomeChallenges.malformedEntry(
            astuple(made.outcome), MARKET, made.reserved(0), {"from": auditor}
        )


def test_answers_that_name_another_entry_show_nothing(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    made = posted(market, book, honest, clearing_oracle)
    with refused("ChallengesNotTheLeaf", 2, 0):
        accuse(market, made, "falselyReserved", made.answer(DEARER), made.reserved(0), sender=auditor)
    with refused("ChallengesNotTheLeaf", SECOND_STEP, MARGINAL):
        accuse(market, made, "reserveBeyondOffer", made.answer(SECOND_STEP), made.reserved(0), sender=auditor)
