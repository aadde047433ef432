"""Offers with blocks, groups and links for the small book, and where they stand in an outcome of it."""

from collections.abc import Callable, Sequence
from typing import Any

from offchain.protocol.book_documents import OfferEntry, offers_document
from offchain.protocol.leaves import OUTCOME_BY_REQUEST
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Product
from tests.contracts.outcomes import PODS, SmallBook, leaf_salt, with_first_document

SLOTS = (7, 8)
"""12 kW are needed in each."""


def offer(pod: int, slot: int, price: int, power_w: int = 4_000, **order: Any) -> OfferEntry:
    """An offer of 4 kW up."""
    return OfferEntry(PODS[pod], slot, Product.ACTIVE_UP, power_w, price, **order)


OFFERS = [
    offer(0, 7, 10_000, duration_slots=2, last_slot=8),
    offer(1, 7, 20_000, exclusive_group=3),
    offer(1, 8, 20_001, exclusive_group=3),
    offer(1, 8, 5_000, linked_to=1),
    offer(0, 8, 60_000, power_w=6_000),
]
BLOCK, FIRST, SECOND, LINKED, SINGLE = range(5)


def with_offers(offers: Sequence[OfferEntry]) -> Callable[[SmallBook], SmallBook]:
    """The book with other offers of its first aggregator."""

    def change(book: SmallBook) -> SmallBook:
        document = book.documents[0][1]
        changed = offers_document(document.session, document.author, offers, leaf_salt)
        return with_first_document(book, changed)

    return change


def entries_of(document: ListDocument, offer_position: int) -> list[int]:
    """Positions of an offer's entries in an outcome."""
    positions = document.list_of(OUTCOME_BY_REQUEST).integers("offerPosition")
    return [index for index, position in enumerate(positions) if position == offer_position]
