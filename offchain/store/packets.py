"""The access layer's store of Light Node packets: kept before the broker hears that they arrived.

A packet is `received`, then `verified` or `refused` with a reason; a verified reading is put into a batch, `anchored`
with it, and then `forwarded`; other verified packets are forwarded as they are. Every change of state is one
transaction, with the outgoing packets that tell of it.
"""

import hashlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from offchain.protocol.cid import Cid

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    root BLOB UNIQUE NOT NULL,
    length INTEGER NOT NULL,
    cid TEXT NOT NULL,
    anchored_by BLOB
);
CREATE TABLE IF NOT EXISTS packets (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB UNIQUE NOT NULL,
    user TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload BLOB NOT NULL,
    received_s INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'received',
    reason TEXT,
    pod BLOB,
    start_s INTEGER,
    sequence INTEGER,
    contradicted INTEGER NOT NULL DEFAULT 0,
    batch INTEGER REFERENCES batches (number),
    position INTEGER
);
CREATE INDEX IF NOT EXISTS packets_by_state ON packets (state, number);
CREATE INDEX IF NOT EXISTS packets_by_batch ON packets (batch, position);
CREATE UNIQUE INDEX IF NOT EXISTS packets_by_sequence ON packets (pod, sequence);
CREATE INDEX IF NOT EXISTS packets_by_slot ON packets (pod, start_s);
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    packet INTEGER NOT NULL REFERENCES packets (number),
    payload BLOB NOT NULL
);
"""


class PacketState(StrEnum):
    """How far a packet has come."""

    RECEIVED = "received"
    VERIFIED = "verified"
    REFUSED = "refused"
    ANCHORED = "anchored"
    FORWARDED = "forwarded"


@dataclass(frozen=True)
class StoredPacket:
    """A packet as it arrived: its number in the store, the broker user who sent it, on which topic, and its bytes."""

    number: int
    user: str
    kind: str
    payload: bytes


@dataclass(frozen=True)
class VerifiedReading:
    """What the store needs to know of a reading found good."""

    number: int
    pod: bytes
    start_s: int
    sequence: int


@dataclass(frozen=True)
class VerifiedOther:
    """An acknowledgement or anomaly found good, and the bytes to forward."""

    number: int
    outgoing: bytes


@dataclass(frozen=True)
class Refusal:
    """A packet refused, and why."""

    number: int
    reason: str


@dataclass(frozen=True)
class StoredBatch:
    """A batch of readings that is journaled: its tree's root and length, and its document."""

    number: int
    root: bytes
    length: int
    cid: Cid


class PacketStore:
    """Packets in one SQLite file; safe to use from the messaging client's thread and a daemon's."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        # FULL: the broker forgets a packet once it is acknowledged, so it must be on the disk by then.
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, user: str, kind: str, payload: bytes, received_s: int) -> bool:
        """Keep a packet; False if the very same bytes are kept already (delivered or replayed a second time)."""
        statement = (
            "INSERT OR IGNORE INTO packets (digest, user, kind, payload, received_s) VALUES (?, ?, ?, ?, ?)"
            " RETURNING number"
        )
        digest = hashlib.sha256(payload).digest()
        return bool(self._rows(statement, digest, user, kind, payload, received_s))

    def received(self, most: int) -> list[StoredPacket]:
        """The oldest packets not yet judged."""
        return [
            StoredPacket(*row)
            for row in self._rows(
                "SELECT number, user, kind, payload FROM packets WHERE state = 'received' ORDER BY number LIMIT ?",
                most,
            )
        ]

    def judge(
        self,
        readings: Sequence[VerifiedReading],
        others: Sequence[VerifiedOther],
        refusals: Sequence[Refusal],
    ) -> list[Refusal]:
        """Note what became of received packets; gives all refusals.

        A reading whose PoD has used its sequence number before is refused here. Two readings of one slot are both
        kept, and both flagged. `others` go to the outbox at once.
        """
        refused = list(refusals)
        with self._transaction():
            for reading in readings:
                if self._rows(
                    "SELECT 1 FROM packets WHERE pod = ? AND sequence = ?", reading.pod, reading.sequence
                ):
                    reason = f"sequence = {reading.sequence}: must not have been used by this PoD before"
                    refused.append(Refusal(reading.number, reason))
                    continue
                self._rows(
                    "UPDATE packets SET state = 'verified', pod = ?, start_s = ?, sequence = ? WHERE number = ?",
                    reading.pod,
                    reading.start_s,
                    reading.sequence,
                    reading.number,
                )
                same_slot = "FROM packets WHERE pod = ? AND start_s = ?"
                if self._rows(f"SELECT count(*) {same_slot}", reading.pod, reading.start_s)[0][0] > 1:
                    self._rows(
                        "UPDATE packets SET contradicted = 1 WHERE pod = ? AND start_s = ?",
                        reading.pod,
                        reading.start_s,
                    )
            for other in others:
                self._rows("UPDATE packets SET state = 'verified' WHERE number = ?", other.number)
                self._rows("INSERT INTO outbox (packet, payload) VALUES (?, ?)", other.number, other.outgoing)
            for refusal in refused:
                self._rows(
                    "UPDATE packets SET state = 'refused', reason = ? WHERE number = ?",
                    refusal.reason,
                    refusal.number,
                )
        return refused

    def unbatched(self, most: int) -> list[StoredPacket]:
        """The oldest verified readings that are in no batch yet."""
        return [
            StoredPacket(*row)
            for row in self._rows(
                "SELECT number, user, kind, payload FROM packets"
                " WHERE state = 'verified' AND sequence IS NOT NULL AND batch IS NULL ORDER BY number LIMIT ?",
                most,
            )
        ]

    def open_batch(self, root: bytes, cid: Cid, numbers: Sequence[int]) -> StoredBatch:
        """Journal a batch: its packets in the order of its leaves. It stays open until `mark_anchored`."""
        with self._transaction():
            ((batch,),) = self._rows(
                "INSERT INTO batches (root, length, cid) VALUES (?, ?, ?) RETURNING number",
                root,
                len(numbers),
                str(cid),
            )
            for position, number in enumerate(numbers):
                self._rows(
                    "UPDATE packets SET batch = ?, position = ? WHERE number = ?", batch, position, number
                )
        return StoredBatch(batch, root, len(numbers), cid)

    def unanchored_batch(self) -> StoredBatch | None:
        """The oldest batch whose anchoring isn't noted yet."""
        rows = self._rows(
            "SELECT number, root, length, cid FROM batches WHERE anchored_by IS NULL ORDER BY number LIMIT 1"
        )
        if not rows:
            return None
        number, root, length, cid = rows[0]
        return StoredBatch(number, root, length, Cid.parse(cid))

    def packets_of(self, batch: StoredBatch) -> list[StoredPacket]:
        """A batch's packets in the order of its leaves."""
        return [
            StoredPacket(*row)
            for row in self._rows(
                "SELECT number, user, kind, payload FROM packets WHERE batch = ? ORDER BY position",
                batch.number,
            )
        ]

    def mark_anchored(self, batch: StoredBatch, transaction: bytes, certified: Sequence[bytes]) -> None:
        """Note the transaction that anchored a batch, and queue its packets as they are now, with their proofs."""
        with self._transaction():
            self._rows("UPDATE batches SET anchored_by = ? WHERE number = ?", transaction, batch.number)
            for packet, payload in zip(self.packets_of(batch), certified, strict=True):
                self._rows("UPDATE packets SET state = 'anchored' WHERE number = ?", packet.number)
                self._rows("INSERT INTO outbox (packet, payload) VALUES (?, ?)", packet.number, payload)

    def outbox(self, most: int) -> list[tuple[int, bytes]]:
        """The oldest outgoing packets that aren't forwarded yet, with their numbers in the outbox."""
        return [
            (row[0], row[1]) for row in self._rows("SELECT id, payload FROM outbox ORDER BY id LIMIT ?", most)
        ]

    def forwarded(self, upto: int) -> None:
        """Note that the outbox was forwarded up to a number."""
        with self._transaction():
            self._rows(
                "UPDATE packets SET state = 'forwarded' WHERE number IN (SELECT packet FROM outbox WHERE id <= ?)",
                upto,
            )
            self._rows("DELETE FROM outbox WHERE id <= ?", upto)

    def counts(self) -> dict[PacketState, int]:
        """How many packets are in each state."""
        rows = dict(self._rows("SELECT state, count(*) FROM packets GROUP BY state"))
        return {state: int(rows.get(state, 0)) for state in PacketState}

    def refusals(self) -> list[Refusal]:
        """Every packet refused, and why, oldest first."""
        rows = self._rows("SELECT number, reason FROM packets WHERE state = 'refused' ORDER BY number")
        return [Refusal(*row) for row in rows]

    def contradicted_slots(self) -> list[tuple[bytes, int]]:
        """PoD and start of every slot that has two verified readings."""
        return self._rows(
            "SELECT DISTINCT pod, start_s FROM packets WHERE contradicted ORDER BY pod, start_s"
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()
