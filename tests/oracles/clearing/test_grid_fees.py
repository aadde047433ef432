"""Where offers cost grid fees, the delivered price decides: an offer's price and its PoD's fee, over effectiveness."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from offchain.protocol.book_documents import OfferEntry, request_document
from offchain.protocol.book_rules import check_document
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import EFFECTIVENESS, MAX_JSON_INTEGER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.products import ClearingMethod, OfferStatus, Side
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.parts import BookIndex, parts_of
from oracles.clearing.core.session import ClearedSession, clear_session
from tests.oracles.clearing.books import (
    DSO,
    ORACLE,
    SEED,
    TERMS,
    area,
    book_of,
    offer,
    pod,
    registry,
    reveal_of,
    salt,
)
from tests.oracles.clearing.challenger import Challenger

PODS = registry(64, limit_w=3000)
BOTH = {0: 1000, 2: 1000}
CHEAP, DEAR = offer(0, 1000, 10_000), offer(2, 1000, 20_000)
QUICK = ClearingParameters(front_steps=1, population=8, generations=4)


def cleared(
    offers: list[OfferEntry],
    relief_w: int = 1000,
    fees: Mapping[int, int] = {0: 15_000},
    method: ClearingMethod = ClearingMethod.PAY_AS_BID,
    effects: Mapping[int, int] = BOTH,
    cap: int = 10**6,
    margin: int = 0,
) -> ClearedSession:
    """One request, by which moving a kW at PoD 0 costs 15,000 µ€. Nothing can be said against the outcome."""
    documents = book_of(offers, [area(relief_w, dict(effects), cap, fees=fees, reserve_permille=margin)])
    terms = replace(TERMS, method=method)
    session = clear_session(documents, PODS, SEED, terms, ORACLE, QUICK)
    assert Challenger(session.market, documents, PODS, terms).faults() == []
    return session


def bids(session: ClearedSession) -> list[int]:
    return [entry.offer.price_ueur_per_kw for entry in session.clearing.acceptances]


@pytest.mark.parametrize("method", ClearingMethod)
@pytest.mark.parametrize("minimum_w", [0, 1000])
def test_a_fee_turns_the_order_of_two_offers(method: ClearingMethod, minimum_w: int) -> None:
    """10 and 15 of fee are more than 20. In columns, offer by offer, and by several objectives."""
    offers = [replace(each, min_power_w=minimum_w) for each in (CHEAP, DEAR)]
    assert bids(cleared(offers, method=method)) == [20_000]
    assert bids(cleared(offers, fees={}, method=method)) == [10_000]
    assert bids(cleared(offers, fees={0: 15_000, 2: 5_001}, method=method)) == [10_000]


def test_a_block_costs_its_fee_in_each_slot() -> None:
    block = replace(offer(0, 1000, 10_000), duration_slots=2)
    steps = [offer(2, 1000, 20_000, slot=slot) for slot in (0, 1)]
    needs = [replace(area(0, BOTH, fees=fees), reliefs=area(1000, {}).reliefs) for fees in ({}, {0: 15_000})]
    for method in (ClearingMethod.PAY_AS_BID, ClearingMethod.EXACT):
        taken = []
        for need in needs:
            (relief,) = need.reliefs
            both = replace(need, reliefs=[relief, replace(relief, slot=1)])
            terms = replace(TERMS, method=method)
            found = clear_session(book_of([block, *steps], [both]), PODS, SEED, terms, ORACLE, QUICK)
            taken.append(bids(found))
        assert taken == [[10_000, 10_000], [20_000, 20_000]]


def test_the_fee_counts_per_relief() -> None:
    """(10 + 5) / 0.5 = 30 per kW of relief is more than 20 / 1, and less than 20 / 0.6 = 33.3."""
    fees = {0: 5_000}
    assert bids(cleared([CHEAP, DEAR], 500, fees, effects={0: 500, 2: 1000})) == [20_000]
    assert bids(cleared([CHEAP, DEAR], 500, fees, effects={0: 500, 2: 600})) == [10_000]


def test_one_merit_is_shared_whatever_part_of_it_is_the_fee() -> None:
    found = cleared([offer(0, 1000, 5_000), offer(2, 1000, 20_000)])
    assert [(entry.accepted_w, entry.price_ueur_per_kw) for entry in found.clearing.acceptances] in (
        [(500, 5_000), (500, 20_000)],
        [(500, 20_000), (500, 5_000)],
    )


@pytest.mark.parametrize("minimum_w", [0, 1000])
@pytest.mark.parametrize(
    ("cap", "status"), [(25_000, OfferStatus.ACCEPTED), (24_999, OfferStatus.COM_NOT_NEEDED)]
)
def test_the_price_cap_is_on_the_delivered_price(cap: int, status: OfferStatus, minimum_w: int) -> None:
    assert cleared([replace(CHEAP, min_power_w=minimum_w)], cap=cap).clearing.status[0] is status


def test_pods_alike_but_for_their_fees_have_reasons_of_their_own() -> None:
    offers = [offer(number, 1000, 10_000 + number) for number in (0, 2, 4)]
    found = cleared(offers, 1000, {2: 95_000}, effects={**BOTH, 4: 1000}, cap=100_000)
    statuses = [OfferStatus.ACCEPTED, OfferStatus.COM_NOT_NEEDED, OfferStatus.COM_DEARER]
    assert list(found.clearing.status) == statuses


def test_the_fee_is_not_paid_through_the_market() -> None:
    leaves = cleared([CHEAP, DEAR], 2000).market.list_of(OUTCOME_BY_REQUEST).records()
    named = ("priceUeurPerKw", "gridFeeUeurPerKw", "runningUeur")
    assert [tuple(leaf.integer(name) for name in named) for leaf in leaves] == [
        (20_000, 0, 20_000),
        (10_000, 15_000, 30_000),
    ]


def test_paid_as_cleared_everybody_gets_the_delivered_price_less_its_own_fee() -> None:
    """The dearest delivers at 40; who costs a fee of 15 gets 25, who costs none gets 40."""
    offers = [CHEAP, DEAR, offer(4, 1000, 30_000)]
    effects = {**BOTH, 4: 1000}
    found = cleared(offers, 2500, {0: 15_000, 4: 10_000}, ClearingMethod.PAY_AS_CLEAR, effects)
    assert [
        (entry.offer.price_ueur_per_kw, entry.price_ueur_per_kw) for entry in found.clearing.acceptances
    ] == [
        (20_000, 40_000),
        (10_000, 25_000),
        (30_000, 30_000),
    ]


def test_the_reserve_goes_by_the_delivered_price_too() -> None:
    found = cleared([CHEAP, DEAR, offer(4, 500, 1_000)], 500, effects={**BOTH, 4: 1000}, margin=1000)
    (leaf,) = found.market.list_of(OUTCOME_RESERVE).records()
    assert (leaf.integer("priceUeurPerKw"), leaf.integer("gridFeeUeurPerKw")) == (20_000, 0)
    found = cleared([CHEAP, offer(4, 500, 1_000)], 500, effects={**BOTH, 4: 1000}, margin=1000)
    (leaf,) = found.market.list_of(OUTCOME_RESERVE).records()
    assert (leaf.integer("priceUeurPerKw"), leaf.integer("gridFeeUeurPerKw")) == (10_000, 15_000)


@pytest.mark.parametrize("minimum_w", [0, 1000])
@pytest.mark.parametrize("price", [0, MAX_JSON_INTEGER])
@pytest.mark.parametrize("cap", [10**6, 10**14])
def test_a_fee_beyond_any_price_is_beyond_every_cap(cap: int, price: int, minimum_w: int) -> None:
    """Nor does its sum with a price overflow."""
    offers = [offer(0, 1000, price, minimum_w=minimum_w), replace(DEAR, min_power_w=minimum_w)]
    found = cleared(offers, 2000, {0: MAX_JSON_INTEGER}, cap=cap)
    assert list(found.clearing.status) == [OfferStatus.COM_NOT_NEEDED, OfferStatus.ACCEPTED]


def test_a_book_without_fees_has_no_column_of_them() -> None:
    for fees, width in (({}, 0), ({0: 1}, 2)):
        book = assemble(book_of([CHEAP, DEAR], [area(1000, BOTH, fees=fees)]), PODS, TERMS)
        (part,) = parts_of(BookIndex(book, PODS), PODS, SEED)[1]
        assert len(part.grid.effect_fee) == width


def document_of(pairs: list[tuple[int, int]], fees: list[int]) -> ListDocument:
    """A request whose leaves for (PoD, per mille) state these fees."""
    needs = replace(area(1000, {}), effectiveness=[(pod(number), permille) for number, permille in pairs])
    document = request_document(1, DSO, [needs], salt)
    relief, effects = document.lists
    columns = {**effects.columns, "gridFeeUeurPerKw": np.array(fees, dtype=np.int64)}
    return replace(document, lists=(relief, LeafList(EFFECTIVENESS, columns)))


class TestAnAreaThatStatesTwoFeesOfAPod:
    """Of two leaves none would be the cheaper one for every offer: who clears honestly could be accused by the other."""

    PAIRS = ((0, 1000), (2, 1000), (0, 500))

    def test_voids_its_document(self) -> None:
        document = document_of(list(self.PAIRS), [10, 5, 0])
        with pytest.raises(
            InvalidInput, match=r"EffectivenessLeaf\[2\]\.gridFeeUeurPerKw = 0: must be the one"
        ):
            check_document(document, Side.DSO_REQUEST, DSO, 10**12, TERMS)
        reveal, _ = reveal_of(1, DSO, Side.DSO_REQUEST, document)
        book = assemble([(reveal, document)], PODS, TERMS)
        assert not book.requests
        assert "gridFeeUeurPerKw" in book.void_documents[1]

    def test_as_one_that_states_the_same_twice_does_not(self) -> None:
        document = document_of(list(self.PAIRS), [10, 5, 10])
        check_document(document, Side.DSO_REQUEST, DSO, 10**12, TERMS)
        reveal, _ = reveal_of(1, DSO, Side.DSO_REQUEST, document)
        (request,) = assemble([(reveal, document)], PODS, TERMS).requests
        assert request.effectiveness == {pod(0): (1000, 1, 10), pod(2): (1000, 2, 5)}

    def test_nor_does_another_area_of_the_document(self) -> None:
        areas = [area(1000, {0: 1000}, fees={0: fee}) for fee in (10, 20)]
        check_document(request_document(1, DSO, areas, salt), Side.DSO_REQUEST, DSO, 10**12, TERMS)


def test_a_fee_below_0_cant_be_stated() -> None:
    with pytest.raises(InvalidInput, match=r"EffectivenessLeaf\[0\]\.gridFeeUeurPerKw"):
        request_document(1, DSO, [area(1000, {0: 1000}, fees={0: -1})], salt)
