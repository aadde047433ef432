"""Anchored batches and the readings in them (SPECIFICATION.md 10.x)."""

from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest

from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import READING
from offchain.protocol.lists import LeafList
from offchain.protocol.merkle import ListTree, MerkleTree
from offchain.protocol.signatures import CURVE_ORDER, parse_address, sign_digest, to_compact
from offchain.protocol.typed_data import NO_POD, NodeKey, Reading, Registration
from tests.contracts.chain import next_block_at, now_s, refused, travel_to
from tests.contracts.conftest import account_of
from tests.contracts.play import CHAIN_ID, CID, FOREVER, NOBODY, domain

POD = keccak256(b"pod and salt")
LENGTH = 5
PERIOD_S = 900


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


def tree_of(leaves: list[list[Any]]) -> ListTree:
    return LeafList.of_rows(READING, leaves).tree


def anchor(market: Any, root: bytes, sender: Any) -> Any:
    return market.ReadingAnchor.anchor(root, CID.digest, CID.codec, {"from": sender})


@pytest.fixture
def registered_at(market: Any, aggregator: Any, customer: Any, node: Any) -> int:
    """When the PoD was registered with its node."""
    people = (aggregator.address, customer.address, node.address, market.Vault.address)
    consent = Registration(POD, *people, 1, 1, 1, 1, NO_POD, 0, FOREVER)
    signature = consent.sign(domain(market.PodRegistry), key_of(customer))
    market.PodRegistry.register(astuple(consent), signature, {"from": aggregator})
    return now_s()


@pytest.fixture
def readings(registered_at: int) -> list[Reading]:
    """Readings of a registered PoD."""
    start = registered_at
    return [
        Reading(POD, start + PERIOD_S * k, PERIOD_S, 100 + k, k, 2, 3, 4, 5, 7 + k) for k in range(LENGTH)
    ]


@pytest.fixture
def leaves(market: Any, readings: list[Reading], node: Any) -> list[list[Any]]:
    return [leaf_of(market, reading, position, node) for position, reading in enumerate(readings)]


def test_anchors_a_batch(market: Any, anchoring_oracle: Any) -> None:
    root, at = keccak256(b"root"), now_s() + 30
    assert market.ReadingAnchor.anchoredAt(root) == 0
    next_block_at(at)
    tx = anchor(market, root, anchoring_oracle)
    assert tx.events["BatchAnchored"] == {
        "root": "0x" + root.hex(),
        "cidDigest": "0x" + CID.digest.hex(),
        "cidCodec": CID.codec,
    }
    assert market.ReadingAnchor.anchoredAt(root) == at


def test_a_batchs_time_is_its_first_and_nobody_spoils_it(
    market: Any, leaves: list[list[Any]], anchoring_oracle: Any, other_aggregator: Any
) -> None:
    contract, tree = market.ReadingAnchor, tree_of(leaves)
    false = keccak256(b"another document")
    contract.anchor(tree.root, false, CID.codec, {"from": other_aggregator})
    first_at = now_s()
    next_block_at(first_at + 10)
    tx = anchor(market, tree.root, anchoring_oracle)
    assert tx.events["BatchAnchored"]["cidDigest"] == "0x" + CID.digest.hex()
    assert contract.anchoredAt(tree.root) == first_at
    assert contract.verifyReading(tree.root, as_argument(leaves[4]), tree.proof(4))


def test_anchoring_costs_the_same_whatever_the_size(
    market: Any, anchoring_oracle: Any, aggregator: Any
) -> None:
    """The dearest root and CID, without a zero byte, are within the market's limit."""
    for root, sender in ((b"\xff" * 32, anchoring_oracle), (b"\xfe" * 32, aggregator)):
        tx = market.ReadingAnchor.anchor(root, b"\xff" * 32, CID.codec, {"from": sender})
        assert tx.gas_used <= 52_000


def test_oracles_and_aggregators_anchor(
    market: Any, admin: Any, anchoring_oracle: Any, aggregator: Any, dso: Any, settlement_oracle: Any
) -> None:
    root = keccak256(b"root")
    anchor(market, root, aggregator)
    for sender in (dso, settlement_oracle, account_of("stranger")):
        with refused("ReadingAnchorNotAllowed", sender):
            anchor(market, root, sender)
    for sender in (aggregator, anchoring_oracle):
        market.ParticipantRegistry.suspend(sender, "forgery", {"from": admin})
        with refused("ReadingAnchorNotAllowed", sender):
            anchor(market, root, sender)


def test_refuses_what_isnt_a_batch(market: Any, anchoring_oracle: Any) -> None:
    with refused("ReadingAnchorZeroRoot"):
        anchor(market, bytes(32), anchoring_oracle)
    with refused("CidsUnknownCodec", 1):
        market.ReadingAnchor.anchor(keccak256(b"root"), CID.digest, 1, {"from": anchoring_oracle})


def test_a_contract_checks_a_reading(
    market: Any, readings: list[Reading], leaves: list[list[Any]], anchoring_oracle: Any
) -> None:
    contract, tree = market.ReadingAnchor, tree_of(leaves)
    for position, leaf in enumerate(leaves):
        digest = readings[position].digest(CHAIN_ID, contract.address)
        assert bytes(contract.hashReading(as_argument(leaf))) == digest
        assert contract.isGenuine(as_argument(leaf)), "whether or not it is anchored"
        assert not contract.isAnchored(tree.root, as_argument(leaf), tree.proof(position))
        assert not contract.verifyReading(tree.root, as_argument(leaf), tree.proof(position))
    anchor(market, tree.root, anchoring_oracle)
    for position, leaf in enumerate(leaves):
        assert contract.isAnchored(tree.root, as_argument(leaf), tree.proof(position))
        assert contract.verifyReading(tree.root, as_argument(leaf), tree.proof(position))


def test_a_changed_reading_isnt_in_the_batch(
    market: Any, leaves: list[list[Any]], anchoring_oracle: Any
) -> None:
    contract, tree = market.ReadingAnchor, tree_of(leaves)
    anchor(market, tree.root, anchoring_oracle)
    for place in range(len(leaves[2])):
        changed = list(leaves[2])
        value = changed[place]
        changed[place] = value + 1 if isinstance(value, int) else value[:-1] + bytes((value[-1] ^ 1,))
        assert not contract.isAnchored(tree.root, as_argument(changed), tree.proof(2))
        # Position and length are the batch's, everything else is what the node signed.
        assert contract.isGenuine(as_argument(changed)) is (place < 2)
    assert not contract.isAnchored(tree.root, as_argument(leaves[2]), tree.proof(3))


def test_a_batch_doesnt_make_a_forged_reading_true(
    market: Any,
    readings: list[Reading],
    leaves: list[list[Any]],
    anchoring_oracle: Any,
    node: Any,
    stranger: Any,
) -> None:
    contract = market.ReadingAnchor
    forged = [
        leaf_of(market, readings[0], 0, node, signer=stranger),
        leaf_of(market, readings[1], 1, stranger),
        leaf_of(market, replace(readings[2], pod=keccak256(b"unknown")), 2, node),
        [*leaves[3][:6], leaves[3][6] + 1, *leaves[3][7:]],
        [*leaves[4][:3], parse_address("node", NOBODY), *leaves[4][4:-2], bytes(32), bytes(32)],
    ]
    tree = tree_of(forged)
    anchor(market, tree.root, anchoring_oracle)
    for position, leaf in enumerate(forged):
        assert contract.isAnchored(tree.root, as_argument(leaf), tree.proof(position))
        assert not contract.isGenuine(as_argument(leaf))
        assert not contract.verifyReading(tree.root, as_argument(leaf), tree.proof(position))


def test_a_signature_has_one_form(market: Any, leaves: list[list[Any]]) -> None:
    *fields, r, vs = leaves[0]
    parity, s = vs[0] >> 7, int.from_bytes(vs, "big") % 2**255
    high = CURVE_ORDER - s + (1 - parity) * 2**255
    assert not market.ReadingAnchor.isGenuine(as_argument([*fields, r, (high % 2**256).to_bytes(32, "big")]))
    assert market.ReadingAnchor.isGenuine(as_argument([*fields, r, vs]))


def test_a_position_is_within_its_length(
    market: Any, readings: list[Reading], anchoring_oracle: Any, node: Any
) -> None:
    leaves = [leaf_of(market, reading, position, node) for position, reading in enumerate(readings)]
    leaves[1][0] = LENGTH
    hashes = b"".join(tree_of([leaf]).root for leaf in leaves)
    tree = MerkleTree(np.frombuffer(hashes, dtype=np.uint8).reshape(-1, 32))
    anchor(market, tree.root, anchoring_oracle)
    expected = [True, False, True, True, True]
    for position, leaf in enumerate(leaves):
        found = market.ReadingAnchor.isAnchored(tree.root, as_argument(leaf), tree.proof(position))
        assert found is expected[position]


def ending_at(market: Any, instant: int, node: Any, **changes: Any) -> list[Any]:
    """A reading whose period ends at an instant, signed by a node."""
    reading = Reading(POD, instant - PERIOD_S, PERIOD_S, 1, 0, 0, 0, 0, 0, 1)
    return as_argument(leaf_of(market, replace(reading, **changes), 0, node))


def test_a_key_counts_while_it_serves(
    market: Any, registered_at: int, node: Any, aggregator: Any, dso: Any
) -> None:
    genuine = market.ReadingAnchor.isGenuine
    assert not genuine(ending_at(market, registered_at - 1, node))
    assert genuine(ending_at(market, registered_at, node))
    second, pods = account_of("second node"), market.PodRegistry
    key = NodeKey(POD, second.address, FOREVER)
    signatures = [key.sign(domain(pods), key_of(signer)) for signer in (second, dso)]
    rotated_at = registered_at + 5000
    next_block_at(rotated_at)
    pods.rotateNode(astuple(key), signatures[0], dso, signatures[1], {"from": aggregator})
    assert genuine(ending_at(market, rotated_at - 1, node))
    assert not genuine(ending_at(market, rotated_at, node))
    assert not genuine(ending_at(market, rotated_at - 1, second))
    assert genuine(ending_at(market, rotated_at, second))
    revoked_at = rotated_at + 5000
    next_block_at(revoked_at)
    pods.revokeNode(POD, "stolen", {"from": aggregator})
    assert genuine(ending_at(market, revoked_at - 1, second))
    assert not genuine(ending_at(market, revoked_at, second))
    assert genuine(ending_at(market, rotated_at - 1, node)), "the past stays as it was"


def test_the_period_ends_beyond_any_type_without_overflow(market: Any, registered_at: int, node: Any) -> None:
    latest = Reading(POD, 2**64 - 1, 2**32 - 1, 1, 0, 0, 0, 0, 0, 1)
    assert market.ReadingAnchor.isGenuine(as_argument(leaf_of(market, latest, 0, node)))


@pytest.mark.parametrize(
    "field",
    [
        "absorbedActiveWh",
        "injectedActiveWh",
        "absorbedInductiveVarh",
        "injectedInductiveVarh",
        "absorbedCapacitiveVarh",
        "injectedCapacitiveVarh",
    ],
)
def test_a_key_that_contradicts_itself_is_revoked(
    market: Any, readings: list[Reading], leaves: list[list[Any]], node: Any, stranger: Any, field: str
) -> None:
    other = replace(readings[2], **{field: getattr(readings[2], field) + 1})
    pair = [as_argument(leaf) for leaf in (leaves[2], leaf_of(market, other, 4, node))]
    at = readings[-1].startTime + PERIOD_S + 1
    next_block_at(at)
    tx = market.ReadingAnchor.reportContradiction(*pair, {"from": stranger})
    digests = [reading.digest(CHAIN_ID, market.ReadingAnchor.address) for reading in (readings[2], other)]
    assert tx.events["ContradictionReported"] == {
        "pod": "0x" + POD.hex(),
        "node": node,
        "startTime": readings[2].startTime,
        "periodS": PERIOD_S,
        "firstDigest": "0x" + digests[0].hex(),
        "secondDigest": "0x" + digests[1].hex(),
    }
    assert tx.events["NodeRevoked"] == {
        "pod": "0x" + POD.hex(),
        "node": node,
        "by": market.ReadingAnchor.address,
        "reason": "two readings of one period",
    }
    assert market.PodRegistry.isRevoked(node)
    assert (market.PodRegistry.nodeOf(POD), market.PodRegistry.podOfNode(node)) == (NOBODY, "0x" + "00" * 32)
    for leaf in (*map(as_argument, leaves), *pair):
        assert market.ReadingAnchor.isGenuine(leaf), "what was right when a settlement was posted stays right"
    assert not market.ReadingAnchor.isGenuine(ending_at(market, at, node))
    again = market.ReadingAnchor.reportContradiction(*reversed(pair), {"from": stranger})
    assert "NodeRevoked" not in again.events


def test_only_a_contradiction_is_one(
    market: Any, readings: list[Reading], leaves: list[list[Any]], node: Any, stranger: Any
) -> None:
    contract, first = market.ReadingAnchor, as_argument(leaves[2])

    def digest_of(reading: Reading) -> bytes:
        return reading.digest(CHAIN_ID, contract.address)

    def report(other: Reading, *signers: Any) -> Any:
        leaf = as_argument(leaf_of(market, other, 2, *(signers or (node,))))
        return contract.reportContradiction(first, leaf, {"from": stranger})

    changed = replace(readings[2], absorbedActiveWh=1)
    for other in (
        replace(changed, startTime=readings[2].startTime + 1),
        replace(changed, periodS=PERIOD_S - 1),
        replace(changed, pod=keccak256(b"other pod")),
    ):
        with refused("ReadingAnchorNotOnePeriod", digest_of(readings[2]), digest_of(other)):
            report(other)
    with refused("ReadingAnchorNotOnePeriod", digest_of(readings[2]), digest_of(changed)):
        report(changed, stranger)
    resent = replace(readings[2], sequence=99)
    with refused("ReadingAnchorSameEnergies", digest_of(readings[2]), digest_of(resent)):
        report(resent)
    with refused("ReadingAnchorNotGenuine", digest_of(changed)):
        report(changed, node, stranger)
    forged = as_argument(leaf_of(market, changed, 2, node, stranger))
    with refused("ReadingAnchorNotGenuine", digest_of(changed)):
        contract.reportContradiction(forged, first, {"from": stranger})
    assert not market.PodRegistry.isRevoked(node)


def test_a_contradicting_key_serves_nowhere(
    market: Any, readings: list[Reading], leaves: list[list[Any]], node: Any, customer: Any, aggregator: Any
) -> None:
    """A key that went over to another pseudonym, or to none, is revoked by what it signed for the old one."""
    pods, other_pod = market.PodRegistry, keccak256(b"new pod")
    other = as_argument(leaf_of(market, replace(readings[0], absorbedActiveWh=1), 0, node))
    travel_to(readings[-1].startTime)
    people = (aggregator.address, customer.address, node.address, market.Vault.address)
    consent = Registration(other_pod, *people, 1, 1, 1, 1, POD, 1, FOREVER)
    pods.register(astuple(consent), consent.sign(domain(pods), key_of(customer)), {"from": aggregator})
    tx = market.ReadingAnchor.reportContradiction(as_argument(leaves[0]), other, {"from": customer})
    assert tx.events["NodeRevoked"]["pod"] == "0x" + other_pod.hex()
    assert pods.nodeOf(other_pod) == NOBODY
    assert pods.nodeOf(POD) == node, "the removed PoD's last"


def test_a_key_that_serves_no_pod_any_more_is_revoked_too(
    market: Any, readings: list[Reading], leaves: list[list[Any]], node: Any, customer: Any
) -> None:
    other = as_argument(leaf_of(market, replace(readings[0], absorbedActiveWh=1), 0, node))
    travel_to(readings[-1].startTime)
    market.PodRegistry.remove(POD, {"from": customer})
    tx = market.ReadingAnchor.reportContradiction(as_argument(leaves[0]), other, {"from": customer})
    assert tx.events["NodeRevoked"]["pod"] == "0x" + "00" * 32
    assert market.PodRegistry.isRevoked(node)
