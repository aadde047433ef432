"""Whose baselines can't be meant: one player's figure keeps nobody else's grid from being forecast."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from offchain.protocol.metering import Net, PodSlot
from oracles.grid.core.network import BASE_VA, Floats, GridModel

MOST_OF_RATING = 2
"""What all branches at a PoD's node may carry together, so often: an overload may be what the DSO asks relief for, but no
connection bears more."""


def most_va(model: GridModel) -> Floats:
    """Apparent power beyond which nothing at a node can be meant, by node: infinite where something there has no rating."""
    percent_per_pu = model.branch_percent_per_pu.ravel()
    rated_va = np.full(len(percent_per_pu), np.inf)
    np.divide(100 * BASE_VA, percent_per_pu, out=rated_va, where=percent_per_pu > 0)
    out = np.bincount(model.branch_ends.ravel(), rated_va, minlength=model.nodes)
    out[model.slacks] = np.inf
    return np.asarray(MOST_OF_RATING * out, dtype=np.float64)


def sizes_of(
    nets: Mapping[PodSlot, Net], node_of_pod: Mapping[bytes, int], limit_va: Floats
) -> dict[bytes, float]:
    """Largest apparent power that each PoD is expected to have in any slot, by the most that can be meant at its node (nodes,)."""
    sizes = dict.fromkeys(node_of_pod, 0.0)
    for (pod, _), net in nets.items():
        size = math.hypot(net.power_w, net.reactive_var) / float(limit_va[node_of_pod[pod]])
        sizes[pod] = max(sizes[pod], size)
    return sizes


def without_which_it_solves(
    suspects: Sequence[bytes], solves: Callable[[frozenset[bytes]], bool]
) -> frozenset[bytes]:
    """As few of the suspects, the first ones in their order, as leave a forecast that has a solution. None where it has one with
    all of them, or without all of them none: then it isn't their doing.

    `solves`: whether the forecast without the baselines of some has one.
    """
    if solves(frozenset()) or not solves(frozenset(suspects)):
        return frozenset()
    fewest, enough = 0, len(suspects)
    while enough - fewest > 1:
        half = (fewest + enough) // 2
        if solves(frozenset(suspects[:half])):
            enough = half
        else:
            fewest = half
    return frozenset(suspects[:enough])
