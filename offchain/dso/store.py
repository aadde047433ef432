"""The DSO platform's memory in one SQLite file: PoDs, activations (which are the outbox), and decisions on own means."""

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from offchain.dso.database import Database
from offchain.dso.records import KnownPod, ProposedMeans, RefusedAcknowledgement, TrackedActivation
from offchain.protocol.documents.alarm import SessionAlarms
from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.light_node import ActivationService
from offchain.protocol.documents.own_means import MeansProposal
from offchain.protocol.terms import SLOT_S

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pods (
    pod_id TEXT PRIMARY KEY,
    pseudonym BLOB UNIQUE NOT NULL,
    aggregator TEXT NOT NULL,
    node_user TEXT NOT NULL,
    node_address TEXT NOT NULL,
    document TEXT NOT NULL,
    pom_id TEXT,
    pom_reported INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS activations (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    pod_id TEXT NOT NULL,
    pseudonym BLOB NOT NULL,
    node_address TEXT NOT NULL,
    activation BLOB NOT NULL,
    aggregator TEXT NOT NULL,
    asked BLOB NOT NULL,
    sent BLOB NOT NULL,
    topic TEXT NOT NULL,
    first_s INTEGER NOT NULL,
    end_s INTEGER NOT NULL,
    tried_s INTEGER,
    sent_s INTEGER,
    times_sent INTEGER NOT NULL DEFAULT 0,
    acknowledged_s INTEGER,
    acknowledgement BLOB,
    UNIQUE (pseudonym, activation)
);
CREATE INDEX IF NOT EXISTS activations_unacknowledged ON activations (end_s) WHERE acknowledged_s IS NULL;
CREATE INDEX IF NOT EXISTS activations_by_aggregator ON activations (aggregator, first_s);
CREATE TABLE IF NOT EXISTS refused_acknowledgements (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    payload BLOB NOT NULL,
    reason TEXT NOT NULL,
    received_s INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS own_means (
    session INTEGER PRIMARY KEY,
    start_s INTEGER NOT NULL,
    end_s INTEGER NOT NULL,
    proposal BLOB NOT NULL,
    plan INTEGER,
    decided_by TEXT,
    decided_s INTEGER,
    closed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS alarms (
    session INTEGER PRIMARY KEY,
    start_s INTEGER NOT NULL,
    end_s INTEGER NOT NULL,
    document BLOB NOT NULL
);
"""
_POD = "pod_id, pseudonym, aggregator, node_user, node_address, document, pom_id"
_TRACKED = "number, pod_id, aggregator, node_address, topic, asked, sent, sent_s, times_sent, acknowledged_s"
_MEANS = "proposal, plan, decided_by, decided_s, closed"


class DsoStore(Database):
    """PoDs, activations, alarms and own means."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _SCHEMA)

    def put_pod(self, pod: KnownPod) -> None:
        """Keep what is now known of a PoD; its PoM counts as not yet reported."""
        self._rows(f"INSERT OR REPLACE INTO pods ({_POD}) VALUES (?, ?, ?, ?, ?, ?, ?)", *astuple(pod))

    def remove_pod(self, pod_id: str) -> None:
        """Forget a PoD; its activations stay."""
        self._rows("DELETE FROM pods WHERE pod_id = ?", pod_id)

    def pod(self, pseudonym: bytes) -> KnownPod | None:
        """A PoD by its pseudonym."""
        rows = self._rows(f"SELECT {_POD} FROM pods WHERE pseudonym = ?", pseudonym)
        return KnownPod(*rows[0]) if rows else None

    def pods(self) -> list[KnownPod]:
        """All PoDs in order of their ids."""
        return [KnownPod(*row) for row in self._rows(f"SELECT {_POD} FROM pods ORDER BY pod_id")]

    def unreported_poms(self) -> list[KnownPod]:
        """PoDs whose PoM is known here and not yet reported to the Shared Customer Database."""
        condition = "pom_id IS NOT NULL AND NOT pom_reported"
        return [
            KnownPod(*row) for row in self._rows(f"SELECT {_POD} FROM pods WHERE {condition} ORDER BY pod_id")
        ]

    def mark_pom_reported(self, pod: KnownPod) -> None:
        """Note that a PoM is reported, unless the PoD has changed since."""
        self._rows(
            "UPDATE pods SET pom_reported = 1 WHERE pod_id = ? AND pseudonym = ? AND pom_id = ?",
            pod.pod_id,
            pod.pseudonym,
            pod.pom_id,
        )

    def add_activation(
        self, pod: KnownPod, asked: ActivationService, sent: ActivationService, topic: str
    ) -> None:
        """Keep an activation, to be sent."""
        points = sent.set_points
        self._rows(
            "INSERT INTO activations (pod_id, pseudonym, node_address, activation, aggregator, asked, sent, topic,"
            " first_s, end_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            pod.pod_id,
            pod.pseudonym,
            pod.node_address,
            sent.activation_id,
            pod.aggregator,
            dump(asked),
            dump(sent),
            topic,
            points[0].quarter_hour,
            points[-1].quarter_hour + SLOT_S,
        )

    def activation(self, pseudonym: bytes, activation: bytes) -> TrackedActivation | None:
        """An activation by the PoD's pseudonym and its id."""
        rows = self._rows(
            f"SELECT {_TRACKED} FROM activations WHERE pseudonym = ? AND activation = ?",
            pseudonym,
            activation,
        )
        return _tracked(rows[0]) if rows else None

    def activations(self, aggregator: str | None, from_s: int, to_s: int) -> list[TrackedActivation]:
        """Activations that begin in [from_s, to_s), of one aggregator or all, in order of arrival."""
        rows = self._rows(
            f"SELECT {_TRACKED} FROM activations WHERE first_s >= ? AND first_s < ?"
            " AND (aggregator = ? OR ? IS NULL) ORDER BY number",
            from_s,
            to_s,
            aggregator,
            aggregator,
        )
        return [_tracked(row) for row in rows]

    def due(self, now_s: int, ack_grace_s: int, resend_after_s: int, most: int) -> list[TrackedActivation]:
        """What must be sent: not with the broker, or missing, and not tried for a while; nothing that is over."""
        rows = self._rows(
            f"SELECT {_TRACKED} FROM activations WHERE acknowledged_s IS NULL AND end_s > ?"
            " AND (sent_s IS NULL OR first_s + ? <= ?) AND (tried_s IS NULL OR tried_s + ? <= ?)"
            " ORDER BY first_s, number LIMIT ?",
            now_s,
            ack_grace_s,
            now_s,
            resend_after_s,
            now_s,
            most,
        )
        return [_tracked(row) for row in rows]

    def unconfirmed(self, from_s: int, to_s: int, ack_grace_s: int) -> list[TrackedActivation]:
        """Activations that overlap [from_s, to_s) and weren't acknowledged when that was due, in order of arrival."""
        rows = self._rows(
            f"SELECT {_TRACKED} FROM activations WHERE first_s < ? AND end_s > ?"
            " AND (acknowledged_s IS NULL OR acknowledged_s >= first_s + ?) ORDER BY number",
            to_s,
            from_s,
            ack_grace_s,
        )
        return [_tracked(row) for row in rows]

    def mark_sent(self, activations: Sequence[TrackedActivation], now_s: int) -> None:
        """Note that the broker has them, but of those that go to another topic by now."""
        with self.transaction():
            for tracked in activations:
                self._rows(
                    "UPDATE activations SET tried_s = ?, sent_s = ?, times_sent = times_sent + 1"
                    " WHERE number = ? AND topic = ? AND node_address = ?",
                    now_s,
                    now_s,
                    tracked.number,
                    tracked.topic,
                    tracked.node_address,
                )

    def mark_tried(self, activations: Sequence[TrackedActivation], now_s: int) -> None:
        """Note that the broker doesn't take them, but of those that go to another topic by now."""
        with self.transaction():
            for tracked in activations:
                self._rows(
                    "UPDATE activations SET tried_s = ? WHERE number = ? AND topic = ? AND node_address = ?",
                    now_s,
                    tracked.number,
                    tracked.topic,
                    tracked.node_address,
                )

    def readdress(self, pod: KnownPod, topic: str, now_s: int) -> None:
        """Send what isn't over of a PoD's activations to its node anew, who is to acknowledge it, if that isn't the one who got
        it."""
        self._rows(
            "UPDATE activations SET topic = ?, node_address = ?, tried_s = NULL, sent_s = NULL, acknowledged_s = NULL"
            " WHERE pseudonym = ? AND end_s > ? AND (topic != ? OR node_address != ?)",
            topic,
            pod.node_address,
            pod.pseudonym,
            now_s,
            topic,
            pod.node_address,
        )

    def mark_acknowledged(self, tracked: TrackedActivation, payload: bytes, now_s: int) -> None:
        """Keep the acknowledgement of an activation by the node that it is for still; the first one stays."""
        self._rows(
            "UPDATE activations SET acknowledged_s = ?, acknowledgement = ?"
            " WHERE number = ? AND node_address = ? AND acknowledged_s IS NULL",
            now_s,
            payload,
            tracked.number,
            tracked.node_address,
        )

    def refuse_acknowledgement(self, refused: RefusedAcknowledgement) -> None:
        """Keep an acknowledgement that wasn't believed."""
        self._rows(
            "INSERT INTO refused_acknowledgements (payload, reason, received_s) VALUES (?, ?, ?)",
            *astuple(refused),
        )

    def refused_acknowledgements(self) -> list[RefusedAcknowledgement]:
        """Acknowledgements that weren't believed, oldest first."""
        rows = self._rows("SELECT payload, reason, received_s FROM refused_acknowledgements ORDER BY number")
        return [RefusedAcknowledgement(*row) for row in rows]

    def put_alarms(self, alarms: SessionAlarms) -> None:
        """Keep a session's alarms in place of those before."""
        self._rows(
            "INSERT OR REPLACE INTO alarms (session, start_s, end_s, document) VALUES (?, ?, ?, ?)",
            alarms.session,
            alarms.delivery_start,
            alarms.delivery_end,
            dump(alarms),
        )

    def alarms(self, from_s: int, to_s: int) -> list[SessionAlarms]:
        """Alarms for deliveries that overlap [from_s, to_s), in order of their sessions."""
        rows = self._rows(
            "SELECT document FROM alarms WHERE start_s < ? AND end_s > ? ORDER BY session", to_s, from_s
        )
        return [parse(SessionAlarms, raw) for (raw,) in rows]

    def add_proposal(self, proposal: MeansProposal) -> None:
        """Keep what is proposed for a session; the first one stays."""
        self._rows(
            "INSERT OR IGNORE INTO own_means (session, start_s, end_s, proposal) VALUES (?, ?, ?, ?)",
            proposal.session,
            proposal.delivery_start,
            proposal.delivery_end,
            dump(proposal),
        )

    def own_means(self, session: int) -> ProposedMeans | None:
        """What was proposed for a session, and what became of it."""
        rows = self._rows(f"SELECT {_MEANS} FROM own_means WHERE session = ?", session)
        return _proposed(rows[0]) if rows else None

    def own_means_between(self, from_s: int, to_s: int) -> list[ProposedMeans]:
        """What was proposed for deliveries that overlap [from_s, to_s), in order of their sessions."""
        rows = self._rows(
            f"SELECT {_MEANS} FROM own_means WHERE start_s < ? AND end_s > ? ORDER BY session", to_s, from_s
        )
        return [_proposed(row) for row in rows]

    def decide_means(self, session: int, plan: int, by: str, now_s: int) -> bool:
        """Keep a decision; False where it is too late."""
        return bool(
            self._rows(
                "UPDATE own_means SET plan = ?, decided_by = ?, decided_s = ? WHERE session = ? AND NOT closed"
                " RETURNING session",
                plan,
                by,
                now_s,
                session,
            )
        )

    def close_means(self, session: int) -> None:
        """Let no decision change any more."""
        self._rows("UPDATE own_means SET closed = 1 WHERE session = ?", session)


def _proposed(row: tuple[Any, ...]) -> ProposedMeans:
    proposal, plan, decided_by, decided_s, closed = row
    return ProposedMeans(parse(MeansProposal, proposal), plan, decided_by, decided_s, bool(closed))


def _tracked(row: tuple[Any, ...]) -> TrackedActivation:
    number, pod_id, aggregator, node_address, topic, asked, sent, *progress = row
    documents = (parse(ActivationService, asked), parse(ActivationService, sent))
    return TrackedActivation(number, pod_id, aggregator, node_address, topic, *documents, *progress)
