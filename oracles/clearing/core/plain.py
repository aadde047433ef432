"""Price priority of divisible single offers, in columns: what `price_priority.py` says, a request at a time.

Such offers of different slots have nothing to do with each other, so each request takes its cheapest ones: those cheaper
than the marginal merit in full, the marginal ones pro rata. No list is sorted but what was picked; only offers that tie
are hashed. Where an area has many PoDs, a sample of them says up to which price its requests need look at offers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from offchain.protocol.lists import LeafList
from oracles.clearing.core.part_kernels import sort_by
from oracles.clearing.core.plain_kernels import (
    find_cheapest,
    find_tied,
    find_waves,
    gather,
    loosen,
    relieve_tso,
    rows_of_runs,
    settle_twins,
    share,
    sort_ties,
    take,
    tighten,
)
from oracles.clearing.core.selection_kernels import select
from oracles.clearing.core.ties import places_of, ranks_of

Array = npt.NDArray[Any]
CANDIDATE = (np.int32, np.int32, np.uint32, np.int32, np.int16, np.uint32, np.uint32, np.int64)
"""Request, offer, row, PoD, per mille, W that may be taken of offer and PoD, and merit of a candidate."""
TAKEN = (np.int32, np.uint32, np.uint32)
"""Request, row and W of what is taken."""
SAMPLED_PODS = 1024
"""PoDs that are looked at first of areas with at least twice as many."""
FEWEST_SAMPLED = 16
"""Offers of a sample that stay within a lowered cap, at least."""
NOTHING: Array = np.zeros(0, dtype=np.uint8)


@dataclass(frozen=True)
class Grid:
    """Areas in order of service, with their requests by slot, and the PoDs that relieve them.

    An area's requests are `area_first[area]` to `area_first[area + 1]`, its PoDs those of its `area_effect`. `needed`: W
    times per mille. `effect_fee`: grid fees, µ€/kW; empty where there are none.
    """

    area_effect: Array
    area_product: Array
    area_is_dso: Array
    area_first: Array
    request_slot: Array
    request_cap: Array
    needed: Array
    effect_first: Array
    effect_pod: Array
    effect_permille: Array
    effect_fee: Array


@dataclass(frozen=True)
class PlainOffers:
    """Offers of some PoDs, in the columns of their book or copies of these, where void ones count 0 W.

    `run_first`, `run_last`: where each PoD's begin and end, in `order` if that isn't empty, else in the columns. `position`: of
    each row in the book, empty where that is the row itself.
    """

    run_first: Array
    run_last: Array
    order: Array
    slot: Array
    product: Array
    price_ueur_per_kw: Array
    counted_w: Array
    position: Array
    limit_w: Array

    def only(self, is_wanted: Array) -> "PlainOffers":
        """A copy of those that count in wanted slots, without the rest of the book."""
        first = np.zeros(len(self.run_first) + 1, dtype=np.int64)
        rows = np.empty(int((self.run_last - self.run_first).sum()), dtype=np.uint32)
        rows_of_runs(
            self.run_first, self.run_last, self.order, self.slot, self.counted_w, is_wanted, first, rows
        )
        rows = rows[: first[-1]]
        return PlainOffers(
            run_first=first[:-1],
            run_last=first[1:],
            order=NOTHING,
            slot=self.slot[rows],
            product=self.product[rows],
            price_ueur_per_kw=self.price_ueur_per_kw[rows],
            counted_w=self.counted_w[rows],
            position=self.positions(rows),
            limit_w=self.limit_w,
        )

    def of_one_place(self, slots: int) -> Array:
        """Positions, rising, of those that share PoD and slot with another. For copies only."""
        pods = np.repeat(np.arange(len(self.run_first)), self.run_last - self.run_first)
        _, place, count = np.unique(pods * slots + self.slot, return_inverse=True, return_counts=True)
        return np.sort(self.position[count[place] > 1])

    def positions(self, rows: Array) -> Array:
        """Positions in the book of rows."""
        return self.position[rows] if len(self.position) else rows


@dataclass(frozen=True)
class Taken:
    """Quantities of offers, in merit order within each request; `request`: its index in the book."""

    request: Array
    offer: Array
    accepted_w: Array


@dataclass(frozen=True)
class PlainPart:
    """A part of the book that nothing binds to the rest, all of whose offers are plain. `request`: by its requests, the index in
    the book; `pods`: names of its PoDs (n, 32); `leaves`: of rising positions of the book.

    Pickled, it takes along its own offers instead of the whole book, and the leaves of those that only these could tell apart.
    """

    grid: Grid
    offers: PlainOffers
    request: Array
    slots: int
    pods: Array
    seed: bytes
    leaves: Callable[[Array], LeafList]

    def __reduce__(self) -> tuple[Any, ...]:
        is_wanted = np.zeros(self.slots, dtype=bool)
        is_wanted[self.grid.request_slot] = True
        offers = self.offers.only(is_wanted)
        shared = offers.of_one_place(self.slots)
        leaves = LeavesOf(shared, self.leaves(shared))
        return PlainPart, (self.grid, offers, self.request, self.slots, self.pods, self.seed, leaves)

    def clear(self) -> Taken:
        """What is taken."""
        grid, pods = self.grid, len(self.offers.run_first)
        waves = np.empty(len(grid.area_effect), dtype=np.int64)
        find_waves(grid.area_effect, grid.effect_first, grid.effect_pod, pods, waves)
        market = _Market(self)
        by_wave = [np.flatnonzero(waves == wave) for wave in range(int(waves.max(initial=-1)) + 1)]
        taken = [market.serve(areas, is_last=areas is by_wave[-1]) for areas in by_wave]
        return Taken(
            *(
                np.concatenate([np.zeros(0, np.uint32), *(getattr(each, name) for each in taken)])
                for name in ("request", "offer", "accepted_w")
            )
        )


@dataclass(frozen=True)
class LeavesOf:
    """Leaves of offers of rising positions, taken along without their book: of those that no more than their leaves tell
    apart. Of another offer any leaf will do."""

    positions: Array
    leaves: LeafList

    def __call__(self, wanted: Array) -> LeafList:
        """Those of rising positions."""
        rows = np.minimum(np.searchsorted(self.positions, wanted), len(self.positions) - 1)
        return LeafList(
            self.leaves.kind, {name: column[rows] for name, column in self.leaves.columns.items()}
        )


@dataclass(frozen=True)
class _Candidates:
    """Offers for requests of areas, in `order` by request from `request_first` (requests + 1) on; see CANDIDATE."""

    request_first: Array
    order: Array
    offer: Array
    row: Array
    pod: Array
    permille: Array
    room_w: Array
    key: Array
    is_twin: Array
    any_twins: bool


class _Market:
    """What has been taken so far in a part."""

    def __init__(self, part: PlainPart) -> None:
        self._part = part
        offers = part.offers
        sizes = offers.run_last - offers.run_first
        self._base = np.cumsum(sizes) - sizes
        self._needed = part.grid.needed.copy()
        self._taken_w = np.zeros(int(sizes.sum()), dtype=np.uint32)
        self._for_dso_w = np.zeros_like(self._taken_w)
        self._is_used = np.zeros(len(sizes), dtype=bool)
        self._is_dso = np.repeat(part.grid.area_is_dso, np.diff(part.grid.area_first))
        self._cheapest = np.zeros(len(sizes), dtype=np.int64)
        find_cheapest(
            offers.run_first, offers.run_last, offers.order, offers.price_ueur_per_kw, self._cheapest
        )

    def serve(self, areas: Array, *, is_last: bool) -> Taken:
        """Serve areas that share no PoD. `is_last`: no others after them."""
        grid, offers = self._part.grid, self._part.offers
        requests = np.concatenate(
            [np.arange(grid.area_first[area], grid.area_first[area + 1]) for area in areas]
        )
        self._relieve_tso(areas)
        found = self._within(areas, requests)
        picked_first, margin_first, picked_last = np.zeros((3, len(grid.request_slot)), dtype=np.int64)
        select(
            requests, self._needed, found.request_first, found.key, found.room_w, found.permille,
            found.order, picked_first, margin_first, picked_last,
        )  # fmt: skip
        self._sort_ties(found, requests, picked_first, picked_last)
        share(
            requests, self._needed, picked_first, margin_first, picked_last, found.order, found.key, found.permille,
            found.room_w, found.is_twin, found.pod, found.offer, found.row, offers.counted_w, self._taken_w,
            found.any_twins, len(self._is_used),
        )  # fmt: skip
        room = int((picked_last - picked_first).sum())
        columns = [np.empty(room, dtype) for dtype in TAKEN]
        count = take(
            requests, picked_first, picked_last, found.order, found.row, found.pod, found.offer, found.room_w,
            self._is_dso, is_last, self._taken_w, self._for_dso_w, self._is_used, *columns,
        )  # fmt: skip
        request, row, accepted_w = (column[:count] for column in columns)
        return Taken(self._part.request[request], offers.positions(row), accepted_w)

    def _relieve_tso(self, areas: Array) -> None:
        grid, offers = self._part.grid, self._part.offers
        relieve_tso(
            areas, grid.area_effect, grid.area_product, grid.area_is_dso, grid.area_first, grid.request_slot,
            self._needed, grid.effect_first, grid.effect_pod, grid.effect_permille, offers.run_first,
            offers.run_last, offers.order, offers.slot, offers.product, self._base, self._for_dso_w, self._is_used,
            self._part.slots,
        )  # fmt: skip

    def _within(self, areas: Array, requests: Array) -> _Candidates:
        """The candidates of areas: at least the cheapest that their requests need."""
        grid = self._part.grid
        sizes = np.diff(grid.effect_first)[grid.area_effect[areas]]
        every = np.where(sizes >= 2 * SAMPLED_PODS, sizes // SAMPLED_PODS, 1)
        large = every > 1
        cap = grid.request_cap.copy()
        if large.any():
            sample = self._candidates(areas[large], every[large], cap)
            tighten(
                areas[large], every[large], grid.area_first, self._needed, sample.request_first, sample.order,
                sample.key, sample.room_w, sample.permille, FEWEST_SAMPLED, cap,
            )  # fmt: skip
        while True:
            found = self._candidates(areas, np.ones_like(every), cap)
            if not loosen(
                requests, self._needed, found.request_first, found.order, found.room_w, found.permille,
                grid.request_cap, cap,
            ):  # fmt: skip
                return found

    def _candidates(self, areas: Array, every: Array, cap: Array) -> _Candidates:
        grid, offers = self._part.grid, self._part.offers
        # What isn't written to takes no memory.
        columns = [np.empty(len(self._taken_w), dtype) for dtype in CANDIDATE]
        count, any_several = gather(
            areas, every, grid.area_effect, grid.area_product, grid.area_first, grid.request_slot, cap,
            grid.effect_first, grid.effect_pod, grid.effect_permille, grid.effect_fee, offers.run_first,
            offers.run_last, offers.order, offers.slot, offers.product, offers.price_ueur_per_kw, offers.counted_w,
            self._cheapest, self._base, self._taken_w, self._is_used, offers.limit_w, self._part.slots, *columns,
        )  # fmt: skip
        request, offer, row, pod, permille, room_w, pod_room_w, key = (column[:count] for column in columns)
        request_first = np.zeros(len(grid.request_slot) + 1, dtype=np.int64)
        order = np.empty(count, dtype=np.int32)
        sort_by(request, NOTHING, request_first, order)
        is_twin = np.zeros(count, dtype=bool)
        any_twins = any_several and settle_twins(request_first, order, pod, key, pod_room_w, room_w, is_twin)
        return _Candidates(request_first, order, offer, row, pod, permille, room_w, key, is_twin, any_twins)

    def _sort_ties(
        self, found: _Candidates, requests: Array, picked_first: Array, picked_last: Array
    ) -> None:
        """Bring picked candidates that tie into the order of the seed."""
        part, offers = self._part, self._part.offers
        place, group = np.empty((2, int((picked_last - picked_first).sum())), dtype=np.int32)
        count = find_tied(requests, picked_first, picked_last, found.order, found.key, place, group)
        if not count:
            return
        place, group = place[:count], group[:count]
        tied = found.order[place]
        places = places_of(part.seed, part.pods[found.pod[tied]], offers.slot[found.row[tied]])
        rank = np.empty(len(found.key), dtype=np.uint64)
        rank[tied] = places[:, 0]
        if sort_ties(place, group, found.order, rank):
            positions = offers.positions(found.row[tied])
            by_position = np.argsort(positions, kind="stable")
            rank[tied[by_position]] = ranks_of(
                part.seed, places[by_position], part.leaves(positions[by_position]).leaf_hashes
            )
            sort_ties(place, group, found.order, rank)
