"""Anchored batches and the readings in them (SPECIFICATION.md 10.x)."""

from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest

from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import READING
from offchain.protocol.merkle import MerkleTree
from offchain.protocol.signatures import parse_address, sign_digest, to_compact
from offchain.protocol.typed_data import NO_POD, Reading, Registration
from tests.contracts.chain import next_block_at, now_s, refused
from tests.contracts.play import CHAIN_ID, CID, FOREVER, domain

POD = keccak256(b"pod and salt")
LENGTH = 5


def key_of(account: Any) -> bytes:
    return bytes.fromhex(account.private_key.removeprefix("0x"))


def leaf_of(market: Any, reading: Reading, position: int, node: Any, signer: Any = None) -> list[Any]:
    """The leaf of a signed reading, its values in order of the fields."""
    digest = reading.digest(CHAIN_ID, market.ReadingAnchor.address)
    r, vs = to_compact(sign_digest(key_of(signer or node), digest))
    pod, *rest = astuple(reading)
    return [position, LENGTH, pod, parse_address("node", node.address), *rest, r, vs]


def as_argument(leaf: list[Any]) -> list[Any]:
    return ["0x" + value.hex() if isinstance(value, bytes) else value for value in leaf]


def tree_of(leaves: list[list[Any]]) -> MerkleTree:
    return READING.tree(READING.columns(leaves))


def anchor(market: Any, root: bytes, length: int, sender: Any) -> Any:
    return market.ReadingAnchor.anchor(root, length, CID.digest, CID.codec, {"from": sender})


@pytest.fixture
def readings(market: Any, aggregator: Any, customer: Any, node: Any) -> list[Reading]:
    """Readings of a registered PoD."""
    consent = Registration(
        POD,
        aggregator.address,
        customer.address,
        node.address,
        market.Vault.address,
        1,
        1,
        1,
        1,
        NO_POD,
        0,
        FOREVER,
    )
    signature = consent.sign(domain(market.PodRegistry), key_of(customer))
    market.PodRegistry.register(astuple(consent), signature, {"from": aggregator})
    return [Reading(POD, 900 * k, 900, 100 + k, k, 2, 3, 4, 5, 7 + k) for k in range(LENGTH)]


@pytest.fixture
def leaves(market: Any, readings: list[Reading], node: Any) -> list[list[Any]]:
    return [leaf_of(market, reading, position, node) for position, reading in enumerate(readings)]


def test_anchors_a_batch_once(market: Any, anchoring_oracle: Any) -> None:
    root, at = keccak256(b"root"), now_s() + 30
    next_block_at(at)
    tx = anchor(market, root, 4, anchoring_oracle)
    assert tx.events["BatchAnchored"] == {
        "root": "0x" + root.hex(),
        "anchoredBy": anchoring_oracle,
        "length": 4,
        "cidDigest": "0x" + CID.digest.hex(),
        "cidCodec": CID.codec,
        "at": at,
    }
    assert (market.ReadingAnchor.anchoredAt(root), market.ReadingAnchor.lengthOf(root)) == (at, 4)
    with refused("ReadingAnchorKnownRoot", root, at):
        anchor(market, root, 5, anchoring_oracle)


def test_refuses_empty_batches_and_others_than_the_oracle(
    market: Any, anchoring_oracle: Any, aggregator: Any
) -> None:
    root = keccak256(b"root")
    with refused("ReadingAnchorEmptyBatch", bytes(32), 1):
        anchor(market, bytes(32), 1, anchoring_oracle)
    with refused("ReadingAnchorEmptyBatch", root, 0):
        anchor(market, root, 0, anchoring_oracle)
    with refused("CidsUnknownCodec", 1):
        market.ReadingAnchor.anchor(root, 1, CID.digest, 1, {"from": anchoring_oracle})
    with refused("ParticipantRegistryMissingRole", aggregator, 6):
        anchor(market, root, 1, aggregator)


def test_a_contract_checks_a_reading(
    market: Any, readings: list[Reading], leaves: list[list[Any]], anchoring_oracle: Any
) -> None:
    contract, tree = market.ReadingAnchor, tree_of(leaves)
    for position, leaf in enumerate(leaves):
        digest = readings[position].digest(CHAIN_ID, contract.address)
        assert bytes(contract.hashReading(as_argument(leaf))) == digest
        assert not contract.verifyReading(tree.root, as_argument(leaf), tree.proof(position)), (
            "not anchored yet"
        )
    anchor(market, tree.root, LENGTH, anchoring_oracle)
    for position, leaf in enumerate(leaves):
        assert contract.verifyReading(tree.root, as_argument(leaf), tree.proof(position))


def test_a_changed_reading_isnt_in_the_batch(
    market: Any, leaves: list[list[Any]], anchoring_oracle: Any
) -> None:
    tree = tree_of(leaves)
    anchor(market, tree.root, LENGTH, anchoring_oracle)
    for place in range(len(leaves[2])):
        changed = list(leaves[2])
        value = changed[place]
        changed[place] = value + 1 if isinstance(value, int) else value[:-1] + bytes((value[-1] ^ 1,))
        assert not market.ReadingAnchor.verifyReading(tree.root, as_argument(changed), tree.proof(2))
    assert not market.ReadingAnchor.verifyReading(tree.root, as_argument(leaves[2]), tree.proof(3))


def test_a_batch_doesnt_make_a_forged_reading_true(
    market: Any,
    readings: list[Reading],
    leaves: list[list[Any]],
    anchoring_oracle: Any,
    node: Any,
    stranger: Any,
) -> None:
    forged = [
        leaf_of(market, readings[0], 0, node, signer=stranger),
        leaf_of(market, readings[1], 1, stranger),
        leaf_of(market, replace(readings[2], pod=keccak256(b"unknown")), 2, node),
        [*leaves[3][:6], leaves[3][6] + 1, *leaves[3][7:]],
        [*leaves[4][:-2], bytes(32), bytes(32)],
    ]
    tree = tree_of(forged)
    anchor(market, tree.root, LENGTH, anchoring_oracle)
    for position, leaf in enumerate(forged):
        assert not market.ReadingAnchor.verifyReading(tree.root, as_argument(leaf), tree.proof(position))


def test_length_and_position_are_the_batchs(
    market: Any, readings: list[Reading], anchoring_oracle: Any, node: Any
) -> None:
    leaves = [leaf_of(market, reading, position, node) for position, reading in enumerate(readings)]
    leaves[0][1] = LENGTH + 1
    leaves[1][0] = LENGTH
    hashes = b"".join(tree_of([leaf]).root for leaf in leaves)
    tree = MerkleTree(np.frombuffer(hashes, dtype=np.uint8).reshape(-1, 32))
    anchor(market, tree.root, LENGTH, anchoring_oracle)
    expected = [False, False, True, True, True]
    for position, leaf in enumerate(leaves):
        found = market.ReadingAnchor.verifyReading(tree.root, as_argument(leaf), tree.proof(position))
        assert found is expected[position]
