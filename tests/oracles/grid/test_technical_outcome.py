"""The technical outcome's leaves: in order of the market outcome's entries, whatever order the assessment found them in."""

from offchain.protocol.leaves import OUTCOME_BY_REQUEST, REFUSAL
from offchain.protocol.products import Product
from oracles.clearing.core.outcome import Refused, refusals_of
from oracles.clearing.core.session import clear_session
from oracles.grid.core.assessment import Assessment, Item, Refusal
from oracles.grid.core.documents import technical_outcome
from oracles.grid.core.violations import Watch
from tests.oracles.clearing.books import ORACLE, SEED, TERMS, area, book_of, offer, registry
from tests.oracles.grid.small_grids import feeder


def test_refusals_are_in_order_of_the_entries_with_running_sums() -> None:
    offers = [offer(0, 1000, 10_000, slot=1), offer(1, 1000, 20_000, slot=0)]
    needs = [area(1000, {0: 1000}, slot=1), area(1000, {1: 1000}, slot=0)]
    market = clear_session(book_of(offers, dso=needs), registry(4), SEED, TERMS, ORACLE).market
    slots = market.list_of(OUTCOME_BY_REQUEST).integers("slot")
    assert slots == [1, 0], "the entry that comes first is of the later slot"
    element = Watch(feeder(1)[0]).elements[0]
    by_slot = [
        Refusal(
            Item(priority, 0, slots[priority], Product.ACTIVE_UP, 1000),
            refused_w,
            element,
            5,
            slots[priority] + 1,
            7,
        )
        for priority, refused_w in ((1, 300), (0, 400))
    ]
    document = technical_outcome(Assessment((600, 700), tuple(by_slot)), market, bytes(32), ORACLE)
    leaves = document.list_of(REFUSAL)
    assert leaves.integers("byRequestPosition") == [0, 1]
    assert leaves.integers("refusedW") == [400, 300]
    assert leaves.integers("runningW") == [400, 700]
    assert refusals_of(document, market) == [Refused(0, 400), Refused(1, 300)]
