"""The anchoring oracle's daemon: judges packets, anchors good readings in batches, forwards them with their proofs."""

import logging
from collections.abc import Sequence
from functools import cache

from offchain.messaging.mqtt import Message, MessagingUnavailable
from offchain.messaging.topics import CERTIFIED_PACKETS, NodeTopic
from offchain.protocol.documents.base import parse
from offchain.protocol.documents.light_node import Packet, ReadingData
from offchain.protocol.errors import FlexledgerError
from offchain.store.documents import DocumentStore
from offchain.store.packets import (
    PacketStore,
    Refusal,
    StoredBatch,
    StoredPacket,
    VerifiedOther,
    VerifiedReading,
)
from oracles.anchoring.core.batch import certified_reading, identified_packet, make_batch
from oracles.anchoring.core.verify import PacketBytes, PacketKind, verify_packets
from oracles.anchoring.ports import AnchorChain, Publisher

logger = logging.getLogger(__name__)

MOST_JUDGED = 10_000
MOST_PER_BATCH = 100_000
MOST_FORWARDED = 200
KINDS = {
    NodeTopic.READINGS: PacketKind.READING,
    NodeTopic.SET_POINT_ACKS: PacketKind.ACTIVATION,
    NodeTopic.ANOMALIES: PacketKind.ANOMALY,
}


class AnchoringDaemon:
    """`step` may be called at any time and killed at any instant: nothing is anchored twice, nothing is lost.

    A batch is journaled before its transaction is sent. A step that finds one open asks the chain first.
    """

    def __init__(
        self, store: PacketStore, documents: DocumentStore, chain: AnchorChain, publisher: Publisher
    ) -> None:
        self._store = store
        self._documents = documents
        self._chain = chain
        self._publisher = publisher

    def step(self) -> None:
        """Judge what has arrived, anchor what is good, forward what is anchored."""
        while received := self._store.received(MOST_JUDGED):
            self._judge(received)
        self._anchor_open_batch()
        if readings := self._store.unbatched(MOST_PER_BATCH):
            self._open_batch(readings)
            self._anchor_open_batch()
        self._forward()

    def _judge(self, received: Sequence[StoredPacket]) -> None:
        packets = [PacketBytes(KINDS[NodeTopic(packet.kind)], packet.payload) for packet in received]
        good, bad = verify_packets(packets, cache(self._chain.node_of), self._chain.domain)
        readings, others = [], []
        for entry in good:
            number, packet = received[entry.index].number, entry.packet
            data = packet.input_data
            if isinstance(data, ReadingData):
                readings.append(VerifiedReading(number, packet.pod, data.start_time, data.sequence))
            else:
                others.append(VerifiedOther(number, identified_packet(packet)))
        refusals = [Refusal(received[entry.index].number, entry.reason) for entry in bad]
        for refusal in self._store.judge(readings, others, refusals):
            logger.warning("packet %d refused: %s", refusal.number, refusal.reason)

    def _open_batch(self, stored: Sequence[StoredPacket]) -> None:
        batch = make_batch([_verified(packet) for packet in stored], self._chain.address)
        cid = self._documents.put(batch.document.to_bytes())
        self._store.open_batch(batch.root, cid, [stored[index].number for index in batch.order])

    def _anchor_open_batch(self) -> None:
        opened = self._store.unanchored_batch()
        if opened is None:
            return
        transaction = self._chain.anchored_by(opened.root)
        if transaction is None:
            transaction = self._chain.anchor(opened.root, opened.length, opened.cid)
            logger.info("batch of %d readings anchored: root 0x%s", opened.length, opened.root.hex())
        self._note_anchored(opened, transaction)

    def _note_anchored(self, opened: StoredBatch, transaction: bytes) -> None:
        packets = [_verified(packet) for packet in self._store.packets_of(opened)]
        batch = make_batch(packets, self._chain.address)
        if batch.root != opened.root:
            raise FlexledgerError(
                f"batch {opened.number}: its packets don't give its root 0x{opened.root.hex()}"
            )
        certified = [
            certified_reading(packets[index], transaction, batch, position)
            for position, index in enumerate(batch.order)
        ]
        self._store.mark_anchored(opened, transaction, certified)

    def _forward(self) -> None:
        while waiting := self._store.outbox(MOST_FORWARDED):
            try:
                self._publisher.publish([Message(CERTIFIED_PACKETS, payload) for _, payload in waiting])
            except MessagingUnavailable as problem:
                logger.warning("%d certified packets wait for the broker: %s", len(waiting), problem)
                return
            self._store.forwarded(waiting[-1][0])


def _verified(packet: StoredPacket) -> Packet[ReadingData]:
    """A reading that the store has as verified."""
    return parse(Packet[ReadingData], packet.payload)
