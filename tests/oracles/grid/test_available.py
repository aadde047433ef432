"""What the DSO counts on of a PoD: registered limits, baseline, products, and what its aggregator publishes."""

import numpy as np

from offchain.protocol.products import Product
from offchain.protocol.terms import PodFacts
from oracles.grid.daemon import Reference, available

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


def test_what_is_published_of_a_pod_is_what_it_is_sized_by() -> None:
    """With the grid fee on its price: the delivered price decides."""
    most_w = available(facts(0b0011), NET_W)
    published = Reference(
        {Product.ACTIVE_UP: 70}, {Product.ACTIVE_UP: 500}, {Product.ACTIVE_UP: 100}, 4_000, (300,)
    )
    pod = published.applied(b"p", 3, most_w, 90, 7)
    up, down = pod.flexibility[Product.ACTIVE_UP], pod.flexibility[Product.ACTIVE_DOWN]
    assert (up.price_ueur_per_kw, up.least_w, up.step_w) == (77, 500, 100)
    assert (down.price_ueur_per_kw, down.least_w, down.step_w) == (90, 0, 1)
    assert (pod.pod, pod.node, pod.most_wh, pod.payback_permille) == (b"p", 3, 4_000, (300,))
    # Without any all prices are equal.
    bare = Reference().applied(b"p", 3, most_w, 90, 7)
    assert {each.price_ueur_per_kw for each in bare.flexibility.values()} == {90}
