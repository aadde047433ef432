"""Documents made of lists of leaves: what players commit to, oracles post and anchors stand for.

A document is canonical JSON (RFC 8785):

    {"author": "0x...", "lists": [{"kind": "OfferLeaf", "leaves": [[0, 2, "0x...", ...], ...]}], "session": 1, "version": 1}

Each leaf is an array in the order of its kind's fields: integers as numbers, bytes32 and addresses as 0x-hex. A
request document holds two lists (RequestLeaf, EffectivenessLeaf) that share one tree, positions running on; an
outcome's lists each have a tree of their own. Every leaf's `position` and `length` must say what the list is.

A document of COLUMNAR_FROM leaves or more is written in columns instead (see `columnar`). Which encoding it has shows in its
first bytes; its roots are the same in both.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from offchain.protocol import canonical_json, columnar
from offchain.protocol.columns import Column, Constant, Counting
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import HASH_BYTES, PART_ROWS, in_parallel
from offchain.protocol.leaves import KINDS, Columns, LeafKind, Value
from offchain.protocol.merkle import ListTree

VERSION = 1
COLUMNAR_FROM = 65_536
"""Leaves of a document from which on it is written in columns: JSON would take tens of megabytes, and seconds to read."""


@dataclass(frozen=True)
class Record:
    """One leaf, its values by name of field."""

    values: Mapping[str, Value]

    def integer(self, name: str) -> int:
        """An integer field."""
        value = self.values[name]
        if not isinstance(value, int):
            raise InvalidInput(name, value, "is not an integer field")
        return value

    def word(self, name: str) -> bytes:
        """A bytes32 or address field."""
        value = self.values[name]
        if not isinstance(value, bytes):
            raise InvalidInput(name, value, "is not a field of bytes")
        return value


@dataclass(frozen=True)
class LeafList:
    """A list of leaves of one kind, as columns."""

    kind: LeafKind
    columns: Columns

    @classmethod
    def of_rows(cls, kind: LeafKind, rows: Sequence[Sequence[Value]]) -> "LeafList":
        """A list from rows in the order of the kind's fields; InvalidInput where a value doesn't fit."""
        return cls(kind, kind.columns(rows))

    @classmethod
    def of_columns(cls, kind: LeafKind, columns: Columns) -> "LeafList":
        """A list from columns; InvalidInput where one is missing or too many, or a value doesn't fit."""
        kind.check(columns)
        return cls(kind, columns)

    def __len__(self) -> int:
        return self.kind.count(self.columns)

    def row(self, index: int) -> tuple[Value, ...]:
        """Values of the leaf at an index of this list."""
        return self.kind.row(self.columns, index)

    def records(self) -> list[Record]:
        """All leaves in order."""
        return self._records(0, len(self))

    def record(self, index: int) -> Record:
        """The leaf at an index of this list."""
        return self._records(index, index + 1)[0]

    def _records(self, first: int, last: int) -> list[Record]:
        names = [leaf_field.name for leaf_field in self.kind.fields]
        rows = self.kind.rows(self.columns, first, last)
        return [Record(dict(zip(names, row, strict=True))) for row in rows]

    def integers(self, name: str) -> list[int]:
        """A column of integers as Python's."""
        return list(self.columns[name][:].tolist())

    def words(self, name: str) -> list[bytes]:
        """A column of bytes32 or addresses as bytes."""
        column = self.columns[name][:]
        raw, width = column.tobytes(), column.shape[1] if len(column) else 0
        return [raw[index * width : (index + 1) * width] for index in range(len(column))]

    def encoded(self, index: int) -> bytes:
        """abi.encode(kind, fields...) of the leaf at an index of this list."""
        return self.kind.encode(self.columns, index, index + 1).tobytes()

    def hashes(self, first: int, last: int) -> npt.NDArray[np.uint8]:
        """Hashes of some leaves, a few thousand at a time: shape (last - first, 32)."""
        return self.kind.hashes(self.columns, first, last)

    @property
    def leaf_hashes(self) -> npt.NDArray[np.uint8]:
        """Hash of every leaf: shape (n, 32)."""
        out = np.empty((len(self), HASH_BYTES), dtype=np.uint8)

        def work(first: int, last: int) -> None:
            out[first:last] = self.hashes(first, last)

        in_parallel(work, 0, len(self))
        return out

    @property
    def tree(self) -> ListTree:
        """The list's own Merkle tree."""
        return ListTree(len(self), self.hashes)

    @property
    def root(self) -> bytes:
        """Root of the list's own tree."""
        return self.tree.root

    def first_difference(self, other: "LeafList") -> int | None:
        """Index of the first leaf that differs from the one of another list of this kind and length."""
        for first in range(0, len(self), PART_ROWS):
            last = min(first + PART_ROWS, len(self))
            mine, theirs = (each.kind.encode(each.columns, first, last) for each in (self, other))
            differing = np.flatnonzero(np.any(mine != theirs, axis=1))
            if len(differing):
                return first + int(differing[0])
        return None


@dataclass(frozen=True)
class ListDocument:
    """A document of one or more lists, by an author for a session (0: for none)."""

    session: int
    author: str
    lists: tuple[LeafList, ...]
    notes: Mapping[str, object] = field(default_factory=dict)
    """What the reader should know beside the leaves (JSON of integers, strings, lists); part of the bytes, of no root."""

    def list_of(self, kind: LeafKind) -> LeafList:
        """The document's list of a kind; InvalidInput if it has none."""
        for leaves in self.lists:
            if leaves.kind is kind:
                return leaves
        raise InvalidInput(
            "lists", [leaves.kind.name for leaves in self.lists], f"must hold a list of {kind.name}"
        )

    @property
    def leaf_count(self) -> int:
        """Leaves of all lists together."""
        return sum(len(leaves) for leaves in self.lists)

    @property
    def joint_tree(self) -> ListTree:
        """One tree over all lists, one after the other: the tree of a document of the book."""
        return ListTree(self.leaf_count, self.joint_hashes)

    def joint_hashes(self, first: int, last: int) -> npt.NDArray[np.uint8]:
        """Hashes of leaves by their position in the joint tree."""
        parts = []
        for leaves in self.lists:
            start, end = max(first, 0), min(last, len(leaves))
            if start < end:
                parts.append(leaves.hashes(start, end))
            first, last = first - len(leaves), last - len(leaves)
        return np.concatenate(parts)

    def joint_encoded(self, position: int) -> bytes:
        """abi.encode(kind, fields...) of a leaf by its position in the joint tree."""
        for leaves in self.lists:
            if position < len(leaves):
                return leaves.encoded(position)
            position -= len(leaves)
        raise InvalidInput("position", position, "must be below the document's leaves")

    def to_bytes(self) -> bytes:
        """The document as it is stored: canonical JSON, or columns where it has many leaves. Errors as `write`."""
        buffer = io.BytesIO()
        self.write(buffer)
        return buffer.getvalue()

    def write(self, file: BinaryIO) -> None:
        """Write what `to_bytes` gives, a part at a time where it is large.

        In columns positions aren't written but implied: raises InvalidInput where they aren't as they must be.
        """
        content: dict[str, object] = {
            "version": VERSION,
            "session": self.session,
            "author": self.author.lower(),
        }
        if self.notes:
            content["notes"] = dict(self.notes)
        if self.leaf_count >= COLUMNAR_FROM:
            self._check_positions(joint=self._positions_run_on)
            columnar.write(file, content, [(leaves.kind, leaves.columns) for leaves in self.lists])
            return
        lists = [
            {
                "kind": leaves.kind.name,
                "leaves": [
                    [_shown(value) for value in row]
                    for row in leaves.kind.rows(leaves.columns, 0, len(leaves))
                ],
            }
            for leaves in self.lists
        ]
        file.write(canonical_json.dumps({**content, "lists": lists}))

    @classmethod
    def from_bytes(cls, raw: bytes | memoryview, *, joint: bool, in_parts: bool = False) -> "ListDocument":
        """Read and check a document, JSON or columns. A large one may be a mapped file: it is read where it is asked for.

        `joint`: positions run on over all lists (documents of the book); else each list counts its own. Raises
        InvalidInput naming field, value and rule for anything that isn't exactly such a document; with `in_parts` the leaves
        of one in columns are checked where they are read, not before.
        """
        if columnar.is_columnar(raw):
            content, stored = columnar.read(raw)
            session, author, notes = _read_header(content)
            document = cls(session, author, _stored_lists(stored, joint), notes)
            if not in_parts:
                for leaves in document.lists:
                    columnar.check(leaves.columns)
            return document
        content = _object(canonical_json.loads(bytes(raw)), "document")
        session, author, notes = _read_header(content)
        raw_lists = content.get("lists")
        if not isinstance(raw_lists, list) or not raw_lists:
            raise InvalidInput("lists", raw_lists, "must be an array of at least one list")
        lists = tuple(_read_list(entry, index) for index, entry in enumerate(raw_lists))
        document = cls(session, author, lists, notes)
        document._check_positions(joint)
        return document

    @property
    def _positions_run_on(self) -> bool:
        """Whether positions run on from the first list to the others. Where only one has leaves, it makes no difference."""
        return any(np.any(leaves.columns["position"][:1] != 0) for leaves in self.lists[1:])

    def _check_positions(self, joint: bool) -> None:
        first = 0
        for leaves in self.lists:
            length = self.leaf_count if joint else len(leaves)
            if not joint:
                first = 0
            _require_same(leaves, "position", Counting(first, len(leaves)), "must be {}")
            _require_same(leaves, "length", Constant(length, len(leaves)), "must be the list's length, {}")
            first += len(leaves)


def next_positions(keys: Sequence[object]) -> list[int]:
    """For each entry of a list, position + 1 of the next entry with the same key, 0 for the last: a leaf's `next...`."""
    following: dict[object, int] = {}
    out = [0] * len(keys)
    for position in range(len(keys) - 1, -1, -1):
        out[position] = following.get(keys[position], 0)
        following[keys[position]] = position + 1
    return out


def previous_positions(keys: Sequence[object]) -> list[int]:
    """As `next_positions`, of the entry before, 0 for the first: a leaf's `previous...`."""
    last: dict[object, int] = {}
    out = [0] * len(keys)
    for position, key in enumerate(keys):
        out[position] = last.get(key, 0)
        last[key] = position + 1
    return out


def _shown(value: Value) -> int | str:
    return value if isinstance(value, int) else "0x" + value.hex()


def _is_hex(value: str, width: int) -> bool:
    digits = value[2:]
    return (
        value.startswith("0x") and len(digits) == 2 * width and all(c in "0123456789abcdef" for c in digits)
    )


def _object(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise InvalidInput(where, value, "must be an object")
    return value


def _read_header(content: Mapping[str, object]) -> tuple[int, str, Mapping[str, object]]:
    """Session, author and notes of a document in either encoding."""
    unknown = set(content) - {"version", "session", "author", "lists", "notes"}
    if unknown:
        raise InvalidInput("document", sorted(unknown), "has fields that no document has")
    if content.get("version") != VERSION:
        raise InvalidInput("version", content.get("version"), f"must be {VERSION}")
    session, author = content.get("session"), content.get("author")
    if isinstance(session, bool) or not isinstance(session, int) or session < 0:
        raise InvalidInput("session", session, "must be a session's number, or 0")
    if not isinstance(author, str) or not _is_hex(author, 20):
        raise InvalidInput("author", author, "must be a lower-case 0x address")
    return session, author, _object(content.get("notes", {}), "notes")


def _require_same(leaves: LeafList, name: str, expected: Column, rule: str) -> None:
    """Raise InvalidInput for the first leaf whose field isn't as the list implies it."""
    column = leaves.columns[name]
    for first in range(0, len(leaves), PART_ROWS):
        last = min(first + PART_ROWS, len(leaves))
        mine, must_be = column[first:last], expected[first:last]
        differing = np.flatnonzero(mine != must_be)
        if len(differing):
            index = int(differing[0])
            where = f"{leaves.kind.name}[{first + index}].{name}"
            raise InvalidInput(where, int(mine[index]), rule.format(must_be[index]))


def _kind_of(name: object, index: int) -> LeafKind:
    kind = KINDS.get(str(name))
    if kind is None:
        raise InvalidInput(f"lists[{index}].kind", name, f"must be one of {', '.join(KINDS)}")
    return kind


def _stored_lists(stored: Sequence[columnar.ColumnarList], joint: bool) -> tuple[LeafList, ...]:
    total, first, lists = sum(entry.leaves for entry in stored), 0, []
    for index, entry in enumerate(stored):
        kind = _kind_of(entry.kind_name, index)
        length = total if joint else entry.leaves
        lists.append(LeafList(kind, entry.columns(kind, first if joint else 0, length)))
        first += entry.leaves
    return tuple(lists)


def _read_list(entry: object, index: int) -> LeafList:
    content = _object(entry, f"lists[{index}]")
    kind = _kind_of(content.get("kind"), index)
    leaves = content.get("leaves")
    if set(content) != {"kind", "leaves"} or not isinstance(leaves, list):
        raise InvalidInput(
            f"lists[{index}]", sorted(content), "must hold exactly kind and an array of leaves"
        )
    return LeafList.of_rows(kind, [_read_leaf(kind, leaf, position) for position, leaf in enumerate(leaves)])


def _read_leaf(kind: LeafKind, leaf: object, index: int) -> list[Value]:
    if not isinstance(leaf, list) or len(leaf) != len(kind.fields):
        raise InvalidInput(f"{kind.name}[{index}]", leaf, f"must be an array of {len(kind.fields)} values")
    values: list[Value] = []
    for leaf_field, value in zip(kind.fields, leaf, strict=True):
        if leaf_field.is_integer:
            values.append(value)
        elif isinstance(value, str) and _is_hex(value, leaf_field.width_bytes):
            values.append(bytes.fromhex(value[2:]))
        else:
            rule = f"must be {leaf_field.width_bytes} bytes as lower-case 0x-hex"
            raise InvalidInput(f"{kind.name}[{index}].{leaf_field.name}", value, rule)
    return values
