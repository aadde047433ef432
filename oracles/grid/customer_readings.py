"""Fetches the flexible customers' certified readings from the Shared Customer Database, and believes none of them.

A reading counts if its batch's root is anchored, the leaf at its place there says the same, and that leaf was signed by the
Light Node that served the PoD then: what settlement and `verify` ask of a reading, too.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView
from offchain.protocol.documents.certified_reading import CertifiedReading
from offchain.protocol.errors import FlexledgerError, InvalidInput
from offchain.protocol.leaves import READING
from offchain.protocol.lists import LeafList
from offchain.protocol.terms import SLOT_S
from offchain.store.documents import DocumentCorrupt, DocumentStore
from oracles.grid.core.forecast.readings import is_borne_out, net_of_reading
from oracles.grid.reading_store import ReadingStore
from oracles.session_facts import batch_document, genuine_of

logger = logging.getLogger(__name__)

FETCH_EVERY_S = 900
DAY_S = 86_400
REMEMBERED_S = 400 * DAY_S
"""How far back a PoD's readings are asked for: a year of typical profiles, and a month more."""
LATE_S = 3 * DAY_S
"""Readings of the last days are asked for again: nodes that were offline send later."""
MOST_S_A_STEP = 7 * DAY_S
"""What is caught up with in one step of each PoD: a year's readings mustn't keep the daemon from a session that is due."""


class ReadingSource(Protocol):
    """The Shared Customer Database, asked by the DSO."""

    def readings(self, pod: bytes, from_s: int, to_s: int) -> Sequence[CertifiedReading] | None:
        """A PoD's readings that start in [from_s, to_s); None for one that it doesn't know. Raises FlexledgerError where it can't
        be asked, InvalidInput where it answers with something else."""


@dataclass(frozen=True)
class _Batch:
    leaves: LeafList
    genuine: Sequence[bool]


class _Batches:
    """Anchored batches as they are looked at in one step, each once."""

    def __init__(self, chain: ChainClient, documents: DocumentStore) -> None:
        self._view = MarketView(chain)
        self._documents = documents
        self._genuine = genuine_of(chain)
        self._known: dict[bytes, _Batch | None] = {}

    def with_root(self, root: bytes) -> _Batch | None:
        """The batch with a root; None where none is anchored and at hand."""
        if root not in self._known:
            self._known[root] = self._batch(root)
        return self._known[root]

    def _batch(self, root: bytes) -> _Batch | None:
        anchored = self._view.batch(root)
        if anchored is None:
            return None
        try:
            document = batch_document(self._documents, anchored)
        except DocumentCorrupt as problem:
            logger.error("batch 0x%s: %s", root.hex(), problem)
            return None
        return None if document is None else _Batch(document.list_of(READING), self._genuine(document))


class CustomerReadings:
    """`step` may be called at any time and killed at any instant: what was kept is asked for once more at most."""

    def __init__(
        self, chain: ChainClient, documents: DocumentStore, source: ReadingSource, store: ReadingStore
    ) -> None:
        self._chain = chain
        self._view = MarketView(chain)
        self._documents = documents
        self._source = source
        self._store = store
        self._due_s = 0
        self._failed = b""

    def step(self) -> None:
        """Fetch what is due. Where the database doesn't answer, the forecast does with what is known."""
        now_s = self._chain.now_s()
        if now_s < self._due_s:
            return
        self._due_s = now_s + FETCH_EVERY_S
        batches = _Batches(self._chain, self._documents)
        # Behind the one at which it didn't answer last: that may be the only one.
        for pod, facts in sorted(
            self._view.pods().items(), key=lambda each: (each[0] <= self._failed, each[0])
        ):
            try:
                if not self._fetch(pod, facts.node, now_s - now_s % SLOT_S, batches):
                    self._due_s = now_s
            except InvalidInput as problem:
                logger.warning("no readings of 0x%s: %s", pod.hex(), problem)
            except FlexledgerError as problem:
                logger.warning("no readings are fetched now: %s", problem)
                self._failed = pod
                return

    def _fetch(self, pod: bytes, node: str, now_s: int, batches: _Batches) -> bool:
        """Whether all until now is here. What a node signed before it served the PoD would be no reading of it."""
        known_s = self._store.fetched_until_s(pod)
        if known_s is None:
            served_s = self._view.node_service(pod, node).from_s
            known_s = min(now_s, max(now_s - REMEMBERED_S, served_s - served_s % SLOT_S))
        from_s, until_s = known_s - LATE_S, min(now_s, known_s + MOST_S_A_STEP)
        told = self._source.readings(pod, from_s, until_s)
        if told is None:
            return True
        known = self._store.nets(pod, from_s, until_s)
        nets = []
        # Those of an earlier contract have another pseudonym, of which the chain doesn't say that it is the same PoD's.
        for reading in (each for each in told if each.pseudonym == pod):
            net = net_of_reading(reading)
            if known.get(reading.start_time) == net:
                continue
            problem = _doubt(from_s, until_s, reading, batches)
            if problem is None:
                nets.append((reading.start_time, net))
            else:
                said = (pod.hex(), reading.start_time, problem)
                logger.warning("reading of 0x%s from %d refused: %s", *said)
        self._store.add(pod, nets, until_s)
        return until_s == now_s


def _doubt(from_s: int, until_s: int, reading: CertifiedReading, batches: _Batches) -> str | None:
    """Why a reading isn't believed; None where it is."""
    if not from_s <= reading.start_time < until_s:
        return "is of another time than was asked for"
    root, position = reading.batch_root, reading.position
    batch = batches.with_root(root)
    if batch is None:
        return f"no batch with root 0x{root.hex()} is anchored and at hand"
    if position >= len(batch.leaves) or not is_borne_out(reading, batch.leaves.record(position)):
        return f"leaf {position} of batch 0x{root.hex()} doesn't say so"
    return None if batch.genuine[position] else "isn't signed by the Light Node that served the PoD"
