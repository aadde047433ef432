"""The clearing of a whole book from what was taken in its parts, with a reason for every offer that wasn't."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from offchain.protocol.products import OfferStatus
from oracles.clearing.core.book import Book
from oracles.clearing.core.part_kernels import sort_by
from oracles.clearing.core.parts import BookIndex, Extract, ends
from oracles.clearing.core.plain import NOTHING, Taken
from oracles.clearing.core.reason_kernels import find_reasons
from oracles.clearing.core.state import Clearing, Column, Entries
from oracles.parallel import in_threads

PODS_AT_ONCE = 100_000
Array = npt.NDArray[Any]


def clearing_of(
    index: BookIndex,
    taken: Sequence[Taken],
    extracts: Sequence[Extract],
    cleared: Sequence[Clearing],
) -> Clearing:
    """The whole clearing, paid as bid. `taken`: in plain parts; `cleared`: each extract."""
    columns = index.book.columns
    of_extracts = [Entries.of(index.book, clearing.acceptances) for clearing in cleared]
    request, offer, accepted_w = (
        np.concatenate(
            [np.zeros(0, dtype), *(getattr(each, name).astype(dtype) for each in (*taken, *of_extracts))]
        )
        for name, dtype in (("request", np.int32), ("offer", np.uint32), ("accepted_w", np.uint32))
    )
    if len(request) and (request[1:] < request[:-1]).any():
        place = _places(request, len(index.book.requests))
        request, offer, accepted_w = (_sorted(column, place) for column in (request, offer, accepted_w))
    else:
        place = np.arange(len(request), dtype=np.uint32)
    sizes = np.cumsum([sum(len(each.request) for each in taken), *map(len, of_extracts)])
    places = [place[first:last] for first, last in pairwise(sizes)]
    entries = Entries(index.book, request, offer, accepted_w, columns.price_ueur_per_kw[offer])
    status, because = _reasons(index, entries)
    start_slot = columns.slot.copy() if extracts else columns.slot
    for extract, clearing, at in zip(extracts, cleared, places, strict=True):
        positions = np.array([each.position for each in extract.offers], dtype=np.int64)
        status[positions] = np.asarray(clearing.status, dtype=np.uint8)
        start_slot[positions] = clearing.start_slots
        # What an extract's reason names is an entry of its own list.
        own = np.asarray(clearing.because, dtype=np.int64)
        own[status[positions] == OfferStatus.VOID] = 0
        own[own > 0] = at[own[own > 0] - 1].astype(np.int64) + 1
        because[positions] = own
    return Clearing(
        entries,
        Column(lambda: status, OfferStatus),
        Column(lambda: _with_void(index.book, because), int),
        Column(lambda: start_slot, int),
    )


def _places(request: Array, requests: int) -> Array:
    """Where each entry stands in the list by request: those of a request keep their order."""
    first = np.zeros(requests + 1, dtype=np.int64)
    order = np.empty(len(request), dtype=np.uint32)
    sort_by(request, NOTHING, first, order)
    place = np.empty(len(request), dtype=np.uint32)
    place[order] = np.arange(len(request))
    return place


def _sorted(column: Array, place: Array) -> Array:
    out = np.empty_like(column)
    out[place] = column
    return out


def _reasons(index: BookIndex, entries: Entries) -> tuple[Array, Array]:
    columns, grid, pods = index.book.columns, index.grid, len(index.book.pods)
    status = columns.void.copy()
    because = np.zeros(len(columns), dtype=np.uint32)
    effect_areas = np.argsort(grid.area_effect, kind="stable")
    effect_first = ends(np.bincount(grid.area_effect, minlength=len(grid.effect_first) - 1))
    entry_first = np.zeros(pods + 1, dtype=np.int64)
    of_pods = np.empty(len(entries), dtype=np.uint32)
    sort_by(columns.pod[entries.offer], NOTHING, entry_first, of_pods)

    def find(first_pod: int) -> None:
        find_reasons(
            first_pod, min(first_pod + PODS_AT_ONCE, pods), index.run_first, index.run_last, index.order,
            columns.slot, columns.product, columns.price_ueur_per_kw, columns.void, columns.power_w, index.limit_w,
            index.pod_first, index.pod_effect, index.pod_permille, index.pod_fee, effect_first, effect_areas,
            grid.area_product, grid.area_first, grid.request_slot, grid.request_cap, index.slots, entry_first, of_pods,
            entries.offer, entries.accepted_w, status, because,
        )  # fmt: skip

    for _ in in_threads(find, range(0, pods, PODS_AT_ONCE)):
        pass
    return status, because


def _with_void(book: Book, because: Array) -> Array:
    """The reasons with those of void offers: the leaves of their documents."""
    out = because.copy()
    for document in book.documents:
        rows = np.flatnonzero(book.columns.void[document.part] == OfferStatus.VOID)
        out[document.part][rows] = document.because if document.leaves is None else rows + 1
    return out
