"""Attacks that wait for a reorganisation of the chain: what was public on the branch that is gone opens nothing on the one that
stays (tests/contracts/ATTACKS.md)."""

from dataclasses import astuple, replace
from typing import Any

import pytest

from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import next_block_at, refused, travel_to, undone
from tests.contracts.conftest import BALANCE_UEUR
from tests.contracts.play import (
    DSO_REQUEST,
    EURO,
    MARKET,
    OFFER,
    Sealed,
    certify,
    commit,
    notarise_grid_model,
    outcome,
    post_market,
    reveal,
    sealed,
)

OPEN, REVEAL, NONE = 2, 3, 0


@pytest.fixture
def offer(aggregator: Any) -> Sealed:
    return sealed(aggregator, OFFER, 100 * EURO)


def test_what_a_reorg_moves_behind_the_gate_is_not_in_the_book(
    market: Any, terms: SessionTerms, offer: Sealed, other_aggregator: Any
) -> None:
    """The commitment was mined in the gate's last second, and its document shown on the branch that is gone."""
    book, session = market.CommitmentBook, terms.session
    with undone():
        next_block_at(terms.gateClosure - 1)
        commit(market, session, offer)
        travel_to(terms.gateClosure)
        reveal(market, session, offer)
    next_block_at(terms.gateClosure)
    with refused("MarketSessionsNotInPhase", session, OPEN, REVEAL):
        commit(market, session, offer)
    shown = offer.hash(session)
    with refused("CommitmentBookNotInState", session, offer.player, shown, 1, NONE):
        reveal(market, session, offer)
    # Who read it there can't use it either: the gate has closed for everybody.
    copy = Sealed(other_aggregator, OFFER, offer.cap_ueur, offer.root, offer.salt)
    with refused("MarketSessionsNotInPhase", session, OPEN, REVEAL):
        commit(market, session, copy)
    assert book.nonces(offer.player) == 0
    assert market.Vault.free(offer.player) == BALANCE_UEUR


def test_a_reorg_that_opens_the_gate_again_lets_nobody_use_what_was_shown(
    market: Any, terms: SessionTerms, offer: Sealed, other_aggregator: Any
) -> None:
    """A document was revealed; then the chain goes back to before the gate closed. Its player may take it back, the others can
    only commit to what is bound to its player."""
    session = terms.session
    travel_to(terms.gateOpening)
    commit(market, session, offer)
    with undone():
        travel_to(terms.gateClosure)
        reveal(market, session, offer)
    copied = Sealed(other_aggregator, OFFER, offer.cap_ueur, offer.root, offer.salt)
    thief = replace(copied.commitment(market, session), sealedHash=offer.hash(session))
    market.CommitmentBook.commit(astuple(thief), {"from": other_aggregator})
    market.CommitmentBook.retract(session, offer.hash(session), {"from": offer.player})
    travel_to(terms.gateClosure)
    with refused("CommitmentBookNotInState", session, other_aggregator, copied.hash(session), 1, NONE):
        reveal(market, session, copied, sender=other_aggregator)


def test_an_outcome_of_a_book_that_a_reorg_changed_isnt_taken(
    market: Any, terms: SessionTerms, offer: Sealed, dso: Any, grid_oracle: Any, clearing_oracle: Any
) -> None:
    """The oracle computed on a branch on which one document more was revealed; its transaction is mined again on the other."""
    session, request = terms.session, sealed(dso, DSO_REQUEST, 100 * EURO)
    notarise_grid_model(market, session, grid_oracle)
    travel_to(terms.gateOpening)
    for document in (offer, request):
        commit(market, session, document)
    travel_to(terms.gateClosure)
    reveal(market, session, request)
    certify(market, terms, request)
    with undone():
        reveal(market, session, offer)
        certify(market, terms, offer)
        travel_to(terms.documentsDeadline)
        computed = outcome(session, bytes(market.CommitmentBook.seed(session)))
        post_market(market, terms, computed, clearing_oracle)
    travel_to(terms.documentsDeadline)
    seed = bytes(market.CommitmentBook.seed(session))
    with refused("OutcomeBoardWrongBasis", session, seed, computed.basis):
        post_market(market, terms, computed, clearing_oracle)
    assert bytes(market.OutcomeBoard.outcomeHash(session, MARKET)) == bytes(32)
    post_market(market, terms, outcome(session, seed), clearing_oracle)
