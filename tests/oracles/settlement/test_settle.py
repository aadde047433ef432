"""Settlement: delivery against baseline, tolerance, penalties, rewards, and the sums that each leaf carries."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.book_documents import BaselineEntry, OfferEntry, baseline_document
from offchain.protocol.leaves import BASELINE, READING, SETTLEMENT
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.metering import Anchored, Net, baselines_of, readings_of
from offchain.protocol.products import DeliveryStatus, Product
from oracles.clearing.core.session import clear_session
from oracles.settlement.core.delivery import delivery
from oracles.settlement.core.session import claim_tree
from oracles.settlement.core.settle import Claim, SettlementResult, judge, settle
from tests.examples import examples
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


def baseline(power_w: int, numbers: range, slot: int = 0) -> list[tuple[str, ListDocument]]:
    """Each aggregator's baselines for its own PoDs, as anchored."""
    out = []
    for place, author in enumerate(AGGREGATORS):
        entries = [BaselineEntry(pod(n), slot, power_w, 0) for n in numbers if n % 2 == place]
        out.append((author, baseline_document(1, author, entries, salt)))
    return out


def all_genuine(document: ListDocument) -> list[bool]:
    return [True] * document.leaf_count


def settled(offers: list[OfferEntry], dso: list, tso: list, readings: ListDocument) -> SettlementResult:
    outcome = clear_session(book_of(offers, dso, tso), PODS, SEED, TERMS, ORACLE).market
    dso_leaves = sum(len(a.reliefs) + len(a.effectiveness) for a in dso)

    def payer(position: int) -> str:
        return DSO if position < dso_leaves else TSO

    return settle(
        outcome,
        payer,
        PODS,
        baselines_of(baseline(20_000, range(8)), PODS),
        readings_of([readings], TERMS, all_genuine),
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


def test_what_an_offer_pays_back_later_is_neither_paid_nor_penalised() -> None:
    """The PoD gives 4 kW in slot 0, and absorbs 4 kW more in slot 1."""
    offers = [replace(offer(0, 4000, 10_000), payback_w=(-4000,))]
    result = settled(offers, [area(4000, {0: 1000})], [], batch(reading(0, 0, 4000), reading(0, 1, 6000)))
    (row,) = rows_of(result)
    assert (row["slot"], row["deliveredW"], row["paymentUeur"], row["penaltyUeur"]) == (0, 4000, 40_000, 0)
    assert [(pair.paymentUeur, pair.penaltyUeur) for pair in result.pairs] == [(40_000, 0)]


def test_two_readings_that_differ_count_for_the_lower_delivery() -> None:
    readings = batch(reading(0, 0, 4000), reading(0, 0, 4500))
    (row,) = rows_of(settled([offer(0, 4000, 10_000)], [area(4000, {0: 1000})], [], readings))
    assert (row["deliveredW"], row["readingPosition"]) == (2000, 1)
    assert row["readingRoot"] == readings.list_of(READING).root


def test_a_reading_that_is_not_genuine_does_not_count() -> None:
    readings = batch(reading(0, 0, 4500), reading(0, 0, 4000))
    found = readings_of([readings], TERMS, lambda document: [False, True])
    assert [entry.position for entry in found[pod(0), 0]] == [1]


def test_a_baseline_counts_if_the_pods_aggregator_anchored_it_and_the_first_stands() -> None:
    (first, later) = (baseline(power_w, range(1))[0][1] for power_w in (20_000, 30_000))
    found = baselines_of([(AGGREGATORS[1], later), (AGGREGATORS[0], first), (AGGREGATORS[0], later)], PODS)
    assert found == {(pod(0), 0): Anchored(Net(20_000, 0), first.list_of(BASELINE).root, 0)}


def test_leaves_name_what_they_were_judged_by() -> None:
    readings = batch(reading(2, 0, 4500), reading(0, 0, 4000))
    (row,) = rows_of(settled([offer(0, 4000, 10_000)], [area(4000, {0: 1000})], [], readings))
    anchored = baseline(20_000, range(8))[0][1].list_of(BASELINE)
    assert (row["baselineRoot"], row["baselinePosition"]) == (anchored.root, 0)
    assert (row["readingRoot"], row["readingPosition"]) == (readings.list_of(READING).root, 1)
    (row,) = rows_of(settled([offer(0, 4000, 10_000)], [area(4000, {0: 1000})], [], batch()))
    assert (row["readingRoot"], row["readingPosition"]) == (bytes(32), 0)


def test_a_customer_penalised_more_than_it_earned_is_claimed_below_zero() -> None:
    result = settled([offer(0, 4000, 10_000)], [area(4000, {0: 1000})], [], batch())
    assert result.claims == (Claim((PODS[pod(0)].customer,), (-32_000,)),)
    assert result.rewards_ueur == 0


def test_every_pod_has_its_place_among_the_claims_in_order_of_its_first_leaf() -> None:
    offers = [offer(number, 1000, 10_000 + number) for number in (6, 2, 4)]
    needs = area(3000, {2: 1000, 4: 1000, 6: 1000})
    result = settled(offers, [needs], [area(100, {2: 1000})], batch(reading(4, 0, 4750)))
    assert [c.wallets for c in result.claims] == [tuple(PODS[pod(n)].customer for n in (2, 4, 6))]
    assert [(row["pod"], row["claimIndex"]) for row in rows_of(result)[:3]] == [
        (pod(2), 0),
        (pod(4), 1),
        (pod(6), 2),
    ]
    assert result.rewards_ueur == max(result.claims[0].amounts_ueur) == 8_000


OFFERED = st.lists(
    st.builds(offer, st.integers(0, 7), st.integers(1, 3000), st.sampled_from([0, 10_000, 20_000])),
    min_size=2,
    max_size=10,
)
NEEDED = st.lists(
    st.builds(area, st.integers(1, 9000), st.dictionaries(st.integers(0, 7), st.just(1000), min_size=4)),
    min_size=1,
    max_size=2,
)
READ = st.lists(st.builds(reading, st.integers(0, 7), st.just(0), st.integers(2000, 6000)), max_size=12)


@examples(150)
@given(OFFERED, NEEDED, NEEDED, READ)
def test_nothing_can_be_said_against_an_honest_settlement(
    offers: list[OfferEntry], dso: list, tso: list, read: list
) -> None:
    result = settled(offers, dso, tso, batch(*read))
    rows = rows_of(result)
    _check_chain(
        rows,
        ("payer", "payee"),
        "ForPair",
        {"pairPaymentUeur": "paymentUeur", "pairPenaltyUeur": "penaltyUeur"},
    )
    _check_chain(
        rows, ("pod",), "ForPod", {"podRewardUeur": "rewardUeur", "podRewardPenaltyUeur": "rewardPenaltyUeur"}
    )
    posted = {(pair.payer, pair.payee): (pair.paymentUeur, pair.penaltyUeur) for pair in result.pairs}
    keys = [(int(pair.payer, 16), int(pair.payee, 16)) for pair in result.pairs]
    assert keys == sorted(set(keys))
    ends = {}
    for row in rows:
        if row["nextForPair"] == 0:
            pair = ("0x" + row["payer"].hex(), "0x" + row["payee"].hex())
            ends[pair] = (row["pairPaymentUeur"], row["pairPenaltyUeur"])
        if row["nextForPod"] == 0:
            claim = result.claims[row["claimPosition"]]
            assert claim.wallets[row["claimIndex"]] == PODS[row["pod"]].customer
            net = row["podRewardUeur"] - row["podRewardPenaltyUeur"]
            assert claim.amounts_ueur[row["claimIndex"]] == net
    assert ends == posted
    assert sum(len(claim.wallets) for claim in result.claims) == len({row["pod"] for row in rows})


def _check_chain(rows: list[dict], key: tuple[str, ...], links: str, sums: dict[str, str]) -> None:
    """Running sums and both links of the chains of equal keys."""
    last: dict = {}
    for position, row in enumerate(rows):
        before = last.get(tuple(row[name] for name in key))
        assert row[f"previous{links}"] == (0 if before is None else before["position"] + 1)
        if before is not None:
            assert before[f"next{links}"] == position + 1
        for running, own in sums.items():
            assert row[running] == (0 if before is None else before[running]) + row[own]
        last[tuple(row[name] for name in key)] = row
    assert all(row[f"next{links}"] == 0 for row in last.values())


def test_delivery_of_a_pod_accepted_twice_is_shared_in_proportion_with_running_sums() -> None:
    offers = [offer(0, 6000, 10_000)]
    result = settled(offers, [area(2000, {0: 1000})], [area(6000, {0: 1000})], batch(reading(0, 0, 4250)))
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
    assert readings_of([batch(late, odd)], TERMS, all_genuine) == {}


def test_reactive_up_is_more_var_injected() -> None:
    nets = {(pod(0), 0): (Anchored(Net(0, -3000), bytes(32), 0),)}
    baselines = {(pod(0), 0): Anchored(Net(0, 1000), bytes(32), 0)}
    found = delivery(pod(0), 0, Product.REACTIVE_UP, baselines, nets)
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
