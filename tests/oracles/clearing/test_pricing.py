"""Paid as cleared: everybody of a request gets its marginal price, per relief."""

from dataclasses import replace

import pytest
from hypothesis import given

from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST
from offchain.protocol.products import ClearingMethod
from oracles.clearing.core.session import ClearedSession, clear_session
from tests.examples import examples
from tests.oracles.clearing.books import ORACLE, SEED, TERMS, area, book_of, offer, registry
from tests.oracles.clearing.challenger import Documents
from tests.oracles.clearing.test_honest_outcomes import books

PODS = registry(64, limit_w=3000)
AS_CLEARED = replace(TERMS, method=ClearingMethod.PAY_AS_CLEAR)


def as_cleared(documents: Documents) -> ClearedSession:
    return clear_session(documents, PODS, SEED, AS_CLEARED, ORACLE)


def test_the_dearest_that_is_taken_sets_the_price() -> None:
    """1 kW at 10, 1 kW at 20 and 0.5 of 1 kW at 30 ct; the one at 90 isn't needed."""
    offers = [offer(0, 1000, 10_000), offer(1, 1000, 20_000), offer(2, 1000, 30_000), offer(3, 1000, 90_000)]
    found = as_cleared(book_of(offers, dso=[area(2500, dict.fromkeys(range(4), 1000))])).clearing
    assert [(entry.accepted_w, entry.price_ueur_per_kw) for entry in found.acceptances] == [
        (1000, 30_000),
        (1000, 30_000),
        (500, 30_000),
    ]


def test_a_kw_that_relieves_more_gets_more() -> None:
    """Merit is price over effectiveness: 10 / 0.5 = 20 and 30 / 0.9 = 33.3 per kW of relief."""
    offers = [offer(0, 1000, 10_000), offer(1, 1000, 30_000)]
    found = as_cleared(book_of(offers, dso=[area(1400, {0: 500, 1: 900})])).clearing
    assert [entry.price_ueur_per_kw for entry in found.acceptances] == [30_000 * 500 // 900, 30_000]


def test_each_request_has_its_own_price() -> None:
    offers = [offer(0, 1000, 10_000), offer(1, 1000, 20_000)]
    needs = dict.fromkeys(range(2), 1000)
    found = as_cleared(book_of(offers, dso=[area(1000, needs)], tso=[area(2000, needs)])).clearing
    assert [entry.price_ueur_per_kw for entry in found.acceptances] == [10_000, 20_000]


@examples(150)
@given(books())
def test_the_price_alone_is_another_than_paid_as_bid(documents: Documents) -> None:
    """The same is taken, nobody gets less than its bid, and no request pays beyond its cap."""
    bid = clear_session(documents, PODS, SEED, TERMS, ORACLE)
    cleared = as_cleared(documents)
    amounts = [
        [
            (entry.request.position, entry.offer.position, entry.accepted_w)
            for entry in each.clearing.acceptances
        ]
        for each in (bid, cleared)
    ]
    assert amounts[0] == amounts[1]
    assert bid.market.list_of(OUTCOME_BY_OFFER).root == cleared.market.list_of(OUTCOME_BY_OFFER).root
    for entry in cleared.clearing.acceptances:
        effect = entry.request.effectiveness[entry.offer.pod]
        delivered = entry.price_ueur_per_kw + effect.grid_fee_ueur_per_kw
        assert entry.price_ueur_per_kw >= entry.offer.price_ueur_per_kw
        assert delivered * 1000 <= entry.request.price_cap_ueur_per_kw * effect.permille
    paid = cleared.market.list_of(OUTCOME_BY_REQUEST).integers("runningUeur")
    assert sorted(paid) == paid


@pytest.mark.parametrize("method", [4, 255])
def test_a_method_that_the_oracle_doesnt_know_is_refused(method: int) -> None:
    """It is never cleared by another one instead."""
    with pytest.raises(InvalidInput, match=r"method = .*must be one of \[0, 1, 2, 3\]"):
        clear_session([], PODS, SEED, replace(TERMS, method=method), ORACLE)
