"""Attacks on trees: what isn't a leaf is never shown as one (tests/contracts/ATTACKS.md)."""

from dataclasses import astuple
from typing import Any

import pytest

from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, READING
from offchain.protocol.merkle import MerkleTree
from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import refused
from tests.contracts.results import Results, play_to_clearing, play_to_settlement


@pytest.fixture
def results(market: Any, terms: SessionTerms) -> Results:
    """A session whose market outcome stands."""
    made = play_to_clearing(market, terms)
    made.post_market()
    return made


def test_an_inner_node_is_no_leaf(results: Results, auditor: Any) -> None:
    """The two children of an inner node, 64 bytes, answer no demand, though their hash is in the tree."""
    demands, outcome = results.market.Demands, astuple(results.market_outcome)
    tree = MerkleTree(results.cleared.market.list_of(OUTCOME_BY_OFFER).leaf_hashes)
    inner = len(tree) // 2
    children = tree.nodes[2 * inner + 1].tobytes() + tree.nodes[2 * inner + 2].tobytes()
    id_ = bytes(demands.demandOutcome(outcome, 0, 0, 0, {"from": auditor}).return_value)
    with refused("DemandsLeafTooShort", id_, 64):
        demands.answer(id_, children, tree.proof_of_node(inner), {"from": auditor})
    # Filled up to a leaf's length it has another hash.
    head = b"".join(number.to_bytes(32) for number in (OUTCOME_BY_OFFER.number, 0, len(tree)))
    with refused("DemandsNotInList", id_, tree.root):
        demands.answer(id_, head + children, tree.proof_of_node(inner), {"from": auditor})


def test_a_leaf_of_another_kind_is_none(results: Results, auditor: Any) -> None:
    """An answer's words under the root of the answers, shown for an entry: its kind isn't the list's."""
    demands, outcome = results.market.Demands, astuple(results.market_outcome)
    leaves = results.cleared.market.list_of(OUTCOME_BY_OFFER)
    word, proof = leaves.encoded(0), leaves.tree.proof(0)
    id_ = bytes(demands.demandOutcome(outcome, 0, 1, 0, {"from": auditor}).return_value)
    with refused("DemandsWrongLeaf", id_, OUTCOME_BY_OFFER.number, 0, len(leaves)):
        demands.answer(id_, word, proof, {"from": auditor})
    as_entry = OUTCOME_BY_REQUEST.number.to_bytes(32) + word[32:]
    length = len(results.cleared.market.list_of(OUTCOME_BY_REQUEST))
    as_entry = as_entry[:64] + length.to_bytes(32) + as_entry[96:]
    with refused("DemandsNotInList", id_, results.market_outcome.byRequestRoot):
        demands.answer(id_, as_entry, proof, {"from": auditor})


def test_a_tree_of_one_leaf_is_its_leaf_and_nothing_else(market: Any, terms: SessionTerms) -> None:
    """A batch whose root is the leaf itself: true without a proof, and with none that is longer."""
    results = play_to_settlement(market, terms)
    one = results.batch(((2, 1, 2_000),))
    results.anchor(one)
    leaves = one.list_of(READING)
    row = ["0x" + value.hex() if isinstance(value, bytes) else value for value in leaves.row(0)]
    assert market.ReadingAnchor.isAnchored(leaves.root, row, [])
    assert not market.ReadingAnchor.isAnchored(leaves.root, row, [bytes(32)])


def test_a_root_of_nothing_proves_nothing(market: Any, terms: SessionTerms, auditor: Any) -> None:
    """An empty list's root is zero: no leaf lies under it, and a leaf that names it names none."""
    results = play_to_settlement(market, terms)
    settled = results.lie(0, baselineRoot=bytes(32), deliveredW=0)
    aggregator = results.roles.aggregators[0]
    with pytest.raises(Exception, match="ProofsNotInList"):
        market.DeliveryChallenges.wrongBaseline(
            settled.posted, settled.judged(0), results.baseline(aggregator, 0), {"from": auditor}
        )
