"""The small book with a reserve margin, and where its reserve stands in an outcome of it.

Of 12 kW in a slot PoDs 0 and 1 give 5 kW each, PoD 2 the rest. Of the margin of 9 kW PoD 2 has what its limit of 10 kW leaves: 3 kW
of the first offer and 5 of the second; its third is kept out. PoD 3, dearer, has the last kW.
"""

from dataclasses import replace
from typing import Any

from offchain.protocol.book_documents import Area, OfferEntry, Relief, offers_document, request_document
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import REQUEST
from offchain.protocol.products import Product
from tests.contracts.outcomes import PODS, RELIEF_W, SmallBook, leaf_salt, with_document

MARGIN_PERMILLE = 750
AVAILABILITY_UEUR_PER_KW = 2_000
STEPS = ((2, 40_000, 0), (2, 41_000, 0), (2, 42_000, 0), (3, 50_000, 1_000), (3, 60_000, 0))
"""PoD, price and minimum of the second aggregator's offers in each slot, 5 kW each."""
MARGINAL, SECOND_STEP, KEPT_OUT, DEARER, DEAREST = range(2, 7)
"""Positions of its offers in the book of one slot."""


def with_reserve(book: SmallBook, **area: Any) -> SmallBook:
    """The book with a margin, and with more offers."""
    (_, of_second), (_, of_dso) = book.documents[1:]
    slots = of_dso.list_of(REQUEST).integers("slot")
    offers = [
        OfferEntry(PODS[number], slot, Product.ACTIVE_UP, 5_000, price, min_power_w=minimum_w)
        for number, price, minimum_w in STEPS
        for slot in slots
    ]
    changed = offers_document(of_second.session, of_second.author, offers, leaf_salt)
    needs = Area(
        element=keccak256(b"line"),
        product=Product.ACTIVE_UP,
        grid_model=bytes(32),
        reliefs=[Relief(slot, RELIEF_W, 90_000) for slot in slots],
        effectiveness=[(pod, 1000) for pod in PODS],
        reserve_permille=MARGIN_PERMILLE,
        availability_price_ueur_per_kw=AVAILABILITY_UEUR_PER_KW,
    )
    request = request_document(of_dso.session, of_dso.author, [replace(needs, **area)], leaf_salt)
    return with_document(with_document(book, 1, changed), 2, request)
