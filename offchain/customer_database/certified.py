"""Takes in what the access layer forwards: certified readings, each held against the chain, and anomalies.

A message is kept in the inbox before the broker hears that it arrived; `step` then works through the inbox in bulk.
What can't be believed is refused and stays visible as a field error; what is delivered twice is kept once.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from offchain.customer_database.records import Acknowledgement, Anomaly, AnomalySource, Reading
from offchain.customer_database.store import CustomerStore
from offchain.messaging.mqtt import Message
from offchain.protocol.documents.base import parse, read_json
from offchain.protocol.documents.light_node import (
    ActivationData,
    AnomalyData,
    CertifiedPacket,
    IdentifiedPacket,
    ReadingData,
)
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import READING, Value
from offchain.protocol.lists import LeafList
from offchain.protocol.merkle import hash_pair
from offchain.protocol.signatures import to_compact

logger = logging.getLogger(__name__)

MOST_PER_STEP = 5000
PATIENCE_S = 3600
"""How long a reading may wait for its root: the node we ask may be behind the one that anchored it."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    payload BLOB NOT NULL,
    received_s INTEGER NOT NULL
);
"""


class FieldError(StrEnum):
    """Why a packet was refused, or what is wrong with readings that were kept."""

    MALFORMED = "MALFORMED_PACKET"
    UNKNOWN_POD = "UNKNOWN_POD"
    WRONG_PROOF = "WRONG_PROOF"
    NOT_ANCHORED = "NOT_ANCHORED"
    CONTRADICTING = "CONTRADICTING_READINGS"


@dataclass(frozen=True)
class Waiting:
    """A message in the inbox."""

    number: int
    payload: bytes
    received_s: int


class Inbox:
    """Messages as they arrived, in one SQLite file; safe to use from the messaging client's thread and a daemon's."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        # FULL: the broker forgets a message once it is acknowledged, so it must be on the disk by then.
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, payload: bytes, received_s: int) -> None:
        """Keep a message."""
        self._rows("INSERT INTO inbox (payload, received_s) VALUES (?, ?)", payload, received_s)

    def waiting(self, after: int, most: int) -> list[Waiting]:
        """The oldest messages with numbers beyond `after`."""
        rows = self._rows("SELECT * FROM inbox WHERE number > ? ORDER BY number LIMIT ?", after, most)
        return [Waiting(*row) for row in rows]

    def remove(self, messages: Sequence[Waiting]) -> None:
        """Forget messages."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "DELETE FROM inbox WHERE number = ?", [(message.number,) for message in messages]
            )
            self._db.execute("COMMIT")

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()


@dataclass(frozen=True)
class _Certified:
    """A message that holds a certified reading."""

    message: Waiting
    packet: CertifiedPacket[ReadingData]
    leaf: tuple[Value, ...]

    @property
    def pod(self) -> str:
        """The PoD as the packet names it."""
        return "0x" + self.packet.pod.hex()


class CertifiedIntake:
    """The Shared Customer Database's end of the access layer's topic.

    `anchored_at`: when a root was anchored (UTC Unix seconds), None if it isn't. `clock`: UTC Unix seconds.
    """

    def __init__(
        self,
        store: CustomerStore,
        inbox: Inbox,
        anchored_at: Callable[[bytes], int | None],
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._inbox = inbox
        self._anchored_at = anchored_at
        self._clock = clock

    def take(self, message: Message) -> None:
        """Keep a message (the messaging client's handler); once this returns the broker may forget it."""
        self._inbox.add(message.payload, self._clock())

    def step(self) -> int:
        """Work through the inbox; gives how many readings were new."""
        new, after = 0, 0
        while waiting := self._inbox.waiting(after, MOST_PER_STEP):
            new += self._work_through(waiting)
            after = waiting[-1].number
        return new

    def _work_through(self, messages: Sequence[Waiting]) -> int:
        certified: list[_Certified] = []
        acknowledgements: list[Acknowledgement] = []
        anomalies: list[Anomaly] = []
        for message in messages:
            try:
                packet = _read(message.payload)
                if isinstance(packet, CertifiedPacket):
                    certified.append(_Certified(message, packet, _leaf(packet)))
                    continue
            except InvalidInput as refusal:
                anomalies.append(_field_error("", FieldError.MALFORMED, str(refusal), message.received_s))
                continue
            if isinstance(packet.input_data, ActivationData):
                acknowledgements.append(
                    Acknowledgement(packet.pod, packet.input_data.activation_id, *packet.input_data.status)
                )
            else:
                anomalies.append(_reported(packet.pod, packet.input_data, message.received_s))
        known = self._store.pods_by_pseudonym([entry.packet.pod for entry in certified])
        strangers = [entry for entry in certified if entry.packet.pod not in known]
        anomalies.extend(
            _field_error(entry.pod, FieldError.UNKNOWN_POD, "must be registered", entry.message.received_s)
            for entry in strangers
        )
        readings, patient = self._proven(
            [entry for entry in certified if entry.packet.pod in known], anomalies
        )
        new = self._keep(readings, acknowledgements, anomalies)
        self._inbox.remove([message for message in messages if message.number not in patient])
        return new

    def _proven(
        self, certified: Sequence[_Certified], anomalies: list[Anomaly]
    ) -> tuple[list[Reading], set[int]]:
        """The readings whose proofs lead to an anchored root, and the numbers of messages that may wait for theirs."""
        readings: list[Reading] = []
        patient: set[int] = set()
        anchored: dict[bytes, bool] = {}
        now_s = self._clock()
        leaves = LeafList.of_rows(READING, [entry.leaf for entry in certified]).leaf_hashes
        for entry, leaf in zip(certified, leaves, strict=True):
            packet, message = entry.packet, entry.message
            if leaf.tobytes() != packet.merkle_tree_structure[0].leaf:
                what = f"the leaf must be that of the reading, 0x{leaf.tobytes().hex()}"
                anomalies.append(_field_error(entry.pod, FieldError.WRONG_PROOF, what, message.received_s))
                continue
            root = _root(leaf.tobytes(), packet.proof)
            if root not in anchored:
                anchored[root] = self._anchored_at(root) is not None
            if anchored[root]:
                readings.append(_reading(entry, root))
            elif now_s < message.received_s + PATIENCE_S:
                patient.add(message.number)
            else:
                what = f"the proof must lead to an anchored root, not to 0x{root.hex()}"
                anomalies.append(_field_error(entry.pod, FieldError.NOT_ANCHORED, what, message.received_s))
        return readings, patient

    def _keep(
        self,
        readings: Sequence[Reading],
        acknowledgements: Sequence[Acknowledgement],
        anomalies: list[Anomaly],
    ) -> int:
        new = 0
        with self._store.transaction():
            if readings:
                new, contradicting = self._store.add_new_readings(readings)
                anomalies.extend(_contradiction(pod, start_s) for pod, start_s in contradicting)
            self._store.add_new(acknowledgements)
            self._store.add_new(anomalies)
        return new


_AnyPacket = CertifiedPacket[ReadingData] | IdentifiedPacket[ActivationData] | IdentifiedPacket[AnomalyData]


def _read(payload: bytes) -> _AnyPacket:
    """The packet of a message, its kind told by its fields. Raises InvalidInput."""
    content = read_json(payload)
    if not isinstance(content, dict):
        raise InvalidInput("packet", content, "must be an object")
    if "TransactionID" in content:
        return parse(CertifiedPacket[ReadingData], content)
    data = content.get("InputData")
    if isinstance(data, dict) and "ActivationId" in data:
        return parse(IdentifiedPacket[ActivationData], content)
    return parse(IdentifiedPacket[AnomalyData], content)


def _leaf(packet: CertifiedPacket[ReadingData]) -> tuple[Value, ...]:
    """The reading's leaf, its fields in order. Raises InvalidInput for what no leaf can hold."""
    place, data = packet.merkle_tree_structure[0], packet.input_data
    return (
        _count("position", place.position),
        _count("length", place.length),
        packet.pod,
        packet.claimed_signer,
        data.start_time,
        data.period,
        data.absorbed_active_energy,
        data.injected_active_energy,
        data.absorbed_inductive_reactive_energy,
        data.injected_inductive_reactive_energy,
        data.absorbed_capacitive_reactive_energy,
        data.injected_capacitive_reactive_energy,
        data.sequence,
        *to_compact(packet.signed_hash),
    )


def _count(name: str, value: int | None) -> int:
    if value is None or value >= 2**32:
        raise InvalidInput(f"MerkleTreeStructure[0].{name}", value, "must be below 2**32")
    return value


def _root(leaf: bytes, proof: Sequence[bytes]) -> bytes:
    for sibling in proof:
        leaf = hash_pair(leaf, sibling)
    return leaf


def _reading(entry: _Certified, root: bytes) -> Reading:
    data = entry.packet.input_data
    return Reading(
        pseudonym=entry.packet.pod,
        start_s=data.start_time,
        period_s=data.period,
        absorbed_active_wh=data.absorbed_active_energy,
        injected_active_wh=data.injected_active_energy,
        absorbed_inductive_varh=data.absorbed_inductive_reactive_energy,
        injected_inductive_varh=data.injected_inductive_reactive_energy,
        absorbed_capacitive_varh=data.absorbed_capacitive_reactive_energy,
        injected_capacitive_varh=data.injected_capacitive_reactive_energy,
        sequence=data.sequence,
        batch_root=root,
        position=_count("position", entry.packet.merkle_tree_structure[0].position),
        transaction=entry.packet.transaction_id,
    )


def _reported(pod: bytes, data: AnomalyData, received_s: int) -> Anomaly:
    at_s = received_s if data.start_time is None else data.start_time
    return Anomaly("0x" + pod.hex(), data.code, data.description, AnomalySource.FIELD, at_s)


def _contradiction(pod: bytes, start_s: int) -> Anomaly:
    what = f"the Light Node has signed different readings of the quarter-hour from {start_s}"
    return Anomaly("0x" + pod.hex(), FieldError.CONTRADICTING, what, AnomalySource.DATABASE, start_s)


def _field_error(pod: str, code: FieldError, what: str, at_s: int) -> Anomaly:
    logger.warning("packet refused: PoD %s: %s: %s", pod, code, what)
    return Anomaly(pod, code, what, AnomalySource.DATABASE, at_s)
