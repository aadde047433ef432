"""Who has which role (SPECIFICATION.md 1.x)."""

from typing import Any

from tests.contracts.chain import refused
from tests.contracts.play import NOBODY

AGGREGATOR, STORE, OPERATOR = 2, 7, 9
ALL_ROLES = 2**11 - 1


def test_registers_roles(market: Any, admin: Any, stranger: Any) -> None:
    roles = 1 << AGGREGATOR | 1 << STORE
    tx = market.ParticipantRegistry.register(stranger, roles, "Newcomer", {"from": admin})
    assert tx.events["ParticipantRegistered"] == {"account": stranger, "roles": roles, "name": "Newcomer"}
    assert market.ParticipantRegistry.participant(stranger) == (roles, False)
    for role in range(OPERATOR + 1):
        expected = role in (AGGREGATOR, STORE)
        assert market.ParticipantRegistry.isActive(stranger, role) is expected
        assert market.ParticipantRegistry.hasRole(stranger, role) is expected
    market.ParticipantRegistry.requireRole(stranger, STORE)
    market.ParticipantRegistry.requireParticipant(stranger)


def test_missing_role_is_named(market: Any, aggregator: Any, stranger: Any) -> None:
    with refused("ParticipantRegistryMissingRole", aggregator, OPERATOR):
        market.ParticipantRegistry.requireRole(aggregator, OPERATOR)
    with refused("ParticipantRegistryUnknownAccount", stranger):
        market.ParticipantRegistry.requireParticipant(stranger)


def test_new_roles_replace_old_ones(market: Any, admin: Any, aggregator: Any) -> None:
    market.ParticipantRegistry.register(aggregator, 1 << STORE, "", {"from": admin})
    assert not market.ParticipantRegistry.isActive(aggregator, AGGREGATOR)


def test_suspension_takes_roles_and_reinstatement_returns_them(
    market: Any, admin: Any, aggregator: Any
) -> None:
    registry = market.ParticipantRegistry
    tx = registry.suspend(aggregator, "forged readings", {"from": admin})
    assert tx.events["ParticipantSuspended"]["reason"] == "forged readings"
    assert not registry.isActive(aggregator, AGGREGATOR)
    assert registry.hasRole(aggregator, AGGREGATOR)
    with refused("ParticipantRegistrySuspended", aggregator):
        registry.requireRole(aggregator, AGGREGATOR)
    with refused("ParticipantRegistrySuspended", aggregator):
        registry.requireParticipant(aggregator)
    with refused("ParticipantRegistrySuspended", aggregator):
        registry.suspend(aggregator, "again", {"from": admin})
    registry.register(aggregator, 1 << AGGREGATOR, "same", {"from": admin})
    assert not registry.isActive(aggregator, AGGREGATOR), "registering again must not end a suspension"
    registry.reinstate(aggregator, {"from": admin})
    assert registry.isActive(aggregator, AGGREGATOR)
    with refused("ParticipantRegistryNotSuspended", aggregator):
        registry.reinstate(aggregator, {"from": admin})


def test_refuses_bad_registrations(market: Any, admin: Any, stranger: Any) -> None:
    registry = market.ParticipantRegistry
    with refused("ParticipantRegistryZeroAccount"):
        registry.register(NOBODY, 1, "nobody", {"from": admin})
    with refused("ParticipantRegistryUnknownRoles", stranger, 0):
        registry.register(stranger, 0, "none", {"from": admin})
    with refused("ParticipantRegistryUnknownRoles", stranger, ALL_ROLES + 1):
        registry.register(stranger, ALL_ROLES + 1, "twelfth", {"from": admin})
    registry.register(stranger, ALL_ROLES, "all", {"from": admin})
    with refused("ParticipantRegistryUnknownAccount", market.Vault):
        registry.suspend(market.Vault, "unknown", {"from": admin})


def test_only_administrators_change_it(market: Any, operator: Any, aggregator: Any) -> None:
    for change in (
        lambda: market.ParticipantRegistry.register(operator, 1, "DSO", {"from": operator}),
        lambda: market.ParticipantRegistry.suspend(aggregator, "envy", {"from": operator}),
        lambda: market.ParticipantRegistry.reinstate(aggregator, {"from": operator}),
    ):
        with refused("AccessManagedUnauthorized", operator):
            change()
