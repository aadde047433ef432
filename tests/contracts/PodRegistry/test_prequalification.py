"""Prequalification by grid and product, and suspension: what may be offered (SPECIFICATION.md 2.x)."""

from typing import Any

import pytest

from offchain.protocol.products import Product
from offchain.protocol.typed_data import Registration
from tests.contracts.chain import now_s, refused, travel_to
from tests.contracts.PodRegistry.conftest import OTHER_POD, POD

ALL = 15
DSO_BIT, OPERATOR_BIT = 1 << 0, 1 << 9


def offerable(market: Any) -> list[int]:
    return [product for product in range(256) if market.PodRegistry.offerable(POD, product)]


def test_a_product_is_offered_when_grid_and_product_are_prequalified(
    market: Any, registered: Registration, dso: Any, tso: Any
) -> None:
    pods = market.PodRegistry
    assert not pods.offerable(POD, Product.ACTIVE_UP)
    tx = pods.prequalifyGrid(POD, 0b0111, "", {"from": dso})
    assert tx.events["GridPrequalified"] == {
        "pod": "0x" + POD.hex(),
        "products": 0b0111,
        "by": dso,
        "reason": "",
    }
    assert not pods.offerable(POD, Product.ACTIVE_UP)
    tx = pods.prequalifyProducts(POD, 0b1110, "", {"from": tso})
    assert tx.events["ProductsPrequalified"]["by"] == tso
    assert offerable(market) == [Product.ACTIVE_DOWN, Product.REACTIVE_UP]
    pods.prequalifyProducts(POD, 0b1111, "", {"from": dso})
    assert offerable(market) == [Product.ACTIVE_UP, Product.ACTIVE_DOWN, Product.REACTIVE_UP]
    record = pods.pods(POD)
    assert (record["gridProducts"], record["marketProducts"]) == (0b0111, 0b1111)


@pytest.mark.parametrize("name", ["prequalifyGrid", "prequalifyProducts"])
def test_it_is_withdrawn_with_a_reason(market: Any, registered: Registration, dso: Any, name: str) -> None:
    act = getattr(market.PodRegistry, name)
    for each in (market.PodRegistry.prequalifyGrid, market.PodRegistry.prequalifyProducts):
        each(POD, ALL, "", {"from": dso})
    for products in (0, ALL - 1):
        with refused("PodRegistryWithoutReason", POD):
            act(POD, products, "", {"from": dso})
    act(POD, ALL - 1, "voltage at its feeder's end", {"from": dso})
    assert offerable(market) == [1, 2, 3]
    act(POD, 0, "meter out of date", {"from": dso})
    assert offerable(market) == []


def test_who_prequalifies_what(
    market: Any, registered: Registration, dso: Any, tso: Any, aggregator: Any, operator: Any, customer: Any
) -> None:
    pods = market.PodRegistry
    for sender in (tso, aggregator, operator, customer):
        with refused("ParticipantRegistryMissingRole", sender, 0):
            pods.prequalifyGrid(POD, ALL, "", {"from": sender})
    for sender in (aggregator, operator, customer):
        with refused("PodRegistryNotAllowed", POD, sender):
            pods.prequalifyProducts(POD, ALL, "", {"from": sender})
    for act in (pods.prequalifyGrid, pods.prequalifyProducts):
        with refused("PodRegistryUnknownProducts", POD, ALL + 1):
            act(POD, ALL + 1, "", {"from": dso})
        with refused("PodRegistryUnknownPod", OTHER_POD):
            act(OTHER_POD, ALL, "", {"from": dso})


@pytest.fixture
def prequalified(market: Any, registered: Registration, dso: Any) -> Registration:
    market.PodRegistry.prequalifyGrid(POD, ALL, "", {"from": dso})
    market.PodRegistry.prequalifyProducts(POD, ALL, "", {"from": dso})
    return registered


def test_a_removed_pod_isnt_offered(market: Any, prequalified: Registration, customer: Any, dso: Any) -> None:
    assert offerable(market) == list(Product)
    market.PodRegistry.remove(POD, {"from": customer})
    removed_at = now_s()
    assert offerable(market) == []
    with refused("PodRegistryRemovedPod", POD, removed_at):
        market.PodRegistry.prequalifyGrid(POD, 1, "less", {"from": dso})
    with refused("PodRegistryRemovedPod", POD, removed_at):
        market.PodRegistry.suspend(POD, "late", {"from": dso})


@pytest.mark.parametrize(("by", "bit"), [("dso", DSO_BIT), ("operator", OPERATOR_BIT)])
def test_a_suspended_pod_isnt_offered(
    market: Any, prequalified: Registration, by: str, bit: int, request: pytest.FixtureRequest
) -> None:
    pods, sender = market.PodRegistry, request.getfixturevalue(by)
    tx = pods.suspend(POD, "baseline bias above 15 %", {"from": sender})
    assert tx.events["PodSuspended"] == {
        "pod": "0x" + POD.hex(),
        "suspendedBy": bit,
        "by": sender,
        "reason": "baseline bias above 15 %",
    }
    assert offerable(market) == []
    with refused("PodRegistrySuspended", POD, bit):
        pods.suspend(POD, "again", {"from": sender})
    tx = pods.reinstate(POD, {"from": sender})
    assert tx.events["PodReinstated"] == {"pod": "0x" + POD.hex(), "suspendedBy": 0, "by": sender}
    assert offerable(market) == list(Product)
    with refused("PodRegistryNotSuspended", POD, 0):
        pods.reinstate(POD, {"from": sender})


def test_each_lifts_only_what_it_suspended(
    market: Any, prequalified: Registration, dso: Any, operator: Any
) -> None:
    pods = market.PodRegistry
    pods.suspend(POD, "grid", {"from": dso})
    with refused("PodRegistryNotSuspended", POD, DSO_BIT):
        pods.reinstate(POD, {"from": operator})
    pods.suspend(POD, "market", {"from": operator})
    pods.reinstate(POD, {"from": dso})
    assert pods.pods(POD)["suspendedBy"] == OPERATOR_BIT
    assert offerable(market) == []
    with refused("PodRegistryNotSuspended", POD, OPERATOR_BIT):
        pods.reinstate(POD, {"from": dso})
    pods.reinstate(POD, {"from": operator})
    assert offerable(market) == list(Product)


def test_who_suspends(
    market: Any, admin: Any, prequalified: Registration, tso: Any, aggregator: Any, customer: Any, dso: Any
) -> None:
    pods = market.PodRegistry
    for sender in (tso, aggregator, customer):
        with refused("PodRegistryNotAllowed", POD, sender):
            pods.suspend(POD, "mine", {"from": sender})
        with refused("PodRegistryNotAllowed", POD, sender):
            pods.reinstate(POD, {"from": sender})
    with refused("PodRegistryWithoutReason", POD):
        pods.suspend(POD, "", {"from": dso})
    market.ParticipantRegistry.suspend(dso, "itself", {"from": admin})
    with refused("PodRegistryNotAllowed", POD, dso):
        pods.suspend(POD, "mine", {"from": dso})


def test_when_what_it_may_be_offered_for_last_changed_is_known(
    market: Any, registered: Registration, dso: Any, operator: Any
) -> None:
    """Challenges judge a PoD by what it was at the gate, if that is known."""
    pods = market.PodRegistry
    assert pods.pods(POD)["changedAt"] == 0
    moves = [
        lambda: pods.prequalifyGrid(POD, ALL, "", {"from": dso}),
        lambda: pods.prequalifyProducts(POD, ALL, "", {"from": dso}),
        lambda: pods.suspend(POD, "meter out of date", {"from": operator}),
        lambda: pods.reinstate(POD, {"from": operator}),
    ]
    for move in moves:
        travel_to(now_s() + 100)
        move()
        assert pods.pods(POD)["changedAt"] == now_s()
    travel_to(now_s() + 100)
    pods.setPom(POD, b"\1" * 32, {"from": dso})
    assert pods.pods(POD)["changedAt"] < now_s()
