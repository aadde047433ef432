"""A player whom market and stores refuse brings its document into the book by itself, and the oracles read it there."""

import pytest

from offchain.chain.client import ChainClient
from offchain.market.client import MarketClient, SealedDocument
from offchain.protocol.book_documents import OfferEntry
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Product, Side
from offchain.protocol.typed_data import BookState
from oracles.session_facts import book_documents
from tests.chain.small_market import CAST, FIRST, TERMS, pod
from tests.market.desk import Desk, good_offers, offers, request
from tests.market.test_reveals import cleared

REVEALS_HALF_WAY_S = (TERMS.gateClosure + TERMS.revealDeadline) // 2
DOCUMENTS_HALF_WAY_S = (TERMS.revealDeadline + TERMS.documentsDeadline) // 2


def many_offers() -> ListDocument:
    """More offers than one part holds."""
    return offers(
        FIRST,
        [OfferEntry(pod(2 * (n % 2)), n // 2, Product.ACTIVE_UP, 10_000 + n, 40_000) for n in range(150)],
    )


def sealed_by(client: MarketClient, document: ListDocument) -> SealedDocument:
    return client.commit(document, Side.OFFER, TERMS.gateClosure)


def test_the_players_client_waits_for_market_and_stores_and_then_helps_itself(desk: Desk) -> None:
    client, chain = desk.client(FIRST), desk.market.chain
    sealed = sealed_by(client, good_offers())
    for instant_s in (TERMS.gateClosure, REVEALS_HALF_WAY_S - 1):
        chain.advance_to(instant_s)
        assert client.look_after(sealed) is BookState.COMMITTED
    chain.advance_to(REVEALS_HALF_WAY_S)
    assert client.look_after(sealed) is BookState.REVEALED
    chain.advance_to(DOCUMENTS_HALF_WAY_S - 1)
    assert client.look_after(sealed) is BookState.REVEALED
    assert desk.market.view.book(TERMS.session) == []
    chain.advance_to(DOCUMENTS_HALF_WAY_S)
    assert client.look_after(sealed) is BookState.AVAILABLE
    head = desk.market.operator.head()
    assert client.look_after(sealed) is BookState.AVAILABLE
    assert desk.market.operator.head() == head, "what stands in the book is let be"


def test_too_late_it_sends_nothing(desk: Desk) -> None:
    client = desk.client(FIRST)
    sealed = sealed_by(client, good_offers())
    desk.market.chain.advance_to(TERMS.revealDeadline)
    assert client.look_after(sealed) is BookState.COMMITTED


@pytest.mark.parametrize("document", [good_offers(), many_offers()], ids=["one part", "two parts"])
def test_a_published_document_is_cleared_like_any_other(desk: Desk, document: ListDocument) -> None:
    client, dso = desk.client(FIRST), desk.client(CAST.dso)
    sealed = sealed_by(client, document)
    asked = dso.commit(request(), Side.DSO_REQUEST, TERMS.gateClosure)
    desk.market.chain.advance_to(REVEALS_HALF_WAY_S)
    dso.reveal(asked)
    client.look_after(sealed)
    desk.market.chain.advance_to(DOCUMENTS_HALF_WAY_S)
    assert client.look_after(sealed) is BookState.AVAILABLE
    view, nowhere = desk.market.view, desk.market.documents
    (_, read) = book_documents(view, nowhere, TERMS.session)[1]
    assert read is not None
    assert read.joint_tree.root == document.joint_tree.root
    _, outcome = cleared(desk)
    assert len(outcome.list_of(OUTCOME_BY_OFFER)) == document.leaf_count
    assert sum(outcome.list_of(OUTCOME_BY_REQUEST).integers("acceptedW")) == 15_000


def test_a_publication_that_was_interrupted_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    client = desk.client(FIRST)
    sealed = sealed_by(client, many_offers())
    desk.market.chain.advance_to(REVEALS_HALF_WAY_S)
    client.look_after(sealed)
    desk.market.chain.advance_to(DOCUMENTS_HALF_WAY_S)
    sent, send = [], ChainClient.send

    def killed_after_one(self: ChainClient, contract: str, function: str, *arguments: object) -> object:
        if sent:
            raise KeyboardInterrupt
        sent.append(function)
        return send(self, contract, function, *arguments)

    monkeypatch.setattr(ChainClient, "send", killed_after_one)
    with pytest.raises(KeyboardInterrupt):
        client.look_after(sealed)
    monkeypatch.undo()
    assert sent == ["publish"]
    assert client.look_after(sealed) is BookState.AVAILABLE
