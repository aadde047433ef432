"""Reveals, coverage, the seed, forfeited bonds and gathered coverage (SPECIFICATION.md 5.x)."""

from dataclasses import astuple, replace
from typing import Any

import pytest

from offchain.protocol.cid import DAG_PB, Cid
from offchain.protocol.keccak import keccak256
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import seed_share
from tests.contracts.chain import next_block_at, refused, travel_to
from tests.contracts.conftest import BALANCE_UEUR
from tests.contracts.play import CID, DSO_REQUEST, EURO, OFFER, Sealed, certify, commit, reveal, sealed

OPEN, REVEAL, DOCUMENTS = 2, 3, 4
COMMITTED, FORFEITED, REVEALED, AVAILABLE = 1, 3, 4, 5


def coverage_key(session: int) -> bytes:
    return keccak256(session.to_bytes(32, "big") + (64).to_bytes(32, "big") + (5).to_bytes(32, "big") + b"cover".ljust(32, b"\0"))  # fmt: skip


def entry_of(market: Any, session: int, document: Sealed) -> Any:
    return market.CommitmentBook.entry(session, document.player, document.hash(session))


@pytest.fixture
def offer(aggregator: Any) -> Sealed:
    return sealed(aggregator, OFFER, 100 * EURO, "offer")


@pytest.fixture
def request_(dso: Any) -> Sealed:
    return sealed(dso, DSO_REQUEST, 300 * EURO, "request")


@pytest.fixture
def closed(market: Any, terms: SessionTerms, offer: Sealed, request_: Sealed) -> SessionTerms:
    """The session after its gate closed on an offer and a request."""
    travel_to(terms.gateOpening)
    commit(market, terms.session, offer)
    commit(market, terms.session, request_)
    travel_to(terms.gateClosure)
    return terms


def test_reveals_frees_the_bond_and_keeps_the_cap(
    market: Any, closed: SessionTerms, offer: Sealed, aggregator: Any, stranger: Any
) -> None:
    session = closed.session
    event = reveal(market, session, offer, stranger).events["Revealed"]
    assert (event["session"], event["player"]) == (session, aggregator)
    assert event["sealedHash"] == "0x" + offer.hash(session).hex()
    assert event["root"] == "0x" + offer.root.hex()
    assert event["salt"] == "0x" + offer.salt.hex()
    assert event["leafCount"] == 3
    assert (event["cidDigest"], event["cidCodec"]) == ("0x" + CID.digest.hex(), CID.codec)
    assert event["coverageUeur"] == 100 * EURO
    assert market.Vault.free(aggregator) == BALANCE_UEUR - 100 * EURO
    entry = entry_of(market, session, offer)
    assert (entry["state"], entry["moneyUeur"], entry["number"]) == (REVEALED, 100 * EURO, 0)


def test_covers_as_far_as_the_balance_goes(
    market: Any, closed: SessionTerms, offer: Sealed, aggregator: Any
) -> None:
    market.Vault.withdraw(BALANCE_UEUR - 2 * EURO - 7, {"from": aggregator})
    tx = reveal(market, closed.session, offer)
    assert tx.events["Revealed"]["coverageUeur"] == 2 * EURO + 7
    assert market.Vault.free(aggregator) == 0


def test_the_seed_is_of_all_reveals(
    market: Any, closed: SessionTerms, offer: Sealed, request_: Sealed
) -> None:
    book, session = market.CommitmentBook, closed.session
    assert bytes(book.seed(session)) == bytes(32)
    reveal(market, session, offer)
    share = seed_share(offer.player.address, offer.salt)
    assert bytes(book.seed(session)) == share
    reveal(market, session, request_)
    other = seed_share(request_.player.address, request_.salt)
    assert bytes(book.seed(session)) == bytes(a ^ b for a, b in zip(share, other, strict=True))


def test_window_to_the_second(
    market: Any, terms: SessionTerms, offer: Sealed, request_: Sealed, dso: Any
) -> None:
    session, late = terms.session, sealed(dso, DSO_REQUEST, EURO, "late")
    travel_to(terms.gateOpening)
    for document in (offer, request_, late):
        commit(market, session, document)
    next_block_at(terms.gateClosure - 1)
    with refused("MarketSessionsNotInPhase", session, REVEAL, OPEN):
        reveal(market, session, offer)
    next_block_at(terms.gateClosure)
    reveal(market, session, offer)
    next_block_at(terms.revealDeadline - 1)
    reveal(market, session, request_)
    next_block_at(terms.revealDeadline)
    with refused("MarketSessionsNotInPhase", session, REVEAL, DOCUMENTS):
        reveal(market, session, late)


def test_reveals_exactly_what_was_sealed(
    market: Any, closed: SessionTerms, offer: Sealed, stranger: Any
) -> None:
    session = closed.session
    changes: list[dict[str, Any]] = [
        {"root": keccak256(b"other")},
        {"salt": keccak256(b"other")},
        {"leaf_count": 4},
        {"cid": Cid(CID.codec, keccak256(b"elsewhere"))},
        {"cid": Cid(DAG_PB, CID.digest)},
    ]
    for change in changes:
        other = replace(offer, **change)
        with refused("CommitmentBookNotInState", session, offer.player, other.hash(session), COMMITTED, 0):
            reveal(market, session, other, stranger)
    reveal(market, session, offer, stranger)


def test_a_copied_hash_cant_be_revealed(
    market: Any, terms: SessionTerms, offer: Sealed, other_aggregator: Any
) -> None:
    session, thief = terms.session, replace(offer, player=other_aggregator)
    travel_to(terms.gateOpening)
    commit(market, session, offer)
    copied = thief.commitment(market, session, sealedHash=offer.hash(session))
    market.CommitmentBook.commit(astuple(copied), {"from": other_aggregator})
    travel_to(terms.gateClosure)
    with refused("CommitmentBookNotInState", session, thief.player, thief.hash(session), COMMITTED, 0):
        reveal(market, session, thief)
    reveal(market, session, offer, other_aggregator)


def test_refuses_empty_documents_and_other_codecs(
    market: Any, closed: SessionTerms, offer: Sealed, aggregator: Any
) -> None:
    with refused("CommitmentBookNoLeaves", closed.session, aggregator):
        reveal(market, closed.session, replace(offer, leaf_count=0))
    with refused("CidsUnknownCodec", 0x71):
        market.CommitmentBook.reveal(
            astuple(replace(offer.opening(closed.session), cidCodec=0x71)), {"from": aggregator}
        )


def test_reveals_once(market: Any, closed: SessionTerms, offer: Sealed) -> None:
    session = closed.session
    reveal(market, session, offer)
    with refused("CommitmentBookNotInState", session, offer.player, offer.hash(session), COMMITTED, REVEALED):
        reveal(market, session, offer)


def test_an_unrevealed_commitment_costs_its_bond(
    market: Any, closed: SessionTerms, offer: Sealed, request_: Sealed, stranger: Any
) -> None:
    book, session, player = market.CommitmentBook, closed.session, request_.player
    reveal(market, session, offer)
    next_block_at(closed.revealDeadline - 1)
    with refused("CommitmentBookRevealStillOpen", session, closed.revealDeadline, closed.revealDeadline - 1):
        book.forfeit(session, player, request_.hash(session), {"from": stranger})
    next_block_at(closed.revealDeadline)
    tx = book.forfeit(session, player, request_.hash(session), {"from": stranger})
    assert tx.events["Forfeited"]["bondUeur"] == 6 * EURO
    assert market.Vault.free(player) == BALANCE_UEUR - 6 * EURO
    assert market.Vault.free(market.Vault.reserve()) == 6 * EURO
    for document, state in ((request_, FORFEITED), (offer, REVEALED)):
        given = (session, document.player, document.hash(session))
        with refused("CommitmentBookNotInState", *given, COMMITTED, state):
            book.forfeit(*given, {"from": stranger})


def test_the_book_numbers_what_is_available(
    market: Any, closed: SessionTerms, offer: Sealed, request_: Sealed, stranger: Any
) -> None:
    book, session = market.CommitmentBook, closed.session
    reveal(market, session, request_)
    reveal(market, session, offer)
    with refused("CommitmentBookNotInState", session, offer.player, offer.hash(session), AVAILABLE, REVEALED):
        book.document(astuple(offer.opening(session)))
    event = certify(market, closed, offer, stranger).events["DocumentAvailable"]
    assert (event["number"], event["firstPosition"], event["side"]) == (1, 0, OFFER)
    certify(market, closed, request_, stranger)
    entry = book.document(astuple(request_.opening(session)))
    assert (entry["state"], entry["number"], entry["firstPosition"]) == (AVAILABLE, 2, 0)
    tally = book.tally(session)
    assert (tally["documents"], tally["offerLeaves"], tally["requestLeaves"]) == (2, 3, 3)
    assert (tally["ungathered"], tally["escrowUeur"]) == (2, 300 * EURO)


def test_only_a_controller_puts_documents_into_the_book(
    market: Any, closed: SessionTerms, offer: Sealed, aggregator: Any
) -> None:
    reveal(market, closed.session, offer)
    with refused("VaultNotAController", aggregator):
        market.CommitmentBook.makeAvailable(astuple(offer.opening(closed.session)), {"from": aggregator})


def test_the_book_is_complete_at_the_documents_deadline(
    market: Any, closed: SessionTerms, offer: Sealed, request_: Sealed
) -> None:
    session = closed.session
    for document in (offer, request_):
        reveal(market, session, document)
    next_block_at(closed.documentsDeadline - 1)
    certify(market, closed, offer)
    next_block_at(closed.documentsDeadline)
    deadline = closed.documentsDeadline
    with refused("CommitmentBookDocumentsClosed", session, deadline, deadline):
        certify(market, closed, request_)


def test_who_was_suspended_meanwhile_isnt_in_the_book(
    market: Any, closed: SessionTerms, offer: Sealed, admin: Any
) -> None:
    reveal(market, closed.session, offer)
    market.ParticipantRegistry.suspend(offer.player, "forged readings", {"from": admin})
    with refused("ParticipantRegistrySuspended", offer.player):
        certify(market, closed, offer)


def test_coverage_is_gathered_once_when_the_book_is_complete(
    market: Any, closed: SessionTerms, offer: Sealed, request_: Sealed, stranger: Any
) -> None:
    book, session = market.CommitmentBook, closed.session
    for document in (offer, request_):
        reveal(market, session, document)
    certify(market, closed, offer)
    players = [offer.player, request_.player]
    hashes = [offer.hash(session), request_.hash(session)]
    next_block_at(closed.documentsDeadline - 1)
    deadline = closed.documentsDeadline
    with refused("CommitmentBookDocumentsStillOpen", session, deadline, deadline - 1):
        book.gather(session, players, hashes, {"from": stranger})
    with refused("CommitmentBookWrongLists", 2, 1):
        book.gather(session, players, hashes[:1], {"from": stranger})
    next_block_at(deadline)
    book.gather(session, players, hashes, {"from": stranger})
    assert market.Vault.locked(coverage_key(session), offer.player) == 100 * EURO
    assert market.Vault.locked(coverage_key(session), request_.player) == 300 * EURO
    assert book.tally(session)["ungathered"] == 0
    assert entry_of(market, session, offer)["moneyUeur"] == 100 * EURO
    with refused("CommitmentBookAlreadyGathered", session, offer.player, offer.hash(session)):
        book.gather(session, players, hashes, {"from": stranger})


def test_what_wasnt_revealed_isnt_gathered(market: Any, closed: SessionTerms, offer: Sealed) -> None:
    travel_to(closed.documentsDeadline)
    given = (closed.session, offer.player, offer.hash(closed.session))
    with refused("CommitmentBookNotInState", *given, REVEALED, COMMITTED):
        market.CommitmentBook.gather(given[0], [given[1]], [given[2]], {"from": offer.player})
