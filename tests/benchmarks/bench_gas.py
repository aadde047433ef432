"""Gas of the transactions that happen most, against what others pay for the like.

Ours are the pinned figures of tests/contracts/gas.json, which the contract tests hold to the contracts.
"""

import json
from pathlib import Path
from typing import Any

PINNED = Path(__file__).resolve().parents[1] / "contracts" / "gas.json"
CUSTOMERS = 100
MINIMAL = "minimal contract, without money or registry"
PEERS: tuple[tuple[str, str, int, int, str, int], ...] = (
    ("commitment, relayed", "CommitmentBook.commitFor", 1, 69_100, MINIMAL, 0),
    ("reveal", "CommitmentBook.reveal, later", 1, 62_600, MINIMAL, 0),
    ("anchoring a batch of readings", "ReadingAnchor.anchor", 1, 48_600, MINIMAL, 0),
    (
        "reward of a customer, new wallet",
        "SettlementLedger.claim, 100 new wallets",
        CUSTOMERS,
        62_000,
        "Uniswap's merkle-distributor, least",
        1,
    ),
)
"""Name, pinned transaction, customers in it, the peer's gas, who that is, least ratio asked."""


def run() -> list[dict[str, Any]]:
    """Rows for the report."""
    pinned = json.loads(PINNED.read_text())
    rows = []
    for name, transaction, share, peer, peer_name, target in PEERS:
        ours = pinned[transaction] / share
        row = {"name": name, "unit": "gas", "ours": ours, "peer": peer, "peer_name": peer_name}
        rows.append({**row, "ratio": peer / ours, "target": target})
    return rows
