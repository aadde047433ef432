"""What a refusal leaves short is cleared and assessed again, in at most three rounds (SPECIFICATION.md 27.x)."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from offchain.protocol.keccak import keccak256
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Outcome, TechnicalOutcome
from tests.contracts.chain import next_block_at, refused, speak_as, travel_to
from tests.contracts.conftest import BALANCE_UEUR
from tests.contracts.play import (
    DSO_REQUEST,
    EURO,
    MARKET,
    MARKET_2,
    MARKET_3,
    NOBODY,
    OFFER,
    TECHNICAL,
    TECHNICAL_2,
    TECHNICAL_3,
    VALIDATED,
    as_struct,
    notarise_grid_model,
    outcome,
    play_book,
    post_market,
    post_technical,
    post_validated,
    sealed,
    session_terms,
    technical_outcome,
)

BOND = 10 * EURO
"""A tenth of the request's escrow."""
FAULT = b"Lie".ljust(32, b"\0")


@dataclass
class Rounds:
    """A session whose book is complete, and what was posted of it last."""

    market: Any
    terms: SessionTerms
    clearing_oracle: Any
    grid_oracle: Any
    basis: bytes
    last_market: Outcome | None = None
    last_technical: TechnicalOutcome | None = None

    def clear(self, oracle: Any = None) -> Outcome:
        """Post the next round's market outcome."""
        made = outcome(self.terms.session, self.basis)
        post_market(self.market, self.terms, made, oracle or self.clearing_oracle)
        self.last_market = made
        return made

    def assess(self) -> TechnicalOutcome:
        """Post the technical outcome of the last market outcome."""
        made = technical_outcome(self.terms.session, self.last_market.hash())
        post_technical(self.market, self.terms, made, self.grid_oracle)
        self.last_technical, self.basis = made, made.hash()
        return made

    def validate(self, basis: bytes | None = None) -> Outcome:
        """Post the validated outcome on the last technical one, or another."""
        made = outcome(self.terms.session, basis or self.basis, acceptedWSlots=9_500)
        post_validated(self.market, self.terms, made, self.clearing_oracle)
        return made

    def stands(self) -> list[int]:
        """Stages of what stands."""
        board, session = self.market.OutcomeBoard, self.terms.session
        return [
            stage for stage in range(VALIDATED + 1) if bytes(board.outcomeHash(session, stage)) != bytes(32)
        ]

    def strike(self, stage: int, auditor: Any) -> Any:
        """A challenge contract says that a result is false."""
        challenger = speak_as(self.market.OutcomeChallenges.address)
        arguments = (self.terms.session, stage, FAULT, auditor, NOBODY, 0)
        return self.market.OutcomeBoard.strike(*arguments, {"from": challenger})

    @property
    def last_part_s(self) -> int:
        """From when no other round is cleared."""
        return self.terms.validatedOutcomeDeadline - self.terms.takeoverS


@pytest.fixture
def rounds(
    market: Any, terms: SessionTerms, aggregator: Any, dso: Any, clearing_oracle: Any, grid_oracle: Any
) -> Rounds:
    """A session whose first market outcome is due."""
    documents = [sealed(aggregator, OFFER, 100 * EURO), sealed(dso, DSO_REQUEST, 100 * EURO)]
    play_book(market, terms, documents, grid_oracle)
    travel_to(terms.documentsDeadline)
    seed = bytes(market.CommitmentBook.seed(terms.session))
    return Rounds(market, terms, clearing_oracle, grid_oracle, seed)


@pytest.fixture
def assessed(rounds: Rounds) -> Rounds:
    """The same after its first round."""
    rounds.clear()
    rounds.assess()
    return rounds


def test_three_rounds_each_with_its_bond_and_no_fourth(assessed: Rounds, stranger: Any) -> None:
    board, session = assessed.market.OutcomeBoard, assessed.terms.session
    for stage in (MARKET_2, MARKET_3):
        made = assessed.clear()
        assert bytes(board.outcomeHash(session, stage)) == made.hash()
        technical = assessed.assess()
        assert bytes(board.outcomeHash(session, stage + 1)) == technical.hash()
    with refused(
        "OutcomeBoardWrongBasis", session, bytes(board.outcomeHash(session, TECHNICAL_2)), assessed.basis
    ):
        assessed.clear()
    assessed.validate()
    assert assessed.stands() == list(range(VALIDATED + 1))
    vault = assessed.market.Vault
    assert vault.bonded(assessed.clearing_oracle) == 4 * BOND
    assert vault.bonded(assessed.grid_oracle) == 3 * BOND
    last = board.posting(session, VALIDATED)["postedAt"]
    travel_to(last + assessed.terms.challengeWindowS)
    for stage in range(VALIDATED + 1):
        board.releaseBond(session, stage, {"from": stranger})
    assert vault.free(assessed.clearing_oracle) == vault.free(assessed.grid_oracle) == BALANCE_UEUR


def test_each_round_rests_on_the_one_before(assessed: Rounds) -> None:
    session, first = assessed.terms.session, assessed.last_market
    other = keccak256(b"another outcome")
    with refused("OutcomeBoardWrongBasis", session, assessed.basis, other):
        post_market(assessed.market, assessed.terms, outcome(session, other), assessed.clearing_oracle)
    again = assessed.clear()
    with refused("OutcomeBoardWrongBasis", session, again.hash(), other):
        post_technical(
            assessed.market, assessed.terms, technical_outcome(session, other), assessed.grid_oracle
        )
    with refused("OutcomeBoardAlreadyPosted", session, TECHNICAL):
        twice = technical_outcome(session, first.hash(), refusedWSlots=0)
        post_technical(assessed.market, assessed.terms, twice, assessed.grid_oracle)
    with refused("OutcomeBoardAlreadyPosted", session, MARKET_2):
        twice = replace(again, totalUeur=1)
        post_market(assessed.market, assessed.terms, twice, assessed.clearing_oracle)


def test_a_validated_outcome_rests_on_the_last_assessment(assessed: Rounds) -> None:
    session, first = assessed.terms.session, assessed.basis
    assessed.clear()
    with refused("OutcomeBoardNotPosted", session, TECHNICAL_2):
        assessed.validate()
    assessed.assess()
    with refused("OutcomeBoardWrongBasis", session, assessed.basis, first):
        assessed.validate(first)
    assessed.validate()


def test_nothing_is_cleared_or_assessed_after_the_validated_outcome(assessed: Rounds) -> None:
    session = assessed.terms.session
    assessed.validate()
    with refused("OutcomeBoardAlreadyPosted", session, VALIDATED):
        assessed.clear()


def test_no_other_round_begins_in_the_last_part_of_the_window(assessed: Rounds) -> None:
    session, end = assessed.terms.session, assessed.last_part_s
    next_block_at(end)
    with refused("OutcomeBoardTooLate", session, end, end):
        assessed.clear()
    assessed.validate()


def test_a_round_of_the_last_second_holds_nobody_up(assessed: Rounds) -> None:
    """Neither a needless round nor a silent grid oracle makes the session end empty."""
    session, end, first = assessed.terms.session, assessed.last_part_s, assessed.basis
    next_block_at(end - 1)
    assessed.clear()
    validated = outcome(session, first)
    next_block_at(end)
    post_validated(assessed.market, assessed.terms, validated, assessed.clearing_oracle)
    with refused("OutcomeBoardAlreadyPosted", session, VALIDATED):
        assessed.assess()
    assert assessed.stands() == [MARKET, TECHNICAL, MARKET_2, VALIDATED]


def test_until_then_it_is_waited_for(assessed: Rounds) -> None:
    session, end, first = assessed.terms.session, assessed.last_part_s, assessed.basis
    assessed.clear()
    next_block_at(end - 1)
    with refused("OutcomeBoardNotPosted", session, TECHNICAL_2):
        assessed.validate(first)
    next_block_at(end + 10)
    assessed.assess()
    with refused("OutcomeBoardWrongBasis", session, assessed.basis, first):
        assessed.validate(first)
    assessed.validate()


def test_a_struck_round_goes_with_all_that_rests_on_it_and_may_be_cleared_anew(
    assessed: Rounds, auditor: Any, other_clearing_oracle: Any
) -> None:
    session, first = assessed.terms.session, assessed.basis
    assessed.clear()
    assessed.assess()
    assessed.clear()
    assessed.assess()
    assessed.validate()
    tx = assessed.strike(MARKET_2, auditor)
    removed = [event["stage"] for event in tx.events["ResultRemoved"]]
    assert removed == [TECHNICAL_2, MARKET_3, TECHNICAL_3, VALIDATED]
    assert assessed.stands() == [MARKET, TECHNICAL]
    assert assessed.market.Vault.bonded(assessed.clearing_oracle) == BOND
    assessed.basis = first
    with refused("OutcomeBoardStruckBefore", session, MARKET_2, assessed.clearing_oracle):
        assessed.clear()
    assessed.clear(other_clearing_oracle)
    assessed.assess()
    assessed.validate()


def test_of_a_struck_assessment_only_what_rests_on_it_goes(assessed: Rounds, auditor: Any) -> None:
    assessed.clear()
    assessed.assess()
    assessed.validate()
    assessed.strike(TECHNICAL_2, auditor)
    assert assessed.stands() == [MARKET, TECHNICAL, MARKET_2]


def test_nothing_goes_with_a_round_that_was_passed_over(assessed: Rounds, auditor: Any) -> None:
    """Else who posts a false one could have the validated outcome removed in the last second."""
    first = assessed.basis
    assessed.clear()
    travel_to(assessed.last_part_s)
    assessed.validate(first)
    assessed.strike(MARKET_2, auditor)
    assert assessed.stands() == [MARKET, TECHNICAL, VALIDATED]


def test_a_named_oracle_has_the_first_turn_in_each_round(
    market: Any, operator: Any, clearing_oracle: Any, grid_oracle: Any, other_clearing_oracle: Any
) -> None:
    made = session_terms(clearingOracle=clearing_oracle.address)
    market.MarketSessions.create(as_struct(made), {"from": operator})
    made = replace(made, session=market.MarketSessions.count())
    notarise_grid_model(market, made.session, grid_oracle)
    rounds = Rounds(market, made, clearing_oracle, grid_oracle, bytes(32))
    travel_to(made.documentsDeadline)
    rounds.clear()
    rounds.assess()
    turn_ends = rounds.last_part_s - made.takeoverS
    next_block_at(turn_ends - 1)
    with refused("OutcomeBoardNotYourTurn", made.session, clearing_oracle, turn_ends):
        rounds.clear(other_clearing_oracle)
    next_block_at(turn_ends)
    rounds.clear(other_clearing_oracle)
