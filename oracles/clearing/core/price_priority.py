"""Price priority: DSO requests first, then the TSO's, each served by its cheapest offers.

Integers only, so that the same book and seed give the same result on any machine. The requests of an area (an
element's, of one product) are served together, slot by slot and by blocks over several slots. Merit order is delivered
price (the offer's and its PoD's grid fee) over effectiveness. Divisible offers that tie share what is needed pro rata
to what they have left. Everything else that ties goes one by one, by the session's seed, never by order of arrival:
offers with a minimum, blocks, offers of exclusive groups, linked ones.

A block is taken where most of it is needed, at the same power in each slot, and the earliest such place. A linked offer
waits for the one that it is linked to. What the DSO takes of a TSO's area relieves it there, too, and the TSO needs less.

A book is cleared in parts that nothing binds to each other, wherever and in whatever order: those of divisible single offers
in columns (`plain.py`), the others here, offer by offer, by the same rules.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import groupby

from offchain.protocol.terms import PodFacts
from oracles.clearing.core.book import Book, Offer, Request
from oracles.clearing.core.parts import BookIndex, Extract, parts_of
from oracles.clearing.core.plain import PlainPart
from oracles.clearing.core.results import clearing_of
from oracles.clearing.core.sharing import pro_rata
from oracles.clearing.core.state import Acceptance, Clearing, MarketState, areas_of, merit
from oracles.parallel import MapParts, in_threads


def clear(
    book: Book, pods: Mapping[bytes, PodFacts], seed: bytes, map_parts: MapParts = in_threads
) -> Clearing:
    """Clear a book, paid as bid. `pods`: the registry's limits; `seed`: 32 bytes, the session's; `map_parts`: who clears its
    parts.

    A request is served at most up to its relief: the sum of accepted W times per mille never passes relief times
    1000, so it stays short by less than one W's effect. A PoD is never taken for both directions of one slot.
    """
    if book.sold:
        # Columns know nothing of places that the day-ahead result has sold.
        return _one_by_one(MarketState(book, pods, seed, book.sold), areas_of(book.requests))
    index = BookIndex(book, pods)
    extracts, plain = parts_of(index, pods, seed)
    taken = list(map_parts(PlainPart.clear, plain))
    return clearing_of(index, taken, extracts, list(map_parts(clear_one_by_one, extracts)))


def clear_one_by_one(extract: Extract) -> Clearing:
    """Clear a part of a book offer by offer."""
    return _one_by_one(MarketState(extract, extract.pods, extract.seed), extract.areas)


def _one_by_one(market: MarketState, areas: Sequence[Sequence[Request]]) -> Clearing:
    return market.finished([entry for area in areas for entry in _Area(market, area).serve()])


class _Area:
    """An area that is being served. `needed`: by slot, W times per mille."""

    def __init__(self, market: MarketState, requests: Sequence[Request]) -> None:
        self._market = market
        self._requests = {request.slot: request for request in requests}
        # Product and effectiveness are the same for all of them.
        self._any = requests[0]
        self._effectiveness = self._any.effectiveness
        self._needed = {request.slot: market.needed(request) for request in requests}
        self._waiting: dict[int, list[Offer]] = defaultdict(list)
        self._accepted: list[Acceptance] = []

    def serve(self) -> list[Acceptance]:
        if any(self._needed.values()):
            for _, group in groupby(self._merit_order(), key=self._merit):
                tied = list(group)
                self._share([offer for offer in tied if offer.is_divisible])
                for offer in tied:
                    if not offer.is_divisible:
                        self._consider(offer)
        return self._accepted

    def _merit(self, offer: Offer) -> Fraction:
        return merit(offer, self._any)

    def _merit_order(self) -> list[Offer]:
        offers = [
            offer
            for pod in self._effectiveness
            for offer in self._market.by_pod.get((pod, self._any.product), ())
            if any(self._market.runs(offer, self._requests))
        ]
        return sorted(offers, key=lambda offer: (self._merit(offer), self._market.tie[offer.position]))

    def _share(self, tied: list[Offer]) -> None:
        """Divisible offers of equal merit share pro rata what a slot needs. Once they have more than is needed nothing is:
        the fraction of a W that they can't serve goes to no dearer one."""
        for slot, offers in _by_slot(tied).items():
            rooms = self._rooms_w(offers)
            permille = [self._effectiveness[offer.pod].permille for offer in offers]
            ties = [self._market.tie[offer.position] for offer in offers]
            amounts = pro_rata(rooms, permille, self._needed[slot], ties)
            if amounts != rooms:
                self._needed[slot] = 0
            else:
                self._needed[slot] -= sum(a * effect for a, effect in zip(amounts, permille, strict=True))
            taken = [(offer, w) for offer, w in zip(offers, amounts, strict=True) if w]
            for offer, amount_w in taken:
                self._take(offer, amount_w, [self._requests[slot]])
            # Only now: what waits for one of them must not use up what another's share needs of its PoD.
            for offer, _ in taken:
                self._follow(offer)

    def _rooms_w(self, offers: Sequence[Offer]) -> list[int]:
        """What each has left, within what is left of its PoD by those before it."""
        of_pod: dict[bytes, int] = {}
        rooms = []
        for offer in offers:
            left = of_pod.setdefault(offer.pod, self._market.pod_room_w(offer.pod, offer.slot, offer.product))
            rooms.append(min(self._market.left_w[offer.position], left))
            of_pod[offer.pod] = left - rooms[-1]
        return rooms

    def _consider(self, offer: Offer) -> None:
        """Take as much of an offer as is needed where most of it is, if that is its minimum."""
        if offer.parent is not None and not self._market.is_taken(offer.parent):
            self._waiting[offer.parent].append(offer)
            return
        if not self._market.may_be_taken(offer):
            return
        most_w, requests = 0, None
        for candidate in self._market.runs(offer, self._requests):
            fits_w = min(self._fits_w(offer, request) for request in candidate)
            if fits_w > most_w:
                most_w, requests = fits_w, candidate
        taken_w = offer.counted_w - self._market.left_w[offer.position]
        if requests is None or taken_w + most_w < offer.min_power_w:
            self._market.below_minimum[offer.position] |= most_w > 0
            return
        for request in requests:
            self._needed[request.slot] -= most_w * self._effectiveness[offer.pod].permille
        self._take(offer, most_w, requests)
        self._follow(offer)

    def _fits_w(self, offer: Offer, request: Request) -> int:
        return min(
            self._needed[request.slot] // self._effectiveness[offer.pod].permille,
            self._market.left_w[offer.position],
            self._market.pod_room_w(offer.pod, request.slot, offer.product),
        )

    def _take(self, offer: Offer, amount_w: int, requests: Sequence[Request]) -> None:
        self._accepted.extend(self._market.take(offer, amount_w, requests))

    def _follow(self, offer: Offer) -> None:
        """Consider what waited for an offer."""
        for waiting in self._waiting.pop(offer.position, ()):
            self._consider(waiting)


def _by_slot(offers: Sequence[Offer]) -> dict[int, list[Offer]]:
    out: dict[int, list[Offer]] = {}
    for offer in offers:
        out.setdefault(offer.slot, []).append(offer)
    return out
