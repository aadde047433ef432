"""Settlement: delivery against baseline, tolerance, penalties, rewards, and the sums that each leaf carries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.book_documents import BaselineEntry, SingleOffer, baseline_document
from offchain.protocol.leaves import READING, SETTLEMENT
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.metering import Net, baselines_of, readings_of
from offchain.protocol.products import DeliveryStatus, Product
from oracles.clearing.core.session import clear_session
from oracles.settlement.core.delivery import delivery
from oracles.settlement.core.session import claim_tree
from oracles.settlement.core.settle import Claim, SettlementResult, judge, settle
from tests.oracles.clearing.books import (
    AGGREGATORS,
    DSO,
    ORACLE,
    SEED,
    START_S,
    TERMS,
    TSO,
    area,
    book_of,
    offer,
    pod,
    registry,
    salt,
)

PODS = registry(64)
CUSTOMER_PRICE = 8_000


def reading(number: int, slot: int, absorbed_wh: int, injected_wh: int = 0) -> list:
    values = [
        0,
        0,
        pod(number),
        bytes(20),
        START_S + 900 * slot,
        900,
        absorbed_wh,
        injected_wh,
        0,
        0,
        0,
        0,
        1,
    ]
    return [*values, bytes(32), bytes(32)]


def batch(*rows: list) -> ListDocument:
    placed = [[position, len(rows), *row[2:]] for position, row in enumerate(rows)]
    return ListDocument(0, ORACLE, (LeafList.of_rows(READING, placed),))


def baseline(power_w: int, numbers: range, slot: int = 0) -> ListDocument:
    entries = [BaselineEntry(pod(number), slot, power_w, 0) for number in numbers]
    return baseline_document(1, AGGREGATORS[0], entries, salt)


def settled(offers: list[SingleOffer], dso: list, tso: list, readings: ListDocument) -> SettlementResult:
    outcome = clear_session(book_of(offers, dso, tso), PODS, SEED, TERMS, ORACLE).market
    dso_leaves = sum(len(a.reliefs) + len(a.effectiveness) for a in dso)

    def payer(position: int) -> str:
        return DSO if position < dso_leaves else TSO

    return settle(
        outcome,
        payer,
        PODS,
        baselines_of([baseline(20_000, range(8))]),
        readings_of([readings], TERMS),
        lambda mechanism, slot, price: CUSTOMER_PRICE,
        TERMS,
        ORACLE,
    )


def rows_of(result: SettlementResult) -> list[dict]:
    return [record.values for record in result.document.list_of(SETTLEMENT).records()]


def test_who_delivers_what_was_accepted_is_paid_and_rewarded() -> None:
    result = settled([offer(0, 4000, 10_000)], [area(4000, {0: 1000})], [], batch(reading(0, 0, 4000)))
    (row,) = rows_of(result)
    assert (row["acceptedW"], row["deliveredW"], row["status"]) == (4000, 4000, DeliveryStatus.MEASURED)
    assert (row["paymentUeur"], row["penaltyUeur"]) == (40_000, 0)
    assert (row["rewardUeur"], row["rewardPenaltyUeur"]) == (32_000, 0)
    assert [(p.payer, p.payee, p.paymentUeur, p.penaltyUeur) for p in result.pairs] == [
        (DSO, AGGREGATORS[0], 40_000, 0)
    ]
    assert result.claims[0].wallets == (PODS[pod(0)].customer,)
    assert result.claims[0].amounts_ueur == (32_000,)


@pytest.mark.parametrize(
    ("delivered_w", "payment", "penalised_w"),
    [
        (4000, 40_000, 0),
        (2800, 28_000, 0),
        (2796, 27_960, 1204),
        (5200, 40_000, 0),
        (5204, 40_000, 1204),
        (0, 0, 4000),
        (40_000, 40_000, 4000),
    ],
)
def test_tolerance_is_thirty_percent_either_way(delivered_w: int, payment: int, penalised_w: int) -> None:
    entry = judge(4000, 4000, delivered_w, DeliveryStatus.MEASURED, 10_000, CUSTOMER_PRICE, TERMS)
    assert entry.payment_ueur == payment
    assert entry.penalty_ueur == penalised_w * TERMS.penaltyUeurPerKw // 1000
    assert entry.reward_penalty_ueur == penalised_w * CUSTOMER_PRICE // 1000


def test_a_slot_without_a_reading_is_not_paid_and_is_penalised() -> None:
    (row,) = rows_of(settled([offer(0, 4000, 10_000)], [area(4000, {0: 1000})], [], batch()))
    assert (row["status"], row["deliveredW"], row["paymentUeur"]) == (DeliveryStatus.NO_READING, 0, 0)
    assert row["penaltyUeur"] == 400_000


def test_moving_the_wrong_way_delivers_nothing() -> None:
    (row,) = rows_of(
        settled([offer(0, 4000, 10_000)], [area(4000, {0: 1000})], [], batch(reading(0, 0, 6000)))
    )
    assert (row["deliveredW"], row["penaltyUeur"]) == (0, 400_000)


def test_two_readings_that_differ_count_for_the_lower_delivery() -> None:
    readings = batch(reading(0, 0, 4000), reading(0, 0, 4500))
    (row,) = rows_of(settled([offer(0, 4000, 10_000)], [area(4000, {0: 1000})], [], readings))
    assert row["deliveredW"] == 2000


def test_a_customer_penalised_more_than_it_earned_gets_no_tokens() -> None:
    result = settled([offer(0, 4000, 10_000)], [area(4000, {0: 1000})], [], batch())
    assert result.claims == ()


def test_delivery_of_a_pod_accepted_twice_is_shared_in_proportion_with_running_sums() -> None:
    offers = [offer(0, 6000, 10_000)]
    result = settled(offers, [area(2000, {0: 1000})], [area(4000, {0: 1000})], batch(reading(0, 0, 4250)))
    first, second = rows_of(result)
    assert (first["deliveredW"], second["deliveredW"]) == (1000, 2000)
    assert (first["nextForPod"], second["nextForPod"]) == (2, 0)
    assert (first["nextForPair"], second["nextForPair"]) == (0, 0)
    assert second["podRewardUeur"] == first["rewardUeur"] + second["rewardUeur"]
    assert {pair.payer for pair in result.pairs} == {DSO, TSO}


def test_pair_sums_end_in_what_is_posted() -> None:
    offers = [offer(0, 1000, 10_000), offer(2, 1000, 10_000)]
    result = settled(
        offers, [area(2000, {0: 1000, 2: 1000})], [], batch(reading(0, 0, 4750), reading(2, 0, 4750))
    )
    last = rows_of(result)[-1]
    assert (last["pairPaymentUeur"], last["pairPenaltyUeur"]) == (
        result.pairs[0].paymentUeur,
        result.pairs[0].penaltyUeur,
    )


def test_readings_outside_the_session_or_of_another_period_do_not_count() -> None:
    late, odd = reading(0, 96, 4000), reading(0, 0, 4000)
    odd[5] = 60
    assert readings_of([batch(late, odd)], TERMS) == {}


def test_reactive_up_is_more_var_injected() -> None:
    nets = {(pod(0), 0): (Net(0, -3000),)}
    found = delivery(pod(0), 0, Product.REACTIVE_UP, {(pod(0), 0): Net(0, 1000)}, nets)
    assert found.delivered_w == 4000


def test_claims_hold_a_hundred_wallets_each_and_prove_themselves() -> None:
    facts = registry(250)
    wallets = tuple(entry.customer for entry in facts.values())
    claims = (
        Claim(wallets[:100], (1,) * 100),
        Claim(wallets[100:200], (1,) * 100),
        Claim(wallets[200:], (1,) * 50),
    )
    tree = claim_tree(claims)
    assert len(tree.proof(2)) > 0
    assert tree.root != claim_tree(claims[:2]).root


@given(
    st.integers(1, 10**6),
    st.integers(0, 2 * 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
def test_money_is_never_more_than_accepted_gives(
    accepted_w: int, delivered_w: int, price: int, customer: int
) -> None:
    entry = judge(accepted_w, accepted_w, delivered_w, DeliveryStatus.MEASURED, price, customer, TERMS)
    assert 0 <= entry.payment_ueur <= accepted_w * price // 1000
    assert 0 <= entry.penalty_ueur <= -(-accepted_w * TERMS.penaltyUeurPerKw // 1000)
    assert entry.delivered_w == delivered_w
