"""The market time frame that documents of sessions share, and quantities of products in its intervals.

Powers in documents are signed: positive is up, negative is down. A PoD that is up and down, or offered at two
prices, in one interval stands in the document more than once.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Protocol, Self, TypeVar

from pydantic import Field, model_validator

from offchain.protocol.documents.base import Document, Index, Moment, PodReference, Whole, broken_rule
from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import (
    DAY_LENGTHS,
    REAL_TIME_LENGTHS,
    Window,
    day_window,
    local_date,
    real_time_windows,
)
from offchain.protocol.products import Product
from offchain.protocol.units import (
    QUARTER_HOUR_MINUTES,
    datetime_to_unix_s,
    kw_to_w,
    unix_s_to_datetime,
    w_to_kw,
)

LONGEST_FRAME = max(DAY_LENGTHS)
_QUARTERS_PER_HOUR = 4
_DAY_HOURS = 24


class MarketType(StrEnum):
    """Day-ahead or real time."""

    DAY_AHEAD = "dayAhead"
    REAL_TIME = "realTime"


class ServiceType(StrEnum):
    """What a flexibility service, or the part of an outcome that answers it, is."""

    OFFER = "offer"
    DSO_REQUEST = "DSO_request"
    TSO_REQUEST = "TSO_request"


_LENGTHS = {MarketType.DAY_AHEAD: DAY_LENGTHS, MarketType.REAL_TIME: REAL_TIME_LENGTHS}


class IndexedPower(Document):
    """What all tables of powers have: the interval that they are of."""

    index: Index = Field(alias="Index")


class PodPowers(Document):
    """A PoD and its powers; each index at most once."""

    pod: PodReference
    power: Annotated[tuple[IndexedPower, ...], Field(max_length=LONGEST_FRAME)]

    @model_validator(mode="after")
    def _check_indices(self) -> Self:
        seen: set[int] = set()
        for place, power in enumerate(self.power):
            where = f"power[{place}].Index"
            if power.index >= LONGEST_FRAME:
                raise broken_rule(where, power.index, f"must be below {LONGEST_FRAME}: no day has more slots")
            if power.index in seen:
                raise broken_rule(where, power.index, "must stand once in its PoD's powers")
            seen.add(power.index)
        return self


class TimeFramed(Document):
    """startTime, duration (hours), interval (minutes) and what is said of each PoD in that frame.

    The day-ahead frame is a local day of 23, 24 or 25 hours, the real-time frame one of its six windows of
    four hours (three or five with the clock change). The default duration is a day-ahead one.
    """

    start_time: Moment | None = None
    duration: Whole = _DAY_HOURS
    interval: Whole = QUARTER_HOUR_MINUTES
    market_type: MarketType | None = None
    flexibility: tuple[PodPowers, ...]

    @property
    def slots(self) -> int:
        """Intervals of the time frame."""
        return self.duration * _QUARTERS_PER_HOUR

    @model_validator(mode="after")
    def _check_frame(self) -> Self:
        if self.interval != QUARTER_HOUR_MINUTES:
            raise broken_rule("interval", self.interval, f"must be {QUARTER_HOUR_MINUTES} minutes")
        types = list(MarketType) if self.market_type is None else [self.market_type]
        lengths = [length for kind in types for length in _LENGTHS[kind]]
        if self.slots not in lengths:
            hours = ", ".join(str(length // _QUARTERS_PER_HOUR) for length in sorted(lengths))
            raise broken_rule("duration", self.duration, f"must be one of {hours} hours ({', '.join(types)})")
        if self.start_time is not None:
            self._check_window(self.start_time, types)
        for place, entry in enumerate(self.flexibility):
            for inner, power in enumerate(entry.power):
                if power.index >= self.slots:
                    where = f"flexibility[{place}].power[{inner}].Index"
                    raise broken_rule(
                        where, power.index, f"the time frame has intervals 0 to {self.slots - 1}"
                    )
        return self

    def _check_window(self, start: datetime, types: Sequence[MarketType]) -> None:
        shown = start.isoformat()
        try:
            start_s = datetime_to_unix_s("startTime", start)
            day = local_date(start_s)
        except InvalidInput as refusal:
            raise broken_rule("startTime", shown, refusal.rule) from None
        windows: list[Window] = []
        if MarketType.DAY_AHEAD in types:
            windows.append(day_window(day))
        if MarketType.REAL_TIME in types:
            windows.extend(real_time_windows(day))
        starting = [window for window in windows if window.start_s == start_s]
        if not starting:
            raise broken_rule(
                "startTime", shown, f"must be when a {' or '.join(types)} window starts in Rome"
            )
        if self.slots not in [window.slots for window in starting]:
            hours = " or ".join(str(window.slots // _QUARTERS_PER_HOUR) for window in starting)
            raise broken_rule("duration", self.duration, f"must be {hours} hours for this startTime")


def frame_values(market_type: MarketType, window: Window) -> dict[str, object]:
    """The fields of TimeFramed that a session's window fixes, by their Python names, for `build`."""
    if window.slots % _QUARTERS_PER_HOUR:
        raise InvalidInput("window.slots", window.slots, "must be whole hours")
    return {
        "start_time": unix_s_to_datetime(window.start_s),
        "duration": window.slots // _QUARTERS_PER_HOUR,
        "interval": QUARTER_HOUR_MINUTES,
        "market_type": market_type,
    }


class Quantity(Protocol):
    """A row of integers: something of one product at a PoD in a slot."""

    @property
    def pod(self) -> str:
        """Id or pseudonym."""

    @property
    def slot(self) -> int:
        """Index in the time frame."""

    @property
    def product(self) -> Product:
        """Of what."""


QuantityT = TypeVar("QuantityT", bound=Quantity)
Cell = dict[bool, QuantityT]
"""What stands in one power object: the active quantity under True, the reactive one under False."""


def into_objects(
    rows: Iterable[QuantityT], together: Callable[[QuantityT], Hashable]
) -> list[tuple[list[QuantityT], dict[int, Cell[QuantityT]]]]:
    """Share rows out over flexibility objects: at most one active and one reactive row of an index in each.

    Rows of one PoD stand in one object where they agree in what `together` gives and their place is still
    free; else another object of the PoD takes them. Gives (rows, power objects by index) per object, in order
    of first rows.
    """
    objects: list[tuple[list[QuantityT], dict[int, Cell[QuantityT]]]] = []
    of_key: dict[Hashable, list[int]] = {}
    for row in rows:
        mine = of_key.setdefault((row.pod, together(row)), [])
        for number in mine:
            if row.product.is_active not in objects[number][1].get(row.slot, {}):
                break
        else:
            number = len(objects)
            mine.append(number)
            objects.append(([], {}))
        members, cells = objects[number]
        members.append(row)
        cells.setdefault(row.slot, {})[row.product.is_active] = row
    return objects


def product_of(power_w: int, *, active: bool) -> Product:
    """The product that a signed power of a document is of: positive up, negative down."""
    if active:
        return Product.ACTIVE_UP if power_w > 0 else Product.ACTIVE_DOWN
    return Product.REACTIVE_UP if power_w > 0 else Product.REACTIVE_DOWN


def signed_kw(product: Product, power_w: int) -> Decimal:
    """W (var) of a product, not negative, as the signed kW (kvar) of a document. Raises InvalidInput."""
    if power_w < 0:
        raise InvalidInput("power_w", power_w, "must not be negative: the product says up or down")
    power_kw = w_to_kw(product.sign * power_w)
    kw_to_w("power_w", power_kw)
    return power_kw
