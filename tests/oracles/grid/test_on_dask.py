"""Slots that nothing joins assessed by Dask's workers, other processes: the same assessment."""

import pickle
import random
from collections.abc import Iterator

import numpy as np
import pytest
from distributed import LocalCluster

from offchain.protocol.products import Product
from oracles.grid.core import assessment
from oracles.grid.core.assessment import Case, Item, assess
from oracles.grid.core.network import GridModel, Integers
from oracles.grid.core.violations import Watch
from oracles.on_dask import parts_on
from tests.oracles.grid.small_grids import feeder

SLOTS = 30


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as found:
        yield found


def day() -> tuple[GridModel, Integers, Integers, list[Item]]:
    """Too much in most slots, some joined by blocks and paybacks."""
    model, p_w, q_var = feeder(15_000, SLOTS + 2)
    chance = random.Random(5)
    items = [
        Item(
            10 * slot + number,
            chance.randint(2, 4),
            slot,
            Product(chance.choice((0, 1, 1))),
            chance.randint(1_000, 60_000),
        )
        for slot in range(SLOTS)
        for number in range(5)
    ]
    items += [
        Item(10 * slot + 7, 3, slot, Product.ACTIVE_DOWN, 90_000, block=slot // 10)
        for slot in (1, 2, 14, 15, 16)
    ]
    items += [
        Item(10 * slot + 8, 4, slot, Product.ACTIVE_UP, 9_000, payback_w=(-80_000, -90_000), offered_w=9_000)
        for slot in (5, 6, SLOTS - 1)
    ]
    return model, p_w, q_var, items


def test_gives_the_same_assessment(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assessment, "_QUANTITIES_A_PART", 20)
    here = assess(*day())
    there = assess(*day(), map_parts=parts_on(cluster.scheduler_address))
    assert there == here
    assert len({refusal.item.slot for refusal in here.refusals}) > 15


def test_a_part_takes_along_only_its_own_slots_and_quantities() -> None:
    model, p_w, q_var, items = day()
    parts = Case(Watch(model), p_w, q_var, items).parts()
    assert len(parts) > 10
    joined = {first: len(part.power) for first, _, part in parts}
    assert (joined[1], joined[14], joined[5], joined[SLOTS - 1]) == (2, 3, 4, 3)
    for first, quantities, part in parts:
        sent = pickle.loads(pickle.dumps(part))
        assert (sent.power == part.power).all()
        assert len(part.accepted_w) == len(quantities)
        assert part.effects.slot.max() < len(part.power)
        assert set(part.effects.owner.tolist()) == set(range(len(quantities)))
        own = np.concatenate((p_w, q_var), axis=1)[first : first + len(part.power)]
        assert (part.power == own).all()
