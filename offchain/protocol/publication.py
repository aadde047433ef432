"""Publishing a document in calldata, part by part (IAvailability.publish): what its player does whom no store serves."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import EFFECTIVENESS, OFFER, REQUEST, WORD, LeafKind, Value
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.products import Side

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


def published_document(
    session: int, player: str, side: Side, leaf_count: int, parts: Mapping[int, bytes]
) -> ListDocument:
    """The document whose parts stand in calldata. `parts`: their leaves by number.

    Raises InvalidInput where a part is missing, a value doesn't fit its field, or lists are mixed: no such document can be
    told in the format that all others have, and it is void like bytes that can't be read.
    """
    level = 0
    while (1 << (level + PART_DEPTH)) < leaf_count:
        level += 1
    encoded: dict[int, bytes] = {}
    for number in range(1 << level):
        if number not in parts:
            raise InvalidInput("parts", sorted(parts), f"must have part {number}")
        at = 0
        for position in positions_of(leaf_count, level, number):
            size = WORD * (1 + len(_kind_at(parts[number], at).fields))
            encoded[position] = parts[number][at : at + size]
            at += size
    kinds = (OFFER,) if side is Side.OFFER else (REQUEST, EFFECTIVENESS)
    rows: dict[int, list[list[Value]]] = {kind.number: [] for kind in kinds}
    for position in range(leaf_count):
        kind = _kind_at(encoded[position], 0)
        rows[kind.number].append(_values(kind, encoded[position]))
    lists = tuple(LeafList.of_rows(kind, rows[kind.number]) for kind in kinds)
    # Read back from its bytes, so that it is held to all that a document is held to.
    return ListDocument.from_bytes(ListDocument(session, player, lists).to_bytes(), joint=True)


def _kind_at(leaves: bytes, at: int) -> LeafKind:
    number = int.from_bytes(leaves[at : at + WORD], "big")
    for kind in (OFFER, REQUEST, EFFECTIVENESS):
        if kind.number == number:
            return kind
    raise InvalidInput("kind", number, "must be of an offer, a request or an effectiveness")


def _values(kind: LeafKind, leaf: bytes) -> list[Value]:
    values: list[Value] = []
    for place, field in enumerate(kind.fields, start=1):
        word = leaf[WORD * place : WORD * (place + 1)]
        values.append(int.from_bytes(word, "big") if field.is_integer else word[WORD - field.width_bytes :])
    return values
