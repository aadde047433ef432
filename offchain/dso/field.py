"""The DSO's measurements from the field, kept for the grid oracle, and its reports on them for the operator."""

from collections.abc import Callable, Sequence
from pathlib import Path

from offchain.dso.database import Database
from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.field import FieldMeasurement, FieldReport, Sensor, SensorMean
from offchain.protocol.errors import InvalidInput
from offchain.rest.refusals import Conflict

MOST_AHEAD_S = 60
"""How far a sensor's clock may be ahead of ours."""
OLDEST_S = 24 * 3600
"""Older readings move no forecast of the next four hours any more."""
KEPT_S = 31 * 24 * 3600

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sensors (
    sensor TEXT PRIMARY KEY,
    gateway TEXT NOT NULL,
    quantity TEXT NOT NULL,
    element TEXT NOT NULL,
    side TEXT,
    first_s INTEGER NOT NULL,
    last_s INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS measurements (
    sensor TEXT NOT NULL,
    time_s INTEGER NOT NULL,
    value INTEGER NOT NULL,
    std_dev INTEGER NOT NULL,
    PRIMARY KEY (sensor, time_s)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS measurements_by_time ON measurements (time_s);
CREATE TABLE IF NOT EXISTS field_reports (
    session INTEGER NOT NULL,
    quarter_hour INTEGER NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (session, quarter_hour)
) WITHOUT ROWID;
"""
_SENSOR = "sensor, quantity, element, side, first_s, last_s"


class FieldDesk(Database):
    """`clock`: UTC Unix seconds."""

    def __init__(self, path: Path, clock: Callable[[], int]) -> None:
        super().__init__(path, _SCHEMA)
        self._clock = clock

    def take(self, gateway: str, measurements: Sequence[FieldMeasurement]) -> None:
        """Take measurements from a gateway, all or none. The same again changes nothing.

        Raises InvalidInput for one of the future or too old, Conflict for a sensor of another gateway or place, or with another
        reading at the same instant.
        """
        now_s = self._clock()
        with self.transaction():
            for index, measurement in enumerate(measurements):
                self._take_one(gateway, measurement, f"[{index}]", now_s)
            self._rows("DELETE FROM measurements WHERE time_s < ?", now_s - KEPT_S)

    def _take_one(self, gateway: str, measurement: FieldMeasurement, where: str, now_s: int) -> None:
        time_s, sensor = measurement.time, measurement.sensor
        if not now_s - OLDEST_S <= time_s <= now_s + MOST_AHEAD_S:
            rule = f"must be from {OLDEST_S} s ago to {MOST_AHEAD_S} s ahead: it is {now_s} now"
            raise InvalidInput(f"{where}.time", time_s, rule)
        place = (gateway, measurement.quantity, measurement.element, measurement.side)
        self._rows(
            "INSERT INTO sensors VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET first_s = min(first_s, excluded.first_s), last_s = max(last_s, excluded.last_s)",
            sensor,
            *place,
            time_s,
            time_s,
        )
        known = self._rows("SELECT gateway, quantity, element, side FROM sensors WHERE sensor = ?", sensor)
        if known != [place]:
            raise Conflict(f"{where}.sensor = {sensor!r}: is another gateway's, or measures something else")
        reading = (measurement.value, measurement.std_dev)
        self._rows("INSERT OR IGNORE INTO measurements VALUES (?, ?, ?, ?)", sensor, time_s, *reading)
        kept = "SELECT value, std_dev FROM measurements WHERE sensor = ? AND time_s = ?"
        if self._rows(kept, sensor, time_s) != [reading]:
            raise Conflict(f"{where}.time = {time_s}: sensor {sensor!r} has another reading then")

    def sensors(self) -> list[Sensor]:
        """Every sensor, by name."""
        return [Sensor(*row) for row in self._rows(f"SELECT {_SENSOR} FROM sensors ORDER BY sensor")]

    def means(self, from_s: int, to_s: int) -> list[SensorMean]:
        """Of the sensors that read anything in [from_s, to_s), by name."""
        rows = self._rows(
            f"SELECT {_SENSOR}, avg(value), max(std_dev) FROM measurements JOIN sensors USING (sensor)"
            " WHERE time_s >= ? AND time_s < ? GROUP BY sensor ORDER BY sensor",
            from_s,
            to_s,
        )
        return [SensorMean(Sensor(*place), value, std_dev) for *place, value, std_dev in rows]

    def report(self, report: FieldReport) -> None:
        """Take what became of a quarter-hour's measurements; the last report of a session on it stands."""
        self._rows(
            "INSERT OR REPLACE INTO field_reports VALUES (?, ?, ?)",
            report.session,
            report.quarter_hour,
            dump(report),
        )

    def reports(self, from_s: int, to_s: int) -> list[FieldReport]:
        """Reports on quarter-hours that begin in [from_s, to_s), in their order."""
        rows = self._rows(
            "SELECT document FROM field_reports WHERE quarter_hour >= ? AND quarter_hour < ?"
            " ORDER BY quarter_hour, session",
            from_s,
            to_s,
        )
        return [parse(FieldReport, raw) for (raw,) in rows]
