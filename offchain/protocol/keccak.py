"""Keccak-256, Ethereum's hash: of one message, and of many of one length at once."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from eth_hash.backends import pysha3

from offchain.protocol.errors import InvalidInput

HASH_BYTES = 32
PART_ROWS = 4096
"""Rows that are worth a call of their own: few enough to stay in a core's own cache."""
_BLOCK_BYTES = 136


def keccak256(data: bytes) -> bytes:
    """Keccak-256 of one message: 32 bytes."""
    return pysha3.keccak256(data)


def keccak256_rows(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Keccak-256 of every row.

    `rows`: uint8 array of shape (n, m), any m, n may be 0. Returns a uint8 array of shape (n, 32).
    Raises InvalidInput for another shape or type.
    """
    # Loading numba takes a second, which a Light Node that only hashes single messages shouldn't pay.
    from offchain.protocol.keccak_kernels import hash_rows

    if rows.dtype != np.uint8 or rows.ndim != 2:
        raise InvalidInput(
            "rows", f"{rows.dtype} array of shape {rows.shape}", "must be uint8 of shape (n, m)"
        )
    count, length = rows.shape
    full = length // 8
    words = as_words(rows[:, : 8 * full])
    padded = np.zeros((count, 8), dtype=np.uint8)
    padded[:, : length - 8 * full] = rows[:, 8 * full :]
    padded[:, length - 8 * full] = 1
    tails = padded.view(np.uint64)[:, 0]
    digests = np.empty((count, 4), dtype=np.uint64)

    def work(first: int, last: int) -> None:
        hash_rows(words[first:last], tails[first:last], digests[first:last])

    in_parallel(work, 0, count)
    return digests.view(np.uint8)


class Messages:
    """Messages of one length that differ in few of their 64-bit words, such as the leaves of a list.

    `common`: the words that all share, zero where they differ, a multiple of 8 bytes; `places`: of the words that differ,
    rising. Their values are added to the common ones, which is the same where those are zero.
    """

    def __init__(self, common: bytes, places: Sequence[int]) -> None:
        if len(common) % 8:
            raise InvalidInput("common", len(common), "must be a multiple of 8 bytes")
        padded = bytearray(common + b"\x01").ljust((len(common) // _BLOCK_BYTES + 1) * _BLOCK_BYTES, b"\0")
        padded[-1] |= 0x80
        self._fixed = np.frombuffer(bytes(padded), dtype=np.uint64)
        self._places = np.array(places, dtype=np.int64)
        self._common = np.frombuffer(common, dtype=np.uint64)

    def lanes(self, count: int) -> npt.NDArray[np.uint64]:
        """Room for the words that differ of `count` messages: a row for each place, as wide as the kernel needs it."""
        # Loaded here for the reason given in keccak256_rows.
        from offchain.protocol.keccak_kernels import W

        # What stands beyond `count` is hashed and never looked at.
        return np.empty((len(self._places), -(-count // W) * W), dtype=np.uint64)

    def hashes(
        self, lanes: npt.NDArray[np.uint64], count: int, *, twice: bool = False
    ) -> npt.NDArray[np.uint8]:
        """Hash of each message, or of that hash: uint8 (count, 32). `lanes`: as made by `lanes(count)` and filled."""
        # Loaded here for the reason given in keccak256_rows.
        from offchain.protocol.keccak_kernels import hash_lanes

        digests = np.empty((count, HASH_BYTES // 8), dtype=np.uint64)
        hash_lanes(lanes, self._places, self._fixed, twice, digests)
        return digests.view(np.uint8)

    def encoded(self, lanes: npt.NDArray[np.uint64], count: int) -> npt.NDArray[np.uint8]:
        """The messages themselves: uint8 (count, length)."""
        rows = np.tile(self._common, (count, 1))
        rows[:, self._places] = lanes[:, :count].T
        return rows.view(np.uint8)


def as_words(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Rows of 8 k bytes as rows of k native 64-bit words, without a copy where the memory allows it."""
    count, length = rows.shape
    contiguous = np.ascontiguousarray(rows)
    if not length or contiguous.ctypes.data % 8:
        words = np.empty((count, length // 8), dtype=np.uint64)
        if length:
            words.view(np.uint8)[:] = contiguous
        return words
    return contiguous.view(np.uint64)


def in_parallel(work: Callable[[int, int], None], first: int, last: int, rows: int = PART_ROWS) -> None:
    """Call work(a, b) on parts of `rows` rows that cover first to last, on a thread for each core."""
    if last - first <= rows:
        work(first, last)
        return
    starts = range(first, last, rows)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda start: work(start, min(start + rows, last)), starts))
