"""Sealed commitments (SPECIFICATION.md 5.x)."""

from dataclasses import astuple, replace
from typing import Any

import pytest
from brownie import project

from offchain.protocol.keccak import keccak256
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Retraction
from tests.contracts.chain import next_block_at, now_s, refused, travel_to
from tests.contracts.conftest import BALANCE_UEUR
from tests.contracts.play import (
    DSO_REQUEST,
    EURO,
    OFFER,
    TSO_REQUEST,
    Sealed,
    as_struct,
    commit,
    domain,
    fund,
    key_of,
    sealed,
    session_terms,
)

OPEN, REVEAL, ANNOUNCED = 2, 3, 1
ROLE_OF_SIDE = {OFFER: 2, DSO_REQUEST: 0, TSO_REQUEST: 1}

COMMITTED, WITHDRAWN = 1, 2
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def entry_of(market: Any, session: int, document: Sealed) -> Any:
    return market.CommitmentBook.entry(session, document.player, document.hash(session))


@pytest.fixture
def opened(terms: SessionTerms) -> SessionTerms:
    """The session, its gate open."""
    travel_to(terms.gateOpening)
    return terms


def test_commits_and_locks_the_bond(market: Any, opened: SessionTerms, aggregator: Any) -> None:
    book, session = market.CommitmentBook, opened.session
    document = sealed(aggregator, OFFER, 100 * EURO)
    tx = commit(market, session, document)
    assert tx.events["Committed"] == {
        "session": session,
        "player": aggregator,
        "sealedHash": "0x" + document.hash(session).hex(),
        "side": OFFER,
        "capUeur": 100 * EURO,
        "bondUeur": 2 * EURO,
        "nonce": 0,
    }
    assert market.Vault.free(aggregator) == BALANCE_UEUR - 2 * EURO
    assert book.nonces(aggregator) == 1
    entry = entry_of(market, session, document)
    assert (entry["state"], entry["side"], entry["capUeur"]) == (COMMITTED, OFFER, 100 * EURO)
    assert (entry["moneyUeur"], entry["number"]) == (2 * EURO, 0)


def test_relayed_by_anyone_with_the_players_signature(
    market: Any, opened: SessionTerms, aggregator: Any, stranger: Any
) -> None:
    book = market.CommitmentBook
    commitment = sealed(aggregator, OFFER, 100 * EURO).commitment(market, opened.session)
    digest = commitment.digest(domain(book))
    assert bytes(book.hashCommitment(astuple(commitment))) == digest
    signature = commitment.sign(domain(book), key_of(aggregator))
    tx = book.commitFor(astuple(commitment), signature, {"from": stranger})
    assert tx.events["Committed"]["player"] == aggregator
    assert market.Vault.free(aggregator) == BALANCE_UEUR - 2 * EURO
    with refused("CommitmentBookWrongNonce", aggregator, 1, 0):
        book.commitFor(astuple(commitment), signature, {"from": stranger})


def test_a_wallet_contract_may_be_a_player(
    market: Any, opened: SessionTerms, admin: Any, aggregator: Any, stranger: Any
) -> None:
    wallet = project.get_loaded_projects()[0].TestWallet.deploy(aggregator, {"from": admin})
    market.ParticipantRegistry.register(wallet, 1 << 2, "wallet", {"from": admin})
    market.Euro.mint(stranger, 9 * EURO, {"from": stranger})
    market.Euro.approve(market.Vault, 9 * EURO, {"from": stranger})
    market.Vault.depositFor(wallet, 9 * EURO, {"from": stranger})
    document = sealed(wallet, OFFER, EURO)
    commitment = document.commitment(market, opened.session)
    signature = commitment.sign(domain(market.CommitmentBook), key_of(aggregator))
    market.CommitmentBook.commitFor(astuple(commitment), signature, {"from": stranger})
    assert entry_of(market, opened.session, document)["state"] == COMMITTED


def test_a_signature_holds_for_exactly_what_was_signed(
    market: Any, opened: SessionTerms, aggregator: Any, other_aggregator: Any, stranger: Any
) -> None:
    book = market.CommitmentBook
    commitment = sealed(aggregator, OFFER, 100 * EURO).commitment(market, opened.session)
    signature = commitment.sign(domain(book), key_of(aggregator))
    changes: list[dict[str, Any]] = [
        {"session": opened.session + 1},
        {"player": other_aggregator.address},
        {"side": DSO_REQUEST},
        {"sealedHash": keccak256(b"other")},
        {"capUeur": 99 * EURO},
        {"replaces": keccak256(b"other")},
        {"nonce": 1},
        {"deadline": commitment.deadline - 1},
    ]
    for change in changes:
        changed = replace(commitment, **change)
        with refused("CommitmentBookBadSignature", changed.player, changed.digest(domain(book))):
            book.commitFor(astuple(changed), signature, {"from": stranger})
    foreign = commitment.sign(domain(market.PodRegistry), key_of(aggregator))
    with refused("CommitmentBookBadSignature", aggregator, commitment.digest(domain(book))):
        book.commitFor(astuple(commitment), foreign, {"from": stranger})


def test_a_signature_has_one_form(market: Any, opened: SessionTerms, aggregator: Any, stranger: Any) -> None:
    """Neither the other solution of the curve, nor EIP-2098's short form: a receipt names the signature by its hash."""
    book = market.CommitmentBook
    commitment = sealed(aggregator, OFFER, 100 * EURO).commitment(market, opened.session)
    signature = commitment.sign(domain(book), key_of(aggregator))
    r, s, v = signature[:32], int.from_bytes(signature[32:64]), signature[64]
    high = r + (CURVE_ORDER - s).to_bytes(32) + bytes([55 - v])
    short = r + (s | (v - 27) << 255).to_bytes(32)
    for form in (high, short, signature + b"\0", signature[:64], b""):
        with refused("CommitmentBookBadSignature", aggregator, commitment.digest(domain(book))):
            book.commitFor(astuple(commitment), form, {"from": stranger})
    book.commitFor(astuple(commitment), signature, {"from": stranger})


def test_the_most_that_a_commitment_can_say_overflows_nothing(
    market: Any, opened: SessionTerms, aggregator: Any
) -> None:
    """The greatest cap has a bond beyond any balance; a nonce beyond the next one is refused, to the type's last."""
    greatest = 2**64 - 1
    document = sealed(aggregator, OFFER, greatest)
    bond = -(-greatest * opened.bondPermille // 1000)
    with refused("VaultInsufficientFree", aggregator, BALANCE_UEUR, bond):
        commit(market, opened.session, document)
    with refused("CommitmentBookWrongNonce", aggregator, 0, greatest):
        commit(market, opened.session, document, nonce=greatest)
    with refused("MarketSessionsUnknownSession", greatest):
        commit(market, greatest, document)


def test_another_session_needs_another_signature(
    market: Any, opened: SessionTerms, operator: Any, aggregator: Any, stranger: Any
) -> None:
    book = market.CommitmentBook
    later = session_terms(baselineGate=now_s() + 5, gateOpening=now_s() + 6)
    market.MarketSessions.create(as_struct(later), {"from": operator})
    commitment = sealed(aggregator, OFFER, EURO).commitment(market, opened.session)
    signature = commitment.sign(domain(book), key_of(aggregator))
    travel_to(later.gateOpening)
    replayed = replace(commitment, session=opened.session + 1)
    with refused("CommitmentBookBadSignature", aggregator, replayed.digest(domain(book))):
        book.commitFor(astuple(replayed), signature, {"from": stranger})


def test_nobody_commits_for_another(
    market: Any, opened: SessionTerms, aggregator: Any, stranger: Any
) -> None:
    commitment = sealed(aggregator, OFFER, EURO).commitment(market, opened.session)
    with refused("CommitmentBookNotThePlayer", aggregator, stranger):
        market.CommitmentBook.commit(astuple(commitment), {"from": stranger})


def test_nonces_follow_each_other(market: Any, opened: SessionTerms, aggregator: Any) -> None:
    document = sealed(aggregator, OFFER, EURO)
    for wrong in (1, 2**64 - 1):
        commitment = document.commitment(market, opened.session, nonce=wrong)
        with refused("CommitmentBookWrongNonce", aggregator, 0, wrong):
            market.CommitmentBook.commit(astuple(commitment), {"from": aggregator})
    commit(market, opened.session, document)
    commit(market, opened.session, sealed(aggregator, OFFER, EURO, "second"))
    assert market.CommitmentBook.nonces(aggregator) == 2


def test_a_deadline_holds_to_its_last_second(market: Any, opened: SessionTerms, aggregator: Any) -> None:
    deadline = opened.gateOpening + 10
    late = sealed(aggregator, OFFER, EURO).commitment(market, opened.session, deadline=deadline)
    next_block_at(deadline)
    market.CommitmentBook.commit(astuple(late), {"from": aggregator})
    next_block_at(deadline + 1)
    late = replace(late, nonce=1, sealedHash=keccak256(b"later"))
    with refused("CommitmentBookExpired", deadline, deadline + 1):
        market.CommitmentBook.commit(astuple(late), {"from": aggregator})


def test_gates_to_the_second(market: Any, terms: SessionTerms, aggregator: Any) -> None:
    session, document = terms.session, sealed(aggregator, OFFER, EURO)
    next_block_at(terms.gateOpening - 1)
    with refused("MarketSessionsNotInPhase", session, OPEN, ANNOUNCED):
        commit(market, session, document)
    next_block_at(terms.gateOpening)
    commit(market, session, document)
    next_block_at(terms.gateClosure - 1)
    commit(market, session, sealed(aggregator, OFFER, EURO, "last"))
    next_block_at(terms.gateClosure)
    with refused("MarketSessionsNotInPhase", session, OPEN, REVEAL):
        commit(market, session, sealed(aggregator, OFFER, EURO, "late"))


@pytest.mark.parametrize("side", [OFFER, DSO_REQUEST, TSO_REQUEST])
def test_every_side_needs_its_role(
    market: Any, opened: SessionTerms, side: int, dso: Any, tso: Any, aggregator: Any
) -> None:
    for player, role in ((aggregator, OFFER), (dso, DSO_REQUEST), (tso, TSO_REQUEST)):
        document = sealed(player, side, EURO)
        if role == side:
            commit(market, opened.session, document)
        else:
            with refused("ParticipantRegistryMissingRole", player, ROLE_OF_SIDE[side]):
                commit(market, opened.session, document)


def test_the_suspended_commit_nothing(
    market: Any, opened: SessionTerms, admin: Any, aggregator: Any, other_aggregator: Any
) -> None:
    market.ParticipantRegistry.suspend(aggregator, "forged readings", {"from": admin})
    with refused("ParticipantRegistrySuspended", aggregator):
        commit(market, opened.session, sealed(aggregator, OFFER, EURO))
    commit(market, opened.session, sealed(other_aggregator, OFFER, EURO))


def test_no_bond_no_commitment(market: Any, opened: SessionTerms, aggregator: Any) -> None:
    market.Vault.withdraw(BALANCE_UEUR - EURO + 1, {"from": aggregator})
    with refused("VaultInsufficientFree", aggregator, EURO - 1, EURO):
        commit(market, opened.session, sealed(aggregator, OFFER, 0))
    fund(market, aggregator, 1)
    commit(market, opened.session, sealed(aggregator, OFFER, 0))


def test_refuses_nothing_sealed_and_unknown_sessions(
    market: Any, opened: SessionTerms, aggregator: Any
) -> None:
    document = sealed(aggregator, OFFER, EURO)
    empty = document.commitment(market, opened.session, sealedHash=bytes(32))
    with refused("CommitmentBookZeroHash"):
        market.CommitmentBook.commit(astuple(empty), {"from": aggregator})
    unknown = opened.session + 1
    with refused("MarketSessionsUnknownSession", unknown):
        commit(market, unknown, document)
    assert entry_of(market, opened.session, document)["state"] == 0


def test_a_sealed_hash_is_used_once(market: Any, opened: SessionTerms, aggregator: Any) -> None:
    session, document = opened.session, sealed(aggregator, OFFER, EURO)
    commit(market, session, document)
    with refused("CommitmentBookUsedHash", session, aggregator, document.hash(session), COMMITTED):
        commit(market, session, document)


def test_who_copies_a_hash_blocks_nobody(
    market: Any, opened: SessionTerms, aggregator: Any, other_aggregator: Any
) -> None:
    session, document = opened.session, sealed(aggregator, OFFER, EURO)
    thief = replace(document, player=other_aggregator)
    copied = thief.commitment(market, session, sealedHash=document.hash(session))
    market.CommitmentBook.commit(astuple(copied), {"from": other_aggregator})
    commit(market, session, document)
    assert entry_of(market, session, document)["state"] == COMMITTED


def test_replaced_before_the_gate(market: Any, opened: SessionTerms, aggregator: Any) -> None:
    session, first = opened.session, sealed(aggregator, OFFER, 100 * EURO)
    second = sealed(aggregator, OFFER, 200 * EURO, "better")
    commit(market, session, first)
    tx = commit(market, session, second, replaces=first.hash(session))
    assert tx.events["Retracted"]["sealedHash"] == "0x" + first.hash(session).hex()
    assert tx.events["Retracted"]["bondUeur"] == 2 * EURO
    assert market.Vault.free(aggregator) == BALANCE_UEUR - 4 * EURO
    assert entry_of(market, session, first)["state"] == WITHDRAWN
    with refused("CommitmentBookUsedHash", session, aggregator, first.hash(session), WITHDRAWN):
        commit(market, session, first)
    third = sealed(aggregator, OFFER, EURO, "third")
    with refused("CommitmentBookNotInState", session, aggregator, first.hash(session), COMMITTED, WITHDRAWN):
        commit(market, session, third, replaces=first.hash(session))


def test_nobody_replaces_anothers(
    market: Any, opened: SessionTerms, aggregator: Any, other_aggregator: Any
) -> None:
    session, document = opened.session, sealed(aggregator, OFFER, EURO)
    commit(market, session, document)
    mine = sealed(other_aggregator, OFFER, EURO)
    with refused("CommitmentBookNotInState", session, other_aggregator, document.hash(session), COMMITTED, 0):
        commit(market, session, mine, replaces=document.hash(session))


def test_retracted_before_the_gate(
    market: Any, opened: SessionTerms, aggregator: Any, other_aggregator: Any
) -> None:
    book, session, document = market.CommitmentBook, opened.session, sealed(aggregator, OFFER, EURO)
    commit(market, session, document)
    with refused("CommitmentBookNotInState", session, other_aggregator, document.hash(session), COMMITTED, 0):
        book.retract(session, document.hash(session), {"from": other_aggregator})
    book.retract(session, document.hash(session), {"from": aggregator})
    assert market.Vault.free(aggregator) == BALANCE_UEUR
    with refused(
        "CommitmentBookNotInState", session, aggregator, document.hash(session), COMMITTED, WITHDRAWN
    ):
        book.retract(session, document.hash(session), {"from": aggregator})


def test_a_gate_that_closed_keeps_what_it_has(market: Any, opened: SessionTerms, aggregator: Any) -> None:
    session, document = opened.session, sealed(aggregator, OFFER, EURO)
    commit(market, session, document)
    next_block_at(opened.gateClosure)
    with refused("MarketSessionsNotInPhase", session, OPEN, REVEAL):
        market.CommitmentBook.retract(session, document.hash(session), {"from": aggregator})


def test_retraction_relayed_and_a_relayer_cant_commit_again(
    market: Any, opened: SessionTerms, aggregator: Any, stranger: Any
) -> None:
    book, session, document = market.CommitmentBook, opened.session, sealed(aggregator, OFFER, EURO)
    commitment = document.commitment(market, session)
    signature = commitment.sign(domain(book), key_of(aggregator))
    book.commitFor(astuple(commitment), signature, {"from": stranger})
    given = Retraction(session, aggregator.address, document.hash(session), 1, opened.gateClosure)
    assert bytes(book.hashRetraction(astuple(given))) == given.digest(domain(book))
    signed = given.sign(domain(book), key_of(aggregator))
    forged = given.sign(domain(book), key_of(stranger))
    with refused("CommitmentBookBadSignature", aggregator, given.digest(domain(book))):
        book.retractFor(astuple(given), forged, {"from": stranger})
    book.retractFor(astuple(given), signed, {"from": stranger})
    assert market.Vault.free(aggregator) == BALANCE_UEUR
    with refused("CommitmentBookWrongNonce", aggregator, 2, 1):
        book.retractFor(astuple(given), signed, {"from": stranger})
    with refused("CommitmentBookWrongNonce", aggregator, 2, 0):
        book.commitFor(astuple(commitment), signature, {"from": stranger})


def test_nothing_is_committed_or_taken_back_in_a_pause(
    market: Any, opened: SessionTerms, admin: Any, aggregator: Any
) -> None:
    session, document = opened.session, sealed(aggregator, OFFER, EURO)
    commit(market, session, document)
    next_block_at(opened.gateOpening + 100)
    market.MarketSessions.pause({"from": admin})
    with refused("MarketSessionsPaused", opened.gateOpening + 100):
        commit(market, session, sealed(aggregator, OFFER, EURO, "second"))
    with refused("MarketSessionsPaused", opened.gateOpening + 100):
        market.CommitmentBook.retract(session, document.hash(session), {"from": aggregator})
