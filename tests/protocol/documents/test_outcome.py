"""Outcomes from integers, read back from their JSON."""

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.outcome import (
    AcceptedRow,
    MarketOutcome,
    MatchedRow,
    Rejection,
    TechnicalOutcome,
    ValidatedOutcome,
    ValidatedRow,
    market_outcome,
    rejection_of,
    technical_outcome,
    validated_outcome,
)
from offchain.protocol.documents.time_frame import MarketType, ServiceType
from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import day_window
from offchain.protocol.products import OfferStatus, Product
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
WINDOW = day_window(date(2026, 10, 25))
FRAME = {"duration": 25, "interval": 15, "marketType": "dayAhead", "startTime": "2026-10-24T22:00:00Z"}


def powers_of(raw: bytes) -> list[tuple[str, dict[str, Any]]]:
    """(PoD, power object) of everything in a document, numbers as decimals."""
    content = json.loads(raw, parse_float=Decimal, parse_int=Decimal)
    return [(entry["pod"], power) for entry in content["flexibility"] for power in entry["power"]]


def watt(value: Decimal) -> int:
    return int(value * 1000)


def test_a_market_outcome() -> None:
    rows = [
        MatchedRow(POD, 99, Product.ACTIVE_DOWN, 1500, 1),
        MatchedRow(POD, 99, Product.REACTIVE_UP, 250, 3),
        MatchedRow(POD, 99, Product.ACTIVE_UP, 1, 2),
    ]
    document = market_outcome("mo1", "7", MarketType.DAY_AHEAD, WINDOW, rows)
    assert json.loads(dump(document)) == FRAME | {
        "_id": "mo1",
        "marketSession": "7",
        "flexibility": [
            {
                "pod": POD,
                "power": [{"Index": "99", "p": -1.5, "priorityP": 1, "q": 0.25, "priorityQ": 3}],
            },
            {"pod": POD, "power": [{"Index": "99", "p": 0.001, "priorityP": 2}]},
        ],
    }
    assert parse(MarketOutcome, dump(document)) == document


def test_a_technical_outcome_says_null_where_nothing_is_accepted() -> None:
    rows = [AcceptedRow(POD, 0, Product.ACTIVE_UP, 0), AcceptedRow(POD, 0, Product.REACTIVE_DOWN, 5)]
    document = technical_outcome("mo1", MarketType.DAY_AHEAD, WINDOW, rows)
    assert json.loads(dump(document)) == FRAME | {
        "marketOutcome": "mo1",
        "flexibility": [
            {
                "pod": POD,
                "power": [
                    {
                        "Index": "0",
                        "acceptedP": "KO",
                        "acceptedPValue": None,
                        "acceptedQ": "OK",
                        "acceptedQValue": -0.005,
                    }
                ],
            }
        ],
    }
    assert parse(TechnicalOutcome, dump(document)) == document


def test_a_validated_outcome() -> None:
    rows = [
        ValidatedRow(POD, 0, Product.ACTIVE_UP, 1500, 25_000, None, "agg1-7"),
        ValidatedRow(POD, 0, Product.REACTIVE_UP, 0, 25_000, Rejection.TECHNICAL, "agg1-7"),
        ValidatedRow(POD, 1, Product.ACTIVE_UP, 0, 0, Rejection.MARKET, "agg1-8"),
    ]
    document = validated_outcome("mo1", MarketType.DAY_AHEAD, WINDOW, rows, ServiceType.OFFER)
    assert json.loads(dump(document)) == FRAME | {
        "marketOutcome": "mo1",
        "serviceType": "offer",
        "flexibility": [
            {
                "pod": POD,
                "power": [
                    {
                        "Index": "0",
                        "acceptedPValue": 1.5,
                        "acceptedPPrice": 0.025,
                        "rejectionTypeQ": "TEC",
                        "playerServiceId": "agg1-7",
                    }
                ],
            },
            {"pod": POD, "power": [{"Index": "1", "rejectionTypeP": "COM", "playerServiceId": "agg1-8"}]},
        ],
    }
    assert parse(ValidatedOutcome, dump(document)) == document


@given(st.lists(st.builds(MatchedRow, pods, slots, products, powers_w, st.integers(1, 10**6)), max_size=12))
def test_matched_rows_are_all_in_the_document(rows: Sequence[MatchedRow]) -> None:
    raw = dump(market_outcome("mo1", "7", MarketType.DAY_AHEAD, WINDOW, rows))
    found = []
    for pod, power in powers_of(raw):
        for letter, up, down in (
            ("P", Product.ACTIVE_UP, Product.ACTIVE_DOWN),
            ("Q", Product.REACTIVE_UP, Product.REACTIVE_DOWN),
        ):
            if letter.lower() in power:
                moved_w = watt(power[letter.lower()])
                product = up if moved_w > 0 else down
                priority = int(power[f"priority{letter}"])
                found.append(MatchedRow(pod, int(power["Index"]), product, abs(moved_w), priority))
    assert sorted(found) == sorted(rows)


@given(st.lists(st.builds(AcceptedRow, pods, slots, products, some_powers_w), max_size=12))
def test_accepted_rows_add_up_and_read_back(rows: Sequence[AcceptedRow]) -> None:
    document = technical_outcome("mo1", MarketType.DAY_AHEAD, WINDOW, rows)
    raw = dump(document)
    assert parse(TechnicalOutcome, raw) == document
    total_w = sum(watt(power.get("acceptedPValue") or Decimal(0)) for _, power in powers_of(raw))
    assert total_w == sum(row.product.sign * row.accepted_w for row in rows if row.product.is_active)
    refusals = sum(list(power.values()).count("KO") for _, power in powers_of(raw))
    assert refusals == sum(row.accepted_w == 0 for row in rows)


@given(
    st.lists(
        st.one_of(
            st.builds(ValidatedRow, pods, slots, products, powers_w, amounts_ueur, st.none(), players),
            st.builds(
                ValidatedRow,
                pods,
                slots,
                products,
                st.just(0),
                amounts_ueur,
                st.sampled_from(Rejection),
                st.one_of(st.none(), players),
            ),
        ),
        max_size=12,
    )
)
def test_validated_rows_read_back(rows: Sequence[ValidatedRow]) -> None:
    document = validated_outcome("mo1", MarketType.DAY_AHEAD, WINDOW, rows)
    raw = dump(document)
    assert parse(ValidatedOutcome, raw) == document
    prices = sorted(
        int(power[name] * 10**6) for _, power in powers_of(raw) for name in power if name.endswith("Price")
    )
    assert prices == sorted(row.price_ueur_per_kw for row in rows if row.accepted_w)


@pytest.mark.parametrize(("accepted_w", "rejection"), [(0, None), (1, Rejection.MARKET)])
def test_nothing_is_accepted_and_rejected_at_once(accepted_w: int, rejection: Rejection | None) -> None:
    row = ValidatedRow(POD, 0, Product.ACTIVE_UP, accepted_w, 0, rejection, None)
    with pytest.raises(InvalidInput, match="rejection = "):
        validated_outcome("mo1", MarketType.DAY_AHEAD, WINDOW, [row])


@pytest.mark.parametrize(
    ("power", "field"),
    [
        ({"Index": "0", "acceptedP": "KO", "acceptedPValue": 1}, "acceptedPValue"),
        ({"Index": "0", "acceptedP": "OK"}, "acceptedPValue"),
        ({"Index": "0", "acceptedQValue": 1}, "acceptedQValue"),
        ({"Index": "0", "acceptedQ": "perhaps"}, "acceptedQ"),
        ({"Index": "100"}, "Index"),
    ],
)
def test_technical_outcomes_that_contradict_themselves(power: dict[str, Any], field: str) -> None:
    content = FRAME | {"marketOutcome": "mo1", "flexibility": [{"pod": POD, "power": [power]}]}
    with pytest.raises(InvalidInput) as refusal:
        parse(TechnicalOutcome, json.dumps(content).encode())
    assert refusal.value.field == f"flexibility[0].power[0].{field}"


def test_without_a_market_type_either_frame_will_do() -> None:
    content: dict[str, Any] = {"marketOutcome": "mo1", "flexibility": []}
    assert parse(TechnicalOutcome, content | {"duration": 4}).slots == 16
    start = {"startTime": "2026-10-25T00:00:00+02:00"}
    assert parse(TechnicalOutcome, content | start | {"duration": 25}).slots == 100
    assert parse(TechnicalOutcome, content | start | {"duration": 5}).slots == 20
    with pytest.raises(InvalidInput, match="duration = 24: must be 25 or 5 hours"):
        parse(TechnicalOutcome, content | start)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (OfferStatus.ACCEPTED, None),
        (OfferStatus.PARTLY_ACCEPTED, None),
        (OfferStatus.TEC, Rejection.TECHNICAL),
        (OfferStatus.COM_DEARER, Rejection.MARKET),
        (OfferStatus.VOID, Rejection.MARKET),
        (OfferStatus.UNCOVERED, Rejection.MARKET),
    ],
)
def test_reasons(status: OfferStatus, expected: Rejection | None) -> None:
    assert rejection_of(status) is expected
