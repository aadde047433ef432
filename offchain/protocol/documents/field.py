"""Measurements of the DSO's own sensors in the field, and what the grid oracle made of them.

Ours, so values are integers: mV, W, var, mA, times in Unix seconds. What a bus absorbs is positive; P, Q and current of a branch flow
into it at the side named.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from offchain.protocol.documents.base import Document, Identifier, Whole, broken_rule
from offchain.protocol.units import MAX_UNIX_S

SIDES = {"bus": (None,), "line": ("from", "to"), "trafo": ("hv", "lv")}
_ELEMENT = re.compile(r"(bus|line|trafo):(.+)", re.DOTALL)
_MOST = 10**12
Quantity = Literal["voltage", "activePower", "reactivePower", "current"]
Key = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""An element's key, such as `line:LV1.101 Line 3`."""
Time = Annotated[Whole, Field(ge=0, le=MAX_UNIX_S)]


class FieldMeasurement(Document):
    """What a sensor read at an instant, and how much its reading scatters (standard deviation, in the quantity's unit)."""

    sensor: Identifier
    quantity: Quantity
    element: Key
    side: Literal["from", "to", "hv", "lv"] | None = None
    value: Annotated[Whole, Field(ge=-_MOST, le=_MOST)]
    std_dev: Annotated[Whole, Field(ge=1, le=_MOST)]
    time: Time

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        found = _ELEMENT.fullmatch(self.element)
        if found is None:
            raise broken_rule("element", self.element, "must be bus:, line: or trafo: and a name")
        table = found.group(1)
        if self.side not in SIDES[table]:
            raise broken_rule(
                "side", self.side, f"of a {table} must be {' or '.join(map(str, SIDES[table]))}"
            )
        if self.quantity == ("current" if table == "bus" else "voltage"):
            raise broken_rule("quantity", self.quantity, f"isn't measured at a {table}")
        if self.value < 0 and self.quantity in ("voltage", "current"):
            raise broken_rule("value", self.value, "must not be negative")
        return self


@dataclass(frozen=True)
class Sensor:
    """What a sensor measures, and where, and when it was heard of first and last."""

    sensor: str
    quantity: str
    element: str
    side: str | None
    first_s: int
    last_s: int


@dataclass(frozen=True)
class SensorMean:
    """What a sensor read on average over some time, and the most that its readings scattered."""

    sensor: Sensor
    value: float
    std_dev: float


class SensorAlarm(Document):
    """A sensor whose readings weren't used, and why: grossly wrong (`residual`: by how many thousandths of a standard deviation), more
    or less than can be, none in the quarter-hour, at an element that isn't there, or at one that isn't supplied. `value`: its
    mean."""

    sensor: Identifier
    element: Key
    kind: Literal["badData", "implausible", "stale", "unknownElement", "notSupplied"]
    value: Whole | None = None
    residual: Whole | None = None
    last_time: Time | None = None


class FieldReport(Document):
    """What became of a quarter-hour's measurements before a real-time session's forecast. `estimated`: whether its state is told from
    them; else the forecast rests on what it rests on without, and `says` why. `contradicted`: buses whose forecast they
    contradict; `consistent`: whether they fit the grid model."""

    session: Whole
    quarter_hour: Time
    estimated: bool
    says: str
    sensors: Whole
    contradicted: tuple[Key, ...] = ()
    consistent: bool | None = None
    alarms: tuple[SensorAlarm, ...] = ()
