"""What may be said of the places in the book that an entry names, in the list by request or the reserve: ClearingChallenges."""

from collections.abc import Iterator

from offchain.audit.accusations.accusation import Accusation
from offchain.audit.book import BookPages, Proven
from offchain.protocol.lists import Record


def of_places(
    results: tuple[object, ...], book: BookPages, leaf: Record, entry: Proven, *, in_reserve: bool
) -> Iterator[Accusation]:
    """That an entry names a leaf of the other kind as its request or effectiveness, or another document's effectiveness.

    `results`: what these challenges take first, the outcome and its stage.
    """
    request_position, position = leaf.integer("requestPosition"), leaf.integer("effectivenessPosition")
    opening = book.opening(request_position, of_offers=False)
    effect, request = book.effectiveness(request_position), book.request(position)
    if opening and effect:
        yield _accusation("notARequest", *results, entry, in_reserve, opening, effect)
    if request:
        yield _accusation("notAnEffectiveness", *results, entry, in_reserve, request)
    if opening:
        yield _accusation("anothersEffectiveness", *results, entry, in_reserve, opening)


def _accusation(function: str, *shown: object) -> Accusation:
    return Accusation("ClearingChallenges", function, shown)
