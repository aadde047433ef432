"""What has been taken so far of a book, whatever the method, and why the rest wasn't."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol, TypeVar, overload

import numpy as np
import numpy.typing as npt

from offchain.protocol.products import OfferStatus, Product, Side
from offchain.protocol.real_time import SoldPlaces
from offchain.protocol.terms import PodFacts
from oracles.clearing.core.book import Book, Effectiveness, Offer, Request, delivered_ueur_per_kw, within_cap
from oracles.clearing.core.book_kernels import look_up_effects
from oracles.clearing.core.ties import Tie, tie_of

PodSlot = tuple[bytes, int, Product]
T = TypeVar("T")
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Acceptance:
    """A quantity of an offer taken for a request, and what is paid for it (µ€/kW)."""

    request: Request
    offer: Offer
    accepted_w: int
    price_ueur_per_kw: int


class Column(Sequence[T]):
    """A column of the outcome by offer, read as a sequence. `make`: makes it when it is first needed."""

    def __init__(self, make: Callable[[], Array], value: Callable[[int], T]) -> None:
        self._make, self._value = make, value

    @cached_property
    def array(self) -> Array:
        """The column itself."""
        return self._make()

    def __len__(self) -> int:
        return len(self.array)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> list[T]: ...
    def __getitem__(self, place: int | slice) -> T | list[T]:
        if isinstance(place, slice):
            return [self._value(value) for value in self.array[place].tolist()]
        return self._value(int(self.array[place]))

    def __iter__(self) -> Iterator[T]:
        return iter(self[:])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self.array if dtype is None else self.array.astype(dtype)


class Entries(Sequence[Acceptance]):
    """Accepted quantities in the order of the list by request, in columns.

    `request`: index in the book; `offer`: position.
    """

    def __init__(
        self, book: Book, request: Array, offer: Array, accepted_w: Array, price_ueur_per_kw: Array
    ) -> None:
        self._book = book
        self.request, self.offer = request, offer
        self.accepted_w, self.price_ueur_per_kw = accepted_w, price_ueur_per_kw

    @classmethod
    def of(cls, book: Book, acceptances: Sequence[Acceptance]) -> "Entries":
        """The columns of acceptances."""
        if isinstance(acceptances, cls):
            return acceptances
        index = {request.position: number for number, request in enumerate(book.requests)}
        rows = [
            (index[each.request.position], each.offer.position, each.accepted_w, each.price_ueur_per_kw)
            for each in acceptances
        ]
        return cls(book, *np.array(rows, dtype=np.int64).reshape(-1, 4).T)

    def after(self, before: "Entries") -> "Entries":
        """Other entries, and these after them."""
        columns = ("request", "offer", "accepted_w", "price_ueur_per_kw")
        return Entries(
            self._book, *(np.concatenate([getattr(before, name), getattr(self, name)]) for name in columns)
        )

    def at_prices(self, price_ueur_per_kw: Array) -> "Entries":
        """The same quantities at other prices."""
        return Entries(self._book, self.request, self.offer, self.accepted_w, price_ueur_per_kw)

    @cached_property
    def effectiveness(self) -> tuple[Array, Array, Array]:
        """Per mille of each entry's PoD for its request, the position of the leaf that says so, and the grid fee that it states
        (µ€/kW; one value for all where there are none)."""
        effects: dict[int, tuple[int, Effectiveness]] = {}
        of_request = [
            effects.setdefault(id(each.effectiveness), (len(effects), each.effectiveness))[0]
            for each in self._book.requests
        ]
        effect = np.array(of_request, dtype=np.int64)[self.request]
        # Entries of one effectiveness together.
        by_effect = np.argsort(effect, kind="stable") if len(effects) > 1 else np.arange(len(effect))
        ends = np.cumsum(np.bincount(effect, minlength=len(effects)))
        permille, position = np.zeros((2, len(self)), dtype=np.int64)
        has_fees = any(len(each.grid_fee_ueur_per_kw) for _, each in effects.values())
        fee = np.zeros(len(self) if has_fees else 0, dtype=np.int64)
        row_of_pod = np.zeros(len(self._book.pods), dtype=np.int32)
        for (number, each), end in zip(effects.values(), ends.tolist(), strict=True):
            mine = by_effect[ends[number - 1] if number else 0 : end]
            if len(mine):
                look_up_effects(
                    each.pod, each.permille, each.position, each.grid_fee_ueur_per_kw, mine, self.offer,
                    self._book.columns.pod, row_of_pod, permille, position, fee,
                )  # fmt: skip
        return permille, position, fee if has_fees else np.broadcast_to(np.int64(0), len(self))

    def __len__(self) -> int:
        return len(self.offer)

    @overload
    def __getitem__(self, place: int) -> Acceptance: ...
    @overload
    def __getitem__(self, place: slice) -> "Entries": ...
    def __getitem__(self, place: int | slice) -> "Acceptance | Entries":
        columns = (self.request, self.offer, self.accepted_w, self.price_ueur_per_kw)
        if isinstance(place, slice):
            return Entries(self._book, *(column[place] for column in columns))
        request, offer, accepted_w, price = (int(column[place]) for column in columns)
        return Acceptance(self._book.requests[request], self._book.offers[offer], accepted_w, price)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)


@dataclass(frozen=True)
class Clearing:
    """Acceptances in merit order within each request, requests in order of position; and each offer's status, with
    `because`, what proves it (see OutcomeByOfferLeaf). `start_slots`: from where each offer runs, or would at the earliest.
    `reserve`: what is picked beyond the requests, in the same order."""

    acceptances: Sequence[Acceptance]
    status: Sequence[OfferStatus]
    because: Sequence[int]
    start_slots: Sequence[int]
    reserve: Sequence[Acceptance] = ()


class OffersAndRequests(Protocol):
    """A book, or a part of one, in order of position."""

    @property
    def offers(self) -> Iterable[Offer]:
        """Its offers."""

    @property
    def requests(self) -> Sequence[Request]:
        """Its requests."""


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


class MarketState:
    """What has been taken so far. `left_w`: of each offer; `tie`: by which offers that tie go one by one; `sold`: what the
    day-ahead result has sold."""

    def __init__(
        self,
        book: OffersAndRequests,
        pods: Mapping[bytes, PodFacts],
        seed: bytes,
        sold: SoldPlaces | None = None,
    ) -> None:
        self.sold = sold or {}
        self.requests = book.requests
        self.offers = {offer.position: offer for offer in book.offers}
        self.left_w = {position: offer.counted_w for position, offer in self.offers.items()}
        self.taken_w: dict[PodSlot, int] = defaultdict(int)
        self.for_dso_w: dict[PodSlot, int] = defaultdict(int)
        self.below_minimum = dict.fromkeys(self.offers, False)
        self.tie = {
            position: tie_of(seed, offer.pod, offer.slot, offer.leaf_hash)
            for position, offer in self.offers.items()
        }
        self.by_pod: dict[tuple[bytes, Product], list[Offer]] = defaultdict(list)
        self._pods = pods
        self._taken_of_group: dict[tuple[int, int], int] = {}
        for offer in self.offers.values():
            if offer.void is None and not self._waits_in_vain(offer):
                self.by_pod[offer.pod, offer.product].append(offer)

    def finished(self, accepted: Iterable[Acceptance]) -> Clearing:
        """The clearing of everything that was taken, with a reason for every other offer."""
        acceptances = tuple(sorted(accepted, key=self._place_in_list))
        reasons = _Reasons(self.requests, self._pods, acceptances, self.sold)
        outcome = [self._status(offer, reasons) for offer in self.offers.values()]
        starts = {entry.offer.position: entry.request.slot for entry in reversed(acceptances)}
        return Clearing(
            acceptances,
            status=tuple(status for status, _ in outcome),
            because=tuple(because for _, because in outcome),
            start_slots=tuple(starts.get(position, offer.slot) for position, offer in self.offers.items()),
        )

    def needed(self, request: Request) -> int:
        """W times per mille that a request needs: the TSO's less what the DSO takes of its PoDs."""
        need = request.counted_w * 1000
        if request.side is not Side.DSO_REQUEST:
            need -= sum(
                self.for_dso_w.get((pod, request.slot, request.product), 0) * effect.permille
                for pod, effect in request.effectiveness.items()
            )
        return max(need, 0)

    def _place_in_list(self, entry: Acceptance) -> tuple[int, Fraction, bool, Tie]:
        offer, request = entry.offer, entry.request
        return request.position, merit(offer, request), not offer.is_divisible, self.tie[offer.position]

    def runs(self, offer: Offer, requests: Mapping[int, Request]) -> Iterator[list[Request]]:
        """What an offer would serve of an area, one request a slot, for each slot from which it may run. `requests`: by slot."""
        for first in range(offer.slot, offer.last_slot + 1):
            of_slots = [requests.get(slot) for slot in range(first, first + offer.duration_slots)]
            found = [request for request in of_slots if request is not None and within_cap(offer, request)]
            in_order = all(a.position < b.position for a, b in pairwise(found))
            if len(found) == offer.duration_slots and in_order:
                yield found

    def is_taken(self, position: int) -> bool:
        """Whether anything of an offer is taken."""
        return self.left_w[position] < self.offers[position].counted_w

    def group_is_free(self, offer: Offer) -> bool:
        """Whether no other offer of its exclusive group is taken."""
        return self._taken_of_group.get((offer.commitment, offer.group), offer.position) == offer.position

    def _waits_in_vain(self, offer: Offer) -> bool:
        """Whether it is linked to an offer that is linked itself: no refusal could be traced to it, so it is never taken."""
        return offer.parent is not None and self.offers[offer.parent].parent is not None

    def may_be_taken(self, offer: Offer) -> bool:
        """Whether its group and its link allow it now, and, of a block, whether it isn't taken yet."""
        if offer.is_block and self.is_taken(offer.position):
            return False
        if not self.group_is_free(offer) or self._waits_in_vain(offer):
            return False
        return offer.parent is None or self.is_taken(offer.parent)

    def pod_room_w(self, pod: bytes, slot: int, product: Product) -> int:
        """What a PoD may still give in a slot: nothing, if it is taken the opposite way or was sold day ahead."""
        if self.taken_w[pod, slot, product.opposite] or (pod, slot, product.is_active) in self.sold:
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
        sold_by = reasons.sold_by(offer)
        if sold_by is not None:
            return OfferStatus.COM_SOLD, sold_by + 1
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


class _Reasons:
    """Why offers weren't taken, from the whole clearing."""

    def __init__(
        self,
        requests: Iterable[Request],
        pods: Mapping[bytes, PodFacts],
        acceptances: Sequence[Acceptance],
        sold: SoldPlaces,
    ) -> None:
        self._pods = pods
        self._sold = sold
        self._caps: dict[PodSlot, Fraction] = {}
        for request in requests:
            if request.counted_w:
                for pod, effect in request.effectiveness.items():
                    place = (pod, request.slot, request.product)
                    cap = Fraction(request.price_cap_ueur_per_kw * effect.permille, 1000)
                    cap -= effect.grid_fee_ueur_per_kw
                    self._caps[place] = max(cap, self._caps.get(place, cap))
        self._taken_w: dict[PodSlot, int] = defaultdict(int)
        self._first: dict[PodSlot, int] = {}
        self._first_of_offer: dict[int, int] = {}
        for position, entry in enumerate(acceptances):
            place = (entry.offer.pod, entry.request.slot, entry.offer.product)
            self._taken_w[place] += entry.accepted_w
            self._first.setdefault(place, position)
            self._first_of_offer.setdefault(entry.offer.position, position)

    def sold_by(self, offer: Offer) -> int | None:
        """Position, in the day-ahead outcome's list, of an entry that leaves an offer no place to run; None if it has one."""
        found: list[int] = []
        for first in range(offer.slot, offer.last_slot + 1):
            of_run = [self._sold_in(offer, slot) for slot in range(first, first + offer.duration_slots)]
            sold = [position for position in of_run if position is not None]
            if not sold:
                return None
            found.append(sold[0])
        return found[0] if found else None

    def _sold_in(self, offer: Offer, slot: int) -> int | None:
        return self._sold.get((offer.pod, slot, offer.product.is_active))

    def is_wanted(self, offer: Offer) -> bool:
        """Whether requests that count name its PoD and product in all slots of a place where it may run, at price caps that
        take it."""
        return any(
            all(self._is_wanted_in(offer, slot) for slot in range(first, first + offer.duration_slots))
            for first in range(offer.slot, offer.last_slot + 1)
        )

    def _is_wanted_in(self, offer: Offer, slot: int) -> bool:
        cap = self._caps.get((offer.pod, slot, offer.product))
        unsold = self._sold_in(offer, slot) is None
        return unsold and cap is not None and offer.price_ueur_per_kw <= cap

    def first_entry_of(self, offer: int | None) -> int:
        """Position + 1 of an offer's first entry; 0 if it has none."""
        return 0 if offer is None else self._first_of_offer.get(offer, -1) + 1

    def excluded_by(self, offer: Offer) -> int:
        """Position + 1 of the first entry that took a single offer's PoD the opposite way, or to its limit; 0 if there is
        none, and for blocks."""
        if offer.is_block:
            return 0
        opposite = (offer.pod, offer.slot, offer.product.opposite)
        if opposite in self._first:
            return self._first[opposite] + 1
        place = (offer.pod, offer.slot, offer.product)
        full = self._taken_w[place] == self._pods[offer.pod].limit_w(offer.product)
        return self._first[place] + 1 if full else 0


def merit(offer: Offer, request: Request) -> Fraction:
    """Delivered price over effectiveness: what a kW of relief costs, in thousandths of µ€."""
    return Fraction(delivered_ueur_per_kw(offer, request), request.effectiveness[offer.pod].permille)
