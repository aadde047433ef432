"""Lies in the technical outcome."""

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

from offchain.protocol.leaves import REFUSAL
from tests.contracts.lies.play import Play, call
from tests.contracts.outcomes import with_lie
from tests.contracts.play import TECHNICAL
from tests.contracts.results import REFUSED_ENTRY, REFUSED_W, Results


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
