"""Keccak-256, Ethereum's hash: of one message, and of many of one length at once."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from eth_hash.backends import pysha3

from offchain.protocol.errors import InvalidInput

HASH_BYTES = 32
_ROWS_WORTH_A_THREAD = 4096


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


def in_parallel(work: Callable[[int, int], None], first: int, last: int) -> None:
    """Call work(a, b) on parts that cover first to last: one thread a core where there is enough to do."""
    parts = max(1, min(os.cpu_count() or 1, (last - first) // _ROWS_WORTH_A_THREAD))
    if parts == 1:
        work(first, last)
        return
    cuts = [first + (last - first) * part // parts for part in range(parts + 1)]
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(work, cuts[:-1], cuts[1:]))
