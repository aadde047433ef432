"""Price priority against ASSUME's pay-as-clear and pay-as-bid markets, on the same orders.

A supply order is a divisible offer, a demand order a request of one slot. What is accepted in each slot, and the price of the
dearest that is, must be the same. Before the clock starts ASSUME has its orders as dictionaries, and we ours as a book and the
registry in columns. Times are medians of as many runs on either side, all of them by ASSUME in one process, by us in this one.
"""

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median

from offchain.protocol.book_documents import Area, OfferEntry, Relief, offers_document, request_document
from offchain.protocol.book_rules import most_ueur
from offchain.protocol.keccak import keccak256
from offchain.protocol.products import Product, Side
from offchain.protocol.terms import Reveal
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.book import Book
from oracles.clearing.core.pod_table import PodTable
from oracles.clearing.core.price_priority import clear
from oracles.clearing.core.pricing import pay_as_clear
from oracles.clearing.core.state import Acceptance
from scripts.setup.install import BENCH_PYTHON
from tests.oracles.clearing.books import AGGREGATORS, DSO, PLENTY_UEUR, SEED, TERMS, pod, registry, salt

PODS, SLOTS = 395, 96
ORDERS = (PODS + 1) * SLOTS
CAP = 10**6
TIMEOUT_S = 600
"""Its pay-as-bid market takes the longer the more it rejects, quadratically: it is run once there."""
PEER = Path(__file__).with_name("assume_clearing.py")
ROLES = {"PayAsClearRole": ("pay-as-clear", 15, 50), "PayAsBidRole": ("pay-as-bid", 1, 2000)}
"""ASSUME's classes: what they do, how often each side runs, and how many times as fast we are to be."""


def run() -> list[dict[str, object]]:
    """Rows for the report. Raises RuntimeError where accepted volumes or prices differ, or ASSUME isn't there."""
    book, pods = _book(), PodTable.of(registry(2 * PODS))
    rows: list[dict[str, object]] = []
    for role, (name, repeats, target) in ROLES.items():
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            acceptances: Sequence[Acceptance] = clear(book, pods, SEED).acceptances
            if role == "PayAsClearRole":
                acceptances = pay_as_clear(book, acceptances)
            seconds.append(time.perf_counter() - start)
        peer_s, theirs = _peer(role, repeats, book)
        if theirs != _by_slot(acceptances):
            raise RuntimeError(f"ASSUME's {name} accepts otherwise than price priority")
        ours_s = median(seconds)
        rows.append(
            {
                "name": f"{ORDERS} orders in {SLOTS} slots, {name}",
                "unit": "s",
                "ours": ours_s,
                "peer": peer_s,
                "peer_name": "ASSUME",
                "ratio": peer_s / ours_s,
                "target": target,
            }
        )
    return rows


def _book() -> Book:
    """An offer of each PoD in each slot, and a request for about half of them."""
    chance = Random(1)
    offers = [
        OfferEntry(pod(number), slot, Product.ACTIVE_UP, chance.randint(500, 5000), chance.randint(1, CAP))
        for number in range(0, 2 * PODS, 2)
        for slot in range(SLOTS)
    ]
    reliefs = [Relief(slot, PODS * 2750 // 2 + chance.randint(0, 1000), CAP) for slot in range(SLOTS)]
    effectiveness = [(pod(number), 1000) for number in range(0, 2 * PODS, 2)]
    area = Area(keccak256(b"line"), Product.ACTIVE_UP, bytes(32), reliefs, effectiveness)
    documents = (
        (AGGREGATORS[0], Side.OFFER, offers_document(1, AGGREGATORS[0], offers, salt)),
        (DSO, Side.DSO_REQUEST, request_document(1, DSO, [area], salt)),
    )
    reveals = [
        (
            Reveal(number, player, side, made.leaf_count, 0, most_ueur(made, side, TERMS), PLENTY_UEUR),
            made,
        )
        for number, (player, side, made) in enumerate(documents, start=1)
    ]
    return assemble(reveals, registry(2 * PODS), TERMS)


def _by_slot(acceptances: Sequence[Acceptance]) -> list[tuple[int, int]]:
    """W accepted in each slot, and the bid of the dearest accepted."""
    found = [(0, 0)] * SLOTS
    for entry in acceptances:
        accepted_w, dearest = found[entry.request.slot]
        bid = entry.offer.price_ueur_per_kw
        found[entry.request.slot] = accepted_w + entry.accepted_w, max(dearest, bid)
    return found


def _peer(role: str, repeats: int, book: Book) -> tuple[float, list[tuple[int, int]]]:
    """Median seconds, and by slot accepted W and the highest accepted price."""
    supply = [[offer.slot, offer.power_w, offer.price_ueur_per_kw] for offer in book.offers]
    demand = [[request.slot, -request.relief_w, request.price_cap_ueur_per_kw] for request in book.requests]
    if not BENCH_PYTHON.exists():
        raise RuntimeError("ASSUME is missing: `make bench` installs it")
    result = subprocess.run(
        [BENCH_PYTHON, PEER],
        input=json.dumps({"role": role, "repeats": repeats, "orders": supply + demand}),
        capture_output=True,
        text=True,
        check=False,
        cwd=BENCH_PYTHON.parents[1],  # it leaves a log where it is started
        timeout=TIMEOUT_S,
    )
    if result.returncode != 0:
        raise RuntimeError(f"ASSUME failed: {result.stderr.strip()[-500:]}")
    answer = json.loads(result.stdout.splitlines()[-1])
    return answer["seconds"], [(round(volume_w), round(price)) for volume_w, price in answer["slots"]]


if __name__ == "__main__":
    print(run())
