"""Power flows as the DSO's operator sees them: a summary a session, a row an element, so that a page costs what it shows."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from offchain.dso.database import Database
from offchain.protocol.flows import BRANCH_QUANTITIES, NODE_QUANTITIES, ElementFlows, Integers, SessionFlows
from offchain.protocol.metering import SLOTS_PER_HOUR

_SCHEMA = """
CREATE TABLE IF NOT EXISTS flows (
    session INTEGER PRIMARY KEY,
    start_s INTEGER NOT NULL,
    end_s INTEGER NOT NULL,
    grid_model TEXT NOT NULL,
    slots INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS element_flows (
    session INTEGER NOT NULL,
    number INTEGER NOT NULL,
    element TEXT NOT NULL,
    kind TEXT NOT NULL,
    most INTEGER NOT NULL,
    least INTEGER,
    highest INTEGER NOT NULL,
    lowest INTEGER NOT NULL,
    losses_w_slots INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (session, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS element_flows_by_element ON element_flows (session, element);
"""
_ELEMENT = "number, element, most, least, content"


@dataclass(frozen=True)
class Extreme:
    """The element in which a quantity is highest or lowest over all slots."""

    element: str
    value: int


@dataclass(frozen=True)
class FlowSummary:
    """A session's power flows in short. `highest_loading` in milli-percent, voltages in micro-pu; None where there are no branches."""

    session: int
    delivery_start: int
    delivery_end: int
    grid_model: str
    slots: int
    nodes: int
    branches: int
    losses_wh: int
    highest_loading: Extreme | None
    highest_voltage: Extreme | None
    lowest_voltage: Extreme | None


@dataclass(frozen=True, eq=False)
class ElementFlow:
    """One element's power flow: quantities by name (`offchain.protocol.flows`), a value for each slot. `number`: its place among the
    session's elements, nodes first."""

    number: int
    element: str
    highest_allowed: int
    lowest_allowed: int | None
    values: Mapping[str, Integers]


class FlowStore(Database):
    """The last power flows of each session."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _SCHEMA)

    def show_flows(self, flows: SessionFlows) -> None:
        """Keep a session's power flows in place of those before."""
        session, rows = flows.session, [*_rows_of(flows)]
        with self.transaction():
            self._rows("DELETE FROM element_flows WHERE session = ?", session)
            self._rows(
                "INSERT OR REPLACE INTO flows (session, start_s, end_s, grid_model, slots) VALUES (?, ?, ?, ?, ?)",
                session,
                flows.delivery_start,
                flows.delivery_end,
                flows.grid_model,
                flows.slots,
            )
            self._db.executemany(
                "INSERT INTO element_flows (session, number, element, kind, most, least, highest, lowest, losses_w_slots,"
                " content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(session, number, *row) for number, row in enumerate(rows)],
            )

    def summaries(self, from_s: int, to_s: int) -> list[FlowSummary]:
        """Of deliveries that overlap [from_s, to_s), in order of their sessions."""
        rows = self._rows(
            "SELECT session, start_s, end_s, grid_model, slots FROM flows WHERE start_s < ? AND end_s > ? ORDER BY session",
            to_s,
            from_s,
        )
        return [self._summary(*row) for row in rows]

    def slots(self, session: int) -> int | None:
        """Slots of a session of which there are power flows."""
        rows = self._rows("SELECT slots FROM flows WHERE session = ?", session)
        return int(rows[0][0]) if rows else None

    def elements(
        self, session: int, after: int, most: int, kind: str | None = None, element: str | None = None
    ) -> list[ElementFlow]:
        """At most so many elements whose number is above `after`, of a kind or of a key where one is given."""
        rows = self._rows(
            f"SELECT {_ELEMENT} FROM element_flows WHERE session = ? AND number > ? AND (kind = ? OR ? IS NULL)"
            " AND (element = ? OR ? IS NULL) ORDER BY number LIMIT ?",
            session,
            after,
            kind,
            kind,
            element,
            element,
            most,
        )
        return [_element(row) for row in rows]

    def _summary(self, session: int, start_s: int, end_s: int, grid_model: str, slots: int) -> FlowSummary:
        counts = dict(
            self._rows(
                "SELECT kind = 'bus', count(*) FROM element_flows WHERE session = ? GROUP BY kind = 'bus'",
                session,
            )
        )
        ((w_slots,),) = self._rows(
            "SELECT coalesce(sum(losses_w_slots), 0) FROM element_flows WHERE session = ?", session
        )
        return FlowSummary(
            session=session,
            delivery_start=start_s,
            delivery_end=end_s,
            grid_model=grid_model,
            slots=slots,
            nodes=int(counts.get(1, 0)),
            branches=int(counts.get(0, 0)),
            losses_wh=w_slots // SLOTS_PER_HOUR,
            highest_loading=self._extreme(session, "kind != 'bus'", "highest", "DESC"),
            highest_voltage=self._extreme(session, "kind = 'bus'", "highest", "DESC"),
            lowest_voltage=self._extreme(session, "kind = 'bus'", "lowest", "ASC"),
        )

    def _extreme(self, session: int, which: str, value: str, order: str) -> Extreme | None:
        rows = self._rows(
            f"SELECT element, {value} FROM element_flows WHERE session = ? AND {which} ORDER BY {value} {order}, number LIMIT 1",
            session,
        )
        return Extreme(*rows[0]) if rows else None


def _rows_of(flows: SessionFlows) -> Iterator[tuple[Any, ...]]:
    yield from _rows_of_sort(flows.nodes, None)
    yield from _rows_of_sort(flows.branches, BRANCH_QUANTITIES.index("lossesW"))


def _rows_of_sort(flows: ElementFlows, losses: int | None) -> Iterator[tuple[Any, ...]]:
    for place, key in enumerate(flows.keys):
        values = np.ascontiguousarray(flows.values[:, :, place], dtype="<i8")
        # A node that the grid doesn't have in some slots has zeros there, which are no voltage.
        lowest = values[0] if flows.lowest is None else values[0][values[0] > 0]
        yield (
            key,
            key.partition(":")[0],
            int(flows.highest[place]),
            None if flows.lowest is None else int(flows.lowest[place]),
            int(values[0].max()),
            int(lowest.min()) if len(lowest) else 0,
            0 if losses is None else int(values[losses].sum()),
            zlib.compress(values.tobytes()),
        )


def _element(row: Sequence[Any]) -> ElementFlow:
    number, element, most, least, content = row
    names = NODE_QUANTITIES if element.startswith("bus:") else BRANCH_QUANTITIES
    values = np.frombuffer(zlib.decompress(content), dtype="<i8").reshape(len(names), -1)
    return ElementFlow(number, element, most, least, dict(zip(names, values, strict=True)))
