"""What the day-ahead result leaves to real time, on days of every length."""

from dataclasses import replace
from datetime import date

import pytest

from offchain.market.timetable import SessionKind, sessions_of_day
from offchain.protocol.leaves import OUTCOME_BY_REQUEST, Value
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.products import Product
from offchain.protocol.real_time import sold_places
from tests.oracles.clearing.books import ORACLE, pod

DAYS = [date(2027, 3, 28), date(2027, 6, 1), date(2027, 10, 31)]


def outcome(*taken: tuple[int, int, int]) -> ListDocument:
    """A list by request of so many entries of (number of the PoD, slot, product)."""
    names = [field.name for field in OUTCOME_BY_REQUEST.fields]
    rows = []
    for position, (number, slot, product) in enumerate(taken):
        known = {"position": position, "length": len(taken), "pod": pod(number), "slot": slot}
        known |= {"product": product, "salt": bytes(32)}
        row: list[Value] = [known.get(name, 0) for name in names]
        rows.append(row)
    return ListDocument(1, ORACLE, (LeafList.of_rows(OUTCOME_BY_REQUEST, rows),))


@pytest.mark.parametrize("day", DAYS)
def test_every_sold_slot_of_the_day_is_sold_in_one_session(day: date) -> None:
    """Also around the change of the clocks: sessions of 12 or 20 slots."""
    ahead, *real_time = sessions_of_day(day)
    sold = outcome(*[(0, slot, int(Product.ACTIVE_UP)) for slot in range(ahead.slots)])
    found = []
    for terms in real_time:
        for (pod_, slot, active), position in sold_places(sold, ahead, terms).items():
            assert (pod_, active) == (pod(0), True)
            assert terms.slot_start_s(slot) == ahead.slot_start_s(position)
            found.append(position)
    assert found == list(range(ahead.slots))


def test_the_first_entry_is_named_and_each_kind_of_power_is_its_own() -> None:
    ahead, first, *_ = sessions_of_day(DAYS[1])
    taken = [(0, 3, Product.ACTIVE_DOWN), (0, 3, Product.ACTIVE_UP), (0, 3, Product.REACTIVE_UP)]
    sold = sold_places(outcome(*[(number, slot, int(kind)) for number, slot, kind in taken]), ahead, first)
    assert sold == {(pod(0), 3, True): 0, (pod(0), 3, False): 2}


def test_what_no_session_has_sells_nothing() -> None:
    """Slots beyond the day, and a product that there isn't: a liar's, which stands though it was struck."""
    ahead, first, *_ = sessions_of_day(DAYS[1])
    assert sold_places(outcome((0, 96, 0), (0, 65_535, 0), (0, 16, 0), (0, 3, 4)), ahead, first) == {}


@pytest.mark.parametrize("day", DAYS)
def test_the_timetables_day_ahead_result_is_fixed_before_real_time_rests_on_it(day: date) -> None:
    ahead, *real_time = sessions_of_day(day)
    for terms in real_time:
        assert terms.rests_on(ahead)
        assert ahead.validatedOutcomeDeadline <= terms.baselineGate, "what was sold is known to baselines"
        assert ahead.validatedOutcomeDeadline < terms.gateOpening, "what rolls over is known to offers"


def test_a_result_that_may_change_after_the_book_is_complete_is_no_basis() -> None:
    sessions = sessions_of_day(DAYS[1])
    ahead, first = sessions[SessionKind.DAY_AHEAD], sessions[SessionKind.REAL_TIME_1]
    late = replace(ahead, validatedOutcomeDeadline=first.documentsDeadline)
    assert first.rests_on(late)
    assert not first.rests_on(replace(late, validatedOutcomeDeadline=first.documentsDeadline + 1))
    assert not replace(first, pausedBeforeS=1).rests_on(late), "the pause came between their creations"
    assert replace(first, pausedBeforeS=1).rests_on(replace(late, pausedBeforeS=1))
