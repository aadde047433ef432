"""The book of a session: its available documents in order of their numbers, as offers and requests with positions.

A position of the book counts over the documents of one side (offers; requests of DSO and TSO together): documents in
order of number, then the leaf's position in its document; the chain gives each its first. A document that breaks its
cap, or doesn't hold what its side holds, is void at its player's cost: its positions stay, its leaves count for nothing.

Offers are columns, since a city has 154 million of them; an `Offer` is made of them where somebody asks for one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from offchain.protocol.book_rules import (
    are_void,
    check_document,
    exact,
    greatest,
    leaf_outside_session,
    offer_penalties_ueur,
    request_cost_ueur,
    stated_co2_g_per_kwh,
)
from offchain.protocol.columns import positions_of
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import HASH_BYTES, as_words
from offchain.protocol.leaves import EFFECTIVENESS, OFFER, REQUEST
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.products import OfferStatus, Product, Side
from offchain.protocol.real_time import SoldPlaces
from offchain.protocol.terms import PodFacts, Reveal, SessionTerms
from oracles.clearing.core.book_kernels import fill_table, look_up

MOST_PERMILLE = 1000
NOT_VOID = 0
NO_POD = -1
Ints = npt.NDArray[np.integer[Any]]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer of the book. `counted_w`: as far as collateral lets it count. `cover_ueur`: collateral that its document
    needed up to and with this offer. `because`: of a void one, position + 1 in its document of the leaf that breaks a
    rule, its own or the one that voids the whole document; 0 where no leaf does (beyond its cap, not a document).
    `group`: of which at most one offer of its document is taken (0: none). `parent`: position of the offer without which
    it isn't taken. `co2_g_per_kwh`: what it states that it emits."""

    position: int
    commitment: int
    offer_position: int
    player: str
    pod: bytes
    slot: int
    product: Product
    power_w: int
    min_power_w: int
    price_ueur_per_kw: int
    salt: bytes
    leaf_hash: bytes
    counted_w: int
    cover_ueur: int
    void: OfferStatus | None
    because: int
    last_slot: int = 0
    duration_slots: int = 1
    group: int = 0
    parent: int | None = None
    co2_g_per_kwh: int | None = None

    @property
    def is_block(self) -> bool:
        """Of several slots, or of one to be chosen: the same power in each, for one request a slot."""
        return self.duration_slots > 1 or self.last_slot > self.slot

    @property
    def is_single(self) -> bool:
        """Neither a block nor bound to other offers."""
        return not (self.is_block or self.group or self.parent is not None)

    @property
    def is_divisible(self) -> bool:
        """A single offer of which any part may be taken."""
        return self.is_single and self.min_power_w == 0


OFFER_DTYPES = {
    "pod": np.int32,
    "slot": np.uint16,
    "last_slot": np.uint16,
    "duration_slots": np.uint16,
    "product": np.uint8,
    "power_w": np.uint32,
    "min_power_w": np.uint32,
    "price_ueur_per_kw": np.int64,
    "group": np.uint32,
    "linked_to": np.uint32,
    "counted_w": np.uint32,
    "void": np.uint8,
}
"""Of the columns of offers. Prices that fit take 32 bits in a city's book."""


@dataclass(frozen=True)
class OfferColumns:
    """The book's offers by position. One that is the same everywhere may be a broadcast value.

    `pod`: index into the book's PoDs (NO_POD in a void document). `linked_to`: position + 1 of the offer that it is linked
    to (0: none). `void`: its OfferStatus, or NOT_VOID.
    """

    pod: npt.NDArray[np.int32]
    slot: npt.NDArray[np.uint16]
    last_slot: npt.NDArray[np.uint16]
    duration_slots: npt.NDArray[np.uint16]
    product: npt.NDArray[np.uint8]
    power_w: npt.NDArray[np.uint32]
    min_power_w: npt.NDArray[np.uint32]
    price_ueur_per_kw: Ints
    group: npt.NDArray[np.uint32]
    linked_to: npt.NDArray[np.uint32]
    counted_w: npt.NDArray[np.uint32]
    void: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.pod)

    def are_blocks(self, rows: slice | Ints) -> npt.NDArray[np.bool_]:
        """Which of some offers are blocks."""
        out: npt.NDArray[np.bool_] = (self.duration_slots[rows] > 1) | (
            self.last_slot[rows] > self.slot[rows]
        )
        return out


class Effect(NamedTuple):
    """What a PoD's W relieve of an area, per mille; the position of the leaf that says so; and what moving a kW there costs in
    grid fees."""

    permille: int
    position: int
    grid_fee_ueur_per_kw: int


class Effectiveness(Mapping[bytes, Effect]):
    """The PoDs of an area, as columns: by PoD the leaf with the most per mille of the area's for it. `pod`: index into the book's
    PoDs, whose `names` are theirs. `grid_fee_ueur_per_kw`: empty where no PoD has one."""

    def __init__(
        self,
        names: Bytes,
        pod: npt.NDArray[np.int32],
        permille: npt.NDArray[np.int32],
        position: Ints,
        grid_fee_ueur_per_kw: npt.NDArray[np.int64],
    ) -> None:
        self._names, self.pod, self.permille, self.position = names, pod, permille, position
        self.grid_fee_ueur_per_kw = grid_fee_ueur_per_kw

    def __reduce__(self) -> tuple[Any, ...]:
        own = np.arange(len(self.pod), dtype=np.int32)
        said = (self.permille, self.position, self.grid_fee_ueur_per_kw)
        return Effectiveness, (self._names[self.pod], own, *said)

    @cached_property
    def _by_pod(self) -> dict[bytes, Effect]:
        fees = self.grid_fee_ueur_per_kw.tolist() or repeat(0)
        said = map(Effect, self.permille.tolist(), self.position.tolist(), fees)
        return dict(zip(_as_bytes(self._names[self.pod]), said, strict=True))

    def __getitem__(self, pod: bytes) -> Effect:
        return self._by_pod[pod]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._by_pod)

    def __len__(self) -> int:
        return len(self.pod)


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the book. `document`: its document's number. `counted_w`: relief in W at effectiveness 1000, as far as
    escrow covers it; `reserve_permille` of it is wanted as a reserve beyond it."""

    position: int
    document: int
    area: int
    player: str
    side: Side
    slot: int
    product: Product
    relief_w: int
    price_cap_ueur_per_kw: int
    element: bytes
    grid_model: bytes
    counted_w: int
    reserve_permille: int
    effectiveness: Effectiveness = field(repr=False)


@dataclass(frozen=True)
class OfferDocument:
    """A document of offers; without its leaves where it is void, `because` of which leaf (position + 1; 0: of none).
    `co2_g_per_kwh`: what each states that it emits; empty where none does."""

    reveal: Reveal
    leaves: LeafList | None
    because: int = 0
    co2_g_per_kwh: Sequence[int | None] = ()

    @property
    def part(self) -> slice:
        """Positions of its offers in the book."""
        return slice(self.reveal.first_position, self.reveal.first_position + self.reveal.leaf_count)


class PodTable(Mapping[bytes, PodFacts]):
    """The registry's PoDs in columns, so that a city's are looked up at once. `facts`: of one, by its index."""

    def __init__(
        self,
        names: Bytes,
        aggregators: Sequence[str],
        aggregator: Ints,
        limits_w: npt.NDArray[np.int64],
        products: Ints,
        facts: Callable[[int], PodFacts],
    ) -> None:
        self.names, self.limits_w, self.products = names, limits_w, products
        self._aggregators, self._aggregator, self._facts = aggregators, aggregator, facts

    @classmethod
    def of(cls, pods: Mapping[bytes, PodFacts]) -> "PodTable":
        """The table of a registry."""
        if isinstance(pods, cls):
            return pods
        facts = list(pods.values())
        aggregators = {name: number for number, name in enumerate({each.aggregator for each in facts})}
        limits_w = np.array(
            [[each.limit_w(product) for product in Product] for each in facts], dtype=np.int64
        ).reshape(-1, len(Product))
        return cls(
            np.frombuffer(b"".join(pods), dtype=np.uint8).reshape(-1, HASH_BYTES),
            list(aggregators),
            np.array([aggregators[each.aggregator] for each in facts], dtype=np.int32),
            limits_w,
            np.array([each.products for each in facts], dtype=np.int64),
            facts.__getitem__,
        )

    def are_of(self, player: str) -> npt.NDArray[np.bool_]:
        """Which PoDs may be offered by a player."""
        theirs = [number for number, name in enumerate(self._aggregators) if name.lower() == player.lower()]
        return np.isin(self._aggregator, theirs)

    @cached_property
    def _table(self) -> npt.NDArray[np.int32]:
        table = np.full(1 << max(4, (2 * len(self.names)).bit_length()), NO_POD, dtype=np.int32)
        fill_table(as_words(self.names), table)
        return table

    def indexes(self, names: Bytes) -> npt.NDArray[np.int32]:
        """Index of each name (n, 32), NO_POD where it isn't registered."""
        out = np.empty(len(names), dtype=np.int32)
        look_up(as_words(names), as_words(self.names), self._table, out)
        return out

    def __getitem__(self, pod: bytes) -> PodFacts:
        (index,) = self.indexes(np.frombuffer(pod, dtype=np.uint8).reshape(1, HASH_BYTES))
        if index == NO_POD:
            raise KeyError(pod)
        return self._facts(int(index))

    def __iter__(self) -> Iterator[bytes]:
        return iter(_as_bytes(self.names))

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, eq=False)
class Book:
    """All offers by position, and the requests by position (leaves of effectiveness have positions, too).

    `pods`: names of the PoDs that offers and requests name, (n, 32). `penalty_ueur_per_kw`: the session's.
    """

    columns: OfferColumns
    documents: tuple[OfferDocument, ...]
    requests: tuple[Request, ...]
    pods: Bytes
    penalty_ueur_per_kw: int
    void_documents: Mapping[int, str]
    """Documents that are void, by number, and why."""
    sold: SoldPlaces = field(default_factory=dict)
    """What the day-ahead result has sold of the PoDs already."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Book):
            return NotImplemented
        mine, theirs = list(self.offers), list(other.offers)
        return (mine, self.requests, self.void_documents, self.sold) == (
            theirs,
            other.requests,
            other.void_documents,
            other.sold,
        )

    @cached_property
    def offers(self) -> "Offers":
        """The offers as objects."""
        return Offers(self)

    @cached_property
    def cover_ueur(self) -> npt.NDArray[np.int64]:
        """Collateral that each offer's document needed up to and with it."""
        columns = self.columns
        out = np.zeros(len(columns), dtype=np.int64)
        for document in self.documents:
            if document.leaves is not None:
                part = document.part
                penalties = offer_penalties_ueur(
                    columns.power_w[part], columns.duration_slots[part], self.penalty_ueur_per_kw
                )
                counts = columns.void[part] != OfferStatus.VOID
                coverage_ueur = min(document.reveal.coverage_ueur, np.iinfo(out.dtype).max)
                out[part] = np.minimum(np.cumsum(penalties * counts), coverage_ueur)
        return out

    def leaves(self, positions: Ints) -> LeafList:
        """Leaves of offers whose documents aren't void, by rising position."""
        found = [
            {name: np.asarray(column[rows]) for name, column in document.leaves.columns.items()}
            for document, rows in self.by_document(positions)
            if document.leaves is not None
        ]
        if not found:
            return LeafList.of_rows(OFFER, [])
        return LeafList(OFFER, {name: np.concatenate([each[name] for each in found]) for name in found[0]})

    def by_document(self, positions: Ints) -> Iterator[tuple[OfferDocument, Ints]]:
        """Rows in each document of offers at rising positions."""
        for document in self.documents:
            part = document.part
            first, last = np.searchsorted(positions, [part.start, part.stop])
            if first < last:
                yield document, positions[first:last] - part.start


class Offers(Sequence[Offer]):
    """A book's offers, each made when it is first asked for."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._made: dict[int, Offer] = {}

    def __len__(self) -> int:
        return len(self._book.columns)

    @overload
    def __getitem__(self, position: int) -> Offer: ...
    @overload
    def __getitem__(self, position: slice) -> list[Offer]: ...
    def __getitem__(self, position: int | slice) -> Offer | list[Offer]:
        if isinstance(position, slice):
            return self.at(np.arange(len(self))[position])
        return self.at(np.array([range(len(self))[position]]))[0]

    def __iter__(self) -> Iterator[Offer]:
        return iter(self.at(np.arange(len(self))))

    def at(self, positions: Ints) -> list[Offer]:
        """The offers at rising positions."""
        wanted = positions.tolist()
        missing = [position for position in wanted if position not in self._made]
        if missing:
            self._make(np.array(missing, dtype=np.int64))
        return [self._made[position] for position in wanted]

    def _make(self, positions: Ints) -> None:
        book, columns = self._book, self._book.columns
        rows: dict[str, list[int]] = {
            name: getattr(columns, name)[positions].tolist() for name in OFFER_DTYPES
        }
        cover_ueur = book.cover_ueur[positions].tolist()
        salts = iter(_as_bytes(OfferSalts(book)[positions]))
        of_leaves = iter(_as_bytes(book.leaves(positions).leaf_hashes))
        index = 0
        for document, in_document in book.by_document(positions):
            for row in in_document.tolist():
                void = OfferStatus(rows["void"][index]) if rows["void"][index] != NOT_VOID else None
                because = row + 1 if void is OfferStatus.VOID else 0
                pod, linked_to = rows["pod"][index], rows["linked_to"][index]
                self._made[document.reveal.first_position + row] = Offer(
                    position=document.reveal.first_position + row,
                    commitment=document.reveal.commitment,
                    offer_position=row,
                    player=document.reveal.player,
                    pod=bytes(HASH_BYTES) if pod == NO_POD else book.pods[pod].tobytes(),
                    slot=rows["slot"][index],
                    product=Product(rows["product"][index]),
                    power_w=rows["power_w"][index],
                    min_power_w=rows["min_power_w"][index],
                    price_ueur_per_kw=rows["price_ueur_per_kw"][index],
                    salt=next(salts),
                    leaf_hash=bytes(HASH_BYTES) if document.leaves is None else next(of_leaves),
                    counted_w=rows["counted_w"][index],
                    cover_ueur=cover_ueur[index],
                    void=void,
                    because=document.because if document.leaves is None else because,
                    last_slot=rows["last_slot"][index],
                    duration_slots=rows["duration_slots"][index],
                    group=rows["group"][index],
                    parent=linked_to - 1 if linked_to else None,
                    co2_g_per_kwh=document.co2_g_per_kwh[row] if document.co2_g_per_kwh else None,
                )
                index += 1


@dataclass(frozen=True)
class OfferSalts:
    """Column of the salts of a book's offers; zeros in void documents."""

    book: Book

    def __len__(self) -> int:
        return len(self.book.columns)

    def __getitem__(self, rows: slice | Ints, /) -> Bytes:
        positions = positions_of(rows, len(self))
        by_position = np.argsort(positions, kind="stable")
        out = np.zeros((len(positions), HASH_BYTES), dtype=np.uint8)
        first = 0
        for document, in_document in self.book.by_document(positions[by_position]):
            last = first + len(in_document)
            if document.leaves is not None:
                out[by_position[first:last]] = document.leaves.columns["salt"][in_document]
            first = last
        return out


def within_cap(offer: Offer, request: Request) -> bool:
    """Whether a request bears as much as an offer of one of its PoDs costs."""
    permille = request.effectiveness[offer.pod].permille
    return delivered_ueur_per_kw(offer, request) * 1000 <= request.price_cap_ueur_per_kw * permille


def delivered_ueur_per_kw(offer: Offer, request: Request) -> int:
    """The delivered price of an offer of one of a request's PoDs: what it asks, and what moving a kW there costs in grid fees."""
    return offer.price_ueur_per_kw + request.effectiveness[offer.pod].grid_fee_ueur_per_kw


def assemble(
    documents: Iterable[tuple[Reveal, ListDocument | None]],
    pods: Mapping[bytes, PodFacts],
    terms: SessionTerms,
    sold: SoldPlaces | None = None,
) -> Book:
    """The book of the available documents.

    `documents` in any order, None where one can't be read; `pods` is the registry at the gate; `sold`: what the day-ahead
    result has sold already. No document is an error for the others. Raises InvalidInput where the documents' first
    positions don't follow each other: one is missing.
    """
    registry, names = PodTable.of(pods), Names(PodTable.of(pods))
    parts: list[dict[str, npt.NDArray[Any]]] = []
    of_offers: list[OfferDocument] = []
    of_requests: list[Callable[[Bytes], list[Request]]] = []
    void: dict[int, str] = {}
    length = {True: 0, False: 0}
    for reveal, document in sorted(documents, key=lambda entry: entry[0].commitment):
        is_of_offers = reveal.side is Side.OFFER
        if reveal.first_position != length[is_of_offers]:
            rule = f"the documents before it end at {length[is_of_offers]}"
            raise InvalidInput(f"document {reveal.commitment}: first_position", reveal.first_position, rule)
        length[is_of_offers] += reveal.leaf_count
        problem = _problem(document, reveal, terms)
        if problem is not None:
            void[reveal.commitment] = problem
        if document is None or problem is not None:
            if is_of_offers:
                of_offers.append(OfferDocument(reveal, None, _because(document, reveal, terms)))
                parts.append(_void_columns(reveal.leaf_count))
        elif is_of_offers:
            leaves = document.list_of(OFFER)
            of_offers.append(OfferDocument(reveal, leaves, co2_g_per_kwh=_stated_co2(document)))
            parts.append(_offer_columns(reveal, leaves, registry, names, terms))
        else:
            of_requests.append(requests_of(reveal, document, names))
    columns = {
        name: np.concatenate([np.zeros(0, dtype), *(part[name] for part in parts)])
        for name, dtype in OFFER_DTYPES.items()
    }
    requests = [request for each in of_requests for request in each(names.all)]
    return Book(
        OfferColumns(**columns),
        tuple(of_offers),
        tuple(requests),
        names.all,
        terms.penaltyUeurPerKw,
        void,
        sold or {},
    )


class Names:
    """Indexes of the PoDs that a book names: the registry's, then those that only documents name."""

    def __init__(self, registry: PodTable) -> None:
        self._registry = registry
        self._others: dict[bytes, int] = {}

    def indexes(self, names: Bytes) -> npt.NDArray[np.int32]:
        """Index of each name (n, 32); new ones get the next."""
        out = self._registry.indexes(names)
        unknown = np.flatnonzero(out == NO_POD)
        for row, name in zip(unknown.tolist(), _as_bytes(names[unknown]), strict=True):
            out[row] = self._others.setdefault(name, len(self._registry) + len(self._others))
        return out

    @property
    def all(self) -> Bytes:
        """The names by index."""
        others = np.frombuffer(b"".join(self._others), dtype=np.uint8).reshape(-1, HASH_BYTES)
        return np.concatenate([self._registry.names, others]) if len(others) else self._registry.names


def _because(document: ListDocument | None, reveal: Reveal, terms: SessionTerms) -> int:
    """Position + 1 of the leaf that voids a whole document of offers, 0 if no leaf does."""
    if document is None or document.leaf_count != reveal.leaf_count or document.lists[0].kind is not OFFER:
        return 0
    outside = leaf_outside_session(document, terms)
    return 0 if outside is None else outside + 1


def _stated_co2(document: ListDocument) -> Sequence[int | None]:
    """By offer; a statement that isn't one says nothing, and voids no offer."""
    try:
        return stated_co2_g_per_kwh(document)
    except InvalidInput:
        return ()


def _void_columns(count: int) -> dict[str, npt.NDArray[Any]]:
    out = {name: np.zeros(count, dtype) for name, dtype in OFFER_DTYPES.items()}
    out["pod"][:], out["duration_slots"][:], out["void"][:] = NO_POD, 1, OfferStatus.VOID
    return out


def _offer_columns(
    reveal: Reveal, leaves: LeafList, registry: PodTable, names: Names, terms: SessionTerms
) -> dict[str, npt.NDArray[Any]]:
    said = {name: column[:] for name, column in leaves.columns.items()}
    pod = names.indexes(said["pod"])
    registered = np.where(pod < len(registry), pod, 0)
    if len(registry):
        is_players = registry.are_of(reveal.player)[registered] & (pod < len(registry))
        products = registry.products[registered]
        limit_w = registry.limits_w[registered, said["product"]]
    else:
        is_players, products, limit_w = np.zeros(len(pod), dtype=bool), registered, registered
    is_void = are_void(said, is_players, products, limit_w, terms)
    counted_w = _counted_w(reveal, leaves, is_void, terms.penaltyUeurPerKw)
    uncovered = ~is_void & (counted_w < np.maximum(said["minPowerW"].astype(np.int64), 1))
    linked_to = said["linkedTo"].astype(np.int64)
    out = {
        "pod": pod,
        "slot": said["slot"],
        "last_slot": said["lastSlot"],
        "duration_slots": said["durationSlots"],
        "product": said["product"],
        "power_w": said["powerW"],
        "min_power_w": said["minPowerW"],
        "price_ueur_per_kw": said["priceUeurPerKw"],
        "group": said["exclusiveGroup"],
        "linked_to": np.where((linked_to > 0) & ~is_void, reveal.first_position + linked_to, 0),
        "counted_w": np.where(uncovered, 0, counted_w),
        "void": np.where(is_void, OfferStatus.VOID, np.where(uncovered, OfferStatus.UNCOVERED, NOT_VOID)),
    }
    return {name: np.asarray(out[name]).astype(dtype) for name, dtype in OFFER_DTYPES.items()}


def _counted_w(
    reveal: Reveal, leaves: LeafList, is_void: npt.NDArray[np.bool_], penalty_ueur_per_kw: int
) -> npt.NDArray[np.int64]:
    """What of each offer collateral covers, in order of position: the last that it reaches counts in part."""
    power_w, duration = leaves.columns["powerW"][:], leaves.columns["durationSlots"][:]
    penalties = offer_penalties_ueur(power_w, duration, penalty_ueur_per_kw) * ~is_void
    most = max(int(penalties.sum()), reveal.coverage_ueur) * 1000
    penalties = exact(penalties, most)
    left_ueur = np.maximum(reveal.coverage_ueur - (np.cumsum(penalties) - penalties), 0)
    rate = np.maximum(exact(duration, greatest(duration) * penalty_ueur_per_kw) * penalty_ueur_per_kw, 1)
    partly = left_ueur * 1000 // rate
    counted_w = np.where(penalties <= left_ueur, power_w.astype(np.int64), partly)
    return np.where(is_void, 0, counted_w).astype(np.int64)


def _problem(document: ListDocument | None, reveal: Reveal, terms: SessionTerms) -> str | None:
    if document is None:
        return "its bytes aren't a document with the revealed root"
    if document.leaf_count != reveal.leaf_count:
        return f"has {document.leaf_count} leaves, not the {reveal.leaf_count} revealed"
    try:
        check_document(document, reveal.side, reveal.player, reveal.cap_ueur, terms)
    except InvalidInput as refusal:
        return str(refusal)
    return None


def requests_of(reveal: Reveal, document: ListDocument, names: Names) -> Callable[[Bytes], list[Request]]:
    """A document's requests, to be given the names of all PoDs of the book.

    An area's PoDs stand in order of their first leaf that counts: above 1000 one says nothing. Of several the most counts:
    they state one grid fee (see `check_document`), so no other of them makes an offer cheaper.
    """
    said = {name: column[:] for name, column in document.list_of(EFFECTIVENESS).columns.items()}
    permille = said["effectivenessPermille"].astype(np.int32)
    rows = np.flatnonzero((permille > 0) & (permille <= MOST_PERMILLE))
    area, pod = said["area"][rows].astype(np.int64), names.indexes(said["pod"])[rows]
    permille, position = permille[rows], said["position"][rows].astype(np.int64) + reveal.first_position
    fee = said["gridFeeUeurPerKw"][rows].astype(np.int64)
    fee = fee if fee.any() else fee[:0]
    by_place = np.lexsort((position, -permille, pod, area))
    is_best = np.ones(len(rows), dtype=bool)
    is_best[1:] = (np.diff(area[by_place]) != 0) | (np.diff(pod[by_place]) != 0)
    best, starts = by_place[is_best], np.flatnonzero(is_best)
    first_named = np.minimum.reduceat(by_place, starts) if len(rows) else best
    best = best[np.lexsort((first_named, area[best]))]
    areas, firsts = np.unique(area[best], return_index=True)
    of_areas = np.split(best, firsts[1:]) if len(rows) else []

    def named(all_names: Bytes) -> list[Request]:
        by_area = {
            number: Effectiveness(
                all_names, pod[each], permille[each], position[each], fee[each] if len(fee) else fee
            )
            for number, each in zip(areas.tolist(), of_areas, strict=True)
        }
        return _requests(reveal, document, by_area)

    return named


def _requests(reveal: Reveal, document: ListDocument, by_area: Mapping[int, Effectiveness]) -> list[Request]:
    first = reveal.first_position
    nobody = Effectiveness(
        np.zeros((0, HASH_BYTES), np.uint8),
        np.zeros(0, np.int32),
        np.zeros(0, np.int32),
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
    )
    needs = document.list_of(REQUEST)
    names = ("position", "area", "slot", "product", "reliefW", "priceCapUeurPerKw", "reservePermille")
    integers = zip(*(needs.integers(name) for name in names), strict=True)
    words = zip(needs.words("element"), needs.words("gridModel"), strict=True)
    left_ueur = reveal.coverage_ueur
    out = []
    for (position, area, slot, product, relief_w, cap, reserve), (element, model) in zip(
        integers, words, strict=True
    ):
        counted_w = _covered_relief_w(relief_w, cap, reserve, left_ueur)
        left_ueur -= request_cost_ueur(counted_w, cap, reserve)
        out.append(
            Request(
                position=first + position,
                document=reveal.commitment,
                area=area,
                player=reveal.player,
                side=reveal.side,
                slot=slot,
                product=Product(product),
                relief_w=relief_w,
                price_cap_ueur_per_kw=cap,
                element=element,
                grid_model=model,
                counted_w=counted_w,
                reserve_permille=reserve,
                effectiveness=by_area.get(area, nobody),
            )
        )
    return out


def _covered_relief_w(relief_w: int, cap: int, reserve_permille: int, left_ueur: int) -> int:
    if request_cost_ueur(relief_w, cap, reserve_permille) <= left_ueur:
        return relief_w
    return left_ueur * 1_000_000 // (cap * (1000 + reserve_permille))


def _as_bytes(rows: Bytes) -> list[bytes]:
    raw, width = rows.tobytes(), rows.shape[1]
    return [raw[index * width : (index + 1) * width] for index in range(len(rows))]
