"""Gas of each fraud proof with all that its strike costs, by proofs of depth 28: lists of 268 million leaves (SPECIFICATION.md
21.x to 24.x). Held to `challenge_gas.json` beside this file, written anew by FLEXLEDGER_WRITE_GAS=1.

Lists as long can't be made here. Their roots can: of a small tree and as many siblings above it as are missing.
"""

import json
import os
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest
from brownie import accounts

from offchain.protocol import lists
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import (
    BASELINE,
    OUTCOME_BY_OFFER,
    OUTCOME_BY_REQUEST,
    OUTCOME_RESERVE,
    READING,
    REFUSAL,
    LeafKind,
)
from offchain.protocol.lists import ListDocument
from offchain.protocol.merkle import ListTree, hash_pair
from offchain.protocol.products import OfferStatus
from offchain.protocol.terms import SessionTerms
from oracles.clearing.core.outcome import outcome_document
from tests.contracts.chain import travel_to, undone
from tests.contracts.conftest import account_of
from tests.contracts.orders import BLOCK, FIRST, LINKED, OFFERS, SECOND, entries_of, with_offers
from tests.contracts.outcomes import PODS, Posted, SmallBook, posted_of, with_lie
from tests.contracts.play import (
    EURO,
    MARKET,
    TECHNICAL,
    VALIDATED,
    as_struct,
    fund,
    post_market,
    session_terms,
)
from tests.contracts.real_time import RealTimeDay, create, day_ahead_terms, real_time_terms
from tests.contracts.real_time import play as play_real_time
from tests.contracts.reserves import with_reserve
from tests.contracts.results import (
    REFUSED_ENTRY,
    REFUSED_W,
    Results,
    Settled,
    baselines_document,
    notarise_baseline,
    play_to_clearing,
)
from tests.contracts.test_gas import NOISE, START_S

FIGURES = Path(__file__).parent / "challenge_gas.json"
DEPTH = 28
LIMIT = 200_000
DEARER = {
    "falselySold": "three proofs, a document's opening, and the deadlines of two sessions",
    "wrongReward": "a mechanism's answer, and a first payment to the customer",
}
"""What costs more than the limit though its calldata alone doesn't: each with why."""
AT_FLOOR = {
    "cheaperLeftOut",
    "cheaperRefused",
    "entryInvented",
    "groupBroken",
    "higherReadingTaken",
    "refusalIgnored",
    "refusalMisplaced",
    "reserveInvented",
    "reserveOfRefused",
    "takenAway",
    "takenWithoutRefusal",
    "wrongDelivery",
}
"""What costs no more than its calldata has to (EIP-7623)."""
DEARER_LIMIT = 260_000
ENTRY, ANSWER, RESERVE = OUTCOME_BY_REQUEST, OUTCOME_BY_OFFER, OUTCOME_RESERVE
SIBLINGS = [keccak256(b"sibling %d" % height) for height in range(DEPTH)]
Play = Callable[[Results, Any], Any]


class DeepTree(ListTree):
    """A small tree under as many siblings as make its longest proof `DEPTH` long."""

    @property
    def _above(self) -> list[bytes]:
        return SIBLINGS[: DEPTH - (len(self) - 1).bit_length()]

    @property
    def root(self) -> bytes:
        found = super().root
        for sibling in self._above:
            found = hash_pair(found, sibling)
        return found

    def proof(self, position: int) -> list[bytes]:
        return super().proof(position) + self._above


def call(results: Results, contract: str, name: str, *arguments: Any, sender: Any) -> Any:
    return getattr(getattr(results.market, contract), name)(*arguments, {"from": sender})


def of_market(name: str, kind: LeafKind, index: int, values: dict[str, Any], *more: Any) -> Play:
    """A lie in a leaf of the market outcome; `more`: leaves to show beside the false one."""

    def play(results: Results, sender: Any) -> Any:
        book, oracle = results.book, results.roles.clearing_oracle
        seed = bytes(results.market.CommitmentBook.seed(results.session))
        honest = book.honest(oracle.address, seed)
        made = posted_of(with_lie(honest, kind, index, **values), seed)
        post_market(results.market, results.terms, made.outcome, oracle)
        own = made.entry(index) if kind is ENTRY else made.answer(index)
        shown = [own, *(each(made, book) for each in more)]
        if name in ("cheaperRefused", "miscounted"):
            # The false leaf isn't the first that they take.
            shown = shown[1:]
        contract = contract_of(results, name)
        return call(results, contract, name, astuple(made.outcome), MARKET, *shown, sender=sender)

    return play


REFUSED_CHEAPER = {"status": int(OfferStatus.COM_DEARER), "acceptedW": 0, "firstByRequest": 0}
MARKET_LIES: dict[str, Play] = {
    "malformedEntry": of_market("malformedEntry", ENTRY, 0, {"product": 4}),
    "malformedAnswer": of_market("malformedAnswer", ANSWER, 0, {"acceptedW": 5_001}),
    "notInBook": of_market("notInBook", ENTRY, 1, {"offerPosition": 99}),
    "podExceeded": of_market("podExceeded", ENTRY, 1, {"podRunningW": 10_001}),
    "entryDoubled": of_market("entryDoubled", ENTRY, 2, {"position": 1}, lambda made, _: made.entry(1)),
    "answerDoubled": of_market("answerDoubled", ANSWER, 2, {"position": 1}, lambda made, _: made.answer(1)),
    "sumBroken": of_market("sumBroken", ENTRY, 1, {"runningW": 1}, lambda made, _: made.entry(2)),
    "offerChainBroken": of_market(
        "offerChainBroken", ANSWER, 0, {"acceptedW": 1}, lambda made, _: made.entry(0)
    ),
    "offerSumBroken": of_market(
        "offerSumBroken", ENTRY, 1, {"offerPosition": 0}, lambda made, _: made.entry(0)
    ),
    "podSumBroken": of_market("podSumBroken", ENTRY, 1, {"pod": PODS[0]}, lambda made, _: made.entry(0)),
    "totalsDontAddUp": of_market("totalsDontAddUp", ENTRY, 5, {"runningW": 1}),
    "wrongCopy": of_market("wrongCopy", ANSWER, 1, {"commitment": 2}, lambda _, book: book.offer(0, 1)),
    "notAsOffered": of_market(
        "notAsOffered", ENTRY, 0, {"priceUeurPerKw": 1}, lambda _, book: book.offer(0, 0)
    ),
    "notAsRequested": of_market("notAsRequested", ENTRY, 0, {"slot": 9}, lambda _, book: book.request(0)),
    "escrowExceeded": of_market(
        "escrowExceeded", ENTRY, 0, {"documentUeur": 2**40}, lambda _, book: book.opening(2)
    ),
    "wrongEffectiveness": of_market(
        "wrongEffectiveness",
        ENTRY,
        0,
        {"effectivenessPermille": 999},
        lambda _, book: book.request(0),
        lambda _, book: book.effectiveness(0),
    ),
    "notARequest": of_market(
        "notARequest",
        ENTRY,
        0,
        {"requestPosition": 2},
        lambda _, __: False,
        lambda _, book: book.opening(2),
        lambda _, book: book.effectiveness(0),
    ),
    "notAnEffectiveness": of_market(
        "notAnEffectiveness",
        ENTRY,
        0,
        {"effectivenessPosition": 0},
        lambda _, __: False,
        lambda _, book: book.request(0),
    ),
    "anothersEffectiveness": of_market(
        "anothersEffectiveness",
        ENTRY,
        0,
        {"effectivenessPosition": 6},
        lambda _, __: False,
        lambda _, book: book.opening(2),
    ),
    "falselyVoid": of_market(
        "falselyVoid",
        ANSWER,
        7,
        {"status": int(OfferStatus.VOID), "because": 1},
        lambda _, book: book.offer(1, 0),
    ),
    "takenThoughVoid": of_market(
        "takenThoughVoid",
        ANSWER,
        7,
        {"acceptedW": 1, "status": 1, "firstByRequest": 1},
        lambda _, book: book.offer(1, 3),
    ),
    "miscounted": of_market(
        "miscounted",
        ANSWER,
        7,
        {"status": int(OfferStatus.UNCOVERED), "countedW": 0},
        lambda made, _: made.answer(6),
        lambda made, _: made.answer(7),
        lambda _, book: book.offer(1, 3),
    ),
    "falselyExcluded": of_market(
        "falselyExcluded",
        ANSWER,
        7,
        {"status": int(OfferStatus.COM_EXCLUDED), "because": 2},
        lambda _, book: book.offer(1, 3),
        lambda made, _: made.entry(1),
    ),
    "cheaperRefused": of_market(
        "cheaperRefused",
        ANSWER,
        0,
        REFUSED_CHEAPER,
        lambda made, _: made.entry(2),
        lambda made, _: made.answer(0),
        lambda _, book: book.offer(0, 0),
        lambda _, book: book.request(0),
        lambda _, book: book.effectiveness(0),
    ),
}


CLEARING_PRICE_LIES: dict[str, Play] = {
    "wrongClearingPrice": of_market(
        "wrongClearingPrice",
        ENTRY,
        0,
        {"priceUeurPerKw": 1},
        lambda made, _: made.entry(2),
        lambda made, _: made.entry(3),
    ),
    "wrongMarginalPrice": of_market(
        "wrongMarginalPrice",
        ENTRY,
        2,
        {"priceUeurPerKw": 1},
        lambda made, _: made.entry(3),
        lambda _, book: book.offer(1, 0),
    ),
}


def of_orders(
    name: str,
    kind: LeafKind,
    index: Callable[[ListDocument], int],
    values: dict[str, Any],
    *shown: Callable[[Posted, SmallBook], Any],
) -> Play:
    """A lie in a leaf about blocks, groups, links and the reserve; `index`: of the leaf, in the honest outcome."""

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


def contract_of(results: Results, name: str) -> str:
    """The contract that has a challenge of this name."""
    contracts = ("OutcomeChallenges", "ClearingChallenges", "ReserveChallenges", "AssessmentChallenges")
    return next(each for each in contracts if name in getattr(results.market, each).signatures)


def answer(index: int) -> Callable[[Posted, SmallBook], Any]:
    return lambda made, _: made.answer(index)


def of_book(index: int) -> Callable[[Posted, SmallBook], Any]:
    return lambda _, book: book.offer(0, index)


def block_entry(place: int) -> Callable[[Posted, SmallBook], Any]:
    return lambda made, _: made.entry(entries_of(made.document, BLOCK)[place])


def answered(index: int) -> Callable[[Posted, SmallBook], Any]:
    return lambda made, book: (made.answer(index), book.offer(0, index))


TAKEN = {"acceptedW": 1, "status": 1, "firstByRequest": 1}
ORDER_LIES: dict[str, Play] = {
    "blockBroken": of_orders(
        "blockBroken",
        ENTRY,
        lambda honest: entries_of(honest, BLOCK)[0],
        {"acceptedW": 1},
        *(answer(BLOCK), of_book(BLOCK), block_entry(0)),
    ),
    "blockSplit": of_orders(
        "blockSplit",
        ENTRY,
        lambda honest: entries_of(honest, BLOCK)[1],
        {"slot": 9},
        *(of_book(BLOCK), block_entry(0), block_entry(1)),
    ),
    "groupBroken": of_orders(
        "groupBroken", ANSWER, lambda _: SECOND, TAKEN, *(answered(FIRST), answered(SECOND))
    ),
    "linkBroken": of_orders(
        "linkBroken", ANSWER, lambda _: FIRST, {"acceptedW": 0}, *(answered(LINKED), answer(FIRST))
    ),
}


def of_reserve(
    name: str, kind: LeafKind, index: int, values: dict[str, Any], *shown: Callable[[Posted, SmallBook], Any]
) -> Play:
    return of_orders(name, kind, lambda _: index, values, *shown)


def reserved(index: int) -> Callable[[Posted, SmallBook], Any]:
    return lambda made, _: made.reserved(index)


def taken(index: int) -> Callable[[Posted, SmallBook], Any]:
    return lambda made, _: made.entry(index)


def of_second(index: int) -> Callable[[Posted, SmallBook], Any]:
    return lambda _, book: book.offer(1, index)


def requested(_: Posted, book: SmallBook) -> Any:
    return book.request(0)


def effect(index: int) -> Callable[[Posted, SmallBook], Any]:
    return lambda _, book: book.effectiveness(index)


# Of the first of two slots: offers 0 and 2 are taken, 4 in part; 4, 6 and 10 are in the reserve, 8 is kept out, 12 is dearer.
FIRST_TWO = (reserved(0), reserved(1))
RESERVE_LIES: dict[str, Play] = {
    "malformedReserve": of_reserve("malformedReserve", RESERVE, 0, {"product": 4}, reserved(0)),
    "reserveDoubled": of_reserve("reserveDoubled", RESERVE, 1, {"position": 0}, *FIRST_TWO),
    "reserveSumBroken": of_reserve("reserveSumBroken", RESERVE, 1, {"runningW": 1}, *FIRST_TWO),
    "reserveOfferSumBroken": of_reserve(
        "reserveOfferSumBroken", RESERVE, 1, {"offerPosition": 4}, *FIRST_TWO
    ),
    "reservePodSumBroken": of_reserve("reservePodSumBroken", RESERVE, 1, {"podTotalW": 1}, *FIRST_TWO),
    "reserveNotContinued": of_reserve(
        "reserveNotContinued", RESERVE, 0, {"podRunningW": 5_001}, taken(2), reserved(0)
    ),
    "reservedBothWays": of_reserve(
        "reservedBothWays", ENTRY, 2, {"product": 1}, reserved(0), taken(2), lambda _, __: False
    ),
    "reserveNotInBook": of_reserve("reserveNotInBook", RESERVE, 1, {"offerPosition": 99}, reserved(1)),
    "reservePodExceeded": of_reserve("reservePodExceeded", RESERVE, 1, {"podRunningW": 10_001}, reserved(1)),
    "reserveNotAsOffered": of_reserve(
        "reserveNotAsOffered", RESERVE, 1, {"priceUeurPerKw": 1}, reserved(1), of_second(2)
    ),
    "reserveNotAsRequested": of_reserve(
        "reserveNotAsRequested", RESERVE, 1, {"slot": 9}, reserved(1), requested
    ),
    "reserveWrongEffectiveness": of_reserve(
        "reserveWrongEffectiveness",
        RESERVE,
        1,
        {"effectivenessPermille": 999},
        reserved(1),
        requested,
        effect(2),
    ),
    "reserveBeyondOffer": of_reserve(
        "reserveBeyondOffer", RESERVE, 1, {"offerRunningW": 5_001}, answer(6), reserved(1)
    ),
    "reserveBelowMinimum": of_reserve(
        "reserveBelowMinimum", RESERVE, 2, {"offerRunningW": 999}, answer(10), of_second(6), reserved(2)
    ),
    "reserveEscrowExceeded": of_reserve(
        "reserveEscrowExceeded",
        RESERVE,
        1,
        {"documentUeur": 2**40},
        reserved(1),
        taken(1),
        lambda _, book: book.opening(2),
    ),
    "cheaperLeftOut": of_reserve(
        "cheaperLeftOut",
        RESERVE,
        2,
        {"priceUeurPerKw": 61_000},
        reserved(2),
        answer(12),
        of_second(8),
        requested,
        effect(3),
    ),
    "falselyReserved": of_reserve("falselyReserved", ANSWER, 10, {"because": 2}, answer(10), reserved(1)),
    "falselyKeptOut": of_reserve(
        "falselyKeptOut", ANSWER, 8, {"because": 3}, answer(8), of_second(4), reserved(2)
    ),
}


def of_refusals(
    name: str, values: dict[str, Any], *more: Callable[[Results], Any], second: bool = False
) -> Play:
    """A lie in the last of one or two refusals."""

    def play(results: Results, sender: Any) -> Any:
        refused = [(REFUSED_ENTRY, REFUSED_W), (3, 1_000)][: 1 + second]
        lie = with_lie(results.refusals_of(refused), REFUSAL, len(refused) - 1, **values)
        technical = astuple(results.post_technical(lie))
        shown = [results.refusal(index) for index in range(len(refused))]
        shown += [each(results) for each in more]
        return call(results, "AssessmentChallenges", name, technical, TECHNICAL, *shown, sender=sender)

    return play


def market_outcome(results: Results) -> Any:
    return astuple(results.market_outcome)


REFUSAL_LIES: dict[str, Play] = {
    "modelNotAnchored": of_refusals("modelNotAnchored", {"gridModel": b"\1" * 32}),
    "malformedRefusal": of_refusals("malformedRefusal", {"margin": 0}),
    "refusalDoubled": of_refusals("refusalDoubled", {"position": 0}, second=True),
    "refusalSumBroken": of_refusals("refusalSumBroken", {"runningW": 1}, second=True),
    "notInOutcome": of_refusals("notInOutcome", {"byRequestPosition": 99}, market_outcome),
    "notAsAccepted": of_refusals(
        "notAsAccepted", {"slot": 9}, market_outcome, lambda results: results.market_entry(REFUSED_ENTRY)
    ),
}


def of_validated(
    name: str, kind: LeafKind, index: int, values: dict[str, Any], *shown: Callable[[Results], Any]
) -> Play:
    """A lie in a leaf of the validated outcome."""

    def play(results: Results, sender: Any) -> Any:
        results.post_validated(with_lie(results.honest_validated(), kind, index, **values))
        outcomes = [astuple(each) for each in (results.validated, results.market_outcome, results.technical)]
        proofs = [each(results) for each in shown]
        return call(results, contract_of(results, name), name, *outcomes, *proofs, sender=sender)

    return play


def refusal(results: Results) -> Any:
    return results.refusal(0)


def answers(index: int) -> tuple[Callable[[Results], Any], Callable[[Results], Any]]:
    return (lambda results: results.answer(index), lambda results: results.market_answer(index))


def entries(index: int) -> tuple[Callable[[Results], Any], Callable[[Results], Any]]:
    return (lambda results: results.entry(index), lambda results: results.market_entry(index))


def of_refused_for_another(results: Results, sender: Any) -> Any:
    lie = with_lie(results.honest_validated(), ANSWER, 3, acceptedW=0, because=1, status=int(OfferStatus.TEC))
    results.post_validated(lie)
    proofs = (results.answer(3), results.book.offer(0, 3), results.refusal(0))
    shown = (astuple(results.validated), VALIDATED, astuple(results.technical), *proofs)
    return call(results, "AssessmentChallenges", "refusedForAnother", *shown, sender=sender)


def of_no_such_refusal(results: Results, sender: Any) -> Any:
    lie = with_lie(results.honest_validated(), ANSWER, 2, because=2)
    results.post_validated(lie)
    shown = (astuple(results.validated), VALIDATED, astuple(results.technical), results.answer(2))
    return call(results, "AssessmentChallenges", "noSuchRefusal", *shown, sender=sender)


def of_taken_away(results: Results, sender: Any) -> Any:
    lie = with_lie(results.honest_validated(), ANSWER, 2, acceptedW=0, status=int(OfferStatus.TEC))
    results.post_validated(lie)
    proofs = (results.answer(2), results.book.offer(0, 2), results.refusal(0), results.market_entry(1))
    outcomes = (astuple(results.technical), astuple(results.market_outcome))
    shown = (astuple(results.validated), VALIDATED, *outcomes, *proofs)
    return call(results, "AssessmentChallenges", "takenAway", *shown, sender=sender)


def of_refusal_ignored(results: Results, sender: Any) -> Any:
    results.post_validated(with_lie(results.honest_validated(), ANSWER, 2, acceptedW=5_000))
    before = (astuple(results.technical), TECHNICAL, astuple(results.market_outcome))
    proofs = (results.refusal(0), results.answer(2), results.market_answer(2))
    shown = (astuple(results.validated), VALIDATED, *before, *proofs)
    return call(results, "AssessmentChallenges", "refusalIgnored", *shown, sender=sender)


VALIDATED_LIES: dict[str, Play] = {
    "acceptedMore": of_validated("acceptedMore", ANSWER, 0, {"acceptedW": 5_001}, *answers(0)),
    "answerChanged": of_validated("answerChanged", ANSWER, 0, {"because": 1}, *answers(0)),
    "takenWithoutRefusal": of_validated(
        "takenWithoutRefusal",
        ANSWER,
        0,
        {"acceptedW": 1, "because": 1},
        *answers(0),
        entries(0)[1],
        refusal,
    ),
    "refusedForAnother": of_refused_for_another,
    "noSuchRefusal": of_no_such_refusal,
    "takenAway": of_taken_away,
    "refusalIgnored": of_refusal_ignored,
    "refusalMisplaced": of_validated(
        "refusalMisplaced", ENTRY, 1, {"acceptedW": 5_000}, refusal, *entries(1)
    ),
    "entryChanged": of_validated("entryChanged", ENTRY, 0, {"slot": 9}, *entries(0)),
    "entryInvented": of_validated(
        "entryInvented", ENTRY, 0, {"requestPosition": 1}, *entries(0), entries(0)[1]
    ),
}


def of_reserve_of_refused(results: Results, sender: Any) -> Any:
    oracle = results.roles.clearing_oracle.address
    results.post_validated(
        outcome_document(results.cleared.book, results.cleared.clearing, results.session, oracle)
    )
    outcomes = (astuple(results.validated), astuple(results.market_outcome), astuple(results.technical))
    shown = (results.refusal(0), results.market_entry(2), results.reserved(0))
    return call(results, "ReserveChallenges", "reserveOfRefused", *outcomes, *shown, sender=sender)


VALIDATED_RESERVE_LIES: dict[str, Play] = {
    "reserveChanged": of_validated(
        "reserveChanged",
        RESERVE,
        0,
        {"slot": 9},
        lambda results: results.reserved(0),
        lambda results: results.market_reserved(2),
    ),
    "reserveInvented": of_validated(
        "reserveInvented",
        RESERVE,
        0,
        {"priceUeurPerKw": 45_000},
        lambda results: results.reserved(0),
        lambda results: results.market_reserved(1),
        lambda results: results.market_reserved(2),
    ),
    "reserveOfRefused": of_reserve_of_refused,
}


def of_settlement(
    contract: str, name: str, index: int, values: dict[str, Any], *shown: Callable[[Settled], Any]
) -> Play:
    """A lie in a leaf of the settlement."""

    def play(results: Results, sender: Any) -> Any:
        settled = results.lie(index, **values)
        proofs = [each(settled) for each in shown]
        return call(results, contract, name, settled.posted, *proofs, sender=sender)

    return play


def judged(index: int) -> Callable[[Settled], Any]:
    return lambda settled: settled.judged(index)


def validated(settled: Settled) -> Any:
    return astuple(settled.results.validated)


def entry(index: int) -> Callable[[Settled], Any]:
    return lambda settled: settled.results.entry(index)


def baseline(index: int) -> Callable[[Settled], Any]:
    return lambda settled: settled.results.baseline(settled.results.roles.aggregators[0], index)


def reading(batch: int, index: int) -> Callable[[Settled], Any]:
    return lambda settled: settled.results.reading(batch, index)


def settlement_lies(results: Results) -> dict[str, Play]:
    sums, deliveries = "SettlementChallenges", "DeliveryChallenges"
    missing = {"readingRoot": bytes(32), "readingPosition": 0, "status": 1, "deliveredW": 0}
    first_batch = results.batches[0].list_of(READING).root
    author = results.roles.aggregators[0]
    first = results.baselines[author.address].list_of(BASELINE).root
    second = baselines_document(results.session, author.address, (0, 1), 9_000).list_of(BASELINE).root
    higher = {"readingRoot": first_batch, "readingPosition": 1, "deliveredW": 5_200}
    whole = (validated, judged(0), entry(0))
    return {
        "malformedLeaf": of_settlement(sums, "malformedLeaf", 0, {"status": 3}, judged(0)),
        "leafDoubled": of_settlement(sums, "leafDoubled", 1, {"position": 0}, judged(0), judged(1)),
        "wrongEntry": of_settlement(sums, "wrongEntry", 0, {"slot": 9}, *whole),
        "wrongPayer": of_settlement(
            sums, "wrongPayer", 0, {"payer": b"\1" * 20}, *whole, lambda made: made.results.book.opening(2)
        ),
        "wrongPayment": of_settlement(sums, "wrongPayment", 0, {"paymentUeur": 1}, *whole),
        "wrongPenalty": of_settlement(sums, "wrongPenalty", 0, {"penaltyUeur": 1}, judged(0)),
        "wrongReward": of_settlement(sums, "wrongReward", 0, {"rewardUeur": 1}, *whole),
        "pairSumBroken": of_settlement(
            sums, "pairSumBroken", 1, {"pairPaymentUeur": 1}, judged(0), judged(1)
        ),
        "podSumBroken (settlement)": of_settlement(
            sums, "podSumBroken", 3, {"podRewardUeur": 1}, judged(0), judged(3)
        ),
        "wrongPair": of_settlement(sums, "wrongPair", 4, {"pairPaymentUeur": 1}, judged(4)),
        "wrongClaim": of_settlement(
            sums, "wrongClaim", 3, {"podRewardUeur": 1}, judged(3), lambda made: made.claim(0)
        ),
        "baselineNotAnchored": of_settlement(
            deliveries, "baselineNotAnchored", 0, {"baselineRoot": b"\1" * 32}, judged(0)
        ),
        "baselineChanged": of_settlement(
            deliveries, "baselineChanged", 0, {"baselineRoot": second}, judged(0), lambda _: first
        ),
        "wrongBaseline": of_settlement(
            deliveries, "wrongBaseline", 0, {"baselinePosition": 2}, judged(0), baseline(2)
        ),
        "baselineIgnored": of_settlement(
            deliveries,
            "baselineIgnored",
            0,
            {"baselineRoot": bytes(32), "deliveredW": 0},
            judged(0),
            judged(1),
            baseline(0),
        ),
        "readingNotAnchored": of_settlement(
            deliveries, "readingNotAnchored", 0, {"readingRoot": b"\1" * 32}, judged(0)
        ),
        "readingNotGenuine": of_settlement(
            deliveries, "readingNotGenuine", 0, {"readingPosition": 1}, judged(0), reading(0, 1)
        ),
        "wrongDelivery": of_settlement(
            deliveries, "wrongDelivery", 0, {"deliveredW": 1}, *whole, baseline(0), reading(0, 0)
        ),
        "readingIgnored": of_settlement(
            deliveries, "readingIgnored", 2, missing, judged(2), judged(4), reading(1, 2)
        ),
        "higherReadingTaken": of_settlement(
            deliveries, "higherReadingTaken", 3, higher, judged(3), reading(0, 1), judged(4), reading(1, 0)
        ),
    }


def real_time_lies(day: RealTimeDay) -> dict[str, Play]:
    """What was sold day ahead taken again, and an offer called sold by another PoD's entry."""

    def sold_twice(_: Results, sender: Any) -> Any:
        made, ahead = day.post(day.sold_again()), day.sold
        shown = (astuple(made.outcome), MARKET, made.entry(0), astuple(ahead.outcome), ahead.entry(0))
        return call(day.ahead, "RealTimeChallenges", "soldTwice", *shown, sender=sender)

    def falsely_sold(_: Results, sender: Any) -> Any:
        values = {"status": int(OfferStatus.COM_SOLD), "because": 1, "acceptedW": 0, "firstByRequest": 0}
        made, ahead = day.post(with_lie(day.cleared().market, ANSWER, 3, **values)), day.sold
        shown = (astuple(made.outcome), MARKET, made.answer(3), day.book.offer(1, 1))
        ahead_shown = (astuple(ahead.outcome), ahead.entry(0))
        return call(day.ahead, "RealTimeChallenges", "falselySold", *shown, *ahead_shown, sender=sender)

    return {"soldTwice": sold_twice, "falselySold": falsely_sold}


@pytest.fixture
def deep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every list's tree is `DEPTH` deep."""
    monkeypatch.setattr(lists, "ListTree", DeepTree)


def test_gas_of_fraud_proofs_at_depth_28(deep: None, market: Any, operator: Any, auditor: Any) -> None:
    travel_to(START_S)
    used: dict[str, int] = {}
    at_floor = set()
    # The market's reserve isn't paid for the first time.
    fund(market, accounts.at(market.Vault.reserve(), force=True), EURO)

    def measure(lies: dict[str, Play], results: Results) -> None:
        for name, play in lies.items():
            with undone():
                tx = play(replace(results), auditor)
                assert tx.events["ResultStruck"]["challenger"] == auditor, name
                used[name] = int(tx.gas_used)
                if used[name] == calldata_floor(tx.input):
                    at_floor.add(name)

    with undone():
        measure(CLEARING_PRICE_LIES, play_to_clearing(market, a_session(market, operator, method=1)))
    with undone():
        terms = a_session(market, operator)
        measure(ORDER_LIES, play_to_clearing(market, terms, change=with_offers(OFFERS)))
    with undone():
        results = play_to_clearing(market, a_session(market, operator), change=with_reserve)
        measure(RESERVE_LIES, results)
        results.post_market()
        results.post_technical(results.refusals_of([(2, 500)]))
        measure(VALIDATED_RESERVE_LIES, results)
    with undone():
        ahead = create(market, day_ahead_terms())
        day = play_real_time(market, ahead, create(market, real_time_terms(ahead)))
        measure(real_time_lies(day), day.ahead)
    terms = a_session(market, operator)
    results = play_to_clearing(market, terms, before_gate=lambda: before_gate(market, terms))
    measure(MARKET_LIES, results)
    results.post_market()
    measure(REFUSAL_LIES, results)
    results.post_technical()
    measure(VALIDATED_LIES, results)
    results.post_validated()
    results.anchor_readings()
    measure(settlement_lies(results), results)
    if os.environ.get("FLEXLEDGER_WRITE_GAS") == "1":
        FIGURES.write_text(json.dumps(used, indent=2) + "\n")
    # Nothing that a contract does makes these cheaper: four and five proofs are so many bytes.
    assert at_floor == AT_FLOOR
    above = {name for name, gas in used.items() if gas > LIMIT}
    assert above - at_floor == DEARER.keys()
    assert {name: gas for name, gas in used.items() if gas > DEARER_LIMIT} == {}
    written = json.loads(FIGURES.read_text())
    assert used.keys() == written.keys()
    apart = {name: (gas, written[name]) for name, gas in used.items() if abs(gas - written[name]) > NOISE}
    assert apart == {}


def calldata_floor(calldata: str) -> int:
    """What a transaction costs at least, whatever it does: EIP-7623."""
    given = bytes.fromhex(calldata.removeprefix("0x"))
    zeros = given.count(0)
    return 21_000 + 10 * (zeros + 4 * (len(given) - zeros))


def a_session(market: Any, operator: Any, method: int = 0) -> SessionTerms:
    """A session at a fixed time."""
    terms = session_terms(method=method)
    market.MarketSessions.create(as_struct(terms), {"from": operator})
    return replace(terms, session=market.MarketSessions.count())


def before_gate(market: Any, terms: SessionTerms) -> None:
    """The first aggregator notarises another baseline, later; the PoD of which nothing is accepted is suspended."""
    market.PodRegistry.suspend(PODS[3], "meter broken", {"from": account_of("dso")})
    author = account_of("aggregator")
    travel_to(terms.baselineGate - 2)
    notarise_baseline(market, baselines_document(terms.session, author.address, (0, 1), 9_000), author)
