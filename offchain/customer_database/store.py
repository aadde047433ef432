"""The Shared Customer Database's memory in one DuckDB file.

Rows go in through Arrow tables, never one by one. Tables have no primary keys, which would cost more than all the
rest: what must be unique is checked by the service, inside the transaction.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

import duckdb
import pyarrow as pa

from offchain.customer_database.records import (
    Acknowledgement,
    Anomaly,
    Baseline,
    Pod,
    PodEvent,
    Reading,
    SetPoint,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Row = TypeVar("Row", bound=DataclassInstance)
else:
    Row = TypeVar("Row")

_TABLES: dict[type, str] = {
    Pod: "pods",
    Baseline: "baselines",
    Reading: "readings",
    SetPoint: "set_points",
    Anomaly: "anomalies",
    Acknowledgement: "acknowledgements",
    PodEvent: "pod_events",
}
_PROOF = ("batch_root", "position", "transaction")
"""Columns of a reading that say where its proof is, not what the meter said."""
_SQL_TYPES = {str: "VARCHAR", bytes: "BLOB", int: "BIGINT"}
_ARROW_TYPES = {str: pa.string(), bytes: pa.binary(), int: pa.int64()}


def _columns(kind: type) -> dict[str, tuple[type, bool]]:
    """Type of each column of a row, and whether it may be null."""
    columns = {}
    for name, hint in get_type_hints(kind).items():
        options = get_args(hint) or (hint,)
        columns[name] = (next(option for option in options if option is not NoneType), NoneType in options)
    return columns


class CustomerStore:
    """Registry, baselines, readings, set points, anomalies and the outbox; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = duckdb.connect(str(path))
        for kind, table in _TABLES.items():
            columns = ", ".join(
                f"{name} {_SQL_TYPES[column]}{'' if null else ' NOT NULL'}"
                for name, (column, null) in _columns(kind).items()
            )
            self._db.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
        self._db.execute("CREATE SEQUENCE IF NOT EXISTS event_numbers")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes made inside are kept together, or none of them. Not to be nested."""
        with self._lock:
            self._db.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def add(self, rows: "Sequence[DataclassInstance]") -> None:
        """Add rows of one kind."""
        if rows:
            self._with_rows(rows, f"INSERT INTO {_TABLES[type(rows[0])]} BY NAME SELECT * FROM incoming")

    def add_new(self, rows: "Sequence[DataclassInstance]") -> None:
        """Add the rows of one kind that aren't here yet."""
        if rows:
            table = _TABLES[type(rows[0])]
            same = ", ".join(_columns(type(rows[0])))
            self._with_rows(
                rows,
                f"INSERT INTO {table} BY NAME SELECT DISTINCT * FROM incoming ANTI JOIN {table} USING ({same})",
            )

    def pods(
        self, *, aggregator: str | None = None, pod_ids: Sequence[str] | None = None, removed: bool = False
    ) -> list[Pod]:
        """PoDs in order of their ids: of one aggregator or all, with these ids or all, also removed ones or not."""
        return self._select(
            Pod,
            "($1::VARCHAR IS NULL OR aggregator = $1) AND ($2::VARCHAR[] IS NULL OR pod_id IN (SELECT unnest($2)))"
            " AND ($3 OR removed_s IS NULL) ORDER BY pod_id, validity_start_s",
            aggregator,
            None if pod_ids is None else list(pod_ids),
            removed,
        )

    def pods_by_pseudonym(self, pseudonyms: Sequence[bytes]) -> dict[bytes, Pod]:
        """PoDs by pseudonym, removed ones too; one that isn't known is left out."""
        found = self._select(Pod, "pseudonym IN (SELECT unnest($1::BLOB[]))", list(pseudonyms))
        return {pod.pseudonym: pod for pod in found}

    def nodes_in_use(self, addresses: Sequence[str], users: Sequence[str]) -> list[Pod]:
        """PoDs, not removed, with one of these Light Node addresses or broker users."""
        return self._select(
            Pod,
            "removed_s IS NULL AND (node_address IN (SELECT unnest($1::VARCHAR[]))"
            " OR node_user IN (SELECT unnest($2::VARCHAR[])))",
            list(addresses),
            list(users),
        )

    def replace_pod(self, pod: Pod) -> None:
        """Put a PoD in place of the one with the same pseudonym; call it inside a transaction."""
        self._rows("DELETE FROM pods WHERE pseudonym = $1", pod.pseudonym)
        self.add([pod])

    def replace_baselines(self, rows: Sequence[Baseline]) -> None:
        """Put baselines in place of those of the same PoDs and quarter-hours; call it inside a transaction."""
        self._with_rows(
            rows,
            "DELETE FROM baselines USING incoming WHERE baselines.start_s BETWEEN $1 AND $2"
            " AND baselines.pseudonym = incoming.pseudonym AND baselines.start_s = incoming.start_s",
            min(row.start_s for row in rows),
            max(row.start_s for row in rows),
        )
        self.add(rows)

    def add_new_readings(self, rows: Sequence[Reading]) -> tuple[int, list[tuple[bytes, int]]]:
        """Add the readings that aren't here yet; call it inside a transaction.

        The same reading under another proof isn't new. Gives how many were new, and, of the quarter-hours given, those
        that now have readings that differ: (pseudonym, start).
        """
        first_s, last_s = min(row.start_s for row in rows), max(row.start_s for row in rows)
        said = ", ".join(name for name in _columns(Reading) if name not in _PROOF)
        before = self._rows("SELECT count(*) FROM readings")[0][0]
        self._with_rows(
            rows,
            f"INSERT INTO readings BY NAME SELECT DISTINCT ON ({said}) * FROM incoming"
            f" ANTI JOIN (SELECT {said} FROM readings WHERE start_s BETWEEN $1 AND $2) USING ({said})",
            first_s,
            last_s,
        )
        added = self._rows("SELECT count(*) FROM readings")[0][0] - before
        contradicting = self._with_rows(
            rows,
            "SELECT pseudonym, start_s FROM readings SEMI JOIN incoming USING (pseudonym, start_s)"
            " WHERE start_s BETWEEN $1 AND $2"
            " GROUP BY pseudonym, start_s HAVING count(*) > 1 ORDER BY pseudonym, start_s",
            first_s,
            last_s,
        )
        return int(added), [(row[0], row[1]) for row in contradicting]

    def readings(self, pseudonyms: Sequence[bytes], from_s: int, to_s: int) -> list[Reading]:
        """Readings that start in [from_s, to_s), in order of time."""
        return self._of_pods(Reading, pseudonyms, from_s, to_s)

    def baselines(self, pseudonyms: Sequence[bytes], from_s: int, to_s: int) -> list[Baseline]:
        """Baselines that start in [from_s, to_s), in order of time."""
        return self._of_pods(Baseline, pseudonyms, from_s, to_s)

    def set_points(self, pseudonyms: Sequence[bytes], from_s: int, to_s: int) -> list[SetPoint]:
        """Set points that start in [from_s, to_s), in order of time; the one that holds is the latest."""
        return self._of_pods(SetPoint, pseudonyms, from_s, to_s)

    def activation(self, pseudonym: bytes, activation: bytes) -> list[SetPoint]:
        """The set points of one activation of a PoD, in order of time."""
        return self._select(
            SetPoint, "pseudonym = $1 AND activation = $2 ORDER BY start_s", pseudonym, activation
        )

    def pods_with_set_points(self, from_s: int, to_s: int) -> list[bytes]:
        """Pseudonyms of the PoDs that were told anything in [from_s, to_s)."""
        rows = self._rows(
            "SELECT DISTINCT pseudonym FROM set_points WHERE start_s >= $1 AND start_s < $2 ORDER BY pseudonym",
            from_s,
            to_s,
        )
        return [row[0] for row in rows]

    def anomalies(self, from_s: int, to_s: int) -> list[Anomaly]:
        """Anomalies that concern [from_s, to_s), in order of time."""
        return self._select(Anomaly, "at_s >= $1 AND at_s < $2 ORDER BY at_s, pod, code", from_s, to_s)

    def acknowledgements(self, pseudonyms: Sequence[bytes]) -> list[Acknowledgement]:
        """Acknowledgements of PoDs' activations, in order of PoD and time."""
        condition = "pseudonym IN (SELECT unnest($1::BLOB[])) ORDER BY pseudonym, ems_s"
        return self._select(Acknowledgement, condition, list(pseudonyms))

    def queue_events(self, listeners: Sequence[str], pods: Sequence[tuple[bytes, str]]) -> None:
        """Queue (pseudonym, action) for every listener; call it inside the transaction that changes the PoDs."""
        wanted = [(listener, *pod) for pod in pods for listener in listeners]
        numbers = self._rows("SELECT nextval('event_numbers') FROM range($1)", len(wanted))
        self.add([PodEvent(number, *event) for (number,), event in zip(numbers, wanted, strict=True)])

    def events(self, listener: str, most: int) -> list[PodEvent]:
        """The oldest events that a listener hasn't been told of."""
        return self._select(PodEvent, "listener = $1 ORDER BY number LIMIT $2", listener, most)

    def delivered(self, listener: str, upto: int) -> None:
        """Note that a listener was told of its events up to a number."""
        self._rows("DELETE FROM pod_events WHERE listener = $1 AND number <= $2", listener, upto)

    def _of_pods(self, kind: type[Row], pseudonyms: Sequence[bytes], from_s: int, to_s: int) -> list[Row]:
        order = "timestamp_s" if kind is SetPoint else "rowid"
        return self._select(
            kind,
            "start_s >= $1 AND start_s < $2 AND pseudonym IN (SELECT unnest($3::BLOB[]))"
            f" ORDER BY start_s, pseudonym, {order}",
            from_s,
            to_s,
            list(pseudonyms),
        )

    def _select(self, kind: type[Row], condition: str, *values: object) -> list[Row]:
        names = ", ".join(field.name for field in fields(kind))
        return [
            kind(*row)
            for row in self._rows(f"SELECT {names} FROM {_TABLES[kind]} WHERE {condition}", *values)
        ]

    def _with_rows(
        self, rows: "Sequence[DataclassInstance]", statement: str, *values: object
    ) -> list[tuple[Any, ...]]:
        """Run a statement that reads these rows as the table `incoming`."""
        columns = {
            name: pa.array([getattr(row, name) for row in rows], _ARROW_TYPES[column])
            for name, (column, _) in _columns(type(rows[0])).items()
        }
        with self._lock:
            self._db.register("incoming", pa.table(columns))
            try:
                return self._rows(statement, *values)
            finally:
                self._db.unregister("incoming")

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(statement, list(values)).fetchall()
