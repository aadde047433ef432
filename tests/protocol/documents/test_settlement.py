"""Settlements from integers, read back from their JSON."""

import json
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.settlement import Settlement, SettlementRow, settlement
from offchain.protocol.documents.time_frame import MarketType
from offchain.protocol.errors import InvalidInput
from offchain.protocol.products import Product
from tests.protocol.documents.strategies import (
    amounts_ueur,
    players,
    pods,
    powers_w,
    products,
    slots,
    some_powers_w,
)

POD = "IT001E00000042"


def test_a_settlement() -> None:
    rows = [
        SettlementRow(POD, 4, Product.ACTIVE_UP, 2000, 1500, 37_500, 1, "dso1", "agg1"),
        SettlementRow(POD, 4, Product.REACTIVE_DOWN, 10, 0, 0, 2_000_000, "dso1", "agg1"),
        SettlementRow(POD, 4, Product.ACTIVE_UP, 1, 1, 0, 0, "tso1", "agg1"),
    ]
    document = settlement("vo1", MarketType.DAY_AHEAD, rows)
    assert json.loads(dump(document)) == {
        "marketOutcomeId": "vo1",
        "marketType": "dayAhead",
        "flexibility": [
            {
                "pod": POD,
                "power": [
                    {
                        "Index": "4",
                        "requestedP": 2,
                        "measuredP": 1.5,
                        "paidP": 0.0375,
                        "penaltyP": 0.000001,
                        "requestedQ": -0.01,
                        "measuredQ": 0,
                        "paidQ": 0,
                        "penalty": 2,
                        "requestPlayerId": "dso1",
                        "offerPlayerId": "agg1",
                    }
                ],
            },
            {
                "pod": POD,
                "power": [
                    {
                        "Index": "4",
                        "requestedP": 0.001,
                        "measuredP": 0.001,
                        "paidP": 0,
                        "penaltyP": 0,
                        "requestPlayerId": "tso1",
                        "offerPlayerId": "agg1",
                    }
                ],
            },
        ],
    }
    assert parse(Settlement, dump(document)) == document


def test_what_is_of_two_players_stands_apart() -> None:
    rows = [
        SettlementRow(POD, 4, Product.ACTIVE_UP, 1, 1, 1, 1, "dso1", "agg1"),
        SettlementRow(POD, 4, Product.REACTIVE_UP, 1, 1, 1, 1, "tso1", "agg1"),
    ]
    powers = [entry.power[0] for entry in settlement("vo1", MarketType.DAY_AHEAD, rows).flexibility]
    assert [(power.request_player_id, power.paid_p, power.paid_q) for power in powers] == [
        ("dso1", Decimal("0.000001"), None),
        ("tso1", None, Decimal("0.000001")),
    ]


@given(
    st.lists(
        st.builds(
            SettlementRow,
            pods,
            slots,
            products,
            powers_w,
            some_powers_w,
            amounts_ueur,
            amounts_ueur,
            players,
            players,
        ),
        max_size=12,
    )
)
def test_money_adds_up_and_reads_back(rows: Sequence[SettlementRow]) -> None:
    document = settlement("vo1", MarketType.REAL_TIME, rows)
    raw = dump(document)
    assert parse(Settlement, raw) == document
    found = [
        int(value * 10**6)
        for entry in json.loads(raw, parse_float=Decimal, parse_int=Decimal)["flexibility"]
        for power in entry["power"]
        for name, value in power.items()
        if name.startswith(("paid", "penalty"))
    ]
    assert sorted(found) == sorted(amount for row in rows for amount in (row.paid_ueur, row.penalty_ueur))


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (SettlementRow(POD, 100, Product.ACTIVE_UP, 1, 1, 1, 1, "dso1", "agg1"), "power[0].Index"),
        (SettlementRow(POD, 0, Product.ACTIVE_UP, -1, 1, 1, 1, "dso1", "agg1"), "power_w"),
        (SettlementRow(POD, 0, Product.ACTIVE_UP, 1, 1, -1, 1, "dso1", "agg1"), "paid_p"),
        (SettlementRow(POD, 0, Product.REACTIVE_UP, 1, 1, 1, -1, "dso1", "agg1"), "penalty"),
        (SettlementRow(POD, 0, Product.REACTIVE_UP, 1, 1, 1, 1, "", "agg1"), "request_player_id"),
        (SettlementRow("?", 0, Product.REACTIVE_UP, 1, 1, 1, 1, "dso1", "agg1"), "pod"),
    ],
)
def test_refusals(row: SettlementRow, field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        settlement("vo1", MarketType.DAY_AHEAD, [row])
    assert refusal.value.field == field
