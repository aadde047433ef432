"""When to switch: which change of a grid to hold in each slot, so that as little as possible is moved."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from oracles.grid.core.network import Floats, Integers

Truths = npt.NDArray[np.bool_]
Moved = TypeVar("Moved")


def moves_between(one: dict[Moved, int], other: dict[Moved, int]) -> int:
    """How many elements stand differently under two changes (element to where it is moved)."""
    return sum(one.get(each) != other.get(each) for each in one.keys() | other.keys())


def fewest_moves(
    changes: Sequence[dict[Moved, int]], may_hold: Truths, losses_w: Floats
) -> tuple[int, tuple[int, ...]] | None:
    """The fewest moves and the change to hold in each slot; of those with as few, with the least losses. None where in some slot
    none may be held.

    `changes`: the first one is the grid as it stands before the window. `may_hold`, `losses_w` (slots, changes).
    """
    moves = np.array([[moves_between(one, other) for other in changes] for one in changes], dtype=np.float64)
    # All losses together weigh less than a move.
    share = losses_w / (2 * max(1.0, float(losses_w[may_hold].sum(initial=0.0))))
    costs = np.where(may_hold, share, np.inf)
    total = moves[0] + costs[0]
    came_from: list[Integers] = []
    for cost in costs[1:]:
        through = total[:, None] + moves
        came_from.append(np.argmin(through, axis=0))
        total = through.min(axis=0) + cost
    if not np.isfinite(total).any():
        return None
    held = [int(np.argmin(total))]
    for before in reversed(came_from):
        held.append(int(before[held[-1]]))
    held.reverse()
    steps = zip([0, *held[:-1]], held, strict=True)
    return sum(int(moves[one, other]) for one, other in steps), tuple(held)
