"""The reserve: further offers beyond each request, up to its margin, from what the requests left.

Whatever the method, the requests are served first and keep what they have. Then each request with a margin gets offers in merit
order, the DSO's requests before the TSO's, by price priority's rules: within the price cap and what is left of the PoD with
everything that is taken of it, never the opposite way, ties as there. An entry's price is its offer's own, also where requests are
paid as cleared: it is what an order costs.

Only single offers are picked. Of a block an order would have to move all slots at once, and a group or link would tie what is
ordered to what isn't.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from offchain.protocol.products import OfferStatus, Product, Side
from offchain.protocol.terms import PodFacts
from oracles.clearing.core.book import NOT_VOID, Book, Offer, Request, within_cap
from oracles.clearing.core.sharing import pro_rata
from oracles.clearing.core.state import Acceptance, Clearing, Column, Entries, merit
from oracles.clearing.core.ties import Tie, tie_of

REFUSED_BY_REQUESTS = (OfferStatus.COM_DEARER, OfferStatus.COM_MINIMUM)


def with_reserve(clearing: Clearing, book: Book, pods: Mapping[bytes, PodFacts], seed: bytes) -> Clearing:
    """A clearing and its reserve. What requests get stays as it is; of what they refused commercially the status says whether
    the reserve has it, or has used its PoD. `pods`: the registry's limits; `seed`: the session's."""
    wanting = [request for request in book.requests if request.counted_w * request.reserve_permille]
    if not wanting:
        return clearing
    offers, acceptances = _near(wanting, clearing.acceptances, book)
    pick = _Pick(offers, acceptances, book, pods, seed)
    for request in sorted(wanting, key=lambda each: (each.side is not Side.DSO_REQUEST, each.position)):
        pick.fill(request)
    reserve = pick.reserve()
    first_of_offer: dict[int, int] = {}
    first_of_pod: dict[tuple[bytes, int, Product], int] = {}
    for number, entry in enumerate(reserve, start=1):
        first_of_offer.setdefault(entry.offer.position, number)
        first_of_pod.setdefault((entry.offer.pod, entry.request.slot, entry.offer.product), number)
    status = np.array(clearing.status, dtype=np.uint8)
    because = np.array(clearing.because, dtype=np.uint32)
    for offer in offers:
        if status[offer.position] not in REFUSED_BY_REQUESTS or not offer.is_single:
            continue
        opposite = first_of_pod.get((offer.pod, offer.slot, offer.product.opposite))
        same = first_of_pod.get((offer.pod, offer.slot, offer.product))
        if offer.position in first_of_offer:
            status[offer.position] = OfferStatus.RESERVED
            because[offer.position] = first_of_offer[offer.position]
        elif opposite or (same and not pick.room_w(offer)):
            status[offer.position] = OfferStatus.RESERVE_EXCLUDED
            because[offer.position] = opposite or same or 0
    return replace(
        clearing,
        reserve=reserve,
        status=Column(lambda: status, OfferStatus),
        because=Column(lambda: because, int),
    )


def reserve_left(reserve: Sequence[Acceptance], refused: Sequence[Acceptance]) -> tuple[Acceptance, ...]:
    """The reserve without that of PoDs of which the DSO refused anything in the same slot. `refused`: entries by request."""
    places = {(entry.offer.pod, entry.request.slot) for entry in refused}
    return tuple(entry for entry in reserve if (entry.offer.pod, entry.request.slot) not in places)


def _near(
    wanting: Sequence[Request], acceptances: Sequence[Acceptance], book: Book
) -> tuple[list[Offer], list[Acceptance]]:
    """Offers that count of the PoDs of some requests in their slots, and what is taken of these PoDs there: a village's reserve
    asks nothing of the rest of a city."""
    columns, entries = book.columns, Entries.of(book, acceptances)
    is_near = np.zeros(len(book.pods), dtype=bool)
    for request in wanting:
        is_near[request.effectiveness.pod] = True
    slots = np.unique([request.slot for request in wanting])
    counts = columns.void == NOT_VOID
    counts[counts] = is_near[columns.pod[counts]] & np.isin(columns.slot[counts], slots)
    slot_of_request = np.array([request.slot for request in book.requests])
    taken = is_near[columns.pod[entries.offer]] & np.isin(slot_of_request[entries.request], slots)
    # All at once: one by one their leaves are hashed one by one.
    book.offers.at(np.unique(entries.offer[taken]))
    return book.offers.at(np.flatnonzero(counts)), [entries[row] for row in np.flatnonzero(taken).tolist()]


class _Pick:
    """What is picked so far of some offers, beside what requests have."""

    def __init__(
        self,
        offers: Sequence[Offer],
        acceptances: Sequence[Acceptance],
        book: Book,
        pods: Mapping[bytes, PodFacts],
        seed: bytes,
    ) -> None:
        self._book, self._pods, self._seed = book, pods, seed
        self._left_w = {offer.position: offer.counted_w for offer in offers}
        self._taken_w: dict[tuple[bytes, int, Product], int] = defaultdict(int)
        self._entries: list[Acceptance] = []
        for entry in acceptances:
            self._note(entry)
        self._singles: dict[tuple[bytes, int, Product], list[Offer]] = defaultdict(list)
        for offer in offers:
            if offer.is_single and self._left_w[offer.position]:
                self._singles[offer.pod, offer.slot, offer.product].append(offer)

    def fill(self, request: Request) -> None:
        """Pick for a request up to its margin, in W times per mille."""
        needed = request.counted_w * request.reserve_permille
        for _, group in groupby(self._merit_order(request), key=lambda offer: merit(offer, request)):
            tied = list(group)
            needed = self._share([offer for offer in tied if offer.is_divisible], request, needed)
            for offer in tied:
                if not offer.is_divisible:
                    needed = self._consider(offer, request, needed)

    def reserve(self) -> tuple[Acceptance, ...]:
        """What is picked, in the order of the list."""
        return tuple(
            sorted(
                self._entries,
                key=lambda entry: (
                    entry.request.position,
                    merit(entry.offer, entry.request),
                    not entry.offer.is_divisible,
                    self._tie(entry.offer),
                ),
            )
        )

    def room_w(self, offer: Offer) -> int:
        """What an offer's PoD may still give in its slot: nothing, if it is taken the opposite way, or was sold day ahead."""
        is_sold = (offer.pod, offer.slot, offer.product.is_active) in self._book.sold
        if is_sold or self._taken_w.get((offer.pod, offer.slot, offer.product.opposite)):
            return 0
        taken_w = self._taken_w.get((offer.pod, offer.slot, offer.product), 0)
        return self._pods[offer.pod].limit_w(offer.product) - taken_w

    def _merit_order(self, request: Request) -> list[Offer]:
        offers = [
            offer
            for pod in request.effectiveness
            for offer in self._singles.get((pod, request.slot, request.product), ())
            if within_cap(offer, request)
        ]
        return sorted(offers, key=lambda offer: (merit(offer, request), self._tie(offer)))

    def _tie(self, offer: Offer) -> Tie:
        return tie_of(self._seed, offer.pod, offer.slot, offer.leaf_hash)

    def _share(self, tied: Sequence[Offer], request: Request, needed: int) -> int:
        """Divisible offers of equal merit share what is needed, as in price priority; gives what is needed still."""
        rooms = list(self._rooms_w(tied))
        permille = [request.effectiveness[offer.pod].permille for offer in tied]
        amounts = pro_rata(rooms, permille, needed, [self._tie(offer) for offer in tied])
        for offer, amount_w in zip(tied, amounts, strict=True):
            self._take(offer, amount_w, request)
        if amounts != rooms:
            return 0
        return needed - sum(amount_w * effect for amount_w, effect in zip(amounts, permille, strict=True))

    def _rooms_w(self, offers: Sequence[Offer]) -> Iterator[int]:
        """What each has left, within what is left of its PoD by those before it."""
        of_pod: dict[bytes, int] = {}
        for offer in offers:
            left_w = of_pod.get(offer.pod, self.room_w(offer))
            room_w = min(self._left_w[offer.position], left_w)
            of_pod[offer.pod] = left_w - room_w
            yield room_w

    def _consider(self, offer: Offer, request: Request, needed: int) -> int:
        """Pick as much of an offer as is needed, if with what is taken of it that is its minimum."""
        permille = request.effectiveness[offer.pod].permille
        left_w = self._left_w[offer.position]
        amount_w = min(needed // permille, left_w, self.room_w(offer))
        if offer.counted_w - left_w + amount_w < offer.min_power_w:
            return needed
        self._take(offer, amount_w, request)
        return needed - amount_w * permille

    def _take(self, offer: Offer, amount_w: int, request: Request) -> None:
        if amount_w:
            entry = Acceptance(request, offer, amount_w, offer.price_ueur_per_kw)
            self._note(entry)
            self._entries.append(entry)

    def _note(self, entry: Acceptance) -> None:
        offer = entry.offer
        if not offer.is_block:  # which has the same power in each of its slots, and isn't picked here
            self._left_w[offer.position] -= entry.accepted_w
        self._taken_w[offer.pod, entry.request.slot, offer.product] += entry.accepted_w
