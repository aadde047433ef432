"""The least-cost request of flexibility that lifts the violations of a forecast.

How it comes about:

1. *What would do.* For each slot with violations a linear program finds the cheapest activation (at reference prices)
   on sensitivities; the AC power flow checks it, and the program is set up again around the new state until no
   violation is left or nothing more can be done.
2. *Areas.* The market doesn't see the grid: it fills a relief, PoD by PoD, weighted by effectiveness. An area is one
   element and product. Effectiveness is one integer per PoD for the whole window: the least relative relief over the
   area's slots, so that what is accepted never does less than counted.
3. *No double counting.* Elements that another's relief is sure to heal get no area: the worst voltage of a feeder
   stands for its neighbours. Where areas remain that help each other (a line, and one further up), a linear program
   finds the least reliefs that together suffice, crediting one area for another only what even its least helpful
   member gives.
4. *AC confirms.* The request is filled as a market might fill it: cheapest, most effective and least effective
   first. Where the power flow still finds a requested violation, the relief grows, and again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.products import Product
from oracles.grid.core.linear_program import minimise_cost
from oracles.grid.core.network import Floats, GridModel, Integers
from oracles.grid.core.power_flow import run_power_flow, solve_power_flow
from oracles.grid.core.sensitivity import add_at_nodes, relief_per_w
from oracles.grid.core.violations import TOLERANCE, Element, Violation, Watch

FULL_PERMILLE = 1000
_SHORTFALL_FACTOR = 1000.0
"""Cost of a W of relief not found, against the dearest PoD's W."""
_Rank = Callable[[float, int], float]
"""Order in which a market may take PoDs: of price and effectiveness, the lowest first."""
_BITE = 1e-12
"""Relief per W (pu) below which a PoD is taken not to move an element at all."""


@dataclass(frozen=True, eq=False)
class FlexiblePod:
    """A PoD that may be asked. `max_up_w`, `max_down_w` (slots,): most it could give. Prices weigh PoDs against each
    other (µ€ per kW and slot); equal ones where no reference prices are published."""

    pod: bytes
    node: int
    max_up_w: Integers
    max_down_w: Integers
    up_price_ueur_per_kw: int = 1
    down_price_ueur_per_kw: int = 1


@dataclass(frozen=True)
class RequestSettings:
    """Margins kept to the limits beyond what lifts the violation, and the least effectiveness worth asking for."""

    loading_margin_percent: float = 0.5
    voltage_margin_pu: float = 0.0005
    min_effectiveness_permille: int = 50
    max_rounds: int = 12


@dataclass(frozen=True)
class Member:
    """A PoD of an area: per mille of each W there that relieves the element, 1000 for the best."""

    pod: bytes
    effectiveness_permille: int


@dataclass(frozen=True)
class Area:
    """One element and product. `relief_w` (slots): W needed at effectiveness 1000; 0 where none."""

    element: Element
    product: Product
    members: tuple[Member, ...]
    relief_w: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class FlexibilityRequest:
    """What to ask of the market. `before`: violations of the forecast. `remaining`: those left when the request is
    filled cheapest first, empty if it solves all. `expected_up_w`, `expected_down_w` (slots, pods): that filling."""

    areas: tuple[Area, ...]
    before: tuple[Violation, ...]
    remaining: tuple[Violation, ...]
    expected_up_w: Integers
    expected_down_w: Integers


def size_request(
    model: GridModel,
    p_w: Integers,
    q_var: Integers,
    pods: Sequence[FlexiblePod],
    settings: RequestSettings = RequestSettings(),
) -> FlexibilityRequest:
    """Size the request for a forecast `p_w`, `q_var` (slots, nodes): net absorbed at each node.

    Where the PoDs can't solve a slot, the request asks for what reduces it most, and `remaining` says what is left.
    Raises InvalidInput on shapes that don't fit, PowerFlowDiverged where the forecast itself has no solution.
    """
    slots = len(p_w)
    for pod in pods:
        for field, limit in (("max_up_w", pod.max_up_w), ("max_down_w", pod.max_down_w)):
            if limit.shape != (slots,) or (limit < 0).any():
                raise InvalidInput(
                    f"pods[{pod.pod.hex()}].{field}", limit.tolist(), f"must be {slots} values >= 0"
                )
    return _Sizing(model, p_w, q_var, tuple(pods), settings).request()


def supply_area(
    model: GridModel, pods: Sequence[FlexiblePod], product: Product, relief_w: Sequence[int]
) -> Area:
    """A TSO's area: power at the grid's connection to the network above, where every PoD counts in full."""
    element = Element("bus", model.node_names[model.slack], Watch(model).elements[-1].side)
    members = tuple(Member(pod.pod, FULL_PERMILLE) for pod in sorted(pods, key=lambda each: each.pod))
    return Area(element=element, product=product, members=members, relief_w=tuple(relief_w))


@dataclass(frozen=True)
class _Candidate:
    """A violated element with a product that relieves it: columns of the working arrays."""

    column: int
    up: bool


class _Sizing:
    """The working arrays of one request. Rows of `bad` arrays are the slots with violations, in order."""

    def __init__(
        self,
        model: GridModel,
        p_w: Integers,
        q_var: Integers,
        pods: tuple[FlexiblePod, ...],
        settings: RequestSettings,
    ) -> None:
        self.pods = tuple(sorted(pods, key=lambda each: each.pod))
        self.order = {pod.pod: index for index, pod in enumerate(self.pods)}
        self.given = pods
        self.slots = len(p_w)
        self.watch = Watch(model)
        self.settings = settings
        values = self.watch.values(run_power_flow(model, p_w, q_var))
        self.before = self.watch.violations(values)
        self.bad = sorted({violation.slot for violation in self.before})
        self.p_w, self.q_var = p_w[self.bad], q_var[self.bad]
        self.base = values[self.bad]
        limits = self.watch.limits
        voltage = np.array([element.kind == "bus" for element in self.watch.elements])
        margin = np.where(voltage, settings.voltage_margin_pu, settings.loading_margin_percent / 100)
        self.violated = self.base > limits + TOLERANCE
        # What is within its limit may come no closer to it than the margin, or than it already is.
        self.targets = np.where(
            self.violated, limits - margin, np.maximum(limits - margin, np.minimum(self.base, limits))
        )
        self.nodes = np.array([pod.node for pod in self.pods], dtype=np.int64)
        self.unique_nodes, self.node_place = np.unique(self.nodes, return_inverse=True)
        shape = (len(self.bad), len(self.pods))
        self.cap_up = (
            np.array([pod.max_up_w[self.bad] for pod in self.pods], dtype=np.int64).reshape(shape[::-1]).T
        )
        self.cap_down = (
            np.array([pod.max_down_w[self.bad] for pod in self.pods], dtype=np.int64).reshape(shape[::-1]).T
        )
        self.price_up = np.array([pod.up_price_ueur_per_kw for pod in self.pods], dtype=np.float64)
        self.price_down = np.array([pod.down_price_ueur_per_kw for pod in self.pods], dtype=np.float64)

    def request(self) -> FlexibilityRequest:
        """The whole way, from the forecast to the confirmed request."""
        up = np.zeros((self.slots, len(self.given)), dtype=np.int64)
        down = up.copy()
        if not self.bad or not self.pods:
            return FlexibilityRequest((), self.before, self.before, up, down)
        plan_up, plan_down, relief = self._plan()
        candidates, excess = self._candidates(plan_up, plan_down, relief)
        areas, reliefs, filled_up, filled_down = self._areas(candidates, excess, relief)
        place = [self.order[pod.pod] for pod in self.given]
        up[self.bad], down[self.bad] = filled_up[:, place], filled_down[:, place]
        values = self._values(filled_up - filled_down)
        remaining = self.watch.violations(values, self.bad)
        built = []
        for column, (candidate, effectiveness) in enumerate(areas):
            relief_w = np.zeros(self.slots, dtype=np.int64)
            relief_w[self.bad] = reliefs[:, column]
            if relief_w.any():
                members = tuple(
                    Member(pod.pod, int(permille))
                    for pod, permille in zip(self.pods, effectiveness, strict=True)
                    if permille
                )
                product = Product.ACTIVE_UP if candidate.up else Product.ACTIVE_DOWN
                element = self.watch.elements[candidate.column]
                built.append(Area(element, product, members, tuple(relief_w.tolist())))
        return FlexibilityRequest(tuple(built), self.before, remaining, up, down)

    def _values(self, up_w: Integers) -> Floats:
        p_w = add_at_nodes(self.p_w, self.nodes, up_w)
        return self.watch.values(solve_power_flow(self.watch.model, p_w, self.q_var))

    def _relief(self, up_w: Integers, row: int) -> Floats:
        """Relief per W up of every PoD on every element, (pods, k), around a state of a slot."""
        p_w = add_at_nodes(self.p_w[row : row + 1], self.nodes, up_w[None, :])[0]
        return relief_per_w(self.watch, p_w, self.q_var[row], self.unique_nodes)[self.node_place]

    def _plan(self) -> tuple[Integers, Integers, Floats]:
        """Cheapest activation per slot, (bad, pods) up and down, and the mean relief per W on the way (bad, pods, k)."""
        rows = len(self.bad)
        up = np.zeros((rows, len(self.pods)), dtype=np.int64)
        down = up.copy()
        first = np.stack([self._relief(up[row], row) for row in range(rows)])
        local = first.copy()
        values = self.base
        open_rows = list(range(rows))
        for _ in range(self.settings.max_rounds):
            for row in open_rows:
                up[row], down[row] = self._plan_slot(row, values[row], up[row], down[row], local[row])
            values = self._values(up - down)
            for row in open_rows:
                local[row] = self._relief(up[row] - down[row], row)
            open_rows = [row for row in open_rows if (values[row] > self.watch.limits + TOLERANCE).any()]
            if not open_rows:
                break
        return up, down, (first + local) / 2

    def _plan_slot(
        self, row: int, values: Floats, up: Integers, down: Integers, relief: Floats
    ) -> tuple[Integers, Integers]:
        reach = np.abs(relief).T @ np.maximum(self.cap_up[row], self.cap_down[row])
        relevant = np.flatnonzero(np.maximum(values, self.base[row]) + reach > self.targets[row])
        gain = relief[:, relevant].T
        # Values fall by gain @ (up - down) from where the sensitivities were taken.
        needed = values[relevant] - self.targets[row, relevant] + gain @ (up - down)
        scale = np.maximum(np.abs(gain).max(axis=1), _BITE)
        costs = np.concatenate((self.price_up, self.price_down))
        solved = minimise_cost(
            costs=costs,
            upper=np.concatenate((self.cap_up[row], self.cap_down[row])).astype(np.float64),
            rows=np.concatenate((gain, -gain), axis=1) / scale[:, None],
            at_least=needed / scale,
            shortfall_cost=_SHORTFALL_FACTOR * float(costs.max()),
        )
        whole = np.ceil(np.round(solved.x, 6)).astype(np.int64)
        return whole[: len(self.pods)], whole[len(self.pods) :]

    def _candidates(self, up: Integers, down: Integers, relief: Floats) -> tuple[list[_Candidate], Floats]:
        """Violated elements by the product that relieves them, and what each must fall by per slot (bad, candidates)."""
        by_up = np.einsum("bp,bpk->bk", up, np.maximum(relief, 0))
        by_down = np.einsum("bp,bpk->bk", down, np.maximum(-relief, 0))
        can_up = np.einsum("bp,bpk->bk", self.cap_up, np.maximum(relief, 0))
        can_down = np.einsum("bp,bpk->bk", self.cap_down, np.maximum(-relief, 0))
        planned = by_up + by_down
        # In a ring some PoDs help by up and some by down: the plan's shares say which; without one, what could.
        share_up = np.where(planned > 0, by_up, can_up) / np.maximum(
            np.where(planned > 0, planned, can_up + can_down), _BITE
        )
        total = np.where(self.violated, self.base - self.targets, 0.0)
        candidates, columns = [], []
        for column in np.flatnonzero(self.violated.any(axis=0)).tolist():
            for is_up, share in ((True, share_up[:, column]), (False, 1 - share_up[:, column])):
                needed = np.where(share > 1e-3, total[:, column] * share, 0.0)
                can = (can_up if is_up else can_down)[:, column]
                needed[can <= 0] = 0.0
                if needed.any():
                    candidates.append(_Candidate(column, is_up))
                    columns.append(needed)
        excess = np.array(columns, dtype=np.float64).reshape(len(candidates), len(self.bad)).T
        return candidates, excess

    def _side(self, candidate: _Candidate) -> tuple[float, Integers, Floats]:
        """Sign, capacities (bad, pods) and prices of a candidate's product."""
        if candidate.up:
            return 1.0, self.cap_up, self.price_up
        return -1.0, self.cap_down, self.price_down

    def _effectiveness(self, candidate: _Candidate, needed: Floats, relief: Floats) -> Integers:
        """Per mille of each PoD (pods,): the least relative relief over the slots where the area is needed."""
        sign, cap, _ = self._side(candidate)
        rows = np.flatnonzero(needed > 0)
        gains = np.maximum(sign * relief[rows, :, candidate.column], 0.0)
        gains[:, ~(cap[rows] > 0).any(axis=0)] = 0.0
        relative = (gains / np.maximum(gains.max(axis=1, keepdims=True), _BITE)).min(axis=0)
        permille: Integers = np.floor(FULL_PERMILLE * relative / max(relative.max(), _BITE) + 1e-9).astype(
            np.int64
        )
        permille[permille < self.settings.min_effectiveness_permille] = 0
        return permille

    def _areas(
        self, candidates: list[_Candidate], excess: Floats, relief: Floats
    ) -> tuple[list[tuple[_Candidate, Integers]], Integers, Integers, Integers]:
        """Chosen areas with effectiveness, their reliefs (bad, areas), and the cheapest filling (bad, pods) up, down."""
        effectiveness = [
            self._effectiveness(candidate, excess[:, index], relief)
            for index, candidate in enumerate(candidates)
        ]
        credit = self._credit(candidates, effectiveness, relief)
        chosen = self._dominant(candidates, excess, credit)
        areas = [(candidates[index], effectiveness[index]) for index in chosen]
        capacity = np.stack(
            [self._side(candidate)[1] @ permille / FULL_PERMILLE for candidate, permille in areas], axis=1
        )
        grown = excess.copy()
        for _ in range(self.settings.max_rounds):
            reliefs = self._reliefs(chosen, grown, credit, capacity)
            fillings = [
                self._fill(areas, reliefs, rank) for rank in (_cheapest, _most_effective, _least_effective)
            ]
            short = np.zeros_like(grown)
            for up, down in fillings:
                over = self._values(up - down)[:, [candidate.column for candidate in candidates]]
                limits = self.watch.limits[[candidate.column for candidate in candidates]]
                over = np.where(np.isfinite(over), over - limits, excess)
                short = np.maximum(short, np.where((over > TOLERANCE) & (excess > 0), over, 0.0))
            exhausted = (reliefs >= np.floor(capacity)) | (reliefs == 0)
            short[exhausted.all(axis=1)] = 0.0
            if not short.any():
                break
            grown += 1.2 * short
        return areas, reliefs, *fillings[0]

    def _credit(self, candidates: list[_Candidate], effectiveness: list[Integers], relief: Floats) -> Floats:
        """What a W of relief of area a is sure to take off candidate e in each slot: (bad, candidates e, candidates a)."""
        count = len(candidates)
        credit = np.zeros((len(self.bad), count, count))
        columns = [candidate.column for candidate in candidates]
        for a, candidate in enumerate(candidates):
            sign, cap, _ = self._side(candidate)
            members = np.flatnonzero(effectiveness[a])
            if not len(members):
                continue
            per_w = (
                sign
                * relief[:, members][:, :, columns]
                * FULL_PERMILLE
                / effectiveness[a][members][None, :, None]
            )
            per_w = np.where((cap[:, members] > 0)[:, :, None], per_w, np.inf)
            least = per_w.min(axis=1)
            credit[:, :, a] = np.where(np.isfinite(least), least, 0.0)
        return credit

    def _dominant(self, candidates: list[_Candidate], excess: Floats, credit: Floats) -> list[int]:
        """Candidates that become areas: greedily the one whose own relief heals most of what isn't healed yet."""
        count = len(candidates)
        own = credit[:, range(count), range(count)]
        alone = np.where((excess > 0) & (own > 0), excess / np.maximum(own, _BITE), 0.0)
        heals = (credit * alone[:, None, :] >= excess[:, :, None] * (1 - 1e-9)) & (alone[:, None, :] > 0)
        heals[:, range(count), range(count)] = True
        todo = excess > 0
        chosen: list[int] = []
        while todo.any():
            gained = (heals & todo[:, :, None] & (excess > 0)[:, None, :]).sum(axis=(0, 1))
            best = max(
                (index for index in range(count) if index not in chosen),
                key=lambda index: (int(gained[index]), float(excess[:, index].sum()), -index),
            )
            chosen.append(best)
            todo &= ~(heals[:, :, best] & (excess[:, [best]] > 0))
        return sorted(chosen)

    def _reliefs(self, chosen: list[int], excess: Floats, credit: Floats, capacity: Floats) -> Integers:
        """Least reliefs (bad, areas), in W at effectiveness 1000, that together are sure to heal the chosen elements."""
        reliefs = np.zeros((len(self.bad), len(chosen)), dtype=np.int64)
        for row in range(len(self.bad)):
            needed = excess[row] > 0
            active = [place for place, index in enumerate(chosen) if needed[index]]
            if not active:
                continue
            columns = [chosen[place] for place in active]
            rows = credit[row][np.ix_(np.flatnonzero(needed), np.array(columns))]
            scale = np.maximum(np.abs(rows).max(axis=1), _BITE)
            solved = minimise_cost(
                costs=np.ones(len(active)),
                upper=np.floor(capacity[row, active]),
                rows=rows / scale[:, None],
                at_least=excess[row, needed] / scale,
                shortfall_cost=_SHORTFALL_FACTOR,
            )
            reliefs[row, active] = np.ceil(np.round(solved.x, 6)).astype(np.int64)
        return reliefs

    def _fill(
        self, areas: list[tuple[_Candidate, Integers]], reliefs: Integers, rank: _Rank
    ) -> tuple[Integers, Integers]:
        """What a market accepts for the reliefs when it takes PoDs in an order: (bad, pods) up and down."""
        up, down = np.zeros_like(self.cap_up), np.zeros_like(self.cap_down)
        for column, (candidate, permille) in enumerate(areas):
            _, cap, price = self._side(candidate)
            taken = up if candidate.up else down
            missing = reliefs[:, column] * FULL_PERMILLE
            members = [index for index in range(len(self.pods)) if permille[index]]
            for pod in sorted(
                members, key=lambda index: (rank(float(price[index]), int(permille[index])), index)
            ):
                accepted = np.minimum(cap[:, pod] - taken[:, pod], -(-missing // permille[pod]))
                taken[:, pod] += accepted
                missing = np.maximum(missing - accepted * permille[pod], 0)
        return up, down


def _cheapest(price: float, permille: int) -> float:
    return price / permille


def _most_effective(price: float, permille: int) -> float:
    return -permille


def _least_effective(price: float, permille: int) -> float:
    return permille
