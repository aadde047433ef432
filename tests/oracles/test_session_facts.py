"""What a bad or missing document of one player does to the others: nothing."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from offchain.chain.market_view import Notice
from offchain.protocol.book_documents import offers_document
from offchain.protocol.cid import RAW, Cid, cid_of
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import BASELINE
from offchain.protocol.lists import LeafList, ListDocument
from offchain.store.documents import DocumentCorrupt, FolderStore
from oracles.session_facts import baseline_documents, fetch_book_document
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


def test_an_authors_first_baseline_stands(store: FolderStore) -> None:
    """Readable or not; what is anchored in the gate's first second is too late."""
    a, b, c = ("0x" + letter * 40 for letter in "abc")
    made = [baselines(author, power_w) for author, power_w in ((a, 1), (a, 2), (b, 3), (c, 4))]
    first, second, others, late = made
    hidden = Cid(RAW, keccak256(b"never brought"))
    cids = [store.put(document.to_bytes()) for document in made]
    gate_s = 100
    noted = [
        (a, first, cids[0], 10),
        (a, second, cids[1], 11),
        (b, others, hidden, 12),
        (b, others, cids[2], 13),
        (c, late, cids[3], gate_s),
    ]
    notices = [
        Notice(author, document.list_of(BASELINE).root, cid, at_s, bytes(32))
        for author, document, cid, at_s in noted
    ]
    view = SimpleNamespace(
        notices=lambda _kind, _session: notices,
        is_before=lambda _terms, at_s, deadline_s: at_s < deadline_s,
    )
    terms = SimpleNamespace(session=1, baselineGate=gate_s)
    found = [(author, document.to_bytes()) for author, document in baseline_documents(view, store, terms)]
    assert found == [(a, first.to_bytes())]


def baselines(author: str, power_w: int) -> ListDocument:
    rows = [(0, 1, keccak256(b"pod"), 0, power_w, 0, bytes(32))]
    return ListDocument(1, author, (LeafList.of_rows(BASELINE, rows),))
