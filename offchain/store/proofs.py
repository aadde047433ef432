"""Leaves of stored documents with their proofs, also one of a hundred million in less than a second.

Of the tree of a long list the upper nodes are kept in a file beside the document. A proof takes from the document only the
leaves under one of them (see ListTree), and is held to the root before it is given: what was changed in either file shows.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from offchain.protocol.cid import Cid
from offchain.protocol.claims import Claim, claim_leaf, claims_of
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import HASH_BYTES, keccak256
from offchain.protocol.leaves import OFFER, REQUEST
from offchain.protocol.lists import ListDocument
from offchain.protocol.merkle import HashesOf, ListTree, verify
from offchain.store.documents import FolderStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Leaves:
    """The leaves under one tree of a document: how many, their hashes, and abi.encode(kind, fields...) of each."""

    count: int
    hashes_of: HashesOf
    encoded: Callable[[int], bytes]


class ProvenLeaves:
    """Proofs of leaves of the documents of lists in a folder. A document's trees are numbered in the order of its lists, a
    settlement's claims last; a document of the book has one."""

    def __init__(self, documents: FolderStore) -> None:
        self._documents = documents

    def keep_trees(self, cid: Cid) -> list[bytes]:
        """Roots of a document's trees, all leaves hashed, and what proofs need of long ones kept; none of what isn't lists.

        Raises DocumentMissing or DocumentCorrupt.
        """
        try:
            lists = _leaves_of(_read(self._documents.mapped(cid)))
        except InvalidInput:
            return []
        trees = [ListTree(leaves.count, leaves.hashes_of) for leaves in lists]
        self.keep(cid, trees)
        return [tree.root for tree in trees]

    def keep(self, cid: Cid, trees: Sequence[ListTree]) -> None:
        """Keep what proofs need of a document's trees, for who has hashed its leaves anyway."""
        for number, tree in enumerate(trees):
            if len(tree.upper_nodes) > 1:
                self._documents.put_beside(cid, _name(number), tree.upper_nodes.tobytes())

    def leaf(self, cid: Cid, number: int, root: bytes, position: int) -> tuple[bytes, list[bytes]]:
        """abi.encode(kind, fields...) of a leaf, and its proof, which leads to the root.

        Where what is kept doesn't lead there, the trees are made anew. Raises DocumentMissing, DocumentCorrupt, and
        InvalidInput where the document has no such tree or leaf.
        """
        try:
            encoded, proof = self._leaf(cid, number, position)
            if verify(root, keccak256(keccak256(encoded)), proof):
                return encoded, proof
        except InvalidInput as problem:
            logger.info("document %s: %s", cid, problem)
        logger.warning("document %s: tree %d: no proof from what is kept: made anew", cid, number)
        roots = self.keep_trees(cid)
        if number >= len(roots) or roots[number] != root:
            raise InvalidInput("root", root, f"must be that of tree {number} of {cid}")
        return self._leaf(cid, number, position)

    def _leaf(self, cid: Cid, number: int, position: int) -> tuple[bytes, list[bytes]]:
        lists = _leaves_of(_read(self._documents.unchecked(cid)))
        if number >= len(lists):
            raise InvalidInput("number", number, f"must be below the document's {len(lists)} trees")
        leaves = lists[number]
        kept = self._documents.beside(cid, _name(number))
        if kept is not None and len(kept) % HASH_BYTES:
            raise InvalidInput("upper_nodes", len(kept), f"must be nodes of {HASH_BYTES} bytes")
        nodes = None if kept is None else np.frombuffer(kept, dtype=np.uint8).reshape(-1, HASH_BYTES)
        proof = ListTree(leaves.count, leaves.hashes_of, nodes).proof(position)
        return leaves.encoded(position), proof


def _name(number: int) -> str:
    return f"tree-{number}"


def _read(raw: memoryview) -> ListDocument:
    """A document of lists; which lists share a tree follows from what they are of."""
    try:
        document = ListDocument.from_bytes(raw, joint=False, in_parts=True)
    except InvalidInput:
        return ListDocument.from_bytes(raw, joint=True, in_parts=True)
    return ListDocument.from_bytes(raw, joint=True, in_parts=True) if _is_of_book(document) else document


def _is_of_book(document: ListDocument) -> bool:
    return document.lists[0].kind in (OFFER, REQUEST)


def _leaves_of(document: ListDocument) -> list[_Leaves]:
    if _is_of_book(document):
        return [_Leaves(document.leaf_count, document.joint_hashes, document.joint_encoded)]
    lists = [_Leaves(len(leaves), leaves.hashes, leaves.encoded) for leaves in document.lists]
    claims = claims_of(document)
    if claims:
        lists.append(_Leaves(len(claims), partial(_claim_hashes, claims), partial(claim_leaf, claims)))
    return lists


def _claim_hashes(claims: tuple[Claim, ...], first: int, last: int) -> npt.NDArray[np.uint8]:
    hashes = [keccak256(keccak256(claim_leaf(claims, position))) for position in range(first, last)]
    return np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(hashes), HASH_BYTES)
