"""Penalties of customers that are larger than their rewards (SPECIFICATION.md 8.x)."""

from dataclasses import replace
from typing import Any

import pytest

from offchain.protocol.terms import SessionTerms
from tests.contracts.play import NOBODY, Played, as_struct, play_book, play_outcomes, session_terms
from tests.contracts.SettlementLedger.test_claims import Claims, settle, wallets


def play(market: Any, terms: SessionTerms, clearing_oracle: Any, grid_oracle: Any) -> Played:
    play_book(market, terms, [], grid_oracle)
    return play_outcomes(market, terms, clearing_oracle, grid_oracle)


@pytest.fixture
def played(market: Any, terms: SessionTerms, clearing_oracle: Any, grid_oracle: Any) -> Played:
    return play(market, terms, clearing_oracle, grid_oracle)


def claim(played: Played, claims: Claims, sender: Any, position: int = 0) -> Any:
    arguments = claims.arguments(played.session, position)
    return played.market.SettlementLedger.claim(*arguments, {"from": sender})


def test_a_debt_follows_its_wallet_into_later_sessions(
    market: Any, played: Played, operator: Any, clearing_oracle: Any, grid_oracle: Any, settlement_oracle: Any,
    stranger: Any,
) -> None:  # fmt: skip
    ledger, token, (debtor, other) = market.SettlementLedger, market.FlexToken, wallets(2)
    first = Claims([([debtor, other], [-50, -1])])
    settle(played, first, 0, settlement_oracle)
    tx = claim(played, first, stranger)
    changes = [(event["wallet"], event["debtUeur"]) for event in tx.events["DebtChanged"]]
    assert changes == [(debtor, 50), (other, 1)]
    for session, (reward, owed, balance) in enumerate(((49, 1, 0), (1, 0, 0), (30, 0, 30)), 2):
        terms = replace(session_terms(), session=session)
        market.MarketSessions.create(as_struct(terms), {"from": operator})
        later = play(market, terms, clearing_oracle, grid_oracle)
        claims = Claims([([debtor], [reward])])
        settle(later, claims, reward, settlement_oracle)
        tx = claim(later, claims, stranger)
        assert ("DebtChanged" in tx.events) == (session < 4)
        assert (ledger.debtUeur(debtor), token.balanceOf(debtor)) == (owed, balance)
    assert (ledger.debtUeur(other), token.totalSupply()) == (1, 30)


def test_several_pods_of_a_wallet_in_one_leaf(
    market: Any, played: Played, settlement_oracle: Any, stranger: Any
) -> None:
    (wallet,) = wallets(1)
    claims = Claims([([wallet] * 4, [8, -5, 3, 4])])
    settle(played, claims, 15, settlement_oracle)
    claim(played, claims, stranger)
    assert (market.SettlementLedger.debtUeur(wallet), market.FlexToken.balanceOf(wallet)) == (0, 10)


def test_nobody_has_no_debt_and_no_reward(
    market: Any, played: Played, settlement_oracle: Any, stranger: Any
) -> None:
    (wallet,) = wallets(1)
    claims = Claims([([NOBODY, wallet, NOBODY], [-5, 3, 9])])
    settle(played, claims, 12, settlement_oracle)
    tx = claim(played, claims, stranger)
    unpayable = [(event["index"], event["amount"]) for event in tx.events["RewardUnpayable"]]
    assert unpayable == [(0, -5), (2, 9)]
    assert market.SettlementLedger.debtUeur(NOBODY) == 0
    assert market.FlexToken.balanceOf(wallet) == market.FlexToken.totalSupply() == 3


def test_the_leaf_of_100_new_wallets_costs_30_000_gas_each(
    market: Any, played: Played, settlement_oracle: Any, stranger: Any
) -> None:
    claims = Claims([(wallets(100), [10**8 + k for k in range(100)]), (wallets(100, "other"), [1] * 100)])
    settle(played, claims, 100 * 10**8 + 4950 + 100, settlement_oracle)
    assert claim(played, claims, stranger).gas_used <= 100 * 30_000
