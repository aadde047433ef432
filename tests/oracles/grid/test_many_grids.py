"""Many grids on Dask's workers, other processes: the same results, states without a solution among them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
from distributed import LocalCluster

from offchain.protocol.errors import InvalidInput
from oracles.grid.composition import Substation, results_below, run_composed
from oracles.grid.core.documents import grid_model_bytes, grid_model_of_bytes
from oracles.grid.core.network import grid_model_from_document
from oracles.grid.core.power_flow import run_power_flow
from oracles.grid.core.violations import find_alarms, find_violations
from oracles.grid.many_grids import GridResults, GridStates, drawn_by_grids, solve_grids
from oracles.on_dask import parts_on
from oracles.parallel import in_threads
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
        p_w = chance.integers(-50_000, 90_000, (4, len(document["nodes"])))
        if number == 4:
            p_w[3] *= 10_000
        found.append(GridStates(grid_model_bytes(document), p_w, p_w // 5, slots=2))
    return found


def same(one: GridResults, other: GridResults) -> bool:
    return one.alarms == other.alarms and all(
        np.array_equal(value, vars(other)[name]) for name, value in vars(one).items() if name != "alarms"
    )


def test_workers_find_the_same_as_threads(cluster: LocalCluster) -> None:
    on_workers = parts_on(cluster.scheduler_address)
    here = list(chain(*solve_grids(parts())))
    there = list(chain(*solve_grids(parts(), on_workers)))
    assert len(there) == 12
    assert all(same(one, other) for one, other in zip(here, there, strict=True))
    assert [result.converged.tolist() for result in here] == [[True] * 2] * 9 + [[True, False]] + [
        [True] * 2
    ] * 2
    below = [
        Substation(str(number), 3, each.document, each.p_w // 50, each.q_var // 50)
        for number, each in enumerate(parts())
    ]
    strong = radial_document([1, 2], [1e-5] * 2)
    strong["transformers"][0]["sn_mva"] = 1_000.0
    model, nobody = grid_model_from_document(strong), np.zeros((4, 4), dtype=np.int64)
    flows = [run_composed(model, nobody, nobody, below, map_parts) for map_parts in (in_threads, on_workers)]
    assert flows[0].unsolved == flows[1].unsolved == {"4": (3,)}
    results = [
        dict(results_below(flow.medium.vm_pu, below, map_parts=map_parts))
        for flow, map_parts in zip(flows, (in_threads, on_workers), strict=True)
    ]
    assert all(same(result, results[1][name]) for name, result in results[0].items())
    drawn = [list(drawn_by_grids(parts(), map_parts)) for map_parts in (in_threads, on_workers)]
    assert all(np.array_equal(one.supply_va, other.supply_va) for one, other in zip(*drawn, strict=True))


def test_each_grid_is_what_it_is_alone() -> None:
    some = [
        replace(part, slack_vm_pu=np.full(4, 0.97)) if place == 2 else part
        for place, part in enumerate(parts()[:4])
    ]
    for part, results in zip(some, solve_grids(some), strict=True):
        model = grid_model_of_bytes(part.document)
        held = grid_model_of_bytes(with_slack(part.document, 0.97)) if part.slack_vm_pu is not None else model
        for place, result in enumerate(results):
            rows = slice(2 * place, 2 * place + 2)
            flow = run_power_flow(held, part.p_w[rows], part.q_var[rows])
            assert result.alarms == find_alarms(flow)
            assert len(find_violations(flow)) == result.violations.sum()
            for ours, alone in (
                (result.supply_va, flow.supply_va),
                (result.losses_w, flow.losses_w),
                (result.highest_percent, flow.loading_percent.max(axis=1)),
                (result.lowest_vm_pu, flow.vm_pu.min(axis=1)),
                (result.highest_vm_pu, flow.vm_pu.max(axis=1)),
            ):
                assert np.allclose(ours, alone, rtol=1e-8, atol=1e-3)
    assert any(result.violations.any() for results in solve_grids(some) for result in results)


def with_slack(document: bytes, vm_pu: float) -> bytes:
    content = json.loads(document)
    content["slacks"][0]["vm_pu"] = vm_pu
    return grid_model_bytes(content)


def test_a_document_that_is_none_is_refused() -> None:
    (part, *_) = parts()
    with pytest.raises(InvalidInput):
        list(solve_grids([replace(part, document=part.document[:-1])]))
