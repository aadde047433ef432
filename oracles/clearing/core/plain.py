"""Price priority of divisible single offers, in columns: what `price_priority.py` says, a request at a time.

Such offers of different slots have nothing to do with each other, so each request takes its cheapest ones: those cheaper
than the marginal merit in full, the marginal ones pro rata. No list is sorted but what was picked; only offers that tie
are hashed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from offchain.protocol.keccak import keccak256_rows
from offchain.protocol.lists import LeafList
from oracles.clearing.core.plain_kernels import count_offers, find_waves, gather, select, share

Array = npt.NDArray[Any]
CANDIDATE = (np.int32, np.int32, np.int16, np.uint32, np.int64, np.bool_)
"""Offer, PoD, per mille, W that may be taken, merit and whether it is a twin, of a request's candidate."""


@dataclass(frozen=True)
class Grid:
    """Areas in order of service, with their requests by slot, and the PoDs that relieve them.

    An area's requests are `area_first[area]` to `area_first[area + 1]`, its PoDs those of its `area_effect`. `needed`: W
    times per mille.
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


@dataclass(frozen=True)
class PlainOffers:
    """Offers that may be taken, PoD by PoD. `position`: in the book, rising within each PoD."""

    pod_first: Array
    position: Array
    slot: Array
    product: Array
    price_ueur_per_kw: Array
    counted_w: Array
    limit_w: Array


@dataclass(frozen=True)
class Taken:
    """Quantities of offers, in merit order within each request; `request`: its index in the book."""

    request: Array
    offer: Array
    accepted_w: Array


class TieBreaker:
    """What tells offers that tie apart: keccak256 of the session's seed and the leaf's hash. `leaves`: of rising positions.

    Pickled, it takes along the leaves of its part's offers instead of the whole book.
    """

    def __init__(self, seed: bytes, leaves: Callable[[Array], LeafList], positions: Array) -> None:
        self._seed, self._leaves, self._positions = seed, leaves, positions

    def __reduce__(self) -> tuple[Any, ...]:
        positions = np.sort(self._positions)
        return _of_leaves, (self._seed, self._leaves(positions), positions)

    def ranks(self, positions: Array) -> Array:
        """Rank of each offer among these."""
        by_position = np.argsort(positions, kind="stable")
        hashes = self._leaves(positions[by_position]).leaf_hashes
        seeds = np.broadcast_to(np.frombuffer(self._seed, dtype=np.uint8), hashes.shape)
        words = keccak256_rows(np.concatenate([seeds, hashes], axis=1)).view(">u8").astype(np.uint64)
        order = np.lexsort((words[:, 3], words[:, 2], words[:, 1], words[:, 0]))
        ranks = np.empty(len(positions), dtype=np.int64)
        ranks[by_position[order]] = np.arange(len(positions))
        return ranks

    @property
    def chance(self) -> int:
        """A number from the seed."""
        return int.from_bytes(self._seed[:7], "big")


def _of_leaves(seed: bytes, leaves: LeafList, positions: Array) -> TieBreaker:
    def rows(wanted: Array) -> LeafList:
        found = np.searchsorted(positions, wanted)
        return LeafList(leaves.kind, {name: column[found] for name, column in leaves.columns.items()})

    return TieBreaker(seed, rows, positions)


@dataclass(frozen=True)
class PlainPart:
    """A part of the book that nothing binds to the rest, all of whose offers are plain. `request`: by its requests, the index in
    the book."""

    grid: Grid
    offers: PlainOffers
    request: Array
    slots: int
    ties: TieBreaker

    def clear(self) -> Taken:
        """What is taken."""
        grid, offers = self.grid, self.offers
        pods = len(offers.pod_first) - 1
        waves = np.empty(len(grid.area_effect), dtype=np.int64)
        find_waves(grid.area_effect, grid.effect_first, grid.effect_pod, pods, waves)
        market = _Market(self)
        by_wave = [np.flatnonzero(waves == wave) for wave in range(int(waves.max(initial=-1)) + 1)]
        taken = [market.serve(areas) for areas in by_wave]
        return Taken(
            *(
                np.concatenate([np.zeros(0, np.uint32), *(getattr(each, name) for each in taken)])
                for name in ("request", "offer", "accepted_w")
            )
        )


class _Market:
    """What has been taken so far in a part."""

    def __init__(self, part: PlainPart) -> None:
        self._part = part
        self._needed = part.grid.needed.copy()
        self._taken_w = np.zeros_like(part.offers.counted_w)
        self._for_dso_w = np.zeros_like(part.offers.counted_w)
        self._is_used = np.zeros(len(part.offers.pod_first) - 1, dtype=bool)

    def serve(self, areas: Array) -> Taken:
        """Serve areas that share no PoD."""
        grid, offers = self._part.grid, self._part.offers
        requests = np.concatenate(
            [np.arange(grid.area_first[area], grid.area_first[area + 1]) for area in areas]
        )
        count = np.zeros(len(grid.request_slot), dtype=np.int64)
        count_offers(
            areas, grid.area_effect, grid.area_product, grid.area_first, grid.request_slot, grid.effect_first,
            grid.effect_pod, offers.pod_first, offers.slot, offers.product, self._part.slots, count,
        )  # fmt: skip
        first = np.cumsum(count) - count
        room = int(count.sum())
        count[:] = 0
        offer, pod, permille, room_w, key, is_twin = (np.empty(room, dtype) for dtype in CANDIDATE)
        gather(
            areas, grid.area_effect, grid.area_product, grid.area_is_dso, grid.area_first, grid.request_slot,
            grid.request_cap, self._needed, grid.effect_first, grid.effect_pod, grid.effect_permille,
            offers.pod_first, offers.slot, offers.product, offers.price_ueur_per_kw, offers.counted_w,
            self._taken_w, self._for_dso_w, self._is_used, offers.limit_w, self._part.slots, first, count,
            offer, pod, permille, room_w, key, is_twin,
        )  # fmt: skip
        order = np.arange(room, dtype=np.int32)
        picked_first, margin_first, picked_last = (np.zeros_like(first) for _ in range(3))
        select(
            requests, self._needed, first, count, key, room_w, permille, self._part.ties.chance, order,
            picked_first, margin_first, picked_last,
        )  # fmt: skip
        picked = picked_last[requests] - picked_first[requests]
        of_request = np.repeat(requests, picked)
        place = np.arange(len(of_request)) - np.repeat(np.cumsum(picked) - picked, picked)
        place += picked_first[of_request]
        self._sort_ties(order, place, of_request, key, offer)
        share(
            requests, self._needed, picked_first, margin_first, picked_last, order, key, permille, room_w, is_twin,
            pod, offer, offers.counted_w, self._taken_w, len(self._is_used),
        )  # fmt: skip
        chosen = order[place]
        is_taken = room_w[chosen] > 0
        chosen, of_request = chosen[is_taken], of_request[is_taken]
        accepted_w = room_w[chosen]
        self._taken_w[offer[chosen]] += accepted_w.astype(self._taken_w.dtype)
        is_dso = np.repeat(grid.area_is_dso, np.diff(grid.area_first))[of_request]
        self._for_dso_w[offer[chosen[is_dso]]] += accepted_w[is_dso].astype(self._taken_w.dtype)
        self._is_used[pod[chosen]] = True
        return Taken(self._part.request[of_request], offers.position[offer[chosen]], accepted_w)

    def _sort_ties(self, order: Array, place: Array, of_request: Array, key: Array, offer: Array) -> None:
        """Bring picked candidates that tie into the order of the seed."""
        picked = order[place]
        begins = np.ones(len(picked), dtype=bool)
        begins[1:] = (np.diff(of_request) != 0) | (np.diff(key[picked]) != 0)
        group = np.cumsum(begins) - 1
        tied = np.flatnonzero(np.bincount(group)[group] > 1) if len(group) else group
        if len(tied):
            positions = self._part.offers.position[offer[picked[tied]]]
            by_rank = np.lexsort((self._part.ties.ranks(positions), group[tied]))
            order[place[tied]] = picked[tied[by_rank]]
