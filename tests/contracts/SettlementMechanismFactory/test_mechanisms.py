"""Settlement mechanisms and the factory that makes them (SPECIFICATION.md 7.x)."""

from typing import Any

import pytest
from brownie import project

from tests.contracts.chain import refused
from tests.contracts.play import NOBODY

DAYS, INTERVALS = 7, 96
PRICES = [[1000 * day + interval for interval in range(INTERVALS)] for day in range(DAYS)]
SHARES = [[(97 * day + 31 * interval) % 10_001 for interval in range(INTERVALS)] for day in range(DAYS)]
GREATEST = 2**32 - 1


def mechanism_at(address: str) -> Any:
    return project.get_loaded_projects()[0].interface.ITableMechanism(address)


@pytest.fixture
def fixed(market: Any, aggregator: Any) -> Any:
    tx = market.SettlementMechanismFactory.createFixedPrice(PRICES, "winter", {"from": aggregator})
    return mechanism_at(tx.return_value)


@pytest.fixture
def percentage(market: Any, aggregator: Any) -> Any:
    tx = market.SettlementMechanismFactory.createPercentage(SHARES, "half", {"from": aggregator})
    return mechanism_at(tx.return_value)


def test_fixed_price(fixed: Any) -> None:
    assert fixed.kind() == "fixed-price"
    for day, interval in ((0, 0), (0, 95), (3, 41), (6, 95)):
        assert fixed.tableValue(day, interval) == PRICES[day][interval]
        for flexibility_price in (0, 2**64 - 1):
            assert fixed.customerPriceUeurPerKw(day, interval, flexibility_price) == PRICES[day][interval]


def test_percentage_rounds_down(percentage: Any) -> None:
    assert percentage.kind() == "percentage"
    for day, interval in ((0, 0), (0, 95), (3, 41), (6, 95)):
        share = SHARES[day][interval]
        for price in (0, 1, 12_345, 2**64 - 1):
            assert percentage.customerPriceUeurPerKw(day, interval, price) == price * share // 10_000


def test_tables_take_their_extremes(market: Any, aggregator: Any) -> None:
    factory = market.SettlementMechanismFactory
    tx = factory.createFixedPrice([[GREATEST] * INTERVALS] * DAYS, "dear", {"from": aggregator})
    assert mechanism_at(tx.return_value).customerPriceUeurPerKw(6, 95, 0) == GREATEST
    tx = factory.createPercentage([[10_000] * INTERVALS] * DAYS, "all", {"from": aggregator})
    assert mechanism_at(tx.return_value).customerPriceUeurPerKw(6, 95, 2**64 - 1) == 2**64 - 1


def test_refuses_days_and_intervals_that_arent(fixed: Any, percentage: Any) -> None:
    for mechanism in (fixed, percentage):
        with refused("TableMechanismUnknownDay", 7):
            mechanism.customerPriceUeurPerKw(7, 0, 1)
        with refused("TableMechanismUnknownInterval", 96):
            mechanism.customerPriceUeurPerKw(0, 96, 1)


def test_the_factory_knows_whose_they_are(
    market: Any, fixed: Any, percentage: Any, aggregator: Any, other_aggregator: Any, stranger: Any
) -> None:
    factory = market.SettlementMechanismFactory
    assert factory.mechanismsOf(aggregator) == [fixed.address, percentage.address]
    assert factory.mechanismsOf(other_aggregator) == []
    assert factory.aggregatorOf(fixed) == aggregator
    assert factory.aggregatorOf(stranger) == NOBODY


def test_says_what_it_made(market: Any, aggregator: Any) -> None:
    tx = market.SettlementMechanismFactory.createFixedPrice(PRICES, "winter", {"from": aggregator})
    assert tx.events["MechanismCreated"] == {
        "mechanism": tx.return_value,
        "aggregator": aggregator,
        "kind": "fixed-price",
        "label": "winter",
    }


def test_refuses_more_than_the_whole(market: Any, aggregator: Any) -> None:
    factory = market.SettlementMechanismFactory
    for day, interval in ((0, 0), (5, 17), (6, 95)):
        too_much = [list(shares) for shares in SHARES]
        too_much[day][interval] = 10_001
        with refused("SettlementMechanismFactoryValueAboveMost", day, interval, 10_001, 10_000):
            factory.createPercentage.call(too_much, "greedy", {"from": aggregator})


def test_refuses_values_that_arent_uint32(market: Any, aggregator: Any) -> None:
    factory = market.SettlementMechanismFactory
    encoded = factory.createFixedPrice.encode_input(PRICES, "winter")
    word = 2 + 2 * (4 + 32 * (3 * INTERVALS + 41))
    forged = encoded[:word] + f"{2**32:064x}" + encoded[word + 64 :]
    with refused("SettlementMechanismFactoryValueAboveMost", 3, 41, 2**32, GREATEST):
        aggregator.transfer(factory, 0, data=forged)


def test_only_aggregators_have_mechanisms_made(market: Any, dso: Any) -> None:
    factory = market.SettlementMechanismFactory
    for create in (factory.createFixedPrice, factory.createPercentage):
        with refused("ParticipantRegistryMissingRole", dso, 2):
            create.call(SHARES, "mine", {"from": dso})
