"""From the cheapest activations to what a market that doesn't see the grid can fill: areas with relief and effectiveness."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offchain.protocol.products import Product
from oracles.grid.core.least_cost import BITE, SHORTFALL_FACTOR, Need
from oracles.grid.core.linear_program import Program, Row, Solver
from oracles.grid.core.network import Floats, Integers
from oracles.grid.core.violations import TOLERANCE

FULL_PERMILLE = 1000
_LEAST_SHARE = 1e-3
"""Share of a relief below which a product is left out of it."""
_OVERSHOOT = 1.2
"""How much of what a filling leaves undone the relief grows by."""
Truths = npt.NDArray[np.bool_]
_Rank = Callable[[Floats, Integers], Floats]
"""Order in which a market may take resources: of prices and effectiveness, the lowest first."""


@dataclass(frozen=True, eq=False)
class SizedArea:
    """A watched value (its column) and a product. `permille` (r,): effectiveness of each resource, 0 of those that don't
    belong. `relief_w` (rows,): W or var at effectiveness 1000. `fall_per_w` (rows,): what one of them is sure to give."""

    column: int
    product: Product
    permille: Integers
    relief_w: Integers
    fall_per_w: Floats


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A value that passes its limit with a product that relieves it. `excess` (rows,): what it must fall by for it."""

    column: int
    product: Product
    excess: Floats
    permille: Integers


def size_areas(
    need: Need, planned: Integers, margins: Floats, min_permille: int, max_rounds: int
) -> tuple[list[SizedArea], Integers]:
    """Areas whose reliefs, however a market fills them, lift what `planned` (rows, r) lifts; and what a market takes that
    fills them cheapest first (rows, r)."""
    areas = _Areas(need, planned, margins, min_permille)
    if not any(candidate.permille.any() for candidate in areas.candidates):
        return [], np.zeros_like(planned)
    return areas.sized(max_rounds)


class _Areas:
    def __init__(self, need: Need, planned: Integers, margins: Floats, min_permille: int) -> None:
        self.need, self.planned, self.min_permille = need, planned, min_permille
        self.resources = resources = need.resources
        # In which slots a PoD with an energy limit is offered nobody knows: it is counted on where the plan has it.
        limited = np.isin(resources.pod, list(resources.most_wh)) & (resources.reactive == 0)
        self.most_w = np.where(limited, planned, resources.most_w)
        base = need.base
        rows = list(range(len(base)))
        if resources.payback.any():
            strained = need.watch.values(need.flow(-resources.paid_back(planned), rows))
            base = np.where(np.isfinite(strained), strained, base)
        limits, reached = need.watch.limits, need.values(planned)
        violated = base > limits + TOLERANCE
        # What even the plan leaves above its limit is to come down to there; in such slots no more is asked for than
        # the plan does, for more of what relieves at first (reactive power) may harm.
        self.aims = np.where(reached > limits + TOLERANCE, reached, limits)
        self.unsolved: Truths = np.any(reached > limits + TOLERANCE, axis=1)
        self.columns = np.flatnonzero(violated.any(axis=0))
        self.excess = np.where(violated, base - (limits - margins), 0.0)[:, self.columns]
        self.gains = np.zeros((len(base), len(resources), len(self.columns)))
        # Half-way is the mean of the way, but for terms of third order.
        half = need.net(planned) / 2
        needy = np.flatnonzero(violated.any(axis=1)).tolist()
        if needy:
            flow = need.flow(half, needy)
            for state, row in enumerate(needy):
                self.gains[row] = need.gains(need.relief(flow, state), self.columns)
        self.candidates = self._candidates()

    def sized(self, max_rounds: int) -> tuple[list[SizedArea], Integers]:
        areas, credit = self._dominant()
        could = np.stack([self.most_w @ area.permille / FULL_PERMILLE for area in areas], axis=1)
        does = self._does(areas)
        capacity = np.where(self.unsolved[:, None], np.minimum(could, does), could)
        # By value, whatever the products that share in it; what no PoD moves is nobody's to heal.
        shares = np.zeros_like(self.excess)
        for candidate in self.candidates:
            shares[:, candidate.column] += candidate.excess
        excess = np.where(shares > 0, self.excess, 0.0)
        discrete = np.where(self._takes_discrete(areas), does, 0)
        grown = excess.copy()
        best, worst = np.zeros_like(discrete), np.full(len(excess), np.inf)
        for _ in range(max_rounds):
            reliefs = np.maximum(self._reliefs(areas, grown, credit, capacity), discrete)
            over = self._over(areas, reliefs)
            harm = (over * self.need.watch.weights).sum(axis=1)
            better = harm < worst - TOLERANCE
            best[better], worst[better] = reliefs[better], harm[better]
            short = np.where(excess > 0, np.minimum(over[:, self.columns], excess), 0.0)
            exhausted = (reliefs >= np.floor(capacity)) | (reliefs == 0)
            short[exhausted.all(axis=1)] = 0.0
            if not short.any():
                break
            grown += _OVERSHOOT * short
        reliefs = best
        sized = [
            SizedArea(
                int(self.columns[area.column]),
                area.product,
                area.permille,
                reliefs[:, place],
                credit[:, area.column, place],
            )
            for place, area in enumerate(areas)
            if reliefs[:, place].any()
        ]
        return sized, self._fill(areas, reliefs, _cheapest)

    def _over(self, areas: list[_Candidate], reliefs: Integers) -> Floats:
        """How far the worst of several fillings leaves each value above its aim, (rows, k)."""
        fillings = [
            self._fill(areas, reliefs, rank) for rank in (_cheapest, _most_effective, _least_effective)
        ]
        values = np.max([self.need.values(amounts) for amounts in fillings], axis=0)
        return np.where(values > self.aims + TOLERANCE, values - self.aims, 0.0)

    def _candidates(self) -> list[_Candidate]:
        """Values that pass their limits by the products that relieve them: the plan's shares say how much by which."""
        of_products = [(product, self.resources.product == product) for product in Product]
        by_product = [
            (
                np.einsum("br,brk->bk", self.planned[:, own], np.maximum(self.gains[:, own], 0.0)),
                np.einsum("br,brk->bk", self.most_w[:, own], np.maximum(self.gains[:, own], 0.0)),
            )
            for _, own in of_products
        ]
        planned, could = (sum(each) for each in zip(*by_product, strict=True))
        found = []
        for column in range(len(self.columns)):
            for (product, own), (by_plan, by_most) in zip(of_products, by_product, strict=True):
                helped = planned[:, column] > 0
                part = np.where(helped, by_plan[:, column], by_most[:, column])
                share = part / np.maximum(np.where(helped, planned[:, column], could[:, column]), BITE)
                excess = np.where(share > _LEAST_SHARE, self.excess[:, column] * share, 0.0)
                excess[by_most[:, column] <= 0] = 0.0
                if excess.any():
                    permille = self._effectiveness(column, own, np.flatnonzero(excess))
                    found.append(_Candidate(column, product, excess, permille))
        return found

    def _effectiveness(self, column: int, own: Truths, needy: Integers) -> Integers:
        """Per mille of each resource (r,): the least relative relief over the slots where it is needed."""
        gains = np.where(own, np.maximum(self.gains[needy, :, column], 0.0), 0.0)
        gains[:, ~(self.most_w[needy] > 0).any(axis=0)] = 0.0
        relative = (gains / np.maximum(gains.max(axis=1, keepdims=True), BITE)).min(axis=0)
        permille: Integers = np.floor(FULL_PERMILLE * relative / max(relative.max(), BITE) + 1e-9).astype(
            np.int64
        )
        permille[permille < self.min_permille] = 0
        return permille

    def _credit(self, area: _Candidate) -> Floats:
        """What a W of an area's relief is sure to take off each violated value in each slot: (rows, columns)."""
        members = np.flatnonzero(area.permille)
        needy = np.flatnonzero(area.excess > 0)
        per_w = self.gains[np.ix_(needy, members)] * (FULL_PERMILLE / area.permille[members][None, :, None])
        per_w[self.most_w[np.ix_(needy, members)] == 0] = np.inf
        least = per_w.min(axis=1, initial=np.inf)
        credit = np.zeros((len(self.planned), len(self.columns)))
        credit[needy] = np.where(np.isfinite(least), least, 0.0)
        return credit

    def _own_credit(self, area: _Candidate) -> Floats:
        """What a W of an area's relief is sure to take off its own value in each slot: (rows,)."""
        members = np.flatnonzero(area.permille)
        per_w = self.gains[:, members, area.column] * FULL_PERMILLE / area.permille[members]
        least = np.where(self.most_w[:, members] > 0, per_w, np.inf).min(axis=1, initial=np.inf)
        return np.where(np.isfinite(least), least, 0.0)

    def _dominant(self) -> tuple[list[_Candidate], Floats]:
        """Candidates that become areas, and their credits (rows, columns, areas): all those of the value that asks for most
        relief, then of the value that asks for most of those that these aren't sure to heal, and so on."""
        candidates = [candidate for candidate in self.candidates if candidate.permille.any()]
        credits = [np.zeros(0)] * len(candidates)
        alone = np.zeros((len(self.planned), len(candidates)))
        asked, left = np.zeros_like(self.excess), np.zeros(self.excess.shape, dtype=np.bool_)
        for index, candidate in enumerate(candidates):
            own = self._own_credit(candidate)
            alone[:, index] = np.where(own > 0, candidate.excess / np.maximum(own, BITE), 0.0)
            asked[:, candidate.column] += alone[:, index]
            left[:, candidate.column] |= candidate.excess > 0
        chosen: list[int] = []
        while left.any():
            total = np.where(left, asked, 0.0).sum(axis=0)
            best = max(np.flatnonzero(left.any(axis=0)).tolist(), key=lambda column: (total[column], -column))
            own_areas = [index for index, candidate in enumerate(candidates) if candidate.column == best]
            given = np.zeros_like(self.excess)
            for index in own_areas:
                credits[index] = self._credit(candidates[index])
                given += credits[index] * alone[:, [index]]
            chosen += own_areas
            left &= given < self.excess * (1 - _LEAST_SHARE)
            left[:, best] = False
        chosen.sort()
        return [candidates[index] for index in chosen], np.stack([credits[index] for index in chosen], axis=2)

    def _does(self, areas: list[_Candidate]) -> Integers:
        """What the plan gives each area, (rows, areas): each resource counts for the area that it relieves best."""
        permille = np.stack([area.permille for area in areas])
        best = permille.argmax(axis=0) == np.arange(len(areas))[:, None]
        return -(-(self.planned @ np.where(best, permille, 0).T) // FULL_PERMILLE)

    def _takes_discrete(self, areas: list[_Candidate]) -> Truths:
        """Where the plan takes what comes whole or not at all, (rows, areas): less relief than that couldn't take it."""
        taken = (self.planned > 0) & (self.resources.discrete > 0)
        members = np.stack([area.permille > 0 for area in areas], axis=1)
        excess = np.stack([area.excess for area in areas], axis=1)
        return ((taken.astype(np.int64) @ members) > 0) & (excess > 0)

    def _reliefs(self, areas: list[_Candidate], excess: Floats, credit: Floats, capacity: Floats) -> Integers:
        """Least reliefs (rows, areas), in W at effectiveness 1000, that together are sure to heal all values."""
        reliefs = np.zeros((len(excess), len(areas)), dtype=np.int64)
        price = np.stack([self._relief_price(area) for area in areas], axis=1)
        asked = np.stack([area.excess for area in areas], axis=1) > 0
        solver = Solver()
        for row in np.flatnonzero((excess > 0).any(axis=1)).tolist():
            active = np.flatnonzero(asked[row])
            if not len(active):
                continue
            rows = []
            for index in np.flatnonzero(excess[row] > 0).tolist():
                given = credit[row, index, active]
                scale = max(np.abs(given).max(), BITE)
                rows.append(
                    Row((index,), np.arange(len(active)), given / scale, excess[row, index] / scale, (index,))
                )
            solved = solver.minimise(
                Program.continuous(
                    price[row, active] / price[row, active].max(),
                    np.floor(capacity[row, active]),
                    rows,
                    SHORTFALL_FACTOR,
                )
            )
            reliefs[row, active] = np.ceil(np.round(solved, 6)).astype(np.int64)
        return reliefs

    def _relief_price(self, area: _Candidate) -> Floats:
        """What a W of relief costs on average in the plan, or where it has none of it, of the cheapest resource: (rows,)."""
        members = area.permille > 0
        effect = self.planned @ area.permille / FULL_PERMILLE
        money = (self.planned * members) @ self.resources.price
        price = self.resources.price[members] * FULL_PERMILLE / area.permille[members]
        return np.where(effect > 0, money / np.maximum(effect, 1), price.min())

    def _fill(self, areas: list[_Candidate], reliefs: Integers, rank: _Rank) -> Integers:
        """What a market accepts for the reliefs when it takes resources in an order: (rows, r)."""
        taken = np.zeros_like(self.planned)
        for place, area in enumerate(areas):
            missing = reliefs[:, place] * FULL_PERMILLE
            members = np.flatnonzero(area.permille)
            ranks = rank(self.resources.price[members], area.permille[members])
            for run in self._runs(members[np.lexsort((members, ranks))]):
                accepted = self._accepted(run, missing, taken, area.permille)
                taken[:, run] += accepted
                missing = np.maximum(missing - accepted @ area.permille[run], 0)
        return taken

    def _runs(self, ordered: Integers) -> Iterator[Integers]:
        """Resources in an order, in runs: each discrete one by itself."""
        alone = self.resources.discrete[ordered] > 0
        cuts = np.flatnonzero(alone[1:] | alone[:-1]) + 1
        yield from np.split(ordered, cuts)

    def _accepted(self, run: Integers, missing: Integers, taken: Integers, permille: Integers) -> Integers:
        """What of a run is accepted in its order: (rows, run). A discrete one only as far as all of it is needed."""
        left = self.most_w[:, run] - taken[:, run]
        before = np.cumsum(left * permille[run], axis=1) - left * permille[run]
        wanted = np.maximum(missing[:, None] - before, 0)
        if not self.resources.discrete[run[0]]:
            return np.asarray(np.minimum(left, -(-wanted // permille[run])))
        step = self.resources.step_w[run]
        whole = np.minimum(left, wanted // permille[run]) // step * step
        return np.asarray(np.where(taken[:, run] + whole < self.resources.least_w[run], 0, whole))


def _cheapest(prices: Floats, permille: Integers) -> Floats:
    return prices / permille


def _most_effective(prices: Floats, permille: Integers) -> Floats:
    return -permille.astype(np.float64)


def _least_effective(prices: Floats, permille: Integers) -> Floats:
    return permille.astype(np.float64)
