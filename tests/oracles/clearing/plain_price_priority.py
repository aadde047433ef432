"""Price priority once more, as its rules say it and nothing kept: every sum is taken over all that was taken so far.

Written for tests, to be compared with the oracle's; shares no code with it but the book.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from offchain.protocol.keccak import keccak256
from offchain.protocol.products import Product, Side
from offchain.protocol.terms import PodFacts
from oracles.clearing.core.book import Book, Offer, Request

Taken = dict[tuple[int, int], int]
"""W by positions of request and offer."""


def clear_plainly(book: Book, pods: Mapping[bytes, PodFacts], seed: bytes) -> Taken:
    """What is taken of a book."""
    market = _Market(book, pods, seed)
    for requests in market.areas():
        market.serve(requests)
    return {(request.position, offer.position): w for request, offer, w in market.entries}


class _Market:
    def __init__(self, book: Book, pods: Mapping[bytes, PodFacts], seed: bytes) -> None:
        self.book, self.pods = book, pods
        self.entries: list[tuple[Request, Offer, int]] = []
        self.closed: set[int] = set()
        self.tie = {
            offer.position: (
                keccak256(seed + offer.pod + bytes(30) + offer.slot.to_bytes(2, "big")),
                keccak256(seed + offer.leaf_hash),
            )
            for offer in book.offers
        }

    def areas(self) -> list[list[Request]]:
        """An area's requests, one a slot; a second one for the same slot is an area of its own."""
        found: list[list[Request]] = []
        for request in sorted(self.book.requests, key=lambda each: each.position):
            for requests in found:
                first = requests[0]
                same = (first.document, first.area, first.product) == (
                    request.document,
                    request.area,
                    request.product,
                )
                if same and all(each.slot != request.slot for each in requests):
                    requests.append(request)
                    break
            else:
                found.append([request])
        return [
            requests
            for side in (Side.DSO_REQUEST, Side.TSO_REQUEST)
            for requests in found
            if requests[0].side is side
        ]

    def need(self, request: Request) -> int:
        """W times per mille that are still needed."""
        if request.position in self.closed:
            return 0
        need = request.counted_w * 1000
        for other, offer, w in self.entries:
            of_dso = request.side is Side.TSO_REQUEST and other.side is Side.DSO_REQUEST
            same = (other.slot, other.product) == (request.slot, request.product)
            if other is request or (of_dso and same and offer.pod in request.effectiveness):
                need -= w * request.effectiveness[offer.pod][0]
        return max(need, 0)

    def taken_w(self, offer: Offer) -> int:
        parts = [w for _, other, w in self.entries if other is offer]
        return max(parts, default=0) if offer.is_block else sum(parts)

    def room_w(self, pod: bytes, slot: int, product: Product) -> int:
        here = [(o.product, w) for r, o, w in self.entries if (o.pod, r.slot) == (pod, slot)]
        if any(other is product.opposite for other, _ in here):
            return 0
        return self.pods[pod].limit_w(product) - sum(w for other, w in here if other is product)

    def may_run(self, offer: Offer, requests: Sequence[Request]) -> Iterator[list[Request]]:
        """The requests that it would serve, for each slot from which it may run."""
        by_slot = {request.slot: request for request in requests}
        for first in range(offer.slot, offer.last_slot + 1):
            served = [by_slot.get(slot) for slot in range(first, first + offer.duration_slots)]
            found = [request for request in served if request is not None]
            in_order = [request.position for request in found] == sorted(r.position for r in found)
            if len(found) == offer.duration_slots and in_order:
                effects = [(request, request.effectiveness[offer.pod]) for request in found]
                prices = [
                    Fraction(request.price_cap_ueur_per_kw * effect.permille, 1000)
                    - effect.grid_fee_ueur_per_kw
                    for request, effect in effects
                ]
                if offer.price_ueur_per_kw <= min(prices):
                    yield found

    def is_allowed(self, offer: Offer) -> bool:
        """By its group, and a block once."""
        if offer.is_block and self.taken_w(offer):
            return False
        return not any(
            other is not offer
            and offer.group
            and (other.commitment, other.group) == (offer.commitment, offer.group)
            for _, other, _ in self.entries
        )

    def serve(self, requests: list[Request]) -> None:
        """Serve an area."""
        if not any(self.need(request) for request in requests):
            return
        effects, product = requests[0].effectiveness, requests[0].product

        def merit(offer: Offer) -> Fraction:
            effect = effects[offer.pod]
            return Fraction(offer.price_ueur_per_kw + effect.grid_fee_ueur_per_kw, effect.permille)

        able = [
            offer
            for offer in self.book.offers
            if offer.void is None
            and not (offer.parent is not None and self.book.offers[offer.parent].parent is not None)
            and offer.product is product
            and offer.pod in effects
            and any(self.may_run(offer, requests))
        ]
        able.sort(key=lambda offer: (merit(offer), self.tie[offer.position]))
        waiting: list[Offer] = []
        for price in sorted({merit(offer) for offer in able}):
            tied = [offer for offer in able if merit(offer) == price]
            divisible = [offer for offer in tied if offer.is_divisible]
            for slot in dict.fromkeys(offer.slot for offer in divisible):
                of_slot = [offer for offer in divisible if offer.slot == slot]
                (request,) = (request for request in requests if request.slot == slot)
                for offer in self.share(of_slot, request):
                    self.follow(offer, waiting, requests)
            for offer in tied:
                if offer.is_divisible:
                    continue
                if offer.parent is not None and not self.taken_w(self.book.offers[offer.parent]):
                    waiting.append(offer)
                elif self.consider(offer, requests):
                    self.follow(offer, waiting, requests)

    def follow(self, parent: Offer, waiting: list[Offer], requests: list[Request]) -> None:
        """What waited for an offer that is taken now."""
        for offer in [each for each in waiting if each.parent == parent.position]:
            waiting.remove(offer)
            self.consider(offer, requests)

    def share(self, offers: list[Offer], request: Request) -> list[Offer]:
        """Pro rata among offers of equal merit, the rest a W each by the seed; those of which something is taken."""
        rooms: dict[int, int] = {}
        for offer in offers:
            of_pod = sum(
                rooms[other.position]
                for other in offers
                if other.position in rooms and other.pod == offer.pod
            )
            room_w = self.room_w(offer.pod, request.slot, offer.product) - of_pod
            rooms[offer.position] = min(offer.counted_w - self.taken_w(offer), room_w)
        effect = {offer.position: request.effectiveness[offer.pod][0] for offer in offers}
        need = self.need(request)
        offered = sum(rooms[position] * effect[position] for position in rooms)
        shares = dict(rooms)
        if offered > need:
            shares = {position: rooms[position] * need // offered for position in rooms}
            rest = need - sum(shares[position] * effect[position] for position in rooms)
            for offer in offers:
                position = offer.position
                most_w = rest // effect[position]
                extra_w = min(most_w, rooms[position] - shares[position], most_w if len(offers) == 1 else 1)
                shares[position] += extra_w
                rest -= extra_w * effect[position]
            self.closed.add(request.position)
        taken = [offer for offer in offers if shares[offer.position]]
        self.entries += [(request, offer, shares[offer.position]) for offer in taken]
        return taken

    def consider(self, offer: Offer, requests: list[Request]) -> bool:
        """Take what fits where most of it does, the earliest such place; whether anything was taken."""
        if not self.is_allowed(offer):
            return False
        best_w, best = 0, []
        for served in self.may_run(offer, requests):
            fits_w = min(
                min(
                    self.need(request) // request.effectiveness[offer.pod][0],
                    offer.counted_w - self.taken_w(offer),
                    self.room_w(offer.pod, request.slot, offer.product),
                )
                for request in served
            )
            if fits_w > best_w:
                best_w, best = fits_w, served
        if best_w == 0 or self.taken_w(offer) + best_w < offer.min_power_w:
            return False
        self.entries += [(request, offer, best_w) for request in best]
        return True
