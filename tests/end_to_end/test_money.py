"""The demo day's money: what the ledger says was paid is what moved in the vault, and none is made or lost."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from offchain.chain.client import ChainClient
from offchain.chain.local import LocalChain
from offchain.chain.manifest import Manifest
from offchain.chain.market_view import MarketView
from offchain.protocol.cid import Cid
from offchain.protocol.leaves import SETTLEMENT
from offchain.protocol.lists import ListDocument
from offchain.protocol.typed_data import Pair, Settlement
from offchain.store.documents import FolderStore

Flows = Counter[tuple[str, str]]
SESSIONS = (1, 2)


@pytest.fixture
def day(copied: Path) -> Iterator[ChainClient]:
    with LocalChain(copied / "chain") as chain:
        yield ChainClient(chain.url, Manifest.load(copied / "manifest.json"))


@pytest.fixture
def summary(played: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((played / "summary.json").read_text())
    return found


def flows(day: ChainClient, contract: str, event: str, origin: str, target: str, **sought: int) -> Flows:
    """µ€ by (from, to) over all events of a kind."""
    out: Flows = Counter()
    for entry in day.events(contract, event, **sought):
        out[str(entry.args[origin]), str(entry.args[target])] += int(entry.args["amountUeur"])
    return out


def settled(day: ChainClient, session: int) -> tuple[Settlement, list[Pair]]:
    found = MarketView(day).settlement(session)
    assert found is not None
    return found


def test_paid_and_penalised_are_what_moved_in_the_vault(day: ChainClient, summary: dict[str, Any]) -> None:
    paid = flows(day, "SettlementLedger", "Paid", "payer", "payee")
    penalised = flows(day, "SettlementLedger", "Penalised", "payee", "payer")
    assert sum(paid.values()) == summary["paid_ueur"] > 0
    assert sum(penalised.values()) == summary["penalised_ueur"] > 0
    assert day.events("SettlementLedger", "FellShort") == []
    assert flows(day, "Vault", "Moved", "from", "to") == paid + penalised


@pytest.mark.parametrize("session", SESSIONS)
def test_the_ledger_paid_what_the_settlements_leaves_add_up_to(
    day: ChainClient, copied: Path, session: int
) -> None:
    settlement, pairs = settled(day, session)
    raw = FolderStore(copied / "documents").get(Cid(settlement.cidCodec, settlement.cidDigest))
    leaves = ListDocument.from_bytes(raw, joint=False).list_of(SETTLEMENT)
    payments, penalties = sum(leaves.integers("paymentUeur")), sum(leaves.integers("penaltyUeur"))
    assert payments == sum(pair.paymentUeur for pair in pairs)
    assert penalties == sum(pair.penaltyUeur for pair in pairs)
    paid = flows(day, "SettlementLedger", "Paid", "payer", "payee", session=session)
    assert payments == sum(paid.values())


def test_no_euro_is_made_or_lost(day: ChainClient) -> None:
    vault = day.address_of("Vault")
    deposited: Counter[str] = Counter()
    for event in day.events("Vault", "Deposited"):
        deposited[str(event.args["account"])] += int(event.args["amountUeur"])
    withdrawn: Counter[str] = Counter()
    for event in day.events("Vault", "Withdrawn"):
        withdrawn[str(event.args["account"])] += int(event.args["amountUeur"])
    held = Counter(deposited)
    held.subtract(withdrawn)
    for (origin, target), amount_ueur in flows(day, "Vault", "Moved", "from", "to").items():
        held[origin] -= amount_ueur
        held[target] += amount_ueur
    assert sum(held.values()) == day.call("Euro", "balanceOf", vault)
    assert {
        account: day.call("Vault", "free", account) + day.call("Vault", "bonded", account) for account in held
    } == held, "nothing stays locked but the stores' stakes"
    wallets = sum(day.call("Euro", "balanceOf", account) for account in held)
    assert wallets == sum(withdrawn.values())
    assert wallets + day.call("Euro", "balanceOf", vault) == day.call("Euro", "totalSupply")


def test_customers_hold_the_tokens_that_the_settlement_says(
    day: ChainClient, summary: dict[str, Any]
) -> None:
    settlements = [settled(day, session)[0] for session in SESSIONS]
    rewards = sum(each.rewardsUeur for each in settlements)
    assert day.call("FlexToken", "totalSupply") == rewards == sum(summary["tokens"].values())
    assert len(day.events("SettlementLedger", "RewardsClaimed")) == sum(
        each.claimLength for each in settlements
    )
