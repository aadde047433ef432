"""Lists of leaves as oracles post them, for who demands their leaves."""

from dataclasses import dataclass

from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import LeafKind, Value
from offchain.protocol.lists import LeafList
from offchain.protocol.merkle import ListTree, MerkleTree


@dataclass(frozen=True)
class Listed:
    """A list: its leaves' words and its tree."""

    words: list[bytes]
    tree: ListTree | MerkleTree

    def shown(self, position: int) -> tuple[bytes, list[bytes]]:
        """What `answer` takes for a leaf."""
        return self.words[position], list(self.tree.proof(position))


def listed(kind: LeafKind, count: int = 5) -> Listed:
    """A list of so many leaves that differ in their position and what is random."""
    leaves = LeafList.of_rows(kind, [_row(kind, position, count) for position in range(count)])
    return Listed([leaves.encoded(index) for index in range(count)], leaves.tree)


def _row(kind: LeafKind, position: int, count: int) -> list[Value]:
    values: dict[str, Value] = {"position": position, "length": count}
    for field in kind.fields:
        if field.is_integer:
            values.setdefault(field.name, 1)
        else:
            values[field.name] = keccak256(f"{kind.name} {position} {field.name}".encode())[
                : field.width_bytes
            ]
    return [values[field.name] for field in kind.fields]
