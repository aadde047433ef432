"""The DSO's own means: switching and tap changes that remove the violations of a forecast, fewest actions first.

Takes a pandapower net as data (its tables), as `from_pandapower` does, so that whatever a plan switches gets its model from the
same place as the grid that is anchored.

How plans are found:

1. *Taps.* Every position of every transformer. Transformers side by side move together: apart they would only drive
   current round.
2. *Branch exchange.* Closing an open switch makes a loop; opening a switch on that loop makes the grid radial again. Only
   the loop's switches are candidates, those next to the closed one first. Where parallel operation is allowed, closing alone is
   a plan; where the grid has a loop already, so is opening one of its switches.
3. *Pairs.* Where none of these removes all, each of the best ones is the start of another step.

A line with a switch at both ends is opened at the one of the lower index: the other would leave the same supply.

4. *Ranges.* Where what removes a violation can't be held all the time, or only by more actions, changes are held for ranges of
   slots, with as few moves within the window as possible: moving back counts (`switching_times`).

A plan is checked in all slots by AC power flow. It leaves every bus of the forecast supplied, makes no loop that isn't there
already (unless that is allowed), adds no violation and worsens none.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.terms import SLOT_S
from oracles.grid.core.errors import UnsupportedGrid
from oracles.grid.core.from_pandapower import LimitSettings, model_document
from oracles.grid.core.network import Floats, GridModel, Integers, grid_model_from_document
from oracles.grid.core.power_flow import PowerFlow, run_power_flow, solve_power_flow
from oracles.grid.core.switched_grid import Grid
from oracles.grid.core.switching_times import Truths, fewest_moves
from oracles.grid.core.violations import TOLERANCE, Element, Violation, Watch

SWITCH_TYPES = ("CB", "LBS", "LS")
"""pandapower's circuit breakers, load-break and load switches: a disconnector isn't moved under load."""
_TAP_CHANGERS = ("Ratio", "Symmetrical")
_BRANCH_TABLES = {"l": ("line", "from_bus", "to_bus"), "t": ("trafo", "hv_bus", "lv_bus")}
"""pandapower's switch types by the table of the element that the switch cuts off, and the columns of its ends."""
_SOURCE = -1
"""The network above, as a node of the topology: whatever is slack hangs on it."""


class MeansKind(StrEnum):
    """What an action moves."""

    TAP = "tap"
    SWITCH = "switch"


@dataclass(frozen=True, order=True)
class Action:
    """One switch opened (`to` 0) or closed (1), or one transformer's tap moved to a position; `index`: the net's."""

    kind: MeansKind
    index: int
    to: int


Actions = frozenset[Action]


@dataclass(frozen=True)
class Operable:
    """What may be operated, by the net's indices: switches, and lowest and highest tap position by transformer."""

    switches: frozenset[int]
    taps: Mapping[int, tuple[int, int]]


@dataclass(frozen=True, eq=False)
class BusForecast:
    """Net absorbed at the buses where somebody is connected: W and var (slots, buses), by the net's bus indices."""

    buses: tuple[int, ...]
    p_w: Integers
    q_var: Integers

    def at_nodes(self, model: Grid) -> tuple[Integers, Integers]:
        """The sums at each node of a model, or place of a switched grid (slots, nodes). Raises InvalidInput for a bus that isn't
        supplied there."""
        nodes = nodes_of_buses(model, self.buses)
        return summed_at(nodes, model.nodes, self.p_w), summed_at(nodes, model.nodes, self.q_var)


def nodes_of_buses(model: Grid, buses: Sequence[int]) -> Integers:
    """The nodes of buses. Raises InvalidInput for a bus that isn't supplied there."""
    for bus in buses:
        if bus not in model.node_of_bus:
            raise InvalidInput("forecast.buses", bus, "must be supplied by the grid")
    return np.array([model.node_of_bus[bus] for bus in buses], dtype=np.int64)


def summed_at(nodes: Integers, count: int, values: Integers) -> Integers:
    """Values (slots, columns) summed at the node of each column: (slots, count)."""
    whole = np.zeros((count, len(values)), dtype=np.int64)
    np.add.at(whole, nodes, values.T)
    return np.ascontiguousarray(whole.T)


@dataclass(frozen=True)
class MeansSettings:
    """Bounds of the search. `most_actions`: held at once. `most_moves`: within the window, where a plan holds for ranges of it.
    `most_checked`: changes checked by power flow. `widened`: of the changes that don't remove all, how many are the start of
    another step. `most_ranged`: of changes that are held for ranges. `allow_parallel`: plans may make loops."""

    most_actions: int = 4
    most_moves: int = 8
    most_checked: int = 400
    widened: int = 4
    most_ranged: int = 100
    most_plans: int = 10
    allow_parallel: bool = False


@dataclass(frozen=True, order=True)
class Range:
    """Actions that are held together in the slots from `first_slot` on, before `end_slot`."""

    first_slot: int
    end_slot: int
    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Plan:
    """Actions that go together, held all the time or for ranges of slots. `moves`: how often anything is moved within the window,
    so that what is moved back before its end counts twice. `removes`, `leaves`: violations of the forecast that they do away with,
    and that stay, as large as they are then. `losses_wh`: of the grid over all slots with them."""

    ranges: tuple[Range, ...]
    moves: int
    removes: tuple[Violation, ...]
    leaves: tuple[Violation, ...]
    losses_wh: int

    @property
    def actions(self) -> tuple[Action, ...]:
        """All that it ever holds."""
        return tuple(sorted({action for each in self.ranges for action in each.actions}))


@dataclass(frozen=True)
class OwnMeans:
    """Plans that remove all violations, fewest moves first, then least losses; if there are none, those that remove most.

    `slots`: of the forecast. `cut`: which bounds ended the search before everything was tried; empty if none did.
    """

    slots: int
    before: tuple[Violation, ...]
    losses_before_wh: int
    plans: tuple[Plan, ...]
    checked: int
    cut: tuple[str, ...]


def operable_of(net: Any) -> Operable:
    """What a net says may be operated: breakers, load-break and load switches, and taps of ratio changers with a range."""
    switches = net.switch[net.switch.type.isin(SWITCH_TYPES) & net.switch.et.isin(("b", *_BRANCH_TABLES))]
    taps = {}
    for row in net.trafo[net.trafo.in_service.astype(bool)].itertuples():
        span = (row.tap_min, row.tap_max, row.tap_pos)
        if row.tap_changer_type in _TAP_CHANGERS and not any(
            value is None or np.isnan(value) for value in span
        ):
            taps[int(row.Index)] = (int(row.tap_min), int(row.tap_max))
    return Operable(frozenset(int(index) for index in switches.index), taps)


def operated(net: Any, actions: Iterable[Action]) -> Any:
    """The net with these actions taken; the given one stays as it is. Raises InvalidInput for what the net doesn't have."""
    changed = copy(net)
    changed["switch"], changed["trafo"] = net.switch.copy(), net.trafo.copy()
    for action in actions:
        table, column = ("trafo", "tap_pos") if action.kind is MeansKind.TAP else ("switch", "closed")
        if action.index not in net[table].index:
            raise InvalidInput(f"action.{action.kind}", action.index, f"must be in the net's table {table}")
        changed[table].loc[action.index, column] = (
            action.to if action.kind is MeansKind.TAP else bool(action.to)
        )
    return changed


def described(net: Any, action: Action) -> str:
    """What an action does, by the names in the net: `close switch 278 at MV3.101 Bus 18 on line ...`."""
    if action.kind is MeansKind.TAP:
        return f"tap of {net.trafo.name.at[action.index]} to {action.to}"
    row = net.switch.loc[action.index]
    table = "bus" if row.et == "b" else _BRANCH_TABLES[row.et][0]
    at, on = net.bus.name.at[row.bus], net[table].name.at[row.element]
    return f"{'close' if action.to else 'open'} switch {action.index} at {at} on {table} {on}"


def propose_own_means(
    net: Any,
    forecast: BusForecast,
    operable: Operable,
    limits: LimitSettings = LimitSettings(),
    settings: MeansSettings = MeansSettings(),
) -> OwnMeans:
    """Plans for a forecast, as the module says.

    Raises InvalidInput where the forecast doesn't fit the net, UnsupportedGrid where the power flow doesn't model it,
    PowerFlowDiverged where the forecast has no solution as the net stands.
    """
    search = _Search(net, forecast, operable, limits, settings)
    if search.before:
        search.run()
    return OwnMeans(
        slots=len(forecast.p_w),
        before=search.before,
        losses_before_wh=search.losses_before_wh,
        plans=search.plans(),
        checked=search.checked,
        cut=tuple(search.cut),
    )


@dataclass(frozen=True, eq=False)
class _Branch:
    """An edge between buses. `switches`: closed ones on it, which open it; itself one where it is a bus-bus switch."""

    ends: tuple[int, int]
    switches: tuple[int, ...]


class _Topology:
    """The buses of a net and what closed paths join them."""

    def __init__(self, net: Any) -> None:
        self.net = net
        self.buses = {int(bus) for bus in net.bus.index[net.bus.in_service.astype(bool)]}
        self.branches: list[_Branch] = []
        self.names: list[str] = []
        self.open_groups: list[tuple[int, int, tuple[int, ...]]] = []
        """What is open: its two ends, and the switches to be closed."""
        self._read_switches()
        for switch_type, (table, *ends) in _BRANCH_TABLES.items():
            self._read_branches(switch_type, table, ends)
        slacks = net.ext_grid[net.ext_grid.in_service.astype(bool)]
        for bus in slacks.bus:
            self._add("source", int(bus), (_SOURCE, int(bus)), ())

    def _add(self, kind: str, index: int, ends: tuple[int, int], switches: tuple[int, ...]) -> None:
        self.branches.append(_Branch(ends, switches))
        self.names.append(f"{kind} {index}")

    def _read_switches(self) -> None:
        for row in self.net.switch[self.net.switch.et == "b"].itertuples():
            ends, index = (int(row.bus), int(row.element)), int(row.Index)
            if not self.buses.issuperset(ends):
                continue
            if row.closed:
                self._add("switch", index, ends, (index,))
            else:
                self.open_groups.append((*ends, (index,)))

    def _read_branches(self, switch_type: str, table: str, ends: list[str]) -> None:
        mine = self.net.switch[self.net.switch.et == switch_type]
        by_element: dict[int, tuple[list[int], list[int]]] = {}
        for index, element, closed in zip(mine.index, mine.element, mine.closed, strict=True):
            by_element.setdefault(int(element), ([], []))[bool(closed)].append(int(index))
        rows = self.net[table][self.net[table].in_service.astype(bool)]
        for element, first, second in zip(rows.index, rows[ends[0]], rows[ends[1]], strict=True):
            between = (int(first), int(second))
            if not self.buses.issuperset(between):
                continue
            opened, closed_ = by_element.get(int(element), ([], []))
            if opened:
                self.open_groups.append((*between, tuple(opened)))
            else:
                self._add(table, int(element), between, tuple(sorted(closed_)))

    @cached_property
    def _neighbours(self) -> dict[int, list[tuple[int, int]]]:
        """By bus: branch and the bus at its other end."""
        found: dict[int, list[tuple[int, int]]] = {bus: [] for bus in (*self.buses, _SOURCE)}
        for number, branch in enumerate(self.branches):
            first, second = branch.ends
            found[first].append((number, second))
            found[second].append((number, first))
        return found

    def distances(self, starts: Iterable[int]) -> dict[int, int]:
        """Branches between these buses and each one that closed paths join to them."""
        reached = dict.fromkeys(starts, 0)
        frontier = list(reached)
        for bus in frontier:
            for _, other in self._neighbours[bus]:
                if other not in reached:
                    reached[other] = reached[bus] + 1
                    frontier.append(other)
        return reached

    @cached_property
    def supplied(self) -> frozenset[int]:
        """Buses that closed paths join to the network above."""
        return frozenset(self.distances([_SOURCE])) - {_SOURCE}

    @cached_property
    def looped(self) -> frozenset[str]:
        """Names of the branches that lie on a loop: that can open without leaving anything unsupplied (Tarjan's bridges)."""
        entered: dict[int, int] = {_SOURCE: 0}
        low = {_SOURCE: 0}
        bridges: set[int] = set()
        stack = [(_SOURCE, -1, iter(self._neighbours[_SOURCE]))]
        while stack:
            bus, by, following = stack[-1]
            step = next(following, None)
            if step is None:
                stack.pop()
                if stack:
                    parent = stack[-1][0]
                    low[parent] = min(low[parent], low[bus])
                    if low[bus] > entered[parent]:
                        bridges.add(by)
                continue
            number, other = step
            if number == by:
                continue
            if other in entered:
                low[bus] = min(low[bus], entered[other])
            else:
                entered[other] = low[other] = len(entered)
                stack.append((other, number, iter(self._neighbours[other])))
        return frozenset(
            self.names[number]
            for number, branch in enumerate(self.branches)
            if number not in bridges and branch.ends[0] in entered
        )

    def joined(self, bus: int) -> int:
        """The lowest bus that closed bus-bus switches join to a bus."""
        reached, frontier = {bus}, [bus]
        for each in frontier:
            for number, other in self._neighbours[each]:
                if self.names[number].startswith("switch ") and other not in reached:
                    reached.add(other)
                    frontier.append(other)
        return min(reached)


@dataclass(frozen=True, eq=False)
class _Checked:
    """A change of the net and what the power flow says of it. `score`: how far limits are passed in all, comparable between
    loading and voltage; infinite without a solution. `clears` (slots,): where no limit is passed. `plan`: to hold it all the time;
    None where it isn't one."""

    actions: Actions
    topology: _Topology
    score: float
    clears: Truths
    losses_w: Floats
    plan: Plan | None


class _Search:
    def __init__(
        self,
        net: Any,
        forecast: BusForecast,
        operable: Operable,
        limits: LimitSettings,
        settings: MeansSettings,
    ) -> None:
        shape = (len(forecast.p_w), len(forecast.buses))
        for field, array in (("p_w", forecast.p_w), ("q_var", forecast.q_var)):
            if array.shape != shape:
                raise InvalidInput(f"forecast.{field}", array.shape, f"must be of shape {shape}")
        self.net, self.forecast, self.operable = net, forecast, operable
        self.limits, self.settings = limits, settings
        self.checked = 0
        self.cut: list[str] = []
        self.topology = _Topology(net)
        flow = run_power_flow(*self._state(net))
        unknown = sorted(set(forecast.buses) - self.topology.supplied)
        if unknown:
            rule = "must be supplied through lines, two-winding transformers and switches"
            raise UnsupportedGrid("forecast.buses", unknown, rule)
        values = Watch(flow.model).values(flow)
        self.before = Watch(flow.model).violations(values)
        self.excess_before = {(each.slot, each.element): each.excess for each in self.before}
        self.score_before = _score(Watch(flow.model), values)
        self.losses_before_wh = _losses_wh(flow.losses_w)
        clears = _clears(Watch(flow.model), values)
        self.start = _Checked(frozenset(), self.topology, self.score_before, clears, flow.losses_w, None)
        self.found: dict[Actions, _Checked] = {}

    def run(self) -> None:
        """Single steps, then further ones from the best of them, until something removes all."""
        seen = {self.start.actions}
        frontier = [self.start]
        while frontier and not self._complete():
            changes: dict[Actions, None] = {}
            for state in frontier:
                for change in self._steps(state):
                    if change not in seen and len(change) <= self.settings.most_actions:
                        changes.setdefault(change)
            seen.update(changes)
            reached = self._check_all(sorted(changes, key=len))
            ranked = sorted(reached, key=lambda each: (each.score, len(each.actions), sorted(each.actions)))
            started = [each for each in ranked if np.isfinite(each.score)]
            if len(started) > self.settings.widened and not self._complete():
                self._note(f"further steps only from the best {self.settings.widened} changes of a step")
            frontier = started[: self.settings.widened]

    def plans(self) -> tuple[Plan, ...]:
        """What to propose, in order."""
        complete = [plan for plan in self._complete() if not self._has_needless(plan)]
        fewest = min((plan.moves for plan in complete), default=self.settings.most_moves + 1)
        complete += [plan for plan in self._in_ranges() if plan.moves < fewest]
        complete.sort(key=lambda plan: (plan.moves, plan.losses_wh, plan.ranges))
        partial = [each for each in self.found.values() if each.plan and each.plan.removes]
        partial.sort(key=lambda each: (each.score, len(each.actions), sorted(each.actions)))
        best = complete or [each.plan for each in partial if each.plan]
        return tuple(best[: self.settings.most_plans])

    def _complete(self) -> list[Plan]:
        return [each.plan for each in self.found.values() if each.plan and not each.plan.leaves]

    def _has_needless(self, plan: Plan) -> bool:
        """Whether some of its actions alone remove all."""
        mine = frozenset(plan.actions)
        return any(frozenset(other.actions) < mine for other in self._complete())

    def _in_ranges(self) -> list[Plan]:
        """Plans that remove all by one change, or several, for ranges of slots; none of what is held all the time does."""
        violated = ~self.start.clears
        changes = [each for each in self.found.values() if (each.clears & violated).any()]
        changes = [each for each in changes if each.plan is None or each.plan.leaves]
        changes.sort(key=lambda each: (-int((each.clears & violated).sum()), sorted(each.actions)))
        if len(changes) > self.settings.most_ranged:
            self._note(f"only the best {self.settings.most_ranged} changes were held for ranges of slots")
            changes = changes[: self.settings.most_ranged]
        held = [self._held_for_ranges([self.start, each]) for each in changes]
        if len(changes) > 1:
            held.append(self._held_for_ranges([self.start, *changes]))
        return list({plan.ranges: plan for plan in held if plan}.values())

    def _held_for_ranges(self, changes: Sequence[_Checked]) -> Plan | None:
        """The fewest moves that remove all violations by holding one of these changes at a time."""
        may_hold = np.stack([each.clears for each in changes], axis=1)
        losses_w = np.stack([each.losses_w for each in changes], axis=1)
        moved = [{(action.kind, action.index): action.to for action in each.actions} for each in changes]
        found = fewest_moves(moved, may_hold, losses_w)
        if found is None:
            return None
        moves, held = found
        starts = [slot for slot in range(len(held)) if slot == 0 or held[slot] != held[slot - 1]]
        ranges = [
            Range(first, end, tuple(sorted(changes[held[first]].actions)))
            for first, end in zip(starts, [*starts[1:], len(held)], strict=True)
        ]
        return Plan(
            ranges=tuple(each for each in ranges if each.actions),
            moves=moves,
            removes=self.before,
            leaves=(),
            losses_wh=_losses_wh(losses_w[np.arange(len(held)), held]),
        )

    def _note(self, bound: str) -> None:
        if bound not in self.cut:
            self.cut.append(bound)

    def _check_all(self, changes: Sequence[Actions]) -> list[_Checked]:
        reached = []
        for change in changes:
            if self.checked >= self.settings.most_checked:
                self._note(f"only {self.settings.most_checked} changes were checked")
                break
            checked = self._check(change)
            if checked is not None:
                reached.append(checked)
        return reached

    def _state(self, net: Any) -> tuple[GridModel, Integers, Integers]:
        model = grid_model_from_document(model_document(net, self.limits))
        return model, *self.forecast.at_nodes(model)

    def _check(self, change: Actions) -> _Checked | None:
        """None where a bus of the forecast isn't supplied, a loop is made that may not be, or sources contradict each other."""
        net = operated(self.net, change)
        topology = _Topology(net)
        if not topology.supplied.issuperset(self.forecast.buses):
            return None
        if not self.settings.allow_parallel and not topology.looped <= self.topology.looped:
            return None
        self.checked += 1
        try:
            flow = solve_power_flow(*self._state(net))
        except (UnsupportedGrid, InvalidInput):
            return None
        watch = Watch(flow.model)
        values = watch.values(flow)
        plan = self._plan(change, flow, watch, values)
        clears = _clears(watch, values)
        checked = _Checked(change, topology, _score(watch, values), clears, flow.losses_w, plan)
        self.found[change] = checked
        return checked

    def _plan(self, change: Actions, flow: PowerFlow, watch: Watch, values: Floats) -> Plan | None:
        """None where there is no solution, or a violation that is new or larger."""
        if not flow.converged.all():
            return None
        leaves = watch.violations(values)
        if any(each.excess > self.excess_before.get((each.slot, each.element), 0) for each in leaves):
            return None
        left: set[tuple[int, Element]] = {(each.slot, each.element) for each in leaves}
        return Plan(
            ranges=(Range(0, len(values), tuple(sorted(change))),),
            moves=len(change),
            removes=tuple(each for each in self.before if (each.slot, each.element) not in left),
            leaves=leaves,
            losses_wh=_losses_wh(flow.losses_w),
        )

    def _steps(self, state: _Checked) -> Iterator[Actions]:
        """The changes that one more step makes of a change."""
        net = operated(self.net, state.actions)
        for moves in (*self._tap_moves(net, state.topology), *self._switch_moves(state.topology)):
            yield self._merged(state.actions, moves)

    def _merged(self, actions: Actions, moves: Sequence[Action]) -> Actions:
        """Both together, as a change of the net as it stands: what is put back drops out."""
        last = {(action.kind, action.index): action for action in (*actions, *moves)}
        return frozenset(action for action in last.values() if action.to != self._standing(action))

    def _standing(self, action: Action) -> int:
        if action.kind is MeansKind.TAP:
            return int(self.net.trafo.tap_pos.at[action.index])
        return int(self.net.switch.closed.at[action.index])

    def _tap_moves(self, net: Any, topology: _Topology) -> Iterator[list[Action]]:
        side_by_side: dict[tuple[int, int], list[int]] = {}
        for number, branch in enumerate(topology.branches):
            kind, index = topology.names[number].split()
            if kind == "trafo" and branch.ends[0] in topology.supplied:
                between = (topology.joined(branch.ends[0]), topology.joined(branch.ends[1]))
                side_by_side.setdefault(between, []).append(int(index))
        for together in side_by_side.values():
            if not all(index in self.operable.taps for index in together):
                continue
            at = {index: int(net.trafo.tap_pos.at[index]) for index in together}
            lowest = max(self.operable.taps[index][0] - at[index] for index in together)
            highest = min(self.operable.taps[index][1] - at[index] for index in together)
            for steps in sorted(range(lowest, highest + 1), key=abs):
                if steps:
                    yield [Action(MeansKind.TAP, index, at[index] + steps) for index in together]

    def _switch_moves(self, topology: _Topology) -> Iterator[list[Action]]:
        for number, branch in enumerate(topology.branches):
            if topology.names[number] in topology.looped:
                for switch in self._opening(branch):
                    yield [Action(MeansKind.SWITCH, switch, 0)]
        loops = [
            self._loop(topology, group) for group in topology.open_groups if self._may_close(topology, group)
        ]
        for closing, _ in loops if self.settings.allow_parallel else ():
            yield closing
        # Next to the closed switches first, loop by loop in turn: little load moves there.
        longest = max((len(openings) for _, openings in loops), default=0)
        for place in range(longest):
            for closing, openings in loops:
                if place < len(openings):
                    yield [*closing, Action(MeansKind.SWITCH, openings[place], 0)]

    def _may_close(self, topology: _Topology, group: tuple[int, int, tuple[int, ...]]) -> bool:
        first, second, switches = group
        return self.operable.switches.issuperset(switches) and {first, second} <= topology.supplied

    def _loop(
        self, topology: _Topology, group: tuple[int, int, tuple[int, ...]]
    ) -> tuple[list[Action], list[int]]:
        """How to close what is open, and the switches that open the loop which that makes, the nearest first."""
        first, second, switches = group
        closing = [Action(MeansKind.SWITCH, switch, 1) for switch in switches]
        closed = _Topology(operated(topology.net, closing))
        made = closed.looped - topology.looped
        distance = topology.distances([first, second])
        openings = [
            (min(distance[bus] for bus in branch.ends), switch)
            for number, branch in enumerate(closed.branches)
            if closed.names[number] in made
            for switch in self._opening(branch)
            if switch not in switches
        ]
        return closing, [switch for _, switch in sorted(openings)]

    def _opening(self, branch: _Branch) -> tuple[int, ...]:
        """The switch that opens a branch; none where none may be operated."""
        return tuple(switch for switch in branch.switches if switch in self.operable.switches)[:1]


def _score(watch: Watch, values: Floats) -> float:
    over = (values - watch.limits) * watch.weights
    return float(np.where(over > TOLERANCE, over, 0.0).sum())


def _clears(watch: Watch, values: Floats) -> Truths:
    """Slots (slots,) in which no limit is passed."""
    return np.asarray((values <= watch.limits + TOLERANCE).all(axis=1))


def _losses_wh(losses_w: Floats) -> int:
    return round(float(losses_w.sum()) * SLOT_S / 3600)
