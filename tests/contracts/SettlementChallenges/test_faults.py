"""Every fault of a settlement's sums, copies and claims is struck by its proof, and no honest one is (SPECIFICATION.md
23.x)."""

from dataclasses import astuple, replace
from typing import Any

import pytest

from offchain.protocol.leaves import SETTLEMENT
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Pair
from tests.contracts.chain import refused
from tests.contracts.outcomes import PODS
from tests.contracts.play import NOBODY
from tests.contracts.play import SETTLEMENT as STAGE
from tests.contracts.results import Results, Settled, fault_word, play_to_settlement

NODE_1 = 1
UEUR = 2**40


@pytest.fixture
def results(market: Any, terms: SessionTerms) -> Results:
    """A session with honest outcomes and readings; its settlement is due."""
    return play_to_settlement(market, terms)


def accuse(settled: Settled, name: str, *proofs: Any, sender: Any) -> Any:
    challenge = getattr(settled.results.market.SettlementChallenges, name)
    return challenge(settled.posted, *proofs, {"from": sender})


def is_struck(settled: Settled, tx: Any, fault: str) -> None:
    assert tx.events["ResultStruck"]["fault"] == fault_word(fault)
    board, session = settled.results.market.OutcomeBoard, settled.results.session
    assert bytes(board.outcomeHash(session, STAGE)) == bytes(32)


def of_entry(settled: Settled, index: int) -> tuple[Any, ...]:
    """Validated outcome, the settlement's leaf and its entry."""
    results = settled.results
    return (astuple(results.validated), settled.judged(index), results.entry(index))


def test_another_number_of_leaves(results: Results, auditor: Any) -> None:
    settled = results.post(results.settled(), settlementLength=7)
    tx = accuse(settled, "wrongLength", astuple(results.validated), sender=auditor)
    is_struck(settled, tx, "WrongLength")


def test_pairs_out_of_order_or_twice(results: Results, auditor: Any) -> None:
    honest = results.settled()
    settled = results.post(honest, pairs=honest.pairs[::-1])
    with refused("ChallengesNotTheLeaf", 2, 2):
        accuse(settled, "pairsNotSorted", 2, sender=auditor)
    with refused("ChallengesNotTheLeaf", 2, 0):
        accuse(settled, "pairsNotSorted", 0, sender=auditor)
    is_struck(settled, accuse(settled, "pairsNotSorted", 1, sender=auditor), "PairsNotSorted")


def test_a_pair_twice(results: Results, auditor: Any) -> None:
    honest = results.settled()
    settled = results.post(honest, pairs=[honest.pairs[0], honest.pairs[0], honest.pairs[1]])
    is_struck(settled, accuse(settled, "pairsNotSorted", 1, sender=auditor), "PairsNotSorted")


@pytest.mark.parametrize(
    ("index", "values"),
    [
        (0, {"length": 7}),
        (0, {"position": 6}),
        (0, {"status": 3}),
        (0, {"claimPosition": 1}),
        (0, {"claimIndex": 100}),
        (1, {"nextForPair": 2}),
        (1, {"nextForPod": 1}),
        (0, {"previousForPair": 1}),
        (0, {"previousForPod": 1}),
        (0, {"pairPaymentUeur": 1}),
        (0, {"pairPenaltyUeur": 1}),
        (0, {"podRewardUeur": 1}),
        (0, {"podRewardPenaltyUeur": 1}),
        (0, {"status": 1}),
        (0, {"readingRoot": bytes(32)}),
        (0, {"baselineRoot": bytes(32)}),
        (5, {"status": 0}),
        (5, {"deliveredW": 1}),
    ],
)
def test_a_leaf_that_is_false_by_itself(
    results: Results, auditor: Any, index: int, values: dict[str, Any]
) -> None:
    settled = results.lie(index, **values)
    is_struck(
        settled, accuse(settled, "malformedLeaf", settled.judged(index), sender=auditor), "MalformedLeaf"
    )


def test_a_position_twice(results: Results, auditor: Any) -> None:
    settled = results.lie(1, position=0)
    tx = accuse(settled, "leafDoubled", settled.judged(0), settled.judged(1), sender=auditor)
    is_struck(settled, tx, "Doubled")


@pytest.mark.parametrize(
    "values",
    [{"pod": PODS[3]}, {"slot": 9}, {"product": 1}, {"acceptedW": 4_999}, {"payee": bytes(19) + b"\1"}],
)
def test_a_leaf_that_isnt_its_entrys(results: Results, auditor: Any, values: dict[str, Any]) -> None:
    settled = results.lie(0, **values)
    is_struck(settled, accuse(settled, "wrongEntry", *of_entry(settled, 0), sender=auditor), "WrongCopy")


def test_who_made_no_request_pays(results: Results, auditor: Any, tso: Any) -> None:
    settled = results.lie(0, payer=bytes.fromhex(tso.address[2:]))
    with refused("ChallengesNotTheLeaf", results.session, results.session):
        of_offers = results.book.opening(0)
        accuse(settled, "wrongPayer", *of_entry(settled, 0), of_offers, sender=auditor)
    tx = accuse(settled, "wrongPayer", *of_entry(settled, 0), results.book.opening(2), sender=auditor)
    is_struck(settled, tx, "WrongPayer")


@pytest.mark.parametrize(("change", "wronged"), [(-70, "aggregator"), (+70, "dso")])
def test_a_wrong_payment_is_made_good_to_who_lost_by_it(
    results: Results, auditor: Any, request: pytest.FixtureRequest, change: int, wronged: str
) -> None:
    right = results.settled().document.list_of(SETTLEMENT).integers("paymentUeur")[0]
    settled = results.lie(0, paymentUeur=right + change)
    loser = request.getfixturevalue(wronged)
    before = results.market.Vault.free(loser)
    tx = accuse(settled, "wrongPayment", *of_entry(settled, 0), sender=auditor)
    is_struck(settled, tx, "WrongPayment")
    assert tx.events["ResultStruck"]["wronged"] == loser
    assert results.market.Vault.free(loser) == before + 70


@pytest.mark.parametrize(("change", "wronged"), [(-70, "dso"), (+70, "aggregator")])
def test_a_wrong_penalty_is_made_good_to_who_lost_by_it(
    results: Results, auditor: Any, request: pytest.FixtureRequest, change: int, wronged: str
) -> None:
    right = results.settled().document.list_of(SETTLEMENT).integers("penaltyUeur")[NODE_1]
    assert right == 2_000 * results.terms.penaltyUeurPerKw // 1000, "3 kW accepted, 1 kW delivered"
    settled = results.lie(NODE_1, penaltyUeur=right + change)
    loser = request.getfixturevalue(wronged)
    before = results.market.Vault.free(loser)
    is_struck(
        settled, accuse(settled, "wrongPenalty", settled.judged(NODE_1), sender=auditor), "WrongPenalty"
    )
    assert results.market.Vault.free(loser) == before + 70


def test_an_excused_leaf_has_no_penalty(results: Results, auditor: Any) -> None:
    settled = results.lie(5, status=2)
    is_struck(settled, accuse(settled, "wrongPenalty", settled.judged(5), sender=auditor), "WrongPenalty")


@pytest.mark.parametrize(
    ("name", "change", "wronged_by"),
    [
        ("rewardUeur", -70, 70),
        ("rewardUeur", 70, 0),
        ("rewardPenaltyUeur", 70, 70),
        ("rewardPenaltyUeur", -70, 0),
    ],
)
def test_a_wrong_reward_is_made_good_to_the_customer(
    results: Results, auditor: Any, customer: Any, name: str, change: int, wronged_by: int
) -> None:
    right = results.settled().document.list_of(SETTLEMENT).integers(name)[NODE_1]
    assert right
    settled = results.lie(NODE_1, **{name: right + change})
    before = results.market.Vault.free(customer)
    tx = accuse(settled, "wrongReward", *of_entry(settled, NODE_1), sender=auditor)
    is_struck(settled, tx, "WrongReward")
    assert tx.events["ResultStruck"]["wronged"] == (customer if wronged_by else NOBODY)
    assert results.market.Vault.free(customer) == before + wronged_by


@pytest.mark.parametrize(
    ("earlier", "later", "values"),
    [
        (0, 1, {"pairPaymentUeur": 1}),
        (0, 1, {"pairPenaltyUeur": 1}),
        (0, 1, {"previousForPair": 0}),
        (0, 2, {"previousForPair": 1}),
        (1, 2, {"payee": None}),
    ],
)
def test_a_chain_of_a_pair_that_is_broken(
    results: Results, auditor: Any, aggregator: Any, earlier: int, later: int, values: dict[str, Any]
) -> None:
    if "payee" in values:
        values = {"payee": bytes.fromhex(aggregator.address[2:]), "nextForPair": 4}
    settled = results.lie(later, **values)
    tx = accuse(settled, "pairSumBroken", settled.judged(earlier), settled.judged(later), sender=auditor)
    is_struck(settled, tx, "PairChainBroken")


@pytest.mark.parametrize(
    ("earlier", "later", "values"),
    [
        (0, 3, {"podRewardUeur": 1}),
        (1, 4, {"podRewardPenaltyUeur": 1}),
        (0, 3, {"previousForPod": 0}),
        (0, 3, {"claimIndex": 7}),
        (0, 1, {"claimIndex": 0}),
        (0, 1, {"previousForPod": 1}),
        (0, 1, {"pod": PODS[0], "nextForPod": 4, "claimIndex": 0}),
    ],
)
def test_a_chain_of_a_pod_that_is_broken(
    results: Results, auditor: Any, earlier: int, later: int, values: dict[str, Any]
) -> None:
    settled = results.lie(later, **values)
    tx = accuse(settled, "podSumBroken", settled.judged(earlier), settled.judged(later), sender=auditor)
    is_struck(settled, tx, "PodChainBroken")


@pytest.mark.parametrize("changes", [{"paymentUeur": UEUR}, {"penaltyUeur": UEUR}, {"payer": "tso"}])
def test_a_pair_that_isnt_the_sum_of_its_leaves(
    results: Results, auditor: Any, tso: Any, changes: dict[str, Any]
) -> None:
    honest = results.settled()
    values = {"payer": tso.address} if "payer" in changes else changes
    pairs = [replace(pair, **values) for pair in honest.pairs]
    settled = results.post(honest, pairs=sorted(pairs, key=lambda pair: int(pair.payee, 16)))
    with refused("ChallengesNotTheLeaf", 0, 4):
        accuse(settled, "wrongPair", settled.judged(1), sender=auditor)
    is_struck(settled, accuse(settled, "wrongPair", settled.judged(4), sender=auditor), "WrongPair")


@pytest.mark.parametrize("lie", ["amount", "wallet", "shorter", "debt"])
def test_a_claim_that_isnt_the_customers(results: Results, auditor: Any, stranger: Any, lie: str) -> None:
    honest = results.settled()
    claim = honest.claims[0]
    amounts, wallets = list(claim.amounts_ueur), list(claim.wallets)
    if lie == "amount":
        amounts[2] += 1
    elif lie == "debt":
        amounts[2] = -(2**62)
    elif lie == "wallet":
        wallets[2] = stranger.address
    else:
        amounts, wallets = amounts[:2], wallets[:2]
    false = replace(claim, wallets=tuple(wallets), amounts_ueur=tuple(amounts))
    settled = results.post(replace(honest, claims=(false,)))
    with refused("ChallengesNotTheLeaf", 0, 6):
        accuse(settled, "wrongClaim", settled.judged(2), settled.claim(0), sender=auditor)
    tx = accuse(settled, "wrongClaim", settled.judged(5), settled.claim(0), sender=auditor)
    is_struck(settled, tx, "WrongClaim")


def test_a_claim_without_an_amount_for_each(results: Results, auditor: Any) -> None:
    honest = results.settled()
    claim = honest.claims[0]
    false = replace(claim, amounts_ueur=claim.amounts_ueur[:2])
    settled = results.post(replace(honest, claims=(false,)))
    tx = accuse(settled, "malformedClaim", settled.claim(0), sender=auditor)
    is_struck(settled, tx, "MalformedClaim")


def test_rewards_beyond_their_sum(results: Results, auditor: Any) -> None:
    honest = results.settled()
    settled = results.post(honest, rewardsUeur=honest.rewards_ueur - 1)
    with refused("ChallengesNotTheLeaf", 1, 0):
        accuse(settled, "rewardsDontAddUp", [settled.claim(0)] * 2, sender=auditor)
    tx = accuse(settled, "rewardsDontAddUp", [settled.claim(0)], sender=auditor)
    is_struck(settled, tx, "RewardsDontAddUp")


def test_what_others_mechanisms_say_is_the_arbiters(market: Any, terms: SessionTerms, auditor: Any) -> None:
    """Who made one that isn't the factory's could change its answer, and make a right settlement false."""
    results = play_to_settlement(market, terms, market.Vault.address)
    settled = results.lie(0, rewardUeur=1)
    with refused("SettlementChallengesOthersMechanism", market.Vault):
        accuse(settled, "wrongReward", *of_entry(settled, 0), sender=auditor)


def test_nothing_in_an_honest_settlement_is_a_fault(results: Results, auditor: Any) -> None:
    honest = results.settled()
    settled = results.post(honest)
    payments = honest.document.list_of(SETTLEMENT).integers("paymentUeur")
    assert payments == [100_000, 30_000, 80_000, 80_000, 0, 0], (
        "delivered: 5, 1, 2 (of 4) kW, then 4, 0, nothing"
    )

    def innocent(name: str, fault: str, *proofs: Any) -> None:
        with refused("ChallengesNotAFault", fault.encode().ljust(32, b"\0")):
            accuse(settled, name, *proofs, sender=auditor)

    innocent("wrongLength", "WrongLength", astuple(results.validated))
    innocent("pairsNotSorted", "PairsNotSorted", 1)
    leaves = [settled.judged(index) for index in range(6)]
    for index, leaf in enumerate(leaves):
        innocent("malformedLeaf", "MalformedLeaf", leaf)
        innocent("wrongEntry", "WrongCopy", *of_entry(settled, index))
        innocent("wrongPayer", "WrongPayer", *of_entry(settled, index), results.book.opening(2))
        innocent("wrongPayment", "WrongPayment", *of_entry(settled, index))
        innocent("wrongPenalty", "WrongPenalty", leaf)
        innocent("wrongReward", "WrongReward", *of_entry(settled, index))
        for other in leaves:
            innocent("leafDoubled", "Doubled", leaf, other)
            innocent("pairSumBroken", "PairChainBroken", leaf, other)
            innocent("podSumBroken", "PodChainBroken", leaf, other)
    for last in (3, 4, 5):
        innocent("wrongClaim", "WrongClaim", leaves[last], settled.claim(0))
    for last in (4, 5):
        innocent("wrongPair", "WrongPair", leaves[last])
    innocent("malformedClaim", "MalformedClaim", settled.claim(0))
    innocent("rewardsDontAddUp", "RewardsDontAddUp", [settled.claim(0)])


def test_only_what_stands_can_be_held_against_it(results: Results, auditor: Any, stranger: Any) -> None:
    settled = results.lie(0, paymentUeur=1)
    outcome, leaf, entry = of_entry(settled, 0)
    other = replace(results.validated, totalUeur=1)
    with refused("ChallengesNotTheBasis", results.validated.hash(), other.hash()):
        accuse(settled, "wrongPayment", astuple(other), leaf, entry, sender=auditor)
    with refused("ChallengesNotTheLeaf", 0, 1):
        accuse(settled, "wrongPayment", outcome, leaf, results.entry(1), sender=auditor)
    with refused("ParticipantRegistryUnknownAccount", stranger):
        accuse(settled, "wrongPayment", outcome, leaf, entry, sender=stranger)
    forged = replace(settled, pairs=(Pair(*astuple(settled.pairs[0])[:2], 1, 1),))
    with pytest.raises(Exception, match="OutcomeBoardNotChallengeable"):
        accuse(forged, "wrongPayment", outcome, leaf, entry, sender=auditor)
    honest = replace(settled, result=results.settled())
    with pytest.raises(Exception, match="ProofsNotInList"):
        accuse(settled, "wrongPayment", outcome, honest.judged(0), entry, sender=auditor)
    accuse(settled, "wrongPayment", outcome, leaf, entry, sender=auditor)
