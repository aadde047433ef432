"""Lies in the settlement: of its sums, and of what was delivered."""

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

from offchain.protocol.leaves import BASELINE, READING
from tests.contracts.lies.play import Play, call
from tests.contracts.results import Results, Settled, baselines_document


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
