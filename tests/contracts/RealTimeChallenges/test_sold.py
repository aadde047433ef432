"""What was sold day ahead is neither sold again in real time, nor said of what wasn't (SPECIFICATION.md 28.x)."""

from dataclasses import astuple, replace
from datetime import timedelta
from typing import Any

import pytest

from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST
from offchain.protocol.market_time import day_start_s, local_date
from offchain.protocol.products import OfferStatus
from offchain.protocol.terms import SLOT_S
from tests.contracts.chain import next_block_at, refused, travel_to
from tests.contracts.conftest import account_of
from tests.contracts.outcomes import PODS, Posted, posted_of, small_book, with_lie
from tests.contracts.play import MARKET, VALIDATED, play_book, post_validated
from tests.contracts.real_time import (
    OFFSET,
    STEP_S,
    RealTimeDay,
    create,
    day_ahead_terms,
    play,
    real_time_terms,
)
from tests.contracts.results import Results, fault_word

ENTRY, ANSWER = OUTCOME_BY_REQUEST, OUTCOME_BY_OFFER
SOLD = int(OfferStatus.COM_SOLD)
CALLED_SOLD = {"status": SOLD, "acceptedW": 0, "firstByRequest": 0}


@pytest.fixture
def day(market: Any) -> RealTimeDay:
    ahead = create(market, day_ahead_terms())
    return play(market, ahead, create(market, real_time_terms(ahead)))


def sold_twice(day: RealTimeDay, made: Posted, entry: int, sold: int, ahead: Posted | None = None) -> Any:
    shown = ahead or day.sold
    challenge = day.market.RealTimeChallenges.soldTwice
    arguments = (astuple(made.outcome), MARKET, made.entry(entry), astuple(shown.outcome), shown.entry(sold))
    return challenge(*arguments, {"from": account_of("auditor")})


def falsely_sold(day: RealTimeDay, made: Posted, index: int, sold: int, ahead: Posted | None = None) -> Any:
    shown = ahead or day.sold
    challenge = day.market.RealTimeChallenges.falselySold
    offer = day.book.offer(index // 2, index % 2)
    arguments = (astuple(made.outcome), MARKET, made.answer(index), offer, astuple(shown.outcome))
    return challenge(*arguments, shown.entry(sold), {"from": account_of("auditor")})


def is_no_fault(fault: str) -> Any:
    return refused("ChallengesNotAFault", fault.encode().ljust(32, b"\0"))


def struck(tx: Any) -> str:
    return tx.events["ResultStruck"]["fault"]


def test_nothing_in_an_honest_outcome_is_a_fault(market: Any, day: RealTimeDay) -> None:
    """PoDs 0 to 2 were sold day ahead, and PoD 3 is taken."""
    document = day.cleared().market
    answers = document.list_of(ANSWER).records()
    assert [leaf.integer("status") for leaf in answers] == [SOLD, SOLD, SOLD, int(OfferStatus.ACCEPTED)]
    made, auditor = day.post(document), {"from": account_of("auditor")}
    for sold in range(3):
        with is_no_fault("SoldTwice"):
            sold_twice(day, made, 0, sold)
    for index in range(4):
        with is_no_fault("FalselySold"):
            falsely_sold(day, made, index, max(answers[index].integer("because") - 1, 0))
        outcome, answer, offer = (
            astuple(made.outcome),
            made.answer(index),
            day.book.offer(index // 2, index % 2),
        )
        with is_no_fault("FalselyExcluded"):
            market.ClearingChallenges.falselyExcluded(outcome, MARKET, answer, offer, made.entry(0), auditor)
        with is_no_fault("MalformedAnswer"):
            market.OutcomeChallenges.malformedAnswer(outcome, MARKET, answer, auditor)
        with is_no_fault("Miscounted"):
            earlier = made.answer(max(index - 1, 0))
            market.OutcomeChallenges.miscounted(outcome, MARKET, earlier, answer, offer, auditor)
        with is_no_fault("CheaperRefused"):
            shown = (made.entry(0), answer, offer, day.book.request(), day.book.effectiveness(index))
            market.ClearingChallenges.cheaperRefused(outcome, MARKET, *shown, auditor)


def test_an_answer_of_another_entry_than_the_one_that_it_names_shows_nothing(day: RealTimeDay) -> None:
    made = day.post(day.cleared().market)
    with refused("ChallengesNotTheLeaf", 0, 1):
        falsely_sold(day, made, 0, 1)


@pytest.mark.parametrize("entry", [0, 1, 2])
def test_what_was_sold_is_taken_again(day: RealTimeDay, entry: int) -> None:
    made = day.post(day.sold_again())
    assert struck(sold_twice(day, made, entry, entry)) == fault_word("SoldTwice")


@pytest.mark.parametrize(
    "values", [{"slot": 8}, {"slot": 6}, {"product": 2}, {"product": 3}, {"pod": PODS[1]}]
)
def test_another_slot_kind_of_power_or_pod_is_free(day: RealTimeDay, values: dict[str, Any]) -> None:
    made = day.post(with_lie(day.sold_again(), ENTRY, 0, **values))
    with is_no_fault("SoldTwice"):
        sold_twice(day, made, 0, 0)


def test_the_other_way_is_the_same_kind_of_power(day: RealTimeDay) -> None:
    made = day.post(with_lie(day.sold_again(), ENTRY, 0, product=1))
    assert struck(sold_twice(day, made, 0, 0)) == fault_word("SoldTwice")


@pytest.mark.parametrize(("index", "because"), [(0, 0), (0, 2), (0, 4), (0, 99), (3, 1), (3, 3)])
def test_called_sold_by_no_entry_of_it(day: RealTimeDay, index: int, because: int) -> None:
    """By none, by another PoD's, or by one that the list hasn't."""
    lie = with_lie(day.cleared().market, ANSWER, index, because=because, **CALLED_SOLD)
    made = day.post(lie)
    sold = because - 1 if 0 < because <= 3 else 0
    assert struck(falsely_sold(day, made, index, sold)) == fault_word("FalselySold")


@pytest.mark.parametrize(("values", "is_fault"), [({"slot": OFFSET + 8}, True), ({"product": 1}, False)])
def test_an_entry_of_another_slot_doesnt_sell_it(market: Any, values: dict[str, int], is_fault: bool) -> None:
    """Whatever the day-ahead outcome says, true or not: it is operative."""

    def post(results: Results) -> None:
        results.post_validated(with_lie(results.honest_validated(), ENTRY, 0, **values))

    ahead = create(market, day_ahead_terms())
    day = play(market, ahead, create(market, real_time_terms(ahead)), post)
    made = day.post(with_lie(day.cleared().market, ANSWER, 0, because=1, **CALLED_SOLD))
    if is_fault:
        assert struck(falsely_sold(day, made, 0, 0)) == fault_word("FalselySold")
    else:
        with is_no_fault("FalselySold"):
            falsely_sold(day, made, 0, 0)


def test_no_day_ahead_result_sells_nothing(market: Any) -> None:
    """It ended empty: what was said in it before its end doesn't count."""
    ahead = create(market, day_ahead_terms())
    day = play(market, ahead, create(market, real_time_terms(ahead)), lambda results: None)
    assert day.cleared().market.list_of(ANSWER).integers("status")[0] == int(OfferStatus.ACCEPTED)
    lie = posted_of(day.ahead.cleared.market, bytes(32))
    made = day.post(with_lie(day.cleared().market, ANSWER, 0, because=1, **CALLED_SOLD))
    with refused("ChallengesNotTheBasis", bytes(32), lie.outcome.hash()):
        sold_twice(day, made, 0, 0, lie)
    assert struck(falsely_sold(day, made, 0, 0, lie)) == fault_word("FalselySold")


def test_nothing_is_sold_day_ahead_of_a_day_ahead_session(market: Any, day: RealTimeDay) -> None:
    """An earlier day's result is nobody's reason: the day-ahead session of the next day."""
    ahead = day_ahead_terms()
    next_day = day_start_s(local_date(day.ahead.terms.deliveryStart) + timedelta(days=1))
    assert ahead.deliveryStart >= day.ahead.terms.deliveryStart
    terms = real_time_terms(ahead, 0, marketType=0, slots=96, deliveryStart=next_day)
    terms = create(market, replace(terms, settlementDeadline=next_day + 97 * SLOT_S))
    another = replay(market, day, terms)
    made = another.post(with_lie(another.cleared().market, ANSWER, 0, because=1, **CALLED_SOLD))
    with refused("ChallengesNotTheBasis", bytes(32), day.sold.outcome.hash()):
        sold_twice(another, made, 0, 0)
    assert struck(falsely_sold(another, made, 0, 0)) == fault_word("FalselySold")


def test_another_days_result_sells_nothing(market: Any, day: RealTimeDay) -> None:
    """The same market type, a day later, which has no day-ahead session."""
    next_day = day_start_s(local_date(day.ahead.terms.deliveryStart) + timedelta(days=1))
    start_s = next_day + OFFSET * SLOT_S
    terms = real_time_terms(day_ahead_terms(), 0, deliveryStart=start_s)
    terms = create(market, replace(terms, settlementDeadline=start_s + 97 * SLOT_S))
    another = replay(market, day, terms)
    made = another.post(with_lie(another.cleared().market, ANSWER, 0, because=1, **CALLED_SOLD))
    with refused("ChallengesNotTheBasis", bytes(32), day.sold.outcome.hash()):
        sold_twice(another, made, 0, 0)
    assert struck(falsely_sold(another, made, 0, 0)) == fault_word("FalselySold")


def replay(market: Any, day: RealTimeDay, terms: Any) -> RealTimeDay:
    """Another session with the same PoDs, played until its market outcome is due; nothing was sold of it."""
    roles = day.ahead.roles
    book = small_book(terms, day.ahead.book.facts, roles.aggregators, roles.dso)
    play_book(market, terms, book.sealed(), roles.grid_oracle)
    travel_to(terms.documentsDeadline)
    return RealTimeDay(market, day.ahead, book)


@pytest.mark.parametrize(("after_s", "counts"), [(2 * STEP_S, True), (2 * STEP_S - 1, False)])
def test_a_result_counts_that_is_fixed_when_the_book_is_complete(
    market: Any, after_s: int, counts: bool
) -> None:
    """To the second: the day-ahead's last deadline is the real-time book's, or a second later."""
    ahead = create(market, day_ahead_terms())
    terms = create(market, real_time_terms(ahead, after_s))
    assert terms.rests_on(ahead) is counts
    day = play(market, ahead, terms, rests_on_it=counts)
    if counts:
        assert struck(sold_twice(day, day.post(day.sold_again()), 0, 0)) == fault_word("SoldTwice")
        return
    made = day.post(with_lie(day.cleared().market, ANSWER, 0, because=1, **CALLED_SOLD))
    with refused("ChallengesNotTheBasis", bytes(32), day.sold.outcome.hash()):
        sold_twice(day, made, 0, 0)
    assert struck(falsely_sold(day, made, 0, 0)) == fault_word("FalselySold")


@pytest.mark.parametrize(("after_s", "counts"), [(2 * STEP_S + 300, True), (2 * STEP_S + 299, False)])
def test_a_pause_before_one_of_them_counts(market: Any, admin: Any, after_s: int, counts: bool) -> None:
    """300 s between the creations: the day-ahead's deadlines come 300 s later, the real-time ones as they say."""
    ahead = create(market, day_ahead_terms())
    paused_s = ahead.baselineGate - 900
    next_block_at(paused_s)
    market.MarketSessions.pause({"from": admin})
    next_block_at(paused_s + 300)
    market.MarketSessions.resume({"from": admin})
    terms = create(market, real_time_terms(ahead, after_s))
    assert (ahead.pausedBeforeS, terms.pausedBeforeS) == (0, 300)
    assert terms.rests_on(ahead) is counts
    moved = replace(ahead, **{name: getattr(ahead, name) + 300 for name in ("gateOpening", "gateClosure")})
    moved = replace(moved, documentsDeadline=ahead.documentsDeadline + 300)
    day = play(market, moved, terms, rests_on_it=counts)
    if counts:
        assert struck(sold_twice(day, day.post(day.sold_again()), 0, 0)) == fault_word("SoldTwice")
        return
    made = day.post(day.cleared().market)
    with refused("ChallengesNotTheBasis", bytes(32), day.sold.outcome.hash()):
        sold_twice(day, made, 0, 0)


def strike_ahead(market: Any, results: Results) -> None:
    """The day-ahead's validated outcome, whose totals don't add up."""
    last = len(results.validated_document.list_of(ENTRY)) - 1
    shown = (astuple(results.validated), VALIDATED, results.entry(last))
    market.OutcomeChallenges.totalsDontAddUp(*shown, {"from": account_of("auditor")})


def post_with_false_totals(results: Results) -> None:
    results.validated_document = results.honest_validated()
    made = posted_of(results.validated_document, results.technical.hash(), totalUeur=1)
    results.validated = made.outcome
    post_validated(results.market, results.terms, made.outcome, account_of("clearing_oracle"))


def test_an_operative_result_stands_though_it_is_struck(market: Any) -> None:
    """Whoever follows it follows it: its entries are sold, before and after the strike."""
    ahead = create(market, replace(day_ahead_terms(), challengeWindowS=5 * STEP_S))
    day = play(market, ahead, create(market, real_time_terms(ahead, 2 * STEP_S)), post_with_false_totals)
    made = day.post(with_lie(day.cleared().market, ANSWER, 3, because=1, **CALLED_SOLD))
    strike_ahead(market, day.ahead)
    posting = market.OutcomeBoard.posting(ahead.session, VALIDATED)
    assert (posting["bondUeur"], posting["hash"]) == (0, "0x" + day.sold.outcome.hash().hex())
    with is_no_fault("FalselySold"):
        falsely_sold(day, made, 0, 0)
    assert struck(falsely_sold(day, made, 3, 0)) == fault_word("FalselySold")


def test_a_result_struck_in_time_and_posted_anew_counts_as_it_stands(market: Any) -> None:
    """The first one, of which nobody was to deliver anything else, is no basis any more."""
    first: list[Posted] = []

    def post_twice(results: Results) -> None:
        post_with_false_totals(results)
        first.append(Posted(results.validated, results.validated_document))
        strike_ahead(results.market, results)
        results.validated = posted_of(results.validated_document, results.technical.hash()).outcome
        post_validated(results.market, results.terms, results.validated, account_of("other_clearing_oracle"))

    ahead = create(market, day_ahead_terms())
    day = play(market, ahead, create(market, real_time_terms(ahead)), post_twice)
    made = day.post(day.sold_again())
    with refused("ChallengesNotTheBasis", day.sold.outcome.hash(), first[0].outcome.hash()):
        sold_twice(day, made, 0, 0, first[0])
    assert struck(sold_twice(day, made, 0, 0)) == fault_word("SoldTwice")
