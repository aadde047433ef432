"""Points of delivery and their customers' consent (SPECIFICATION.md 2.x)."""

from dataclasses import astuple, replace
from typing import Any

import pytest

from offchain.protocol.keccak import keccak256
from offchain.protocol.typed_data import Registration
from tests.contracts.chain import next_block_at, now_s, refused
from tests.contracts.conftest import account_of
from tests.contracts.play import FOREVER, NOBODY, domain
from tests.contracts.PodRegistry.conftest import OTHER_POD, POD, Register, key_of

POM = keccak256(b"pom")


def test_registers_what_the_customer_consented_to(
    market: Any, registration: Registration, register: Register, aggregator: Any, customer: Any, node: Any
) -> None:
    pods = market.PodRegistry
    assert bytes(pods.hashRegistration(astuple(registration))) == registration.digest(domain(pods))
    tx = register(registration)
    event = tx.events["PodRegistered"]
    for field in (
        "aggregator",
        "customer",
        "node",
        "mechanism",
        "maxUpW",
        "maxDownW",
        "maxUpVar",
        "maxDownVar",
    ):
        assert event[field] == getattr(registration, field)
    pod = pods.pods(POD)
    for field in (
        "aggregator",
        "customer",
        "node",
        "mechanism",
        "maxUpW",
        "maxDownW",
        "maxUpVar",
        "maxDownVar",
    ):
        assert pod[field] == getattr(registration, field)
    assert (pod["registeredAt"], pod["removedAt"]) == (now_s(), 0)
    assert pods.aggregatorOf(POD) == aggregator
    assert pods.nodeOf(POD) == node
    assert bytes(pods.podOfNode(node)) == POD
    assert pods.nonces(customer) == 1


def test_an_unknown_pod_is_all_zero(market: Any) -> None:
    assert market.PodRegistry.aggregatorOf(POD) == NOBODY
    assert not any(int(str(value), 16) for value in market.PodRegistry.pods(POD))


def test_consent_holds_for_exactly_what_was_signed(
    market: Any, registration: Registration, aggregator: Any, customer: Any
) -> None:
    pods = market.PodRegistry
    signature = registration.sign(domain(pods), key_of(customer))
    changes: list[dict[str, Any]] = [
        {"pod": OTHER_POD},
        {"node": market.Vault.address},
        {"mechanism": market.Vault.address},
        {"maxUpW": 6001},
        {"maxDownW": 5001},
        {"maxUpVar": 2001},
        {"maxDownVar": 1001},
        {"deadline": FOREVER - 1},
    ]
    for change in changes:
        changed = replace(registration, **change)
        with refused("PodRegistryBadConsent", customer, changed.digest(domain(pods))):
            pods.register(astuple(changed), signature, {"from": aggregator})
    own = registration.sign(domain(pods), key_of(aggregator))
    with refused("PodRegistryBadConsent", customer, registration.digest(domain(pods))):
        pods.register(astuple(registration), own, {"from": aggregator})


def test_only_the_named_aggregator_registers(
    market: Any,
    registration: Registration,
    register: Register,
    aggregator: Any,
    other_aggregator: Any,
    dso: Any,
) -> None:
    with refused("PodRegistryNotTheAggregator", POD, aggregator, other_aggregator):
        register(registration, other_aggregator)
    with refused("ParticipantRegistryMissingRole", dso, 2):
        register(replace(registration, aggregator=dso.address), dso)


def test_consent_is_used_once_and_in_time(
    registration: Registration, register: Register, customer: Any, node: Any, aggregator: Any
) -> None:
    with refused("PodRegistryWrongNonce", customer, 0, 1):
        register(replace(registration, nonce=1))
    deadline = now_s() + 100
    next_block_at(deadline + 1)
    with refused("PodRegistryExpired", deadline, deadline + 1):
        register(replace(registration, deadline=deadline))
    deadline = now_s() + 100
    next_block_at(deadline)
    register(replace(registration, deadline=deadline))
    second = replace(registration, pod=OTHER_POD, node=account_of("second node").address)
    with refused("PodRegistryWrongNonce", customer, 1, 0):
        register(second)
    register(replace(second, nonce=1))


def test_refuses_what_cant_be(
    registration: Registration, register: Register, node: Any, stranger: Any
) -> None:
    with refused("PodRegistryZeroValue", bytes(32), "pod"):
        register(replace(registration, pod=bytes(32)))
    with refused("PodRegistryZeroValue", POD, "customer"):
        register(replace(registration, customer=NOBODY))
    with refused("PodRegistryZeroValue", POD, "node"):
        register(replace(registration, node=NOBODY))
    with refused("PodRegistryMechanismWithoutCode", stranger):
        register(replace(registration, mechanism=stranger.address))
    register(registration)
    with refused("PodRegistryKnownPod", POD):
        register(replace(registration, nonce=1, node=stranger.address))
    with refused("PodRegistryNodeInUse", node, POD):
        register(replace(registration, nonce=1, pod=OTHER_POD))


def test_the_dso_sets_the_point_of_measure(
    market: Any, registration: Registration, register: Register, dso: Any, aggregator: Any
) -> None:
    with refused("PodRegistryUnknownPod", POD):
        market.PodRegistry.setPom(POD, POM, {"from": dso})
    register(registration)
    tx = market.PodRegistry.setPom(POD, POM, {"from": dso})
    assert tx.events["PomSet"]["dso"] == dso
    assert market.PodRegistry.pods(POD)["pom"] == "0x" + POM.hex()
    with refused("PodRegistryZeroValue", POD, "pom"):
        market.PodRegistry.setPom(POD, bytes(32), {"from": dso})
    with refused("ParticipantRegistryMissingRole", aggregator, 0):
        market.PodRegistry.setPom(POD, POM, {"from": aggregator})


@pytest.mark.parametrize("by", ["aggregator", "customer"])
def test_its_aggregator_or_customer_removes_it(
    market: Any, registration: Registration, register: Register, by: str, stranger: Any, dso: Any
) -> None:
    pods, remover = market.PodRegistry, account_of(by)
    register(registration)
    with refused("PodRegistryNotAllowed", POD, stranger):
        pods.remove(POD, {"from": stranger})
    pods.remove(POD, {"from": remover})
    removed_at = now_s()
    assert pods.pods(POD)["removedAt"] == removed_at
    assert pods.aggregatorOf(POD) == registration.aggregator, "past sessions are replayed with it"
    with refused("PodRegistryRemovedPod", POD, removed_at):
        pods.remove(POD, {"from": remover})
    with refused("PodRegistryRemovedPod", POD, removed_at):
        pods.setPom(POD, POM, {"from": dso})


def test_a_pseudonym_is_used_once_and_a_node_again(
    market: Any, registration: Registration, register: Register, customer: Any
) -> None:
    register(registration)
    market.PodRegistry.remove(POD, {"from": customer})
    with refused("PodRegistryKnownPod", POD):
        register(replace(registration, nonce=1))
    register(replace(registration, nonce=1, pod=OTHER_POD))
    assert bytes(market.PodRegistry.podOfNode(registration.node)) == OTHER_POD
