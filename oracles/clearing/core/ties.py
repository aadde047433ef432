"""What tells offers of equal merit apart: never their order of arrival, but hashes of the session's seed.

First keccak256(abi.encode(seed, PoD, slot)), the first slot of several; then, of one place, keccak256(seed, leaf hash).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from offchain.protocol.keccak import HASH_BYTES, keccak256, keccak256_rows

Array = npt.NDArray[Any]
Tie = tuple[bytes, bytes]


def tie_of(seed: bytes, pod: bytes, slot: int, leaf_hash: bytes) -> Tie:
    """What an offer's place among those that tie with it goes by."""
    return keccak256(seed + pod + slot.to_bytes(HASH_BYTES, "big")), keccak256(seed + leaf_hash)


def places_of(seed: bytes, pods: Array, slots: Array) -> Array:
    """The first of the two hashes of many offers, as numbers: (n, 4) uint64, the most significant first. `pods`: (n, 32)."""
    words = np.empty((len(pods), 3, HASH_BYTES), dtype=np.uint8)
    words[:, 0] = np.frombuffer(seed, dtype=np.uint8)
    words[:, 1] = pods
    words[:, 2] = 0
    words[:, 2, -8:] = slots.astype(">u8").view(np.uint8).reshape(-1, 8)
    return _numbers(keccak256_rows(words.reshape(len(pods), 3 * HASH_BYTES)))


def ranks_of(seed: bytes, places: Array, leaf_hashes: Array) -> Array:
    """Rank of each offer among these by both hashes: (n,) uint64."""
    seeds = np.broadcast_to(np.frombuffer(seed, dtype=np.uint8), leaf_hashes.shape)
    leaves = _numbers(keccak256_rows(np.concatenate([seeds, leaf_hashes], axis=1)))
    order = np.lexsort((*leaves.T[::-1], *places.T[::-1]))
    ranks = np.empty(len(order), dtype=np.uint64)
    ranks[order] = np.arange(len(order), dtype=np.uint64)
    return ranks


def _numbers(hashes: Array) -> Array:
    return hashes.view(">u8").astype(np.uint64)
