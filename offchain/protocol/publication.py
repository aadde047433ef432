"""Publishing a document in calldata, part by part (IAvailability.publish): what its player does whom no store serves."""

from dataclasses import dataclass

import numpy as np

from offchain.protocol.lists import ListDocument

PART_DEPTH = 7
"""No more than 2**7 leaves lie under the node of a part."""


@dataclass(frozen=True)
class Part:
    """One part: its number, abi.encode(kind, fields...) of its leaves by position, and the proof of its node."""

    number: int
    leaves: bytes
    proof: list[bytes]


def parts_of(document: ListDocument) -> list[Part]:
    """All parts of a document of the book, in the order of their numbers."""
    encoded = [row.tobytes() for leaves in document.lists for row in leaves.kind.encode(leaves.columns)]
    count, level = len(encoded), 0
    while (1 << (level + PART_DEPTH)) < count:
        level += 1
    tree = document.joint_tree
    return [
        Part(
            number,
            b"".join(encoded[position] for position in positions_of(count, level, number)),
            tree.proof_of_node((1 << level) - 1 + number),
        )
        for number in range(1 << level)
    ]


def positions_of(count: int, level: int, part: int) -> list[int]:
    """Positions of the leaves under node 2**level - 1 + part: those on the tree's deepest level, then those above."""
    indices = np.array([(1 << level) - 1 + part])
    deep: list[int] = []
    upper: list[int] = []
    while len(indices):
        leaves = indices[indices >= count - 1]
        upper, deep = deep, sorted(2 * count - 2 - int(index) for index in leaves)
        inner = indices[indices < count - 1]
        if not len(inner):
            break
        indices = np.sort(np.concatenate([2 * inner + 1, 2 * inner + 2]))
    return deep + upper
