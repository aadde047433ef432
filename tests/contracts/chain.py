"""What contract tests need of the chain: its clock, and refusals matched exactly."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from brownie import accounts, chain, web3
from brownie.exceptions import VirtualMachineError


def now_s() -> int:
    """Time of the newest block."""
    return int(web3.eth.get_block("latest").timestamp)


def next_block_at(instant_s: int) -> None:
    """The next transaction is mined at exactly this instant."""
    _rpc("evm_setNextBlockTimestamp", instant_s)


def travel_to(instant_s: int) -> None:
    """Mine an empty block at exactly this instant: views then see it."""
    next_block_at(instant_s)
    _rpc("anvil_mine")


@contextmanager
def undone() -> Iterator[None]:
    """The blocks that are mined inside are gone afterwards, as after a reorganisation."""
    # brownie keeps one snapshot, the isolation's: it stays the one to go back to after the test.
    isolation = chain._snapshot_id
    chain.snapshot()
    yield
    chain.revert()
    chain._snapshot_id = isolation


def speak_as(address: str) -> Any:
    """An account that sends in the name of a contract."""
    _rpc("anvil_impersonateAccount", address)
    return accounts.at(address, force=True)


@contextmanager
def refused(error: str, *arguments: object) -> Iterator[None]:
    """What runs inside must revert with this custom error and exactly these arguments."""
    with pytest.raises(VirtualMachineError) as refusal:
        yield
    assert refusal.value.revert_msg is not None, "reverted without a reason"
    assert refusal.value.revert_msg.strip() == f"{error}: {', '.join(map(_shown, arguments))}".strip()


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return repr(value)
    text = str(getattr(value, "address", value))
    return text.lower() if text.startswith("0x") else text


def _rpc(method: str, *parameters: Any) -> None:
    answer = web3.provider.make_request(method, list(parameters))
    assert "error" not in answer, answer
