"""Documents in columns: the same roots as in JSON, and what is refused."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol import columnar, lists
from offchain.protocol.canonical_json import dumps
from offchain.protocol.cid import cid_of
from offchain.protocol.columns import Column, Constant, Counting
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import (
    BASELINE,
    EFFECTIVENESS,
    KINDS,
    OUTCOME_BY_OFFER,
    OUTCOME_BY_REQUEST,
    OUTCOME_RESERVE,
    REQUEST,
    LeafKind,
)
from offchain.protocol.lists import LeafList, ListDocument
from tests.examples import examples
from tests.protocol.test_columns import random_columns

AUTHOR = "0x" + "5a" * 20
MAGIC = columnar.MAGIC
NOTES = {"fronts": [[1, 2], [3, 4]]}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few leaves are many: in batches of 100."""
    with monkeypatch.context() as patched:
        patched.setattr(lists, "COLUMNAR_FROM", 10)
        patched.setattr(columnar, "BATCH_LEAVES", 100)
        yield


def outcome(count: int = 250) -> ListDocument:
    counts = {OUTCOME_BY_OFFER: count, OUTCOME_BY_REQUEST: 7, OUTCOME_RESERVE: 0}
    made = tuple(LeafList(kind, random_columns(kind, n)) for kind, n in counts.items())
    return ListDocument(3, AUTHOR, made, NOTES)


def request(first: int = 60, second: int = 45) -> ListDocument:
    """Two lists that share one tree."""
    length = first + second
    reliefs = random_columns(REQUEST, first) | {"length": Constant(length, first)}
    implied = {"position": Counting(first, second), "length": Constant(length, second)}
    effects = random_columns(EFFECTIVENESS, second) | implied
    return ListDocument(3, AUTHOR, (LeafList(REQUEST, reliefs), LeafList(EFFECTIVENESS, effects)))


def as_json(document: ListDocument) -> bytes:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lists, "COLUMNAR_FROM", 10**9)
        return document.to_bytes()


def same(one: ListDocument, other: ListDocument) -> bool:
    heads = [(each.session, each.author, dict(each.notes)) for each in (one, other)]
    rows = [[(leaves.kind, leaves.records()) for leaves in each.lists] for each in (one, other)]
    return heads[0] == heads[1] and rows[0] == rows[1]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_kind_reads_back_as_it_was_written_with_the_roots_of_its_json(kind: LeafKind) -> None:
    document = ListDocument(3, AUTHOR, (LeafList(kind, random_columns(kind, 230)),))
    raw, told = document.to_bytes(), as_json(document)
    assert (raw[:8], told[:1]) == (MAGIC, b"{")
    in_columns, in_json = (ListDocument.from_bytes(each, joint=False) for each in (raw, told))
    assert same(in_columns, document)
    assert same(in_json, document)
    assert in_columns.lists[0].root == in_json.lists[0].root == document.lists[0].root
    assert in_columns.lists[0].row(229) == document.lists[0].row(229)


def test_an_outcome_with_notes_and_an_empty_list() -> None:
    document = outcome()
    read = ListDocument.from_bytes(document.to_bytes(), joint=False)
    assert same(read, document)
    assert read.to_bytes() == document.to_bytes()
    assert [leaves.root for leaves in read.lists] == [leaves.root for leaves in document.lists]


def test_positions_run_on_over_the_lists_of_a_document_of_the_book() -> None:
    document = request()
    read = ListDocument.from_bytes(document.to_bytes(), joint=True)
    assert same(read, document)
    assert read.joint_tree.root == document.joint_tree.root
    assert ListDocument.from_bytes(as_json(document), joint=True).joint_tree.root == document.joint_tree.root
    apart = ListDocument.from_bytes(document.to_bytes(), joint=False)
    assert apart.joint_tree.root != document.joint_tree.root


def test_the_number_of_leaves_decides_and_the_bytes_are_the_same_each_time() -> None:
    few = ListDocument(3, AUTHOR, (LeafList(BASELINE, random_columns(BASELINE, 9)),))
    many = ListDocument(3, AUTHOR, (LeafList(BASELINE, random_columns(BASELINE, 10)),))
    assert not columnar.is_columnar(few.to_bytes())
    assert columnar.is_columnar(many.to_bytes())
    assert cid_of(many.to_bytes()) == cid_of(many.to_bytes())
    wide = {name: column[:].astype(np.int64) for name, column in random_columns(BASELINE, 10).items()}
    wide |= {name: random_columns(BASELINE, 10)[name] for name in ("pod", "salt")}
    assert ListDocument(3, AUTHOR, (LeafList(BASELINE, wide),)).to_bytes() == many.to_bytes()


def test_a_slice_is_read_from_the_batches_that_hold_it() -> None:
    document = outcome()
    raw = document.to_bytes()
    read = ListDocument.from_bytes(memoryview(raw), joint=False, in_parts=True)
    for part in (slice(0, 0), slice(0, 100), slice(99, 101), slice(100, 250), slice(5, 249)):
        for name, column in read.lists[0].columns.items():
            assert np.array_equal(column[part], document.lists[0].columns[name][part])
    for part in (slice(240, 3, -7), slice(0, 250, 99)):
        for name, column in read.lists[0].columns.items():
            assert np.array_equal(column[part], document.lists[0].columns[name][part])
    for rows in (np.array([249, 0, 100, 99, 0]), np.array([], dtype=np.int64)):
        for name, column in read.lists[0].columns.items():
            assert np.array_equal(column[rows], document.lists[0].columns[name][rows])
    for column in read.lists[2].columns.values():
        assert len(column[:]) == 0
    for name in ("startSlot", "position"):
        with pytest.raises(IndexError):
            read.lists[0].columns[name][np.array([250])]


def parts(raw: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and lists of a document."""
    length = int.from_bytes(raw[-16:-8], "big")
    return json.loads(raw[-16 - length : -16]), raw[8 : -16 - length]


def joined(header: object, body: bytes) -> bytes:
    shown = header if isinstance(header, bytes) else dumps(header)
    return MAGIC + body + shown + len(shown).to_bytes(8, "big") + MAGIC


def with_header(change: Callable[[dict[str, Any]], object]) -> bytes:
    header, body = parts(outcome().to_bytes())
    change(header)
    return joined(header, body)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda h: h.__setitem__("version", 2), "version"),
        (lambda h: h.pop("version"), "version"),
        (lambda h: h.__setitem__("session", -1), "session"),
        (lambda h: h.__setitem__("session", True), "session"),
        (lambda h: h.__setitem__("author", AUTHOR.upper()), "author"),
        (lambda h: h.__setitem__("notes", []), "notes"),
        (lambda h: h.__setitem__("extra", 1), "document"),
        (lambda h: h.__setitem__("lists", []), "lists"),
        (lambda h: h.__setitem__("lists", {}), "lists"),
        (lambda h: h["lists"].pop(), "lists"),
        (lambda h: h["lists"].append(3), "lists[3]"),
        (lambda h: h["lists"][0].pop("bytes"), "lists[0]"),
        (lambda h: h["lists"][0].__setitem__("more", 1), "lists[0]"),
        (lambda h: h["lists"][0].__setitem__("kind", "Leaf"), "lists[0].kind"),
        (lambda h: h["lists"][0].__setitem__("kind", ["OfferLeaf"]), "lists[0].kind"),
        (lambda h: h["lists"][0].__setitem__("kind", "RefusalLeaf"), "RefusalLeaf: columns"),
        (lambda h: h["lists"][0].__setitem__("leaves", 201), "OutcomeByOfferLeaf: batch 2"),
        (lambda h: h["lists"][0].__setitem__("leaves", 200), "OutcomeByOfferLeaf: batches"),
        (lambda h: h["lists"][0].__setitem__("leaves", -1), "lists[0].leaves"),
        (lambda h: h["lists"][0].__setitem__("leaves", "250"), "lists[0].leaves"),
        (lambda h: h["lists"][0].__setitem__("leaves", 2**32 - 1), "lists[0].bytes"),
        (lambda h: h["lists"][0].__setitem__("leaves", 2**32), "lists[0].leaves"),
        (lambda h: h["lists"][0].__setitem__("bytes", h["lists"][0]["bytes"] + 1), "lists[2].bytes"),
        (lambda h: h["lists"][0].__setitem__("bytes", h["lists"][0]["bytes"] - 1), "lists"),
        (lambda h: h["lists"][0].__setitem__("bytes", 2**53 - 1), "lists[0].bytes"),
        (lambda h: h["lists"][0].__setitem__("bytes", True), "lists[0].bytes"),
        (lambda h: h["lists"][2].__setitem__("bytes", 0), "lists"),
    ],
)
def test_a_header_that_is_not_exactly_a_documents_is_refused(change: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        ListDocument.from_bytes(with_header(change), joint=False)
    assert refusal.value.field == field


def test_a_header_in_another_spelling_or_a_longer_frame_is_refused() -> None:
    raw = outcome().to_bytes()
    header, body = parts(raw)
    for broken in (
        joined(dumps(header) + b" ", body),
        joined(b"{" + b'"version":1,' + dumps(header)[1:], body),
        joined([], body),
        joined(header, body + b"\0"),
        raw + b"\0",
        MAGIC,
        MAGIC + MAGIC,
        MAGIC + (2**60).to_bytes(8, "big") + MAGIC,
        MAGIC + bytes(8) + MAGIC,
    ):
        with pytest.raises(InvalidInput):
            ListDocument.from_bytes(broken, joint=False)


def test_truncated_bytes_are_refused_wherever_they_end() -> None:
    raw = outcome(30).to_bytes()
    for end in range(0, len(raw), 7):
        with pytest.raises(InvalidInput):
            ListDocument.from_bytes(raw[:end], joint=False)


def test_a_list_cut_short_is_refused_by_name() -> None:
    header, body = parts(ListDocument(3, AUTHOR, outcome().lists[:1]).to_bytes())
    for cut in (1, 8, 2000):
        header["lists"][0]["bytes"] = len(body) - cut
        with pytest.raises(InvalidInput, match="OutcomeByOfferLeaf"):
            ListDocument.from_bytes(joined(header, body[: len(body) - cut]), joint=False)


WRITTEN = outcome(30)


@examples(150)
@given(st.data())
def test_bytes_changed_anywhere_are_refused_or_another_document(data: st.DataObject) -> None:
    raw = bytearray(WRITTEN.to_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.sampled_from((0, 0x7F, 0xFF, raw[at] ^ 1)))
    try:
        read = ListDocument.from_bytes(bytes(raw), joint=False)
    except InvalidInput:
        return
    assert [len(leaves.root) for leaves in read.lists] == [32] * len(read.lists)


def forged(
    change: Callable[[dict[str, pa.Array]], object], nullable: str = "", metadata: Any = None
) -> bytes:
    """A baseline of 250 leaves whose Arrow file another program wrote."""
    columns = random_columns(BASELINE, 250)
    arrays: dict[str, pa.Array] = {}
    for name in ("pod", "slot", "powerW", "reactiveVar", "salt"):
        values: Column = columns[name]
        rows = [row.tobytes() for row in values[:]] if name in ("pod", "salt") else values[:]
        arrays[name] = pa.array(rows, pa.binary(32)) if name in ("pod", "salt") else pa.array(rows)
    change(arrays)
    fields = [pa.field(name, array.type, nullable=name == nullable) for name, array in arrays.items()]
    schema = pa.schema(fields, metadata=metadata)
    file = io.BytesIO()
    with pa.ipc.new_file(file, schema) as out:
        out.write_table(pa.table(list(arrays.values()), schema=schema), max_chunksize=100)
    body = file.getvalue()
    entry = {"kind": "BaselineLeaf", "leaves": 250, "bytes": len(body)}
    return joined({"version": 1, "session": 3, "author": AUTHOR, "lists": [entry]}, body)


def test_an_arrow_file_that_another_program_wrote_is_as_good() -> None:
    read = ListDocument.from_bytes(forged(lambda arrays: None), joint=False)
    assert read.lists[0].root == LeafList(BASELINE, random_columns(BASELINE, 250)).root


def slot_as(type_: pa.DataType) -> Callable[[dict[str, pa.Array]], object]:
    return lambda arrays: arrays.__setitem__("slot", pa.array([1] * 250, type_))


@pytest.mark.parametrize(
    "raw",
    [
        forged(lambda arrays: arrays.pop("slot")),
        forged(lambda arrays: arrays.__setitem__("more", arrays["slot"])),
        forged(lambda arrays: arrays.__setitem__("position", pa.array(range(250), pa.uint32()))),
        forged(lambda arrays: arrays.__setitem__("salt", arrays.pop("salt").cast(pa.binary()))),
        forged(lambda arrays: arrays.__setitem__("slot", arrays.pop("slot"))),
        forged(lambda arrays: None, nullable="slot"),
        forged(lambda arrays: None, metadata={"who": "me"}),
        forged(slot_as(pa.uint8())),
        forged(slot_as(pa.int16())),
        forged(slot_as(pa.int64())),
        forged(slot_as(pa.float64())),
        forged(slot_as(pa.dictionary(pa.int8(), pa.uint16()))),
    ],
)
def test_columns_of_another_name_order_or_type_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput) as refusal:
        ListDocument.from_bytes(raw, joint=False)
    assert refusal.value.field == "BaselineLeaf: columns"
    assert "must be, without nulls: fixed_size_binary[32] pod, uint16 slot" in refusal.value.rule


def test_nulls_are_refused_though_the_schema_says_there_are_none() -> None:
    def change(arrays: dict[str, pa.Array]) -> None:
        arrays["slot"] = pa.array([*[1] * 120, None, *[1] * 129], pa.uint16())

    with pytest.raises(InvalidInput) as refusal:
        ListDocument.from_bytes(forged(change), joint=False)
    assert (refusal.value.field, refusal.value.value) == ("BaselineLeaf: batch 1.slot", 1)


def test_batches_of_another_length_are_refused() -> None:
    document = ListDocument(3, AUTHOR, (LeafList(BASELINE, random_columns(BASELINE, 250)),))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(columnar, "BATCH_LEAVES", 99)
        raw = document.to_bytes()
    with pytest.raises(InvalidInput, match="batch 0 = 99: must have 100 leaves"):
        ListDocument.from_bytes(raw, joint=False)


def test_integers_that_json_cannot_carry_are_refused_by_leaf_also_where_they_are_read() -> None:
    big = np.zeros(250, dtype=np.uint64)
    big[120] = 2**53
    leaves = LeafList(OUTCOME_BY_OFFER, random_columns(OUTCOME_BY_OFFER, 250) | {"coverUeur": big})
    document = ListDocument(3, AUTHOR, (leaves,))
    with pytest.raises(InvalidInput, match=r"OutcomeByOfferLeaf\[120\].coverUeur"):
        document.to_bytes()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(LeafKind, "check_range", lambda *_: None)
        raw = document.to_bytes()
    with pytest.raises(InvalidInput, match=r"OutcomeByOfferLeaf\[120\].coverUeur"):
        ListDocument.from_bytes(raw, joint=False)
    in_parts = ListDocument.from_bytes(raw, joint=False, in_parts=True).lists[0]
    assert in_parts.row(99) == leaves.row(99)
    with pytest.raises(InvalidInput, match=r"OutcomeByOfferLeaf\[120\].coverUeur"):
        in_parts.row(199)


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [("position", 3, "BaselineLeaf[200].position"), ("length", 249, "BaselineLeaf[200].length")],
)
def test_positions_that_the_list_does_not_imply_cannot_be_written(name: str, value: int, field: str) -> None:
    columns = random_columns(BASELINE, 250)
    wrong = columns[name][:].copy()
    wrong[200] = value
    with pytest.raises(InvalidInput) as refusal:
        ListDocument(3, AUTHOR, (LeafList(BASELINE, columns | {name: wrong}),)).to_bytes()
    assert refusal.value.field == field


def test_a_small_file_cannot_claim_to_be_a_large_list() -> None:
    columns = random_columns(BASELINE, 10_000) | {"salt": Constant(bytes(32), 10_000)}
    document = ListDocument(3, AUTHOR, (LeafList(BASELINE, columns | {"pod": Constant(bytes(32), 10_000)}),))
    with pytest.raises(InvalidInput, match=r"lists\[0\].bytes = .*must be at least 32 a leaf, 320000"):
        document.to_bytes()
