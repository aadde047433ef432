"""How a PoD leaves: revoked by its customer without gas, or replaced by a contract with another aggregator."""

from dataclasses import astuple, replace
from typing import Any

import pytest

from offchain.protocol.typed_data import Registration, Revocation, contract_domain
from tests.contracts.chain import next_block_at, now_s, refused
from tests.contracts.conftest import account_of
from tests.contracts.play import CHAIN_ID, FOREVER, domain
from tests.contracts.PodRegistry.conftest import OTHER_POD, POD, Register, key_of


@pytest.fixture
def revocation(registered: Registration) -> Revocation:
    return Revocation(POD, 1, FOREVER)


def revoke(market: Any, revocation: Revocation, signer: Any, sender: Any) -> Any:
    signature = revocation.sign(domain(market.PodRegistry), key_of(signer))
    return market.PodRegistry.revoke(astuple(revocation), signature, {"from": sender})


def test_the_customer_revokes_and_anybody_sends_it(
    market: Any, revocation: Revocation, customer: Any, stranger: Any, node: Any
) -> None:
    pods = market.PodRegistry
    assert bytes(pods.hashRevocation(astuple(revocation))) == revocation.digest(domain(pods))
    at = now_s() + 100
    next_block_at(at)
    tx = revoke(market, revocation, customer, stranger)
    assert tx.events["PodRemoved"] == {"pod": "0x" + POD.hex(), "by": customer}
    assert pods.pods(POD)["removedAt"] == at
    assert bytes(pods.podOfNode(node)) == bytes(32)
    assert pods.nonces(customer) == 2
    assert pods.nodeServed(POD, node, at - 1)
    assert not pods.nodeServed(POD, node, at)
    with refused("PodRegistryRemovedPod", POD, at):
        revoke(market, revocation, customer, stranger)


def test_a_revocation_is_used_in_time_and_in_order(
    market: Any, revocation: Revocation, customer: Any, stranger: Any
) -> None:
    with refused("PodRegistryWrongNonce", customer, 1, 2):
        revoke(market, replace(revocation, nonce=2), customer, stranger)
    deadline = now_s() + 100
    next_block_at(deadline + 1)
    with refused("PodRegistryExpired", deadline, deadline + 1):
        revoke(market, replace(revocation, deadline=deadline), customer, stranger)
    deadline = now_s() + 100
    next_block_at(deadline)
    revoke(market, replace(revocation, deadline=deadline), customer, stranger)


def test_nobody_else_revokes(
    market: Any, revocation: Revocation, customer: Any, aggregator: Any, stranger: Any
) -> None:
    pods = market.PodRegistry
    digest = revocation.digest(domain(pods))
    for signer in (aggregator, stranger):
        with refused("PodRegistryBadConsent", customer, digest):
            revoke(market, revocation, signer, stranger)
    foreign = (
        contract_domain("PodRegistry", CHAIN_ID + 1, pods.address),
        contract_domain("PodRegistry", CHAIN_ID, stranger.address),
        contract_domain("Market", CHAIN_ID, pods.address),
    )
    for other in foreign:
        with refused("PodRegistryBadConsent", customer, digest):
            pods.revoke(astuple(revocation), revocation.sign(other, key_of(customer)), {"from": stranger})
    with refused("PodRegistryUnknownPod", OTHER_POD):
        revoke(market, replace(revocation, pod=OTHER_POD), customer, stranger)


def test_a_revocation_of_one_pod_isnt_anothers(
    market: Any,
    revocation: Revocation,
    registered: Registration,
    register: Register,
    customer: Any,
    stranger: Any,
) -> None:
    other = replace(registered, pod=OTHER_POD, node=account_of("second node").address, nonce=1)
    register(other)
    pods, signed = market.PodRegistry, replace(revocation, nonce=2)
    signature = signed.sign(domain(pods), key_of(customer))
    moved = replace(signed, pod=OTHER_POD)
    with refused("PodRegistryBadConsent", customer, moved.digest(domain(pods))):
        pods.revoke(astuple(moved), signature, {"from": stranger})


def test_a_consent_doesnt_outlive_a_revocation(
    market: Any,
    revocation: Revocation,
    registered: Registration,
    register: Register,
    customer: Any,
    stranger: Any,
) -> None:
    """What the customer signed before it left, an aggregator can't use after."""
    revoke(market, revocation, customer, stranger)
    with refused("PodRegistryKnownPod", POD):
        register(registered)
    with refused("PodRegistryWrongNonce", customer, 2, 1):
        register(replace(registered, pod=OTHER_POD, nonce=1))


def test_a_wallet_contract_consents_and_revokes(
    market: Any, registration: Registration, register: Register, wallet: Any, stranger: Any
) -> None:
    owner = account_of("owner of a wallet")
    consent = replace(registration, customer=wallet.address)
    register(consent, signer=owner)
    revocation = Revocation(POD, 1, FOREVER)
    with refused("PodRegistryBadConsent", wallet, revocation.digest(domain(market.PodRegistry))):
        revoke(market, revocation, stranger, stranger)
    revoke(market, revocation, owner, stranger)
    assert market.PodRegistry.pods(POD)["removedAt"] != 0


@pytest.fixture
def switch(registered: Registration, other_aggregator: Any) -> Registration:
    """The same customer and Light Node with another aggregator."""
    return replace(registered, pod=OTHER_POD, aggregator=other_aggregator.address, replaces=POD, nonce=1)


def test_a_customer_switches_and_its_node_goes_over(
    market: Any,
    switch: Registration,
    register: Register,
    other_aggregator: Any,
    aggregator: Any,
    node: Any,
    dso: Any,
) -> None:
    pods = market.PodRegistry
    pods.prequalifyGrid(POD, 15, "", {"from": dso})
    pods.prequalifyProducts(POD, 15, "", {"from": dso})
    at = now_s() + 100
    next_block_at(at)
    tx = register(switch, other_aggregator)
    assert tx.events["PodRemoved"] == {"pod": "0x" + POD.hex(), "by": switch.customer}
    assert tx.events["PodReplaced"] == {"replaced": "0x" + POD.hex(), "pod": "0x" + OTHER_POD.hex()}
    assert pods.pods(POD)["removedAt"] == at
    assert (pods.aggregatorOf(POD), pods.aggregatorOf(OTHER_POD)) == (aggregator, other_aggregator)
    assert bytes(pods.podOfNode(node)) == OTHER_POD
    assert (pods.nodeServed(POD, node, at - 1), pods.nodeServed(POD, node, at)) == (True, False)
    assert (pods.nodeServed(OTHER_POD, node, at - 1), pods.nodeServed(OTHER_POD, node, at)) == (False, True)
    assert not any(pods.offerable(pod, 0) for pod in (POD, OTHER_POD)), "a DSO looks at a new contract anew"


def test_a_switch_may_bring_its_own_node(
    market: Any, switch: Registration, register: Register, other_aggregator: Any, node: Any, aggregator: Any
) -> None:
    other = account_of("second node")
    market.PodRegistry.revokeNode(POD, "stolen", {"from": aggregator})
    with refused("PodRegistryRevokedNode", node):
        register(switch, other_aggregator)
    register(replace(switch, node=other.address), other_aggregator)
    assert bytes(market.PodRegistry.podOfNode(other)) == OTHER_POD
    assert bytes(market.PodRegistry.podOfNode(node)) == bytes(32)


def test_a_customer_ends_only_its_own_contracts(
    market: Any, switch: Registration, register: Register, other_aggregator: Any, stranger: Any, node: Any
) -> None:
    theft = replace(switch, customer=stranger.address, nonce=0)
    with refused("PodRegistryNotTheCustomers", POD, stranger):
        register(theft, other_aggregator, signer=stranger)
    with refused("PodRegistryUnknownPod", OTHER_POD):
        register(replace(switch, replaces=OTHER_POD), other_aggregator)
    with refused("PodRegistryNodeInUse", node, POD):
        register(replace(switch, replaces=bytes(32)), other_aggregator)
    unsigned = replace(switch, replaces=bytes(32), node=account_of("second node").address)
    pods = market.PodRegistry
    signature = unsigned.sign(domain(pods), key_of(account_of("customer")))
    changed = replace(unsigned, replaces=POD)
    with refused("PodRegistryBadConsent", switch.customer, changed.digest(domain(pods))):
        pods.register(astuple(changed), signature, {"from": other_aggregator})
    assert pods.pods(POD)["removedAt"] == 0


def test_what_is_removed_isnt_replaced(
    market: Any, switch: Registration, register: Register, other_aggregator: Any, customer: Any
) -> None:
    market.PodRegistry.remove(POD, {"from": customer})
    with refused("PodRegistryRemovedPod", POD, now_s()):
        register(switch, other_aggregator)
