"""Every fault of an outcome is struck by its proof, and no honest outcome is (SPECIFICATION.md 21.x)."""

from collections.abc import Callable
from dataclasses import astuple, replace
from itertools import pairwise
from typing import Any

import pytest

from offchain.protocol.book_documents import Area, Relief, request_document
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import OfferStatus, Product
from tests.contracts.chain import refused
from tests.contracts.conftest import BALANCE_UEUR
from tests.contracts.OutcomeChallenges.conftest import ANSWER, ENTRY, accuse, posted, word
from tests.contracts.outcomes import (
    PODS,
    PRICES,
    RELIEF_W,
    SLOT,
    SmallBook,
    leaf_salt,
    with_document,
    with_lie,
)
from tests.contracts.play import MARKET, TECHNICAL

# The lie (list, leaf, changed values), the challenge, and which leaves it takes.
LIES: list[tuple[str, Any, int, dict[str, Any], str]] = [
    ("malformedEntry", ENTRY, 0, {"product": 4}, "MalformedEntry"),
    ("malformedEntry", ENTRY, 0, {"slot": 96}, "MalformedEntry"),
    ("malformedEntry", ENTRY, 1, {"acceptedW": 0}, "MalformedEntry"),
    ("malformedEntry", ENTRY, 1, {"effectivenessPermille": 1001}, "MalformedEntry"),
    ("malformedEntry", ENTRY, 1, {"nextForOffer": 1}, "MalformedEntry"),
    ("malformedEntry", ENTRY, 1, {"nextForPod": 2}, "MalformedEntry"),
    ("malformedEntry", ENTRY, 1, {"previousForPod": 2}, "MalformedEntry"),
    ("malformedEntry", ENTRY, 1, {"podRunningW": 5_001}, "MalformedEntry"),
    ("malformedEntry", ENTRY, 1, {"podTotalW": 5_001}, "MalformedEntry"),
    ("malformedEntry", ENTRY, 0, {"runningW": 5_001}, "MalformedEntry"),
    ("malformedEntry", ENTRY, 0, {"length": 4}, "MalformedEntry"),
    ("malformedAnswer", ANSWER, 0, {"acceptedW": 5_001}, "MalformedAnswer"),
    ("malformedAnswer", ANSWER, 0, {"status": int(OfferStatus.COM_DEARER)}, "MalformedAnswer"),
    ("malformedAnswer", ANSWER, 3, {"status": int(OfferStatus.ACCEPTED)}, "MalformedAnswer"),
    ("malformedAnswer", ANSWER, 0, {"firstByRequest": 0}, "MalformedAnswer"),
    ("malformedAnswer", ANSWER, 3, {"status": int(OfferStatus.TEC)}, "MalformedAnswer"),
    ("malformedAnswer", ANSWER, 3, {"status": int(max(OfferStatus)) + 1}, "MalformedAnswer"),
    ("notInBook", ENTRY, 1, {"offerPosition": 4}, "NotInBook"),
    ("notInBook", ENTRY, 1, {"requestPosition": 5}, "NotInBook"),
    ("notInBook", ENTRY, 1, {"effectivenessPosition": 5}, "NotInBook"),
    ("podExceeded", ENTRY, 1, {"podRunningW": 10_001}, "PodExceeded"),
]


@pytest.mark.parametrize(("name", "kind", "index", "values", "fault"), LIES)
def test_a_leaf_that_is_false_by_itself(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, name: str, kind: Any,
    index: int, values: dict[str, Any], fault: str,
) -> None:  # fmt: skip
    made = posted(market, book, with_lie(honest, kind, index, **values), clearing_oracle)
    proof = made.entry(index) if kind is ENTRY else made.answer(index)
    tx = accuse(market, made, name, proof, sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word(fault)
    assert bytes(market.OutcomeBoard.outcomeHash(book.terms.session, MARKET)) == bytes(32)


def test_nothing_in_an_honest_outcome_is_a_fault(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    made = posted(market, book, honest, clearing_oracle)
    entries, answers = [made.entry(index) for index in range(3)], [made.answer(index) for index in range(4)]

    def innocent(name: str, fault: str, *proofs: Any) -> None:
        with refused("ChallengesNotAFault", fault.encode().ljust(32, b"\0")):
            accuse(market, made, name, *proofs, sender=auditor)

    innocent("offerLeftOut", "OfferLeftOut")
    for entry in entries:
        innocent("malformedEntry", "MalformedEntry", entry)
        innocent("notInBook", "NotInBook", entry)
        innocent("podExceeded", "PodExceeded", entry)
        innocent("notAsRequested", "NotAsRequested", entry, book.request())
        innocent("escrowExceeded", "EscrowExceeded", entry, book.opening(2))
    for index, answer in enumerate(answers):
        innocent("malformedAnswer", "MalformedAnswer", answer)
        offer = book.offer(index // 2, index % 2)
        innocent("wrongCopy", "WrongCopy", answer, offer)
        innocent("belowMinimum", "BelowMinimum", answer, offer)
        innocent("takenThoughVoid", "TakenThoughVoid", answer, offer)
    for index, entry in enumerate(entries):
        innocent("notAsOffered", "NotAsOffered", entry, book.offer(index // 2, index % 2))
        effectiveness = book.effectiveness(index)
        innocent("wrongEffectiveness", "WrongEffectiveness", entry, book.request(), effectiveness)
        for answer in answers:
            innocent("offerChainBroken", "OfferChainBroken", answer, entry)
        for other in entries:
            innocent("offerSumBroken", "OfferChainBroken", entry, other)
            innocent("podSumBroken", "PodChainBroken", entry, other)
            innocent("entryDoubled", "Doubled", entry, other)
    for earlier, later in pairwise(entries):
        innocent("sumBroken", "SumBroken", earlier, later)
    innocent("totalsDontAddUp", "TotalsDontAddUp", entries[2])
    for place in range(3):
        dearer, offer = answers[3], book.offer(1, 1)
        proofs = (entries[place], dearer, offer, book.request(), book.effectiveness(3))
        innocent("cheaperRefused", "CheaperRefused", *proofs)
    assert market.Vault.bonded(clearing_oracle) > 0


@pytest.mark.parametrize(
    "values",
    [
        {"priceUeurPerKw": PRICES[1] + 1},
        {"pod": bytes(31) + b"\1"},
        {"product": 1},
        {"slot": 8},
        {"offerRunningW": 5_001},
    ],
)
def test_not_as_offered(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, values: dict[str, Any]
) -> None:  # fmt: skip
    made = posted(market, book, with_lie(honest, ENTRY, 1, **values), clearing_oracle)
    tx = accuse(market, made, "notAsOffered", made.entry(1), book.offer(0, 1), sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("NotAsOffered")


@pytest.mark.parametrize(
    "values",
    [
        {"slot": 8},
        {"product": 1},
        {"requestRunningWPermille": 12_000_001},
        {"priceUeurPerKw": 90_001},
        {"gridFeeUeurPerKw": 50_001},
    ],
)
def test_not_as_requested(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, values: dict[str, Any]
) -> None:  # fmt: skip
    made = posted(market, book, with_lie(honest, ENTRY, 2, **values), clearing_oracle)
    accuse(market, made, "notAsRequested", made.entry(2), book.request(), sender=auditor)


@pytest.mark.parametrize(
    "values",
    [
        {"runningW": 9_999},
        {"runningUeur": 250_001},
        {"documentUeur": 250_001},
        {"requestRunningWPermille": 9_999_000},
        {"priceUeurPerKw": PRICES[0] - 1},
    ],
)
def test_sums_that_dont_follow_and_merit_out_of_order(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, values: dict[str, Any]
) -> None:  # fmt: skip
    made = posted(market, book, with_lie(honest, ENTRY, 1, **values), clearing_oracle)
    accuse(market, made, "sumBroken", made.entry(0), made.entry(1), sender=auditor)


@pytest.mark.parametrize("totals", [{"acceptedWSlots": 12_001}, {"totalUeur": 1}])
def test_totals_that_dont_add_up(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, totals: dict[str, int]
) -> None:  # fmt: skip
    made = posted(market, book, honest, clearing_oracle, **totals)
    accuse(market, made, "totalsDontAddUp", made.entry(2), sender=auditor)


def test_an_offer_left_out(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    made = posted(market, book, honest, clearing_oracle, byOfferLength=3)
    accuse(market, made, "offerLeftOut", sender=auditor)


@pytest.mark.parametrize(
    "values",
    [
        {"commitment": 2},
        {"offerPosition": 0},
        {"startSlot": 8},
        {"coverUeur": 2**40},
        {"status": int(OfferStatus.PARTLY_ACCEPTED)},
    ],
)
def test_a_wrong_copy(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, values: dict[str, Any]
) -> None:  # fmt: skip
    made = posted(market, book, with_lie(honest, ANSWER, 1, **values), clearing_oracle)
    accuse(market, made, "wrongCopy", made.answer(1), book.offer(0, 1), sender=auditor)


def test_a_chain_that_skips_an_entry(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    made = posted(market, book, with_lie(honest, ANSWER, 1, acceptedW=4_000), clearing_oracle)
    accuse(market, made, "offerChainBroken", made.answer(1), made.entry(1), sender=auditor)


def test_two_entries_of_one_offer_that_both_are_its_last(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    made = posted(market, book, with_lie(honest, ENTRY, 2, offerPosition=1), clearing_oracle)
    accuse(market, made, "offerSumBroken", made.entry(1), made.entry(2), sender=auditor)


def test_two_entries_of_one_pod_that_dont_chain(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    pod = honest.list_of(ENTRY).words("pod")[1]
    made = posted(market, book, with_lie(honest, ENTRY, 2, pod=pod), clearing_oracle)
    accuse(market, made, "podSumBroken", made.entry(1), made.entry(2), sender=auditor)


def test_a_position_twice(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    made = posted(market, book, with_lie(honest, ENTRY, 2, position=1), clearing_oracle)
    accuse(market, made, "entryDoubled", made.entry(1), made.entry(2), sender=auditor)


@pytest.mark.parametrize("values", [{"effectivenessPermille": 999}, {"gridFeeUeurPerKw": 1}])
def test_an_effectiveness_or_a_grid_fee_that_nobody_stated(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, values: dict[str, Any]
) -> None:  # fmt: skip
    made = posted(market, book, with_lie(honest, ENTRY, 1, **values), clearing_oracle)
    proofs = (made.entry(1), book.request(), book.effectiveness(1))
    accuse(market, made, "wrongEffectiveness", *proofs, sender=auditor)


def test_more_money_than_covers_a_request(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    made = posted(market, book, with_lie(honest, ENTRY, 2, documentUeur=2**40), clearing_oracle)
    accuse(market, made, "escrowExceeded", made.entry(2), book.opening(2), sender=auditor)


@pytest.mark.parametrize(
    "status", [OfferStatus.COM_DEARER, OfferStatus.COM_NOT_NEEDED, OfferStatus.COM_MINIMUM]
)
def test_a_cheaper_offer_refused_is_made_good_for(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, aggregator: Any,
    status: OfferStatus,
) -> None:  # fmt: skip
    """The oracle finds a reason against the cheapest offer, and pays its player's loss: 2 kW at 20 ct."""
    lie = with_lie(honest, ANSWER, 0, status=int(status), acceptedW=0, firstByRequest=0)
    made = posted(market, book, lie, clearing_oracle)
    before = market.Vault.free(aggregator)
    proofs = (made.entry(2), made.answer(0), book.offer(0, 0), book.request(), book.effectiveness(0))
    tx = accuse(market, made, "cheaperRefused", *proofs, sender=auditor)
    assert tx.events["ResultStruck"]["wronged"] == aggregator
    assert market.Vault.free(aggregator) == before + 2_000 * PRICES[0] // 1000
    assert market.Vault.free(auditor) > BALANCE_UEUR


def test_an_effectiveness_above_the_whole_makes_no_offer_cheaper(
    market: Any, play_book: Any, clearing_oracle: Any, auditor: Any
) -> None:
    """Who requests may state it as a trap: it says nothing, to who clears and to who challenges."""
    book = play_book(with_effectiveness(5_000))
    honest = book.honest(clearing_oracle.address, bytes(market.CommitmentBook.seed(book.terms.session)))
    made = posted(market, book, honest, clearing_oracle)
    proofs = (made.entry(2), made.answer(3), book.offer(1, 1), book.request(), book.effectiveness(4))
    with refused("ChallengesNotAFault", b"CheaperRefused".ljust(32, b"\0")):
        accuse(market, made, "cheaperRefused", *proofs, sender=auditor)


def with_effectiveness(permille: int) -> Callable[[SmallBook], SmallBook]:
    """The book whose request says one thing more of the dearest offer's PoD."""

    def change(book: SmallBook) -> SmallBook:
        document = book.documents[2][1]
        effects = [(pod, 1000) for pod in PODS] + [(PODS[3], permille)]
        area = Area(bytes(32), Product.ACTIVE_UP, bytes(32), [Relief(SLOT, RELIEF_W, 90_000)], effects)
        return with_document(book, 2, request_document(document.session, document.author, [area], leaf_salt))

    return change


def test_a_proof_of_something_else_shows_nothing(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, stranger: Any
) -> None:
    made = posted(market, book, with_lie(honest, ENTRY, 1, priceUeurPerKw=1), clearing_oracle)
    leaf, proof = made.entry(1)
    with pytest.raises(Exception, match="ProofsNotInList"):
        accuse(market, made, "notAsOffered", (leaf, proof[:-1]), book.offer(0, 1), sender=auditor)
    with refused("ChallengesNotTheLeaf", 1, 0):
        accuse(market, made, "notAsOffered", (leaf, proof), book.offer(0, 0), sender=auditor)
    with refused("ParticipantRegistryUnknownAccount", stranger):
        accuse(market, made, "notAsOffered", (leaf, proof), book.offer(0, 1), sender=stranger)
    other = replace(made.outcome, totalUeur=1)
    with refused(
        "OutcomeBoardNotChallengeable", book.terms.session, MARKET, made.outcome.hash(), other.hash()
    ):
        market.OutcomeChallenges.notAsOffered(
            astuple(other), MARKET, (leaf, proof), book.offer(0, 1), {"from": auditor}
        )
    with refused("ChallengesWrongStage", TECHNICAL):
        market.OutcomeChallenges.notAsOffered(
            astuple(made.outcome), TECHNICAL, (leaf, proof), book.offer(0, 1), {"from": auditor}
        )
    accuse(market, made, "notAsOffered", (leaf, proof), book.offer(0, 1), sender=auditor)
