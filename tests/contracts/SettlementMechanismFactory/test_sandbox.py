"""Mechanisms that nobody vouches for: a bad one harms only its own PoDs (SPECIFICATION.md 7.x)."""

from enum import IntEnum
from typing import Any

import pytest
from brownie import project, web3
from brownie.exceptions import VirtualMachineError

STIPEND_GAS = 100_000
CALL_GAS = 5000
LEAST_GAS = CALL_GAS + STIPEND_GAS * 64 // 63
GREATEST = 2**32 - 1
Manner = IntEnum(
    "Manner",
    "REVERT REVERT_WITH_A_PRICE REVERT_WITH_A_BOMB BURN_ALL_GAS BOMB NOTHING SHORT LONG ABOVE_MOST HUGE WRITE GREATEST"
    " SPEND",
    start=0,
)
PUSH_1, PUSH_32 = 0x60, 0x7F
FORBIDDEN = {
    *range(0x31, 0x34),  # BALANCE, ORIGIN, CALLER
    0x3A,  # GASPRICE
    0x3F,  # EXTCODEHASH
    *range(0x40, 0x4B),  # BLOCKHASH, COINBASE, TIMESTAMP, ... to BLOBBASEFEE
    0x54,  # SLOAD
    0x55,  # SSTORE
    0x5A,  # GAS
    0x5C,  # TLOAD
    0x5D,  # TSTORE
    *range(0xA0, 0xA5),  # LOG
    *range(0xF0, 0xF3),  # CREATE, CALL, CALLCODE
    0xF4,  # DELEGATECALL
    0xF5,  # CREATE2
    0xFA,  # STATICCALL
    0xFF,  # SELFDESTRUCT
}


def code_of(name: str) -> Any:
    return project.get_loaded_projects()[0].dict()[name]


@pytest.fixture(scope="module")
def harness(market: Any, admin: Any) -> Any:
    return code_of("MechanismCallsHarness").deploy({"from": admin})


def nasty(admin: Any, manner: Manner, spend: int = 0) -> Any:
    return code_of("NastyMechanism").deploy(manner, spend, {"from": admin})


@pytest.mark.parametrize("manner", [manner for manner in Manner if manner < Manner.GREATEST])
def test_a_bad_mechanism_gives_no_price(harness: Any, admin: Any, manner: Manner) -> None:
    mechanism = nasty(admin, manner)
    assert tuple(harness.tryCustomerPrice(mechanism, 6, 95, 1)) == (False, 0)
    assert harness.gasOfAsking(mechanism) < STIPEND_GAS + CALL_GAS, "what it may cost its caller at most"


def test_a_strange_mechanism_within_the_rules_is_taken(harness: Any, admin: Any) -> None:
    assert tuple(harness.tryCustomerPrice(nasty(admin, Manner.GREATEST), 6, 95, 1)) == (True, GREATEST)
    assert tuple(harness.tryCustomerPrice(nasty(admin, Manner.SPEND, 90_000), 6, 95, 1)) == (True, 7)
    assert tuple(harness.tryCustomerPrice(nasty(admin, Manner.SPEND, 99_999), 6, 95, 1)) == (False, 0)


def test_an_account_without_code_gives_no_price(harness: Any, stranger: Any) -> None:
    precompiles = [f"0x{number:040x}" for number in range(1, 11)]
    for account in (stranger, *precompiles):
        assert tuple(harness.tryCustomerPrice(account, 6, 95, 1)) == (False, 0)


def test_the_factorys_mechanisms_answer_within_a_tenth(market: Any, harness: Any, aggregator: Any) -> None:
    table, factory = [[2500 + day for _ in range(96)] for day in range(7)], market.SettlementMechanismFactory
    fixed = factory.createFixedPrice(table, "fixed", {"from": aggregator}).return_value
    share = factory.createPercentage(table, "share", {"from": aggregator}).return_value
    assert tuple(harness.tryCustomerPrice(fixed, 6, 95, 4)) == (True, 2506)
    assert tuple(harness.tryCustomerPrice(share, 6, 95, 40_000)) == (True, 40_000 * 2506 // 10_000)
    for mechanism in (fixed, share):
        assert tuple(harness.tryCustomerPrice(mechanism, 7, 95, 1)) == (False, 0), "a day that isn't"
        assert tuple(harness.tryCustomerPrice(mechanism, 6, 96, 1)) == (False, 0), "a quarter-hour that isn't"
        assert harness.gasOfAsking(mechanism) < STIPEND_GAS // 10


def test_a_caller_cant_starve_a_mechanism(harness: Any, admin: Any) -> None:
    """With whatever gas, a mechanism that needs nearly all of the stipend is priced rightly or everything reverts."""
    mechanism = nasty(admin, Manner.SPEND, 98_000)
    answers, refusals = set(), set()
    for gas in range(LEAST_GAS + 15_000, LEAST_GAS + 45_000, 250):
        try:
            found = harness.tryCustomerPrice.call(mechanism, 6, 95, 1, {"from": admin, "gas_limit": gas})
            answers.add(tuple(found))
        except VirtualMachineError as refusal:
            refusals.add(str(refusal.revert_msg).split(":")[0])
    assert answers == {(True, 7)}
    assert refusals == {"MechanismCallsTooLittleGas"}


def opcodes(code: bytes) -> set[int]:
    """The opcodes of a contract, without what PUSH carries and the compiler's metadata at the end."""
    code = code[: -2 - int.from_bytes(code[-2:], "big")]
    found, place = set(), 0
    while place < len(code):
        found.add(code[place])
        place += 1 + max(0, code[place] - PUSH_1 + 1 if code[place] <= PUSH_32 else 0)
    return found


@pytest.mark.parametrize("name", ["fixedPrice", "percentage"])
def test_the_factorys_mechanisms_read_neither_time_nor_others(market: Any, name: str) -> None:
    assert (
        not opcodes(bytes(web3.eth.get_code(getattr(market.SettlementMechanismFactory, name)()))) & FORBIDDEN
    )


def test_that_test_would_see_it(market: Any, admin: Any) -> None:
    assert 0x42 in opcodes(bytes(web3.eth.get_code(market.PodRegistry.address)))
    assert 0x5A in opcodes(bytes(web3.eth.get_code(nasty(admin, Manner.SPEND).address)))


def test_a_clone_is_its_code_and_its_table(market: Any, aggregator: Any) -> None:
    """Nothing in it can be changed, nor where it leads."""
    factory = market.SettlementMechanismFactory
    made = factory.createFixedPrice([[7] * 96] * 7, "seven", {"from": aggregator}).return_value
    leads_to = bytes.fromhex(factory.fixedPrice()[2:])
    proxy = bytes.fromhex("363d3d373d3d3d363d73") + leads_to + bytes.fromhex("5af43d82803e903d91602b57fd5bf3")
    assert bytes(web3.eth.get_code(made)) == proxy + (7).to_bytes(4, "big") * 672
