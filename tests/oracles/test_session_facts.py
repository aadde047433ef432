"""What a bad or missing document of one player does to the others: nothing."""

from pathlib import Path

import pytest

from offchain.protocol.book_documents import offers_document
from offchain.protocol.cid import cid_of
from offchain.store.documents import DocumentCorrupt, FolderStore
from oracles.session_facts import fetch_book_document
from tests.oracles.clearing.books import AGGREGATORS, offer, salt

DOCUMENT = offers_document(1, AGGREGATORS[0], [offer(0, 1000, 10_000)], salt)
ROOT = DOCUMENT.joint_tree.root


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def test_a_document_with_its_root_is_taken(store: FolderStore) -> None:
    found = fetch_book_document(store, store.put(DOCUMENT.to_bytes()), ROOT)
    assert found is not None
    assert found.to_bytes() == DOCUMENT.to_bytes()


def test_one_that_was_never_brought_is_void(store: FolderStore) -> None:
    assert fetch_book_document(store, cid_of(DOCUMENT.to_bytes()), ROOT) is None


def test_one_with_another_root_or_no_document_is_void(store: FolderStore) -> None:
    assert fetch_book_document(store, store.put(DOCUMENT.to_bytes()), bytes(32)) is None
    assert fetch_book_document(store, store.put(b"{}"), ROOT) is None


def test_bytes_changed_in_the_store_are_no_players_doing(store: FolderStore) -> None:
    cid = store.put(DOCUMENT.to_bytes())
    store.path_of(cid).write_bytes(b"{}")
    with pytest.raises(DocumentCorrupt):
        fetch_book_document(store, cid, ROOT)
