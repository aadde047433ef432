"""What the DSO counts on of a PoD: registered limits, baseline and products."""

import numpy as np

from offchain.protocol.products import Product
from offchain.protocol.terms import PodFacts
from oracles.grid.daemon import available

NET_W = np.array([3_000, 0, -2_000, -9_000])


def facts(products: int) -> PodFacts:
    return PodFacts("a", "c", "n", "m", 2_500, 5_000, 700, 800, products)


def test_a_pod_gives_what_its_baseline_and_limits_leave_and_reactive_power_by_its_limits() -> None:
    most_w = {product: each.tolist() for product, each in available(facts(0b1111), NET_W).items()}
    assert most_w == {
        Product.ACTIVE_UP: [2_500, 0, 0, 0],
        Product.ACTIVE_DOWN: [5_000, 5_000, 2_000, 5_000],
        Product.REACTIVE_UP: [700] * 4,
        Product.REACTIVE_DOWN: [800] * 4,
    }


def test_a_pod_gives_only_what_it_may_be_offered_for() -> None:
    assert set(available(facts(0b0110), NET_W)) == {Product.ACTIVE_DOWN, Product.REACTIVE_UP}
    assert available(facts(0), NET_W) == {}
