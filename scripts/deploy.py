"""Deploys the market to the connected network: `brownie run deploy --network <network>`.

May be run again at any time, and killed at any instant: what the manifest names and the chain has is kept,
what is missing is deployed, what isn't wired is wired. Settings come from the environment:

FLEXLEDGER_MANIFEST      where the manifest is kept; build/manifest/<chain id>.json if not set
FLEXLEDGER_DEPLOYER_KEY  key of the deployer, who administers the market; on a local chain its first account
FLEXLEDGER_EURO          address of the euro token, "Euro" in the manifest; on a local chain a test euro
FLEXLEDGER_RESERVE       account of the market's reserve, which gets forfeited bonds; else the deployer
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from brownie import accounts, web3
from brownie.project.main import get_loaded_projects

from offchain.protocol.errors import FlexledgerError

LOCAL_CHAIN_IDS = (31337, 1337)
LEAST_STAKE_UEUR = 100 * 10**6
RELAY_PENALTY_UEUR = 20 * 10**6
DEMAND_FEE_UEUR = 100_000
CASE_BOND_UEUR = 50 * 10**6
STORE_WINDOW_S = 24 * 3600
RULING_WINDOW_S = 14 * 24 * 3600
MARKET_PARTS = ("ParticipantRegistry", "MarketSessions", "Vault", "CommitmentBook")
"""What the one contract Market is made of; the manifest names each."""
NO_ACCOUNT = "0x" + "00" * 20
INTERFACES = ("ISettlementMechanism", "ITableMechanism")
"""ABIs of contracts that others make: the manifest has them without an address."""


class DeploymentError(FlexledgerError):
    """The network or the settings don't allow to deploy."""


class Deployment:
    """A manifest that grows with every contract deployed."""

    def __init__(self, path: Path, deployer: Any) -> None:
        self._path = path
        self._deployer = deployer
        self._project: Any = get_loaded_projects()[0]
        self._manifest: dict[str, Any] = {
            "chainId": web3.chain_id,
            "genesis": web3.eth.get_block(0)["hash"].hex(),
            "deployer": deployer.address,
            "contracts": {},
            "interfaces": {name: self._interface(name) for name in INTERFACES},
        }
        if path.exists():
            known = json.loads(path.read_text())
            if known["chainId"] != web3.chain_id:
                raise DeploymentError(f"{path} is of chain {known['chainId']}, this is {web3.chain_id}")
            # A local chain started anew has the same id, and other contracts at the same addresses.
            if known["genesis"] == self._manifest["genesis"]:
                self._manifest["contracts"] = known["contracts"]

    def deploy(self, name: str, *arguments: object, code: str | None = None) -> Any:
        """The contract of a name: the one in the manifest if the chain has it, else a new one.

        `code`: the Solidity contract, where it isn't called like the contract in the manifest.
        """
        container = self._project.dict()[code or name]
        known = self._manifest["contracts"].get(name)
        if known is not None and _has_code(known["address"]):
            contract = container.at(known["address"])
            block = known["block"]
        else:
            contract = container.deploy(*arguments, {"from": self._deployer})
            block = contract.tx.block_number
        self._record(name, contract.address, block, contract.abi)
        return contract

    def alias(self, name: str, contract: Any) -> None:
        """Record a part of a contract under a name and an interface of its own."""
        block = self._manifest["contracts"][contract._name]["block"]
        self._record(name, contract.address, block, self._interface(f"I{name}"))

    def adopt(self, name: str, address: str, abi: Sequence[object]) -> None:
        """Record a contract that stands already."""
        if not _has_code(address):
            raise DeploymentError(f"{name} = {address}: there is no contract at this address")
        known = self._manifest["contracts"].get(name, {})
        block = known["block"] if known.get("address") == address else web3.eth.block_number
        self._record(name, address, block, abi)

    def abi(self, code: str) -> list[dict[str, Any]]:
        """The ABI of a Solidity contract."""
        return list(self._project.dict()[code].abi)

    def _interface(self, name: str) -> Any:
        return getattr(self._project.interface, name).abi

    def _record(self, name: str, address: str, block: int, abi: Sequence[object]) -> None:
        self._manifest["contracts"][name] = {"address": address, "block": block, "abi": list(abi)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Written aside and moved into place: a manifest is whole at every instant.
        aside = self._path.with_suffix(".part")
        with aside.open("w") as file:
            file.write(json.dumps(self._manifest))
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path)


def main() -> dict[str, Any]:
    """Deploy and wire all contracts; gives them by name."""
    deployer = _deployer()
    path = Path(os.environ.get("FLEXLEDGER_MANIFEST", f"build/manifest/{web3.chain_id}.json"))
    contracts = deploy_market(Deployment(path, deployer), deployer)
    print(f"deployed: {path}")
    return contracts


def deploy_market(deployment: Deployment, deployer: Any) -> dict[str, Any]:
    """Deploy what is missing, in the order in which the contracts need each other, and wire it."""
    deploy = deployment.deploy
    administration = deploy("Administration", deployer)
    reserve = os.environ.get("FLEXLEDGER_RESERVE", deployer.address)
    market = deploy("Market", administration, deploy("SessionRules"), _euro(deployment), reserve)
    for part in MARKET_PARTS:
        deployment.alias(part, market)
    pods = deploy("PodRegistry", administration, market)
    notary = deploy("DataNotary", market)
    anchor = deploy("ReadingAnchor", market, pods)
    tables = (deploy("FixedPriceMechanism"), deploy("PercentageMechanism"))
    mechanisms = deploy("SettlementMechanismFactory", market, *tables)
    availability = deploy("Availability", administration, market, LEAST_STAKE_UEUR)
    relays = deploy("RelayStakes", market, RELAY_PENALTY_UEUR)
    board = deploy("OutcomeBoard", administration, market, notary, availability)
    token = deploy("FlexToken", administration)
    demands = deploy("Demands", market, board, availability, pods, DEMAND_FEE_UEUR, STORE_WINDOW_S)
    cases = deploy("ArbiterCases", market, board, CASE_BOND_UEUR, RULING_WINDOW_S)
    challenges = [
        deploy("OutcomeChallenges", market, board, pods),
        deploy("ClearingChallenges", market, board, pods),
        deploy("RealTimeChallenges", market, board, pods),
        deploy("AssessmentChallenges", market, board, pods),
        deploy("ReserveChallenges", market, board, pods),
        deploy("SettlementChallenges", market, board, pods, mechanisms),
        deploy("DeliveryChallenges", market, board, pods, notary, anchor),
    ]
    ledger = deploy("SettlementLedger", market, board, token, cases)
    sender = {"from": deployer}
    if not market.isController(availability):
        market.setControllers([availability, relays, board, ledger, demands, cases], sender)
    if not board.isChallenger(demands):
        board.setChallengers([demands, cases, *challenges], sender)
    if availability.slasher() == NO_ACCOUNT:
        availability.setSlasher(demands, sender)
    if pods.readingAnchor() == NO_ACCOUNT:
        pods.setReadingAnchor(anchor, sender)
    if token.minter() == NO_ACCOUNT:
        token.setMinter(ledger, sender)
    basis = [
        administration,
        market,
        pods,
        notary,
        anchor,
        mechanisms,
        availability,
        relays,
        board,
        token,
        ledger,
        demands,
        cases,
        *challenges,
    ]
    return {contract._name: contract for contract in basis} | dict.fromkeys(MARKET_PARTS, market)


def _deployer() -> Any:
    key = os.environ.get("FLEXLEDGER_DEPLOYER_KEY")
    if key:
        return accounts.add(key)
    if not _is_local():
        raise DeploymentError(f"FLEXLEDGER_DEPLOYER_KEY isn't set, and chain {web3.chain_id} isn't local")
    return accounts.at(web3.eth.accounts[0], force=True)


def _euro(deployment: Deployment) -> str:
    address = os.environ.get("FLEXLEDGER_EURO")
    if address:
        # Any ERC-20 with permit has the test euro's functions but this one.
        abi = [entry for entry in deployment.abi("TestEuro") if entry.get("name") != "mint"]
        deployment.adopt("Euro", address, abi)
        return address
    if not _is_local():
        raise DeploymentError(f"FLEXLEDGER_EURO isn't set, and chain {web3.chain_id} isn't local")
    return str(deployment.deploy("Euro", code="TestEuro").address)


def _has_code(address: str) -> bool:
    return bool(web3.eth.get_code(web3.to_checksum_address(address)))


def _is_local() -> bool:
    return web3.chain_id in LOCAL_CHAIN_IDS
