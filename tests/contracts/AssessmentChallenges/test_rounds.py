"""Later rounds hold to the same proofs as the first, and to what was refused before them (SPECIFICATION.md 27.x).

Of 12 kW in slot 7 PoDs 0 and 1 gave 5 kW each and PoD 2 the rest. The grid refuses 2 kW of PoD 1: PoD 2 gives them in round 2. Of
those it refuses 1.5 kW: PoD 3 gives them in round 3.
"""

from dataclasses import astuple
from typing import Any

import pytest

from offchain.audit.accusations.assessment import NO_ASSESSMENT
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, REFUSAL
from offchain.protocol.products import OfferStatus
from offchain.protocol.rounds import refusal_number
from offchain.protocol.terms import SessionTerms
from tests.contracts.AssessmentChallenges.test_faults import is_struck
from tests.contracts.chain import refused
from tests.contracts.outcomes import PRICES, with_lie
from tests.contracts.play import (
    MARKET,
    MARKET_2,
    MARKET_3,
    TECHNICAL,
    TECHNICAL_2,
    TECHNICAL_3,
    VALIDATED,
)
from tests.contracts.results import REFUSED_ENTRY, REFUSED_W, Results, play_to_clearing

ENTRY, ANSWER = OUTCOME_BY_REQUEST, OUTCOME_BY_OFFER
SECOND_ENTRY, SECOND_W = 2, 1_500
REFUSED_OFFER, SECOND_OFFER, THIRD_OFFER = 2, 4, 6
"""Of PoDs 1, 2 and 3 in the first slot."""
TEC = {"acceptedW": 0, "status": int(OfferStatus.TEC), "firstByRequest": 0}


@pytest.fixture
def first(market: Any, terms: SessionTerms) -> Results:
    """The first round, cleared and assessed."""
    made = play_to_clearing(market, terms)
    made.post_market()
    made.post_technical()
    return made


@pytest.fixture
def second(first: Results) -> Results:
    """The second round, about to be cleared."""
    return first.next_round()


@pytest.fixture
def third(second: Results) -> Results:
    """The third round, about to be cleared."""
    second.post_market()
    second.post_technical(second.refusals_of([(SECOND_ENTRY, SECOND_W)]))
    return second.next_round()


def accuse(results: Results, name: str, *proofs: Any, sender: Any) -> Any:
    contracts = ("AssessmentChallenges", "OutcomeChallenges", "ClearingChallenges")
    found = next(each for each in (getattr(results.market, c) for c in contracts) if name in each.signatures)
    return getattr(found, name)(*proofs, {"from": sender})


def lie(results: Results, index: int, **values: int) -> tuple[Any, int]:
    """Post the second round's market outcome with a lie in an answer; what is accused."""
    results.post_market(with_lie(results.cleared.market, ANSWER, index, **values))
    return astuple(results.market_outcome), MARKET_2


def test_what_is_cleared_again(third: Results) -> None:
    """Three quantities of slot 7 in round 2, four in round 3, as the head of this file says."""
    rounds = []
    for document in (third.before.cleared.market, third.cleared.market):
        entries = [entry for entry in document.list_of(ENTRY).records() if entry.integer("slot") == 7]
        rounds.append([(entry.integer("offerPosition"), entry.integer("acceptedW")) for entry in entries])
    assert rounds == [
        [(0, 5_000), (REFUSED_OFFER, 3_000), (SECOND_OFFER, 4_000)],
        [(0, 5_000), (REFUSED_OFFER, 3_000), (SECOND_OFFER, 2_500), (THIRD_OFFER, 1_500)],
    ]
    answers = third.cleared.market.list_of(ANSWER).records()
    named = [answers[offer].integer("because") for offer in (REFUSED_OFFER, SECOND_OFFER)]
    assert named == [refusal_number(1, 0), refusal_number(2, 0)]


def test_nothing_in_honest_rounds_is_a_fault(third: Results, auditor: Any) -> None:
    third.post_market()
    third.post_technical(third.refusals_of([(3, 500)]))
    third.post_validated()
    rounds = [third.before.before, third.before, third]

    def innocent(name: str, fault: str, *proofs: Any) -> None:
        with refused("ChallengesNotAFault", fault.encode().ljust(32, b"\0")):
            accuse(third, name, *proofs, sender=auditor)

    judged = [
        (rounds[1], MARKET_2, astuple(rounds[1].market_outcome), rounds[1].market_answer),
        (third, MARKET_3, astuple(third.market_outcome), third.market_answer),
        (third, VALIDATED, astuple(third.validated), third.answer),
    ]
    for results, stage, outcome, answer in judged:
        for index in range(8):
            offer = results.book.offer(index // 4, index % 4)
            innocent("malformedAnswer", "MalformedAnswer", outcome, stage, answer(index))
            earlier = answer(max(index - 1, 0))
            innocent("miscounted", "Miscounted", outcome, stage, earlier, answer(index), offer)
            innocent("wrongCopy", "WrongCopy", outcome, stage, answer(index), offer)
        for place, offer_index in enumerate((REFUSED_OFFER, SECOND_OFFER, THIRD_OFFER)):
            if 2 * place + 1 > stage:
                break
            before, at = rounds[place], 2 * place + 1
            technical, market_ = astuple(before.technical), astuple(before.market_outcome)
            offer = results.book.offer(offer_index // 4, offer_index % 4)
            shown = (outcome, stage, technical)
            innocent("noSuchRefusal", "NoSuchRefusal", *shown, answer(offer_index))
            refusal = before.refusal(0)
            innocent("refusedForAnother", "RefusedForAnother", *shown, answer(offer_index), offer, refusal)
            entry = before.market_entry((REFUSED_ENTRY, SECOND_ENTRY, 3)[place])
            whole = (*shown, market_, answer(offer_index), offer, refusal, entry)
            innocent("takenAway", "TakenAway", *whole)
            both = (refusal, answer(offer_index), before.market_answer(offer_index))
            innocent("refusalIgnored", "RefusalIgnored", *shown, at, market_, *both)
    for results, stage, refused_entry in ((rounds[1], TECHNICAL_2, SECOND_ENTRY), (third, TECHNICAL_3, 3)):
        technical = astuple(results.technical)
        shown = (results.refusal(0), astuple(results.market_outcome), results.market_entry(refused_entry))
        innocent("modelNotAnchored", "ModelNotAnchored", technical, stage, shown[0])
        innocent("malformedRefusal", "MalformedRefusal", technical, stage, shown[0])
        innocent("notAsAccepted", "NotAsAccepted", technical, stage, *shown)
    three = (astuple(third.validated), astuple(third.market_outcome), astuple(third.technical))
    for index in range(8):
        innocent("acceptedMore", "AcceptedMore", *three, third.answer(index), third.market_answer(index))
        innocent("answerChanged", "AnswerChanged", *three, third.answer(index), third.market_answer(index))
    with refused("ChallengesNotTheBasis", third.validated.basis, rounds[1].technical.hash()):
        before = (astuple(third.validated), astuple(rounds[1].market_outcome), astuple(rounds[1].technical))
        accuse(third, "acceptedMore", *before, third.answer(4), rounds[1].market_answer(4), sender=auditor)


def test_refused_by_nothing(second: Results, auditor: Any) -> None:
    """Called refused without naming a refusal, PoD 0 is out of the way of a dearer one."""
    shown = lie(second, 0, **TEC, because=0)
    technical = astuple(second.before.technical)
    tx = accuse(second, "noSuchRefusal", *shown, technical, second.market_answer(0), sender=auditor)
    is_struck(second, tx, MARKET_2, "NoSuchRefusal")


@pytest.mark.parametrize(
    "because", [refusal_number(1, 1), refusal_number(2, 0), refusal_number(3, 0), 3 << 30, 1 << 30]
)
def test_refused_beyond_all_refusals_or_rounds(second: Results, auditor: Any, because: int) -> None:
    shown = lie(second, 0, **TEC, because=because)
    technical = astuple(second.before.technical)
    tx = accuse(second, "noSuchRefusal", *shown, technical, second.market_answer(0), sender=auditor)
    is_struck(second, tx, MARKET_2, "NoSuchRefusal")


def test_a_first_round_names_no_refusal(market: Any, terms: SessionTerms, auditor: Any) -> None:
    results = play_to_clearing(market, terms)
    results.post_market()
    cleared = results.cleared.market
    with refused("ChallengesNotAFault", b"NoSuchRefusal".ljust(32, b"\0")):
        shown = (astuple(results.market_outcome), MARKET, astuple(NO_ASSESSMENT), results.market_answer(4))
        accuse(results, "noSuchRefusal", *shown, sender=auditor)
    assert cleared.list_of(ANSWER).integers("status")[4] == OfferStatus.PARTLY_ACCEPTED


def test_refused_for_another_ones_refusal(second: Results, auditor: Any) -> None:
    shown = lie(second, 0, **TEC, because=refusal_number(1, 0))
    proofs = (second.market_answer(0), second.book.offer(0, 0), second.before.refusal(0))
    technical = astuple(second.before.technical)
    tx = accuse(second, "refusedForAnother", *shown, technical, *proofs, sender=auditor)
    is_struck(second, tx, MARKET_2, "RefusedForAnother")


def test_taken_away_though_a_part_was_left_is_made_good_for(
    second: Results, auditor: Any, aggregator: Any
) -> None:
    shown = lie(second, REFUSED_OFFER, **TEC)
    before = second.before
    free = second.market.Vault.free(aggregator)
    offer = second.book.offer(0, REFUSED_OFFER)
    outcomes = (astuple(before.technical), astuple(before.market_outcome))
    proofs = (second.market_answer(REFUSED_OFFER), offer, before.refusal(0))
    with refused("ChallengesNotTheLeaf", REFUSED_ENTRY, 0):
        accuse(second, "takenAway", *shown, *outcomes, *proofs, before.market_entry(0), sender=auditor)
    entry = before.market_entry(REFUSED_ENTRY)
    tx = accuse(second, "takenAway", *shown, *outcomes, *proofs, entry, sender=auditor)
    is_struck(second, tx, MARKET_2, "TakenAway")
    assert tx.events["ResultStruck"]["wronged"] == aggregator
    assert second.market.Vault.free(aggregator) == free + (5_000 - REFUSED_W) * PRICES[1] // 1000


@pytest.mark.parametrize("accepted_w", [3_001, 5_000])
def test_more_taken_than_the_refusal_left(second: Results, auditor: Any, accepted_w: int) -> None:
    before = second.before
    shown = lie(second, REFUSED_OFFER, acceptedW=accepted_w)
    basis = (astuple(before.technical), TECHNICAL, astuple(before.market_outcome))
    both = (second.market_answer(REFUSED_OFFER), before.market_answer(REFUSED_OFFER))
    tx = accuse(second, "refusalIgnored", *shown, *basis, before.refusal(0), *both, sender=auditor)
    is_struck(second, tx, MARKET_2, "RefusalIgnored")


def test_a_refusal_of_the_first_round_holds_in_the_third(third: Results, auditor: Any) -> None:
    first = third.before.before
    third.post_market(with_lie(third.cleared.market, ANSWER, REFUSED_OFFER, acceptedW=3_001))
    shown = (astuple(third.market_outcome), MARKET_3)
    basis = (astuple(first.technical), TECHNICAL, astuple(first.market_outcome))
    both = (third.market_answer(REFUSED_OFFER), first.market_answer(REFUSED_OFFER))
    for stage in (MARKET_2, TECHNICAL_3, VALIDATED):
        wrong = (basis[0], stage, basis[2])
        with refused("ChallengesWrongStage", stage):
            accuse(third, "refusalIgnored", *shown, *wrong, first.refusal(0), *both, sender=auditor)
    tx = accuse(third, "refusalIgnored", *shown, *basis, first.refusal(0), *both, sender=auditor)
    is_struck(third, tx, MARKET_3, "RefusalIgnored")
    board, session = third.market.OutcomeBoard, third.session
    assert bytes(board.outcomeHash(session, TECHNICAL_2)) == third.before.technical.hash()


def test_a_cheaper_offer_refused_in_a_later_round(second: Results, auditor: Any) -> None:
    shown = lie(second, 0, acceptedW=0, status=int(OfferStatus.COM_DEARER), firstByRequest=0)
    proofs = (second.market_entry(2), second.market_answer(0), second.book.offer(0, 0))
    book = (second.book.request(0), second.book.effectiveness(0))
    with refused("ChallengesWrongStage", VALIDATED):
        accuse(second, "cheaperRefused", shown[0], VALIDATED, *proofs, *book, sender=auditor)
    tx = accuse(second, "cheaperRefused", *shown, *proofs, *book, sender=auditor)
    is_struck(second, tx, MARKET_2, "CheaperRefused")


def test_collateral_counts_in_a_later_round_as_in_the_first(second: Results, auditor: Any) -> None:
    shown = lie(second, REFUSED_OFFER, countedW=3_000)
    proofs = (second.market_answer(1), second.market_answer(REFUSED_OFFER), second.book.offer(0, 2))
    tx = accuse(second, "miscounted", *shown, *proofs, sender=auditor)
    is_struck(second, tx, MARKET_2, "Miscounted")


def test_more_refused_than_a_later_round_accepted(second: Results, auditor: Any) -> None:
    second.post_market()
    honest = second.refusals_of([(REFUSED_ENTRY, 3_000)])
    technical = second.post_technical(with_lie(honest, REFUSAL, 0, refusedW=3_001, runningW=3_001))
    shown = (second.refusal(0), astuple(second.market_outcome), second.market_entry(REFUSED_ENTRY))
    with refused("ChallengesWrongStage", MARKET_2):
        accuse(second, "notAsAccepted", astuple(technical), MARKET_2, *shown, sender=auditor)
    tx = accuse(second, "notAsAccepted", astuple(technical), TECHNICAL_2, *shown, sender=auditor)
    is_struck(second, tx, TECHNICAL_2, "NotAsAccepted")


def test_a_validated_outcome_accepts_no_more_than_the_last_round(second: Results, auditor: Any) -> None:
    """More than round 2 took of PoD 1, though no more than round 1."""
    second.post_market()
    second.post_technical(second.refusals_of([(SECOND_ENTRY, SECOND_W)]))
    second.post_validated(with_lie(second.honest_validated(), ANSWER, REFUSED_OFFER, acceptedW=3_001))
    three = (astuple(second.validated), astuple(second.market_outcome), astuple(second.technical))
    both = (second.answer(REFUSED_OFFER), second.market_answer(REFUSED_OFFER))
    tx = accuse(second, "acceptedMore", *three, *both, sender=auditor)
    is_struck(second, tx, VALIDATED, "AcceptedMore")


def test_less_left_for_a_refusal_of_another_round(second: Results, auditor: Any) -> None:
    """1 kW of PoD 1 is gone: the refusal of round 1 that it names is of it, but it has been served already."""
    second.post_market()
    second.post_technical(second.refusals_of([(SECOND_ENTRY, SECOND_W)]))
    second.post_validated(with_lie(second.honest_validated(), ANSWER, REFUSED_OFFER, acceptedW=2_000))
    three = (astuple(second.validated), astuple(second.market_outcome), astuple(second.technical))
    both = (second.answer(REFUSED_OFFER), second.market_answer(REFUSED_OFFER))
    proofs = (*both, second.market_entry(REFUSED_ENTRY), second.refusal(0))
    tx = accuse(second, "takenWithoutRefusal", *three, *proofs, sender=auditor)
    is_struck(second, tx, VALIDATED, "TakenWithoutRefusal")
