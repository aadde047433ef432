"""A synthetic city after the reference in design.md, as a session's book in columns: 1.6 million PoDs in 13,238 secondary and
70 primary substations, each PoD with an offer in every slot.

`city_of(CitySize())` gives the book as `assemble` would make it of `City.documents`, without holding those: pseudonyms
and salts of leaves are columns that are reckoned when rows of them are asked for (`Computed`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import EFFECTIVENESS, OFFER, REQUEST
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.products import OfferStatus, Product, Side
from offchain.protocol.terms import PodFacts, Reveal, SessionTerms
from oracles.clearing.core.assembly import requests_of
from oracles.clearing.core.book import NOT_VOID, Book, OfferColumns, OfferDocument
from oracles.clearing.core.pod_table import Names, PodTable
from tests.oracles.clearing.books import DSO, TERMS, TSO

PRICE_TICK_UEUR = 25
"""0.1 € per MWh."""
PODS_AT_ONCE = 20_000
NOON, EVENING = range(40, 64), range(68, 88)
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class CitySize:
    """How large a city is, and the seed of its random numbers. Slots are a day's, `aggregators` have a document each."""

    pods: int = 1_600_000
    secondary: int = 13_238
    primary: int = 70
    aggregators: int = 20
    seed: int = 1


class Computed:
    """A column of words whose rows are reckoned when they are asked for: slices and arrays of rows give arrays."""

    dtype = np.dtype(np.uint8)

    def __init__(self, count: int, words: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.uint8]]) -> None:
        self.shape = (count, 32)
        self._words = words

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | Array | int) -> npt.NDArray[np.uint8]:
        if isinstance(rows, slice):
            return self._words(np.arange(*rows.indices(len(self))))
        if isinstance(rows, np.ndarray):
            return self._words(np.arange(len(self))[rows] if rows.dtype == bool else rows.astype(np.int64))
        return self._words(np.array([rows]))[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[np.uint8]:
        return self[:]


@dataclass(frozen=True)
class City:
    """A city's session. `documents`: the offers' and requests', as they were committed to."""

    book: Book
    pods: PodTable
    documents: tuple[tuple[Reveal, ListDocument], ...]
    terms: SessionTerms
    seed: bytes


def words_of(numbers: npt.NDArray[np.int64], kind: int) -> npt.NDArray[np.uint8]:
    """A word of 32 bytes by number and kind of thing, as good as random (splitmix64)."""
    x = numbers.astype(np.uint64)[:, None] * np.uint64(4) + np.arange(4, dtype=np.uint64)
    x = (x + np.uint64(kind) * np.uint64(2**40)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return (x ^ (x >> np.uint64(31))).view(np.uint8).reshape(-1, 32)


POD, SALT_OF_OFFER, SALT_OF_REQUEST, ELEMENT = range(4)


def city_of(size: CitySize = CitySize()) -> City:
    """The city of a size and seed: always the same."""
    chance = np.random.default_rng(size.seed)
    pods = _registry(size, chance)
    owner = pods.owner
    order = np.argsort(owner, kind="stable").astype(np.int32)
    counts = np.bincount(owner, minlength=size.aggregators)
    requests = _request_documents(size, pods, chance)
    names = Names(pods)
    of_requests = [requests_of(reveal, document, names) for reveal, document in requests]
    made = _offers(size, order, pods, chance)
    documents = _offer_documents(size, made, pods, counts)
    book = Book(
        columns=made,
        documents=tuple(OfferDocument(reveal, document.lists[0]) for reveal, document in documents),
        requests=tuple(request for each in of_requests for request in each(pods.names)),
        pods=pods.names,
        penalty_ueur_per_kw=TERMS.penaltyUeurPerKw,
        void_documents={},
    )
    return City(book, pods, (*requests, *documents), TERMS, keccak256(b"city"))


class CityPods(PodTable):
    """The city's registry. By PoD: `owner`, the aggregator's number; `secondary`, `primary`, its substations."""

    def __init__(self, size: CitySize, owner: Array, limit_w: Array, products: Array) -> None:
        aggregators = [f"0x{0xA0 + number:040x}" for number in range(size.aggregators)]
        super().__init__(
            words_of(np.arange(size.pods), POD),
            aggregators,
            owner,
            np.repeat(limit_w[:, None], len(Product), axis=1),
            products,
            self._facts_of,
        )
        self.owner, self.aggregators = owner, aggregators
        self.secondary = np.arange(size.pods) * size.secondary // size.pods
        self.primary = self.secondary * size.primary // size.secondary

    def _facts_of(self, index: int) -> PodFacts:
        limits_w = [int(limit_w) for limit_w in self.limits_w[index]]
        address = f"0x{index:040x}"
        return PodFacts(
            self.aggregators[self.owner[index]],
            address,
            address,
            address,
            *limits_w,
            int(self.products[index]),
        )


def _registry(size: CitySize, chance: np.random.Generator) -> CityPods:
    owner = chance.integers(0, size.aggregators, size.pods, dtype=np.int32)
    limit_w = chance.integers(1, 13, size.pods, dtype=np.int64) * 1000
    return CityPods(size, owner, limit_w, np.full(size.pods, 0b1111))


def _offers(size: CitySize, order: Array, pods: CityPods, chance: np.random.Generator) -> OfferColumns:
    """PoDs in order of aggregator, each with its offers of all slots: down at noon where it has photovoltaics, else up.

    One offer in 256 is of no power, and void. All others count in full: the columns of both may be one.
    """
    slots = TERMS.slots
    count = size.pods * slots
    power_w, price = np.empty(count, np.uint32), np.empty(count, np.uint32)
    product, void = np.empty(count, np.uint8), np.empty(count, np.uint8)
    slot = np.arange(slots)
    at_noon = (slot >= NOON.start) & (slot < NOON.stop)
    share = 40 + 60 * np.abs(np.sin(slot * np.pi / slots))
    for first in range(0, size.pods, PODS_AT_ONCE):
        some = order[first : first + PODS_AT_ONCE]
        rows = slice(first * slots, (first + len(some)) * slots)
        usual_w = pods.limits_w[some, 0] * chance.integers(10, 100, len(some)) // 100
        usual_price = chance.integers(800, 4800, len(some))
        wobble = chance.integers(-160, 161, (len(some), slots))
        counts = chance.integers(0, 256, (len(some), slots), dtype=np.uint8) > 0
        power_w[rows] = (np.maximum(usual_w[:, None] * share // 100, 1) * counts).ravel()
        price[rows] = ((usual_price[:, None] + wobble) * PRICE_TICK_UEUR).ravel()
        product[rows] = ((some[:, None] % 3 == 0) & at_noon).ravel()
        void[rows] = np.where(counts, NOT_VOID, OfferStatus.VOID).ravel()
    none = np.zeros(1, np.uint32)
    offers = OfferColumns(
        pod=np.repeat(order, slots),
        slot=np.tile(slot.astype(np.uint16), size.pods),
        last_slot=np.broadcast_to(np.zeros(1, np.uint16), count),
        duration_slots=np.broadcast_to(np.ones(1, np.uint16), count),
        product=product,
        power_w=power_w,
        min_power_w=np.broadcast_to(none, count),
        price_ueur_per_kw=price,
        group=np.broadcast_to(none, count),
        linked_to=np.broadcast_to(none, count),
        counted_w=power_w,
        void=void,
    )
    return replace(offers, last_slot=offers.slot)


def _offer_documents(
    size: CitySize, made: OfferColumns, pods: CityPods, counts: Array
) -> list[tuple[Reveal, ListDocument]]:
    slots, first = TERMS.slots, 0
    documents = []
    numbers = np.arange(int(counts.max()) * slots, dtype=np.uint32)
    for number, count in enumerate((counts * slots).tolist()):
        part = slice(first, first + count)
        columns = {
            "position": numbers[:count],
            "length": np.broadcast_to(np.uint32(count), count),
            "pod": Computed(count, lambda rows, part=part: pods.names[made.pod[part][rows]]),
            "slot": made.slot[part],
            "lastSlot": made.last_slot[part],
            "durationSlots": made.duration_slots[part],
            "product": made.product[part],
            "powerW": made.power_w[part],
            "minPowerW": made.min_power_w[part],
            "priceUeurPerKw": made.price_ueur_per_kw[part],
            "exclusiveGroup": made.group[part],
            "linkedTo": made.linked_to[part],
            "options": np.broadcast_to(np.uint8(0), count),
            "payback": np.broadcast_to(np.uint8(0), (count, 32)),
            "salt": Computed(count, lambda rows, first=first: words_of(rows + first, SALT_OF_OFFER)),
        }
        player = pods.aggregators[number]
        document = ListDocument(TERMS.session, player, (LeafList(OFFER, columns),))
        reveal = Reveal(number + 3, player, Side.OFFER, count, first, 2**53 - 1, 2**53 - 1)
        documents.append((reveal, document))
        first += count
    return documents


def _request_documents(
    size: CitySize, pods: CityPods, chance: np.random.Generator
) -> list[tuple[Reveal, ListDocument]]:
    """DSO: each secondary substation in a peak of three hours, one in five down at noon, and each primary one for half a day;
    TSO: each primary substation in all slots."""
    effects = chance.integers(70, 101, size.pods) * 10
    permille = [effects, effects * 9 // 10, np.full(size.pods, 1000)]
    places = [pods.secondary, size.secondary + pods.primary, pods.primary]
    at_secondary = [
        (number, NOON.start + number % 8, NOON.start + number % 8 + 12, Product.ACTIVE_DOWN)
        if number % 5 == 0
        else (number, EVENING.start + number % 8, EVENING.start + number % 8 + 12, Product.ACTIVE_UP)
        for number in range(size.secondary)
    ]
    at_primary = [(size.secondary + number, 44, 92, Product.ACTIVE_UP) for number in range(size.primary)]
    for_tso = [(number, 0, TERMS.slots, Product.ACTIVE_UP) for number in range(size.primary)]
    of_secondary_w, of_primary_w = size.pods / size.secondary * 500, size.pods / size.primary * 60
    relief_w = {True: of_secondary_w, False: of_primary_w}
    out, first = [], 0
    for number, (player, side, areas, kinds) in enumerate(
        ((DSO, Side.DSO_REQUEST, at_secondary + at_primary, (0, 1)), (TSO, Side.TSO_REQUEST, for_tso, (2,))),
        1,
    ):
        needs = np.array([(a, slot, p) for a, start, stop, p in areas for slot in range(start, stop)])
        named = np.concatenate([np.arange(size.pods) for _ in kinds])
        is_small = (needs[:, 0] < size.secondary) & (side is Side.DSO_REQUEST)
        length = len(needs) + len(named)

        def salts(count: int, first: int) -> Computed:
            return Computed(count, lambda rows: words_of(rows + first, SALT_OF_REQUEST))

        requests = {
            "position": np.arange(len(needs)),
            "area": needs[:, 0],
            "slot": needs[:, 1],
            "product": needs[:, 2],
            "reliefW": np.where(is_small, relief_w[True], relief_w[False]).astype(np.int64)
            * (80 + needs[:, 0] % 40)
            // 100,
            "priceCapUeurPerKw": np.where(is_small, 100_000, 90_000),
            "reservePermille": np.zeros(len(needs), np.int64),
            "availabilityPriceUeurPerKw": np.zeros(len(needs), np.int64),
            "element": words_of(needs[:, 0], ELEMENT),
            "gridModel": words_of(np.zeros(len(needs), np.int64), ELEMENT),
            "salt": salts(len(needs), first),
        }
        effectiveness = {
            "position": np.arange(len(needs), length),
            "area": np.concatenate([places[kind] for kind in kinds]),
            "pod": Computed(len(named), lambda rows, named=named: pods.names[named[rows]]),
            "effectivenessPermille": np.concatenate([permille[kind] for kind in kinds]),
            "gridFeeUeurPerKw": np.broadcast_to(np.int64(0), len(named)),
            "salt": salts(len(named), first + len(needs)),
        }
        lists = []
        for kind, columns in ((REQUEST, requests), (EFFECTIVENESS, effectiveness)):
            lengths = np.broadcast_to(np.int64(length), len(columns["position"]))
            lists.append(LeafList(kind, {**columns, "length": lengths}))
        reveal = Reveal(number, player, side, length, first, 2**53 - 1, 2**53 - 1)
        out.append((reveal, ListDocument(TERMS.session, player, tuple(lists))))
        first += length
    return out
