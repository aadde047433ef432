"""Price priority: DSO requests first, then the TSO's, each served by its cheapest offers.

Integers only, so that the same book and seed give the same result on any machine. Merit order is price over
effectiveness. Offers that tie share what is needed pro rata to what they have left; what can't be divided, and the
offers with a minimum acceptance, go by the session's seed, never by order of arrival.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from offchain.protocol.keccak import keccak256
from offchain.protocol.products import OfferStatus, Product, Side
from offchain.protocol.terms import PodFacts
from oracles.clearing.core.book import Book, Offer, Request

PodSlot = tuple[bytes, int, Product]


@dataclass(frozen=True)
class Acceptance:
    """A quantity of an offer taken for a request, and what is paid for it (µ€/kW)."""

    request: Request
    offer: Offer
    accepted_w: int
    price_ueur_per_kw: int


@dataclass(frozen=True)
class Clearing:
    """Acceptances in merit order within each request, requests in order of position; and each offer's status, with
    `because`, what proves it (see OutcomeByOfferLeaf)."""

    acceptances: tuple[Acceptance, ...]
    status: tuple[OfferStatus, ...]
    because: tuple[int, ...]


def clear(book: Book, pods: Mapping[bytes, PodFacts], seed: bytes) -> Clearing:
    """Clear a book, paid as bid. `pods`: the registry's limits; `seed`: 32 bytes, the session's.

    A request is served at most up to its relief: the sum of accepted W times per mille never passes relief times
    1000, so it stays short by less than one W's effect. A PoD is never taken for both directions of one slot.
    """
    return _Market(book, pods, seed).clear()


class _Market:
    def __init__(self, book: Book, pods: Mapping[bytes, PodFacts], seed: bytes) -> None:
        self._book = book
        self._pods = pods
        self._left_w = [offer.counted_w for offer in book.offers]
        self._taken_w: dict[PodSlot, int] = defaultdict(int)
        self._below_minimum = [False for _ in book.offers]
        self._tie = [keccak256(seed + offer.leaf_hash) for offer in book.offers]
        self._by_place: dict[PodSlot, list[Offer]] = defaultdict(list)
        for offer in book.offers:
            if offer.void is None:
                self._by_place[offer.pod, offer.slot, offer.product].append(offer)

    def clear(self) -> Clearing:
        in_service_order = sorted(
            self._book.requests, key=lambda r: (r.side is not Side.DSO_REQUEST, r.position)
        )
        served = {request.position: self._serve(request) for request in in_service_order}
        acceptances = tuple(entry for position in sorted(served) for entry in served[position])
        reasons = _Reasons(self._book, self._pods, acceptances)
        outcome = [self._status(offer, reasons) for offer in self._book.offers]
        return Clearing(acceptances, tuple(s for s, _ in outcome), tuple(because for _, because in outcome))

    def _serve(self, request: Request) -> list[Acceptance]:
        accepted: list[Acceptance] = []
        needed = request.counted_w * 1000
        if not needed:
            return accepted
        candidates = self._merit_order(request)
        for _, tied in groupby(candidates, key=lambda offer: self._merit(offer, request)):
            amounts, needed = self._share(list(tied), needed, request)
            for offer, amount_w in amounts:
                self._left_w[offer.position] -= amount_w
                self._taken_w[offer.pod, offer.slot, offer.product] += amount_w
                accepted.append(Acceptance(request, offer, amount_w, offer.price_ueur_per_kw))
        return accepted

    def _merit_order(self, request: Request) -> list[Offer]:
        offers = []
        for pod, (permille, _) in request.effectiveness.items():
            for offer in self._by_place.get((pod, request.slot, request.product), ()):
                within_cap = offer.price_ueur_per_kw * 1000 <= request.price_cap_ueur_per_kw * permille
                if within_cap and not self._taken_w[pod, request.slot, _opposite(request.product)]:
                    offers.append(offer)
        return sorted(
            offers, key=lambda o: (self._merit(o, request), o.min_power_w > 0, self._tie[o.position])
        )

    @staticmethod
    def _merit(offer: Offer, request: Request) -> Fraction:
        return Fraction(offer.price_ueur_per_kw, request.effectiveness[offer.pod][0])

    def _share(self, tied: list[Offer], needed: int, request: Request) -> tuple[list[tuple[Offer, int]], int]:
        """Amounts (W) for offers of equal merit, and what is needed after: divisible ones pro rata, then those with
        a minimum one by one. Once a divisible offer has more than is needed nothing is: the fraction of a W that it
        can't serve goes to no dearer one.
        """
        divisible = [offer for offer in tied if offer.min_power_w == 0]
        left_of_pod: dict[bytes, int] = {}
        room = [self._room_w(offer, left_of_pod) for offer in divisible]
        amounts = _pro_rata(
            room, [request.effectiveness[offer.pod][0] for offer in divisible], needed, self._ranks(divisible)
        )
        out = []
        for offer, amount in zip(divisible, amounts, strict=True):
            needed -= amount * request.effectiveness[offer.pod][0]
            if amount:
                out.append((offer, amount))
        if amounts != room:
            needed = 0
        for offer in (offer for offer in tied if offer.min_power_w > 0):
            permille = request.effectiveness[offer.pod][0]
            room_w = self._room_w(offer, left_of_pod)
            amount = min(room_w, needed // permille)
            if amount < offer.min_power_w:
                self._below_minimum[offer.position] |= amount > 0
                amount = 0
            else:
                needed -= amount * permille
                out.append((offer, amount))
            left_of_pod[offer.pod] += room_w - amount
        return out, needed

    def _room_w(self, offer: Offer, left_of_pod: dict[bytes, int]) -> int:
        """What an offer still has, within what its PoD may still give; taken off `left_of_pod`."""
        place = (offer.pod, offer.slot, offer.product)
        limit_w = self._pods[offer.pod].limit_w(offer.product) - self._taken_w[place]
        left = left_of_pod.setdefault(offer.pod, limit_w)
        room = min(self._left_w[offer.position], left)
        left_of_pod[offer.pod] = left - room
        return room

    def _ranks(self, offers: Sequence[Offer]) -> list[int]:
        order = sorted(range(len(offers)), key=lambda index: self._tie[offers[index].position])
        ranks = [0] * len(offers)
        for rank, index in enumerate(order):
            ranks[index] = rank
        return ranks

    def _status(self, offer: Offer, reasons: "_Reasons") -> tuple[OfferStatus, int]:
        if offer.void is not None:
            return offer.void, offer.because
        taken_w = offer.counted_w - self._left_w[offer.position]
        if taken_w:
            return (OfferStatus.ACCEPTED if taken_w == offer.power_w else OfferStatus.PARTLY_ACCEPTED), 0
        if not reasons.is_wanted(offer):
            return OfferStatus.COM_NOT_NEEDED, 0
        because = reasons.excluded_by(offer)
        if because:
            return OfferStatus.COM_EXCLUDED, because
        below = self._below_minimum[offer.position]
        return (OfferStatus.COM_MINIMUM if below else OfferStatus.COM_DEARER), 0


class _Reasons:
    """Why offers weren't taken, from the whole clearing."""

    def __init__(self, book: Book, pods: Mapping[bytes, PodFacts], acceptances: Sequence[Acceptance]) -> None:
        self._pods = pods
        self._caps: dict[PodSlot, Fraction] = {}
        for request in book.requests:
            if request.counted_w:
                for pod, (permille, _) in request.effectiveness.items():
                    place = (pod, request.slot, request.product)
                    cap = Fraction(request.price_cap_ueur_per_kw * permille, 1000)
                    self._caps[place] = max(cap, self._caps.get(place, cap))
        self._taken_w: dict[PodSlot, int] = defaultdict(int)
        self._first: dict[PodSlot, int] = {}
        for position, entry in enumerate(acceptances):
            place = (entry.offer.pod, entry.offer.slot, entry.offer.product)
            self._taken_w[place] += entry.accepted_w
            self._first.setdefault(place, position)

    def is_wanted(self, offer: Offer) -> bool:
        """Whether a request that counts names its PoD, slot and product, at a price cap that takes it."""
        cap = self._caps.get((offer.pod, offer.slot, offer.product))
        return cap is not None and offer.price_ueur_per_kw <= cap

    def excluded_by(self, offer: Offer) -> int:
        """Position + 1 of the first entry that took its PoD the opposite way, or to its limit; 0 if there is none."""
        opposite = (offer.pod, offer.slot, _opposite(offer.product))
        if opposite in self._first:
            return self._first[opposite] + 1
        place = (offer.pod, offer.slot, offer.product)
        full = self._taken_w[place] == self._pods[offer.pod].limit_w(offer.product)
        return self._first[place] + 1 if full else 0


def _pro_rata(room_w: list[int], permille: list[int], needed: int, ranks: list[int]) -> list[int]:
    """Shares of `needed` (W times per mille) in proportion to `room_w`, whole W, the rest by rank.

    The sum of share times per mille never passes `needed`, and no share passes its room.
    """
    offered = sum(room * effect for room, effect in zip(room_w, permille, strict=True))
    if offered <= needed:
        return list(room_w)
    shares = [room * needed // offered for room in room_w]
    left = needed - sum(share * effect for share, effect in zip(shares, permille, strict=True))
    for index in sorted(range(len(shares)), key=lambda i: ranks[i]):
        extra = min(room_w[index] - shares[index], left // permille[index], 1 if len(shares) > 1 else left)
        shares[index] += extra
        left -= extra * permille[index]
    return shares


def _opposite(product: Product) -> Product:
    return {
        Product.ACTIVE_UP: Product.ACTIVE_DOWN,
        Product.ACTIVE_DOWN: Product.ACTIVE_UP,
        Product.REACTIVE_UP: Product.REACTIVE_DOWN,
        Product.REACTIVE_DOWN: Product.REACTIVE_UP,
    }[product]
