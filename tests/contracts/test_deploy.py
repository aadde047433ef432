"""The deploy script: run again it changes nothing, killed half-way it goes on (SPECIFICATION.md 13.x)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from brownie import web3

from offchain.chain.manifest import Manifest
from scripts.deploy import Deployment, DeploymentError, deploy_market
from tests.contracts.chain import refused

CONTRACTS = {
    "Administration",
    "ArbiterCases",
    "AssessmentChallenges",
    "Availability",
    "ClearingChallenges",
    "CommitmentBook",
    "DataNotary",
    "DeliveryChallenges",
    "Demands",
    "Euro",
    "FixedPriceMechanism",
    "FlexToken",
    "Market",
    "MarketSessions",
    "OutcomeBoard",
    "OutcomeChallenges",
    "ParticipantRegistry",
    "PercentageMechanism",
    "PodRegistry",
    "ReadingAnchor",
    "RealTimeChallenges",
    "RelayStakes",
    "ReserveChallenges",
    "SessionRules",
    "SettlementChallenges",
    "SettlementLedger",
    "SettlementMechanismFactory",
    "Vault",
}


class Killed(Exception):
    """The script ends here."""


def deploy(path: Path, admin: Any) -> dict[str, Any]:
    return deploy_market(Deployment(path, admin), admin)


def killed_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill the script at its deployment number `count`, after the manifest was written."""
    record, recorded = Deployment._record, []

    def record_and_die(self: Deployment, *arguments: Any) -> None:
        record(self, *arguments)
        recorded.append(arguments)
        if len(recorded) == count:
            raise Killed

    monkeypatch.setattr(Deployment, "_record", record_and_die)


def addresses(path: Path) -> dict[str, str]:
    return {name: entry["address"] for name, entry in json.loads(path.read_text())["contracts"].items()}


def test_the_manifest_is_what_daemons_read(market: Any, admin: Any) -> None:
    manifest = Manifest.load(market.manifest)
    assert manifest.chainId == web3.chain_id
    assert manifest.deployer == admin
    assert set(manifest.contracts) == CONTRACTS
    for name, entry in manifest.contracts.items():
        assert web3.eth.get_code(entry.address), name
        assert 0 < entry.block <= web3.eth.block_number
    assert "customerPriceUeurPerKw" in {
        item.get("name") for item in manifest.interfaces["ISettlementMechanism"]
    }


def test_run_again_it_changes_nothing(market: Any, admin: Any) -> None:
    before, block = json.loads(market.manifest.read_text()), web3.eth.block_number
    deploy(market.manifest, admin)
    assert json.loads(market.manifest.read_text()) == before
    assert web3.eth.block_number == block


@pytest.mark.parametrize("count", [1, 5, 9, 17, 18])
def test_killed_half_way_it_goes_on(
    market: Any, admin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    path = tmp_path / "manifest.json"
    with monkeypatch.context() as patch:
        killed_after(count, patch)
        with pytest.raises(Killed):
            deploy(path, admin)
    first = addresses(path)
    assert len(first) == count
    contracts = deploy(path, admin)
    assert addresses(path).items() >= first.items()
    assert set(addresses(path)) == CONTRACTS
    assert contracts["Vault"].isController(contracts["SettlementLedger"])
    assert contracts["FlexToken"].minter() == contracts["SettlementLedger"]


def test_a_chain_started_anew_gets_new_contracts(market: Any, admin: Any, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    known = json.loads(market.manifest.read_text())
    path.write_text(json.dumps({**known, "genesis": "00" * 32}))
    deploy(path, admin)
    assert not set(addresses(path).values()) & set(addresses(market.manifest).values())


def test_refuses_another_chains_manifest(market: Any, admin: Any, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    known = json.loads(market.manifest.read_text())
    path.write_text(json.dumps({**known, "chainId": 1}))
    with pytest.raises(DeploymentError, match="is of chain 1"):
        deploy(path, admin)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], None]:
    return lambda name, value: monkeypatch.setenv(name, str(value))


def test_takes_the_euro_and_the_reserve_that_are_named(
    market: Any, admin: Any, stranger: Any, tmp_path: Path, environment: Callable[[str, Any], None]
) -> None:
    environment("FLEXLEDGER_EURO", market.Euro.address)
    environment("FLEXLEDGER_RESERVE", stranger.address)
    contracts = deploy(tmp_path / "manifest.json", admin)
    assert contracts["Vault"].euro() == market.Euro
    assert contracts["CommitmentBook"].reserve() == stranger
    euro = Manifest.load(tmp_path / "manifest.json").contracts["Euro"]
    assert euro.address == market.Euro
    assert {"approve", "permit"} <= {item.get("name") for item in euro.abi}
    assert "mint" not in {item.get("name") for item in euro.abi}


def test_refuses_a_euro_that_isnt_there(
    market: Any, admin: Any, stranger: Any, tmp_path: Path, environment: Callable[[str, Any], None]
) -> None:
    environment("FLEXLEDGER_EURO", stranger.address)
    with pytest.raises(DeploymentError, match="there is no contract at this address"):
        deploy(tmp_path / "manifest.json", admin)


def test_only_the_deployer_administers(market: Any, admin: Any, operator: Any) -> None:
    assert market.Administration.hasRole(0, admin)[0]
    with refused("AccessManagerUnauthorizedAccount", operator, 0):
        market.Administration.grantRole(0, operator, 0, {"from": operator})
