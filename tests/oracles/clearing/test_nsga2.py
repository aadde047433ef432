"""NSGA-II over the exact method's objectives: the rules hold, the front is nearly the exact one, the same every time."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from pymoo.indicators.hv import HV

from offchain.protocol.products import ClearingMethod
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.service_program import Point
from oracles.clearing.core.session import clear_session
from oracles.clearing.core.several_objectives import Front, clear_by_nsga2, clear_exactly
from tests.examples import examples
from tests.oracles.clearing.books import ORACLE, SEED, TERMS, book_of, offer, pod, registry
from tests.oracles.clearing.challenger import Challenger, Documents
from tests.oracles.clearing.test_honest_outcomes import books
from tests.oracles.clearing.test_several_objectives import one_area

PODS = registry(64, limit_w=3000)
NSGA2 = replace(TERMS, method=ClearingMethod.NSGA2)
QUICK = ClearingParameters(front_steps=2, population=8, generations=3)


@examples(30)
@given(books())
def test_nothing_can_be_said_against_an_honest_outcome(documents: Documents) -> None:
    market = clear_session(documents, PODS, SEED, NSGA2, ORACLE, QUICK).market
    assert Challenger(market, documents, PODS, NSGA2).faults() == []


def random_book(seed: int, offers: int = 60) -> tuple[Documents, dict[bytes, int]]:
    """Divisible offers of 40 PoDs for one request of a third of them, and how reliable the PoDs are."""
    chance = Random(seed)
    entries = [
        offer(chance.randrange(40), chance.randint(200, 3000), chance.randint(10, 60) * 1000)
        for _ in range(offers)
    ]
    effects = {number: chance.choice([400, 700, 1000]) for number in range(40)}
    needed_w = sum(entry.power_w for entry in entries) // 3
    reliability = {pod(number): chance.randint(500, 1000) for number in range(40)}
    return book_of(entries, dso=[one_area(effects, [needed_w])]), reliability


def hypervolume(points: tuple[Point, ...], nadir: np.ndarray) -> float:
    objectives = np.array([point.as_tuple()[:3] for point in points]) / nadir
    return float(HV(ref_point=np.full(3, 1.1))(objectives))


@pytest.mark.parametrize("seed", range(3))
def test_its_front_is_nearly_the_exact_one(seed: int) -> None:
    """In hypervolume, on the same book, with the same trade-offs as seeds: at least 0.97 of it."""
    documents, reliability = random_book(seed)
    book = assemble(documents, PODS, TERMS)
    parameters = ClearingParameters(front_steps=5, population=60, generations=20)
    fronts: list[Front] = []
    for clear in (clear_exactly, clear_by_nsga2):
        fronts += clear(book, PODS, SEED, parameters, reliability)[1]
    exact, evolved = fronts
    nadir = np.array([point.as_tuple()[:3] for point in exact.points]).max(axis=0)
    assert hypervolume(evolved.points, nadir) >= 0.97 * hypervolume(exact.points, nadir)
    assert len(evolved.points) > len(exact.points) // 2
    assert not any(one.dominates(other) for one in evolved.points for other in evolved.points)


def test_the_weights_choose_no_worse_than_the_exact_optimum_rounded_down() -> None:
    documents, reliability = random_book(7)
    book = assemble(documents, PODS, TERMS)
    parameters = replace(QUICK, unreliability_ueur_per_kw=50_000)
    (exact,), (evolved,) = (
        clear(book, PODS, SEED, parameters, reliability)[1] for clear in (clear_exactly, clear_by_nsga2)
    )
    assert evolved.chosen.cost_ueur <= exact.chosen.cost_ueur * 1.001
    assert evolved.chosen.unserved_w <= exact.chosen.unserved_w + len(book.offers)


@pytest.mark.parametrize("seed", range(3))
def test_the_exact_optimum_is_never_lost(seed: int) -> None:
    """Activations are none of its three objectives, and a small population soon forgets what it was seeded with."""
    documents, reliability = random_book(seed, offers=30)
    book = assemble(documents, PODS, TERMS)
    parameters = replace(QUICK, activation_ueur=200_000, population=4, generations=20)
    (exact,), (evolved,) = (
        clear(book, PODS, SEED, parameters, reliability)[1] for clear in (clear_exactly, clear_by_nsga2)
    )
    weights = (1, 10_000, 0, 200_000, 0)
    best, chosen = (
        sum(weight * value for weight, value in zip(weights, front.chosen.as_tuple(), strict=True))
        for front in (exact, evolved)
    )
    assert chosen <= best * 1.001 + 10_000 * exact.chosen.activations


def test_the_same_book_gives_the_same_outcome() -> None:
    documents, _ = random_book(3, offers=20)
    made = {
        clear_session(order, PODS, SEED, NSGA2, ORACLE, QUICK).market.to_bytes()
        for order in (documents, documents, documents[::-1])
    }
    assert len(made) == 1


def test_another_seed_may_find_another_front_but_not_another_optimum() -> None:
    documents, _ = random_book(4, offers=20)
    book = assemble(documents, PODS, TERMS)
    chosen = [clear_by_nsga2(book, PODS, bytes([number] * 32), QUICK)[1][0].chosen for number in range(3)]
    assert len({(point.cost_ueur, point.unserved_w) for point in chosen}) == 1
