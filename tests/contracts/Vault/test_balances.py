"""Deposits, withdrawals and locks (SPECIFICATION.md 4.x)."""

from typing import Any

import pytest
from brownie import project

from offchain.protocol.signatures import sign_digest, struct_hash, typed_digest
from tests.contracts.chain import refused
from tests.contracts.conftest import BALANCE_UEUR
from tests.contracts.play import EURO, NOBODY, fund, key_of

KEY, OTHER_KEY = b"\x01" * 32, b"\x02" * 32


AGGREGATOR_ROLE = 2


def vault_of_its_own(market: Any, euro: Any, admin: Any) -> Any:
    """A market whose controllers aren't set yet; its reserve is the administrator."""
    made = project.get_loaded_projects()[0].Market
    return made.deploy(market.Administration, market.MarketSessions.rules(), euro, admin, {"from": admin})


@pytest.fixture
def controller(stranger: Any) -> Any:
    """An account that a vault of its own takes for one of the market's contracts."""
    return stranger


@pytest.fixture
def vault(market: Any, admin: Any, controller: Any, aggregator: Any) -> Any:
    """A vault with a controller that is no contract; the aggregator has 100 euros in it."""
    made = vault_of_its_own(market, market.Euro, admin)
    made.setControllers([controller], {"from": admin})
    market.Euro.mint(aggregator, 100 * EURO, {"from": aggregator})
    market.Euro.approve(made, 100 * EURO, {"from": aggregator})
    made.deposit(100 * EURO, {"from": aggregator})
    return made


def test_deposit_and_withdraw(market: Any, aggregator: Any) -> None:
    tx = market.Vault.withdraw(BALANCE_UEUR, {"from": aggregator})
    assert tx.events["Withdrawn"] == {"account": aggregator, "amountUeur": BALANCE_UEUR}
    assert market.Euro.balanceOf(aggregator) == BALANCE_UEUR
    assert market.Vault.free(aggregator) == 0
    fund(market, aggregator, 5)
    assert market.Vault.free(aggregator) == 5


def test_deposit_for_another(market: Any, dso: Any, stranger: Any) -> None:
    market.Euro.mint(stranger, 7, {"from": stranger})
    market.Euro.approve(market.Vault, 7, {"from": stranger})
    tx = market.Vault.depositFor(dso, 7, {"from": stranger})
    assert tx.events["Deposited"] == {"account": dso, "from": stranger, "amountUeur": 7}
    assert market.Vault.free(dso) == BALANCE_UEUR + 7
    assert market.Vault.free(stranger) == 0
    with refused("VaultZeroAccount"):
        market.Vault.depositFor(NOBODY, 7, {"from": stranger})


def test_withdraws_only_what_is_free(vault: Any, controller: Any, aggregator: Any) -> None:
    vault.lock(KEY, aggregator, 60 * EURO, {"from": controller})
    with refused("VaultInsufficientFree", aggregator, 40 * EURO, 40 * EURO + 1):
        vault.withdraw(40 * EURO + 1, {"from": aggregator})
    vault.withdraw(40 * EURO, {"from": aggregator})
    with refused("VaultInsufficientFree", controller, 0, 1):
        vault.withdraw(1, {"from": controller})


def test_lock_release_move(vault: Any, controller: Any, aggregator: Any, dso: Any) -> None:
    vault.lock(KEY, aggregator, 60, {"from": controller})
    vault.lock(KEY, aggregator, 10, {"from": controller})
    vault.lock(OTHER_KEY, aggregator, 5, {"from": controller})
    vault.release(KEY, aggregator, 20, {"from": controller})
    tx = vault.move(KEY, aggregator, dso, 30, {"from": controller})
    assert tx.events["Moved"] == {"key": "0x" + KEY.hex(), "from": aggregator, "to": dso, "amountUeur": 30}
    assert vault.locked(KEY, aggregator) == 20
    assert vault.locked(OTHER_KEY, aggregator) == 5
    assert vault.free(aggregator) == 100 * EURO - 55
    assert vault.free(dso) == 30


def test_bonds_of_those_who_hold_the_role(
    vault: Any, controller: Any, admin: Any, aggregator: Any, dso: Any
) -> None:
    with refused("ParticipantRegistryMissingRole", aggregator, AGGREGATOR_ROLE):
        vault.bond(aggregator, AGGREGATOR_ROLE, 60, {"from": controller})
    vault.register(aggregator, 1 << AGGREGATOR_ROLE, "aggregator", {"from": admin})
    with refused("VaultInsufficientFree", aggregator, 100 * EURO, 100 * EURO + 1):
        vault.bond(aggregator, AGGREGATOR_ROLE, 100 * EURO + 1, {"from": controller})
    vault.bond(aggregator, AGGREGATOR_ROLE, 60, {"from": controller})
    with refused("VaultInsufficientFree", aggregator, 100 * EURO - 60, 100 * EURO - 59):
        vault.withdraw(100 * EURO - 59, {"from": aggregator})
    vault.unbond(aggregator, 10, {"from": controller})
    reserve, before = vault.reserve(), vault.free(vault.reserve())
    shares = (dso, 11, admin, 12)
    tx = vault.slash(aggregator, 30, shares, {"from": controller})
    assert tx.events["Slashed"] == {"from": aggregator, "amountUeur": 30, "shares": shares}
    assert (vault.bonded(aggregator), vault.free(aggregator)) == (20, 100 * EURO - 50)
    paid = {dso.address: 11, admin.address: 12}
    paid[reserve] = paid.get(reserve, 0) + 7
    known = {reserve: before}
    assert {account: vault.free(account) - known.get(account, 0) for account in paid} == paid
    with refused("VaultSharesAboveBond", 20, 21):
        vault.slash(aggregator, 20, (dso, 11, admin, 10), {"from": controller})
    with refused("VaultZeroAccount"):
        vault.slash(aggregator, 20, (NOBODY, 1, admin, 0), {"from": controller})
    for taken in (vault.unbond, lambda *a: vault.slash(*a[:2], (dso, 0, dso, 0), *a[2:])):
        with refused("VaultInsufficientBonded", aggregator, 20, 21):
            taken(aggregator, 21, {"from": controller})
    vault.suspend(aggregator, "forged readings", {"from": admin})
    with refused("ParticipantRegistrySuspended", aggregator):
        vault.bond(aggregator, AGGREGATOR_ROLE, 1, {"from": controller})
    vault.unbond(aggregator, 20, {"from": controller})


def test_deposits_with_a_permit_that_somebody_used_first(market: Any, aggregator: Any, stranger: Any) -> None:
    euro, deadline = market.Euro, 2**48
    euro.mint(aggregator, 10, {"from": aggregator})
    digest = typed_digest(
        bytes(euro.DOMAIN_SEPARATOR()),
        struct_hash(
            "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)",
            [aggregator.address, market.Vault.address, 10, euro.nonces(aggregator), deadline],
        ),
    )
    made = sign_digest(key_of(aggregator), digest)
    signature = (made[64], made[:32], made[32:64])
    euro.permit(aggregator, market.Vault, 10, deadline, *signature, {"from": stranger})
    market.Vault.depositWithPermit(10, deadline, *signature, {"from": aggregator})
    assert market.Vault.free(aggregator) == BALANCE_UEUR + 10


def test_one_key_never_pays_for_another(vault: Any, controller: Any, aggregator: Any, dso: Any) -> None:
    vault.lock(KEY, aggregator, 60, {"from": controller})
    with refused("VaultInsufficientLocked", OTHER_KEY, aggregator, 0, 1):
        vault.release(OTHER_KEY, aggregator, 1, {"from": controller})
    with refused("VaultInsufficientLocked", KEY, aggregator, 60, 61):
        vault.move(KEY, aggregator, dso, 61, {"from": controller})
    with refused("VaultInsufficientFree", dso, 0, 1):
        vault.lock(KEY, dso, 1, {"from": controller})
    with refused("VaultZeroAccount"):
        vault.move(KEY, aggregator, NOBODY, 1, {"from": controller})


def test_only_controllers_lock(vault: Any, admin: Any, aggregator: Any) -> None:
    for change in (
        lambda: vault.lock(KEY, aggregator, 1, {"from": admin}),
        lambda: vault.bond(aggregator, AGGREGATOR_ROLE, 0, {"from": admin}),
        lambda: vault.unbond(aggregator, 0, {"from": admin}),
        lambda: vault.slash(aggregator, 0, (admin, 0, admin, 0), {"from": admin}),
        lambda: vault.release(KEY, aggregator, 0, {"from": admin}),
        lambda: vault.move(KEY, aggregator, admin, 0, {"from": admin}),
    ):
        with refused("VaultNotAController", admin):
            change()


def test_controllers_are_set_once_by_an_administrator(market: Any, vault: Any, admin: Any, dso: Any) -> None:
    for contract in (market.Availability, market.OutcomeBoard, market.SettlementLedger):
        assert market.Vault.isController(contract)
    with refused("VaultControllersAlreadySet"):
        vault.setControllers([admin], {"from": admin})
    fresh = vault_of_its_own(market, market.Euro, admin)
    with refused("AccessManagedUnauthorized", dso):
        fresh.setControllers([dso], {"from": dso})
    with refused("VaultNoControllers"):
        fresh.setControllers([], {"from": admin})
    with refused("VaultZeroAccount"):
        fresh.setControllers([dso, NOBODY], {"from": admin})


def test_credits_what_arrives(market: Any, admin: Any, aggregator: Any) -> None:
    loaded = project.get_loaded_projects()[0]
    odd = loaded.OddEuro.deploy(6, {"from": admin})
    vault = vault_of_its_own(market, odd, admin)
    odd.mint(aggregator, 1000, {"from": aggregator})
    odd.approve(vault, 1000, {"from": aggregator})
    vault.deposit(1000, {"from": aggregator})
    assert vault.free(aggregator) == odd.balanceOf(vault) == 990
    with refused("VaultNothingArrived", aggregator, 0):
        vault.deposit(0, {"from": aggregator})


def test_takes_only_tokens_of_6_decimals(market: Any, admin: Any) -> None:
    loaded = project.get_loaded_projects()[0]
    odd = loaded.OddEuro.deploy(18, {"from": admin})
    with refused("VaultWrongDecimals", odd, 18):
        vault_of_its_own(market, odd, admin)


def test_needs_a_reserve(market: Any, admin: Any) -> None:
    made = project.get_loaded_projects()[0].Market
    with refused("VaultZeroReserve"):
        made.deploy(
            market.Administration, market.MarketSessions.rules(), market.Euro, NOBODY, {"from": admin}
        )
