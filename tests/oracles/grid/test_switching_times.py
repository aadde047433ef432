"""When to switch: as few moves as trying every sequence finds, and of those the one with the least losses."""

from itertools import pairwise, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from oracles.grid.core.switching_times import fewest_moves, moves_between
from tests.examples import examples

CHANGES: list[dict[str, int]] = [{}, {"tap": 1}, {"tap": 2}, {"a": 1, "b": 0}, {"a": 1, "tap": 1}]


def test_what_stands_differently_is_moved_once() -> None:
    moves = [[moves_between(one, other) for other in CHANGES] for one in CHANGES]
    assert moves[0] == [0, 1, 1, 2, 2]
    assert moves[1] == [1, 0, 1, 3, 1]
    assert moves[3] == [2, 3, 3, 0, 2]


@examples(60)
@given(
    st.lists(st.tuples(*[st.booleans()] * len(CHANGES)), min_size=1, max_size=4),
    st.lists(st.integers(0, 9), min_size=4 * len(CHANGES), max_size=4 * len(CHANGES)),
)
def test_is_what_trying_everything_finds(may_hold: list[tuple[bool, ...]], losses_w: list[int]) -> None:
    losses = np.array(losses_w, dtype=np.float64).reshape(4, -1)[: len(may_hold)]
    allowed = [[change for change, may in enumerate(slot) if may] for slot in may_hold]
    best = (
        min(
            (
                sum(moves_between(CHANGES[one], CHANGES[other]) for one, other in pairwise((0, *held))),
                sum(losses[slot, change] for slot, change in enumerate(held)),
            )
            for held in product(*allowed)
        )
        if all(allowed)
        else None
    )
    found = fewest_moves(CHANGES, np.array(may_hold), losses)
    if best is None or found is None:
        assert best is found is None
    else:
        assert (found[0], sum(losses[slot, change] for slot, change in enumerate(found[1]))) == best
        assert all(may_hold[slot][change] for slot, change in enumerate(found[1]))
