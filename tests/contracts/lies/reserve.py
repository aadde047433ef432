"""Lies about the reserve, in the market outcome and in the validated one."""

from dataclasses import astuple
from typing import Any

from offchain.protocol.leaves import LeafKind
from oracles.clearing.core.outcome import outcome_document
from tests.contracts.lies.play import (
    ANSWER,
    ENTRY,
    RESERVE,
    Play,
    Shown,
    answer,
    call,
    effectiveness,
    entry,
    no,
    of_outcome,
    opening_of_request,
    request,
    second_offer,
)
from tests.contracts.lies.validated import of_validated
from tests.contracts.results import Results


def of_reserve(name: str, kind: LeafKind, index: int, values: dict[str, Any], *shown: Shown) -> Play:
    return of_outcome(name, kind, lambda _: index, values, *shown)


def reserved(index: int) -> Shown:
    return lambda made, _: made.reserved(index)


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
        "reserveNotContinued", RESERVE, 0, {"podRunningW": 5_001}, entry(2), reserved(0)
    ),
    "reservedBothWays": of_reserve("reservedBothWays", ENTRY, 2, {"product": 1}, reserved(0), entry(2), no),
    "reserveNotInBook": of_reserve("reserveNotInBook", RESERVE, 1, {"offerPosition": 99}, reserved(1)),
    "reservePodExceeded": of_reserve("reservePodExceeded", RESERVE, 1, {"podRunningW": 10_001}, reserved(1)),
    "reserveNotAsOffered": of_reserve(
        "reserveNotAsOffered", RESERVE, 1, {"priceUeurPerKw": 1}, reserved(1), second_offer(2)
    ),
    "reserveNotAsRequested": of_reserve(
        "reserveNotAsRequested", RESERVE, 1, {"slot": 9}, reserved(1), request
    ),
    "reserveWrongEffectiveness": of_reserve(
        "reserveWrongEffectiveness",
        RESERVE,
        1,
        {"effectivenessPermille": 999},
        reserved(1),
        request,
        effectiveness(2),
    ),
    "reserveBeyondOffer": of_reserve(
        "reserveBeyondOffer", RESERVE, 1, {"offerRunningW": 5_001}, answer(6), reserved(1)
    ),
    "reserveBelowMinimum": of_reserve(
        "reserveBelowMinimum", RESERVE, 2, {"offerRunningW": 999}, answer(10), second_offer(6), reserved(2)
    ),
    "reserveEscrowExceeded": of_reserve(
        "reserveEscrowExceeded",
        RESERVE,
        1,
        {"documentUeur": 2**40},
        reserved(1),
        entry(1),
        opening_of_request,
    ),
    "cheaperLeftOut": of_reserve(
        "cheaperLeftOut",
        RESERVE,
        2,
        {"priceUeurPerKw": 61_000},
        reserved(2),
        answer(12),
        second_offer(8),
        request,
        effectiveness(3),
    ),
    "falselyReserved": of_reserve("falselyReserved", ANSWER, 10, {"because": 2}, answer(10), reserved(1)),
    "falselyKeptOut": of_reserve(
        "falselyKeptOut", ANSWER, 8, {"because": 3}, answer(8), second_offer(4), reserved(2)
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
