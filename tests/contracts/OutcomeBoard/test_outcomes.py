"""Market, technical and validated outcomes (SPECIFICATION.md 6.x)."""

from dataclasses import replace
from typing import Any

import pytest

from offchain.protocol.keccak import keccak256
from offchain.protocol.roles import Role
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Outcome
from tests.contracts.chain import next_block_at, now_s, refused, travel_to
from tests.contracts.conftest import BALANCE_UEUR
from tests.contracts.play import (
    DSO_REQUEST,
    EURO,
    GRID_MODEL,
    MARKET,
    OFFER,
    TECHNICAL,
    VALIDATED,
    notarise_grid_model,
    outcome,
    play_book,
    play_outcomes,
    post_market,
    post_technical,
    post_validated,
    sealed,
    technical_outcome,
)

NOTHING = bytes(32)
BOND = 10 * EURO
"""A tenth of the request's escrow."""


@pytest.fixture
def revealed(market: Any, terms: SessionTerms, aggregator: Any, dso: Any, grid_oracle: Any) -> SessionTerms:
    """The session with an offer and a request in its book, its grid model notarised."""
    documents = [sealed(aggregator, OFFER, 100 * EURO), sealed(dso, DSO_REQUEST, 100 * EURO)]
    play_book(market, terms, documents, grid_oracle)
    return terms


@pytest.fixture
def first(market: Any, revealed: SessionTerms) -> Outcome:
    """The market outcome that is due."""
    return outcome(revealed.session, bytes(market.CommitmentBook.seed(revealed.session)))


@pytest.fixture
def cleared(market: Any, revealed: SessionTerms, first: Outcome, clearing_oracle: Any) -> SessionTerms:
    """The session with its market outcome."""
    travel_to(revealed.documentsDeadline)
    post_market(market, revealed, first, clearing_oracle)
    return revealed


def test_every_stage_keeps_the_hash_and_locks_a_bond(
    market: Any, cleared: SessionTerms, first: Outcome, clearing_oracle: Any, grid_oracle: Any
) -> None:
    board, session = market.OutcomeBoard, cleared.session
    assert bytes(board.outcomeHash(session, MARKET)) == first.hash()
    technical = technical_outcome(session, first.hash())
    tx = post_technical(market, cleared, technical, grid_oracle)
    assert tx.events["TechnicalOutcomePosted"]["hash"] == "0x" + technical.hash().hex()
    assert market.Vault.free(grid_oracle) == BALANCE_UEUR - BOND
    validated = outcome(session, technical.hash(), acceptedWSlots=9_500)
    tx = post_validated(market, cleared, validated, clearing_oracle)
    event = tx.events["ValidatedOutcomePosted"]
    assert (event["session"], event["poster"]) == (session, clearing_oracle)
    assert event["outcome"]["acceptedWSlots"] == 9_500
    assert market.Vault.bonded(clearing_oracle) == 2 * BOND
    posting = board.posting(session, VALIDATED)
    assert posting["hash"] == "0x" + validated.hash().hex()
    assert (posting["poster"], posting["postedAt"], posting["bondUeur"]) == (clearing_oracle, now_s(), BOND)
    assert market.Vault.free(clearing_oracle) == BALANCE_UEUR - 2 * BOND


def test_market_outcome_window_to_the_second(
    market: Any, revealed: SessionTerms, first: Outcome, clearing_oracle: Any
) -> None:
    start, deadline = revealed.documentsDeadline, revealed.marketOutcomeDeadline
    next_block_at(start - 1)
    with refused("OutcomeBoardTooEarly", revealed.session, start, start - 1):
        post_market(market, revealed, first, clearing_oracle)
    next_block_at(deadline - 1)
    post_market(market, revealed, first, clearing_oracle)


def test_market_outcome_too_late(
    market: Any, revealed: SessionTerms, first: Outcome, clearing_oracle: Any
) -> None:
    deadline = revealed.marketOutcomeDeadline
    next_block_at(deadline)
    with refused("OutcomeBoardTooLate", revealed.session, deadline, deadline):
        post_market(market, revealed, first, clearing_oracle)


def test_market_outcome_rests_on_the_seed(
    market: Any, revealed: SessionTerms, first: Outcome, clearing_oracle: Any
) -> None:
    travel_to(revealed.documentsDeadline)
    with refused("OutcomeBoardWrongBasis", revealed.session, first.basis, NOTHING):
        post_market(market, revealed, replace(first, basis=NOTHING), clearing_oracle)


def test_each_stage_is_posted_once(
    market: Any, cleared: SessionTerms, first: Outcome, clearing_oracle: Any, grid_oracle: Any
) -> None:
    session = cleared.session
    with refused("OutcomeBoardAlreadyPosted", session, MARKET):
        post_market(market, cleared, replace(first, totalUeur=0), clearing_oracle)
    technical = technical_outcome(session, first.hash())
    post_technical(market, cleared, technical, grid_oracle)
    with refused("OutcomeBoardAlreadyPosted", session, TECHNICAL):
        post_technical(market, cleared, replace(technical, refusedWSlots=0), grid_oracle)
    validated = outcome(session, technical.hash())
    post_validated(market, cleared, validated, clearing_oracle)
    with refused("OutcomeBoardAlreadyPosted", session, VALIDATED):
        post_validated(market, cleared, validated, clearing_oracle)


def test_each_stage_rests_on_the_one_before(
    market: Any, revealed: SessionTerms, first: Outcome, clearing_oracle: Any, grid_oracle: Any
) -> None:
    session = revealed.session
    travel_to(revealed.documentsDeadline)
    with refused("OutcomeBoardNotPosted", session, MARKET):
        post_technical(market, revealed, technical_outcome(session, NOTHING), grid_oracle)
    post_market(market, revealed, first, clearing_oracle)
    with refused("OutcomeBoardNotPosted", session, TECHNICAL):
        post_validated(market, revealed, outcome(session, NOTHING), clearing_oracle)
    other = keccak256(b"another outcome")
    with refused("OutcomeBoardWrongBasis", session, first.hash(), other):
        post_technical(market, revealed, technical_outcome(session, other), grid_oracle)
    technical = technical_outcome(session, first.hash())
    post_technical(market, revealed, technical, grid_oracle)
    with refused("OutcomeBoardWrongBasis", session, technical.hash(), other):
        post_validated(market, revealed, outcome(session, other), clearing_oracle)


def test_only_oracles_post(
    market: Any, terms: SessionTerms, clearing_oracle: Any, grid_oracle: Any, operator: Any
) -> None:
    for sender in (operator, clearing_oracle):
        notarise_grid_model(market, terms.session, sender)
    travel_to(terms.documentsDeadline)
    first = outcome(terms.session, NOTHING)
    for sender in (operator, grid_oracle):
        with refused("ParticipantRegistryMissingRole", sender, 3):
            post_market(market, terms, first, sender)
    post_market(market, terms, first, clearing_oracle)
    technical = technical_outcome(terms.session, first.hash())
    for sender in (operator, clearing_oracle):
        with refused("ParticipantRegistryMissingRole", sender, 4):
            post_technical(market, terms, technical, sender)


def test_the_grid_model_was_notarised_by_its_oracle_before_the_gate(
    market: Any, terms: SessionTerms, dso: Any, clearing_oracle: Any, grid_oracle: Any
) -> None:
    session = terms.session
    notarise_grid_model(market, session, dso)
    notarise_grid_model(market, session + 1, grid_oracle)
    next_block_at(terms.gateOpening)
    notarise_grid_model(market, session, grid_oracle)
    travel_to(terms.documentsDeadline)
    first = outcome(session, NOTHING)
    post_market(market, terms, first, clearing_oracle)
    technical = technical_outcome(session, first.hash())
    with refused("OutcomeBoardGridModelNotNotarised", session, grid_oracle, GRID_MODEL, terms.gateOpening):
        post_technical(market, terms, technical, grid_oracle)
    other = keccak256(b"another model")
    with refused("OutcomeBoardGridModelNotNotarised", session, grid_oracle, other, 0):
        post_technical(market, terms, replace(technical, gridModel=other), grid_oracle)


def test_a_model_of_the_last_second_counts(
    market: Any, terms: SessionTerms, clearing_oracle: Any, grid_oracle: Any
) -> None:
    next_block_at(terms.gateOpening - 1)
    notarise_grid_model(market, terms.session, grid_oracle)
    played = play_outcomes(market, terms, clearing_oracle, grid_oracle)
    assert bytes(market.OutcomeBoard.outcomeHash(terms.session, VALIDATED)) == played.validated


def test_a_pause_before_the_gate_leaves_as_much_time_for_the_model(
    market: Any, terms: SessionTerms, admin: Any, clearing_oracle: Any, grid_oracle: Any, auditor: Any
) -> None:
    """By the market's clock, to the second: one oracle is just in time, another just too late."""
    market.ParticipantRegistry.register(auditor, Role.GRID_ORACLE.mask, "another", {"from": admin})
    next_block_at(terms.baselineGate)
    market.MarketSessions.pause({"from": admin})
    next_block_at(terms.gateOpening + 500)
    market.MarketSessions.resume({"from": admin})
    opening_s = terms.gateOpening + 500 + 1000
    next_block_at(opening_s - 1)
    notarise_grid_model(market, terms.session, grid_oracle)
    next_block_at(opening_s)
    notarise_grid_model(market, terms.session, auditor)
    travel_to(terms.documentsDeadline + 1500)
    first = outcome(terms.session, NOTHING)
    post_market(market, terms, first, clearing_oracle)
    technical = technical_outcome(terms.session, first.hash())
    with refused("OutcomeBoardGridModelNotNotarised", terms.session, auditor, GRID_MODEL, opening_s):
        post_technical(market, terms, technical, auditor)
    post_technical(market, terms, technical, grid_oracle)


def test_no_bond_no_outcome(
    market: Any, revealed: SessionTerms, first: Outcome, clearing_oracle: Any
) -> None:
    market.Vault.withdraw(BALANCE_UEUR - BOND + 1, {"from": clearing_oracle})
    travel_to(revealed.documentsDeadline)
    with refused("VaultInsufficientFree", clearing_oracle, BOND - 1, BOND):
        post_market(market, revealed, first, clearing_oracle)


def test_refuses_other_codecs(
    market: Any, revealed: SessionTerms, first: Outcome, clearing_oracle: Any
) -> None:
    travel_to(revealed.documentsDeadline)
    with refused("CidsUnknownCodec", 0x12):
        post_market(market, revealed, replace(first, cidCodec=0x12), clearing_oracle)


def test_final_and_bond_back_when_the_window_is_over(
    market: Any, revealed: SessionTerms, clearing_oracle: Any, grid_oracle: Any, stranger: Any
) -> None:
    board, session = market.OutcomeBoard, revealed.session
    with refused("OutcomeBoardNotPosted", session, MARKET):
        board.releaseBond(session, MARKET, {"from": stranger})
    play_outcomes(market, revealed, clearing_oracle, grid_oracle)
    end = board.posting(session, VALIDATED)["postedAt"] + revealed.challengeWindowS
    travel_to(end - 2)
    assert not board.isFinal(session, VALIDATED)
    next_block_at(end - 1)
    with refused("OutcomeBoardTooEarly", session, end, end - 1):
        board.releaseBond(session, VALIDATED, {"from": stranger})
    travel_to(end)
    assert board.isFinal(session, VALIDATED)
    tx = board.releaseBond(session, VALIDATED, {"from": stranger})
    assert tx.events["BondReleased"]["bondUeur"] == BOND
    with refused("OutcomeBoardBondGone", session, VALIDATED):
        board.releaseBond(session, VALIDATED, {"from": stranger})
    board.releaseBond(session, MARKET, {"from": stranger})
    board.releaseBond(session, TECHNICAL, {"from": stranger})
    assert market.Vault.free(clearing_oracle) == market.Vault.free(grid_oracle) == BALANCE_UEUR


def test_without_a_validated_outcome_it_ends_empty(
    market: Any, cleared: SessionTerms, first: Outcome, clearing_oracle: Any, grid_oracle: Any
) -> None:
    board, session, deadline = market.OutcomeBoard, cleared.session, cleared.validatedOutcomeDeadline
    technical = technical_outcome(session, first.hash())
    post_technical(market, cleared, technical, grid_oracle)
    travel_to(deadline - 1)
    assert not board.isEnded(session)
    next_block_at(deadline)
    with refused("OutcomeBoardTooLate", session, deadline, deadline):
        post_validated(market, cleared, outcome(session, technical.hash()), clearing_oracle)
    assert board.isEnded(session)
    assert not board.isFinal(session, VALIDATED)


def test_a_validated_session_never_ends_empty(
    market: Any, revealed: SessionTerms, clearing_oracle: Any, grid_oracle: Any
) -> None:
    play_outcomes(market, revealed, clearing_oracle, grid_oracle)
    travel_to(revealed.settlementDeadline)
    assert not market.OutcomeBoard.isEnded(revealed.session)


@pytest.mark.parametrize(
    ("escrow_ueur", "bond_ueur"), [(50 * EURO, 5 * EURO), (50 * EURO + 1, 5 * EURO + 1), (0, 5 * EURO)]
)
def test_a_bond_is_a_share_of_the_escrow_with_a_floor(
    market: Any, terms: SessionTerms, dso: Any, clearing_oracle: Any, grid_oracle: Any, escrow_ueur: int, bond_ueur: int
) -> None:  # fmt: skip
    play_book(market, terms, [sealed(dso, DSO_REQUEST, escrow_ueur)], grid_oracle)
    travel_to(terms.documentsDeadline)
    made = outcome(terms.session, bytes(market.CommitmentBook.seed(terms.session)))
    post_market(market, terms, made, clearing_oracle)
    assert market.OutcomeBoard.posting(terms.session, MARKET)["bondUeur"] == bond_ueur


def test_nothing_is_posted_in_a_pause(
    market: Any, revealed: SessionTerms, first: Outcome, admin: Any, clearing_oracle: Any
) -> None:
    travel_to(revealed.documentsDeadline)
    since = now_s() + 5
    next_block_at(since)
    market.MarketSessions.pause({"from": admin})
    with refused("OutcomeBoardPaused"):
        post_market(market, revealed, first, clearing_oracle)
