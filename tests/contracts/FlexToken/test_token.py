"""The reward token (SPECIFICATION.md 9.x)."""

from typing import Any

from brownie import project, web3
from eth_account import Account
from eth_account.messages import encode_typed_data

from tests.contracts.chain import now_s, refused
from tests.contracts.play import CHAIN_ID, NOBODY


def fresh_token(market: Any, admin: Any) -> Any:
    return project.get_loaded_projects()[0].FlexToken.deploy(market.Administration, {"from": admin})


def test_has_6_decimals_and_the_ledger_as_its_minter(market: Any) -> None:
    assert market.FlexToken.decimals() == 6
    assert market.FlexToken.minter() == market.SettlementLedger
    assert market.FlexToken.totalSupply() == 0


def test_nobody_else_mints(market: Any, admin: Any, settlement_oracle: Any) -> None:
    for sender in (admin, settlement_oracle):
        with refused("FlexTokenNotTheMinter", sender):
            market.FlexToken.mintBatch([sender], [1], {"from": sender})


def test_the_minter_is_set_once_by_an_administrator(market: Any, admin: Any, dso: Any) -> None:
    with refused("FlexTokenMinterAlreadySet", market.SettlementLedger):
        market.FlexToken.setMinter(admin, {"from": admin})
    token = fresh_token(market, admin)
    with refused("AccessManagedUnauthorized", dso):
        token.setMinter(dso, {"from": dso})
    with refused("FlexTokenZeroMinter"):
        token.setMinter(NOBODY, {"from": admin})


def test_permit_and_transfer(market: Any, admin: Any, customer: Any, stranger: Any) -> None:
    token = fresh_token(market, admin)
    token.setMinter(admin, {"from": admin})
    token.mintBatch([customer, stranger], [100, 5], {"from": admin})
    deadline = now_s() + 1000
    domain = {
        "name": "Flexledger reward",
        "version": "1",
        "chainId": CHAIN_ID,
        "verifyingContract": token.address,
    }
    fields = ("owner address", "spender address", "value uint256", "nonce uint256", "deadline uint256")
    types = {"Permit": [dict(zip(("name", "type"), field.split(), strict=True)) for field in fields]}
    values = (customer.address, stranger.address, 60, 0, deadline)
    message = dict(zip((field.split()[0] for field in fields), values, strict=True))
    signed = Account.sign_message(encode_typed_data(domain, types, message), customer.private_key)
    r, s = (web3.to_bytes(number).rjust(32, b"\0") for number in (signed.r, signed.s))
    token.permit(customer, stranger, 60, deadline, signed.v, r, s, {"from": stranger})
    token.transferFrom(customer, stranger, 60, {"from": stranger})
    assert (token.balanceOf(customer), token.balanceOf(stranger)) == (40, 65)
