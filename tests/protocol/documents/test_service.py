"""Flexibility services: to integers and back, and what no session takes."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.service import (
    FlexibilityService,
    OfferEntry,
    RequestEntry,
    offer_entries,
    offer_service,
    request_entries,
    request_service,
)
from offchain.protocol.documents.time_frame import MarketType, ServiceType
from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import Window, day_window, local_date, real_time_windows
from offchain.protocol.products import Product
from offchain.protocol.units import iso_to_unix_s
from tests.protocol.documents.strategies import amounts_ueur, pods, powers_w, products, slots

POD = "IT001E00000042"
DAY = local_date(iso_to_unix_s("day", "2026-06-15T12:00:00Z"))
DAY_AHEAD = day_window(DAY)
Change = Callable[[dict[str, Any]], None]


def offer() -> dict[str, Any]:
    """An offer as it comes in, with everything that it may have."""
    return {
        "playerId": "agg1",
        "startTime": "2026-06-15T00:00:00+02:00",
        "duration": 24,
        "interval": 15,
        "serviceType": "offer",
        "marketType": "dayAhead",
        "marketSession": "1",
        "playerServiceId": "agg1-7",
        "flexibility": [
            {
                "pod": POD,
                "realTime": True,
                "flexibleBlock": {"duration": 4, "firstIndex": 40, "lastIndex": 47, "p": -2, "pPrice": 0.1},
                "power": [
                    {"Index": "0", "p": 1.5, "pPrice": 0.025, "q": -0.5, "qPrice": 0},
                    {"Index": "95", "p": 0, "q": None},
                ],
            }
        ],
    }


def read(content: dict[str, Any]) -> FlexibilityService:
    return parse(FlexibilityService, json.dumps(content).encode())


def powers(*entries: dict[str, Any]) -> Change:
    def change(content: dict[str, Any]) -> None:
        content["flexibility"][0]["power"] = list(entries)

    return change


def block(**values: Any) -> Change:
    return lambda content: content["flexibility"][0]["flexibleBlock"].update(values)


def fields(**values: Any) -> Change:
    return lambda content: content.update(values)


def test_an_offer_as_integers() -> None:
    assert offer_entries(read(offer())) == (
        OfferEntry.single(POD, 0, Product.ACTIVE_UP, 1500, 25_000, real_time=True),
        OfferEntry.single(POD, 0, Product.REACTIVE_DOWN, 500, 0, real_time=True),
        OfferEntry(POD, 40, Product.ACTIVE_DOWN, 2000, 100_000, True, 4, 47, True),
    )


def test_defaults_are_the_tables() -> None:
    content = offer()
    for name in ("startTime", "duration", "interval", "serviceType", "marketSession"):
        del content[name]
    service = read(content)
    assert (service.duration, service.interval, service.slots) == (24, 15, 96)


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        (powers(*({"Index": str(i), "p": 1, "pPrice": 1} for i in range(97))), "Index", "0 to 95"),
        (powers({"Index": "96", "p": 1, "pPrice": 1}), "flexibility[0].power[0].Index", "0 to 95"),
        (powers({"Index": "100"}), "flexibility[0].power[0].Index", "below 100"),
        (powers({"Index": "3"}, {"Index": "3"}), "flexibility[0].power[1].Index", "must stand once"),
        (powers({"Index": "3", "p": 1}), "flexibility[0].power[0].pPrice", "is required where p isn't 0"),
        (powers({"Index": "3", "q": 1, "pPrice": 1}), "flexibility[0].power[0].qPrice", "is required"),
        (powers({"Index": "3", "p": 1, "pPrice": -1}), "flexibility[0].power[0].pPrice", "not be negative"),
        (powers({"Index": "3", "p": float("nan")}), "flexibility[0].power[0].p", "must be finite"),
        (powers({"Index": "3", "q": 2147484}), "flexibility[0].power[0].q", "must be -2147483.647"),
        (powers({"Index": "3", "price": 1}), "flexibility[0].power[0].price", "is no field"),
        (fields(flexibility=[]), "flexibility", "at least 1 item"),
        (fields(interval=60), "interval", "must be 15 minutes"),
        (fields(duration=4), "duration", "must be one of 23, 24, 25 hours (dayAhead)"),
        (fields(duration=25), "duration", "must be 24 hours for this startTime"),
        (fields(marketType="realTime"), "duration", "must be one of 3, 4, 5 hours (realTime)"),
        (fields(marketType="intraday"), "marketType", "'dayAhead' or 'realTime'"),
        (fields(serviceType="request"), "serviceType", "'offer', 'DSO_request' or 'TSO_request'"),
        (fields(startTime="2026-06-15T00:00:00Z"), "startTime", "must be when a dayAhead window starts"),
        (fields(startTime="2026-06-15T00:00:00.500+02:00"), "startTime", "whole second"),
        (fields(startTime="0001-01-01T00:00:00Z"), "startTime", "from 1970 on"),
        (fields(playerId=7), "playerId", "valid string"),
        (lambda content: content.pop("playerServiceId"), "playerServiceId", "is required"),
        (lambda content: content["flexibility"][0].update(realTime=1), "flexibility[0].realTime", "boolean"),
        (lambda content: content["flexibility"][0].update(pod="?"), "flexibility[0].pod", "a PoD id"),
        (block(lastIndex=42), "flexibility[0].flexibleBlock.lastIndex", "room for 4 intervals from 40 on"),
        (block(lastIndex=96), "flexibility[0].flexibleBlock.lastIndex", "0 to 95"),
        (block(p=0), "flexibility[0].flexibleBlock.p", "must not be 0"),
        (block(duration=0), "flexibility[0].flexibleBlock.duration", "greater than or equal to 1"),
        (block(q=1), "flexibility[0].flexibleBlock.q", "is no field"),
        (fields(serviceType="DSO_request"), "flexibility[0].flexibleBlock", "is for offers only"),
    ],
)
def test_refusals(change: Change, field: str, rule: str) -> None:
    content = offer()
    change(content)
    with pytest.raises(InvalidInput) as refusal:
        read(content)
    assert refusal.value.field.endswith(field)
    assert rule in refusal.value.rule


def test_a_request_is_not_rolled_over() -> None:
    content = offer() | {"serviceType": "TSO_request"}
    content["flexibility"][0].pop("flexibleBlock")
    with pytest.raises(InvalidInput, match=r"flexibility\[0\].realTime = True: is for offers only"):
        read(content)


@pytest.mark.parametrize(
    ("start", "hours", "market_type"),
    [
        ("2026-03-29T00:00:00+01:00", 23, "dayAhead"),
        ("2026-10-25T00:00:00+02:00", 25, "dayAhead"),
        ("2026-03-29T00:00:00+01:00", 3, "realTime"),
        ("2026-10-25T00:00:00+02:00", 5, "realTime"),
        ("2026-10-25T20:00:00+01:00", 4, "realTime"),
        ("2026-06-15T04:00:00+02:00", 4, "realTime"),
    ],
)
def test_windows_follow_the_local_clock(start: str, hours: int, market_type: str) -> None:
    content = offer() | {"startTime": start, "duration": hours, "marketType": market_type}
    content["flexibility"][0].pop("flexibleBlock")
    powers({"Index": str(4 * hours - 1), "p": 1, "pPrice": 1})(content)
    assert read(content).slots == 4 * hours
    powers({"Index": str(4 * hours), "p": 1, "pPrice": 1})(content)
    with pytest.raises(InvalidInput, match=r"power\[0\].Index"):
        read(content)
    powers()(content)
    with pytest.raises(InvalidInput, match=r"^duration = "):
        read(content | {"duration": hours - 1})


singles = st.builds(OfferEntry.single, pods, slots, products, powers_w, amounts_ueur, real_time=st.booleans())
blocks = st.builds(
    lambda pod, first, up, power_w, price, duration, room: OfferEntry(
        pod,
        first,
        Product.ACTIVE_UP if up else Product.ACTIVE_DOWN,
        power_w,
        price,
        True,
        duration,
        first + duration - 1 + room,
        True,
    ),
    pods,
    slots,
    st.booleans(),
    powers_w,
    amounts_ueur,
    st.integers(1, 6),
    st.integers(0, 5),
)


@given(st.lists(st.one_of(singles, blocks), min_size=1, max_size=12))
def test_offers_come_back(entries: list[OfferEntry]) -> None:
    service = offer_service("agg1", "agg1-7", MarketType.DAY_AHEAD, DAY_AHEAD, entries)
    again = parse(FlexibilityService, dump(service))
    assert again == service
    assert sorted(offer_entries(again)) == sorted(entries)


@given(
    st.lists(st.builds(RequestEntry, pods, slots, products, powers_w, amounts_ueur), min_size=1, max_size=12),
    st.sampled_from([ServiceType.DSO_REQUEST, ServiceType.TSO_REQUEST]),
    st.sampled_from(real_time_windows(DAY)),
)
def test_requests_come_back(entries: list[RequestEntry], side: ServiceType, window: Window) -> None:
    service = request_service("dso1", "dso1-1", side, MarketType.REAL_TIME, window, entries)
    again = parse(FlexibilityService, dump(service))
    assert again == service
    assert sorted(request_entries(again)) == sorted(entries)


def test_offers_and_requests_are_not_mixed_up() -> None:
    service = read(offer())
    with pytest.raises(InvalidInput, match=r"serviceType = .*must be DSO_request or TSO_request"):
        request_entries(service)
    request = request_service(
        "dso1",
        "dso1-1",
        ServiceType.DSO_REQUEST,
        MarketType.DAY_AHEAD,
        DAY_AHEAD,
        [RequestEntry(POD, 0, Product.ACTIVE_UP, 1, 1)],
    )
    with pytest.raises(InvalidInput, match=r"serviceType = .*must be offer"):
        offer_entries(request)


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (OfferEntry.single(POD, 0, Product.ACTIVE_UP, 0, 1, real_time=False), "power_w"),
        (OfferEntry.single(POD, 0, Product.ACTIVE_UP, -5, 1, real_time=False), "power_w"),
        (OfferEntry.single(POD, 0, Product.ACTIVE_UP, 2**31, 1, real_time=False), "power_w"),
        (OfferEntry.single(POD, 0, Product.ACTIVE_UP, 1, -1, real_time=False), "p_price"),
        (
            OfferEntry.single(POD, 96, Product.ACTIVE_UP, 1, 1, real_time=False),
            "flexibility[0].power[0].Index",
        ),
        (OfferEntry(POD, 0, Product.ACTIVE_UP, 1, 1, False, 2, 1, False), "duration_slots"),
        (OfferEntry(POD, 0, Product.REACTIVE_UP, 1, 1, False, 2, 1, True), "product"),
    ],
)
def test_what_no_document_can_say(entry: OfferEntry, field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        offer_service("agg1", "agg1-7", MarketType.DAY_AHEAD, DAY_AHEAD, [entry])
    assert refusal.value.field == field


def test_half_an_hour_is_no_time_frame() -> None:
    entry = OfferEntry.single(POD, 0, Product.ACTIVE_UP, 1, 1, real_time=False)
    with pytest.raises(InvalidInput, match=r"window.slots = 2: must be whole hours"):
        offer_service("agg1", "agg1-7", MarketType.REAL_TIME, Window(DAY_AHEAD.start_s, 2), [entry])


def test_numbers_are_read_exactly() -> None:
    raw = json.dumps(offer()).replace('"p": 1.5', '"p": 1.50000000000000000000000001').encode()
    with pytest.raises(InvalidInput, match="must convert exactly to whole W") as refusal:
        parse(FlexibilityService, raw)
    assert refusal.value.value == Decimal("1.50000000000000000000000001")
