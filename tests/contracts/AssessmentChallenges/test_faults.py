"""Every fault of a technical or validated outcome is struck by its proof, and no honest one is (SPECIFICATION.md 22.x)."""

from dataclasses import astuple, replace
from itertools import pairwise
from typing import Any

import pytest

from offchain.protocol.leaves import OFFER, OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, REFUSAL
from offchain.protocol.products import OfferStatus
from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import refused
from tests.contracts.outcomes import PODS, PRICES, SmallBook, with_first_document, with_lie
from tests.contracts.play import MARKET, TECHNICAL, VALIDATED
from tests.contracts.results import REFUSED_ENTRY, REFUSED_W, Results, fault_word, play_to_clearing

ENTRY, ANSWER = OUTCOME_BY_REQUEST, OUTCOME_BY_OFFER
NO_REFUSAL: tuple[Any, ...] = (tuple([0] * 8 + [bytes(32), 0, 0, bytes(32), bytes(32)]), [])


@pytest.fixture
def results(market: Any, terms: SessionTerms) -> Results:
    """A session with its honest market outcome: PoDs 0, 1 and 2 in two slots."""
    made = play_to_clearing(market, terms)
    made.post_market()
    return made


def accuse(results: Results, name: str, *proofs: Any, sender: Any) -> Any:
    return getattr(results.market.AssessmentChallenges, name)(*proofs, {"from": sender})


def is_struck(results: Results, tx: Any, stage: int, fault: str) -> None:
    assert tx.events["ResultStruck"]["fault"] == fault_word(fault)
    assert tx.events["ResultStruck"]["stage"] == stage
    assert bytes(results.market.OutcomeBoard.outcomeHash(results.session, stage)) == bytes(32)


FALSE_REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("modelNotAnchored", {"gridModel": b"\1" * 32}, "ModelNotAnchored"),
    ("malformedRefusal", {"length": 2}, "MalformedRefusal"),
    ("malformedRefusal", {"position": 1}, "MalformedRefusal"),
    ("malformedRefusal", {"refusedW": 0}, "MalformedRefusal"),
    ("malformedRefusal", {"element": bytes(32)}, "MalformedRefusal"),
    ("malformedRefusal", {"margin": 0}, "MalformedRefusal"),
    ("malformedRefusal", {"margin": -1}, "MalformedRefusal"),
    ("malformedRefusal", {"marginUnit": 2}, "MalformedRefusal"),
    ("malformedRefusal", {"runningW": REFUSED_W + 1}, "MalformedRefusal"),
]


@pytest.mark.parametrize(("name", "values", "fault"), FALSE_REFUSALS)
def test_a_refusal_that_is_false_by_itself(
    results: Results, auditor: Any, name: str, values: dict[str, Any], fault: str
) -> None:
    honest = results.refusals_of([(REFUSED_ENTRY, REFUSED_W)])
    technical = results.post_technical(with_lie(honest, REFUSAL, 0, **values))
    tx = accuse(results, name, astuple(technical), TECHNICAL, results.refusal(0), sender=auditor)
    is_struck(results, tx, TECHNICAL, fault)


def test_a_total_that_isnt_the_last_sum(results: Results, auditor: Any) -> None:
    technical = results.post_technical(refusedWSlots=REFUSED_W + 1)
    tx = accuse(
        results, "malformedRefusal", astuple(technical), TECHNICAL, results.refusal(0), sender=auditor
    )
    is_struck(results, tx, TECHNICAL, "MalformedRefusal")


@pytest.mark.parametrize(
    "values",
    [
        {"refusedW": 5_001, "runningW": 5_001},
        {"offerPosition": 0},
        {"slot": 9},
        {"product": 1},
    ],
)
def test_a_refusal_that_isnt_of_its_entry(results: Results, auditor: Any, values: dict[str, Any]) -> None:
    honest = results.refusals_of([(REFUSED_ENTRY, REFUSED_W)])
    technical = results.post_technical(with_lie(honest, REFUSAL, 0, **values))
    proofs = (astuple(results.market_outcome), results.market_entry(REFUSED_ENTRY))
    with refused("ChallengesNotTheLeaf", REFUSED_ENTRY, 0):
        wrong = (proofs[0], results.market_entry(0))
        accuse(
            results,
            "notAsAccepted",
            astuple(technical),
            TECHNICAL,
            results.refusal(0),
            *wrong,
            sender=auditor,
        )
    tx = accuse(
        results, "notAsAccepted", astuple(technical), TECHNICAL, results.refusal(0), *proofs, sender=auditor
    )
    is_struck(results, tx, TECHNICAL, "NotAsAccepted")


def test_a_refusal_of_nothing_that_was_accepted(results: Results, auditor: Any) -> None:
    length = results.market_outcome.byRequestLength
    honest = results.refusals_of([(REFUSED_ENTRY, REFUSED_W)])
    technical = results.post_technical(with_lie(honest, REFUSAL, 0, byRequestPosition=length))
    proofs = (astuple(technical), TECHNICAL, results.refusal(0), astuple(results.market_outcome))
    tx = accuse(results, "notInOutcome", *proofs, sender=auditor)
    is_struck(results, tx, TECHNICAL, "NotInOutcome")


@pytest.mark.parametrize("values", [{"runningW": 2_999}, {"byRequestPosition": 1}, {"byRequestPosition": 0}])
def test_refusals_out_of_order_or_sum(results: Results, auditor: Any, values: dict[str, Any]) -> None:
    honest = results.refusals_of([(1, 2_000), (3, 1_000)])
    technical = results.post_technical(with_lie(honest, REFUSAL, 1, **values))
    proofs = (astuple(technical), TECHNICAL, results.refusal(0), results.refusal(1))
    tx = accuse(results, "refusalSumBroken", *proofs, sender=auditor)
    is_struck(results, tx, TECHNICAL, "SumBroken")


def test_a_refusal_twice(results: Results, auditor: Any) -> None:
    honest = results.refusals_of([(1, 2_000), (3, 1_000)])
    technical = results.post_technical(with_lie(honest, REFUSAL, 1, position=0))
    proofs = (astuple(technical), TECHNICAL, results.refusal(0), results.refusal(1))
    tx = accuse(results, "refusalDoubled", *proofs, sender=auditor)
    is_struck(results, tx, TECHNICAL, "Doubled")


def test_nothing_in_honest_refusals_is_a_fault(results: Results, auditor: Any) -> None:
    market_outcome = astuple(results.market_outcome)
    refused_entries = (1, 3, 4)
    shown = results.refusals_of([(entry, 100 * entry) for entry in refused_entries])
    technical = astuple(results.post_technical(shown))

    def innocent(name: str, fault: str, *proofs: Any) -> None:
        with refused("ChallengesNotAFault", fault.encode().ljust(32, b"\0")):
            accuse(results, name, technical, TECHNICAL, *proofs, sender=auditor)

    leaves = [results.refusal(index) for index in range(3)]
    for entry, leaf in zip(refused_entries, leaves, strict=True):
        innocent("modelNotAnchored", "ModelNotAnchored", leaf)
        innocent("malformedRefusal", "MalformedRefusal", leaf)
        innocent("notInOutcome", "NotInOutcome", leaf, market_outcome)
        innocent("notAsAccepted", "NotAsAccepted", leaf, market_outcome, results.market_entry(entry))
        for other in leaves:
            innocent("refusalDoubled", "Doubled", leaf, other)
    for earlier, later in pairwise(leaves):
        innocent("refusalSumBroken", "SumBroken", earlier, later)
    with refused("ChallengesNotTheLeaf", 1, 2):
        accuse(results, "refusalSumBroken", technical, TECHNICAL, leaves[0], leaves[2], sender=auditor)
    other = replace(results.market_outcome, totalUeur=1)
    with refused("ChallengesNotTheBasis", results.market_outcome.hash(), other.hash()):
        accuse(results, "notInOutcome", technical, TECHNICAL, leaves[0], astuple(other), sender=auditor)


@pytest.fixture
def assessed(results: Results) -> Results:
    """The same with honest refusals: 2 kW of PoD 1 in the first slot."""
    results.post_technical()
    return results


def all_three(results: Results) -> tuple[Any, Any, Any]:
    """The validated outcome, the market outcome and the technical one."""
    return astuple(results.validated), astuple(results.market_outcome), astuple(results.technical)


def judged(results: Results) -> tuple[Any, int, Any]:
    """The validated outcome with its stage, and the technical outcome."""
    return astuple(results.validated), VALIDATED, astuple(results.technical)


def of_refusals(results: Results) -> tuple[Any, int, Any, int, Any]:
    """The same, with the technical outcome's stage and what it assessed."""
    return (*judged(results), TECHNICAL, astuple(results.market_outcome))


REFUSED_OFFER = 2
"""Of PoD 1 in the first slot: the book has the offers PoD by PoD."""


def test_more_accepted_than_the_market_did(assessed: Results, auditor: Any) -> None:
    lie = with_lie(assessed.honest_validated(), ANSWER, 0, acceptedW=5_001)
    assessed.post_validated(lie)
    proofs = (*all_three(assessed), assessed.answer(0), assessed.market_answer(0))
    is_struck(assessed, accuse(assessed, "acceptedMore", *proofs, sender=auditor), VALIDATED, "AcceptedMore")


@pytest.mark.parametrize(
    ("index", "values"),
    [
        (0, {"commitment": 2}),
        (0, {"offerPosition": 1}),
        (0, {"countedW": 5_001}),
        (0, {"startSlot": 9}),
        (0, {"coverUeur": 1}),
        (0, {"status": int(OfferStatus.PARTLY_ACCEPTED)}),
        (0, {"because": 1}),
        (REFUSED_OFFER, {"status": int(OfferStatus.ACCEPTED)}),
        (REFUSED_OFFER, {"acceptedW": 0}),
    ],
)
def test_an_answer_that_was_changed(
    assessed: Results, auditor: Any, index: int, values: dict[str, Any]
) -> None:
    assessed.post_validated(with_lie(assessed.honest_validated(), ANSWER, index, **values))
    proofs = (*all_three(assessed), assessed.answer(index), assessed.market_answer(index))
    is_struck(
        assessed, accuse(assessed, "answerChanged", *proofs, sender=auditor), VALIDATED, "AnswerChanged"
    )


@pytest.mark.parametrize("because", [0, 1, 2])
def test_less_left_of_an_offer_that_nobody_refused_is_made_good_for(
    assessed: Results, auditor: Any, aggregator: Any, because: int
) -> None:
    """3 kW of PoD 0 are gone: its aggregator gets their price back."""
    lie = with_lie(assessed.honest_validated(), ANSWER, 0, acceptedW=2_000, because=because)
    assessed.post_validated(lie)
    before = assessed.market.Vault.free(aggregator)
    named = assessed.refusal(0) if because == 1 else NO_REFUSAL
    proofs = (assessed.answer(0), assessed.market_answer(0), assessed.market_entry(0))
    tx = accuse(assessed, "takenWithoutRefusal", *all_three(assessed), *proofs, named, sender=auditor)
    is_struck(assessed, tx, VALIDATED, "TakenWithoutRefusal")
    assert tx.events["ResultStruck"]["wronged"] == aggregator
    assert assessed.market.Vault.free(aggregator) == before + 3_000 * PRICES[0] // 1000


def test_an_offer_refused_for_another_ones_refusal(assessed: Results, auditor: Any) -> None:
    """The refusal is of the offer before it in its document, to which it isn't linked: no answer that stays may name it."""
    following = REFUSED_OFFER + 1
    lie = with_lie(
        assessed.honest_validated(), ANSWER, following, acceptedW=0, because=1, status=int(OfferStatus.TEC)
    )
    assessed.post_validated(lie)
    offer = assessed.book.offer(0, following)
    shown = (*judged(assessed), assessed.answer(following))
    with refused("ChallengesNotTheLeaf", following, REFUSED_OFFER):
        other = assessed.book.offer(0, REFUSED_OFFER)
        accuse(assessed, "refusedForAnother", *shown, other, assessed.refusal(0), sender=auditor)
    own = (*judged(assessed), assessed.answer(REFUSED_OFFER), assessed.book.offer(0, REFUSED_OFFER))
    with refused("ChallengesNotAFault", b"RefusedForAnother".ljust(32, b"\0")):
        accuse(assessed, "refusedForAnother", *own, assessed.refusal(0), sender=auditor)
    tx = accuse(assessed, "refusedForAnother", *shown, offer, assessed.refusal(0), sender=auditor)
    is_struck(assessed, tx, VALIDATED, "RefusedForAnother")


def last_one_linked(book: SmallBook) -> SmallBook:
    """The book with the first aggregator's last offer linked to the one that the DSO refuses in part."""
    document = with_lie(book.documents[0][1], OFFER, REFUSED_OFFER + 1, linkedTo=REFUSED_OFFER + 1)
    return with_first_document(book, document)


class TestLinked:
    """The refusal of the offer that it is linked to takes a linked one away."""

    @pytest.mark.parametrize(("left_w", "is_fault"), [(0, False), (1_000, True)])
    def test_goes_with_its_parent_or_not_at_all(
        self, market: Any, terms: SessionTerms, auditor: Any, left_w: int, is_fault: bool
    ) -> None:
        results = play_to_clearing(market, terms, change=last_one_linked)
        results.post_market()
        results.post_technical()
        status = OfferStatus.PARTLY_ACCEPTED if left_w else OfferStatus.TEC
        lie = with_lie(
            results.honest_validated(),
            ANSWER,
            REFUSED_OFFER + 1,
            acceptedW=left_w,
            because=1,
            status=int(status),
        )
        results.post_validated(lie)
        shown = (*judged(results), results.answer(REFUSED_OFFER + 1))
        proofs = (*shown, results.book.offer(0, REFUSED_OFFER + 1), results.refusal(0))
        if is_fault:
            tx = accuse(results, "refusedForAnother", *proofs, sender=auditor)
            is_struck(results, tx, VALIDATED, "RefusedForAnother")
        else:
            with refused("ChallengesNotAFault", b"RefusedForAnother".ljust(32, b"\0")):
                accuse(results, "refusedForAnother", *proofs, sender=auditor)


def test_a_refusal_that_was_ignored(assessed: Results, auditor: Any) -> None:
    lie = with_lie(assessed.honest_validated(), ANSWER, REFUSED_OFFER, acceptedW=3_001)
    assessed.post_validated(lie)
    shown = (assessed.refusal(0), assessed.answer(REFUSED_OFFER), assessed.market_answer(REFUSED_OFFER))
    proofs = (*of_refusals(assessed), *shown)
    tx = accuse(assessed, "refusalIgnored", *proofs, sender=auditor)
    is_struck(assessed, tx, VALIDATED, "RefusalIgnored")


@pytest.mark.parametrize("accepted_w", [2_999, 3_001])
def test_a_refusal_taken_from_another_entry(assessed: Results, auditor: Any, accepted_w: int) -> None:
    lie = with_lie(assessed.honest_validated(), ENTRY, REFUSED_ENTRY, acceptedW=accepted_w)
    assessed.post_validated(lie)
    shown = (assessed.refusal(0), assessed.entry(REFUSED_ENTRY), assessed.market_entry(REFUSED_ENTRY))
    proofs = (*all_three(assessed), *shown)
    tx = accuse(assessed, "refusalMisplaced", *proofs, sender=auditor)
    is_struck(assessed, tx, VALIDATED, "RefusalIgnored")


@pytest.mark.parametrize(
    "values",
    [
        {"acceptedW": 5_001},
        {"effectivenessPosition": 5},
        {"pod": PODS[3]},
        {"slot": 9},
        {"product": 1},
        {"priceUeurPerKw": PRICES[0] + 1},
        {"effectivenessPermille": 999},
        {"gridFeeUeurPerKw": 1},
    ],
)
def test_an_entry_that_was_changed(assessed: Results, auditor: Any, values: dict[str, Any]) -> None:
    assessed.post_validated(with_lie(assessed.honest_validated(), ENTRY, 0, **values))
    proofs = (*all_three(assessed), assessed.entry(0), assessed.market_entry(0))
    is_struck(assessed, accuse(assessed, "entryChanged", *proofs, sender=auditor), VALIDATED, "EntryChanged")


@pytest.mark.parametrize(("index", "request_position"), [(0, 1), (3, 0)])
def test_an_entry_for_a_request_for_which_it_wasnt_taken(
    assessed: Results, auditor: Any, index: int, request_position: int
) -> None:
    """An offer's only entry is for another request, after or before."""
    lie = with_lie(assessed.honest_validated(), ENTRY, index, requestPosition=request_position)
    assessed.post_validated(lie)
    only = assessed.market_entry(index)
    tx = accuse(
        assessed, "entryInvented", *all_three(assessed), assessed.entry(index), only, only, sender=auditor
    )
    is_struck(assessed, tx, VALIDATED, "EntryInvented")


def test_nothing_in_an_honest_validated_outcome_is_a_fault(assessed: Results, auditor: Any) -> None:
    assessed.post_validated()
    named = assessed.refusal(0)

    def innocent(name: str, fault: str, *proofs: Any, shown: tuple[Any, ...] = all_three(assessed)) -> None:
        with refused("ChallengesNotAFault", fault.encode().ljust(32, b"\0")):
            accuse(assessed, name, *shown, *proofs, sender=auditor)

    entries = [(assessed.entry(index), assessed.market_entry(index)) for index in range(6)]
    answers = [(assessed.answer(index), assessed.market_answer(index)) for index in range(8)]
    for now, before in answers:
        innocent("acceptedMore", "AcceptedMore", now, before)
        innocent("answerChanged", "AnswerChanged", now, before)
        innocent("noSuchRefusal", "NoSuchRefusal", now, shown=judged(assessed))
    for now, before in entries:
        innocent("entryChanged", "EntryChanged", now, before)
        innocent("entryInvented", "EntryInvented", now, before, before)
    for entry, offer in ((0, 0), (1, REFUSED_OFFER), (2, 4)):
        innocent("takenWithoutRefusal", "TakenWithoutRefusal", *answers[offer], entries[entry][1], named)
    answer, offer = answers[REFUSED_OFFER][0], assessed.book.offer(0, REFUSED_OFFER)
    before = (*judged(assessed), astuple(assessed.market_outcome))
    innocent("takenAway", "TakenAway", answer, offer, named, entries[REFUSED_ENTRY][1], shown=before)
    shown = of_refusals(assessed)
    innocent("refusalIgnored", "RefusalIgnored", named, *answers[REFUSED_OFFER], shown=shown)
    innocent("refusalMisplaced", "RefusalIgnored", named, *entries[REFUSED_ENTRY])
    with refused("ChallengesNotTheLeaf", 0, 1):
        accuse(assessed, "acceptedMore", *all_three(assessed), answers[0][0], answers[1][1], sender=auditor)
    with refused("ChallengesNotTheLeaf", 0, 2):
        accuse(assessed, "entryChanged", *all_three(assessed), entries[0][0], entries[1][1], sender=auditor)
    with refused("ChallengesNotTheLeaf", REFUSED_OFFER, 0):
        accuse(assessed, "refusalIgnored", *shown, named, *answers[0], sender=auditor)


def test_only_what_stands_can_be_held_against_it(assessed: Results, auditor: Any, stranger: Any) -> None:
    assessed.post_validated(with_lie(assessed.honest_validated(), ANSWER, 0, acceptedW=5_001))
    outcome, market_outcome, technical = all_three(assessed)
    shown = (assessed.answer(0), assessed.market_answer(0))
    other = replace(assessed.market_outcome, totalUeur=1)
    with refused("ChallengesNotTheBasis", assessed.market_outcome.hash(), other.hash()):
        accuse(assessed, "acceptedMore", outcome, astuple(other), technical, *shown, sender=auditor)
    with refused("ParticipantRegistryUnknownAccount", stranger):
        accuse(assessed, "acceptedMore", outcome, market_outcome, technical, *shown, sender=stranger)
    other = replace(assessed.validated, totalUeur=1)
    standing = assessed.market.OutcomeBoard.outcomeHash(assessed.session, VALIDATED)
    with refused("OutcomeBoardNotChallengeable", assessed.session, VALIDATED, bytes(standing), other.hash()):
        accuse(assessed, "acceptedMore", astuple(other), market_outcome, technical, *shown, sender=auditor)
    accuse(assessed, "acceptedMore", outcome, market_outcome, technical, *shown, sender=auditor)
    assert bytes(assessed.market.OutcomeBoard.outcomeHash(assessed.session, MARKET)) != bytes(32)
