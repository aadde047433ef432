"""Loops over columns of books and PoDs that numpy has no expression for: numba kernels that `pod_table.py` and `state.py` call."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from numba import njit

if TYPE_CHECKING:
    Words = npt.NDArray[np.uint64]
    Indexes = npt.NDArray[np.int32]
    Integers = npt.NDArray[np.integer]


@njit(inline="always")
def _place(words: "Words", row: int, mask: np.uint64) -> int:
    """Where the search for a row's name starts in the table."""
    mixed = (words[row, 0] ^ (words[row, 3] >> np.uint64(7))) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed >> np.uint64(20)) & mask)  # type: ignore[return-value]


@njit(inline="always")
def _same(a: "Words", first: int, b: "Words", second: int) -> bool:
    return bool(
        a[first, 0] == b[second, 0]
        and a[first, 1] == b[second, 1]
        and a[first, 2] == b[second, 2]
        and a[first, 3] == b[second, 3]
    )


@njit(nogil=True, cache=True)
def fill_table(names: "Words", table: "Indexes") -> None:
    """Enter names (n, 4), all different, into an open hash table of -1, whose length is a power of two above n."""
    mask = np.uint64(len(table) - 1)
    for row in range(len(names)):
        place = _place(names, row, mask)
        while table[place] >= 0:
            place = (place + 1) & (len(table) - 1)
        table[place] = row


@njit(nogil=True, cache=True)
def look_up(words: "Words", names: "Words", table: "Indexes", out: "Indexes") -> None:
    """Write each row's index among the table's names, -1 where it isn't one of them."""
    mask = np.uint64(len(table) - 1)
    for row in range(len(words)):
        if row and _same(words, row, words, row - 1):
            out[row] = out[row - 1]
            continue
        place = _place(words, row, mask)
        while table[place] >= 0 and not _same(words, row, names, table[place]):
            place = (place + 1) & (len(table) - 1)
        out[row] = table[place]


@njit(nogil=True, cache=True)
def look_up_effects(
    pods: "Indexes",
    permille: "Integers",
    position: "Integers",
    fee: "Integers",
    rows: "Integers",
    offer: "Integers",
    pod_of_offer: "Indexes",
    row_of_pod: "Indexes",
    out_permille: "Integers",
    out_position: "Integers",
    out_fee: "Integers",
) -> None:
    """Write per mille, position and grid fee (where `fee` isn't empty) of the PoDs of some rows' offers, all of them in one
    effectiveness. `row_of_pod`: room."""
    for row in range(len(pods)):
        row_of_pod[pods[row]] = row
    for row in rows:
        found = row_of_pod[pod_of_offer[offer[row]]]
        out_permille[row], out_position[row] = permille[found], position[found]
        if len(fee):
            out_fee[row] = fee[found]
