"""Settlements: posted, final, paid (SPECIFICATION.md 8.x)."""

from dataclasses import astuple, replace
from typing import Any

import pytest

from offchain.protocol.keccak import keccak256
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Pair
from tests.contracts.chain import next_block_at, refused, travel_to
from tests.contracts.conftest import BALANCE_UEUR, ROLES, account_of
from tests.contracts.play import (
    DSO_REQUEST,
    EURO,
    MARKET,
    OFFER,
    SETTLEMENT,
    TECHNICAL,
    TSO_REQUEST,
    VALIDATED,
    Played,
    as_struct,
    finalise,
    gather,
    play_book,
    play_outcomes,
    post_settlement,
    sealed,
    session_terms,
    settlement,
)

BOND = 35 * EURO
"""A tenth of the requests' escrow."""


@pytest.fixture
def played(
    market: Any, terms: SessionTerms, aggregator: Any, other_aggregator: Any, dso: Any, tso: Any,
    clearing_oracle: Any, grid_oracle: Any,
) -> Played:  # fmt: skip
    """A session with a validated outcome; everybody's caps are covered."""
    documents = [
        sealed(aggregator, OFFER, 100 * EURO),
        sealed(other_aggregator, OFFER, 40 * EURO),
        sealed(dso, DSO_REQUEST, 300 * EURO),
        sealed(tso, TSO_REQUEST, 50 * EURO),
    ]
    play_book(market, terms, documents, grid_oracle)
    return play_outcomes(market, terms, clearing_oracle, grid_oracle, documents)


def release_all(market: Any, session: int, sender: Any, *accounts: Any) -> None:
    for account in accounts:
        market.SettlementLedger.releaseCoverage(session, account, {"from": sender})


def test_pays_and_penalises_when_both_windows_are_over(
    market: Any, played: Played, aggregator: Any, other_aggregator: Any, dso: Any, tso: Any,
    settlement_oracle: Any, stranger: Any,
) -> None:  # fmt: skip
    pairs = [
        Pair(dso.address, aggregator.address, 70 * EURO, 0),
        Pair(dso.address, other_aggregator.address, 20 * EURO, 3 * EURO),
        Pair(tso.address, aggregator.address, 1, 2),
    ]
    made = settlement(played)
    tx = post_settlement(played, made, pairs, settlement_oracle)
    assert tx.events["SettlementPosted"]["hash"] == "0x" + made.hash(pairs).hex()
    assert market.Vault.free(settlement_oracle) == BALANCE_UEUR - BOND
    tx = finalise(played, made, pairs, stranger)
    assert [event["amountUeur"] for event in tx.events["Paid"]] == [70 * EURO, 20 * EURO, 1]
    assert [event["amountUeur"] for event in tx.events["Penalised"]] == [0, 3 * EURO, 2]
    assert "FellShort" not in tx.events
    assert market.SettlementLedger.isFinal(played.session)
    release_all(market, played.session, stranger, aggregator, other_aggregator, dso, tso)
    market.OutcomeBoard.releaseBond(played.session, SETTLEMENT, {"from": stranger})
    vault = market.Vault
    assert vault.free(aggregator) == BALANCE_UEUR + 70 * EURO + 1 - 2
    assert vault.free(other_aggregator) == BALANCE_UEUR + 17 * EURO
    assert vault.free(dso) == BALANCE_UEUR - 87 * EURO
    assert vault.free(tso) == BALANCE_UEUR - 1 + 2
    assert vault.free(settlement_oracle) == BALANCE_UEUR


def test_money_is_conserved(
    market: Any, played: Played, aggregator: Any, dso: Any, settlement_oracle: Any, stranger: Any
) -> None:
    pairs = [Pair(dso.address, aggregator.address, 70 * EURO, 9 * EURO)]
    made = settlement(played)
    post_settlement(played, made, pairs, settlement_oracle)
    finalise(played, made, pairs, stranger)
    for stage in (MARKET, TECHNICAL, VALIDATED, SETTLEMENT):
        market.OutcomeBoard.releaseBond(played.session, stage, {"from": stranger})
    names = ("aggregator", "other_aggregator", "dso", "tso")
    release_all(market, played.session, stranger, *map(account_of, names))
    vault = market.Vault
    total = sum(vault.free(account_of(name)) + vault.bonded(account_of(name)) for name in ROLES)
    assert total == len(ROLES) * BALANCE_UEUR == market.Euro.balanceOf(market.Vault)


def test_who_is_short_of_money_holds_up_nobody(
    market: Any, played: Played, aggregator: Any, other_aggregator: Any, dso: Any, settlement_oracle: Any,
    stranger: Any,
) -> None:  # fmt: skip
    pairs = [
        Pair(dso.address, aggregator.address, 299 * EURO, 101 * EURO),
        Pair(dso.address, other_aggregator.address, 3 * EURO, 0),
    ]
    made = settlement(played)
    post_settlement(played, made, pairs, settlement_oracle)
    tx = finalise(played, made, pairs, stranger)
    assert [dict(event) for event in tx.events["FellShort"]] == [
        {"session": played.session, "debtor": aggregator, "creditor": dso, "missingUeur": 1 * EURO},
        {"session": played.session, "debtor": dso, "creditor": other_aggregator, "missingUeur": 2 * EURO},
    ]
    assert market.Vault.free(aggregator) == BALANCE_UEUR - 100 * EURO + 299 * EURO
    assert market.Vault.free(other_aggregator) == BALANCE_UEUR - 40 * EURO + 1 * EURO
    assert market.Vault.free(dso) == BALANCE_UEUR - 300 * EURO + 100 * EURO


def test_window_to_the_second(market: Any, played: Played, settlement_oracle: Any, stranger: Any) -> None:
    ledger, made, session = market.SettlementLedger, settlement(played), played.session
    end, deadline = played.terms.delivery_end_s, played.terms.settlementDeadline
    with refused("OutcomeBoardTooEarly", session, end, end - 1):
        post_settlement(played, made, [], settlement_oracle, end - 1)
    post_settlement(played, made, [], settlement_oracle, deadline - 1)
    gather(played, played.documents, stranger)
    over = deadline - 1 + played.terms.challengeWindowS
    next_block_at(over - 1)
    with refused("SettlementLedgerStillOpen", session):
        ledger.finalise(astuple(made), [], {"from": stranger})
    next_block_at(over)
    ledger.finalise(astuple(made), [], {"from": stranger})


def test_too_late(market: Any, played: Played, settlement_oracle: Any) -> None:
    deadline = played.terms.settlementDeadline
    with refused("OutcomeBoardTooLate", played.session, deadline, deadline):
        post_settlement(played, settlement(played), [], settlement_oracle, deadline)


def test_an_outcome_still_open_to_challenge_holds_the_money(
    market: Any, operator: Any, clearing_oracle: Any, grid_oracle: Any, settlement_oracle: Any, stranger: Any
) -> None:
    terms = session_terms()
    window = terms.delivery_end_s - terms.documentsDeadline + 50
    terms = replace(terms, session=1, challengeWindowS=window)
    market.MarketSessions.create(as_struct(terms), {"from": operator})
    play_book(market, terms, [], grid_oracle)
    played = play_outcomes(market, terms, clearing_oracle, grid_oracle)
    made = settlement(played)
    post_settlement(played, made, [], settlement_oracle)
    assert not market.OutcomeBoard.isFinal(1, VALIDATED)
    with refused("SettlementLedgerStillOpen", 1):
        market.SettlementLedger.finalise(astuple(made), [], {"from": stranger})
    finalise(played, made, [], stranger)


def test_nothing_is_paid_from_half_of_what_covers_a_session(
    market: Any, played: Played, settlement_oracle: Any, stranger: Any
) -> None:
    made = settlement(played)
    post_settlement(played, made, [], settlement_oracle)
    gather(played, played.documents[1:], stranger)
    travel_to(played.terms.settlementDeadline + played.terms.challengeWindowS)
    with refused("SettlementLedgerUngathered", played.session, 1):
        market.SettlementLedger.finalise(astuple(made), [], {"from": stranger})


def test_a_pause_stops_nothing_that_is_owed(
    market: Any, played: Played, admin: Any, aggregator: Any, dso: Any, settlement_oracle: Any, stranger: Any
) -> None:
    pairs = [Pair(dso.address, aggregator.address, 7 * EURO, 0)]
    made = settlement(played)
    post_settlement(played, made, pairs, settlement_oracle)
    gather(played, played.documents, stranger)
    travel_to(played.terms.settlementDeadline)
    market.MarketSessions.pause({"from": admin})
    market.SettlementLedger.finalise(astuple(made), [astuple(pairs[0])], {"from": stranger})
    market.SettlementLedger.releaseCoverage(played.session, dso, {"from": stranger})
    market.Vault.withdraw(7 * EURO, {"from": aggregator})


def test_settles_the_validated_outcome_and_no_other(
    market: Any, played: Played, settlement_oracle: Any
) -> None:
    other = keccak256(b"another outcome")
    made = settlement(played, validatedOutcomeHash=other)
    with refused("OutcomeBoardWrongBasis", played.session, played.validated, other):
        post_settlement(played, made, [], settlement_oracle)


def test_settles_nothing_that_ended_empty(market: Any, terms: SessionTerms, settlement_oracle: Any) -> None:
    played = Played(market, terms, bytes(32))
    with refused("OutcomeBoardNotPosted", terms.session, VALIDATED):
        post_settlement(played, settlement(played), [], settlement_oracle)


def test_posts_once_and_finalises_once_what_was_posted(
    market: Any, played: Played, aggregator: Any, dso: Any, settlement_oracle: Any, stranger: Any
) -> None:
    ledger, session = market.SettlementLedger, played.session
    pairs = [Pair(dso.address, aggregator.address, 7, 0)]
    made = settlement(played)
    with refused("SettlementLedgerNotPosted", session):
        ledger.finalise(astuple(made), [], {"from": stranger})
    post_settlement(played, made, pairs, settlement_oracle)
    with refused("OutcomeBoardAlreadyPosted", session, SETTLEMENT):
        post_settlement(played, made, [], settlement_oracle, played.terms.delivery_end_s + 9)
    more = [replace(pairs[0], paymentUeur=8)]
    with refused("SettlementLedgerWrongSettlement", session, made.hash(pairs), made.hash(more)):
        ledger.finalise(astuple(made), [astuple(pair) for pair in more], {"from": stranger})
    finalise(played, made, pairs, stranger)
    with refused("SettlementLedgerAlreadyFinal", session):
        ledger.finalise(astuple(made), [astuple(pair) for pair in pairs], {"from": stranger})


def test_only_the_settlement_oracle_posts(market: Any, played: Played, operator: Any) -> None:
    with refused("ParticipantRegistryMissingRole", operator, 5):
        post_settlement(played, settlement(played), [], operator)


def test_money_goes_between_operators_and_aggregators_only(
    market: Any, played: Played, aggregator: Any, dso: Any, stranger: Any, settlement_oracle: Any
) -> None:
    made = settlement(played)
    with refused("OutcomeBoardNotAPayee", played.session, stranger):
        post_settlement(played, made, [Pair(dso.address, stranger.address, 1, 0)], settlement_oracle)
    with refused("OutcomeBoardNotAPayer", played.session, aggregator):
        pairs = [Pair(aggregator.address, aggregator.address, 1, 0)]
        post_settlement(played, made, pairs, settlement_oracle, played.terms.delivery_end_s + 9)


def test_the_suspended_are_paid_what_they_earned(
    market: Any, played: Played, admin: Any, aggregator: Any, dso: Any, settlement_oracle: Any, stranger: Any
) -> None:
    market.ParticipantRegistry.suspend(aggregator, "later misdeeds", {"from": admin})
    pairs = [Pair(dso.address, aggregator.address, 7 * EURO, 0)]
    made = settlement(played)
    post_settlement(played, made, pairs, settlement_oracle)
    finalise(played, made, pairs, stranger)
    assert market.Vault.free(aggregator) == BALANCE_UEUR - 100 * EURO + 7 * EURO


def test_200_pairs_are_final_below_16_million_gas(
    market: Any, played: Played, aggregator: Any, dso: Any, settlement_oracle: Any, stranger: Any
) -> None:
    made, pair = settlement(played), Pair(dso.address, aggregator.address, 2, 1)
    with refused("OutcomeBoardTooManyPairs", 201, 200):
        post_settlement(played, made, [pair] * 201, settlement_oracle)
    tx = post_settlement(played, made, [pair] * 200, settlement_oracle, played.terms.delivery_end_s + 9)
    assert tx.gas_used < 16_000_000
    tx = finalise(played, made, [pair] * 200, stranger)
    assert tx.gas_used < 16_000_000
    assert market.Vault.free(aggregator) == BALANCE_UEUR - 100 * EURO + 400


def test_coverage_stays_until_the_settlement_is_final(
    market: Any, played: Played, dso: Any, settlement_oracle: Any, stranger: Any
) -> None:
    ledger, session = market.SettlementLedger, played.session
    with refused("SettlementLedgerCoverageStillNeeded", session, dso):
        ledger.releaseCoverage(session, dso, {"from": stranger})
    made = settlement(played)
    post_settlement(played, made, [], settlement_oracle)
    gather(played, played.documents, stranger)
    travel_to(played.terms.settlementDeadline)
    with refused("SettlementLedgerCoverageStillNeeded", session, dso):
        ledger.releaseCoverage(session, dso, {"from": stranger})
    ledger.finalise(astuple(made), [], {"from": stranger})
    tx = ledger.releaseCoverage(session, dso, {"from": stranger})
    assert tx.events["CoverageReleased"]["amountUeur"] == 300 * EURO
    with refused("SettlementLedgerNothingToRelease", session, dso):
        ledger.releaseCoverage(session, dso, {"from": stranger})


def test_coverage_is_free_when_no_settlement_came(
    market: Any, played: Played, dso: Any, stranger: Any
) -> None:
    deadline = played.terms.settlementDeadline
    gather(played, played.documents, stranger)
    next_block_at(deadline - 1)
    with refused("SettlementLedgerCoverageStillNeeded", played.session, dso):
        market.SettlementLedger.releaseCoverage(played.session, dso, {"from": stranger})
    next_block_at(deadline)
    market.SettlementLedger.releaseCoverage(played.session, dso, {"from": stranger})
    assert market.Vault.free(dso) == BALANCE_UEUR


def test_coverage_is_free_when_the_session_ended_empty(
    market: Any, terms: SessionTerms, dso: Any, grid_oracle: Any, stranger: Any
) -> None:
    documents = [sealed(dso, DSO_REQUEST, 300 * EURO)]
    play_book(market, terms, documents, grid_oracle)
    travel_to(terms.documentsDeadline)
    gather(Played(market, terms, bytes(32)), documents, stranger)
    next_block_at(terms.validatedOutcomeDeadline - 1)
    with refused("SettlementLedgerCoverageStillNeeded", terms.session, dso):
        market.SettlementLedger.releaseCoverage(terms.session, dso, {"from": stranger})
    next_block_at(terms.validatedOutcomeDeadline)
    market.SettlementLedger.releaseCoverage(terms.session, dso, {"from": stranger})
    assert market.Vault.free(dso) == BALANCE_UEUR


def test_one_session_never_pays_for_another(
    market: Any, played: Played, operator: Any, aggregator: Any, dso: Any, settlement_oracle: Any,
    grid_oracle: Any, clearing_oracle: Any, stranger: Any,
) -> None:  # fmt: skip
    later = replace(session_terms(), session=played.session + 1)
    market.MarketSessions.create(as_struct(later), {"from": operator})
    documents = [sealed(dso, DSO_REQUEST, 10 * EURO)]
    play_book(market, later, documents, grid_oracle)
    second = play_outcomes(market, later, clearing_oracle, grid_oracle, documents)
    pairs = [Pair(dso.address, aggregator.address, 50 * EURO, 0)]
    made = settlement(second)
    post_settlement(second, made, pairs, settlement_oracle)
    tx = finalise(second, made, pairs, stranger)
    assert tx.events["Paid"]["amountUeur"] == 10 * EURO
    assert tx.events["FellShort"]["missingUeur"] == 40 * EURO
