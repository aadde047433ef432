"""The document store in a folder: what it keeps, and what it refuses to give out."""

from pathlib import Path
from typing import BinaryIO

import pytest

from offchain.protocol.cid import CHUNK_BYTES, DAG_PB, RAW, cid_of
from offchain.store.documents import DocumentCorrupt, DocumentMissing, FolderStore


@pytest.mark.parametrize("data", [b"", b"offer", bytes(CHUNK_BYTES), b"x" * (CHUNK_BYTES + 1)])
def test_gives_back_what_it_stored_also_after_a_restart(tmp_path: Path, data: bytes) -> None:
    cid = FolderStore(tmp_path).put(data)
    assert cid == cid_of(data)
    assert cid.codec == (DAG_PB if len(data) > CHUNK_BYTES else RAW)
    reopened = FolderStore(tmp_path)
    assert reopened.has(cid)
    assert reopened.get(cid) == data


def test_storing_twice_leaves_one_file_untouched(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    path = store.path_of(store.put(b"outcome"))
    written = path.stat()
    store.put(b"outcome")
    assert path.stat().st_mtime_ns == written.st_mtime_ns
    assert path.stat().st_ino == written.st_ino
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]


def test_missing_document_is_named(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    cid = cid_of(b"never stored")
    assert not store.has(cid)
    with pytest.raises(DocumentMissing, match=f"document {cid}: not found at {store.path_of(cid)}"):
        store.get(cid)


@pytest.mark.parametrize("change", [b"Offer", b"offe", b"offer ", b""])
def test_changed_document_is_refused_and_mended_by_storing_it_again(tmp_path: Path, change: bytes) -> None:
    store = FolderStore(tmp_path)
    cid = store.put(b"offer")
    store.path_of(cid).write_bytes(change)
    with pytest.raises(DocumentCorrupt, match=f"document {cid}: .*{store.path_of(cid)}.*{cid_of(change)}"):
        store.get(cid)
    store.put(b"offer")
    assert store.get(cid) == b"offer"


@pytest.mark.parametrize("length", [0, 1, CHUNK_BYTES + 1])
def test_a_document_may_be_written_to_a_file_and_read_as_a_mapped_one(tmp_path: Path, length: int) -> None:
    store, data = FolderStore(tmp_path), b"x" * length
    cid = store.put_written(lambda file: [file.write(data[at : at + 1000]) for at in range(0, length, 1000)])
    assert cid == cid_of(data)
    assert bytes(store.mapped(cid)) == store.get(cid) == data
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [store.path_of(cid)]
    store.path_of(cid).write_bytes(data + b"!")
    with pytest.raises(DocumentCorrupt):
        store.mapped(cid)
    assert bytes(store.unchecked(cid)) == data + b"!"
    store.path_of(cid).unlink()
    for read in (store.mapped, store.unchecked):
        with pytest.raises(DocumentMissing, match=str(cid)):
            read(cid)


def test_what_is_kept_beside_a_document_is_none(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    cid = store.put(b"outcome")
    assert store.beside(cid, "tree-0") is None
    for data in (b"nodes", b"other nodes"):
        store.put_beside(cid, "tree-0", data)
        kept = store.beside(cid, "tree-0")
        assert kept is not None
        assert bytes(kept) == data
    assert store.cids() == [cid]


def test_failing_half_way_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderStore(tmp_path)

    def no_space(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("offchain.store.documents.os.fsync", no_space)
        with pytest.raises(OSError, match="No space left"):
            store.put(b"offer")

    def breaking(file: BinaryIO) -> None:
        file.write(b"off")
        raise ValueError("a value doesn't fit")

    with pytest.raises(ValueError, match="doesn't fit"):
        store.put_written(breaking)
    assert not store.has(cid_of(b"offer"))
    assert not [found for found in tmp_path.rglob("*") if found.is_file()]
