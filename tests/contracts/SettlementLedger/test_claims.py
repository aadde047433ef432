"""Customers' rewards, claimed in batches (SPECIFICATION.md 8.x)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import CLAIM_NUMBER, CLAIM_TYPES
from offchain.protocol.merkle import MerkleTree, standard_leaf_hash
from offchain.protocol.signatures import checksum_address
from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import refused
from tests.contracts.play import (
    NOBODY,
    Played,
    finalise,
    play_book,
    play_outcomes,
    post_settlement,
    settlement,
)


@dataclass(frozen=True)
class Claims:
    """A list of claims: wallets and amounts of each leaf."""

    leaves: Sequence[tuple[list[str], list[int]]]

    @property
    def tree(self) -> MerkleTree:
        """Its tree."""
        hashes = [
            standard_leaf_hash(CLAIM_TYPES, [CLAIM_NUMBER, position, len(self.leaves), wallets, amounts])
            for position, (wallets, amounts) in enumerate(self.leaves)
        ]
        return MerkleTree(np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, 32))

    def arguments(self, session: int, position: int) -> tuple[Any, ...]:
        """What `claim` takes for a leaf."""
        wallets, amounts = self.leaves[position]
        return (session, position, len(self.leaves), wallets, amounts, self.tree.proof(position))


def wallets(count: int, name: str = "customer") -> list[str]:
    return [checksum_address(keccak256(f"{name} {k}".encode())[12:]) for k in range(count)]


CLAIMS = Claims([(wallets(100), list(range(1, 101))), (wallets(3, "other"), [10, 20, 30]), (wallets(1), [7])])
TOTAL = 5050 + 60 + 7


@pytest.fixture
def played(market: Any, terms: SessionTerms, clearing_oracle: Any, grid_oracle: Any) -> Played:
    play_book(market, terms, [], grid_oracle)
    return play_outcomes(market, terms, clearing_oracle, grid_oracle)


def settle(played: Played, claims: Claims, rewards: int, oracle: Any) -> None:
    made = settlement(played, claimRoot=claims.tree.root, claimLength=len(claims.leaves), rewardsUeur=rewards)
    post_settlement(played, made, [], oracle)
    finalise(played, made, [], oracle)


def test_each_leaf_is_claimed_once_by_anyone(
    market: Any, played: Played, settlement_oracle: Any, stranger: Any
) -> None:
    ledger, token, session = market.SettlementLedger, market.FlexToken, played.session
    settle(played, CLAIMS, TOTAL, settlement_oracle)
    for position in (1, 0, 2):
        assert not ledger.isClaimed(session, position)
        tx = ledger.claim(*CLAIMS.arguments(session, position), {"from": stranger})
        assert tx.events["RewardsClaimed"]["pods"] == len(CLAIMS.leaves[position][1])
        assert ledger.isClaimed(session, position)
        with refused("SettlementLedgerAlreadyClaimed", session, position):
            ledger.claim(*CLAIMS.arguments(session, position), {"from": stranger})
    assert token.totalSupply() == TOTAL
    assert token.balanceOf(wallets(1)[0]) == 1 + 7
    assert token.balanceOf(wallets(100)[99]) == 100


def test_not_before_the_settlement_is_final(
    market: Any, played: Played, settlement_oracle: Any, stranger: Any
) -> None:
    made = settlement(played, claimRoot=CLAIMS.tree.root, claimLength=3, rewardsUeur=TOTAL)
    post_settlement(played, made, [], settlement_oracle)
    with refused("SettlementLedgerNotFinal", played.session):
        market.SettlementLedger.claim(*CLAIMS.arguments(played.session, 0), {"from": stranger})


def test_claims_exactly_what_the_leaf_says(
    market: Any, played: Played, settlement_oracle: Any, stranger: Any
) -> None:
    ledger, session = market.SettlementLedger, played.session
    settle(played, CLAIMS, TOTAL, settlement_oracle)
    _, position, length, names, amounts, proof = CLAIMS.arguments(session, 1)
    forged: list[tuple[Any, ...]] = [
        (session, 2, length, names, amounts, proof),
        (session, position, length, wallets(3), amounts, proof),
        (session, position, length, names, [10, 20, 31], proof),
        (session, position, length, names, amounts, proof[:-1]),
    ]
    for arguments in forged:
        with refused("SettlementLedgerBadProof", session, arguments[1]):
            ledger.claim(*arguments, {"from": stranger})
    with refused("SettlementLedgerWrongClaimLength", session, 3, 4):
        ledger.claim(session, position, 4, names, amounts, proof, {"from": stranger})
    with refused("SettlementLedgerNoSuchClaim", session, 3, 3):
        ledger.claim(session, 3, length, names, amounts, proof, {"from": stranger})
    assert market.FlexToken.totalSupply() == 0


def test_no_more_tokens_than_the_settlement_said(
    market: Any, played: Played, settlement_oracle: Any, stranger: Any
) -> None:
    session = played.session
    settle(played, CLAIMS, TOTAL - 1, settlement_oracle)
    for position in (0, 1):
        market.SettlementLedger.claim(*CLAIMS.arguments(session, position), {"from": stranger})
    with refused("SettlementLedgerClaimsAboveRewards", session, TOTAL, TOTAL - 1):
        market.SettlementLedger.claim(*CLAIMS.arguments(session, 2), {"from": stranger})


@pytest.mark.parametrize(("customers", "amounts"), [(101, 101), (0, 0), (2, 1)])
def test_refuses_batches_of_wrong_size(
    market: Any, played: Played, settlement_oracle: Any, stranger: Any, customers: int, amounts: int
) -> None:
    claims = Claims([(wallets(customers), [1] * amounts)])
    settle(played, claims, 101, settlement_oracle)
    with refused("SettlementLedgerWrongBatch", customers, amounts):
        market.SettlementLedger.claim(*claims.arguments(played.session, 0), {"from": stranger})


def test_penalties_larger_than_rewards_are_carried_over(
    market: Any, played: Played, settlement_oracle: Any, stranger: Any
) -> None:
    ledger, token, (first, second) = market.SettlementLedger, market.FlexToken, wallets(2)
    claims = Claims([([first, second], [-50, 30]), ([first, second], [20, 5]), ([first], [40])])
    settle(played, claims, 95, settlement_oracle)
    for position, (owed, held) in enumerate(((50, 0), (30, 0), (0, 10))):
        ledger.claim(*claims.arguments(played.session, position), {"from": stranger})
        assert (ledger.debtUeur(first), token.balanceOf(first)) == (owed, held)
    assert token.balanceOf(second) == 35


def test_a_wallet_that_cant_be_paid_holds_up_nobody(
    market: Any, played: Played, settlement_oracle: Any, stranger: Any
) -> None:
    claims = Claims([([NOBODY, *wallets(1)], [10, 20])])
    settle(played, claims, 30, settlement_oracle)
    market.SettlementLedger.claim(*claims.arguments(played.session, 0), {"from": stranger})
    assert market.FlexToken.balanceOf(wallets(1)[0]) == market.FlexToken.totalSupply() == 20


@pytest.mark.parametrize("amount", [2**63 - 1, -(2**63)])
def test_the_limits_of_an_amount(
    market: Any, played: Played, settlement_oracle: Any, stranger: Any, amount: int
) -> None:
    claims = Claims([(wallets(1), [amount])])
    settle(played, claims, 2**64 - 1, settlement_oracle)
    market.SettlementLedger.claim(*claims.arguments(played.session, 0), {"from": stranger})
    assert market.FlexToken.balanceOf(wallets(1)[0]) == max(amount, 0)
    assert market.SettlementLedger.debtUeur(wallets(1)[0]) == max(-amount, 0)
