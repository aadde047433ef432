"""Settlement mechanisms: D2.3's time frames and the 7 x 96 table of a contract."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.smart_contract import (
    MAX_TABLE_PRICE,
    MechanismKind,
    PriceTable,
    SmartContract,
    price_table,
    smart_contract,
)
from offchain.protocol.errors import InvalidInput
from offchain.protocol.units import MAX_BASIS_POINTS


def read(*frames: dict[str, Any]) -> SmartContract:
    return parse(SmartContract, json.dumps({"_id": "m1", "timeFrames": frames}).encode())


def fixed(day: str, *prices: tuple[int, float]) -> dict[str, Any]:
    return {
        "dayOfTheWeek": day,
        "fixedPrices": [{"interval": interval, "price": price} for interval, price in prices],
    }


def share(day: str, *prices: tuple[int, float]) -> dict[str, Any]:
    return {
        "dayOfTheWeek": day,
        "percentagePrices": [{"interval": interval, "price": price} for interval, price in prices],
    }


def test_fixed_prices_are_per_kw_and_quarter_hour() -> None:
    table = price_table(read(fixed("Mon", (0, 0.1), (95, 1)), fixed("Sun", (40, 0.000004))))
    assert table.kind is MechanismKind.FIXED_PRICE
    assert (table.prices[0][0], table.prices[0][95], table.prices[6][40]) == (25_000, 250_000, 1)
    assert sum(map(sum, table.prices)) == 275_001


def test_percentages_are_basis_points() -> None:
    table = price_table(read(share("Wed", (0, 33.33), (1, 100)), share("Wed", (2, 0.01))))
    assert table.kind is MechanismKind.PERCENTAGE
    assert table.prices[2][:4] == (3333, 10_000, 1, 0)


@pytest.mark.parametrize(
    ("frames", "field", "rule"),
    [
        ([], "timeFrames", "at least 1 item"),
        ([{"dayOfTheWeek": "Mon"}], "timeFrames[0].fixedPrices", "and not both"),
        ([fixed("Mon") | share("Mon")], "timeFrames[0].fixedPrices", "and not both"),
        ([fixed("Mon"), share("Tue")], "timeFrames[1].percentagePrices", "of one kind"),
        ([fixed("Mon", (3, 1), (3, 2))], "timeFrames[0].fixedPrices[1].interval", "once for Mon"),
        (
            [fixed("Mon", (3, 1)), fixed("Mon", (3, 1))],
            "timeFrames[1].fixedPrices[0].interval",
            "once for Mon",
        ),
        ([fixed("Mon", (96, 1))], "timeFrames[0].fixedPrices[0].interval", "less than 96"),
        ([fixed("Mon", (-1, 1))], "timeFrames[0].fixedPrices[0].interval", "greater than or equal to 0"),
        ([fixed("Mon", (0, -1))], "timeFrames[0].fixedPrices[0].price", "must not be negative"),
        ([share("Mon", (0, -1))], "timeFrames[0].percentagePrices[0].price", "must not be negative"),
        ([share("Mon", (0, 101))], "timeFrames[0].percentagePrices[0].price", "to 100"),
        ([share("Mon", (0, 0.001))], "timeFrames[0].percentagePrices[0].price", "exactly"),
        ([fixed("Mon", (0, float("nan")))], "timeFrames[0].fixedPrices[0].price", "must be finite"),
        ([fixed("Monday")], "timeFrames[0].dayOfTheWeek", "'Mon', 'Tue'"),
        ([fixed("Mon") | {"index": 1}], "timeFrames[0].index", "is no field"),
    ],
)
def test_refusals(frames: list[dict[str, Any]], field: str, rule: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read(*frames)
    assert refusal.value.field == field
    assert rule in refusal.value.rule


@pytest.mark.parametrize(
    ("price", "rule"), [(0.000001, "whole µ€ per kW and 15 minutes"), (20_000, "must be at most 4294967295")]
)
def test_prices_that_the_table_cannot_hold(price: float, rule: str) -> None:
    with pytest.raises(InvalidInput, match=rule) as refusal:
        price_table(read(fixed("Mon", (0, 0), (1, price))))
    assert refusal.value.field == "timeFrames[0].fixedPrices[1].price"
    assert refusal.value.value == Decimal(str(price))


@given(st.data(), st.sampled_from(MechanismKind))
def test_tables_come_back(data: st.DataObject, kind: MechanismKind) -> None:
    most = MAX_TABLE_PRICE if kind is MechanismKind.FIXED_PRICE else MAX_BASIS_POINTS
    cells = st.dictionaries(
        st.tuples(st.integers(0, 6), st.integers(0, 95)), st.integers(0, most), max_size=20
    )
    given_prices = data.draw(cells)
    prices = tuple(tuple(given_prices.get((day, slot), 0) for slot in range(96)) for day in range(7))
    table = PriceTable(kind, prices)
    document = smart_contract("m1", table)
    again = parse(SmartContract, dump(document))
    assert again == document
    assert price_table(again) == table


@pytest.mark.parametrize(
    ("prices", "field"),
    [
        (((0,) * 96,) * 6, "prices"),
        (((0,) * 95,) * 7, "prices"),
        (((-1,) + (0,) * 95,) * 7, "price"),
        (((MAX_TABLE_PRICE + 1,) + (0,) * 95,) * 7, "price"),
    ],
)
def test_tables_of_another_shape_are_refused(prices: tuple[tuple[int, ...], ...], field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        smart_contract("m1", PriceTable(MechanismKind.FIXED_PRICE, prices))
    assert refusal.value.field == field
