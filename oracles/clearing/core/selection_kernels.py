"""Which offers a request takes, by merit: numba kernels that `plain.py` calls."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit

if TYPE_CHECKING:
    Array = npt.NDArray[Any]

BUCKETS = 256
FULL_BUCKET = 16
"""Of more candidates than these a bucket isn't sorted by insertion."""
MANY_ROWS = 4096
"""From so many on they are sorted by longer digits."""


@njit(inline="always")
def _fill_buckets(
    mine: "Array",
    left: Any,
    key: "Array",
    room_w: "Array",
    permille: "Array",
    given: "Array",
    keys: "Array",
    rows: "Array",
    first: "Array",
    effect: "Array",
) -> Any:
    """Write the keys and indexes of candidates by the bucket of their merit, in which they keep their order; gives how many are in
    those up to the marginal one, and the most that are in one of these. `given`, `first`, `effect`: room for keys and by bucket."""
    lowest = highest = key[mine[0]]
    for at in range(len(mine)):
        mine_key = given[at] = key[mine[at]]
        lowest, highest = min(lowest, mine_key), max(highest, mine_key)
    shift = 0
    while (highest - lowest) >> shift >= BUCKETS:
        shift += 1
    first[:] = 0
    effect[:] = 0
    for at in range(len(mine)):
        bucket = (given[at] - lowest) >> shift
        first[bucket] += 1
        effect[bucket] += np.int64(room_w[mine[at]]) * np.int64(permille[mine[at]])
    before = kept = fullest = offered = np.int64(0)
    for bucket in range(BUCKETS):
        if offered <= left:
            kept += first[bucket]
            fullest = max(fullest, first[bucket])
        offered += effect[bucket]
        before, first[bucket] = before + first[bucket], before
    for at in range(len(mine)):
        bucket = (given[at] - lowest) >> shift
        keys[first[bucket]], rows[first[bucket]] = given[at], mine[at]
        first[bucket] += 1
    return kept, fullest


@njit(inline="always")
def _sort_near(keys: "Array", rows: "Array") -> None:
    """Sort rows by keys, in place, none of which is far from its place (insertion sort)."""
    for at in range(1, len(keys)):
        key, row, place = keys[at], rows[at], at
        while place and keys[place - 1] > key:
            keys[place], rows[place] = keys[place - 1], rows[place - 1]
            place -= 1
        keys[place], rows[place] = key, row


@njit(inline="always")
def _sort_far(keys: "Array", rows: "Array", spare_keys: "Array", spare_rows: "Array", count: "Array") -> Any:
    """Sort rows by keys, digit by digit from the lowest (radix sort), whatever the keys are; gives the arrays in which keys and rows
    end."""
    lowest, highest = keys[0], keys[0]
    for at in range(len(keys)):
        lowest, highest = min(lowest, keys[at]), max(highest, keys[at])
    bits = 8 if len(keys) < MANY_ROWS else 11
    digits, mask, shift = 1 << bits, (1 << bits) - 1, 0
    while shift < 63 and (highest - lowest) >> shift:
        count[:digits] = 0
        for at in range(len(keys)):
            count[((keys[at] - lowest) >> shift) & mask] += 1
        before = 0
        for digit in range(digits):
            before, count[digit] = before + count[digit], before
        for at in range(len(keys)):
            digit = ((keys[at] - lowest) >> shift) & mask
            spare_keys[count[digit]], spare_rows[count[digit]] = keys[at], rows[at]
            count[digit] += 1
        keys, spare_keys, rows, spare_rows = spare_keys, keys, spare_rows, rows
        shift += bits
    return keys, rows


@njit(nogil=True, cache=True)
def select(
    requests: "Array",
    needed: "Array",
    request_first: "Array",
    key: "Array",
    room_w: "Array",
    permille: "Array",
    order: "Array",
    picked_first: "Array",
    margin_first: "Array",
    picked_last: "Array",
) -> None:
    """For each request the candidates that are cheaper than the marginal ones, by rising merit, then those.

    `order`: the candidates' indexes, those that are picked brought to the front, sorted by merit. Takes the cheaper ones' effect
    from what is needed: what is left is for the marginal ones.
    """
    most = np.int64(0)
    for request in requests:
        most = max(most, request_first[request + 1] - request_first[request])
    room = np.empty((2, most), dtype=np.int64)
    spare = np.empty((2, most), dtype=order.dtype)
    first, effect = np.empty((2, BUCKETS), dtype=np.int64)
    count = np.empty(1 << 11, dtype=np.int64)
    for request in requests:
        begin, end = request_first[request], request_first[request + 1]
        left = max(needed[request], 0)
        cheaper = margin = begin
        if begin < end and left:
            mine, keys, rows = order[begin:end], room[0, : end - begin], spare[0, : end - begin]
            kept, fullest = _fill_buckets(
                mine, left, key, room_w, permille, room[1], keys, rows, first, effect
            )
            mine[kept:] = rows[kept:]
            end, keys, rows = begin + kept, keys[:kept], rows[:kept]
            if fullest <= FULL_BUCKET:
                _sort_near(keys, rows)
            else:
                keys, rows = _sort_far(keys, rows, room[1, :kept], spare[1, :kept], count)
            mine[:kept] = rows
            while cheaper < end and left > 0:
                offered = np.int64(0)
                while margin < end and keys[margin - begin] == keys[cheaper - begin]:
                    candidate = order[margin]
                    offered += np.int64(room_w[candidate]) * np.int64(permille[candidate])
                    margin += 1
                if offered > left:
                    break
                left -= offered
                cheaper = margin
        picked_first[request], margin_first[request], picked_last[request] = begin, cheaper, margin
        needed[request] = left
