"""Keccak-256 of many messages at once: numba kernels that `keccak.py` calls. Nothing else should.

W messages are hashed side by side. Their states lie in one flat array, `state[word * W + lane]`, so that the
loop over `lane` is over neighbouring memory and LLVM turns it into vector instructions: about seven times the
speed of hashing one message after the other. The round is written out, word by word, because in loops over
the words LLVM gives up vectorising. Kernels release the GIL; their compiled form is cached on disk.

Padding, rate and rounds are those of Keccak-256 as Ethereum uses it (multi-rate padding with first byte 0x01,
not SHA-3's 0x06). Words are little-endian, like every machine this runs on.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from numba import njit, types

if TYPE_CHECKING:
    Words = npt.NDArray[np.uint64]
    Indices = npt.NDArray[np.int64]

W = 16
"""Messages hashed side by side: two AVX-512 or four AVX2 registers a word."""
RATE_WORDS = 17
"""Words that a block takes in: 136 bytes."""
LAST_BIT = np.uint64(0x8000000000000000)

ROUND_CONSTANTS = np.array(
    [
        0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000,
        0x000000000000808B, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
        0x000000000000008A, 0x0000000000000088, 0x0000000080008009, 0x000000008000000A,
        0x000000008000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003,
        0x8000000000008002, 0x8000000000000080, 0x000000000000800A, 0x800000008000000A,
        0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
    ],
    dtype=np.uint64,
)  # fmt: skip

_READ_1D = types.Array(types.uint64, 1, "C", readonly=True)
_READ_2D = types.Array(types.uint64, 2, "C", readonly=True)
_READ_INDICES = types.Array(types.int64, 1, "C", readonly=True)
_WRITE_1D = types.Array(types.uint64, 1, "C")
_WRITE_2D = types.Array(types.uint64, 2, "C")


@njit(inline="always")
def _rotated(word: np.uint64, bits: int) -> np.uint64:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@njit(types.void(_WRITE_1D), nogil=True, cache=True)
def _permute(state: "Words") -> None:
    """Keccak-f[1600] on W states: theta (c, d), rho and pi (b), chi and iota (the stores)."""
    for constant in ROUND_CONSTANTS:
        for lane in range(W):
            a0 = state[lane]
            a1 = state[W + lane]
            a2 = state[2 * W + lane]
            a3 = state[3 * W + lane]
            a4 = state[4 * W + lane]
            a5 = state[5 * W + lane]
            a6 = state[6 * W + lane]
            a7 = state[7 * W + lane]
            a8 = state[8 * W + lane]
            a9 = state[9 * W + lane]
            a10 = state[10 * W + lane]
            a11 = state[11 * W + lane]
            a12 = state[12 * W + lane]
            a13 = state[13 * W + lane]
            a14 = state[14 * W + lane]
            a15 = state[15 * W + lane]
            a16 = state[16 * W + lane]
            a17 = state[17 * W + lane]
            a18 = state[18 * W + lane]
            a19 = state[19 * W + lane]
            a20 = state[20 * W + lane]
            a21 = state[21 * W + lane]
            a22 = state[22 * W + lane]
            a23 = state[23 * W + lane]
            a24 = state[24 * W + lane]
            c0 = a0 ^ a5 ^ a10 ^ a15 ^ a20
            c1 = a1 ^ a6 ^ a11 ^ a16 ^ a21
            c2 = a2 ^ a7 ^ a12 ^ a17 ^ a22
            c3 = a3 ^ a8 ^ a13 ^ a18 ^ a23
            c4 = a4 ^ a9 ^ a14 ^ a19 ^ a24
            d0 = c4 ^ _rotated(c1, 1)
            d1 = c0 ^ _rotated(c2, 1)
            d2 = c1 ^ _rotated(c3, 1)
            d3 = c2 ^ _rotated(c4, 1)
            d4 = c3 ^ _rotated(c0, 1)
            b0 = a0 ^ d0
            b1 = _rotated(a6 ^ d1, 44)
            b2 = _rotated(a12 ^ d2, 43)
            b3 = _rotated(a18 ^ d3, 21)
            b4 = _rotated(a24 ^ d4, 14)
            b5 = _rotated(a3 ^ d3, 28)
            b6 = _rotated(a9 ^ d4, 20)
            b7 = _rotated(a10 ^ d0, 3)
            b8 = _rotated(a16 ^ d1, 45)
            b9 = _rotated(a22 ^ d2, 61)
            b10 = _rotated(a1 ^ d1, 1)
            b11 = _rotated(a7 ^ d2, 6)
            b12 = _rotated(a13 ^ d3, 25)
            b13 = _rotated(a19 ^ d4, 8)
            b14 = _rotated(a20 ^ d0, 18)
            b15 = _rotated(a4 ^ d4, 27)
            b16 = _rotated(a5 ^ d0, 36)
            b17 = _rotated(a11 ^ d1, 10)
            b18 = _rotated(a17 ^ d2, 15)
            b19 = _rotated(a23 ^ d3, 56)
            b20 = _rotated(a2 ^ d2, 62)
            b21 = _rotated(a8 ^ d3, 55)
            b22 = _rotated(a14 ^ d4, 39)
            b23 = _rotated(a15 ^ d0, 41)
            b24 = _rotated(a21 ^ d1, 2)
            state[lane] = b0 ^ (~b1 & b2) ^ constant
            state[W + lane] = b1 ^ (~b2 & b3)
            state[2 * W + lane] = b2 ^ (~b3 & b4)
            state[3 * W + lane] = b3 ^ (~b4 & b0)
            state[4 * W + lane] = b4 ^ (~b0 & b1)
            state[5 * W + lane] = b5 ^ (~b6 & b7)
            state[6 * W + lane] = b6 ^ (~b7 & b8)
            state[7 * W + lane] = b7 ^ (~b8 & b9)
            state[8 * W + lane] = b8 ^ (~b9 & b5)
            state[9 * W + lane] = b9 ^ (~b5 & b6)
            state[10 * W + lane] = b10 ^ (~b11 & b12)
            state[11 * W + lane] = b11 ^ (~b12 & b13)
            state[12 * W + lane] = b12 ^ (~b13 & b14)
            state[13 * W + lane] = b13 ^ (~b14 & b10)
            state[14 * W + lane] = b14 ^ (~b10 & b11)
            state[15 * W + lane] = b15 ^ (~b16 & b17)
            state[16 * W + lane] = b16 ^ (~b17 & b18)
            state[17 * W + lane] = b17 ^ (~b18 & b19)
            state[18 * W + lane] = b18 ^ (~b19 & b15)
            state[19 * W + lane] = b19 ^ (~b15 & b16)
            state[20 * W + lane] = b20 ^ (~b21 & b22)
            state[21 * W + lane] = b21 ^ (~b22 & b23)
            state[22 * W + lane] = b22 ^ (~b23 & b24)
            state[23 * W + lane] = b23 ^ (~b24 & b20)
            state[24 * W + lane] = b24 ^ (~b20 & b21)


@njit(types.void(_READ_2D, _READ_1D, _WRITE_2D), nogil=True, cache=True)
def hash_rows(words: "Words", tails: "Words", digests: "Words") -> None:
    """Hash every row.

    `words` (n, k) are its full words, `tails` (n,) its last bytes with the padding's first bit.
    Writes `digests` (n, 4).
    """
    count, length = words.shape
    blocks = length // RATE_WORDS + 1
    state = np.empty(25 * W, dtype=np.uint64)
    for start in range(0, count, W):
        lanes = min(W, count - start)
        state[:] = 0
        for block in range(blocks):
            for place in range(RATE_WORDS):
                index = block * RATE_WORDS + place
                if index < length:
                    for lane in range(lanes):
                        state[place * W + lane] ^= words[start + lane, index]
                elif index == length:
                    for lane in range(lanes):
                        state[place * W + lane] ^= tails[start + lane]
            if block == blocks - 1:
                for lane in range(lanes):
                    state[(RATE_WORDS - 1) * W + lane] ^= LAST_BIT
            _permute(state)
        for lane in range(lanes):
            for place in range(4):
                digests[start + lane, place] = state[place * W + lane]


@njit(types.void(_READ_2D, _READ_INDICES, _READ_1D, types.boolean, _WRITE_2D), nogil=True, cache=True)
def hash_lanes(lanes: "Words", places: "Indices", fixed: "Words", twice: bool, digests: "Words") -> None:
    """Hash messages that differ in few words.

    `fixed`: all blocks of a message, padding included; `lanes` (k, n): words to be added to it at the rising `places` (k,),
    n being a multiple of W. Writes `digests` (m, 4), m at most n; with `twice`, of the digests.
    """
    state = np.empty(25 * W, dtype=np.uint64)
    for start in range(0, len(digests), W):
        state[:] = 0
        varying = 0
        for first in range(0, len(fixed), RATE_WORDS):
            for place in range(RATE_WORDS):
                for lane in range(W):
                    state[place * W + lane] ^= fixed[first + place]
            while varying < len(places) and places[varying] < first + RATE_WORDS:
                place = places[varying] - first
                for lane in range(W):
                    state[place * W + lane] ^= lanes[varying, start + lane]
                varying += 1
            _permute(state)
        if twice:
            state[4 * W :] = 0
            for lane in range(W):
                state[4 * W + lane] = np.uint64(1)
                state[(RATE_WORDS - 1) * W + lane] = LAST_BIT
            _permute(state)
        for lane in range(min(W, len(digests) - start)):
            for place in range(4):
                digests[start + lane, place] = state[place * W + lane]


@njit(inline="always")
def _first_is_greater(nodes: "Words", first: int, second: int) -> bool:
    """Whether node `first` is above node `second` when both are read as big-endian numbers."""
    for place in range(4):
        a, b = nodes[first, place], nodes[second, place]
        if a != b:
            # The lowest byte in which the words differ is the first one that a big-endian reader meets.
            difference = a ^ b
            lowest = difference & (~difference + np.uint64(1))
            shift = np.uint64(0)
            while lowest >= np.uint64(256):
                lowest >>= np.uint64(8)
                shift += np.uint64(8)
            return bool(((a >> shift) & np.uint64(255)) > ((b >> shift) & np.uint64(255)))
    return False


@njit(types.void(_WRITE_2D, types.int64, types.int64), nogil=True, cache=True)
def hash_parents(nodes: "Words", first: int, last: int) -> None:
    """Write nodes[first:last] of a tree array (2n - 1, 4): hashes of both children, the smaller first."""
    state = np.empty(25 * W, dtype=np.uint64)
    for start in range(first, last, W):
        lanes = min(W, last - start)
        state[:] = 0
        for lane in range(lanes):
            low = 2 * (start + lane) + 1
            high = low + 1
            if _first_is_greater(nodes, low, high):
                low, high = high, low
            for place in range(4):
                state[place * W + lane] = nodes[low, place]
                state[(place + 4) * W + lane] = nodes[high, place]
            state[8 * W + lane] = np.uint64(1)
            state[(RATE_WORDS - 1) * W + lane] = LAST_BIT
        _permute(state)
        for lane in range(lanes):
            for place in range(4):
                nodes[start + lane, place] = state[place * W + lane]
