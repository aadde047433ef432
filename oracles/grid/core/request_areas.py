"""From the cheapest activations to what a market that doesn't see the grid can fill: areas with relief and effectiveness.

Each W of the plan counts for one element that binds in its slot: the most specific of those that its PoD relieves. An
element and product to which anything counts is an area, its relief what the plan does for it; areas of fewer PoDs come
first. A slot is asked for in the first of three ways whose filling at reference prices lifts as much as the plan in an AC
power flow, and costs at most MOST_COST of it:

1. with reliefs that suffice whatever the offers cost: cheapest, most effective or least effective first;
2. with reliefs that suffice at reference prices;
3. in areas whose filling is the plan, each of so many PoDs as that allows, at worst of one (`areas_as_planned`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offchain.protocol.products import Product
from oracles.grid.core.areas_as_planned import areas_as_planned
from oracles.grid.core.least_cost import BITE, Need, Plan
from oracles.grid.core.market_filling import (
    FULL_PERMILLE,
    Asked,
    Rank,
    cheapest,
    filling,
    least_effective,
    most_effective,
)
from oracles.grid.core.network import Floats, Integers
from oracles.grid.core.violations import TOLERANCE

MOST_COST = 1.01
"""What a slot's filling may cost, against the plan; beside that, a W of the dearest resource for each area."""
WORSE = 1e-6
"""How much more (weighted pu) a filling in whole W may leave of a slot than a plan that doesn't lift all."""
_OVERSHOOT = 1.2
"""How much of what a filling leaves undone the relief grows by."""
_WAYS: tuple[tuple[Rank, ...], ...] = ((cheapest, most_effective, least_effective), (cheapest,))
"""Orders in which offers may come, for the first way and the second."""
Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SizedArea(Asked):
    """A watched value (its column) and a product. `fall_per_w` (rows,): what a W of the relief is sure to give."""

    column: int
    product: Product
    fall_per_w: Floats


def size_areas(
    need: Need, plan: Plan, min_permille: int, max_rounds: int
) -> tuple[list[SizedArea], Integers]:
    """Areas whose filling at reference prices lifts what the plan lifts, in the order in which they are to be asked for; and
    that filling (rows, r)."""
    areas = _Areas(need, plan, min_permille)
    sized = areas.sized(max_rounds)
    return sized, areas.filled(sized, cheapest)


class _Areas:
    def __init__(self, need: Need, plan: Plan, min_permille: int) -> None:
        self.need, self.planned, self.min_permille = need, plan.amounts, min_permille
        self.resources = resources = need.resources
        # In which slots a PoD with an energy limit is offered nobody knows: it is counted on where the plan has it.
        limited = np.isin(resources.pod, list(resources.most_wh)) & (resources.reactive == 0)
        self.most_w = np.where(limited, self.planned, resources.most_w)
        self.asked: Truths = np.any(self.planned > 0, axis=1)
        limits, reached = need.watch.limits, need.values(self.planned)
        # What even the plan leaves above its limit is to come down to there; more than the plan's may harm.
        self.aims = np.maximum(reached, limits) + TOLERANCE
        self.unsolved: Truths = np.any(reached > limits + TOLERANCE, axis=1)
        binding = plan.worth > 0
        for row in np.flatnonzero(self.asked & ~binding.any(axis=1)).tolist():
            binding[row, ((need.base[row] - limits) * need.watch.weights).argmax()] = True
        binding[~self.asked] = False
        self.columns = np.flatnonzero(binding.any(axis=0))
        self.binding = binding[:, self.columns]
        self.gains = np.zeros((len(self.planned), len(resources), len(self.columns)))
        for row in np.flatnonzero(self.asked).tolist():
            self.gains[row] = need.gains(plan.relief[row], self.columns)
        able = (self.most_w > 0)[:, :, None]
        helpful = np.where(able, np.maximum(self.gains, 0.0), 0.0)
        self.relative = self._by_product(helpful, lambda of: of.max(axis=1, keepdims=True))
        self.home = self._homes()

    def _by_product(self, values: Floats, total: Callable[[Floats], Floats]) -> Floats:
        """Values (rows, r, columns) against a total of those of the same product."""
        out = np.zeros_like(values)
        for product in np.unique(self.resources.product):
            own = self.resources.product == product
            out[:, own] = values[:, own] / np.maximum(total(values[:, own]), BITE)
        return out

    def _homes(self) -> Integers:
        """The value (of `columns`) for which what is planned of each resource counts: (rows, r), -1 for none."""
        relative = np.where(self.binding[:, None, :], self.relative, 0.0)
        relative[relative * FULL_PERMILLE < self.min_permille] = 0.0
        specific = self._by_product(relative, lambda of: of.sum(axis=1, keepdims=True))
        return np.where((self.planned > 0) & (specific > 0).any(axis=2), specific.argmax(axis=2), -1)

    def sized(self, max_rounds: int) -> list[SizedArea]:
        areas = self._of_elements()
        reliefs = [np.zeros_like(area.relief_w) for area in areas]
        todo = self.asked.copy()
        for ranks in _WAYS:
            grown = self._grown(areas, todo, ranks, max_rounds)
            holds = todo & self._holds(grown)
            if self.resources.payback.any() and not holds[todo].all():
                continue  # what is taken in one slot bears on the next ones: all of them, or none
            for relief_w, area in zip(reliefs, grown, strict=True):
                relief_w[holds] = area.relief_w[holds]
            todo &= ~holds
        sized = [replace(area, relief_w=relief_w) for area, relief_w in zip(areas, reliefs, strict=True)]
        if todo.any():
            sized += self._as_planned(np.flatnonzero(todo))
        return [replace(area, column=int(self.columns[area.column])) for area in sized if area.relief_w.any()]

    def filled(self, areas: Sequence[SizedArea], rank: Rank) -> Integers:
        """What a market takes (rows, r) that takes resources in an order."""
        return filling(self.resources, self.most_w, areas, rank)

    def _over(self, areas: Sequence[SizedArea], rank: Rank) -> Floats:
        """How far a filling leaves each value above its aim: (rows, k)."""
        return np.maximum(self.need.values(self.filled(areas, rank)) - self.aims, 0.0)

    def _holds(self, areas: Sequence[SizedArea]) -> Truths:
        """Where the filling at reference prices does as the plan does, for as much."""
        price = self.resources.price
        asking = sum((area.relief_w > 0 for area in areas), start=np.zeros(len(self.planned), dtype=np.int64))
        most = MOST_COST * (self.planned @ price) + asking * price.max()
        left = (self._over(areas, cheapest) * self.need.watch.weights).sum(axis=1)
        return np.asarray(
            (self.filled(areas, cheapest) @ price <= most) & (left <= np.where(self.unsolved, WORSE, 0.0))
        )

    def _of_elements(self) -> list[SizedArea]:
        """An area for each value and product to which anything of the plan counts, those of fewer PoDs first."""
        found = []
        for column in range(len(self.columns)):
            for product in Product:
                own = self.resources.product == product
                counts = np.where((self.home == column) & own, self.planned, 0)
                rows = np.flatnonzero(counts.any(axis=1))
                if len(rows):
                    permille = self._permille(column, own, rows)
                    found.append(self._area(column, product, permille, counts))
        return sorted(found, key=lambda area: (int(area.permille.sum()), area.column, area.product))

    def _area(self, column: int, product: Product, permille: Integers, counts: Integers) -> SizedArea:
        """An area that asks for what amounts (rows, r) give it."""
        relief_w = -(-(counts @ permille) // FULL_PERMILLE)
        return SizedArea(permille, relief_w, column, product, self._fall(column, permille))

    def _permille(self, column: int, own: Truths, rows: Integers) -> Integers:
        """Effectiveness of each resource (r,): its least relative relief over the rows in which it can be taken."""
        can = own & (self.most_w[rows] > 0)
        relative = np.where(can, self.relative[rows, :, column], np.inf).min(axis=0)
        relative[~can.any(axis=0)] = 0.0
        permille: Integers = np.floor(FULL_PERMILLE * relative / max(relative.max(), BITE) + 1e-9).astype(
            np.int64
        )
        permille[permille < self.min_permille] = 0
        return permille

    def _fall(self, column: int, permille: Integers) -> Floats:
        """What a W of relief is sure to take off a value in each row (rows,)."""
        members = np.flatnonzero(permille)
        per_w = self.gains[:, members, column] * FULL_PERMILLE / permille[members]
        least = np.where(self.most_w[:, members] > 0, per_w, np.inf).min(axis=1, initial=np.inf)
        return np.where(np.isfinite(least), np.maximum(least, 0.0), 0.0)

    def _grown(
        self, areas: Sequence[SizedArea], todo: Truths, ranks: Sequence[Rank], max_rounds: int
    ) -> list[SizedArea]:
        """The areas with reliefs grown until their fillings in each of these orders lift what the plan lifts, or nothing helps."""
        grown = [replace(area, relief_w=area.relief_w.copy()) for area in areas]
        falls = [
            np.stack([self._fall(column, area.permille) for column in range(len(self.columns))], axis=1)
            for area in areas
        ]
        could = [self.most_w @ area.permille // FULL_PERMILLE for area in areas]
        for _ in range(max_rounds):
            over = np.max([self._over(grown, rank) for rank in ranks], axis=0)
            short = over[:, self.columns]
            lost = np.delete(over, self.columns, axis=1).any(axis=1)  # no relief lifts what doesn't bind
            grows = False
            for row in np.flatnonzero(todo & ~self.unsolved & ~lost & short.any(axis=1)).tolist():
                worst = int((short[row] * self.need.watch.weights[self.columns]).argmax())
                open_ = [
                    place
                    for place, area in enumerate(grown)
                    if 0 < area.relief_w[row] < could[place][row] and falls[place][row, worst] > BITE
                ]
                if open_:
                    best = max(open_, key=lambda place: falls[place][row, worst])
                    more_w = int(np.ceil(_OVERSHOOT * short[row, worst] / falls[best][row, worst]))
                    grown[best].relief_w[row] = min(grown[best].relief_w[row] + more_w, could[best][row])
                    grows = True
            if not grows:
                break
        return grown

    def _as_planned(self, rows: Integers) -> list[SizedArea]:
        """Areas for some rows whose filling is the plan there."""
        counted = np.zeros((len(self.columns), len(self.resources)), dtype=np.int64)
        found = []
        for column in range(len(self.columns)):
            counted[column] = np.where(self.home[rows] == column, self.planned[rows], 0).sum(axis=0)
        home = counted.argmax(axis=0)
        used = self.planned[rows].any(axis=0)
        for column in range(len(self.columns)):
            for product in Product:
                own = self.resources.product == product
                its = used & own & (home == column)
                if not its.any():
                    continue
                needy = rows[self.planned[np.ix_(rows, its)].any(axis=1)]
                permille = self._permille(column, own, needy)
                permille[used & ~its] = 0
                for members in areas_as_planned(
                    self.resources.price, permille, its, self.planned[rows], self.most_w[rows]
                ):
                    counts = np.zeros_like(self.planned)
                    counts[rows] = self.planned[rows]
                    found.append(self._area(column, product, members, counts))
        return found
