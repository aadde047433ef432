"""Publishing a document in calldata, part by part (IAvailability.publish): what its player does whom no store serves."""

from collections.abc import Mapping
from dataclasses import dataclass

from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import EFFECTIVENESS, OFFER, REQUEST, WORD, LeafKind, Value
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.merkle import leaves_under
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
    level, tree = _level(len(encoded)), document.joint_tree
    parts = []
    for number in range(1 << level):
        positions = _positions(len(encoded), level, number)
        # Whatever leaf of the part is proven, from the part's node up it is the node's own proof.
        siblings = tree.proof(positions[0])
        proof = siblings[len(siblings) - level :]
        parts.append(Part(number, b"".join(encoded[position] for position in positions), proof))
    return parts


def _level(count: int) -> int:
    """Depth of the nodes of parts."""
    level = 0
    while (1 << (level + PART_DEPTH)) < count:
        level += 1
    return level


def _positions(count: int, level: int, part: int) -> list[int]:
    """Positions of the leaves of a part, in its order."""
    return [position for positions in leaves_under(count, (1 << level) - 1 + part) for position in positions]


def published_document(
    session: int, player: str, side: Side, leaf_count: int, parts: Mapping[int, bytes]
) -> ListDocument:
    """The document whose parts stand in calldata. `parts`: their leaves by number.

    Raises InvalidInput where a part is missing, a value doesn't fit its field, or lists are mixed: no such document can be
    told in the format that all others have, and it is void like bytes that can't be read.
    """
    level = _level(leaf_count)
    encoded: dict[int, bytes] = {}
    for number in range(1 << level):
        if number not in parts:
            raise InvalidInput("parts", sorted(parts), f"must have part {number}")
        at = 0
        for position in _positions(leaf_count, level, number):
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
