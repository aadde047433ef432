"""Many grids on Dask's workers, other processes: the same results, states without a solution among them."""

from collections.abc import Iterator

import numpy as np
import pytest
from distributed import LocalCluster

from offchain.protocol.errors import InvalidInput
from oracles.grid.core.documents import grid_model_bytes, grid_model_of_bytes
from oracles.grid.core.power_flow import run_power_flow
from oracles.grid.core.violations import Watch
from oracles.grid.many_grids import GridResults, GridStates, solve_grids
from oracles.on_dask import parts_on
from tests.oracles.grid.small_grids import radial_document


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as found:
        yield found


def parts() -> list[GridStates]:
    """Six of three grids, the last state of one beyond any solution."""
    chance = np.random.default_rng(3)
    documents = [radial_document(list(range(1, 1 + size)), [0.05] * size) for size in (2, 3, 5)]
    found = []
    for number in range(6):
        document = documents[number % 3]
        p_w = chance.integers(-5_000, 9_000, (4, len(document["nodes"])))
        if number == 4:
            p_w[3] *= 10_000
        found.append(GridStates(grid_model_bytes(document), p_w, p_w // 5))
    return found


def same(one: GridResults, other: GridResults) -> bool:
    return all(np.array_equal(value, vars(other)[name]) for name, value in vars(one).items())


def test_workers_find_the_same_as_threads(cluster: LocalCluster) -> None:
    here = list(solve_grids(parts()))
    there = list(solve_grids(parts(), parts_on(cluster.scheduler_address)))
    assert len(there) == 6
    assert all(same(one, other) for one, other in zip(here, there, strict=True))
    assert [result.converged.tolist() for result in here] == [[True] * 4] * 4 + [[True] * 3 + [False]] + [
        [True] * 4
    ]
    assert not np.isfinite(here[4].values[3]).any()


def test_each_grid_is_what_it_is_alone() -> None:
    for part, result in zip(parts()[:4], solve_grids(parts()[:4]), strict=True):
        flow = run_power_flow(grid_model_of_bytes(part.document), part.p_w, part.q_var)
        assert np.array_equal(result.values, Watch(flow.model).values(flow))
        assert np.array_equal(result.supply_va, flow.supply_va)
        assert np.array_equal(result.losses_w, flow.losses_w)


def test_a_document_that_is_none_is_refused() -> None:
    (part, *_) = parts()
    with pytest.raises(InvalidInput):
        list(solve_grids([GridStates(part.document[:-1], part.p_w, part.q_var)]))
