"""The grid oracle's own memory for forecasts, in one SQLite file: verified readings, and the forecasters of each month."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from offchain.protocol.metering import Net
from oracles.grid.core.forecast.history import History
from oracles.grid.core.forecast.readings import history_of_nets

_SCHEMA = """
CREATE TABLE IF NOT EXISTS readings (
    pod BLOB NOT NULL,
    start_s INTEGER NOT NULL,
    power_w INTEGER NOT NULL,
    reactive_var INTEGER NOT NULL,
    contradicted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (pod, start_s)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fetched (
    pod BLOB PRIMARY KEY,
    until_s INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forecasters (
    purpose TEXT NOT NULL,
    horizon TEXT NOT NULL,
    lead_slots INTEGER NOT NULL,
    until_s INTEGER NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (purpose, horizon, lead_slots, until_s)
) WITHOUT ROWID;
"""


class ReadingStore:
    """`path`: the file; None: memory, for who needs nothing kept. For one thread at a time."""

    def __init__(self, path: Path | None = None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        where = ":memory:" if path is None else path
        self._db = sqlite3.connect(where, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def pods(self) -> list[bytes]:
        """Every PoD whose readings were ever asked for, in order."""
        return [row[0] for row in self._rows("SELECT pod FROM fetched ORDER BY pod")]

    def fetched_until_s(self, pod: bytes) -> int | None:
        """Until when a PoD's readings were asked for; None if never."""
        rows = self._rows("SELECT until_s FROM fetched WHERE pod = ?", pod)
        return int(rows[0][0]) if rows else None

    def add(self, pod: bytes, nets: Sequence[tuple[int, Net]], until_s: int) -> None:
        """Keep a PoD's verified readings (start, net), and that they were asked for until an instant: all, or nothing.

        The same again changes nothing. Two that differ for a quarter-hour are a gap from then on: nobody knows which is right.
        """
        rows = [(pod, start_s, net.power_w, net.reactive_var) for start_s, net in nets]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(
                "INSERT INTO readings (pod, start_s, power_w, reactive_var) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (pod, start_s) DO UPDATE SET contradicted = 1"
                " WHERE power_w != excluded.power_w OR reactive_var != excluded.reactive_var",
                rows,
            )
            self._db.execute(
                "INSERT INTO fetched VALUES (?, ?)"
                " ON CONFLICT (pod) DO UPDATE SET until_s = max(until_s, excluded.until_s)",
                (pod, until_s),
            )
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def history(self, pods: Sequence[bytes], start_s: int, end_s: int) -> tuple[History, History]:
        """Net W and net var of these PoDs in the quarter-hours from one instant to another, a series a PoD; NaN in gaps."""
        nets = [
            (pod, moment_s, net) for pod in pods for moment_s, net in self.nets(pod, start_s, end_s).items()
        ]
        return history_of_nets(nets, pods, start_s, end_s)

    def nets(self, pod: bytes, start_s: int, end_s: int) -> dict[int, Net]:
        """Net power of a PoD in the quarter-hours from one instant to another, by their start."""
        rows = self._rows(
            "SELECT start_s, power_w, reactive_var FROM readings"
            " WHERE pod = ? AND start_s >= ? AND start_s < ? AND NOT contradicted",
            pod,
            start_s,
            end_s,
        )
        return {row[0]: Net(row[1], row[2]) for row in rows}

    def forecaster(self, purpose: str, horizon: str, lead_slots: int, until_s: int) -> bytes | None:
        """The document of the forecaster of a purpose and horizon that was trained until an instant, if there is one."""
        rows = self._rows(
            "SELECT document FROM forecasters WHERE purpose = ? AND horizon = ? AND lead_slots = ? AND until_s = ?",
            purpose,
            horizon,
            lead_slots,
            until_s,
        )
        return bytes(rows[0][0]) if rows else None

    def put_forecaster(
        self, purpose: str, horizon: str, lead_slots: int, until_s: int, document: bytes
    ) -> None:
        """Keep a forecaster, in place of the one that there is."""
        self._rows(
            "INSERT OR REPLACE INTO forecasters VALUES (?, ?, ?, ?, ?)",
            purpose,
            horizon,
            lead_slots,
            until_s,
            document,
        )

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self._db.execute(statement, values).fetchall()
