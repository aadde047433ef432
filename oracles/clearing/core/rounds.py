"""Clearing again after refusals: the whole book by the same method, each offer as far as the DSO has left it.

What was allowed stays cheap and is taken again, what a refusal left short goes to the next in merit order.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from offchain.protocol.products import OfferStatus
from oracles.clearing.core.book import Book
from oracles.clearing.core.outcome import Left
from oracles.clearing.core.state import Clearing


def as_left(book: Book, left: Mapping[int, Left]) -> Book:
    """The book with each offer counting no further than the DSO has left of it; `left`: by the offer's position."""
    if not left:
        return book
    counted_w, void = np.array(book.columns.counted_w), np.array(book.columns.void)
    positions = np.array(list(left), dtype=np.int64)
    counted_w[positions] = [part.power_w for part in left.values()]
    void[[position for position, part in left.items() if part.power_w == 0]] = OfferStatus.TEC
    return replace(book, columns=replace(book.columns, counted_w=counted_w, void=void))


def naming_refusals(clearing: Clearing, left: Mapping[int, Left]) -> Clearing:
    """The clearing, in which each offer that isn't taken, or only in part, after a refusal names it."""
    if not left:
        return clearing
    because = list(clearing.because)
    for position, part in left.items():
        if clearing.status[position] in (OfferStatus.PARTLY_ACCEPTED, OfferStatus.TEC):
            because[position] = part.because
    return replace(clearing, because=tuple(because))


def serves_more(again: Clearing, before: Clearing) -> bool:
    """Whether another round serves any request more than what the last one has left."""
    relief, relief_before = _relief(again), _relief(before)
    return any(amount > relief_before[request] for request, amount in relief.items())


def _relief(clearing: Clearing) -> Mapping[int, int]:
    """W times per mille by position of the request."""
    out: dict[int, int] = defaultdict(int)
    for entry in clearing.acceptances:
        effect = entry.request.effectiveness[entry.offer.pod]
        out[entry.request.position] += entry.accepted_w * effect.permille
    return out
