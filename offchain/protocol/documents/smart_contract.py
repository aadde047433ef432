"""Settlement mechanisms that aggregators have for their customers (D2.3 Tables 22 and 23).

A mechanism is a table of 7 days (0: Monday) and 96 intervals by the wall clock: fixed prices, or percentages
of the flexibility price. A contract is of one kind: the table says "in alternative". What a contract doesn't
mention is 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from offchain.protocol.documents.base import Document, Eur, Identifier, Percent, Whole, broken_rule, build
from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import DAYS_PER_WEEK, INTERVALS_PER_DAY
from offchain.protocol.units import (
    basis_points_to_percent,
    eur_per_kwh_to_ueur_per_kw,
    percent_to_basis_points,
    ueur_per_kw_to_eur_per_kwh,
)

MAX_TABLE_PRICE = 2**32 - 1
"""Most that an entry of a mechanism's table may be: a uint32."""


class DayOfTheWeek(StrEnum):
    """Days in the order in which mechanisms count them."""

    MONDAY = "Mon"
    TUESDAY = "Tue"
    WEDNESDAY = "Wed"
    THURSDAY = "Thu"
    FRIDAY = "Fri"
    SATURDAY = "Sat"
    SUNDAY = "Sun"


_DAYS = tuple(DayOfTheWeek)


class MechanismKind(StrEnum):
    """What a mechanism's prices are."""

    FIXED_PRICE = "fixedPrices"
    """µ€ per kW and interval."""
    PERCENTAGE = "percentagePrices"
    """Basis points of the flexibility price."""


@dataclass(frozen=True)
class PriceTable:
    """A mechanism's prices: `prices[day][interval]`, 7 times 96, in the unit that the kind says."""

    kind: MechanismKind
    prices: tuple[tuple[int, ...], ...]


class FixedPrice(Document):
    """A price in € per kWh."""

    interval: Annotated[Whole, Field(ge=0, lt=INTERVALS_PER_DAY)]
    price: Eur


class PercentagePrice(Document):
    """A price in per cent of the flexibility price."""

    interval: Annotated[Whole, Field(ge=0, lt=INTERVALS_PER_DAY)]
    price: Percent


class TimeFrame(Document):
    """Table 23: prices of one day of the week, of one of the two kinds."""

    day_of_the_week: DayOfTheWeek
    fixed_prices: Annotated[tuple[FixedPrice, ...], Field(max_length=INTERVALS_PER_DAY)] | None = None
    percentage_prices: Annotated[tuple[PercentagePrice, ...], Field(max_length=INTERVALS_PER_DAY)] | None = (
        None
    )

    @property
    def kind(self) -> MechanismKind:
        """Which of the two it has."""
        return MechanismKind.PERCENTAGE if self.fixed_prices is None else MechanismKind.FIXED_PRICE

    @property
    def entries(self) -> tuple[FixedPrice | PercentagePrice, ...]:
        """Its prices."""
        return (self.percentage_prices or ()) if self.fixed_prices is None else self.fixed_prices

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if (self.fixed_prices is None) == (self.percentage_prices is None):
            shown = "neither" if self.fixed_prices is None else "both"
            rule = "must be given or percentagePrices, and not both"
            raise broken_rule(MechanismKind.FIXED_PRICE, shown, rule)
        return self


class SmartContract(Document):
    """Table 22."""

    id: Identifier | None = Field(default=None, alias="_id")
    time_frames: Annotated[tuple[TimeFrame, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check_frames(self) -> Self:
        kind = self.time_frames[0].kind
        seen: set[tuple[DayOfTheWeek, int]] = set()
        for place, frame in enumerate(self.time_frames):
            where = f"timeFrames[{place}].{frame.kind}"
            if frame.kind is not kind:
                raise broken_rule(where, "given", f"a contract is of one kind, this one has {kind}")
            for inner, entry in enumerate(frame.entries):
                if (frame.day_of_the_week, entry.interval) in seen:
                    rule = f"must stand once for {frame.day_of_the_week}"
                    raise broken_rule(f"{where}[{inner}].interval", entry.interval, rule)
                seen.add((frame.day_of_the_week, entry.interval))
        return self


def price_table(contract: SmartContract) -> PriceTable:
    """A contract's prices as integers.

    Raises InvalidInput for a price that isn't whole µ€ per kW and quarter-hour, or doesn't fit the table.
    """
    table = [[0] * INTERVALS_PER_DAY for _ in range(DAYS_PER_WEEK)]
    kind = contract.time_frames[0].kind
    for place, frame in enumerate(contract.time_frames):
        day = table[_DAYS.index(frame.day_of_the_week)]
        for inner, entry in enumerate(frame.entries):
            where = f"timeFrames[{place}].{kind}[{inner}].price"
            convert = (
                eur_per_kwh_to_ueur_per_kw if kind is MechanismKind.FIXED_PRICE else percent_to_basis_points
            )
            price = convert(where, entry.price)
            if price > MAX_TABLE_PRICE:
                raise InvalidInput(
                    where, entry.price, f"must be at most {MAX_TABLE_PRICE} in the table's unit"
                )
            day[entry.interval] = price
    return PriceTable(kind, tuple(tuple(day) for day in table))


def smart_contract(contract_id: str, table: PriceTable) -> SmartContract:
    """Table 22 from integers: a time frame for every day, prices of 0 left out. Raises InvalidInput."""
    if len(table.prices) != DAYS_PER_WEEK or any(len(day) != INTERVALS_PER_DAY for day in table.prices):
        shown = [len(day) for day in table.prices]
        raise InvalidInput("prices", shown, f"must be {DAYS_PER_WEEK} days of {INTERVALS_PER_DAY} intervals")
    frames = tuple(
        build(TimeFrame, day_of_the_week=_DAYS[number], **_day_prices(table.kind, enumerate(day)))
        for number, day in enumerate(table.prices)
    )
    return build(SmartContract, id=contract_id, time_frames=frames)


def _day_prices(kind: MechanismKind, prices: Iterable[tuple[int, int]]) -> dict[str, object]:
    given = [(interval, price) for interval, price in prices if price]
    for _, price in given:
        if not 0 <= price <= MAX_TABLE_PRICE:
            raise InvalidInput("price", price, f"must be 0 to {MAX_TABLE_PRICE}")
    if kind is MechanismKind.FIXED_PRICE:
        return {
            "fixed_prices": tuple(
                build(FixedPrice, interval=interval, price=ueur_per_kw_to_eur_per_kwh(price))
                for interval, price in given
            )
        }
    return {
        "percentage_prices": tuple(
            build(PercentagePrice, interval=interval, price=basis_points_to_percent(price))
            for interval, price in given
        )
    }
