"""What the market's PoDs are expected to absorb in real time: the day-ahead result is in it."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offchain.market.timetable import SessionKind, sessions_of_day
from offchain.protocol.leaves import OUTCOME_BY_REQUEST, Value
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.metering import Anchored, Net, PodSlot
from offchain.protocol.products import Product
from oracles.grid.core.expected import DayAhead, Expected, expected_nets
from tests.oracles.clearing.books import ORACLE, pod

AHEAD, _, SECOND, *_ = sessions_of_day(date(2027, 6, 1))
FIRST_SLOT = 16
"""Of the second real-time session, counted from the day's first."""
Entry = tuple[int, int, Product, int]
"""Number of the PoD, day-ahead slot, product, W."""


def outcome(*entries: Entry) -> ListDocument:
    names = [field.name for field in OUTCOME_BY_REQUEST.fields]
    rows = []
    for position, (number, slot, product, accepted_w) in enumerate(entries):
        known = {"position": position, "length": len(entries), "pod": pod(number), "slot": slot}
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
    assert found.nets == {(pod(0), 0): Net(850, 0)}


@settings(deadline=None)
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
        for net in expected_nets(terms, {}, DayAhead(AHEAD, ahead, outcome(*entries))).nets.values():
            total = Net(total.power_w + net.power_w, total.reactive_var + net.reactive_var)
    moved = {
        active: sum(
            product.sign * power_w for _, _, product, power_w in entries if product.is_active is active
        )
        for active in (True, False)
    }
    assert total == Net(4 * 96 * 1000 - moved[True], 4 * 96 * 100 - moved[False])
