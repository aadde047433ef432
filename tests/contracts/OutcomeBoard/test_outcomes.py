"""Market, technical and validated outcomes (SPECIFICATION.md 6.x)."""

from dataclasses import astuple, replace
from typing import Any

import pytest

from offchain.protocol.keccak import keccak256
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Outcome, TechnicalOutcome
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
    sealed,
    technical_outcome,
)

NOTHING = bytes(32)
BOND = 5 * EURO


def post_market(market: Any, made: Outcome, sender: Any) -> Any:
    return market.OutcomeBoard.postMarketOutcome(astuple(made), {"from": sender})


def post_technical(market: Any, made: TechnicalOutcome, sender: Any) -> Any:
    return market.OutcomeBoard.postTechnicalOutcome(astuple(made), {"from": sender})


def post_validated(market: Any, made: Outcome, sender: Any) -> Any:
    return market.OutcomeBoard.postValidatedOutcome(astuple(made), {"from": sender})


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
    post_market(market, first, clearing_oracle)
    return revealed


def test_every_stage_keeps_the_hash_and_locks_a_bond(
    market: Any, cleared: SessionTerms, first: Outcome, clearing_oracle: Any, grid_oracle: Any
) -> None:
    board, session = market.OutcomeBoard, cleared.session
    assert bytes(board.outcomeHash(session, MARKET)) == first.hash()
    technical = technical_outcome(session, first.hash())
    tx = post_technical(market, technical, grid_oracle)
    assert tx.events["TechnicalOutcomePosted"]["hash"] == "0x" + technical.hash().hex()
    assert market.Vault.free(grid_oracle) == BALANCE_UEUR - BOND
    validated = outcome(session, technical.hash(), acceptedWSlots=9_500)
    tx = post_validated(market, validated, clearing_oracle)
    event = tx.events["ValidatedOutcomePosted"]
    assert (event["session"], event["poster"]) == (session, clearing_oracle)
    assert event["outcome"]["acceptedWSlots"] == 9_500
    posting = board.posting(session, VALIDATED)
    assert posting["hash"] == "0x" + validated.hash().hex()
    assert (posting["poster"], posting["postedAt"]) == (clearing_oracle, now_s())
    assert market.Vault.free(clearing_oracle) == BALANCE_UEUR - 2 * BOND


def test_market_outcome_window_to_the_second(
    market: Any, revealed: SessionTerms, first: Outcome, clearing_oracle: Any
) -> None:
    start, deadline = revealed.documentsDeadline, revealed.marketOutcomeDeadline
    next_block_at(start - 1)
    with refused("OutcomeBoardTooEarly", revealed.session, start, start - 1):
        post_market(market, first, clearing_oracle)
    next_block_at(deadline - 1)
    post_market(market, first, clearing_oracle)


def test_market_outcome_too_late(
    market: Any, revealed: SessionTerms, first: Outcome, clearing_oracle: Any
) -> None:
    deadline = revealed.marketOutcomeDeadline
    next_block_at(deadline)
    with refused("OutcomeBoardTooLate", revealed.session, deadline, deadline):
        post_market(market, first, clearing_oracle)


def test_market_outcome_rests_on_the_seed(
    market: Any, revealed: SessionTerms, first: Outcome, clearing_oracle: Any
) -> None:
    travel_to(revealed.documentsDeadline)
    with refused("OutcomeBoardWrongBasis", revealed.session, first.basis, NOTHING):
        post_market(market, replace(first, basis=NOTHING), clearing_oracle)


def test_each_stage_is_posted_once(
    market: Any, cleared: SessionTerms, first: Outcome, clearing_oracle: Any, grid_oracle: Any
) -> None:
    session = cleared.session
    with refused("OutcomeBoardAlreadyPosted", session, MARKET):
        post_market(market, replace(first, totalUeur=0), clearing_oracle)
    technical = technical_outcome(session, first.hash())
    post_technical(market, technical, grid_oracle)
    with refused("OutcomeBoardAlreadyPosted", session, TECHNICAL):
        post_technical(market, replace(technical, refusedWSlots=0), grid_oracle)
    validated = outcome(session, technical.hash())
    post_validated(market, validated, clearing_oracle)
    with refused("OutcomeBoardAlreadyPosted", session, VALIDATED):
        post_validated(market, validated, clearing_oracle)


def test_each_stage_rests_on_the_one_before(
    market: Any, revealed: SessionTerms, first: Outcome, clearing_oracle: Any, grid_oracle: Any
) -> None:
    session = revealed.session
    travel_to(revealed.documentsDeadline)
    with refused("OutcomeBoardNotPosted", session, MARKET):
        post_technical(market, technical_outcome(session, NOTHING), grid_oracle)
    post_market(market, first, clearing_oracle)
    with refused("OutcomeBoardNotPosted", session, TECHNICAL):
        post_validated(market, outcome(session, NOTHING), clearing_oracle)
    other = keccak256(b"another outcome")
    with refused("OutcomeBoardWrongBasis", session, first.hash(), other):
        post_technical(market, technical_outcome(session, other), grid_oracle)
    technical = technical_outcome(session, first.hash())
    post_technical(market, technical, grid_oracle)
    with refused("OutcomeBoardWrongBasis", session, technical.hash(), other):
        post_validated(market, outcome(session, other), clearing_oracle)


def test_only_oracles_post(
    market: Any, cleared: SessionTerms, first: Outcome, clearing_oracle: Any, grid_oracle: Any, operator: Any
) -> None:
    technical = technical_outcome(cleared.session, first.hash())
    for sender in (operator, clearing_oracle):
        with refused("ParticipantRegistryMissingRole", sender, 4):
            post_technical(market, technical, sender)
    for sender in (operator, grid_oracle):
        with refused("ParticipantRegistryMissingRole", sender, 3):
            post_market(market, first, sender)
        with refused("ParticipantRegistryMissingRole", sender, 3):
            post_validated(market, first, sender)


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
    post_market(market, first, clearing_oracle)
    technical = technical_outcome(session, first.hash())
    with refused("OutcomeBoardGridModelNotNotarised", session, grid_oracle, GRID_MODEL, terms.gateOpening):
        post_technical(market, technical, grid_oracle)
    other = keccak256(b"another model")
    with refused("OutcomeBoardGridModelNotNotarised", session, grid_oracle, other, 0):
        post_technical(market, replace(technical, gridModel=other), grid_oracle)


def test_a_model_of_the_last_second_counts(
    market: Any, terms: SessionTerms, clearing_oracle: Any, grid_oracle: Any
) -> None:
    next_block_at(terms.gateOpening - 1)
    notarise_grid_model(market, terms.session, grid_oracle)
    played = play_outcomes(market, terms, clearing_oracle, grid_oracle)
    assert bytes(market.OutcomeBoard.outcomeHash(terms.session, VALIDATED)) == played.validated


def test_no_bond_no_outcome(
    market: Any, revealed: SessionTerms, first: Outcome, clearing_oracle: Any
) -> None:
    market.Vault.withdraw(BALANCE_UEUR - BOND + 1, {"from": clearing_oracle})
    travel_to(revealed.documentsDeadline)
    with refused("VaultInsufficientFree", clearing_oracle, BOND - 1, BOND):
        post_market(market, first, clearing_oracle)


def test_refuses_other_codecs(
    market: Any, revealed: SessionTerms, first: Outcome, clearing_oracle: Any
) -> None:
    travel_to(revealed.documentsDeadline)
    with refused("CidsUnknownCodec", 0x12):
        post_market(market, replace(first, cidCodec=0x12), clearing_oracle)


def test_final_and_bond_back_when_the_window_is_over(
    market: Any, revealed: SessionTerms, clearing_oracle: Any, grid_oracle: Any, stranger: Any
) -> None:
    board, session = market.OutcomeBoard, revealed.session
    with refused("OutcomeBoardNotPosted", session, MARKET):
        board.releaseBond(session, MARKET, {"from": stranger})
    play_outcomes(market, revealed, clearing_oracle, grid_oracle)
    end = board.posting(session, VALIDATED)["postedAt"] + revealed.challengeWindowS
    travel_to(end - 2)
    assert not board.isFinal(session)
    next_block_at(end - 1)
    with refused("OutcomeBoardTooEarly", session, end, end - 1):
        board.releaseBond(session, VALIDATED, {"from": stranger})
    travel_to(end)
    assert board.isFinal(session)
    tx = board.releaseBond(session, VALIDATED, {"from": stranger})
    assert tx.events["OutcomeBondReleased"]["bondUeur"] == BOND
    with refused("OutcomeBoardBondAlreadyReleased", session, VALIDATED):
        board.releaseBond(session, VALIDATED, {"from": stranger})
    board.releaseBond(session, MARKET, {"from": stranger})
    board.releaseBond(session, TECHNICAL, {"from": stranger})
    assert market.Vault.free(clearing_oracle) == market.Vault.free(grid_oracle) == BALANCE_UEUR


def test_without_a_validated_outcome_it_ends_empty(
    market: Any, cleared: SessionTerms, first: Outcome, clearing_oracle: Any, grid_oracle: Any
) -> None:
    board, session, deadline = market.OutcomeBoard, cleared.session, cleared.validatedOutcomeDeadline
    technical = technical_outcome(session, first.hash())
    post_technical(market, technical, grid_oracle)
    travel_to(deadline - 1)
    assert not board.isEnded(session)
    next_block_at(deadline)
    with refused("OutcomeBoardTooLate", session, deadline, deadline):
        post_validated(market, outcome(session, technical.hash()), clearing_oracle)
    assert board.isEnded(session)
    assert not board.isFinal(session)


def test_a_validated_session_never_ends_empty(
    market: Any, revealed: SessionTerms, clearing_oracle: Any, grid_oracle: Any
) -> None:
    play_outcomes(market, revealed, clearing_oracle, grid_oracle)
    travel_to(revealed.settlementDeadline)
    assert not market.OutcomeBoard.isEnded(revealed.session)
