"""Baselines that can't be meant, alone or together, are found; what can be meant stays, though it overloads the grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.metering import Net
from oracles.grid.core.network import grid_model_from_document
from oracles.grid.core.plausible import most_va, sizes_of, without_which_it_solves
from oracles.grid.core.power_flow import solve_power_flow
from tests.oracles.grid.small_grids import radial_document

MODEL = grid_model_from_document(radial_document([1, 2], [0.1, 2.0]))
"""A transformer, a line to node 2, and a long one from there to node 3; each line carries 98.4 kVA."""
LINE_VA = 98_381


def test_a_node_bears_twice_what_its_branches_carry() -> None:
    assert np.isinf(most_va(MODEL)[0])
    assert most_va(MODEL)[1:] == pytest.approx([2 * (250_000 + LINE_VA), 4 * LINE_VA, 2 * LINE_VA], abs=10)


def test_what_has_no_rating_has_no_limit() -> None:
    document = radial_document([1], [0.1])
    values = dict.fromkeys(("r_from_pu", "x_from_pu", "r_to_pu", "x_to_pu"), 0.01)
    values |= dict.fromkeys(("g_from_pu", "b_from_pu", "g_to_pu", "b_to_pu"), 0.0)
    document["impedances"] = [{"name": "z", "from": 1, "to": 2, "sn_mva": 1.0, **values}]
    assert np.isinf(most_va(grid_model_from_document(document))[1:]).all()


def test_a_pods_size_is_its_largest_of_both_kinds_of_power_together() -> None:
    a, b, silent = b"a" * 32, b"b" * 32, b"s" * 32
    nets = {(a, 0): Net(30, 40), (a, 1): Net(-49, 0), (b, 7): Net(0, -10)}
    sizes = sizes_of(nets, {a: 1, b: 0, silent: 1}, np.array([np.inf, 100.0]))
    assert sizes == {a: 0.5, b: 0.0, silent: 0.0}


def test_few_that_leave_no_solution_together_are_set_aside_the_largest_first() -> None:
    """At the end of the long line: each alone is borne, all of them aren't."""
    pods = {bytes([number]) * 32: power_w for number, power_w in enumerate((20_000, 15_000, 2_000, 1_000), 1)}

    def solves(without: frozenset[bytes]) -> bool:
        p_w = np.zeros((1, MODEL.nodes), dtype=np.int64)
        p_w[0, 3] = sum(power_w for pod, power_w in pods.items() if pod not in without)
        return bool(solve_power_flow(MODEL, p_w, np.zeros_like(p_w)).converged.all())

    assert all(solves(frozenset(pods) - {pod}) for pod in pods)
    found = without_which_it_solves(list(pods), solves)
    assert found == frozenset(list(pods)[: len(found)])
    assert 1 <= len(found) < len(pods)
    assert not solves(frozenset(list(pods)[: len(found) - 1]))


@given(st.integers(0, 20), st.integers(0, 20))
def test_as_few_as_do_it_or_none_where_it_isnt_their_doing(needed: int, count: int) -> None:
    suspects = [bytes([number]) for number in range(count)]
    found = without_which_it_solves(suspects, lambda without: len(without) >= needed)
    assert found == frozenset(suspects[:needed] if needed <= count else [])
