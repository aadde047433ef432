"""The front of NSGA-II against the exact one, on the same books in one run, by hypervolume."""

import time

import numpy as np

from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.several_objectives import Front, clear_by_nsga2, clear_exactly
from tests.oracles.clearing.books import SEED, TERMS
from tests.oracles.clearing.test_nsga2 import PODS, hypervolume, random_book

BOOKS, OFFERS = 3, 200
PARAMETERS = ClearingParameters()
TARGET = 0.97


def run() -> list[dict[str, object]]:
    """Rows for the report: the least ratio of hypervolumes over the books."""
    volumes: list[tuple[float, float]] = []
    seconds: dict[str, list[float]] = {"exact": [], "NSGA-II": []}
    for number in range(BOOKS):
        documents, reliability = random_book(number, offers=OFFERS)
        book = assemble(documents, PODS, TERMS)
        fronts: list[Front] = []
        for name, clear in (("exact", clear_exactly), ("NSGA-II", clear_by_nsga2)):
            start = time.perf_counter()
            fronts += clear(book, PODS, SEED, PARAMETERS, reliability)[1]
            seconds[name].append(time.perf_counter() - start)
        exact, evolved = fronts
        worst = np.array([point.as_tuple()[:3] for point in exact.points]).max(axis=0)
        volumes.append((hypervolume(evolved.points, worst), hypervolume(exact.points, worst)))
    ours, peer = min(volumes, key=lambda pair: pair[0] / pair[1])
    print(f"seconds a book of {OFFERS} offers: {seconds}")
    return [
        {
            "name": f"front of NSGA-II, hypervolume, worst of {BOOKS} books of {OFFERS} offers",
            "unit": "",
            "ours": ours,
            "peer": peer,
            "peer_name": "exact front",
            "ratio": ours / peer,
            "target": TARGET,
        }
    ]


if __name__ == "__main__":
    print(run())
