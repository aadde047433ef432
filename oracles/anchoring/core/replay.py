"""A batch of readings held to its signatures again, as `verify` does: all at once, from the leaves alone."""

from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from offchain.protocol.errors import FlexledgerError
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


class UnsignedReading(FlexledgerError):
    """A reading in an anchored batch that isn't signed by its PoD's Light Node."""


def check_signatures(document: ListDocument, node_of: Mapping[bytes, str], domain: bytes) -> None:
    """Raise UnsignedReading at the first leaf that its PoD's registered node didn't sign under this domain."""
    leaves = document.list_of(READING)
    if not len(leaves):
        return
    by_name = {field.name: place for place, field in enumerate(READING.fields, start=1)}
    encoded = READING.encode(leaves.columns)
    words = np.concatenate(
        [encoded[:, WORD * by_name[name] : WORD * (by_name[name] + 1)] for name in _SIGNED_FIELDS], axis=1
    )
    digests = typed_digests(domain, type_hash(f"Reading({Reading.MEMBERS})"), np.ascontiguousarray(words))
    compact = zip(leaves.words("r"), leaves.words("vs"), strict=True)
    signatures = np.frombuffer(b"".join(from_compact(r, vs) for r, vs in compact), dtype=np.uint8)
    signers = recover_addresses(digests, signatures.reshape(len(leaves), 65))
    claimed = zip(leaves.words("pod"), leaves.words("node"), signers, strict=True)
    for index, (pod, node, signer) in enumerate(claimed):
        registered = node_of.get(pod)
        if registered is None or signer != registered or checksum_address(node) != registered:
            raise UnsignedReading(
                f"ReadingLeaf[{index}] of PoD 0x{pod.hex()}: signed by {signer}, its Light Node is {registered}"
            )
