"""Lies in the validated outcome."""

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

from offchain.protocol.leaves import LeafKind
from offchain.protocol.products import OfferStatus
from tests.contracts.lies.play import ANSWER, ENTRY, Play, call, contract_of
from tests.contracts.outcomes import with_lie
from tests.contracts.play import TECHNICAL, VALIDATED
from tests.contracts.results import Results


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
        "takenWithoutRefusal", ANSWER, 0, {"acceptedW": 1, "because": 1}, *answers(0), entries(0)[1], refusal
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
