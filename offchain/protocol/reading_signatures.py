"""Batches of readings held to their signatures, as settlement and `verify` do: all at once, from the leaves alone."""

from collections.abc import Callable
from dataclasses import fields

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import READING, WORD
from offchain.protocol.lists import ListDocument
from offchain.protocol.signatures import (
    checksum_address,
    from_compact,
    recover_addresses,
    type_hash,
    typed_digests,
)
from offchain.protocol.typed_data import Reading

_SIGNED_FIELDS = [field.name for field in fields(Reading)]


KeyServed = Callable[[bytes, str, int], bool]
"""(PoD, address of a Light Node's key, instant) to whether the key served the PoD then."""


def genuine_readings(document: ListDocument, served: KeyServed, domain: bytes) -> list[bool]:
    """For each leaf of a batch whether its `node` signed it under this domain, low s only, and served its PoD when the
    period ended: what ReadingAnchor.isGenuine says."""
    leaves = document.list_of(READING)
    if not len(leaves):
        return []
    by_name = {field.name: place for place, field in enumerate(READING.fields, start=1)}
    encoded = READING.encode(leaves.columns)
    words = np.concatenate(
        [encoded[:, WORD * by_name[name] : WORD * (by_name[name] + 1)] for name in _SIGNED_FIELDS], axis=1
    )
    digests = typed_digests(domain, type_hash(f"Reading({Reading.MEMBERS})"), np.ascontiguousarray(words))
    compact = zip(leaves.words("r"), leaves.words("vs"), strict=True)
    signatures = b"".join(_signature(r, vs) for r, vs in compact)
    signers = recover_addresses(digests, np.frombuffer(signatures, dtype=np.uint8).reshape(len(leaves), 65))
    claimed = zip(
        leaves.words("pod"),
        leaves.words("node"),
        leaves.integers("startTime"),
        leaves.integers("periodS"),
        signers,
        strict=True,
    )
    return [
        signer == checksum_address(node) and served(pod, signer, start_s + period_s)
        for pod, node, start_s, period_s, signer in claimed
    ]


def _signature(r: bytes, vs: bytes) -> bytes:
    """The 65-byte signature, or zeros, which nobody's is, for words that are none."""
    try:
        return from_compact(r, vs)
    except InvalidInput:
        return bytes(65)
