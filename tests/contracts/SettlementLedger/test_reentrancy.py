"""A euro token that calls back in the middle of its transfers gains nobody anything (SPECIFICATION.md 8.x)."""

from dataclasses import astuple
from types import SimpleNamespace
from typing import Any

import pytest
from brownie import Contract, project

from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Pair
from tests.contracts.chain import travel_to
from tests.contracts.conftest import BALANCE_UEUR, ROLES, account_of, set_up
from tests.contracts.play import (
    DSO_REQUEST,
    EURO,
    OFFER,
    SETTLEMENT,
    Played,
    finalise,
    gather,
    play_book,
    play_outcomes,
    post_settlement,
    sealed,
    settlement,
)


@pytest.fixture(scope="module")
def market(admin: Any, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A market whose euro calls back."""
    container = project.get_loaded_projects()[0].ReentrantEuro
    token = container.deploy({"from": admin})
    # brownie knows an address by one contract only: here by the test euro's.
    container.remove(token)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLEXLEDGER_EURO", token.address)
        return set_up(tmp_path_factory.mktemp("reentrant"))


@pytest.fixture
def token(market: Any) -> Any:
    abi = project.get_loaded_projects()[0].ReentrantEuro.abi
    return Contract.from_abi("ReentrantEuro", market.Euro.address, abi)


@pytest.fixture
def played(
    market: Any, terms: SessionTerms, aggregator: Any, dso: Any, clearing_oracle: Any, grid_oracle: Any
) -> Played:
    documents = [sealed(aggregator, OFFER, 100 * EURO), sealed(dso, DSO_REQUEST, 300 * EURO)]
    play_book(market, terms, documents, grid_oracle)
    return play_outcomes(market, terms, clearing_oracle, grid_oracle, documents)


def held(market: Any) -> int:
    """What all accounts have, free and bonded."""
    accounts = [*(account_of(name) for name in (*ROLES, "admin")), market.Euro]
    return int(sum(market.Vault.free(account) + market.Vault.bonded(account) for account in accounts))


def test_nothing_is_withdrawn_twice(market: Any, token: Any, stranger: Any) -> None:
    vault, sender = market.Vault, {"from": stranger}
    market.Euro.mint(stranger, 10 * EURO, sender)
    market.Euro.approve(vault, 10 * EURO, sender)
    vault.depositFor(token, 10 * EURO, sender)
    again = vault.withdraw.encode_input(5 * EURO)
    token.arm(vault, again, sender)
    token.execute(vault, again, sender)
    assert (token.calls(), token.successes()) == (1, 0)
    assert vault.free(token) == token.balanceOf(token) == 5 * EURO


def test_no_deposit_counts_what_came_in_between(market: Any, token: Any, stranger: Any) -> None:
    vault, sender = market.Vault, {"from": stranger}
    market.Euro.mint(stranger, 10 * EURO, sender)
    market.Euro.mint(token, 10 * EURO, sender)
    market.Euro.approve(vault, 10 * EURO, sender)
    token.execute(token, token.approve.encode_input(vault, 10 * EURO), sender)
    token.arm(vault, vault.depositFor.encode_input(token, 10 * EURO), sender)
    vault.deposit(10 * EURO, sender)
    assert (token.calls(), token.successes()) == (1, 0)
    assert (vault.free(stranger), vault.free(token)) == (10 * EURO, 0)


def test_a_session_is_paid_once_even_in_the_middle_of_a_withdrawal(
    market: Any, token: Any, played: Played, aggregator: Any, dso: Any, settlement_oracle: Any, stranger: Any
) -> None:
    ledger, vault, session = market.SettlementLedger, market.Vault, played.session
    pairs = [Pair(dso.address, aggregator.address, 70 * EURO, 9 * EURO)]
    made = settlement(played)
    post_settlement(played, made, pairs, settlement_oracle)
    gather(played, played.documents, stranger)
    travel_to(played.terms.settlementDeadline + played.terms.challengeWindowS)
    final = ledger.finalise.encode_input(astuple(made), [astuple(pairs[0])])
    for data in (final, final, ledger.releaseCoverage.encode_input(session, dso)):
        token.arm(ledger, data, {"from": stranger})
        vault.withdraw(10 * EURO, {"from": aggregator})
    # The first paid, the second found it paid, the third released what was left.
    assert (token.calls(), token.successes()) == (3, 2)
    token.arm(ledger, ledger.releaseCoverage.encode_input(session, dso), {"from": stranger})
    vault.withdraw(1, {"from": aggregator})
    assert (token.calls(), token.successes()) == (4, 2)
    ledger.releaseCoverage(session, aggregator, {"from": stranger})
    assert vault.free(dso) == BALANCE_UEUR - 61 * EURO
    assert vault.free(aggregator) == BALANCE_UEUR + 61 * EURO - 30 * EURO - 1
    assert held(market) == market.Euro.balanceOf(vault)


def test_no_bond_is_given_back_twice(
    market: Any, token: Any, played: Played, settlement_oracle: Any, auditor: Any, stranger: Any
) -> None:
    board, made = market.OutcomeBoard, settlement(played)
    post_settlement(played, made, [], settlement_oracle)
    finalise(played, made, [], stranger)
    back = board.releaseBond.encode_input(played.session, SETTLEMENT)
    for _ in range(2):
        token.arm(board, back, {"from": stranger})
        market.Vault.withdraw(1, {"from": auditor})
    assert (token.calls(), token.successes()) == (2, 1)
    assert market.Vault.free(settlement_oracle) == BALANCE_UEUR
