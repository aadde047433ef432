"""Whose turn it is to post: a silent oracle holds nobody up (SPECIFICATION.md 6.x)."""

from dataclasses import replace
from typing import Any

import pytest

from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import next_block_at, refused, travel_to
from tests.contracts.play import (
    MARKET,
    as_struct,
    notarise_grid_model,
    outcome,
    post_market,
    post_technical,
    session_terms,
    technical_outcome,
)


@pytest.fixture
def named(market: Any, operator: Any, clearing_oracle: Any, grid_oracle: Any) -> SessionTerms:
    """A session that names its oracles; the grid model is notarised."""
    made = session_terms(clearingOracle=clearing_oracle.address, gridOracle=grid_oracle.address)
    market.MarketSessions.create(as_struct(made), {"from": operator})
    made = replace(made, session=market.MarketSessions.count())
    notarise_grid_model(market, made.session, grid_oracle)
    return made


def test_another_oracle_takes_over_in_the_last_part_of_the_window(
    market: Any, named: SessionTerms, clearing_oracle: Any, other_clearing_oracle: Any
) -> None:
    made = outcome(named.session, bytes(32))
    turn_ends = named.marketOutcomeDeadline - named.takeoverS
    next_block_at(turn_ends - 1)
    with refused("OutcomeBoardNotYourTurn", named.session, clearing_oracle, turn_ends):
        post_market(market, named, made, other_clearing_oracle)
    next_block_at(turn_ends)
    post_market(market, named, made, other_clearing_oracle)
    assert market.OutcomeBoard.posting(named.session, MARKET)["poster"] == other_clearing_oracle


def test_the_named_one_may_post_all_the_time(
    market: Any, named: SessionTerms, clearing_oracle: Any, grid_oracle: Any
) -> None:
    travel_to(named.documentsDeadline)
    made = outcome(named.session, bytes(32))
    post_market(market, named, made, clearing_oracle)
    next_block_at(named.validatedOutcomeDeadline - 1)
    post_technical(market, named, technical_outcome(named.session, made.hash()), grid_oracle)


def test_prepared_once_and_posted_as_before(
    market: Any, named: SessionTerms, clearing_oracle: Any, stranger: Any
) -> None:
    board = market.OutcomeBoard
    board.prepare(named.session, {"from": stranger})
    with refused("OutcomeBoardAlreadyPrepared", named.session):
        board.prepare(named.session, {"from": stranger})
    assert bytes(board.outcomeHash(named.session, MARKET)) == bytes(32)
    with refused("OutcomeBoardNotPosted", named.session, MARKET):
        board.releaseBond(named.session, MARKET, {"from": stranger})
    travel_to(named.documentsDeadline)
    post_market(market, named, outcome(named.session, bytes(32)), clearing_oracle)
