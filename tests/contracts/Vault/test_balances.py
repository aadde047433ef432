"""Deposits, withdrawals and locks (SPECIFICATION.md 4.x)."""

from typing import Any

import pytest
from brownie import project

from tests.contracts.chain import refused
from tests.contracts.conftest import BALANCE_UEUR
from tests.contracts.play import EURO, NOBODY, fund

KEY, OTHER_KEY = b"\x01" * 32, b"\x02" * 32


@pytest.fixture
def controller(stranger: Any) -> Any:
    """An account that a vault of its own takes for one of the market's contracts."""
    return stranger


@pytest.fixture
def vault(market: Any, admin: Any, controller: Any, aggregator: Any) -> Any:
    """A vault with a controller that is no contract; the aggregator has 100 euros in it."""
    made = project.get_loaded_projects()[0].Vault.deploy(market.Administration, market.Euro, {"from": admin})
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


def test_lock_up_to_what_is_there(vault: Any, controller: Any, aggregator: Any) -> None:
    tx = vault.lockUpTo(KEY, aggregator, 30 * EURO, {"from": controller})
    assert tx.return_value == 30 * EURO
    tx = vault.lockUpTo(KEY, aggregator, 100 * EURO, {"from": controller})
    assert tx.return_value == 70 * EURO
    assert vault.free(aggregator) == 0
    assert vault.locked(KEY, aggregator) == 100 * EURO


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
        lambda: vault.lockUpTo(KEY, aggregator, 1, {"from": admin}),
        lambda: vault.release(KEY, aggregator, 0, {"from": admin}),
        lambda: vault.move(KEY, aggregator, admin, 0, {"from": admin}),
    ):
        with refused("VaultNotAController", admin):
            change()


def test_controllers_are_set_once_by_an_administrator(market: Any, vault: Any, admin: Any, dso: Any) -> None:
    for contract in (market.CommitmentBook, market.OutcomeBoard, market.SettlementLedger):
        assert market.Vault.isController(contract)
    with refused("VaultControllersAlreadySet"):
        vault.setControllers([admin], {"from": admin})
    fresh = project.get_loaded_projects()[0].Vault.deploy(market.Administration, market.Euro, {"from": admin})
    with refused("AccessManagedUnauthorized", dso):
        fresh.setControllers([dso], {"from": dso})
    with refused("VaultNoControllers"):
        fresh.setControllers([], {"from": admin})
    with refused("VaultZeroAccount"):
        fresh.setControllers([dso, NOBODY], {"from": admin})


def test_credits_what_arrives(market: Any, admin: Any, aggregator: Any) -> None:
    loaded = project.get_loaded_projects()[0]
    odd = loaded.OddEuro.deploy(6, {"from": admin})
    vault = loaded.Vault.deploy(market.Administration, odd, {"from": admin})
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
        loaded.Vault.deploy(market.Administration, odd, {"from": admin})
