"""Documents of a book as challenges show them: only those whose lists are what a contract takes them for."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from offchain.audit import book
from offchain.audit.book import BookPages
from offchain.chain.market_view import MarketView
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Side
from offchain.protocol.terms import Reveal
from offchain.store.documents import DocumentStore
from tests.oracles.clearing.books import area, book_of, offer


def pages_of(
    documents: list[tuple[Reveal, ListDocument | None]], monkeypatch: pytest.MonkeyPatch
) -> BookPages:
    view: Any = SimpleNamespace(
        book=lambda _: [SimpleNamespace(reveal=reveal, opening=reveal.commitment) for reveal, _ in documents]
    )
    monkeypatch.setattr(book, "book_documents", lambda *_: documents)
    return BookPages(cast(MarketView, view), cast(DocumentStore, None), 1)


def test_a_document_of_the_other_sides_lists_has_no_page_but_an_opening(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    documents = book_of([offer(0, 1000, 10_000)], dso=[area(500, {0: 1000})])
    requests, offers = (
        next(each for each in documents if (each[0].side is side)) for side in (Side.DSO_REQUEST, Side.OFFER)
    )
    true = pages_of(documents, monkeypatch)
    assert true.request(0) is not None
    assert true.effectiveness(1) is not None
    assert true.offer(0) is not None
    as_request = (requests[0], ListDocument(1, requests[0].player, requests[1].lists[::-1]))
    swapped = pages_of([as_request, offers], monkeypatch)
    assert (swapped.request(0), swapped.effectiveness(1), swapped.page(0, of_offers=False)) == (None,) * 3
    assert swapped.opening(0, of_offers=False) is not None
    of_offers = ListDocument(1, offers[0].player, requests[1].lists)
    false = pages_of([requests, (replace(offers[0], leaf_count=2), of_offers)], monkeypatch)
    assert false.offer(0) is None
    assert false.opening(0, of_offers=True) is not None
