"""Reveals, coverage, the seed, and forfeited bonds (SPECIFICATION.md 5.x)."""

from dataclasses import astuple, replace
from typing import Any

import pytest

from offchain.protocol.cid import DAG_PB, Cid
from offchain.protocol.keccak import keccak256
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import seed_share
from tests.contracts.chain import next_block_at, refused, travel_to
from tests.contracts.conftest import BALANCE_UEUR
from tests.contracts.play import CID, DSO_REQUEST, EURO, OFFER, Sealed, commit, sealed

OPEN, REVEAL, DOCUMENTS = 2, 3, 4
COMMITTED, REVEALED, FORFEITED = 1, 2, 3


def coverage_key(market: Any, session: int) -> bytes:
    return keccak256(session.to_bytes(32, "big") + (64).to_bytes(32, "big") + (5).to_bytes(32, "big") + b"cover".ljust(32, b"\0"))  # fmt: skip


def reveal(market: Any, session: int, number: int, document: Sealed, sender: Any) -> Any:
    return market.CommitmentBook.reveal(*document.reveal_arguments(session, number), {"from": sender})


@pytest.fixture
def offer(aggregator: Any) -> Sealed:
    return sealed(aggregator, OFFER, 100 * EURO, "offer")


@pytest.fixture
def closed(market: Any, terms: SessionTerms, offer: Sealed, dso: Any) -> SessionTerms:
    """The session after its gate closed on an offer (1) and a request (2)."""
    travel_to(terms.gateOpening)
    commit(market, terms.session, offer)
    commit(market, terms.session, sealed(dso, DSO_REQUEST, 300 * EURO, "request"))
    travel_to(terms.gateClosure)
    return terms


def test_reveals_releases_the_bond_and_locks_the_cap(
    market: Any, closed: SessionTerms, offer: Sealed, aggregator: Any, stranger: Any
) -> None:
    session = closed.session
    tx = reveal(market, session, 1, offer, stranger)
    event = tx.events["Revealed"]
    assert (event["session"], event["id"], event["player"], event["side"]) == (session, 1, aggregator, OFFER)
    assert event["root"] == "0x" + offer.root.hex()
    assert event["salt"] == "0x" + offer.salt.hex()
    assert event["leafCount"] == 3
    assert (event["cidDigest"], event["cidCodec"]) == ("0x" + CID.digest.hex(), CID.codec)
    assert event["coverageUeur"] == 100 * EURO
    assert market.Vault.free(aggregator) == BALANCE_UEUR - 100 * EURO
    assert market.Vault.locked(coverage_key(market, session), aggregator) == 100 * EURO
    entry = market.CommitmentBook.commitment(session, 1)
    assert (entry["hash"], entry["state"]) == ("0x" + offer.root.hex(), REVEALED)
    assert (entry["coverageUeur"], entry["leafCount"]) == (100 * EURO, 3)


def test_covers_as_far_as_the_balance_goes(
    market: Any, closed: SessionTerms, offer: Sealed, aggregator: Any
) -> None:
    market.Vault.withdraw(BALANCE_UEUR - 2 * EURO - 7, {"from": aggregator})
    tx = reveal(market, closed.session, 1, offer, aggregator)
    assert tx.events["Revealed"]["coverageUeur"] == 2 * EURO + 7
    assert market.Vault.free(aggregator) == 0


def test_the_seed_is_of_all_reveals(
    market: Any, closed: SessionTerms, offer: Sealed, aggregator: Any, dso: Any
) -> None:
    book, session = market.CommitmentBook, closed.session
    assert bytes(book.seed(session)) == bytes(32)
    reveal(market, session, 1, offer, aggregator)
    share = seed_share(aggregator.address, offer.salt)
    assert bytes(book.seed(session)) == share
    request = sealed(dso, DSO_REQUEST, 300 * EURO, "request")
    reveal(market, session, 2, request, dso)
    other = seed_share(dso.address, request.salt)
    assert bytes(book.seed(session)) == bytes(a ^ b for a, b in zip(share, other, strict=True))


def test_window_to_the_second(
    market: Any, terms: SessionTerms, offer: Sealed, aggregator: Any, dso: Any
) -> None:
    session, request = terms.session, sealed(dso, DSO_REQUEST, EURO, "request")
    travel_to(terms.gateOpening)
    for document in (offer, request, request):
        commit(market, session, document)
    next_block_at(terms.gateClosure - 1)
    with refused("MarketSessionsNotInPhase", session, REVEAL, OPEN):
        reveal(market, session, 1, offer, aggregator)
    next_block_at(terms.gateClosure)
    reveal(market, session, 1, offer, aggregator)
    next_block_at(terms.revealDeadline - 1)
    reveal(market, session, 2, request, aggregator)
    next_block_at(terms.revealDeadline)
    with refused("MarketSessionsNotInPhase", session, REVEAL, DOCUMENTS):
        reveal(market, session, 3, request, aggregator)


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
        with refused("CommitmentBookWrongReveal", session, 1, offer.hash(session), other.hash(session)):
            reveal(market, session, 1, other, stranger)
    reveal(market, session, 1, offer, stranger)


def test_a_copied_hash_cant_be_revealed(
    market: Any, terms: SessionTerms, offer: Sealed, other_aggregator: Any
) -> None:
    session = terms.session
    travel_to(terms.gateOpening)
    commit(market, session, offer)
    thief = replace(offer, player=other_aggregator)
    copied = thief.commitment(market, session, sealedHash=offer.hash(session))
    market.CommitmentBook.commit(astuple(copied), {"from": other_aggregator})
    travel_to(terms.gateClosure)
    reveal(market, session, 1, offer, other_aggregator)
    with refused("CommitmentBookWrongReveal", session, 2, offer.hash(session), thief.hash(session)):
        reveal(market, session, 2, thief, other_aggregator)


def test_refuses_empty_documents_and_other_codecs(
    market: Any, closed: SessionTerms, offer: Sealed, aggregator: Any
) -> None:
    with refused("CommitmentBookNoLeaves", closed.session, 1):
        reveal(market, closed.session, 1, replace(offer, leaf_count=0), aggregator)
    *rest, _ = offer.reveal_arguments(closed.session, 1)
    with refused("CidsUnknownCodec", 0x71):
        market.CommitmentBook.reveal(*rest, 0x71, {"from": aggregator})


def test_reveals_once(market: Any, closed: SessionTerms, offer: Sealed, aggregator: Any) -> None:
    session = closed.session
    reveal(market, session, 1, offer, aggregator)
    with refused("CommitmentBookNotCommitted", session, 1, REVEALED):
        reveal(market, session, 1, offer, aggregator)
    with refused("CommitmentBookNoSuchCommitment", session, 3):
        reveal(market, session, 3, offer, aggregator)


def test_an_unrevealed_commitment_costs_its_bond(
    market: Any, closed: SessionTerms, offer: Sealed, aggregator: Any, dso: Any, stranger: Any
) -> None:
    book, session = market.CommitmentBook, closed.session
    reveal(market, session, 1, offer, aggregator)
    next_block_at(closed.revealDeadline - 1)
    with refused("CommitmentBookRevealStillOpen", session, closed.revealDeadline, closed.revealDeadline - 1):
        book.forfeit(session, 2, {"from": stranger})
    next_block_at(closed.revealDeadline)
    tx = book.forfeit(session, 2, {"from": stranger})
    assert tx.events["Forfeited"] == {"session": session, "id": 2, "player": dso, "bondUeur": 6 * EURO}
    assert market.Vault.free(dso) == BALANCE_UEUR - 6 * EURO
    assert market.Vault.free(book.reserve()) == 6 * EURO
    with refused("CommitmentBookNotCommitted", session, 2, FORFEITED):
        book.forfeit(session, 2, {"from": stranger})
    with refused("CommitmentBookNotCommitted", session, 1, REVEALED):
        book.forfeit(session, 1, {"from": stranger})
