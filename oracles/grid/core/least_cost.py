"""The cheapest activations that keep a grid within its limits: sequential linear programming.

Around a state every watched value is linear in what is activated. A program takes the cheapest amounts that bring all
values to their targets; the AC power flow checks them, tangents are taken anew, and again, until the state holds and the
cost doesn't move. A tangent of an earlier round stays as long as it doesn't claim more than the power flow found: a
current is convex in what flows, so that old tangents bound it from below and keep reactive power from overshooting.

Only values that come near their targets are rows; what a program would push past a target is added and solved again.
Slots are programs of their own, each started at the last one's basis, unless energy limits or payback tie them into one.
What can't be reached is short, at a cost far above any price, each value counted in W of what moves it best.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from oracles.grid.core.flexible_pods import SLOTS_PER_HOUR, Resources
from oracles.grid.core.linear_program import Program, Row, Solver
from oracles.grid.core.network import Floats, Integers
from oracles.grid.core.switched_grid import States, solve
from oracles.grid.core.violations import TOLERANCE, Watching

SHORTFALL_FACTOR = 1000.0
"""Cost of a W of relief not found, against the dearest resource's W."""
BITE = 1e-12
"""Relief per W (pu) below which a resource is taken not to move an element at all."""
_COST_SHARE = 1e-3
"""Change of cost between two rounds below which a state that holds is taken for the cheapest."""
_TANGENTS = 4
"""Tangents kept of one value."""
_AT_ONCE = 4
"""Values that a program is pushed past, of which it gets tangents at once."""
_PREDICTED = 1e-9
"""How far (pu) a tangent may be wrong, and a value pass its target as predicted, without counting."""


@dataclass(frozen=True, eq=False)
class Need:
    """Slots in question and what is to be reached in them: `resources.rows` slots, n nodes, k watched values.

    `p_w`, `q_var` (rows, n): net absorbed without flexibility. `base` (rows, k): the values then. `targets` (rows, k):
    what they are to come down to; `held` (rows, k): what counts as that after an AC power flow.
    """

    watch: Watching
    resources: Resources
    p_w: Integers
    q_var: Integers
    base: Floats
    targets: Floats
    held: Floats

    @classmethod
    def within_limits(
        cls,
        watch: Watching,
        resources: Resources,
        p_w: Integers,
        q_var: Integers,
        base: Floats,
        margins: Floats,
    ) -> "Need":
        """What passes its limit is to come a margin below it; what doesn't, no closer than the margin, or than it is."""
        limits = watch.limits
        targets = np.where(
            base > limits + TOLERANCE,
            limits - margins,
            np.maximum(limits - margins, np.minimum(base, limits)),
        )
        held = np.minimum(targets + np.maximum(margins / 10, TOLERANCE), limits + TOLERANCE)
        return cls(watch, resources, p_w, q_var, base, targets, held)

    def flow(self, net: Integers | Floats, rows: list[int]) -> States:
        """Power flow of some rows with net amounts (all rows, r) activated."""
        p_w, q_var = self.resources.moved(self.p_w[rows], self.q_var[rows], net[rows])
        return solve(self.watch, p_w, q_var, [self.resources.rows[row] for row in rows])

    def values(self, amounts: Integers) -> Floats:
        """Watched values (rows, k) with amounts (rows, r) activated and what they pay back."""
        return self.flow(self.net(amounts), list(range(len(amounts)))).values

    def net(self, amounts: Integers) -> Floats:
        """Amounts less what turns the other way for those of rows before."""
        return amounts - self.resources.paid_back(amounts)

    @cached_property
    def nodes(self) -> Integers:
        """Nodes with resources, each once."""
        return np.unique(self.resources.node)

    @cached_property
    def place(self) -> Integers:
        """Each resource's place among `nodes`, (r,)."""
        return np.searchsorted(self.nodes, self.resources.node)

    def relief(self, flow: States, state: int) -> Floats:
        """Fall of every value per W and var up at `nodes` in a solved state: (2, nodes, k)."""
        return flow.relief(state, self.nodes)

    def gains(self, relief: Floats, columns: Integers) -> Floats:
        """Fall of some values per W or var of each resource: (r, columns)."""
        resources = self.resources
        chosen = relief[:, :, columns][resources.reactive, self.place]
        return np.asarray(resources.sign[:, None] * chosen)


@dataclass(frozen=True, eq=False)
class _Tangent:
    """gains · net >= needed keeps a value at its target, as seen from one state."""

    gains: Floats
    needed: float


@dataclass(eq=False)
class _Slot:
    """A row's tangents by watched value, newest first, and where they were last taken."""

    tangents: dict[int, list[_Tangent]] = field(default_factory=dict)
    relief: Floats = field(default_factory=lambda: np.zeros((2, 0, 0)))
    values: Floats = field(default_factory=lambda: np.zeros(0))
    net: Floats = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class _Merit:
    """How far values stay above what holds, in weighted pu, then what it costs: less is better."""

    short: float
    cost: float

    def beats(self, other: "_Merit") -> bool:
        if abs(self.short - other.short) > _PREDICTED:
            return self.short < other.short
        return self.cost < other.cost


@dataclass(frozen=True, eq=False)
class Plan:
    """Cheapest amounts (rows, r); where a slot can't be solved, those that leave least, and cost least at that.

    `worth` (rows, k): what a pu less of each value would save, 0 of those that don't bind. `relief` by row: fall of every
    value as the last program saw it (Need.relief), of none in rows where nothing is to be done. `gap` (rows,): share of the
    cost that the program left unproven of which a row is part.
    """

    amounts: Integers
    worth: Floats
    gap: Floats
    relief: tuple[Floats, ...] = ()


def least_cost(need: Need, max_rounds: int) -> Plan:
    """The plan that lifts a need."""
    return _Search(need).run(max_rounds)


class _Search:
    def __init__(self, need: Need) -> None:
        self.need = need
        self.resources = need.resources
        self.solver = Solver()
        count = len(need.base)
        self.groups = [list(range(count))] if need.resources.coupled else [[row] for row in range(count)]
        self.slots = [_Slot() for _ in range(count)]
        self.amounts = np.zeros((count, len(need.resources)), dtype=np.int64)
        self.values = need.base
        self.worth = np.zeros_like(need.base)
        self.gap = np.zeros(len(need.base))
        self.most_w = need.resources.most_w.copy()
        self.binding: list[int] = []
        self.highest_price = float(need.resources.price.max())

    def run(self, max_rounds: int) -> Plan:
        best = Plan(self.amounts.copy(), self.worth.copy(), self.gap.copy())
        merits = {group[0]: self._merit(group) for group in self.groups}
        todo = [group for group in self.groups if merits[group[0]].short]
        rows = [row for group in todo for row in group]
        states = {row: state for state, row in enumerate(rows)}
        flow = self.need.flow(self.need.net(self.amounts), rows)
        for _ in range(max_rounds):
            net = self.need.net(self.amounts)
            for row in rows:
                self._linearise(row, flow, states[row], net[row])
            before = {group[0]: (self.amounts[group], self._merit(group)) for group in todo}
            for group in todo:
                self.amounts[group] = self._cheapest(group)
            flow = self.need.flow(self.need.net(self.amounts), rows)
            self.values = self.values.copy()
            self.values[rows] = flow.values
            going_on = []
            for group in todo:
                amounts, last = before[group[0]]
                merit = self._merit(group)
                if merit.beats(merits[group[0]]):
                    best.amounts[group], best.worth[group] = self.amounts[group], self.worth[group]
                    best.gap[group], merits[group[0]] = self.gap[group], merit
                settled = merit.short == 0 and abs(merit.cost - last.cost) <= _COST_SHARE * merit.cost
                if np.isfinite(merit.short) and not settled and (amounts != self.amounts[group]).any():
                    going_on.append(group)
            states = {row: state for state, row in enumerate(rows)}
            todo = going_on
            rows = [row for group in todo for row in group]
            if not rows:
                break
        return replace(best, relief=tuple(slot.relief for slot in self.slots))

    def _merit(self, group: list[int]) -> _Merit:
        over = np.maximum(self.values[group] - self.need.held[group], 0.0) * self.need.watch.weights
        return _Merit(float(over.sum()), float((self.amounts[group] @ self.resources.price).sum()))

    def _linearise(self, row: int, flow: States, state: int, net: Floats) -> None:
        """Take the tangents anew around a state; drop those that claimed more than it shows."""
        slot, values, targets = self.slots[row], self.values[row], self.need.targets[row]
        slot.relief, slot.values, slot.net = self.need.relief(flow, state), values, net
        for column, tangents in slot.tangents.items():
            slot.tangents[column] = [
                each
                for each in tangents[: _TANGENTS - 1]
                if targets[column] + each.needed - each.gains @ net <= values[column] + _PREDICTED
            ]
        self._touch(row, list(slot.tangents))

    def _touch(self, row: int, columns: list[int]) -> None:
        slot = self.slots[row]
        gains = self.need.gains(slot.relief, np.array(columns, dtype=np.int64))
        needed = slot.values[columns] - self.need.targets[row, columns] + slot.net @ gains
        for column, its, least in zip(columns, gains.T, needed.tolist(), strict=True):
            slot.tangents[column] = [_Tangent(its, least), *slot.tangents.get(column, [])]

    def _cheapest(self, group: list[int]) -> Integers:
        """Amounts of a group's rows (group, r) that keep all values to their targets, as their tangents foretell."""
        for row in group:
            if not self.slots[row].tangents:
                self._touch(row, self.binding)
        amounts = self._whole(group, self.solver.minimise(self._program(group)))
        while True:
            net = amounts - self.resources.paid_back(amounts)
            fresh = []
            for position, row in enumerate(group):
                over = self._foretold(row, net[position])
                self.binding = [column for column in self.slots[row].tangents if over[column] > -TOLERANCE]
                over[list(self.slots[row].tangents)] = 0.0
                furthest = np.argsort(-over, kind="stable")[:_AT_ONCE].tolist()
                columns = [column for column in furthest if over[column] > TOLERANCE]
                self._touch(row, columns)
                fresh += self._rows(group, position, columns)
            if fresh:
                amounts = self._whole(group, self.solver.minimise_with(fresh))
            elif self._bars(group, amounts):
                amounts = self._whole(group, self.solver.minimise(self._program(group)))
            else:
                self.gap[group] = self.solver.gap
                self._weigh(group)
                return amounts

    def _bars(self, group: list[int], amounts: Integers) -> bool:
        """Keep from being taken what is less of a PoD that goes both ways in a slot, as only what comes in steps makes it: the
        market takes none both ways. Whether there is any."""
        other = self.resources.opposite
        against = np.where(other >= 0, amounts[:, other], 0)
        beaten = (amounts < against) | ((amounts == against) & (self.resources.sign < 0))
        lesser = (amounts > 0) & (against > 0) & beaten
        self.most_w[group] = np.where(lesser, 0, self.most_w[group])
        return bool(lesser.any())

    def _weigh(self, group: list[int]) -> None:
        """Keep what each value's target costs in the last program, were all that comes in steps divisible."""
        if self.resources.discrete.any():
            self.solver.minimise(self._program(group, divisible=True))
        self.worth[group] = 0.0
        for name, dual in self.solver.duals().items():
            if len(name) == 3 and dual > _PREDICTED:
                position, column, _ = name
                row = group[position]
                scale = self._scale(row, self.slots[row].tangents[column][0])
                self.worth[row, column] += dual / scale * self.highest_price

    def _scale(self, row: int, tangent: _Tangent) -> float:
        """What a W of the resource that moves a value most gives it in a slot."""
        return float(np.abs(tangent.gains[self.resources.most_w[row] > 0]).max(initial=0.0))

    def _foretold(self, row: int, net: Floats) -> Floats:
        """How far net amounts are foretold to leave a slot's values above their targets (k,)."""
        slot = self.slots[row]
        step = np.zeros(slot.relief.shape[:2])
        np.add.at(step, (self.resources.reactive, self.need.place), self.resources.sign * (net - slot.net))
        return np.asarray(slot.values - np.tensordot(step, slot.relief, axes=2) - self.need.targets[row])

    def _program(self, group: list[int], divisible: bool = False) -> Program:
        resources, width = self.resources, len(self.resources)
        most, step = self.most_w[group], np.tile(resources.step_w, len(group))
        rows = [
            each
            for position, row in enumerate(group)
            for each in self._rows(group, position, list(self.slots[row].tangents))
        ]
        for pod, most_wh in resources.most_wh.items():
            own = np.flatnonzero((resources.pod == pod) & (resources.reactive == 0))
            columns = (width * np.arange(len(group))[:, None] + own).ravel()
            most_w = max(SLOTS_PER_HOUR * most_wh - len(columns), 0)  # amounts are rounded up to whole W
            rows.append(Row((-1, pod), columns, -1.0 * step[columns], -float(most_w)))
        costs = np.tile(resources.price / self.highest_price, len(group)) * step
        upper = (most.ravel() // step).astype(np.float64)
        if divisible:
            return Program.continuous(costs, upper, rows, SHORTFALL_FACTOR)
        return Program(
            costs=costs,
            upper=upper,
            rows=rows,
            shortfall_cost=SHORTFALL_FACTOR,
            least=np.where(most > 0, -(-resources.least_w // resources.step_w), 0).ravel().astype(np.float64),
            whole=step > 1,
        )

    def _whole(self, group: list[int], solved: Floats) -> Integers:
        resources = self.resources
        whole = np.ceil(np.round(solved, 6)).astype(np.int64).reshape(len(group), len(resources))
        amounts = np.minimum(whole * resources.step_w, resources.most_w[group])
        return np.where(amounts < resources.least_w, 0, amounts)

    def _rows(self, group: list[int], position: int, columns: list[int]) -> list[Row]:
        """The tangents of a slot's values as rows: on its amounts, and on those before whose payback falls into it."""
        resources, width = self.resources, len(self.resources)
        row = group[position]
        slot = self.slots[row]
        shares = resources.payback[:position]
        own = width * (position - np.arange(len(shares) + 1)[:, None]) + np.arange(width)
        factors = np.concatenate((np.ones((1, width)), -shares)) * resources.step_w
        rows = []
        for column in columns:
            scale = self._scale(row, slot.tangents[column][0])
            if scale <= BITE:
                continue
            for ordinal, tangent in enumerate(slot.tangents[column]):
                rows.append(
                    Row(
                        (position, column, ordinal),
                        own.ravel(),
                        (factors * (tangent.gains / scale)).ravel(),
                        tangent.needed / scale,
                        (position, column),
                    )
                )
        return rows
