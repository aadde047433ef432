"""A book in parts that have nothing to do with each other, so that each is cleared by itself, anywhere.

Requests of one slot belong together if PoDs relieve both; offers that aren't plain bind all requests that they may serve,
and those that they are bound to by group or link. What holds only plain offers goes to `plain.py`, in parts of about
`OFFERS_A_PART`; the rest offer by offer (`price_priority.py`), so that a village's block doesn't slow down the city.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from offchain.protocol.products import Product, Side
from offchain.protocol.terms import PodFacts
from oracles.clearing.core.book import NOT_VOID, Book, Effectiveness, Offer, Request
from oracles.clearing.core.part_kernels import (
    connect,
    find_not_plain,
    find_runs,
    nodes_of_offers,
    pairs_of_pods,
    sort_by,
)
from oracles.clearing.core.plain import NOTHING, Grid, PlainOffers, PlainPart
from oracles.clearing.core.plain_kernels import MOST_KEYED_UEUR
from oracles.clearing.core.pod_table import PodTable
from oracles.clearing.core.state import areas_of
from oracles.parallel import in_threads

OFFERS_A_PART = 500_000
MOST_CUTS = 8
"""Parts that a part of very many offers is cut into, by slots: each looks at all of its offers."""
OFFERS_AT_ONCE = 4_000_000
NO_ROWS: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Extract:
    """Offers and areas of a part of a book that nothing binds to the rest, not all of them plain; in order of position, and of
    service."""

    offers: Sequence[Offer]
    areas: Sequence[Sequence[Request]]
    pods: Mapping[bytes, PodFacts]
    seed: bytes

    @property
    def requests(self) -> list[Request]:
        """All of its requests."""
        return [request for area in self.areas for request in area]


class BookIndex:
    """Where in a book the offers of each PoD and the areas of each offer are."""

    def __init__(self, book: Book, pods: Mapping[bytes, PodFacts]) -> None:
        self.book = book
        self.table = PodTable.of(pods)
        self.areas = areas_of(book.requests)
        self._find_areas()
        self._find_runs()

    def _find_areas(self) -> None:
        effects: dict[int, Effectiveness] = {}
        number: dict[int, int] = {}
        for area in self.areas:
            effects.setdefault(id(area[0].effectiveness), area[0].effectiveness)
        number = {each: index for index, each in enumerate(effects)}
        index_of = {request.position: index for index, request in enumerate(self.book.requests)}
        requests = [request for area in self.areas for request in area]
        sizes = np.array([len(each) for each in effects.values()], dtype=np.int64)
        self.request = np.array([index_of[each.position] for each in requests], dtype=np.int32)
        counts = np.array([each.counted_w > 0 for each in requests], dtype=bool)
        cap = np.array([each.price_cap_ueur_per_kw for each in requests], dtype=np.int64)
        self.is_costly = counts & (cap > MOST_KEYED_UEUR)
        self.grid = Grid(
            area_effect=np.array([number[id(area[0].effectiveness)] for area in self.areas], dtype=np.int64),
            area_product=np.array([area[0].product for area in self.areas], dtype=np.int64),
            area_is_dso=np.array([area[0].side is Side.DSO_REQUEST for area in self.areas], dtype=bool),
            area_first=ends([len(area) for area in self.areas]),
            request_slot=np.array([each.slot for each in requests], dtype=np.int64),
            request_cap=np.where(counts, cap, -1),
            needed=np.array([each.counted_w * 1000 for each in requests], dtype=np.int64),
            effect_first=ends(sizes),
            effect_pod=_joined([each.pod for each in effects.values()], np.int32),
            effect_permille=_joined([each.permille for each in effects.values()], np.int16),
            effect_fee=_fees(effects.values()),
        )
        self.slots = 1 + max(
            int(self.grid.request_slot.max(initial=0)), int(self.book.columns.slot.max(initial=0))
        )
        pods = len(self.book.pods)
        self.pod_first = np.zeros(pods + 1, dtype=np.int64)
        order = np.empty(len(self.grid.effect_pod), dtype=np.int64)
        sort_by(self.grid.effect_pod, NOTHING, self.pod_first, order)
        self.pod_effect = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[order]
        self.pod_permille = self.grid.effect_permille[order]
        self.pod_fee = self.grid.effect_fee[order] if len(self.grid.effect_fee) else self.grid.effect_fee

    def _find_runs(self) -> None:
        columns, pods = self.book.columns, len(self.book.pods)
        self.run_first = np.zeros(pods, dtype=np.int64)
        self.run_last = np.zeros(pods, dtype=np.int64)
        self.order = np.zeros(0, dtype=np.uint32)
        if not find_runs(columns.pod, columns.void, self.run_first, self.run_last):
            first = np.zeros(pods + 1, dtype=np.int64)
            self.order = np.empty(len(columns), dtype=np.uint32)
            sort_by(columns.pod, columns.void, first, self.order)
            self.run_first, self.run_last = first[:-1], first[1:]

    @cached_property
    def limit_w(self) -> npt.NDArray[np.int64]:
        """Most that each PoD can give of each product."""
        if self.table.names is self.book.pods:
            return self.table.limits_w
        found = self.table.indexes(self.book.pods)
        limits_w = np.zeros((len(found), len(Product)), dtype=np.int64)
        limits_w[found >= 0] = self.table.limits_w[found[found >= 0]]
        return limits_w

    @cached_property
    def is_present(self) -> Array:
        """Whether an area (by number of its PoDs) has a request that counts in a slot."""
        out = np.zeros((len(self.grid.effect_first) - 1, self.slots), dtype=bool)
        counts = self.grid.request_cap >= 0
        out[self.request_effect[counts], self.grid.request_slot[counts]] = True
        return out

    @cached_property
    def request_effect(self) -> Array:
        """Number of each request's PoDs."""
        return np.repeat(self.grid.area_effect, np.diff(self.grid.area_first))

    @cached_property
    def request_area(self) -> Array:
        """Number of each request's area."""
        return np.repeat(np.arange(len(self.areas)), np.diff(self.grid.area_first))

    @cached_property
    def pairs(self) -> Array:
        """Pairs of areas' PoDs that share one."""
        empty = np.zeros((0, 2), dtype=np.int64)
        count = pairs_of_pods(self.pod_first, self.pod_effect, empty)
        if not count:
            return empty
        out = np.empty((count, 2), dtype=np.int64)
        pairs_of_pods(self.pod_first, self.pod_effect, out)
        return np.unique(out, axis=0)

    def nodes_of(self, positions: Array) -> Array:
        """Pairs (index in positions, node) of offers and the nodes that they may serve; a node is an area in a slot."""
        columns = self.book.columns
        found: Array = np.zeros((0, 2), dtype=np.int64)
        for _ in range(2):
            room = nodes_of_offers(
                positions, columns.pod, columns.slot, columns.last_slot, columns.duration_slots, self.pod_first,
                self.pod_effect, self.is_present, found,
            )  # fmt: skip
            if len(found) == room:
                break
            found = np.empty((room, 2), dtype=np.int64)
        return found


def parts_of(
    index: BookIndex, pods: Mapping[bytes, PodFacts], seed: bytes
) -> tuple[list[Extract], Iterator[PlainPart]]:
    """The parts of a book, those of plain offers made one after the other."""
    part_of_node = _bound_parts(index)
    is_plain = index.grid.request_cap >= 0
    if not part_of_node:
        return [], _plain_parts(index, is_plain, seed)
    bound_request = np.isin(_node_of_requests(index), list(part_of_node))
    extracts = _extracts(index, part_of_node, pods, seed)
    return extracts, _plain_parts(index, is_plain & ~bound_request, seed)


def _node_of_requests(index: BookIndex) -> Array:
    return index.request_effect * index.slots + index.grid.request_slot


def _bound_parts(index: BookIndex) -> dict[int, int]:
    """By node that isn't plain the number of its part."""
    bound = _not_plain(index.book)
    may_overflow = _may_overflow(index.book)
    if not (len(bound) or may_overflow or index.is_costly.any()):
        return {}
    linked = index.book.columns.linked_to[bound].astype(np.int64) - 1
    positions = np.unique(np.concatenate([bound, linked[linked >= 0]]))
    reached = index.nodes_of(positions)
    costly = _node_of_requests(index)[index.is_costly]
    if may_overflow:
        costly = np.flatnonzero(index.is_present.ravel())
    if not len(reached) and not len(costly):
        return {}
    nodes = index.is_present.size
    of_bound = np.searchsorted(positions, bound)
    columns = index.book.columns
    group = columns.group[bound].astype(np.int64)
    document = np.searchsorted([each.reveal.first_position for each in index.book.documents], bound, "right")
    of_group = np.unique(np.stack([document, group], axis=1), axis=0, return_inverse=True)[1].ravel()
    edges = [
        (reached[:, 0] + nodes, reached[:, 1]),
        (of_bound[group > 0] + nodes, of_group[group > 0] + nodes + len(positions)),
        (of_bound[linked >= 0] + nodes, np.searchsorted(positions, linked[linked >= 0]) + nodes),
        _edges_of_pairs(index),
    ]
    total = nodes + len(positions) + len(bound)
    a, b = (np.concatenate([edge[end] for edge in edges]) for end in range(2))
    label = np.arange(total)
    connect(a, b, label)
    present = np.flatnonzero(index.is_present.ravel())
    is_bound = np.isin(label[present], np.concatenate([label[reached[:, 1]], label[costly]]))
    return dict(zip(present[is_bound].tolist(), label[present[is_bound]].tolist(), strict=True))


def _not_plain(book: Book) -> Array:
    """Positions of offers that aren't divisible single ones."""
    columns = book.columns

    def find(first: int) -> Array:
        some, out = slice(first, first + OFFERS_AT_ONCE), NO_ROWS
        for _ in range(2):
            count = find_not_plain(
                columns.slot[some], columns.last_slot[some], columns.duration_slots[some], columns.min_power_w[some],
                columns.group[some], columns.linked_to[some], columns.void[some], first, out,
            )  # fmt: skip
            if count == len(out):
                break
            out = np.empty(count, dtype=np.int64)
        return out

    return np.concatenate([NO_ROWS, *in_threads(find, range(0, len(columns), OFFERS_AT_ONCE))])


def _may_overflow(book: Book) -> bool:
    """Whether sums of W times per mille might not fit 62 bits, which twice as much still does."""
    return int(book.columns.counted_w.sum(dtype=np.uint64)) >= 2**62 // 1000


def _edges_of_pairs(index: BookIndex) -> tuple[Array, Array]:
    a, b = index.pairs[:, 0], index.pairs[:, 1]
    pair, slot = np.nonzero(index.is_present[a] & index.is_present[b])
    return a[pair] * index.slots + slot, b[pair] * index.slots + slot


def _extracts(
    index: BookIndex, part_of_node: Mapping[int, int], pods: Mapping[bytes, PodFacts], seed: bytes
) -> list[Extract]:
    book = index.book
    areas: dict[int, dict[int, list[Request]]] = {}
    for node, area, request in zip(
        _node_of_requests(index).tolist(), index.request_area.tolist(), index.request.tolist(), strict=True
    ):
        if node in part_of_node:
            of_part = areas.setdefault(part_of_node[node], {})
            of_part.setdefault(area, []).append(book.requests[request])
    effects = np.unique(np.array(list(part_of_node)) // index.slots)
    grid = index.grid
    named = [grid.effect_pod[grid.effect_first[each] : grid.effect_first[each + 1]] for each in effects]
    runs = [
        np.arange(index.run_first[pod], index.run_last[pod]) for pod in np.unique(_joined(named, np.int32))
    ]
    positions = np.sort(_joined(runs, np.int64))
    if len(index.order):
        positions = np.sort(index.order[positions].astype(np.int64))
    positions = positions[book.columns.void[positions] == NOT_VOID]
    of_parts: dict[int, set[int]] = {}
    for offer, node in index.nodes_of(positions).tolist():
        if node in part_of_node:
            of_parts.setdefault(part_of_node[node], set()).add(int(positions[offer]))
    out = []
    for part, of_part in areas.items():
        offers = _with_parents(book, of_parts.get(part, set()))
        facts = {offer.pod: pods[offer.pod] for offer in offers if offer.void is None}
        out.append(Extract(offers, [of_part[area] for area in sorted(of_part)], facts, seed))
    return out


def _with_parents(book: Book, positions: set[int]) -> list[Offer]:
    """Offers, with those that they are linked to, and so on."""
    offers = book.offers.at(np.array(sorted(positions), dtype=np.int64))
    more = {offer.parent for offer in offers if offer.parent is not None} - positions
    return _with_parents(book, positions | more) if more else offers


def _plain_parts(index: BookIndex, is_plain: Array, seed: bytes) -> Iterator[PlainPart]:
    """Parts of the plain requests: areas that share PoDs together, at some of their slots where they are many."""
    effects = len(index.grid.effect_first) - 1
    a, b = index.pairs[:, 0], index.pairs[:, 1]
    label = np.arange(effects)
    connect(a, b, label)
    _, block = np.unique(label, return_inverse=True)
    block_of_pod = np.full(len(index.run_first), -1, dtype=np.int64)
    is_named = np.diff(index.pod_first) > 0
    block_of_pod[is_named] = block[index.pod_effect[index.pod_first[:-1][is_named]]]
    sizes = index.run_last - index.run_first
    of_block = np.bincount(block_of_pod[is_named], weights=sizes[is_named], minlength=len(np.unique(label)))
    shelf = (np.cumsum(of_block) // OFFERS_A_PART).astype(np.int64)
    shelf_of_pod = np.where(is_named, shelf[block_of_pod], -1) if len(shelf) else block_of_pod
    shelf_of_request = shelf[block[index.request_effect]] if len(shelf) else block_of_pod[:0]
    pods_first = np.zeros(int(shelf.max(initial=-1)) + 3, dtype=np.int64)
    pods_by_shelf = np.empty(len(shelf_of_pod), dtype=np.int64)
    sort_by(shelf_of_pod + 1, NOTHING, pods_first, pods_by_shelf)
    local = np.empty(len(index.run_first), dtype=np.int32)
    for number in np.unique(shelf_of_request[is_plain]).tolist():
        pods = pods_by_shelf[pods_first[number + 1] : pods_first[number + 2]]
        chosen = is_plain & (shelf_of_request == number)
        cuts = min(max(1, int(sizes[pods].sum()) // (8 * OFFERS_A_PART)), MOST_CUTS)
        if cuts == 1:
            yield _plain_part(index, chosen, pods, local, seed)
            continue
        slots = np.unique(index.grid.request_slot[chosen])
        for some in np.array_split(slots, min(cuts, len(slots))):
            yield _plain_part(index, chosen & np.isin(index.grid.request_slot, some), pods, local, seed)


def _plain_part(index: BookIndex, chosen: Array, pods: Array, local: Array, seed: bytes) -> PlainPart:
    """`chosen`: the requests, of areas whose PoDs are all among `pods`; `local`: room for each PoD's index among them."""
    grid, columns = index.grid, index.book.columns
    local[pods] = np.arange(len(pods))
    areas, area_of_request = np.unique(index.request_area[chosen], return_inverse=True)
    effects, area_effect = np.unique(grid.area_effect[areas], return_inverse=True)
    rows = _joined(
        [np.arange(grid.effect_first[each], grid.effect_first[each + 1]) for each in effects], np.int64
    )
    return PlainPart(
        Grid(
            area_effect=area_effect,
            area_product=grid.area_product[areas],
            area_is_dso=grid.area_is_dso[areas],
            area_first=ends(np.bincount(area_of_request, minlength=len(areas))),
            request_slot=grid.request_slot[chosen],
            request_cap=grid.request_cap[chosen],
            needed=grid.needed[chosen],
            effect_first=ends(np.diff(grid.effect_first)[effects]),
            effect_pod=local[grid.effect_pod[rows]],
            effect_permille=grid.effect_permille[rows],
            effect_fee=grid.effect_fee[rows] if len(grid.effect_fee) else grid.effect_fee,
        ),
        PlainOffers(
            run_first=index.run_first[pods],
            run_last=index.run_last[pods],
            order=index.order,
            slot=columns.slot,
            product=columns.product,
            price_ueur_per_kw=columns.price_ueur_per_kw,
            counted_w=columns.counted_w,
            position=NOTHING,
            limit_w=index.limit_w[pods],
        ),
        index.request[chosen],
        index.slots,
        index.book.pods[pods],
        seed,
        index.book.leaves,
    )


def ends(sizes: Iterable[int]) -> Array:
    """Where each of things of these sizes begins, and the end."""
    return np.concatenate([[0], np.cumsum(np.asarray(list(sizes), dtype=np.int64))]).astype(np.int64)


def _fees(effects: Collection[Effectiveness]) -> Array:
    """Grid fees of all PoDs of areas; empty where there are none."""
    fees = [each.grid_fee_ueur_per_kw for each in effects]
    if not any(map(len, fees)):
        return np.zeros(0, dtype=np.int64)
    filled = [
        fee if len(fee) else np.zeros(len(each), np.int64) for fee, each in zip(fees, effects, strict=True)
    ]
    return _joined(filled, np.int64)


def _joined(arrays: Sequence[Array], dtype: type) -> Array:
    return np.concatenate([np.zeros(0, dtype=dtype), *arrays]).astype(dtype)
