"""What price priority takes for areas' reliefs when every resource is offered at its price: SPECIFICATION 15.1 to 15.5.

The grid oracle sizes requests by this before it knows an offer. Written in columns over all slots, for it is asked for again
and again; that the market takes the same is tested. Only what can't be known is left open: by the market's seed goes to whom
of those that tie falls the last W of each, and which of those comes first that come whole or not at all.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from oracles.grid.core.flexible_pods import Resources
from oracles.grid.core.network import Floats, Integers

FULL_PERMILLE = 1000
Rank = Callable[[Floats, Integers], Floats]
"""Order in which resources are taken: of prices and effectiveness, the lowest first; those that are equal share."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What an area asks for. `permille` (r,): effectiveness of each resource, 0 of those that don't belong, which are all but
    those of one product. `relief_w` (rows,): W or var at effectiveness 1000."""

    permille: Integers
    relief_w: Integers


def cheapest(prices: Floats, permille: Integers) -> Floats:
    """The market's order: price over effectiveness."""
    return prices / permille


def most_effective(prices: Floats, permille: Integers) -> Floats:
    """As if the most effective had offered for least."""
    return -permille.astype(np.float64)


def least_effective(prices: Floats, permille: Integers) -> Floats:
    """As if the least effective had offered for least."""
    return permille.astype(np.float64)


def filling(
    resources: Resources, most_w: Integers, areas: Sequence[Asked], rank: Rank = cheapest
) -> Integers:
    """What is taken of resources that offer `most_w` (rows, r) each, area by area: (rows, r)."""
    taken = np.zeros_like(most_w)
    opposite = resources.opposite
    for area in areas:
        members = np.flatnonzero(area.permille)
        missing = area.relief_w * FULL_PERMILLE
        ranks = rank(resources.price[members], area.permille[members])
        order = np.lexsort((members, resources.discrete[members], ranks))
        for run, of_run in _runs(members[order], ranks[order], resources.discrete):
            left = most_w[:, run] - taken[:, run]
            left[(taken[:, opposite[run]] > 0) & (opposite[run] >= 0)] = 0
            if resources.discrete[run[0]]:
                accepted, missing = _whole(resources, int(run[0]), left, missing, taken, area.permille[run])
            else:
                accepted, missing = _shared(left, of_run, missing, area.permille[run])
            taken[:, run] += accepted
    return taken


def _runs(ordered: Integers, ranks: Floats, discrete: Integers) -> Iterator[tuple[Integers, Floats]]:
    """Resources in their order, in runs with their ranks: each that doesn't divide by itself."""
    alone = discrete[ordered] > 0
    cuts = np.flatnonzero(alone[1:] | alone[:-1]) + 1
    for run in np.split(np.arange(len(ordered)), cuts):
        yield ordered[run], ranks[run]


def _whole(
    resources: Resources, one: int, left: Integers, missing: Integers, taken: Integers, permille: Integers
) -> tuple[Integers, Integers]:
    """One that comes in steps, as far as all of a step is needed and it comes to its least: accepted (rows, 1), and what is
    missing after it."""
    step = resources.step_w[one]
    fits = np.minimum(left[:, 0], missing // permille) // step * step
    fits[taken[:, one] + fits < resources.least_w[one]] = 0
    return fits[:, None], missing - fits * permille


def _shared(
    left: Integers, ranks: Floats, missing: Integers, permille: Integers
) -> tuple[Integers, Integers]:
    """Those that divide, in order of their ranks: accepted (rows, run), and what is missing after them. Equal ones share pro
    rata; what a W of the last ones would do too much, nobody does."""
    starts = np.concatenate(([0], np.flatnonzero(np.diff(ranks)) + 1))
    group = np.repeat(np.arange(len(starts)), np.diff(np.concatenate((starts, [len(ranks)]))))
    ends = np.cumsum(np.add.reduceat(left * permille, starts, axis=1), axis=1)
    full = (ends <= missing[:, None]).sum(axis=1)
    accepted = np.where(group < full[:, None], left, 0)
    marginal = np.flatnonzero(full < len(starts))
    for number in np.unique(full[marginal]).tolist():
        rows, its = marginal[full[marginal] == number], np.flatnonzero(group == number)
        need = missing[rows] - (ends[rows, number - 1] if number else 0)
        accepted[np.ix_(rows, its)] = _pro_rata(left[np.ix_(rows, its)], need, permille[its])
    return accepted, np.asarray(np.where(full < len(starts), 0, missing - ends[:, -1]))


def _pro_rata(left: Integers, need: Integers, permille: Integers) -> Integers:
    """Shares (rows, its) of a need that is less than all that is left of them; whole numbers beyond 64 bits on the way."""
    offered = left @ permille
    shares: Integers = (left.astype(object) * need[:, None] // offered[:, None]).astype(np.int64)
    rest = need - shares @ permille
    for place, each in enumerate(permille.tolist()):
        extra = np.minimum(rest // each, left[:, place] - shares[:, place])
        shares[:, place] += extra if len(permille) == 1 else np.minimum(extra, 1)
        rest -= (extra if len(permille) == 1 else np.minimum(extra, 1)) * each
    return shares
