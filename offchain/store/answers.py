"""Answers to demands for leaves (IDemands): who has the document shows the leaf, and earns the demander's fee.

Every oracle and every store should run this: a result whose leaf nobody shows in time is struck, and a store that doesn't
show what it signed for loses its stake.
"""

import logging
from collections.abc import Iterator

from offchain.chain.client import ChainClient, ChainRefused, Event
from offchain.chain.market_view import MarketView
from offchain.protocol.cid import Cid
from offchain.protocol.claims import claim_leaf, claim_origin, claim_tree, claims_of, pair_origin
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import OFFER, REQUEST, SETTLEMENT
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.merkle import ListTree, MerkleTree
from offchain.protocol.products import DemandedList
from offchain.store.documents import FolderStore

logger = logging.getLogger(__name__)

OPEN = 1
"""IDemands.State of a demand that waits for its leaf."""


class Answers:
    """Answers with the chain's account, whoever's documents the folder keeps. `step` may be called at any time."""

    def __init__(self, chain: ChainClient, documents: FolderStore) -> None:
        self._chain, self._documents = chain, documents
        self._by_root: dict[bytes, Cid] = {}
        self._indexed: set[Cid] = set()

    def step(self) -> int:
        """Answer every open demand for a leaf of a document at hand; how many were answered."""
        answered = 0
        for event in self._chain.events("Demands", "LeafDemanded"):
            id_ = bytes(event.args["id"])
            if self._chain.call("Demands", "demand", id_)[8] != OPEN:
                continue
            found = self._found(id_, event)
            if found is None:
                continue
            try:
                self._chain.send("Demands", "answer", id_, *found)
            except ChainRefused as refusal:
                logger.warning("demand 0x%s: %s", id_.hex(), refusal)
                continue
            answered += 1
        return answered

    def _found(self, id_: bytes, event: Event) -> tuple[bytes, list[bytes]] | None:
        root = bytes(event.args["root"])
        if int(event.args["list"]) not in (DemandedList.PAIR, DemandedList.CLAIM_ENTRY):
            return self._leaf(root, int(event.args["position"]))
        position = self._origin(root, bytes(self._chain.call("Demands", "demand", id_)[11]))
        return None if position is None else self._leaf(root, position)

    def _origin(self, root: bytes, origin: bytes) -> int | None:
        """Position of the settlement's leaf that accounts for a pair or an entry of a claim."""
        self._index()
        cid = self._by_root.get(root)
        if cid is None:
            return None
        pods = MarketView(self._chain).pods()
        document = ListDocument.from_bytes(self._documents.get(cid), joint=False)
        for position, leaf in enumerate(document.list_of(SETTLEMENT).records()):
            if origin in (pair_origin(leaf), claim_origin(leaf, pods[leaf.word("pod")].customer)):
                return position
        return None

    def _leaf(self, root: bytes, position: int) -> tuple[bytes, list[bytes]] | None:
        self._index()
        cid = self._by_root.get(root)
        if cid is None:
            return None
        for tree, leaves in _trees(self._documents.get(cid)):
            if tree.root == root:
                return leaves[position], tree.proof(position)
        return None

    def _index(self) -> None:
        for cid in self._documents.cids():
            if cid not in self._indexed:
                self._indexed.add(cid)
                for tree, _ in _trees(self._documents.get(cid)):
                    self._by_root[tree.root] = cid


def _trees(raw: bytes) -> Iterator[tuple[ListTree | MerkleTree, list[bytes]]]:
    """The trees of a document of lists with the words of their leaves; none of any other document."""
    try:
        document = ListDocument.from_bytes(raw, joint=False)
    except InvalidInput:
        try:
            document = ListDocument.from_bytes(raw, joint=True)
        except InvalidInput:
            return
    if document.lists[0].kind in (OFFER, REQUEST):
        yield document.joint_tree, [leaf for leaves in document.lists for leaf in _words(leaves)]
        return
    for leaves in document.lists:
        yield leaves.tree, _words(leaves)
    claims = claims_of(document)
    if claims:
        words = [claim_leaf(claims, position) for position in range(len(claims))]
        yield claim_tree(claims), words


def _words(leaves: LeafList) -> list[bytes]:
    return [row.tobytes() for row in leaves.kind.encode(leaves.columns)]
