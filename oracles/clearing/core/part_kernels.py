"""Loops over a book's columns that find its parts: numba kernels that `parts.py` calls. A PoD's `run`: its offers, one after the
other."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit

if TYPE_CHECKING:
    Array = npt.NDArray[Any]


@njit(nogil=True, cache=True)
def find_runs(pod: "Array", void: "Array", first: "Array", last: "Array") -> bool:
    """Write where each PoD's offers begin and end; False where those of one don't stand together. Void ones don't count."""
    before = -1
    for position in range(len(pod)):
        if void[position]:
            continue
        here = pod[position]
        if here != before:
            if first[here] < last[here]:
                return False
            first[here] = position
        last[here] = position + 1
        before = here
    return True


@njit(nogil=True, cache=True)
def find_not_plain(
    slot: "Array",
    last_slot: "Array",
    duration: "Array",
    min_power_w: "Array",
    group: "Array",
    linked_to: "Array",
    void: "Array",
    first: int,
    out: "Array",
) -> int:
    """Write the positions, from `first` on, of offers that count and aren't divisible single ones, as far as `out` has room; gives how
    many there are."""
    found = 0
    for row in range(len(slot)):
        is_block = (duration[row] > 1) | (last_slot[row] > slot[row])
        is_bound = (min_power_w[row] > 0) | (group[row] > 0) | (linked_to[row] > 0)
        if (is_block | is_bound) and not void[row]:
            if found < len(out):
                out[found] = first + row
            found += 1
    return found


@njit(nogil=True, cache=True)
def sort_by(keys: "Array", skipped: "Array", first: "Array", order: "Array") -> None:
    """Write the indexes of all rows but skipped ones (where there are any) by rising key, equal ones in order; `first` (keys + 1):
    where each begins."""
    for row in range(len(keys)):
        if not len(skipped) or not skipped[row]:
            first[keys[row] + 1] += 1
    for key in range(len(first) - 1):
        first[key + 1] += first[key]
    place = first.copy()
    for row in range(len(keys)):
        if not len(skipped) or not skipped[row]:
            order[place[keys[row]]] = row
            place[keys[row]] += 1


@njit(nogil=True, cache=True)
def pairs_of_pods(pod_first: "Array", effects: "Array", out: "Array") -> int:
    """Pairs of areas (less than, greater) that share a PoD, one after the other different; gives how many there are, and writes
    them where `out` (n, 2) has room."""
    found = 0
    for pod in range(len(pod_first) - 1):
        begin, end = pod_first[pod], pod_first[pod + 1]
        same = pod > 0 and end - begin == begin - pod_first[pod - 1]
        if same:
            for at in range(begin, end):
                same = same and effects[at] == effects[at - (end - begin)]
        if same:
            continue
        for a in range(begin, end):
            for b in range(a + 1, end):
                if found < len(out):
                    out[found, 0], out[found, 1] = effects[a], effects[b]
                found += 1
    return found


@njit(inline="always")
def _head(label: "Array", node: Any) -> Any:
    """The node by which all that are connected to a node are known."""
    while label[node] != node:
        label[node] = label[label[node]]
        node = label[node]
    return node


@njit(nogil=True, cache=True)
def connect(a: "Array", b: "Array", label: "Array") -> None:
    """Make `label`, each node's number before, the same for all nodes that edges from a to b connect."""
    for edge in range(len(a)):
        one, other = _head(label, a[edge]), _head(label, b[edge])
        if one < other:
            label[other] = one
        else:
            label[one] = other
    for node in range(len(label)):
        label[node] = label[label[node]]


@njit(nogil=True, cache=True)
def nodes_of_offers(
    positions: "Array",
    pod: "Array",
    slot: "Array",
    last_slot: "Array",
    duration: "Array",
    pod_first: "Array",
    effects: "Array",
    present: "Array",
    out: "Array",
) -> int:
    """Pairs of an offer's index in `positions` and a node (area's number times slots, plus slot) that it may serve; gives how many,
    and writes them where `out` (n, 2) has room."""
    slots = present.shape[1]
    found = 0
    for index in range(len(positions)):
        position = positions[index]
        here = pod[position]
        if here < 0:
            continue
        end = min(np.int64(last_slot[position]) + np.int64(duration[position]), slots)
        for at in range(pod_first[here], pod_first[here + 1]):
            for each in range(np.int64(slot[position]), end):
                if present[effects[at], each]:
                    if found < len(out):
                        out[found, 0], out[found, 1] = index, np.int64(effects[at]) * slots + each
                    found += 1
    return found
