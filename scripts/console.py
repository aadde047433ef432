"""Helpers for the brownie console: `make console` starts it with the deployed contracts and these in scope.

On the network `development` the contracts are deployed afresh; on any other they are those of its manifest. The first
accounts then are: 0 the operator and administrator, 1 a DSO, 2 a TSO, 3 and 4 aggregators.
"""

from dataclasses import astuple
from datetime import date
from typing import Any

from brownie import accounts, chain, network, web3

from offchain.market.timetable import sessions_of_day
from scripts import deploy

LOCAL_FUNDS_UEUR = 1_000_000 * 10**6
ROLES = {"DSO": 0, "TSO": 1, "AGGREGATOR": 2, "CLEARING_ORACLE": 3, "GRID_ORACLE": 4, "SETTLEMENT_ORACLE": 5}
ROLES |= {"ANCHORING_ORACLE": 6, "STORE": 7, "AUDITOR": 8, "OPERATOR": 9}


def main() -> dict[str, Any]:
    """Deploy what is missing and, on a local chain, register and fund the first accounts.

    The names of this function are what the console has in scope, beside the helpers below.
    """
    contracts = deploy.main()
    participants, pods = contracts["ParticipantRegistry"], contracts["PodRegistry"]
    sessions, book = contracts["MarketSessions"], contracts["CommitmentBook"]
    board, ledger = contracts["OutcomeBoard"], contracts["SettlementLedger"]
    vault, token = contracts["Vault"], contracts["FlexToken"]
    mechanisms = contracts["SettlementMechanismFactory"]
    anchor, notary = contracts["ReadingAnchor"], contracts["DataNotary"]
    operator, dso, tso, agg1, agg2 = accounts[:5]
    if network.show_active() == "development":
        people = (
            (operator, "OPERATOR"),
            (dso, "DSO"),
            (tso, "TSO"),
            (agg1, "AGGREGATOR"),
            (agg2, "AGGREGATOR"),
        )
        for account, role in people:
            register(contracts, account, role.lower(), role)
            fund(contracts, account)
    print("contracts: participants pods sessions book board ledger vault token mechanisms anchor notary")
    print("accounts:  operator dso tso agg1 agg2      helpers: register fund announce go_to phase")
    return contracts


def register(contracts: dict[str, Any], account: Any, name: str, *roles: str) -> None:
    """Register a participant with roles, named as in ROLES."""
    bits = sum(1 << ROLES[role] for role in roles)
    contracts["ParticipantRegistry"].register(account, bits, name, {"from": accounts[0]})


def fund(contracts: dict[str, Any], account: Any, amount_ueur: int = LOCAL_FUNDS_UEUR) -> None:
    """Mint test euros to an account and deposit them in the vault."""
    from brownie import project

    euro = project.get_loaded_projects()[0].TestEuro.at(contracts["Vault"].euro())
    euro.mint(account, amount_ueur, {"from": accounts[0]})
    euro.approve(contracts["Vault"], amount_ueur, {"from": account})
    contracts["Vault"].deposit(amount_ueur, {"from": account})


def announce(contracts: dict[str, Any], day: str) -> list[int]:
    """Create a delivery day's seven sessions, such as `announce(contracts, "2026-12-01")`; gives their numbers."""
    sessions, numbers = contracts["MarketSessions"], []
    for terms in sessions_of_day(date.fromisoformat(day)):
        sessions.create(astuple(terms)[1:], {"from": accounts[0]})
        numbers.append(sessions.count())
    return numbers


def go_to(instant_s: int) -> None:
    """Move a local chain's clock forward to an instant."""
    web3.provider.make_request("evm_setNextBlockTimestamp", [instant_s])
    web3.provider.make_request("anvil_mine", [])


def phase(contracts: dict[str, Any], session: int) -> str:
    """Name of the phase that a session is in now."""
    names = "none announced open reveal documents clearing assessment activation delivery settlement closed"
    return f"{names.split()[contracts['MarketSessions'].phase(session)]} at {chain.time()}"
