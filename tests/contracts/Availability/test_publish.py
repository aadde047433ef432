"""Documents published in calldata, for players whom no store serves (SPECIFICATION.md 20.x)."""

from dataclasses import astuple, replace
from typing import Any

import pytest

from offchain.protocol.book_documents import Area, OfferEntry, Relief, offers_document, request_document
from offchain.protocol.cid import cid_of
from offchain.protocol.keccak import keccak256
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Product
from offchain.protocol.publication import Part, parts_of
from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import next_block_at, refused, travel_to
from tests.contracts.play import DSO_REQUEST, EURO, OFFER, Sealed, commit, reveal

AVAILABLE = 5
MOST_GAS = 16_000_000
MOST_BYTES = 128 * 1024
WORD = 32
OFFER_BYTES = 16 * WORD


def leaf_salt(_: bytes, position: int) -> bytes:
    return keccak256(b"leaf %d" % position)


def offers(session: int, player: Any, count: int) -> ListDocument:
    """A document of so many offers."""
    entries = [
        OfferEntry(keccak256(b"pod %d" % k), k % 96, Product.ACTIVE_UP, 1000 + k, 40_000)
        for k in range(count)
    ]
    return offers_document(session, player.address, entries, leaf_salt)


def request(session: int, player: Any) -> ListDocument:
    """A request of two slots and three PoDs."""
    area = Area(
        element=keccak256(b"line"),
        product=Product.ACTIVE_UP,
        grid_model=bytes(32),
        reliefs=[Relief(slot, 1000, 90_000) for slot in (3, 4)],
        effectiveness=[(keccak256(b"pod %d" % k), 1000) for k in range(3)],
    )
    return request_document(session, player.address, [area], leaf_salt)


def revealed(market: Any, terms: SessionTerms, side: int, player: Any, document: ListDocument) -> Sealed:
    """A document committed to and revealed."""
    cid = cid_of(document.to_bytes())
    made = Sealed(player, side, EURO, document.joint_tree.root, bytes(32), document.leaf_count, cid)
    travel_to(terms.gateOpening)
    commit(market, terms.session, made)
    travel_to(terms.gateClosure)
    reveal(market, terms.session, made)
    return made


def publish(market: Any, terms: SessionTerms, made: Sealed, part: Part, **changes: Any) -> Any:
    """Publish a part, sent by anybody's account with gas enough."""
    given = replace(part, **changes)
    arguments = (astuple(made.opening(terms.session)), given.number, given.leaves, given.proof)
    return market.Availability.publish(*arguments, {"from": made.player, "gas_limit": 30_000_000})


def state(market: Any, terms: SessionTerms, made: Sealed) -> int:
    return int(market.CommitmentBook.entry(terms.session, made.player, made.hash(terms.session))["state"])


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 100])
def test_a_document_of_one_part(market: Any, terms: SessionTerms, aggregator: Any, count: int) -> None:
    document = offers(terms.session, aggregator, count)
    made = revealed(market, terms, OFFER, aggregator, document)
    (part,) = parts_of(document)
    publish(market, terms, made, part)
    assert state(market, terms, made) == AVAILABLE
    with refused("AvailabilityNotRevealed", terms.session, aggregator):
        publish(market, terms, made, part)


def test_a_request_with_both_its_lists(market: Any, terms: SessionTerms, dso: Any) -> None:
    document = request(terms.session, dso)
    made = revealed(market, terms, DSO_REQUEST, dso, document)
    publish(market, terms, made, parts_of(document)[0])
    assert market.CommitmentBook.tally(terms.session)["requestLeaves"] == 5


def test_a_document_of_two_parts_in_any_order(market: Any, terms: SessionTerms, aggregator: Any) -> None:
    document = offers(terms.session, aggregator, 131)
    made = revealed(market, terms, OFFER, aggregator, document)
    first, second = parts_of(document)
    assert market.Availability.partsOf(128) == 1
    assert market.Availability.partsOf(131) == 2
    with refused("AvailabilityNoSuchPart", 2, 2):
        publish(market, terms, made, second, number=2)
    publish(market, terms, made, second)
    assert state(market, terms, made) != AVAILABLE
    with refused("AvailabilityPartPublished", 1):
        publish(market, terms, made, second)
    with refused("AvailabilityNotThisPart", made.root, 0):
        publish(market, terms, made, first, proof=[keccak256(b"sibling")])
    publish(market, terms, made, first)
    assert state(market, terms, made) == AVAILABLE


def test_the_largest_part_is_taken_by_every_node(market: Any, terms: SessionTerms, aggregator: Any) -> None:
    document = offers(terms.session, aggregator, 128)
    made = revealed(market, terms, OFFER, aggregator, document)
    tx = publish(market, terms, made, parts_of(document)[0])
    assert len(tx.input) // 2 < MOST_BYTES
    assert tx.gas_used < MOST_GAS


def test_only_the_documents_own_leaves(market: Any, terms: SessionTerms, aggregator: Any) -> None:
    document = offers(terms.session, aggregator, 3)
    made = revealed(market, terms, OFFER, aggregator, document)
    (part,) = parts_of(document)
    leaves = part.leaves
    price_cut = leaves[: 11 * WORD - 1] + b"\x00" + leaves[11 * WORD :]
    with refused("AvailabilityNotThisPart", made.root, 0):
        publish(market, terms, made, part, leaves=price_cut)
    swapped = leaves[OFFER_BYTES : 2 * OFFER_BYTES] + leaves[:OFFER_BYTES] + leaves[2 * OFFER_BYTES :]
    with refused("AvailabilityWrongPlace", 0, 1, 3):
        publish(market, terms, made, part, leaves=swapped)
    with refused("AvailabilityWrongBytes", 0):
        publish(market, terms, made, part, leaves=leaves[: 2 * OFFER_BYTES])
    with refused("AvailabilityWrongBytes", 1):
        publish(market, terms, made, part, leaves=leaves + b"\x00")
    unknown = (12).to_bytes(WORD, "big") + leaves[WORD:]
    with refused("AvailabilityUnknownLeaf", 12):
        publish(market, terms, made, part, leaves=unknown)
    of_requests = (2).to_bytes(WORD, "big") + leaves[WORD:]
    with refused("AvailabilityLeafOfAnotherSide", 2, OFFER):
        publish(market, terms, made, part, leaves=of_requests)


def test_until_the_documents_deadline(market: Any, terms: SessionTerms, aggregator: Any) -> None:
    document = offers(terms.session, aggregator, 3)
    made = revealed(market, terms, OFFER, aggregator, document)
    (part,) = parts_of(document)
    next_block_at(terms.documentsDeadline)
    deadline = terms.documentsDeadline
    with refused("CommitmentBookDocumentsClosed", terms.session, deadline, deadline):
        publish(market, terms, made, part)
