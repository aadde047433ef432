"""The local chain: its state outlives it, and its clock only goes forward."""

import json
import os
from pathlib import Path

import pytest
from web3 import HTTPProvider, Web3

from offchain.chain.local import LocalChain, LocalChainFailed, find_anvil
from tests.chain.small_market import ADMIN, GENESIS_S, SmallMarket, pod

SAVED_PERIODS_S = (946_684_800, GENESIS_S)
"""A start long past and one ahead of the machine's clock."""


def running(folder: Path) -> dict[str, int]:
    return json.loads((folder / "running.json").read_text())


def test_state_and_logs_survive_stop_and_start(market: SmallMarket) -> None:
    market.register_pod(9)
    before, blocks = market.view.pods(), market.operator.head()
    market.chain.stop()
    market.chain.start()
    assert pod(9) in before
    assert market.view.pods() == before
    assert market.operator.head() == blocks
    assert market.view.session_ids() == [1]


@pytest.mark.parametrize("genesis_s", SAVED_PERIODS_S)
def test_the_clock_never_goes_back(tmp_path: Path, genesis_s: int) -> None:
    chain = LocalChain(tmp_path, genesis_s)
    chain.start()
    try:
        assert genesis_s <= chain.now_s() < genesis_s + 60
        chain.advance_to(genesis_s + 5_000)
        assert chain.now_s() == genesis_s + 5_000
        chain.advance_to(genesis_s + 4_000)
        assert chain.now_s() == genesis_s + 5_000, "an instant that is past moves nothing"
        chain.stop()
        chain.start()
        assert chain.now_s() == genesis_s + 5_000
        Web3(HTTPProvider(chain.url)).provider.make_request("anvil_mine", [])
        assert genesis_s + 5_000 <= chain.now_s() < genesis_s + 5_060, "it goes on from where it stood"
    finally:
        chain.stop()


def test_who_attaches_finds_the_running_chain_and_leaves_it_running(
    market: SmallMarket, tmp_path: Path
) -> None:
    before = running(tmp_path / "chain")
    with LocalChain(tmp_path / "chain") as attached:
        assert attached.url == market.chain.url
        assert attached.now_s() == market.chain.now_s()
    assert running(tmp_path / "chain") == before
    assert market.chain.now_s() >= GENESIS_S


def test_a_stopped_chain_leaves_no_process(tmp_path: Path) -> None:
    with LocalChain(tmp_path, GENESIS_S):
        pid = running(tmp_path)["pid"]
    assert not (tmp_path / "running.json").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_record_of_a_dead_chain_starts_it_again(tmp_path: Path) -> None:
    with LocalChain(tmp_path, GENESIS_S) as chain:
        chain.advance_to(GENESIS_S + 100)
        record = running(tmp_path)
    (tmp_path / "running.json").write_text(json.dumps(record))
    with LocalChain(tmp_path) as again:
        assert again.now_s() == GENESIS_S + 100
        assert running(tmp_path) != record


def test_a_chain_left_behind_is_ended(tmp_path: Path) -> None:
    LocalChain(tmp_path).stop_left_behind()
    left = LocalChain(tmp_path, GENESIS_S)
    left.start()
    pid = running(tmp_path)["pid"]
    LocalChain(tmp_path).stop_left_behind()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert left.state_file.exists()


def test_funds_an_account(tmp_path: Path) -> None:
    with LocalChain(tmp_path, GENESIS_S) as chain:
        chain.fund(ADMIN.address)
        balance = Web3(HTTPProvider(chain.url)).eth.get_balance(Web3.to_checksum_address(ADMIN.address))
        assert balance == 1000 * 10**18


def test_names_what_anvil_refuses(tmp_path: Path) -> None:
    with LocalChain(tmp_path, GENESIS_S) as chain, pytest.raises(LocalChainFailed, match="anvil_setBalance"):
        chain.fund("0x12")


def test_a_missing_anvil_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offchain.chain.local.__file__", str(tmp_path / "a" / "b" / "c.py"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalChainFailed, match="make setup"):
        find_anvil()
