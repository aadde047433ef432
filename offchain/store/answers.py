"""Answers to demands for leaves (IDemands): who has the document shows the leaf, and earns the demander's fee.

Every oracle and every store should run this: a result whose leaf nobody shows in time is struck, and a store that doesn't
show what it signed for loses its stake.
"""

import logging

from offchain.chain.client import ChainClient, ChainRefused, Event
from offchain.chain.market_view import MarketView
from offchain.protocol.cid import Cid
from offchain.protocol.claims import claim_origin, pair_origin
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import SETTLEMENT
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import DemandedList
from offchain.store.documents import DocumentCorrupt, DocumentMissing, FolderStore
from offchain.store.proofs import ProvenLeaves

logger = logging.getLogger(__name__)

OPEN = 1
"""IDemands.State of a demand that waits for its leaf."""


class Answers:
    """Answers with the chain's account, whoever's documents the folder keeps. `step` may be called at any time."""

    def __init__(self, chain: ChainClient, documents: FolderStore) -> None:
        self._chain, self._documents = chain, documents
        self._leaves = ProvenLeaves(documents)
        self._by_root: dict[bytes, tuple[Cid, int]] = {}
        self._indexed: set[Cid] = set()

    def step(self) -> int:
        """Answer every open demand for a leaf of a document at hand; how many were answered."""
        answered = 0
        for event in self._chain.events("Demands", "LeafDemanded"):
            id_ = bytes(event.args["id"])
            if self._chain.call("Demands", "demand", id_)[8] != OPEN:
                continue
            try:
                found = self._found(id_, event)
                if found is None:
                    continue
                self._chain.send("Demands", "answer", id_, *found)
            except (ChainRefused, DocumentCorrupt, DocumentMissing, InvalidInput) as problem:
                # One leaf that can't be shown keeps none of the others back.
                logger.warning("demand 0x%s: %s", id_.hex(), problem)
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
        found = self._by_root.get(root)
        if found is None:
            return None
        pods = MarketView(self._chain).pods()
        document = ListDocument.from_bytes(self._documents.mapped(found[0]), joint=False)
        for position, leaf in enumerate(document.list_of(SETTLEMENT).records()):
            if origin in (pair_origin(leaf), claim_origin(leaf, pods[leaf.word("pod")].customer)):
                return position
        return None

    def _leaf(self, root: bytes, position: int) -> tuple[bytes, list[bytes]] | None:
        self._index()
        found = self._by_root.get(root)
        return None if found is None else self._leaves.leaf(*found, root, position)

    def _index(self) -> None:
        for cid in self._documents.cids():
            if cid not in self._indexed:
                self._indexed.add(cid)
                for number, root in enumerate(self._leaves.keep_trees(cid)):
                    self._by_root[root] = (cid, number)
