"""Light Node keys: rotated with everybody's word, revoked by each, and when they served (SPECIFICATION.md 2.x)."""

from dataclasses import astuple, replace
from typing import Any

import pytest

from offchain.protocol.typed_data import NodeKey, Registration, contract_domain
from tests.contracts.chain import next_block_at, now_s, refused
from tests.contracts.conftest import account_of
from tests.contracts.play import CHAIN_ID, FOREVER, NOBODY, domain
from tests.contracts.PodRegistry.conftest import OTHER_POD, POD, Register, key_of


@pytest.fixture
def second(market: Any) -> Any:
    return account_of("second node")


@pytest.fixture
def key(registered: Registration, second: Any) -> NodeKey:
    return NodeKey(POD, second.address, FOREVER)


def rotate(market: Any, key: NodeKey, sender: Any, holder: Any, dso: Any, approver: Any = None) -> Any:
    pods = market.PodRegistry
    possession = key.sign(domain(pods), key_of(holder))
    approval = key.sign(domain(pods), key_of(approver or dso))
    return pods.rotateNode(astuple(key), possession, dso, approval, {"from": sender})


@pytest.mark.parametrize("by", ["aggregator", "customer"])
def test_a_key_is_rotated(market: Any, key: NodeKey, second: Any, node: Any, dso: Any, by: str) -> None:
    pods, registered_at = market.PodRegistry, now_s()
    assert bytes(pods.hashNodeKey(astuple(key))) == key.digest(domain(pods))
    at = registered_at + 1000
    next_block_at(at)
    tx = rotate(market, key, account_of(by), second, dso)
    assert tx.events["NodeRotated"] == {"pod": "0x" + POD.hex(), "node": second, "former": node, "dso": dso}
    assert pods.nodeOf(POD) == second
    assert (bytes(pods.podOfNode(second)), bytes(pods.podOfNode(node))) == (POD, bytes(32))
    assert tuple(pods.nodeService(POD, node)) == (registered_at, at)
    assert tuple(pods.nodeService(POD, second)) == (at, 0)
    served = [
        [
            pods.nodeServed(POD, each, instant)
            for instant in (registered_at - 1, registered_at, at - 1, at, FOREVER)
        ]
        for each in (node, second)
    ]
    assert served == [[False, True, True, False, False], [False, False, False, True, True]]
    assert not pods.nodeServed(OTHER_POD, second, at)


def test_a_key_needs_its_holder(market: Any, key: NodeKey, aggregator: Any, second: Any, dso: Any) -> None:
    """Nobody makes another's key speak for a PoD, and so keep it from its own."""
    digest = key.digest(domain(market.PodRegistry))
    for forger in (aggregator, dso):
        with refused("PodRegistryBadPossession", second, digest):
            rotate(market, key, aggregator, forger, dso)
    approval = key.sign(domain(market.PodRegistry), key_of(dso))
    for nothing in (b"", bytes(65), key.sign(domain(market.PodRegistry), key_of(second))[:64]):
        with refused("PodRegistryBadPossession", second, digest):
            market.PodRegistry.rotateNode(astuple(key), nothing, dso, approval, {"from": aggregator})


def test_a_key_needs_a_dso(
    market: Any, admin: Any, key: NodeKey, aggregator: Any, customer: Any, second: Any, dso: Any
) -> None:
    """An aggregator that makes itself the meter, its customer with it, would be paid for what it says."""
    with refused("PodRegistryBadApproval", dso, key.digest(domain(market.PodRegistry))):
        rotate(market, key, aggregator, second, dso, approver=customer)
    for sender in (aggregator, customer):
        with refused("ParticipantRegistryMissingRole", aggregator, 0):
            rotate(market, key, sender, second, aggregator)
    market.ParticipantRegistry.suspend(dso, "itself", {"from": admin})
    with refused("ParticipantRegistrySuspended", dso):
        rotate(market, key, aggregator, second, dso)


def test_only_the_pods_parties_rotate(
    market: Any, key: NodeKey, second: Any, dso: Any, stranger: Any, other_aggregator: Any
) -> None:
    for sender in (stranger, other_aggregator, dso, second):
        with refused("PodRegistryNotAllowed", POD, sender):
            rotate(market, key, sender, second, dso)


def test_a_possession_is_for_one_pod_contract_and_chain(
    market: Any,
    key: NodeKey,
    registered: Registration,
    register: Register,
    aggregator: Any,
    second: Any,
    dso: Any,
) -> None:
    pods = market.PodRegistry
    register(replace(registered, pod=OTHER_POD, node=account_of("third node").address, nonce=1))
    moved = replace(key, pod=OTHER_POD)
    approval = moved.sign(domain(pods), key_of(dso))
    signatures = [key.sign(domain(pods), key_of(second))] + [
        moved.sign(contract_domain("PodRegistry", *place), key_of(second))
        for place in ((CHAIN_ID + 1, pods.address), (CHAIN_ID, dso.address))
    ]
    for signature in signatures:
        with refused("PodRegistryBadPossession", second, moved.digest(domain(pods))):
            pods.rotateNode(astuple(moved), signature, dso, approval, {"from": aggregator})


def test_a_rotation_is_in_time(market: Any, key: NodeKey, aggregator: Any, second: Any, dso: Any) -> None:
    deadline = now_s() + 100
    next_block_at(deadline + 1)
    with refused("PodRegistryExpired", deadline, deadline + 1):
        rotate(market, replace(key, deadline=deadline), aggregator, second, dso)
    deadline = now_s() + 100
    next_block_at(deadline)
    rotate(market, replace(key, deadline=deadline), aggregator, second, dso)


def test_no_key_comes_back(
    market: Any, key: NodeKey, registered: Registration, aggregator: Any, second: Any, node: Any, dso: Any
) -> None:
    """A former key's service stays as it was; a key in use isn't taken."""
    with refused("PodRegistryNodeInUse", node, POD):
        rotate(market, replace(key, node=node.address), aggregator, node, dso)
    rotate(market, key, aggregator, second, dso)
    with refused("PodRegistryFormerNode", POD, node):
        rotate(market, replace(key, node=node.address), aggregator, node, dso)
    with refused("PodRegistryNodeInUse", second, POD):
        rotate(market, key, aggregator, second, dso)
    with refused("PodRegistryZeroValue", POD, "node"):
        rotate(market, replace(key, node=NOBODY), aggregator, second, dso)


def test_a_key_that_serves_another_pod_isnt_taken(
    market: Any,
    key: NodeKey,
    registered: Registration,
    register: Register,
    aggregator: Any,
    second: Any,
    dso: Any,
) -> None:
    register(replace(registered, pod=OTHER_POD, node=second.address, nonce=1))
    with refused("PodRegistryNodeInUse", second, OTHER_POD):
        rotate(market, key, aggregator, second, dso)


@pytest.mark.parametrize("by", ["aggregator", "customer", "dso"])
def test_a_key_is_revoked_for_good(
    market: Any,
    key: NodeKey,
    registered: Registration,
    register: Register,
    node: Any,
    second: Any,
    dso: Any,
    by: str,
) -> None:
    pods, at = market.PodRegistry, now_s() + 500
    next_block_at(at)
    tx = pods.revokeNode(POD, "stolen", {"from": account_of(by)})
    assert tx.events["NodeRevoked"] == {
        "pod": "0x" + POD.hex(),
        "node": node,
        "by": account_of(by),
        "reason": "stolen",
    }
    assert (pods.nodeOf(POD), bytes(pods.podOfNode(node)), pods.isRevoked(node)) == (NOBODY, bytes(32), True)
    assert (pods.nodeServed(POD, node, at - 1), pods.nodeServed(POD, node, at)) == (True, False)
    with refused("PodRegistryZeroValue", POD, "node"):
        pods.revokeNode(POD, "again", {"from": account_of(by)})
    aggregator = account_of("aggregator")
    with refused("PodRegistryRevokedNode", node):
        rotate(market, replace(key, node=node.address), aggregator, node, dso)
    with refused("PodRegistryRevokedNode", node):
        register(replace(registered, pod=OTHER_POD, nonce=1))
    tx = rotate(market, key, aggregator, second, dso)
    assert tx.events["NodeRotated"]["former"] == NOBODY
    assert tuple(pods.nodeService(POD, node))[1] == at, "a rotation after it changes nothing"


def test_who_revokes_a_key(
    market: Any,
    registered: Registration,
    stranger: Any,
    other_aggregator: Any,
    operator: Any,
    tso: Any,
    dso: Any,
) -> None:
    for sender in (stranger, other_aggregator, operator, tso):
        with refused("PodRegistryNotAllowed", POD, sender):
            market.PodRegistry.revokeNode(POD, "stolen", {"from": sender})
    with refused("PodRegistryWithoutReason", POD):
        market.PodRegistry.revokeNode(POD, "", {"from": dso})


def test_a_pod_without_a_key_leaves(
    market: Any, registered: Registration, aggregator: Any, node: Any
) -> None:
    pods = market.PodRegistry
    pods.revokeNode(POD, "stolen", {"from": aggregator})
    revoked_at = now_s()
    next_block_at(revoked_at + 100)
    pods.remove(POD, {"from": aggregator})
    assert tuple(pods.nodeService(POD, node))[1] == revoked_at
    with refused("PodRegistryRemovedPod", POD, now_s()):
        pods.revokeNode(POD, "stolen", {"from": aggregator})


def test_a_removed_pods_key_isnt_rotated(
    market: Any, key: NodeKey, aggregator: Any, second: Any, dso: Any, customer: Any
) -> None:
    market.PodRegistry.remove(POD, {"from": customer})
    with refused("PodRegistryRemovedPod", POD, now_s()):
        rotate(market, key, aggregator, second, dso)


def test_the_reading_anchor_is_named_once_by_an_administrator(
    market: Any, admin: Any, stranger: Any, registry_alone: Any
) -> None:
    with refused("AccessManagedUnauthorized", stranger):
        registry_alone.setReadingAnchor(market.ReadingAnchor, {"from": stranger})
    with refused("PodRegistryZeroValue", bytes(32), "readingAnchor"):
        registry_alone.setReadingAnchor(NOBODY, {"from": admin})
    registry_alone.setReadingAnchor(stranger, {"from": admin})
    with refused("PodRegistryReadingAnchorKnown", stranger):
        registry_alone.setReadingAnchor(market.ReadingAnchor, {"from": admin})
    assert market.PodRegistry.readingAnchor() == market.ReadingAnchor


def test_only_the_reading_anchor_judges_readings(
    market: Any, admin: Any, operator: Any, dso: Any, node: Any
) -> None:
    for sender in (admin, operator, dso):
        with refused("PodRegistryNotTheReadingAnchor", sender):
            market.PodRegistry.revokeContradicting(node, {"from": sender})
