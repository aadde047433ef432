"""A book cleared by Dask's workers, other processes: the same outcome, also where one of them is killed."""

import os
import pickle
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from offchain.protocol.products import ClearingMethod
from oracles.clearing.core import parts
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.parts import BookIndex, parts_of
from oracles.clearing.core.plain import PlainPart
from oracles.clearing.core.session import clear_session
from oracles.on_dask import OnDask, parts_on
from oracles.parallel import in_threads
from tests.benchmarks.city import CitySize, city_of
from tests.oracles.clearing.books import ORACLE, SEED, TERMS, area, book_of, offer, registry

PODS = registry(64)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as found:
        yield found


def mixed_book() -> list:
    """Villages of four PoDs: plain ones whose offers tie, two of them one PoD's or the last one's only one, and one with a
    block."""
    offers = [
        offer(number, w, 10_000, slot=slot)
        for number in range(16)
        for slot in range(3)
        for w in ((1001,) if number % 4 == 3 else (600, 401))
    ] + [replace(offer(13, 500, 9_000), duration_slots=2)]
    needs = [
        area(2501, dict.fromkeys(range(first, first + 4), 1000), slot=slot)
        for first in range(0, 16, 4)
        for slot in range(3)
    ]
    return book_of(offers, dso=needs)


@pytest.mark.parametrize("method", [ClearingMethod.PAY_AS_BID, ClearingMethod.EXACT])
def test_gives_the_same_roots(cluster: LocalCluster, method: ClearingMethod) -> None:
    documents, terms = mixed_book(), replace(TERMS, method=int(method))
    here = clear_session(documents, PODS, SEED, terms, ORACLE)
    there = clear_session(documents, PODS, SEED, terms, ORACLE, map_parts=parts_on(cluster.scheduler_address))
    assert there.market.to_bytes() == here.market.to_bytes()
    assert [each.root for each in there.market.lists] == [each.root for each in here.market.lists]


def cleared_by(method: ClearingMethod) -> bytes:
    """The mixed book's market outcome."""
    quick = ClearingParameters(front_steps=1, population=8, generations=3, unreliability_ueur_per_kw=9_000)
    reliability = {name: 1000 - 7 * number for number, name in enumerate(PODS)}
    terms = replace(TERMS, method=method)
    return clear_session(mixed_book(), PODS, SEED, terms, ORACLE, quick, reliability).market.to_bytes()


@pytest.mark.parametrize("method", ClearingMethod)
def test_other_processes_and_several_at_once_clear_alike_by_every_method(
    cluster: LocalCluster, method: ClearingMethod
) -> None:
    """Where floats decide as well: nothing hangs on a process's hashes, or on what else it solves."""
    with Client(cluster, set_as_default=False) as client:
        elsewhere = client.map(cleared_by, [method] * 2, pure=False)
        with ThreadPoolExecutor(3) as pool:
            here = set(pool.map(cleared_by, [method] * 3))
        assert len(here) == 1
        assert here == set(client.gather(elsewhere))


def test_a_part_takes_along_only_what_it_needs() -> None:
    """Its own offers, not the book; no leaves where place and seed tell all offers apart."""
    city = city_of(CitySize(pods=3000, secondary=120, primary=30, aggregators=4))
    index = BookIndex(city.book, city.pods)
    part = next(parts_of(index, city.pods, city.seed)[1])
    sent = pickle.dumps(part)
    offers = pickle.loads(sent).offers
    assert len(sent) < 30 * len(offers.position) + 200 * len(part.pods)
    assert len(offers.position) < len(city.book.columns)
    taken, again = vars(part.clear()), vars(pickle.loads(sent).clear())
    assert {name: list(column) for name, column in again.items()} == {
        name: list(column) for name, column in taken.items()
    }


def test_what_ties_with_offers_of_one_place_needs_no_leaf() -> None:
    offers = [offer(0, 600, 10_000), offer(0, 401, 10_000), offer(2, 500, 10_000)]
    book = assemble(book_of(offers, dso=[area(1200, {0: 1000, 2: 1000})]), PODS, TERMS)
    (part,) = parts_of(BookIndex(book, PODS), PODS, SEED)[1]
    taken, again = vars(part.clear()), vars(pickle.loads(pickle.dumps(part)).clear())
    assert sum(taken["accepted_w"]) == 1200
    assert {name: list(column) for name, column in again.items()} == {
        name: list(column) for name, column in taken.items()
    }


class DiesOnce:
    """Clears a part, but kills the first worker that tries."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __call__(self, part: PlainPart) -> object:
        try:
            self._mark.touch(exist_ok=False)
        except FileExistsError:
            return part.clear()
        os.kill(os.getpid(), signal.SIGKILL)
        return None


def test_a_worker_killed_in_the_middle_changes_nothing(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "OFFERS_A_PART", 500)
    city = city_of(CitySize(pods=300, secondary=12, primary=3, aggregators=4))
    index = BookIndex(city.book, city.pods)
    expected = [part.clear() for part in parts_of(index, city.pods, city.seed)[1]]
    assert len(expected) > 5
    with Client(cluster, set_as_default=False) as client:
        died = DiesOnce(tmp_path / "died")
        found = list(OnDask(client)(died, parts_of(index, city.pods, city.seed)[1]))
    assert (tmp_path / "died").exists()
    assert [list(each.accepted_w) for each in found] == [list(each.accepted_w) for each in expected]
    assert [list(each.offer) for each in found] == [list(each.offer) for each in expected]


def test_without_a_scheduler_threads_do_it() -> None:
    assert parts_on(None) is in_threads
    assert list(in_threads(str, range(5))) == ["0", "1", "2", "3", "4"]
