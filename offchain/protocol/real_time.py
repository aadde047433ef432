"""What the day-ahead result leaves to a real-time session.

What was sold day ahead stands: a PoD isn't taken again in a quarter-hour in which the day-ahead's validated outcome has an
entry of it for the same kind of power. One meter reading couldn't be told apart between two sessions' settlements.
"""

from collections.abc import Mapping

from offchain.protocol.leaves import OUTCOME_BY_REQUEST
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Product
from offchain.protocol.terms import SessionTerms

Place = tuple[bytes, int, bool]
"""A PoD (its pseudonym), a slot of the session, and whether it is active power."""
SoldPlaces = Mapping[Place, int]
"""Position, in the day-ahead outcome's list by request, of the first entry that sold a place."""


def sold_places(outcome: ListDocument, ahead: SessionTerms, terms: SessionTerms) -> dict[Place, int]:
    """Places of a real-time session that a day-ahead session's validated outcome sold."""
    entries = outcome.list_of(OUTCOME_BY_REQUEST)
    sold: dict[Place, int] = {}
    for position, (pod, slot, product) in enumerate(
        zip(entries.words("pod"), entries.integers("slot"), entries.integers("product"), strict=True)
    ):
        own_slot = terms.slot_at(ahead.slot_start_s(slot))
        if 0 <= own_slot < terms.slots and product <= max(Product):
            sold.setdefault((pod, own_slot, Product(product).is_active), position)
    return sold
