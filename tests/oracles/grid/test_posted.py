"""A posted technical outcome: another machine's passes, a lie doesn't. The market takes all that is offered on a small feeder."""

from dataclasses import replace

import numpy as np
import pytest

from offchain.protocol.book_documents import OfferEntry, Relief
from offchain.protocol.leaves import OUTCOME_BY_REQUEST, REFUSAL
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.products import Product
from oracles.clearing.core.session import clear_session
from oracles.grid.core.assessment import Assessment, Case, Refusal, assess_case
from oracles.grid.core.documents import (
    FORECAST_BEYOND_SLOTS,
    Forecast,
    OfferTerms,
    outcome_items,
    technical_outcome,
)
from oracles.grid.core.posted import FalseAssessment, require_as_good
from oracles.grid.core.violations import Watch
from tests.oracles.clearing.books import ORACLE, SEED, TERMS, area, book_of, pod, registry
from tests.oracles.grid.small_grids import feeder

MODEL_HASH, SLOTS, LOAD_W = b"m" * 32, 3, 20_000
NODE_OF = {pod(0): 2, pod(2): 3, pod(4): 4, pod(6): 4}
DOWN, UP = Product.ACTIVE_DOWN, Product.ACTIVE_UP
OFFERS = [
    OfferEntry(pod(4), 0, DOWN, 8_000, 10_000),
    OfferEntry(pod(2), 0, DOWN, 12_000, 20_000),
    OfferEntry(pod(0), 0, DOWN, 40_000, 30_000),
    OfferEntry(pod(2), 1, DOWN, 60_000, 10_000, duration_slots=2),
    OfferEntry(pod(6), 0, UP, 5_000, 10_000, payback_w=(-5_000,)),
]
"""In slot 0 the dearest is cut. The block is cut in both of its slots, by the slot in which the last one pays back."""


def market_of(offers: list[OfferEntry]) -> ListDocument:
    """All of it accepted. One aggregator: an offer's position in the book is its index."""
    reliefs = [Relief(slot, 10**6, 10**9) for slot in range(SLOTS)]
    effects = dict.fromkeys((0, 2, 4, 6), 1000)
    needs = [replace(area(1, effects, product=product), reliefs=reliefs) for product in (UP, DOWN)]
    return clear_session(book_of(offers, dso=needs), registry(8, 10**6), SEED, TERMS, ORACLE).market


def case_of(
    market: ListDocument, offers: list[OfferEntry], load_w: int = LOAD_W, node_of: dict[bytes, int] = NODE_OF
) -> Case:
    model, p_w, q_var = feeder(load_w, SLOTS + FORECAST_BEYOND_SLOTS)
    terms = {
        position: OfferTerms(offer.power_w, offer.min_power_w, offer.payback_w)
        for position, offer in enumerate(offers)
    }
    items = outcome_items(Forecast(1, MODEL_HASH, p_w, q_var, node_of), market, terms, model.slack)
    return Case(Watch(model), p_w, q_var, items)


MARKET = market_of(OFFERS)
CASE = case_of(MARKET, OFFERS)
OWN = assess_case(CASE)


def document(refusals: list[Refusal]) -> ListDocument:
    return technical_outcome(Assessment((), tuple(refusals)), MARKET, MODEL_HASH, ORACLE)


def judge(posted: ListDocument) -> None:
    require_as_good(CASE, OWN, MARKET, MODEL_HASH, posted)


def refused_of(position: int, slot: int) -> Refusal:
    """Our own refusal of an offer in a slot."""
    entries = MARKET.list_of(OUTCOME_BY_REQUEST).records()
    (found,) = [
        refusal
        for refusal in OWN.refusals
        if refusal.item.slot == slot and entries[refusal.item.priority].integer("offerPosition") == position
    ]
    return found


def but(*changed: Refusal) -> list[Refusal]:
    """Our own refusals with some instead of those of the same entries."""
    by_entry = {refusal.item.priority: refusal for refusal in (*OWN.refusals, *changed)}
    return list(by_entry.values())


def more(refusal: Refusal, by_w: int) -> Refusal:
    """So much more refused. The margin stays what all of it gives on top of what our own allows."""
    return replace(refusal, refused_w=refusal.refused_w + by_w)


def with_priorities_swapped(first: int, second: int) -> list[Refusal]:
    """What is refused if two entries change places in priority: sums and reasons are right for what is allowed."""
    places = {first: second, second: first}
    swapped = [replace(item, priority=places.get(item.priority, item.priority)) for item in CASE.items]
    found = assess_case(Case(CASE.watch, *feeder(LOAD_W, CASE.slots)[1:], swapped))
    return [replace(refusal, item=CASE.items[swapped.index(refusal.item)]) for refusal in found.refusals]


def test_the_book_is_as_it_is_meant() -> None:
    assert all(refused_of(*place).refused_w > 2_000 for place in ((2, 0), (3, 1), (3, 2)))
    taken = {CASE.items[index].slot: CASE.items[index].block for index in range(len(CASE.items))}
    assert taken[1] == taken[2] is not None


def test_our_own_is_as_good() -> None:
    judge(document(list(OWN.refusals)))


@pytest.mark.parametrize("by_w", [-20, -3, 3, 20])
def test_what_another_machines_floats_may_give_is_as_good(by_w: int) -> None:
    """A few W more or less, as its power flow gives, are less than 0.1 % of loading."""
    judge(document(but(more(refused_of(2, 0), by_w))))
    judge(document(but(more(refused_of(3, 1), by_w), more(refused_of(3, 2), by_w))))


@pytest.mark.parametrize("place", [(2, 0), (3, 1)])
def test_a_grid_that_is_a_little_different_gives_an_assessment_as_good(place: tuple[int, int]) -> None:
    """As another power flow would: everything comes out a little differently, sums and reasons too."""
    other = case_of(MARKET, OFFERS, LOAD_W + 1)
    found = technical_outcome(assess_case(other), MARKET, MODEL_HASH, ORACLE)
    assert found.list_of(REFUSAL).root != document(list(OWN.refusals)).list_of(REFUSAL).root
    judge(found)


def noted(name: str, value: object) -> ListDocument:
    """Our own, with something else in the notes of each refusal."""
    own = document(list(OWN.refusals))
    return replace(own, notes={**own.notes, name: [value] * len(OWN.refusals)})


def lies() -> list[tuple[str, ListDocument]]:
    cut, first, second = refused_of(2, 0), refused_of(3, 1), refused_of(3, 2)
    shaved = [
        replace(refusal, refused_w=80, margin=90, sensitivity=1_108_000)
        for entry in (1, 2)
        for refusal in with_priorities_swapped(entry, 3)
        if refusal.item.priority == entry
    ]
    return [
        ("would be passed in slot 0", document([each for each in OWN.refusals if each is not cut])),
        ("would be passed in slot 0", document(but(more(cut, -2_000)))),
        ("more of it would fit", document(but(more(cut, 2_000)))),
        ("are possible", document(with_priorities_swapped(1, 3))),
        ("are possible", document(with_priorities_swapped(2, 3))),
        ("are possible", document(but(*shaved, replace(more(cut, -160), margin=cut.margin - 175)))),
        ("refused unevenly", document(but(more(first, 1)))),
        ("more of it would fit", document(but(more(first, 3_000), more(second, 3_000)))),
        ("margin", document(but(replace(cut, margin=cut.margin + 300)))),
        ("sensitivity", document(but(replace(cut, sensitivity=cut.sensitivity * 2)))),
        ("does nothing in slot 5", document(but(replace(cut, slot=5)))),
        ("wouldn't pass", document(but(replace(cut, element=CASE.watch.elements[0])))),
        ("notes", replace(document(list(OWN.refusals)), notes={})),
        *(
            ("names no element", noted(name, value))
            for name, value in (("elements", []), ("elements", "x"), ("slots", "1"))
        ),
    ]


@pytest.mark.parametrize(("said", "posted"), lies())
def test_a_lie_is_found(said: str, posted: ListDocument) -> None:
    with pytest.raises(FalseAssessment, match=said):
        judge(posted)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("runningW", 1, "leaves"), ("refusedW", 10**6, "accepted"), ("byRequestPosition", 999, "accepted")],
)
def test_leaves_that_dont_follow_are_refused(field: str, value: int, said: str) -> None:
    honest = document(list(OWN.refusals))
    columns = {name: column[:].copy() for name, column in honest.list_of(REFUSAL).columns.items()}
    columns[field][0] = value
    lists = (LeafList.of_columns(REFUSAL, columns),)
    with pytest.raises(FalseAssessment, match=said):
        judge(replace(honest, lists=lists))


def test_less_than_an_offers_minimum_is_refused() -> None:
    offers = [replace(OFFERS[2], min_power_w=39_000)]
    market = market_of(offers)
    case = case_of(market, offers)
    own = assess_case(case)
    assert own.allowed_w == (0,)
    part = Assessment((), (replace(own.refusals[0], refused_w=10_000),))
    with pytest.raises(FalseAssessment, match="minimum"):
        require_as_good(case, own, market, MODEL_HASH, technical_outcome(part, market, MODEL_HASH, ORACLE))


def test_what_is_accepted_of_a_block_pays_back_once_after_its_last_slot() -> None:
    offers = [replace(OFFERS[3], power_w=40_000, payback_w=(-4_000, 8_000)), OFFERS[0]]
    market = market_of(offers)
    case = case_of(market, offers)
    allowed_w = np.zeros(len(case.accepted_w), dtype=np.int64)
    allowed_w[case.quantity_of[[item.slot for item in case.items].index(1)]] = 10_000
    change = (case.power_with(allowed_w) - case.power)[:, 3]
    assert change.tolist() == [0, 10_000, 10_000, 1_000, -2_000, 0, 0, 0, 0, 0, 0]


def test_a_pod_that_the_forecast_doesnt_place_keeps_nobody_from_the_assessment() -> None:
    """The dearest of slot 0, cut where the forecast places it: registered since, it changes nothing on the grid."""
    case = case_of(MARKET, OFFERS, node_of={pod_: node for pod_, node in NODE_OF.items() if pod_ != pod(0)})
    found = assess_case(case)
    assert OWN.refusals[0].item.node == NODE_OF[pod(0)]
    assert [refusal.item.priority for refusal in found.refusals] == [
        refusal.item.priority for refusal in OWN.refusals[1:]
    ]
    require_as_good(case, found, MARKET, MODEL_HASH, technical_outcome(found, MARKET, MODEL_HASH, ORACLE))


def test_an_uneven_block_of_a_false_market_outcome_is_assessed_by_its_slots() -> None:
    entries = MARKET.list_of(OUTCOME_BY_REQUEST)
    columns = {name: column[:].copy() for name, column in entries.columns.items()}
    row = entries.integers("slot").index(2)
    columns["acceptedW"][row] = 7
    uneven = replace(
        MARKET,
        lists=tuple(
            LeafList.of_columns(OUTCOME_BY_REQUEST, columns) if each is entries else each
            for each in MARKET.lists
        ),
    )
    items = case_of(uneven, OFFERS).items
    assert {item.block for item in items} == {None}
