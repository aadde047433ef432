"""Which candidates a request takes by merit, whatever their keys look like: few or many in a bucket, all alike, far apart."""

from itertools import accumulate, groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles.clearing.core.selection_kernels import BUCKETS, FULL_BUCKET, MANY_ROWS, select
from tests.examples import examples

SPREAD = list(range(0, 64_000, 320))
CROWDED = [*range(10 * FULL_BUCKET), 2**62]
TIED = [5] * (2 * FULL_BUCKET) + [7] * 3 + [9_000_000]
BUCKETS_OF_ONE = list(range(BUCKETS))
CITY = [key * 7919 % 1_000_003 for key in range(2 * MANY_ROWS)]


def taken(keys: list[int], rooms: list[int], needed: int) -> tuple[list[int], list[int], int]:
    """Indexes of candidates cheaper than the marginal ones, of the marginal ones, and what is left for these: by the rule."""
    cheaper: list[int] = []
    for _, group in groupby(sorted(range(len(keys)), key=keys.__getitem__), key=keys.__getitem__):
        tied = list(group)
        offered = 1000 * sum(rooms[index] for index in tied)
        if needed == 0 or offered > needed:
            return cheaper, tied if needed else [], needed
        cheaper, needed = cheaper + tied, needed - offered
    return cheaper, [], needed


def selected(keys: list[int], rooms: list[int], needed: int) -> tuple[list[int], list[int], int]:
    """The same of the kernel, for the second of three requests, between two that take nothing."""
    count = len(keys)
    order = np.concatenate([[0], np.arange(1, count + 1), [count + 1]]).astype(np.int32)
    left = np.array([0, needed, 0])
    picked_first, margin_first, picked_last = np.zeros((3, 3), dtype=np.int64)
    select(
        np.arange(3),
        left,
        np.array([0, 1, count + 1, count + 2]),
        np.array([0, *keys, 0], dtype=np.int64),
        np.array([9, *rooms, 9], dtype=np.uint32),
        np.full(count + 2, 1000, dtype=np.int16),
        order,
        picked_first,
        margin_first,
        picked_last,
    )
    assert sorted(order.tolist()) == list(range(count + 2))
    assert (picked_first[[0, 2]] == picked_last[[0, 2]]).all()
    found = (order - 1).tolist()
    cheaper = found[picked_first[1] : margin_first[1]]
    assert [keys[index] for index in cheaper] == sorted(keys[index] for index in cheaper)
    return cheaper, found[margin_first[1] : picked_last[1]], int(left[1])


@pytest.mark.parametrize("keys", [SPREAD, CROWDED, TIED, BUCKETS_OF_ONE, CITY, [3], [2**62, 0]])
def test_takes_the_cheapest_whatever_the_keys(keys: list[int]) -> None:
    rooms = [1 + index % 5 for index in range(len(keys))]
    sums = [1000 * each for each in accumulate(rooms)]
    for needed in {0, 1, 999, 1000, sums[len(sums) // 3], sums[-1] - 1, sums[-1], sums[-1] + 1}:
        assert selected(keys, rooms, needed) == taken(keys, rooms, needed)


@examples(100)
@given(
    st.lists(st.tuples(st.integers(0, 40) | st.integers(0, 2**62), st.integers(0, 9)), min_size=1),
    st.integers(0, 200_000),
)
def test_takes_the_cheapest_of_any(candidates: list[tuple[int, int]], needed: int) -> None:
    keys, rooms = [key for key, _ in candidates], [room for _, room in candidates]
    assert selected(keys, rooms, needed) == taken(keys, rooms, needed)
