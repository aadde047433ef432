"""The market itself on a request: what price priority takes where every PoD offers what it can at its reference price."""

from collections.abc import Mapping, Sequence

import numpy as np

from offchain.protocol.book_documents import Area, OfferEntry, Relief
from offchain.protocol.keccak import keccak256
from offchain.protocol.products import Product
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.price_priority import clear
from oracles.grid.core.flexible_pods import Flexibility, FlexiblePod
from oracles.grid.core.network import Integers
from oracles.grid.core.request import Area as SizedArea
from tests.oracles.clearing import books


def taken_by_market(
    areas: Sequence[SizedArea],
    pods: Sequence[FlexiblePod],
    planned: Mapping[Product, Integers],
    seed: bytes = books.SEED,
) -> dict[Product, Integers]:
    """W and var by product (slots, pods), at most 64 PoDs. One of limited energy offers what is planned of it."""
    taken = {product: np.zeros_like(amounts) for product, amounts in planned.items()}
    number_of = {pod.pod: number for number, pod in enumerate(pods)}
    offers: list[OfferEntry] = []
    for number, pod in enumerate(pods):
        for product, flexibility in pod.flexibility.items():
            limited = pod.most_wh is not None and product.is_active
            for slot, most_w in enumerate(flexibility.most_w.tolist()):
                power_w = int(planned[product][slot, number]) if limited else most_w
                offers += _offers(number, product, slot, power_w, flexibility)
    dso = [
        Area(
            element=keccak256(area.element.key.encode()),
            product=area.product,
            grid_model=keccak256(b"model"),
            reliefs=[
                Relief(slot, relief_w, 10**9) for slot, relief_w in enumerate(area.relief_w) if relief_w
            ],
            effectiveness=[
                (books.pod(number_of[each.pod]), each.effectiveness_permille) for each in area.members
            ],
        )
        for area in areas
    ]
    facts = books.registry(64, limit_w=10**9)
    cleared = clear(assemble(books.book_of(offers, dso), facts, books.TERMS), facts, seed)
    number_of |= {books.pod(number): number for number in range(len(pods))}
    for entry in cleared.acceptances:
        offer = entry.offer
        taken[offer.product][offer.slot, number_of[offer.pod]] += entry.accepted_w
    return taken


def _offers(
    number: int, product: Product, slot: int, power_w: int, flexibility: Flexibility
) -> list[OfferEntry]:
    """What can be taken of a PoD in a slot: one offer with a minimum, or one that comes whole for each step."""
    price, step = flexibility.price_ueur_per_kw, flexibility.step_w
    if step > 1:
        assert flexibility.least_w <= step
        return [books.offer(number, step, price, slot, product, step) for _ in range(power_w // step)]
    if not power_w or power_w < flexibility.least_w:
        return []
    return [books.offer(number, power_w, price, slot, product, flexibility.least_w)]
