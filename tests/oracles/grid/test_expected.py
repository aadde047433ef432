"""What the market's PoDs are expected to absorb in real time: the day-ahead result is in it."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.market.timetable import SessionKind, sessions_of_day
from offchain.protocol.leaves import OUTCOME_BY_REQUEST, Value
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.metering import Anchored, Net, PodSlot
from offchain.protocol.products import Product
from oracles.grid.core.documents import OfferTerms
from oracles.grid.core.expected import DayAhead, Expected, expected_nets
from tests.oracles.clearing.books import ORACLE, pod

AHEAD, _, SECOND, *_ = sessions_of_day(date(2027, 6, 1))
FIRST_SLOT = 16
"""Of the second real-time session, counted from the day's first."""
Entry = tuple[int, int, Product, int]
"""Number of the PoD, day-ahead slot, product, W."""


def outcome(*entries: Entry) -> ListDocument:
    """Each entry's offer stands at its PoD's number in the book."""
    names = [field.name for field in OUTCOME_BY_REQUEST.fields]
    rows = []
    for position, (number, slot, product, accepted_w) in enumerate(entries):
        known = {"position": position, "length": len(entries), "pod": pod(number), "slot": slot}
        known |= {"offerPosition": number}
        known |= {"product": int(product), "acceptedW": accepted_w, "salt": bytes(32)}
        row: list[Value] = [known.get(name, 0) for name in names]
        rows.append(row)
    return ListDocument(1, ORACLE, (LeafList.of_rows(OUTCOME_BY_REQUEST, rows),))


def baselines(nets: dict[tuple[int, int], Net]) -> dict[PodSlot, Anchored]:
    return {(pod(number), slot): Anchored(net, bytes(32), 0) for (number, slot), net in nets.items()}


def expected(ahead: dict[tuple[int, int], Net], own: dict[tuple[int, int], Net], *entries: Entry) -> Expected:
    return expected_nets(SECOND, baselines(own), DayAhead(AHEAD, baselines(ahead), outcome(*entries)))


def test_without_a_day_ahead_session_baselines_are_expected() -> None:
    found = expected_nets(AHEAD, baselines({(0, 3): Net(5, -1)}), None)
    assert (found.nets, found.sold) == ({(pod(0), 3): Net(5, -1)}, frozenset())


def test_after_the_day_a_pod_goes_on_as_in_its_last_slot() -> None:
    found = expected_nets(
        AHEAD, baselines({(0, 95): Net(5, -1), (1, 94): Net(7, 7), (2, 96): Net(9, 9)}), None
    )
    assert found.nets == {(pod(1), 94): Net(7, 7)} | {(pod(0), 95 + after): Net(5, -1) for after in range(9)}


def test_after_a_real_time_window_a_pod_is_back_at_its_day_ahead_baseline() -> None:
    """Less what was sold there; where it has none, or the day has ended, it goes on without what was sold in the last slot."""
    last, next_one = FIRST_SLOT + 15, FIRST_SLOT + 16
    found = expected(
        {(0, next_one): Net(1000, 9), (0, next_one + 1): Net(800, 9)},
        {(0, 15): Net(50, 7), (1, 15): Net(60, 8)},
        (0, next_one + 1, Product.ACTIVE_UP, 300),
        (1, last, Product.ACTIVE_UP, 20),
    )
    assert [found.nets[pod(0), slot] for slot in (15, 16, 17, 18)] == [
        Net(50, 7),
        Net(1000, 9),
        Net(500, 9),
        Net(50, 7),
    ]
    assert [found.nets[pod(1), slot] for slot in (15, 16, 23)] == [Net(40, 8), Net(60, 8), Net(60, 8)]
    assert (pod(0), 24) not in found.nets
    assert found.sold == {(pod(1), 15, True)}


def with_offers(offers: dict[int, OfferTerms], *entries: Entry) -> DayAhead:
    """The day-ahead result of offers at the entries' positions, each PoD's baseline 1,000 W all day."""
    nets = {(number, slot): Net(1000, 0) for number in range(4) for slot in range(96)}
    return DayAhead(AHEAD, baselines(nets), outcome(*entries), offers)


def test_what_was_sold_day_ahead_pays_back() -> None:
    """In proportion to what was accepted, rounded down, into the window, in it and out of it; not in a slot for which the PoD
    nominates again."""
    offers = {
        0: OfferTerms(400, 0, (-101, 50)),
        1: OfferTerms(100, 0, (0, -80)),
        2: OfferTerms(100, 0, (-70,)),
        3: OfferTerms(100, 0, (-60, -60)),
    }
    sales: list[Entry] = [
        (0, FIRST_SLOT + 3, Product.ACTIVE_UP, 200),
        (1, FIRST_SLOT - 1, Product.ACTIVE_UP, 100),
        (2, FIRST_SLOT + 15, Product.ACTIVE_UP, 100),
        (3, FIRST_SLOT + 7, Product.ACTIVE_UP, 100),
    ]
    own = baselines({(3, 8): Net(500, 0)})
    found = expected_nets(SECOND, own, with_offers(offers, *sales)).power_w
    assert found(pod(0), 6).tolist() == [1000, 1000, 1000, 800, 1051, 975]
    assert found(pod(1), 3).tolist() == [1000, 1080, 1000]
    assert found(pod(2), 18)[14:].tolist() == [1000, 900, 1070, 1000]
    assert found(pod(3), 11)[6:].tolist() == [1000, 900, 500, 1060, 1000]


def test_a_block_pays_back_once_after_its_last_slot() -> None:
    entries = [(0, FIRST_SLOT + slot, Product.ACTIVE_UP, 100) for slot in (2, 3)]
    ahead = with_offers({0: OfferTerms(100, 0, (-100, -50))}, *entries)
    found = expected_nets(SECOND, {}, ahead).power_w(pod(0), 7)
    assert found.tolist() == [1000, 1000, 900, 900, 1100, 1050, 1000]


def test_a_pod_that_was_replaced_is_expected_once() -> None:
    """PoD 1 stands for PoD 0's connection now: where nothing was sold the day-ahead baseline is its own, where something was,
    what it nominates itself says nothing."""
    slot = FIRST_SLOT
    ahead = DayAhead(
        AHEAD,
        baselines({(0, slot + each): Net(1000 + each, 0) for each in range(3)}),
        outcome((0, slot + 1, Product.ACTIVE_UP, 300)),
        replaced_by={pod(0): pod(1)},
    )
    found = expected_nets(SECOND, baselines({(1, 1): Net(70, 0), (1, 2): Net(80, 0)}), ahead)
    assert found.nets == {(pod(1), 0): Net(1000, 0), (pod(0), 1): Net(701, 0), (pod(1), 2): Net(80, 0)}
    assert found.sold == {(pod(0), 1, True), (pod(1), 1, True)}


@pytest.mark.parametrize(("product", "net_w"), [(Product.ACTIVE_UP, 700), (Product.ACTIVE_DOWN, 1300)])
def test_up_lowers_what_is_absorbed_and_down_raises_it(product: Product, net_w: int) -> None:
    found = expected({(0, FIRST_SLOT + 4): Net(1000, 9)}, {}, (0, FIRST_SLOT + 4, product, 300))
    assert found.nets == {(pod(0), 4): Net(net_w, 9)}
    assert found.sold == {(pod(0), 4, True)}


def test_where_something_was_sold_the_day_ahead_baseline_stands() -> None:
    """A new baseline would move what was sold with it; for the other kind of power it counts."""
    slot = FIRST_SLOT
    found = expected({(0, slot): Net(1000, 9)}, {(0, 0): Net(50, 7)}, (0, slot, Product.ACTIVE_UP, 300))
    assert found.nets == {(pod(0), 0): Net(700, 7)}
    found = expected({(0, slot): Net(1000, 9)}, {(0, 0): Net(50, 7)}, (0, slot, Product.REACTIVE_DOWN, 3))
    assert found.nets == {(pod(0), 0): Net(50, 12)}


def test_where_nothing_was_sold_the_own_baseline_counts_or_else_the_day_aheads() -> None:
    slot = FIRST_SLOT
    found = expected({(0, slot): Net(1000, 9), (1, slot): Net(5, 5)}, {(0, 0): Net(50, 7)})
    assert found.nets == {(pod(0), 0): Net(50, 7), (pod(1), 0): Net(5, 5)}
    ended_empty = expected_nets(SECOND, {}, DayAhead(AHEAD, baselines({(1, slot): Net(5, 5)}), None))
    assert (ended_empty.nets, ended_empty.sold) == ({(pod(1), 0): Net(5, 5)}, frozenset())


def test_several_quantities_of_a_pod_add_up_and_other_times_dont_count() -> None:
    found = expected(
        {(0, FIRST_SLOT): Net(1000, 0)},
        {},
        (0, FIRST_SLOT, Product.ACTIVE_UP, 100),
        (0, FIRST_SLOT, Product.ACTIVE_UP, 50),
        (0, FIRST_SLOT - 1, Product.ACTIVE_UP, 400),
        (0, FIRST_SLOT + 16, Product.ACTIVE_UP, 400),
    )
    assert found.nets == {(pod(0), 0): Net(850, 0), (pod(0), 16): Net(-400, 0)}
    assert found.sold == {(pod(0), 0, True)}


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 95), st.sampled_from(list(Product)), st.integers(0, 500)),
        max_size=12,
    )
)
def test_over_the_day_every_accepted_quantity_is_in_one_session(entries: list[Entry]) -> None:
    ahead = baselines({(number, slot): Net(1000, 100) for number in range(4) for slot in range(96)})
    total = Net(0, 0)
    for terms in sessions_of_day(date(2027, 6, 1))[SessionKind.REAL_TIME_1 :]:
        nets = expected_nets(terms, {}, DayAhead(AHEAD, ahead, outcome(*entries))).nets
        for net in (net for (_, slot), net in nets.items() if slot < terms.slots):
            total = Net(total.power_w + net.power_w, total.reactive_var + net.reactive_var)
    moved = {
        active: sum(
            product.sign * power_w for _, _, product, power_w in entries if product.is_active is active
        )
        for active in (True, False)
    }
    assert total == Net(4 * 96 * 1000 - moved[True], 4 * 96 * 100 - moved[False])
