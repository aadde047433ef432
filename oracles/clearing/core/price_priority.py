"""Price priority: DSO requests first, then the TSO's, each served by its cheapest offers.

Integers only, so that the same book and seed give the same result on any machine. The requests of an area (an element's,
of one product) are served together, slot by slot and by blocks over several slots. Merit order is price over
effectiveness. Divisible offers that tie share what is needed pro rata to what they have left. Everything else that ties
goes one by one, by the session's seed, never by order of arrival: offers with a minimum, blocks, offers of exclusive
groups, linked ones.

A block is taken where most of it is needed, at the same power in each slot, and the earliest such place. A linked offer
waits for the one that it is linked to. What the DSO takes of a TSO's area relieves it there, too, and the TSO needs less.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, pairwise

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
    `because`, what proves it (see OutcomeByOfferLeaf). `start_slots`: from where each offer runs, or would at the earliest."""

    acceptances: tuple[Acceptance, ...]
    status: tuple[OfferStatus, ...]
    because: tuple[int, ...]
    start_slots: tuple[int, ...]


def clear(book: Book, pods: Mapping[bytes, PodFacts], seed: bytes) -> Clearing:
    """Clear a book, paid as bid. `pods`: the registry's limits; `seed`: 32 bytes, the session's.

    A request is served at most up to its relief: the sum of accepted W times per mille never passes relief times
    1000, so it stays short by less than one W's effect. A PoD is never taken for both directions of one slot.
    """
    return _Market(book, pods, seed).clear()


def areas_of(requests: Sequence[Request]) -> list[list[Request]]:
    """Requests by area, one a slot, in the order in which they are served: the DSO's before the TSO's."""
    areas: dict[tuple[bool, int, int, Product, int], list[Request]] = {}
    in_slot: dict[tuple[int, int, Product, int], int] = defaultdict(int)
    for request in sorted(requests, key=lambda each: each.position):
        place = (request.document, request.area, request.product, request.slot)
        key = (request.side is not Side.DSO_REQUEST, *place[:3], in_slot[place])
        in_slot[place] += 1
        areas.setdefault(key, []).append(request)
    return sorted(areas.values(), key=lambda area: (area[0].side is not Side.DSO_REQUEST, area[0].position))


class _Market:
    """What has been taken so far."""

    def __init__(self, book: Book, pods: Mapping[bytes, PodFacts], seed: bytes) -> None:
        self.book = book
        self.left_w = [offer.counted_w for offer in book.offers]
        self.taken_w: dict[PodSlot, int] = defaultdict(int)
        self.for_dso_w: dict[PodSlot, int] = defaultdict(int)
        self.below_minimum = [False for _ in book.offers]
        self.tie = [keccak256(seed + offer.leaf_hash) for offer in book.offers]
        self.by_pod: dict[tuple[bytes, Product], list[Offer]] = defaultdict(list)
        self._pods = pods
        self._taken_of_group: dict[tuple[int, int], int] = {}
        for offer in book.offers:
            if offer.void is None:
                self.by_pod[offer.pod, offer.product].append(offer)

    def clear(self) -> Clearing:
        accepted = [entry for area in areas_of(self.book.requests) for entry in _Area(self, area).serve()]
        acceptances = tuple(sorted(accepted, key=self._place_in_list))
        reasons = _Reasons(self.book, self._pods, acceptances)
        outcome = [self._status(offer, reasons) for offer in self.book.offers]
        starts = {entry.offer.position: entry.request.slot for entry in reversed(acceptances)}
        return Clearing(
            acceptances,
            status=tuple(status for status, _ in outcome),
            because=tuple(because for _, because in outcome),
            start_slots=tuple(starts.get(offer.position, offer.slot) for offer in self.book.offers),
        )

    def _place_in_list(self, entry: Acceptance) -> tuple[int, Fraction, bool, bytes]:
        offer, request = entry.offer, entry.request
        return request.position, merit(offer, request), not offer.is_divisible, self.tie[offer.position]

    def is_taken(self, position: int) -> bool:
        """Whether anything of an offer is taken."""
        return self.left_w[position] < self.book.offers[position].counted_w

    def may_be_taken(self, offer: Offer) -> bool:
        """Whether its group and its link allow it now, and, of a block, whether it isn't taken yet."""
        if offer.is_block and self.is_taken(offer.position):
            return False
        if self._taken_of_group.get((offer.commitment, offer.group), offer.position) != offer.position:
            return False
        return offer.parent is None or self.is_taken(offer.parent)

    def pod_room_w(self, pod: bytes, slot: int, product: Product) -> int:
        """What a PoD may still give in a slot: nothing, if it is taken the opposite way."""
        if self.taken_w[pod, slot, _opposite(product)]:
            return 0
        return self._pods[pod].limit_w(product) - self.taken_w[pod, slot, product]

    def take(self, offer: Offer, amount_w: int, requests: Sequence[Request]) -> Iterator[Acceptance]:
        """Take a quantity of an offer for a request of each of its slots."""
        self.left_w[offer.position] -= amount_w
        if offer.group:
            self._taken_of_group[offer.commitment, offer.group] = offer.position
        for request in requests:
            place = (offer.pod, request.slot, offer.product)
            self.taken_w[place] += amount_w
            if request.side is Side.DSO_REQUEST:
                self.for_dso_w[place] += amount_w
            yield Acceptance(request, offer, amount_w, offer.price_ueur_per_kw)

    def _status(self, offer: Offer, reasons: "_Reasons") -> tuple[OfferStatus, int]:
        if offer.void is not None:
            return offer.void, offer.because
        taken_w = offer.counted_w - self.left_w[offer.position]
        if taken_w:
            return (OfferStatus.ACCEPTED if taken_w == offer.power_w else OfferStatus.PARTLY_ACCEPTED), 0
        if not reasons.is_wanted(offer):
            return OfferStatus.COM_NOT_NEEDED, 0
        if not self.may_be_taken(offer):
            alternative = self._taken_of_group.get((offer.commitment, offer.group))
            return OfferStatus.COM_EXCLUDED, reasons.first_entry_of(alternative)
        because = reasons.excluded_by(offer)
        if because:
            return OfferStatus.COM_EXCLUDED, because
        below = self.below_minimum[offer.position]
        return (OfferStatus.COM_MINIMUM if below else OfferStatus.COM_DEARER), 0


class _Area:
    """An area that is being served. `needed`: by slot, W times per mille."""

    def __init__(self, market: _Market, requests: Sequence[Request]) -> None:
        self._market = market
        self._requests = {request.slot: request for request in requests}
        self._effectiveness = requests[0].effectiveness
        self._needed = {request.slot: self._need(request) for request in requests}
        self._waiting: dict[int, list[Offer]] = defaultdict(list)
        self._accepted: list[Acceptance] = []

    def _need(self, request: Request) -> int:
        need = request.counted_w * 1000
        if request.side is not Side.DSO_REQUEST:
            need -= sum(
                self._market.for_dso_w.get((pod, request.slot, request.product), 0) * permille
                for pod, (permille, _) in request.effectiveness.items()
            )
        return max(need, 0)

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
        return Fraction(offer.price_ueur_per_kw, self._effectiveness[offer.pod][0])

    def _merit_order(self) -> list[Offer]:
        product = next(iter(self._requests.values())).product
        offers = [
            offer
            for pod in self._effectiveness
            for offer in self._market.by_pod.get((pod, product), ())
            if any(self._slots_from(offer))
        ]
        return sorted(offers, key=lambda offer: (self._merit(offer), self._market.tie[offer.position]))

    def _slots_from(self, offer: Offer) -> Iterator[list[Request]]:
        """The requests that an offer would serve, one a slot, for each slot from which it may run."""
        for first in range(offer.slot, offer.last_slot + 1):
            requests = [self._requests.get(slot) for slot in range(first, first + offer.duration_slots)]
            found = [request for request in requests if request is not None and within_cap(offer, request)]
            in_order = all(a.position < b.position for a, b in pairwise(found))
            if len(found) == offer.duration_slots and in_order:
                yield found

    def _share(self, tied: list[Offer]) -> None:
        """Divisible offers of equal merit share pro rata what a slot needs. Once they have more than is needed nothing is:
        the fraction of a W that they can't serve goes to no dearer one."""
        for slot, offers in _by_slot(tied).items():
            rooms = self._rooms_w(offers)
            permille = [self._effectiveness[offer.pod][0] for offer in offers]
            ranks = _ranks([self._market.tie[offer.position] for offer in offers])
            amounts = _pro_rata(rooms, permille, self._needed[slot], ranks)
            if amounts != rooms:
                self._needed[slot] = 0
            else:
                self._needed[slot] -= sum(a * effect for a, effect in zip(amounts, permille, strict=True))
            for offer, amount_w in zip(offers, amounts, strict=True):
                if amount_w:
                    self._take(offer, amount_w, [self._requests[slot]])

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
        for candidate in self._slots_from(offer):
            fits_w = min(self._fits_w(offer, request) for request in candidate)
            if fits_w > most_w:
                most_w, requests = fits_w, candidate
        taken_w = offer.counted_w - self._market.left_w[offer.position]
        if requests is None or taken_w + most_w < offer.min_power_w:
            self._market.below_minimum[offer.position] |= most_w > 0
            return
        for request in requests:
            self._needed[request.slot] -= most_w * self._effectiveness[offer.pod][0]
        self._take(offer, most_w, requests)

    def _fits_w(self, offer: Offer, request: Request) -> int:
        return min(
            self._needed[request.slot] // self._effectiveness[offer.pod][0],
            self._market.left_w[offer.position],
            self._market.pod_room_w(offer.pod, request.slot, offer.product),
        )

    def _take(self, offer: Offer, amount_w: int, requests: Sequence[Request]) -> None:
        self._accepted.extend(self._market.take(offer, amount_w, requests))
        for waiting in self._waiting.pop(offer.position, ()):
            self._consider(waiting)


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
        self._first_of_offer: dict[int, int] = {}
        for position, entry in enumerate(acceptances):
            place = (entry.offer.pod, entry.request.slot, entry.offer.product)
            self._taken_w[place] += entry.accepted_w
            self._first.setdefault(place, position)
            self._first_of_offer.setdefault(entry.offer.position, position)

    def is_wanted(self, offer: Offer) -> bool:
        """Whether requests that count name its PoD and product in all slots of a place where it may run, at price caps that
        take it."""
        return any(
            all(self._is_wanted_in(offer, slot) for slot in range(first, first + offer.duration_slots))
            for first in range(offer.slot, offer.last_slot + 1)
        )

    def _is_wanted_in(self, offer: Offer, slot: int) -> bool:
        cap = self._caps.get((offer.pod, slot, offer.product))
        return cap is not None and offer.price_ueur_per_kw <= cap

    def first_entry_of(self, offer: int | None) -> int:
        """Position + 1 of an offer's first entry; 0 if it has none."""
        return 0 if offer is None else self._first_of_offer.get(offer, -1) + 1

    def excluded_by(self, offer: Offer) -> int:
        """Position + 1 of the first entry that took a single offer's PoD the opposite way, or to its limit; 0 if there is
        none, and for blocks."""
        if offer.is_block:
            return 0
        opposite = (offer.pod, offer.slot, _opposite(offer.product))
        if opposite in self._first:
            return self._first[opposite] + 1
        place = (offer.pod, offer.slot, offer.product)
        full = self._taken_w[place] == self._pods[offer.pod].limit_w(offer.product)
        return self._first[place] + 1 if full else 0


def merit(offer: Offer, request: Request) -> Fraction:
    """Price over effectiveness: what a request pays for a kW of relief, in thousandths of µ€."""
    return Fraction(offer.price_ueur_per_kw, request.effectiveness[offer.pod][0])


def within_cap(offer: Offer, request: Request) -> bool:
    """Whether a request pays as much as an offer of one of its PoDs asks."""
    permille = request.effectiveness[offer.pod][0]
    return offer.price_ueur_per_kw * 1000 <= request.price_cap_ueur_per_kw * permille


def _by_slot(offers: Sequence[Offer]) -> dict[int, list[Offer]]:
    out: dict[int, list[Offer]] = {}
    for offer in offers:
        out.setdefault(offer.slot, []).append(offer)
    return out


def _ranks(ties: Sequence[bytes]) -> list[int]:
    order = sorted(range(len(ties)), key=lambda index: ties[index])
    ranks = [0] * len(ties)
    for rank, index in enumerate(order):
        ranks[index] = rank
    return ranks


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
