"""What the node must not forget: kept in SQLite, written before anything leaves the device."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from lightnode.meter import Counters
from offchain.messaging.mqtt import Message

_SCHEMA = """
CREATE TABLE IF NOT EXISTS node (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    next_sequence INTEGER NOT NULL,
    base_s INTEGER,
    base_counters TEXT,
    applied_slot_s INTEGER,
    applied_activation BLOB
);
INSERT OR IGNORE INTO node (id, next_sequence) VALUES (1, 1);
CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS activations (
    arrival INTEGER PRIMARY KEY AUTOINCREMENT,
    activation BLOB UNIQUE NOT NULL,
    payload BLOB NOT NULL,
    sent_s INTEGER NOT NULL,
    received_s INTEGER NOT NULL,
    ems_s INTEGER
);
CREATE TABLE IF NOT EXISTS set_points (
    slot_s INTEGER NOT NULL,
    activation BLOB NOT NULL,
    active_w INTEGER NOT NULL,
    reactive_var INTEGER NOT NULL,
    PRIMARY KEY (slot_s, activation)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS faults (code TEXT PRIMARY KEY, since_s INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class MeterBase:
    """The counters at the last quarter-hour boundary at which the meter was read."""

    boundary_s: int
    counters: Counters


@dataclass(frozen=True)
class SetPoint:
    """What the EMS shall do in the slot that starts at `slot_s`: net power at the PoD, in W and var."""

    slot_s: int
    activation: bytes
    active_w: int
    reactive_var: int


@dataclass(frozen=True)
class Activation:
    """An activation as it arrived: its bytes, when the DSO sent it and when it was received; `ems_s` once carried out."""

    activation: bytes
    payload: bytes
    sent_s: int
    received_s: int
    ems_s: int | None = None


class Arrival(Enum):
    """What an arriving activation is to the node."""

    NEW = "new"
    REPEATED = "repeated"
    CONTRADICTING = "contradicting"
    """Its id is known with other content."""


class Journal:
    """The node's memory. Changes are made in `transaction`; safe to use from the step's and the MQTT client's thread."""

    def __init__(self, path: Path, survives_power_cut: bool = True) -> None:
        """`survives_power_cut`: flush the disk at every change. Without, only the process may die, not the device."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        # Unflushed changes lost in a power cut would let a sequence number be given out a second time.
        self._db.execute(f"PRAGMA synchronous = {'FULL' if survives_power_cut else 'NORMAL'}")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes made inside are kept together, or none of them."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def base(self) -> MeterBase | None:
        """The last boundary at which the meter was read; None before the first."""
        boundary_s, counters = self._row("SELECT base_s, base_counters FROM node")
        return None if boundary_s is None else MeterBase(boundary_s, Counters(*json.loads(counters)))

    def set_base(self, base: MeterBase) -> None:
        """Remember the counters at a boundary."""
        # As text: a 64-bit counter may be beyond SQLite's signed integers.
        self._change(
            "UPDATE node SET base_s = ?, base_counters = ?",
            base.boundary_s,
            json.dumps(astuple(base.counters)),
        )

    def take_sequence(self) -> int:
        """The next sequence number, given out once; call it inside a transaction."""
        (sequence,) = self._row(
            "UPDATE node SET next_sequence = next_sequence + 1 RETURNING next_sequence - 1"
        )
        return int(sequence)

    def queue(self, message: Message) -> None:
        """Put a message into the outbox."""
        self._change("INSERT INTO outbox (topic, payload) VALUES (?, ?)", message.topic, message.payload)

    def outbox(self, most: int) -> list[tuple[int, Message]]:
        """The oldest messages not yet delivered, with their numbers."""
        rows = self._rows("SELECT id, topic, payload FROM outbox ORDER BY id LIMIT ?", most)
        return [(number, Message(topic, payload)) for number, topic, payload in rows]

    def delivered(self, upto: int) -> None:
        """Forget the messages up to a number: the broker has them."""
        self._change("DELETE FROM outbox WHERE id <= ?", upto)

    def add_activation(self, activation: Activation, set_points: list[SetPoint]) -> Arrival:
        """Remember an activation and its set points, unless its id is known; call it inside a transaction."""
        known = self._rows("SELECT payload FROM activations WHERE activation = ?", activation.activation)
        if known:
            return Arrival.REPEATED if known[0][0] == activation.payload else Arrival.CONTRADICTING
        self._change(
            "INSERT INTO activations (activation, payload, sent_s, received_s) VALUES (?, ?, ?, ?)",
            activation.activation,
            activation.payload,
            activation.sent_s,
            activation.received_s,
        )
        for point in set_points:
            self._change("INSERT INTO set_points VALUES (?, ?, ?, ?)", *astuple(point))
        return Arrival.NEW

    def activation(self, activation: bytes) -> Activation:
        """A known activation."""
        row = self._row(
            "SELECT activation, payload, sent_s, received_s, ems_s FROM activations WHERE activation = ?",
            activation,
        )
        return Activation(*row)

    def count_activations(self) -> int:
        """How many activations are known."""
        return int(self._row("SELECT count(*) FROM activations")[0])

    def set_point(self, slot_s: int) -> SetPoint | None:
        """The set point of the slot that starts then: the one the DSO sent last, if there are several."""
        rows = self._rows(
            "SELECT slot_s, activation, active_w, reactive_var FROM set_points JOIN activations USING (activation)"
            " WHERE slot_s = ? ORDER BY sent_s DESC, arrival DESC LIMIT 1",
            slot_s,
        )
        return SetPoint(*rows[0]) if rows else None

    def applied(self) -> tuple[int, bytes] | None:
        """Slot and activation of the set point that the EMS holds; None while it runs free."""
        slot_s, activation = self._row("SELECT applied_slot_s, applied_activation FROM node")
        return None if slot_s is None else (slot_s, activation)

    def set_applied(self, applied: tuple[int, bytes] | None) -> None:
        """Remember what the EMS holds."""
        slot_s, activation = applied or (None, None)
        self._change("UPDATE node SET applied_slot_s = ?, applied_activation = ?", slot_s, activation)

    def set_ems_time(self, activation: bytes, ems_s: int) -> None:
        """Remember when the EMS took an activation's first set point."""
        self._change("UPDATE activations SET ems_s = ? WHERE activation = ?", ems_s, activation)

    def begin_fault(self, code: str, since_s: int) -> bool:
        """Remember that a fault has begun; False if it was there already."""
        return bool(self._rows("INSERT OR IGNORE INTO faults VALUES (?, ?) RETURNING code", code, since_s))

    def end_fault(self, code: str) -> int | None:
        """Forget a fault that is over; gives when it began, None if there was none."""
        rows = self._rows("DELETE FROM faults WHERE code = ? RETURNING since_s", code)
        return int(rows[0][0]) if rows else None

    def _change(self, statement: str, *values: object) -> None:
        with self._lock:
            self._db.execute(statement, values)

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def _row(self, statement: str, *values: object) -> tuple[Any, ...]:
        return self._rows(statement, *values)[0]
