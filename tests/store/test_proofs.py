"""Proofs of leaves of stored documents, from trees whose upper nodes are kept beside them."""

from pathlib import Path
from typing import Any

import pytest

from offchain.protocol import columnar, lists, merkle
from offchain.protocol.cid import Cid, cid_of
from offchain.protocol.claims import Claim, claim_leaf, claim_tree, claims_note
from offchain.protocol.columns import Constant, Counting
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import (
    EFFECTIVENESS,
    OUTCOME_BY_OFFER,
    OUTCOME_BY_REQUEST,
    REQUEST,
    SETTLEMENT,
    LeafKind,
)
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.merkle import MerkleTree
from offchain.store.documents import DocumentCorrupt, DocumentMissing, FolderStore
from offchain.store.proofs import ProvenLeaves
from tests.protocol.test_columns import random_columns

AUTHOR = "0x" + "5a" * 20
COUNT = 333


@pytest.fixture(params=["columns", "json"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees whose upper nodes are few leaves apart, in documents of either encoding."""
    monkeypatch.setattr(merkle, "SUBTREE_LEVELS", 3)
    monkeypatch.setattr(columnar, "BATCH_LEAVES", 50)
    monkeypatch.setattr(lists, "COLUMNAR_FROM", 10 if request.param == "columns" else 10**9)


def outcome() -> ListDocument:
    counts = {OUTCOME_BY_OFFER: COUNT, OUTCOME_BY_REQUEST: 20}
    return ListDocument(
        1, AUTHOR, tuple(LeafList(kind, random_columns(kind, count)) for kind, count in counts.items())
    )


def request_of(first: int = 30, second: int = 70) -> ListDocument:
    def part(kind: LeafKind, start: int, count: int) -> LeafList:
        implied = {"position": Counting(start, count), "length": Constant(first + second, count)}
        return LeafList(kind, random_columns(kind, count) | implied)

    return ListDocument(1, AUTHOR, (part(REQUEST, 0, first), part(EFFECTIVENESS, first, second)))


def kept(folder: Path, document: ListDocument) -> tuple[FolderStore, ProvenLeaves, Cid, list[bytes]]:
    documents = FolderStore(folder)
    cid = documents.put_written(document.write)
    leaves = ProvenLeaves(documents)
    return documents, leaves, cid, leaves.keep_trees(cid)


def tree_file(documents: FolderStore, cid: Cid, number: int = 0) -> Path:
    return documents.path_of(cid).with_suffix(f".tree-{number}")


@pytest.mark.usefixtures("small")
def test_every_proof_is_the_whole_trees(tmp_path: Path) -> None:
    document = outcome()
    documents, leaves, cid, roots = kept(tmp_path, document)
    assert cid == cid_of(document.to_bytes())
    assert documents.cids() == [cid]
    assert roots == [each.root for each in document.lists]
    assert tree_file(documents, cid).stat().st_size < COUNT * 32
    for number, each in enumerate(document.lists):
        whole = MerkleTree(each.leaf_hashes)
        for position in range(len(each)):
            found = ProvenLeaves(documents).leaf(cid, number, roots[number], position)
            assert found == (each.encoded(position), whole.proof(position))
    with pytest.raises(InvalidInput):
        leaves.leaf(cid, 0, roots[0], COUNT)
    with pytest.raises(InvalidInput):
        leaves.leaf(cid, 2, roots[0], 0)
    with pytest.raises(InvalidInput, match="root"):
        leaves.leaf(cid, 0, roots[1], 0)


@pytest.mark.usefixtures("small")
def test_lists_of_the_book_share_a_tree_and_claims_have_one(tmp_path: Path) -> None:
    document = request_of()
    _, leaves, cid, roots = kept(tmp_path, document)
    assert roots == [document.joint_tree.root]
    whole = document.joint_tree
    for position in (0, 29, 30, 99):
        assert leaves.leaf(cid, 0, roots[0], position) == (
            document.joint_encoded(position),
            whole.proof(position),
        )
    claims = [Claim((AUTHOR,), (number,)) for number in range(20)]
    settled = LeafList(SETTLEMENT, random_columns(SETTLEMENT, 15))
    _, leaves, cid, roots = kept(tmp_path, ListDocument(1, AUTHOR, (settled,), claims_note(claims)))
    assert roots == [settled.root, claim_tree(claims).root]
    assert leaves.leaf(cid, 1, roots[1], 13) == (claim_leaf(claims, 13), claim_tree(claims).proof(13))


@pytest.mark.usefixtures("small")
def test_a_changed_byte_of_the_kept_nodes_is_noticed_and_mended(tmp_path: Path) -> None:
    documents, _, cid, roots = kept(tmp_path, outcome())
    path = tree_file(documents, cid)
    sound = path.read_bytes()
    for position in (0, COUNT - 1):
        expected = ProvenLeaves(documents).leaf(cid, 0, roots[0], position)
        for at in range(0, len(sound), 32):
            path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
            assert ProvenLeaves(documents).leaf(cid, 0, roots[0], position) == expected
            if sound[at : at + 32] in expected[1]:
                assert path.read_bytes() == sound
    for broken in (sound[:-1], sound[:-32], sound * 2, b""):
        path.write_bytes(broken)
        assert ProvenLeaves(documents).leaf(cid, 0, roots[0], position) == expected
        assert path.read_bytes() == sound
    path.unlink()
    assert ProvenLeaves(documents).leaf(cid, 0, roots[0], position) == expected


@pytest.mark.usefixtures("small")
def test_a_changed_document_gives_no_proof(tmp_path: Path) -> None:
    documents, leaves, cid, roots = kept(tmp_path, outcome())
    path = documents.path_of(cid)
    sound = path.read_bytes()
    salt = outcome().lists[0].words("salt")[7]
    at = max(sound.find(salt), sound.find(salt.hex().encode()))
    assert at > 0
    digit = {ord("0"): ord("1")}.get(sound[at], ord("0"))
    path.write_bytes(sound[:at] + bytes([digit]) + sound[at + 1 :])
    with pytest.raises(DocumentCorrupt):
        leaves.leaf(cid, 0, roots[0], 7)
    path.unlink()
    with pytest.raises(DocumentMissing):
        leaves.leaf(cid, 0, roots[0], 7)


def test_what_is_no_document_of_lists_has_no_trees(tmp_path: Path) -> None:
    documents = FolderStore(tmp_path)
    for data in (b"", b"{}", b"FLEXCOL1", b"\xff" * 100):
        assert ProvenLeaves(documents).keep_trees(documents.put(data)) == []


def test_a_proof_reads_only_its_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merkle, "SUBTREE_LEVELS", 3)
    monkeypatch.setattr(columnar, "BATCH_LEAVES", 50)
    monkeypatch.setattr(lists, "COLUMNAR_FROM", 10)
    _, leaves, cid, roots = kept(tmp_path, outcome())
    hashed: list[int] = []
    hashes = LeafKind.hashes

    def counted(kind: LeafKind, columns: Any, first: int, last: int) -> Any:
        hashed.append(last - first)
        return hashes(kind, columns, first, last)

    monkeypatch.setattr(LeafKind, "hashes", counted)
    leaves.leaf(cid, 0, roots[0], 200)
    assert 0 < sum(hashed) <= 8
