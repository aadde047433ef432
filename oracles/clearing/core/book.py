"""The book of a session: its available documents in order of their numbers, as offers and requests with positions.

A position of the book counts over the documents of one side (offers; requests of DSO and TSO together): documents in
order of number, then the leaf's position in its document; the chain gives each its first. A document that breaks its
cap, or doesn't hold what its side holds, is void at its player's cost: its positions stay, its leaves count for nothing.

Offers are columns, since a city has 154 million of them; an `Offer` is made of them where somebody asks for one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from offchain.protocol.book_rules import offer_penalties_ueur
from offchain.protocol.columns import positions_of
from offchain.protocol.keccak import HASH_BYTES
from offchain.protocol.leaves import OFFER
from offchain.protocol.lists import LeafList
from offchain.protocol.products import OfferStatus, Product, Side
from offchain.protocol.real_time import SoldPlaces
from offchain.protocol.terms import Reveal
from oracles.clearing.core.pod_table import NO_POD, Bytes, Ints, as_bytes

NOT_VOID = 0


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
        return dict(zip(as_bytes(self._names[self.pod]), said, strict=True))

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
        salts = iter(as_bytes(OfferSalts(book)[positions]))
        of_leaves = iter(as_bytes(book.leaves(positions).leaf_hashes))
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
