"""Dispatch: what was accepted turns baselines into set points."""

from offchain.aggregator.dispatch import AcceptedPower, SetPoint, by_activation, set_points
from offchain.protocol.products import Product

UP, DOWN = Product.ACTIVE_UP, Product.ACTIVE_DOWN
Q_UP, Q_DOWN = Product.REACTIVE_UP, Product.REACTIVE_DOWN


def test_up_lowers_net_power_and_down_raises_it() -> None:
    baseline = {("a", 0): (5000, 100), ("b", 0): (-8000, -50)}
    points = set_points([AcceptedPower("a", 0, UP, 1200), AcceptedPower("b", 0, DOWN, 3000)], baseline)
    assert points == {"a": [SetPoint(0, 3800, 100)], "b": [SetPoint(0, -5000, -50)]}


def test_reactive_power_moves_by_itself() -> None:
    baseline = {("a", 3): (5000, 100)}
    accepted = [AcceptedPower("a", 3, Q_UP, 400), AcceptedPower("a", 3, UP, 1)]
    assert set_points(accepted, baseline) == {"a": [SetPoint(3, 4999, -300)]}
    assert set_points([AcceptedPower("a", 3, Q_DOWN, 400)], baseline) == {"a": [SetPoint(3, 5000, 500)]}


def test_all_that_is_accepted_at_a_pod_in_a_slot_adds_up() -> None:
    accepted = [
        AcceptedPower("a", 0, UP, 100),
        AcceptedPower("a", 0, UP, 250),
        AcceptedPower("a", 0, DOWN, 50),
    ]
    assert set_points(accepted, {("a", 0): (1000, 0)}) == {"a": [SetPoint(0, 700, 0)]}


def test_only_slots_with_something_accepted_have_a_set_point_and_they_are_in_order() -> None:
    baseline = {("a", slot): (1000 * slot, 0) for slot in range(96)}
    accepted = [AcceptedPower("a", slot, UP, 10) for slot in (95, 2, 10)]
    assert set_points(accepted, baseline) == {
        "a": [SetPoint(2, 1990, 0), SetPoint(10, 9990, 0), SetPoint(95, 94_990, 0)]
    }
    assert set_points([], baseline) == {}


def test_in_real_time_the_other_kind_of_power_stays_where_the_day_ahead_has_it() -> None:
    baseline = {("a", slot): (5000, 100) for slot in range(3)}
    standing = {("a", slot): SetPoint(30 + slot, 4000, 90) for slot in (0, 2)}
    accepted = [
        AcceptedPower("a", 0, Q_UP, 10),
        AcceptedPower("a", 1, Q_UP, 10),
        AcceptedPower("a", 2, UP, 7),
    ]
    assert set_points(accepted, baseline, standing) == {
        "a": [SetPoint(0, 4000, 90), SetPoint(1, 5000, 90), SetPoint(2, 4993, 90)]
    }


def test_an_activation_is_four_hours_counted_from_the_sessions_start() -> None:
    points = [SetPoint(slot, slot, 0) for slot in (0, 15, 16, 31, 95)]
    assert {block: [point.slot for point in some] for block, some in by_activation(points).items()} == {
        0: [0, 15],
        1: [16, 31],
        5: [95],
    }
