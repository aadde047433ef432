"""Lies in the market outcome of plain offers, by both pricing methods."""

from typing import Any

from offchain.protocol.leaves import LeafKind
from offchain.protocol.products import OfferStatus
from tests.contracts.lies.play import (
    ANSWER,
    ENTRY,
    Play,
    Shown,
    answer,
    effectiveness,
    entry,
    first_offer,
    no,
    of_outcome,
    opening_of_request,
    request,
    second_offer,
)
from tests.contracts.outcomes import PODS


def of_market(name: str, kind: LeafKind, index: int, values: dict[str, Any], *more: Shown) -> Play:
    """A lie in a leaf that is shown first, `more` after it."""
    own = entry(index) if kind is ENTRY else answer(index)
    return of_outcome(name, kind, lambda _: index, values, own, *more)


REFUSED_CHEAPER = {"status": int(OfferStatus.COM_DEARER), "acceptedW": 0, "firstByRequest": 0}
MARKET_LIES: dict[str, Play] = {
    "malformedEntry": of_market("malformedEntry", ENTRY, 0, {"product": 4}),
    "malformedAnswer": of_market("malformedAnswer", ANSWER, 0, {"acceptedW": 5_001}),
    "notInBook": of_market("notInBook", ENTRY, 1, {"offerPosition": 99}),
    "podExceeded": of_market("podExceeded", ENTRY, 1, {"podRunningW": 10_001}),
    "entryDoubled": of_market("entryDoubled", ENTRY, 2, {"position": 1}, entry(1)),
    "answerDoubled": of_market("answerDoubled", ANSWER, 2, {"position": 1}, answer(1)),
    "sumBroken": of_market("sumBroken", ENTRY, 1, {"runningW": 1}, entry(2)),
    "offerChainBroken": of_market("offerChainBroken", ANSWER, 0, {"acceptedW": 1}, entry(0)),
    "offerSumBroken": of_market("offerSumBroken", ENTRY, 1, {"offerPosition": 0}, entry(0)),
    "podSumBroken": of_market("podSumBroken", ENTRY, 1, {"pod": PODS[0]}, entry(0)),
    "totalsDontAddUp": of_market("totalsDontAddUp", ENTRY, 5, {"runningW": 1}),
    "wrongCopy": of_market("wrongCopy", ANSWER, 1, {"commitment": 2}, first_offer(1)),
    "notAsOffered": of_market("notAsOffered", ENTRY, 0, {"priceUeurPerKw": 1}, first_offer(0)),
    "notAsRequested": of_market("notAsRequested", ENTRY, 0, {"slot": 9}, request),
    "escrowExceeded": of_market("escrowExceeded", ENTRY, 0, {"documentUeur": 2**40}, opening_of_request),
    "wrongEffectiveness": of_market(
        "wrongEffectiveness", ENTRY, 0, {"effectivenessPermille": 999}, request, effectiveness(0)
    ),
    "notARequest": of_market(
        "notARequest", ENTRY, 0, {"requestPosition": 2}, no, opening_of_request, effectiveness(0)
    ),
    "notAnEffectiveness": of_market(
        "notAnEffectiveness", ENTRY, 0, {"effectivenessPosition": 0}, no, request
    ),
    "anothersEffectiveness": of_market(
        "anothersEffectiveness", ENTRY, 0, {"effectivenessPosition": 6}, no, opening_of_request
    ),
    "falselyVoid": of_market(
        "falselyVoid", ANSWER, 7, {"status": int(OfferStatus.VOID), "because": 1}, second_offer(0)
    ),
    "takenThoughVoid": of_market(
        "takenThoughVoid", ANSWER, 7, {"acceptedW": 1, "status": 1, "firstByRequest": 1}, second_offer(3)
    ),
    "falselyExcluded": of_market(
        "falselyExcluded",
        ANSWER,
        7,
        {"status": int(OfferStatus.COM_EXCLUDED), "because": 2},
        second_offer(3),
        entry(1),
    ),
    # The false leaf isn't the first that these two take.
    "miscounted": of_outcome(
        "miscounted",
        ANSWER,
        lambda _: 7,
        {"status": int(OfferStatus.UNCOVERED), "countedW": 0},
        answer(6),
        answer(7),
        second_offer(3),
    ),
    "cheaperRefused": of_outcome(
        "cheaperRefused",
        ANSWER,
        lambda _: 0,
        REFUSED_CHEAPER,
        entry(2),
        answer(0),
        first_offer(0),
        request,
        effectiveness(0),
    ),
}


CLEARING_PRICE_LIES: dict[str, Play] = {
    "wrongClearingPrice": of_market(
        "wrongClearingPrice", ENTRY, 0, {"priceUeurPerKw": 1}, entry(2), entry(3)
    ),
    "wrongMarginalPrice": of_market(
        "wrongMarginalPrice", ENTRY, 2, {"priceUeurPerKw": 1}, entry(3), second_offer(0)
    ),
}
