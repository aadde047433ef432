"""What a settlement pays or rewards without a leaf to account for it is demanded, and costs its bond (SPECIFICATION.md
19.x)."""

from dataclasses import astuple, replace
from typing import Any

import pytest

from offchain.protocol.claims import Claim, claim_origin, pair_origin
from offchain.protocol.leaves import SETTLEMENT
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Pair
from tests.contracts.chain import next_block_at, now_s, refused, travel_to
from tests.contracts.play import EURO
from tests.contracts.play import SETTLEMENT as STAGE
from tests.contracts.results import Results, Settled, fault_word, play_to_settlement

LAST_OF_PODS = (3, 4, 5)


@pytest.fixture
def results(market: Any, terms: SessionTerms) -> Results:
    """A session with honest outcomes and readings; its settlement is due."""
    return play_to_settlement(market, terms)


def last_of_pair(settled: Settled, index: int) -> int:
    """Position of the leaf that accounts for a pair: PoDs 0 and 1 are one aggregator's, PoD 2 another's."""
    return 4 if settled.pairs[index].payee == settled.results.roles.aggregators[0] else 5


def word_of(settled: Settled, index: int) -> tuple[bytes, list[bytes]]:
    leaves = settled.result.document.list_of(SETTLEMENT)
    return leaves.encoded(index), leaves.tree.proof(index)


def demand_pair(settled: Settled, index: int, sender: Any) -> bytes:
    tx = settled.results.market.Demands.demandPair(*settled.posted, index, {"from": sender})
    return bytes(tx.return_value)


def demand_entry(settled: Settled, position: int, index: int, sender: Any) -> bytes:
    demands = settled.results.market.Demands
    tx = demands.demandClaimEntry(*settled.posted, settled.claim(position), index, {"from": sender})
    return bytes(tx.return_value)


def expire(settled: Settled, id_: bytes, sender: Any) -> Any:
    travel_to(now_s() + settled.results.terms.demandWindowS)
    return settled.results.market.Demands.expire(id_, {"from": sender})


def test_every_pair_and_entry_of_an_honest_settlement_is_accounted_for(
    results: Results, auditor: Any, stranger: Any
) -> None:
    settled = results.post(results.settled())
    demands = results.market.Demands
    records = settled.result.document.list_of(SETTLEMENT).records()
    for index in range(2):
        last = last_of_pair(settled, index)
        id_ = demand_pair(settled, index, auditor)
        assert demands.demand(id_)["origin"] == "0x" + pair_origin(records[last]).hex()
        demands.answer(id_, *word_of(settled, last), {"from": stranger})
        with refused("DemandsAskedBefore", id_, 2):
            demand_pair(settled, index, auditor)
    for index, last in enumerate(LAST_OF_PODS):
        id_ = demand_entry(settled, 0, index, auditor)
        customer = results.roles.customer.address
        assert demands.demand(id_)["origin"] == "0x" + claim_origin(records[last], customer).hex()
        demands.answer(id_, *word_of(settled, last), {"from": stranger})
    assert results.market.OutcomeBoard.outcomeHash(results.session, STAGE) == "0x" + _hash(settled).hex()
    assert pair_origin(records[0]) is None
    assert claim_origin(records[0], results.roles.customer.address) is None


def _hash(settled: Settled) -> bytes:
    return bytes(settled.results.market.OutcomeBoard.posting(settled.results.session, STAGE)["hash"])


def test_only_the_last_leaf_that_says_the_same_accounts_for_it(results: Results, auditor: Any) -> None:
    settled = results.post(results.settled())
    demands, records = results.market.Demands, settled.result.document.list_of(SETTLEMENT).records()
    id_ = demand_pair(settled, 0, auditor)
    right = last_of_pair(settled, 0)
    wrong = 9 - right
    with refused("DemandsWrongLeaf", id_, SETTLEMENT.number, 0, 6):
        demands.answer(id_, *word_of(settled, 0), {"from": auditor})
    with refused("DemandsNotTheOrigin", id_, pair_origin(records[right]), pair_origin(records[wrong])):
        demands.answer(id_, *word_of(settled, wrong), {"from": auditor})
    leaf, proof = word_of(settled, right)
    with refused("DemandsLeafTooShort", id_, len(leaf) - 32):
        demands.answer(id_, leaf[:-32], proof, {"from": auditor})
    with refused("DemandsNotInList", id_, settled.settlement.settlementRoot):
        demands.answer(id_, leaf, proof[:-1], {"from": auditor})
    forged = leaf[:-32] + b"\1" * 32
    with refused("DemandsNotInList", id_, settled.settlement.settlementRoot):
        demands.answer(id_, forged, proof, {"from": auditor})


def test_a_pair_that_no_leaf_accounts_for_costs_the_bond(
    results: Results, auditor: Any, tso: Any, settlement_oracle: Any
) -> None:
    """The oracle invents a payment of the TSO to a friend."""
    honest = results.settled()
    friend = results.roles.aggregators[1].address
    invented = Pair(tso.address, friend, 9 * EURO, 0)
    pairs = sorted([*honest.pairs, invented], key=lambda pair: (int(pair.payer, 16), int(pair.payee, 16)))
    settled = results.post(honest, pairs=pairs)
    id_ = demand_pair(settled, pairs.index(invented), auditor)
    next_block_at(now_s() + 1)
    with refused("DemandsTooEarly", id_, results.market.Demands.demand(id_)["deadline"], now_s() + 1):
        results.market.Demands.expire(id_, {"from": auditor})
    tx = expire(settled, id_, auditor)
    assert tx.events["ResultStruck"]["fault"] == fault_word("Unanswered")
    assert results.market.Vault.bonded(settlement_oracle) == 0


@pytest.mark.parametrize("amount_ueur", [5 * EURO, -(2**62)])
def test_an_entry_that_no_leaf_accounts_for_costs_the_bond(
    results: Results, auditor: Any, stranger: Any, settlement_oracle: Any, amount_ueur: int
) -> None:
    """A reward for nobody's PoD, or a debt that a customer could never pay off."""
    honest = results.settled()
    claim = honest.claims[0]
    false = Claim((*claim.wallets, stranger.address), (*claim.amounts_ueur, amount_ueur))
    settled = results.post(replace(honest, claims=(false,)))
    id_ = demand_entry(settled, 0, 3, auditor)
    expire(settled, id_, auditor)
    assert results.market.Vault.bonded(settlement_oracle) == 0


def test_only_what_was_posted_can_be_demanded(results: Results, auditor: Any, stranger: Any) -> None:
    settled = results.post(results.settled())
    demands = results.market.Demands
    with refused("DemandsNoSuchPair", 2, 2):
        demand_pair(settled, 2, auditor)
    with refused("DemandsNoSuchClaim", 3, 3):
        demand_entry(settled, 0, 3, auditor)
    with refused("ParticipantRegistryUnknownAccount", stranger):
        demand_pair(settled, 0, stranger)
    position, length, wallets, amounts, proof = settled.claim(0)
    false = (position, length, wallets, [amounts[0] + 1, *amounts[1:]], proof)
    with pytest.raises(Exception, match="ProofsNotInList"):
        demands.demandClaimEntry(*settled.posted, false, 0, {"from": auditor})
    other = [astuple(replace(pair, paymentUeur=1)) for pair in settled.pairs]
    with pytest.raises(Exception, match="OutcomeBoardNotChallengeable"):
        demands.demandPair(settled.posted[0], other, 0, {"from": auditor})
