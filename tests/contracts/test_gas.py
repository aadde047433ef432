"""Gas of every type of transaction, held to `gas.json` beside this file.

A figure that drifts fails the test. Where the change is meant, write the file anew and commit it with its cause:
FLEXLEDGER_WRITE_GAS=1 make test-contracts
"""

import json
import os
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np

from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import CLAIM_NUMBER, CLAIM_TYPES
from offchain.protocol.merkle import MerkleTree, standard_leaf_hash
from offchain.protocol.typed_data import NO_POD, Pair, Registration
from tests.contracts.chain import travel_to
from tests.contracts.play import (
    CID,
    DSO_REQUEST,
    EURO,
    FOREVER,
    GRID_MODEL,
    OFFER,
    as_struct,
    certify,
    commit,
    domain,
    finalise,
    gather,
    key_of,
    notarise_grid_model,
    outcome,
    post_market,
    post_settlement,
    post_technical,
    post_validated,
    reveal,
    sealed,
    session_terms,
    settlement,
    technical_outcome,
)
from tests.contracts.play import Played as PlayedSession

FIGURES = Path(__file__).parent / "gas.json"
NOISE = 60
"""Gas that signatures may differ by: each zero byte in one costs 12 less, and they depend on contracts' addresses."""
LIMITS = {
    "CommitmentBook.commit, the first": 65_000,
    "CommitmentBook.commit, a player's later": 65_000,
    "CommitmentBook.commitFor": 80_000,
    "CommitmentBook.reveal, a session's first": 65_000,
    "CommitmentBook.reveal, later": 65_000,
    "OutcomeBoard.postMarketOutcome": 120_000,
    "OutcomeBoard.postTechnicalOutcome": 120_000,
    "OutcomeBoard.postValidatedOutcome": 120_000,
    "ReadingAnchor.anchor": 52_000,
    "SettlementLedger.claim, 100 new wallets": 3_000_000,
}
"""What each may cost at most, whatever its size (the claim: 100 customers with new wallets)."""

START_S = 2_000_000_000
"""A fixed time: calldata with other times may have other zero bytes, and cost other gas."""


class GasMeter:
    """Gas used by type of transaction, in the order in which they were played."""

    def __init__(self) -> None:
        self.used: dict[str, int] = {}

    def add(self, name: str, transaction: Any) -> Any:
        """Note a transaction's gas under a name of its own."""
        assert name not in self.used
        self.used[name] = int(transaction.gas_used)
        return transaction


def claims_tree() -> tuple[list[list[str]], list[int], MerkleTree]:
    """Two leaves that reward the same 100 customers."""
    wallets = ["0x" + keccak256(bytes([k]))[:20].hex() for k in range(100)]
    amounts = [1_000_000 + k for k in range(100)]
    hashes = [standard_leaf_hash(CLAIM_TYPES, [CLAIM_NUMBER, k, 2, wallets, amounts]) for k in range(2)]
    return [wallets, wallets], amounts, MerkleTree(np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32))


def register_pod(market: Any, gas: GasMeter, aggregator: Any, customer: Any, node: Any, dso: Any) -> None:
    pod, pods = keccak256(b"pod"), market.PodRegistry
    mechanism = market.Vault.address
    people = (aggregator.address, customer.address, node.address, mechanism)
    consent = Registration(pod, *people, 6000, 5000, 2000, 1000, NO_POD, 0, FOREVER)
    signature = consent.sign(domain(pods), key_of(customer))
    gas.add("PodRegistry.register", pods.register(astuple(consent), signature, {"from": aggregator}))
    gas.add("PodRegistry.setPom", pods.setPom(pod, keccak256(b"pom"), {"from": dso}))
    gas.add("PodRegistry.remove", pods.remove(pod, {"from": customer}))


def administer(market: Any, gas: GasMeter, admin: Any, stranger: Any) -> None:
    registry = market.ParticipantRegistry
    sender = {"from": admin}
    gas.add("ParticipantRegistry.register", registry.register(stranger, 4, "an aggregator", sender))
    gas.add("ParticipantRegistry.suspend", registry.suspend(stranger, "forged readings", sender))
    gas.add("ParticipantRegistry.reinstate", registry.reinstate(stranger, sender))


def bank(market: Any, gas: GasMeter, stranger: Any) -> None:
    vault, sender = market.Vault, {"from": stranger}
    market.Euro.mint(stranger, 10 * EURO, sender)
    market.Euro.approve(vault, 10 * EURO, sender)
    gas.add("Vault.deposit", vault.deposit(4 * EURO, sender))
    gas.add("Vault.depositFor", vault.depositFor(stranger, 4 * EURO, sender))
    gas.add("Vault.withdraw", vault.withdraw(3 * EURO, sender))


def test_gas_is_as_written_down(
    market: Any, admin: Any, operator: Any, dso: Any, aggregator: Any, customer: Any, node: Any,
    clearing_oracle: Any, grid_oracle: Any, settlement_oracle: Any, anchoring_oracle: Any, stranger: Any,
) -> None:  # fmt: skip
    gas, book, board, ledger = GasMeter(), market.CommitmentBook, market.OutcomeBoard, market.SettlementLedger
    travel_to(START_S)
    administer(market, gas, admin, stranger)
    bank(market, gas, stranger)
    register_pod(market, gas, aggregator, customer, node, dso)
    factory, table = market.SettlementMechanismFactory, [[2500] * 96] * 7
    gas.add(f"{factory._name}.createFixedPrice", factory.createFixedPrice(table, "all", {"from": aggregator}))
    gas.add(f"{factory._name}.createPercentage", factory.createPercentage(table, "all", {"from": aggregator}))
    anchored = (keccak256(b"batch"), CID.digest, CID.codec)
    gas.add("ReadingAnchor.anchor", market.ReadingAnchor.anchor(*anchored, {"from": anchoring_oracle}))

    # Blocks follow the machine's clock: what comes after a slow one would begin a slot later.
    travel_to(START_S + 100)
    terms = replace(session_terms(), session=1)
    gas.add("MarketSessions.create", market.MarketSessions.create(as_struct(terms), {"from": operator}))
    gas.add("OutcomeBoard.prepare", market.OutcomeBoard.prepare(1, {"from": operator}))
    gas.add("DataNotary.notarise", notarise_grid_model(market, 1, grid_oracle))

    travel_to(terms.gateOpening)
    request, offer = sealed(dso, DSO_REQUEST, 300 * EURO), sealed(aggregator, OFFER, 100 * EURO)
    gas.add("CommitmentBook.commit, the first", commit(market, 1, request))
    signed = offer.commitment(market, 1)
    signature = signed.sign(domain(book), key_of(aggregator))
    gas.add("CommitmentBook.commitFor", book.commitFor(astuple(signed), signature, {"from": stranger}))
    second, third = (sealed(aggregator, OFFER, 100 * EURO, name) for name in ("second", "third"))
    gas.add("CommitmentBook.commit, a player's later", commit(market, 1, second))
    tx = commit(market, 1, third, replaces=second.hash(1))
    gas.add("CommitmentBook.commit, replacing", tx)
    fourth = sealed(aggregator, OFFER, 100 * EURO, "fourth")
    commit(market, 1, fourth)
    tx = book.retract(1, fourth.hash(1), {"from": aggregator})
    gas.add("CommitmentBook.retract", tx)
    travel_to(terms.gateClosure)
    for document, name in ((request, "a session's first"), (offer, "later")):
        gas.add(f"CommitmentBook.reveal, {name}", reveal(market, 1, document, stranger))
    travel_to(terms.revealDeadline)
    tx = book.forfeit(1, aggregator, third.hash(1), {"from": stranger})
    gas.add("CommitmentBook.forfeit", tx)
    gas.add("Availability.certify, two receipts", certify(market, terms, request, stranger))
    certify(market, terms, offer, stranger)

    travel_to(terms.documentsDeadline)
    first = outcome(1, bytes(book.seed(1)))
    gas.add("OutcomeBoard.postMarketOutcome", post_market(market, terms, first, clearing_oracle))
    technical = technical_outcome(1, first.hash(), gridModel=GRID_MODEL)
    gas.add("OutcomeBoard.postTechnicalOutcome", post_technical(market, terms, technical, grid_oracle))
    validated = outcome(1, technical.hash())
    gas.add("OutcomeBoard.postValidatedOutcome", post_validated(market, terms, validated, clearing_oracle))

    played = PlayedSession(market, terms, validated.hash())
    wallets, amounts, tree = claims_tree()
    made = settlement(played, claimRoot=tree.root, claimLength=2, rewardsUeur=2 * sum(amounts))
    pairs = [Pair(dso.address, aggregator.address, 70 * EURO, 3 * EURO)]
    gas.add("OutcomeBoard.postSettlement, one pair", post_settlement(played, made, pairs, settlement_oracle))
    gas.add("CommitmentBook.gather, two documents", gather(played, [request, offer], stranger))
    gas.add("SettlementLedger.finalise, one pair", finalise(played, made, pairs, stranger))
    gas.add("OutcomeBoard.releaseBond", board.releaseBond(1, 0, {"from": stranger}))
    gas.add("SettlementLedger.releaseCoverage", ledger.releaseCoverage(1, dso, {"from": stranger}))
    for position, state in enumerate(("new", "used")):
        arguments = (1, position, 2, wallets[position], amounts, tree.proof(position))
        name = f"SettlementLedger.claim, 100 {state} wallets"
        gas.add(name, ledger.claim(*arguments, {"from": stranger}))

    if os.environ.get("FLEXLEDGER_WRITE_GAS") == "1":
        FIGURES.write_text(json.dumps(gas.used, indent=2) + "\n")
    for name, most in LIMITS.items():
        assert gas.used[name] <= most, name
    written = json.loads(FIGURES.read_text())
    assert gas.used.keys() == written.keys()
    apart = {
        name: (used, written[name]) for name, used in gas.used.items() if abs(used - written[name]) > NOISE
    }
    assert apart == {}
