"""How much of what the market accepted the grid allows, in the market's priority order.

A state is admissible where no watched value passes its limit, except one that passes it without any flexibility
already, and that may not get worse. Slot by slot:

1. Everything together: where that is admissible nothing is refused, whatever single steps would do.
2. Else, in order of priority: as long a run of items as together stays admissible is accepted, found by bisection; the
   item after it is accepted as far as it fits, in whole W; then on with the rest.
3. What was refused is offered again, in order, until no item fits any further, in full or by a twentieth of what is
   missing: so whatever only relieves what is accepted in the end isn't refused, however early it stood.

A block has the same power in each of its slots: where one allows less of it than another, it is cut to the least in all,
and the slots are assessed again with what that leaves.

Each refusal can be reproduced: accepted state plus the refused quantity, against the same model. One that only keeps a
block even names what refuses it in another slot.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from offchain.protocol.errors import InvalidInput
from offchain.protocol.products import MarginUnit, Product
from oracles.grid.core.network import Floats, GridModel, Integers
from oracles.grid.core.power_flow import run_power_flow, solve_power_flow
from oracles.grid.core.violations import TOLERANCE, Element, Watch

Truths = npt.NDArray[np.bool_]

_BATCH = 16
"""States tried at once in a bisection."""
_CHUNK = 2048
"""States of a slot held in memory at once."""
_RETRY_PART = 20
"""A refused item is offered again where all that is missing, or this part of it, fits by now. Without such a step items
that relieve each other would creep towards their end by single W."""


@dataclass(frozen=True)
class Item:
    """A quantity that the market accepted. Lower `priority` comes first; priorities of a slot are distinct.

    `accepted_w`: W, or var for reactive products. `min_w`: least that may be accepted if any is (0: divisible). `block`:
    what the items of one block share, which all have the same power (None: a single one).
    """

    priority: int
    node: int
    slot: int
    product: Product
    accepted_w: int
    min_w: int = 0
    block: int | None = None


@dataclass(frozen=True)
class Refusal:
    """What of an item the grid doesn't allow. `margin`: how far the element would pass what it may reach (its limit,
    or its value without flexibility where that is worse already) with this on top of all that is allowed, at least 1,
    in `unit`. Where the power flow then has no solution, the margin is that of the largest part of it that has one."""

    item: Item
    refused_w: int
    element: Element
    margin: int

    @property
    def unit(self) -> MarginUnit:
        """Unit of `margin`."""
        return self.element.unit


@dataclass(frozen=True)
class Assessment:
    """`allowed_w`: per item, in the order given. `refusals`: by slot, then priority."""

    allowed_w: tuple[int, ...]
    refusals: tuple[Refusal, ...]


def assess(model: GridModel, p_w: Integers, q_var: Integers, items: Sequence[Item]) -> Assessment:
    """Assess the market's acceptances against the grid, on baselines `p_w`, `q_var` (slots, nodes; net absorbed).

    The order of `items` doesn't matter, their priorities do. Raises InvalidInput on an item outside grid or slots, on
    quantities that aren't positive, on doubled priorities, and PowerFlowDiverged where the baseline has no solution.
    """
    _check(items, len(p_w), model.nodes)
    left_w = [item.accepted_w for item in items]
    limiting: dict[int, Refusal] = {}
    while True:
        left = [
            replace(item, accepted_w=part_w, min_w=min(item.min_w, part_w))
            for item, part_w in zip(items, left_w, strict=True)
            if part_w
        ]
        found = _assess_slots(model, p_w, q_var, left)
        cut = _uneven_blocks(left, found, limiting)
        if not cut:
            return _of_all(items, left, found, limiting)
        for index, item in enumerate(items):
            if item.block in cut:
                left_w[index] = cut[item.block] if cut[item.block] >= item.min_w else 0


def _uneven_blocks(
    items: Sequence[Item], found: Assessment, limiting: dict[int, Refusal]
) -> dict[int | None, int]:
    """The least that any slot allows of each block of which some allow more; notes in `limiting` what refuses the rest."""
    allowed: dict[int, set[int]] = {}
    for item, allowed_w in zip(items, found.allowed_w, strict=True):
        if item.block is not None:
            allowed.setdefault(item.block, set()).add(allowed_w)
    cut: dict[int | None, int] = {block: min(each) for block, each in allowed.items() if len(each) > 1}
    for refusal in found.refusals:
        item = refusal.item
        if item.block is not None and cut.get(item.block) == item.accepted_w - refusal.refused_w:
            limiting[item.block] = refusal
    return cut


def _of_all(
    items: Sequence[Item], left: Sequence[Item], found: Assessment, limiting: dict[int, Refusal]
) -> Assessment:
    """The assessment of all items from that of what cutting blocks has left of them."""
    allowed_w = {
        (item.slot, item.priority): part_w for item, part_w in zip(left, found.allowed_w, strict=True)
    }
    refused = {(refusal.item.slot, refusal.item.priority): refusal for refusal in found.refusals}
    refusals = []
    for item in sorted(items, key=lambda each: (each.slot, each.priority)):
        place = (item.slot, item.priority)
        refused_w = item.accepted_w - allowed_w.get(place, 0)
        reason = refused.get(place) or limiting.get(-1 if item.block is None else item.block)
        if refused_w and reason:
            refusals.append(Refusal(item, refused_w, reason.element, reason.margin))
    return Assessment(
        allowed_w=tuple(allowed_w.get((item.slot, item.priority), 0) for item in items),
        refusals=tuple(refusals),
    )


def _assess_slots(model: GridModel, p_w: Integers, q_var: Integers, items: Sequence[Item]) -> Assessment:
    """As `assess`, each slot for itself."""
    watch = Watch(model)
    ceilings = np.maximum(watch.limits, watch.values(run_power_flow(model, p_w, q_var)))
    by_slot: dict[int, list[int]] = {}
    for index in sorted(range(len(items)), key=lambda each: (items[each].slot, items[each].priority)):
        by_slot.setdefault(items[index].slot, []).append(index)
    full_p, full_q = p_w.copy(), q_var.copy()
    for item in items:
        _add(full_p[item.slot], full_q[item.slot], item, item.accepted_w)
    together = watch.values(solve_power_flow(model, full_p, full_q))
    fits = np.all(together <= ceilings + TOLERANCE, axis=1)
    allowed = [item.accepted_w for item in items]
    refusals: list[Refusal] = []
    for slot, indices in by_slot.items():
        if not fits[slot]:
            work = _Slot(watch, p_w[slot], q_var[slot], ceilings[slot], [items[index] for index in indices])
            work.accept()
            for index, allowed_w in zip(indices, work.allowed_w.tolist(), strict=True):
                allowed[index] = allowed_w
            refusals.extend(work.refusals())
    return Assessment(allowed_w=tuple(allowed), refusals=tuple(refusals))


def _check(items: Sequence[Item], slots: int, nodes: int) -> None:
    seen: set[tuple[int, int]] = set()
    for index, item in enumerate(items):
        for field, value, bound in (("slot", item.slot, slots), ("node", item.node, nodes)):
            if not 0 <= value < bound:
                raise InvalidInput(f"items[{index}].{field}", value, f"must be from 0 to {bound - 1}")
        if item.accepted_w <= 0:
            raise InvalidInput(f"items[{index}].accepted_w", item.accepted_w, "must be above 0")
        if not 0 <= item.min_w <= item.accepted_w:
            raise InvalidInput(f"items[{index}].min_w", item.min_w, "must be from 0 to accepted_w")
        if (item.slot, item.priority) in seen:
            raise InvalidInput(f"items[{index}].priority", item.priority, "must occur once in a slot")
        seen.add((item.slot, item.priority))


def _add(p_w: Integers, q_var: Integers, item: Item, quantity_w: int) -> None:
    """Apply a quantity of an item to one slot's net power: up lowers what is absorbed."""
    (p_w if item.product.is_active else q_var)[item.node] -= item.product.sign * quantity_w


class _Slot:
    """One slot whose items don't all fit. Items in order of priority; `allowed_w` grows and never falls."""

    def __init__(
        self, watch: Watch, p_w: Integers, q_var: Integers, ceilings: Floats, items: list[Item]
    ) -> None:
        self.watch = watch
        self.base = np.concatenate((p_w, q_var))
        self.ceilings = ceilings
        self.items = items
        nodes = watch.model.nodes
        self.columns = np.array([item.node + (0 if item.product.is_active else nodes) for item in items])
        self.signs = np.array([-item.product.sign for item in items])
        self.accepted_w = np.array([item.accepted_w for item in items], dtype=np.int64)
        self.min_w = np.array([item.min_w for item in items], dtype=np.int64)
        self.allowed_w = np.zeros(len(items), dtype=np.int64)

    def accept(self) -> None:
        """Run through the items in order, then again through what was refused, until nothing more fits."""
        pending = np.arange(len(self.items))
        while len(pending):
            self._run_through(pending)
            pending = self._fitting_further()

    def refusals(self) -> list[Refusal]:
        """A refusal for every item that isn't allowed in full."""
        refused = np.flatnonzero(self.allowed_w < self.accepted_w)
        missing = self.accepted_w - self.allowed_w
        over = self._values(refused, missing[refused]) - self.ceilings
        found = []
        for index, excess in zip(refused.tolist(), over, strict=True):
            part = int(missing[index])
            while not np.isfinite(excess).all():
                part //= 2
                excess = self._values(np.array([index]), np.array([part]))[0] - self.ceilings
            worst = int(np.argmax(excess * self.watch.weights))
            element = self.watch.elements[worst]
            margin = max(1, element.in_units(float(excess[worst])))
            found.append(Refusal(self.items[index], int(missing[index]), element, margin))
        return found

    def _state(self) -> Integers:
        state = self.base.copy()
        np.add.at(state, self.columns, self.signs * self.allowed_w)
        return state

    def _solve(self, states: Integers) -> Floats:
        nodes = self.watch.model.nodes
        return self.watch.values(solve_power_flow(self.watch.model, states[:, :nodes], states[:, nodes:]))

    def _values(self, indices: Integers, more_w: Integers) -> Floats:
        """Watched values with `more_w` of each item alone on top of what is allowed: (indices, k)."""
        state = self._state()
        parts = []
        for first in range(0, len(indices), _CHUNK):
            some = indices[first : first + _CHUNK]
            states = np.repeat(state[None, :], len(some), axis=0)
            states[np.arange(len(some)), self.columns[some]] += (
                self.signs[some] * more_w[first : first + _CHUNK]
            )
            parts.append(self._solve(states))
        return np.concatenate(parts)

    def _admissible(self, values: Floats) -> Truths:
        return np.asarray(np.all(values <= self.ceilings + TOLERANCE, axis=1))

    def _run_through(self, pending: Integers) -> None:
        """Accept the pending items, by index, as runs and parts; skip those that a refusal just showed not to fit."""
        while len(pending):
            count = self._longest_run(pending)
            run, pending = pending[:count], pending[count:]
            self.allowed_w[run] = self.accepted_w[run]
            if not len(pending):
                return
            cut, pending = int(pending[0]), pending[1:]
            blocked = self._accept_part(cut)
            if blocked:
                same = (self.columns[pending] == self.columns[cut]) & (self.signs[pending] == self.signs[cut])
                pending = pending[~same]

    def _longest_run(self, pending: Integers) -> int:
        """Number of items from the front that together are admissible, where one more isn't (all, if all are)."""
        state = self._state()
        steps = np.cumsum(
            _one_hot(self.columns[pending], len(state))
            * (self.signs * (self.accepted_w - self.allowed_w))[pending, None],
            axis=0,
        )
        low, high = 0, len(pending)
        if self._admissible(self._solve((state + steps[-1])[None, :]))[0]:
            return high
        while high - low > 1:
            counts = np.unique(np.linspace(low, high, min(_BATCH, high - low - 1) + 2, dtype=np.int64)[1:-1])
            good = self._admissible(self._solve(state + steps[counts - 1]))
            low, high = _boundary(low, high, counts, good)
        return low

    def _accept_part(self, index: int) -> bool:
        """Accept as much more of an item as fits. True where not even one W more of its kind would."""
        start, high = int(self.allowed_w[index]), int(self.accepted_w[index])
        least = start + int(self._least_w(np.array([index]))[0])
        one_fits, least_fits = self._admissible(
            self._values(np.array([index, index]), np.array([1, least - start]))
        )
        below_minimum = start == 0 and self.min_w[index] > 1
        if below_minimum and not least_fits:
            # Its minimum doesn't fit; something smaller of its kind might.
            return not one_fits
        low = least if least_fits else start
        while high - low > 1:
            amounts = np.unique(np.linspace(low, high, min(_BATCH, high - low - 1) + 2, dtype=np.int64)[1:-1])
            good = self._admissible(self._values(np.full(len(amounts), index), amounts - start))
            low, high = _boundary(low, high, amounts, good)
        self.allowed_w[index] = low
        return True

    def _least_w(self, indices: Integers) -> Integers:
        """Least that is worth adding to items: a share of what is missing, and their minimum where none is allowed."""
        missing = (self.accepted_w - self.allowed_w)[indices]
        least = np.maximum(1, missing // _RETRY_PART)
        return np.asarray(
            np.where(self.allowed_w[indices] == 0, np.maximum(self.min_w[indices], least), least)
        )

    def _fitting_further(self) -> Integers:
        """Items not allowed in full of which more fits now: all that is missing, or the least worth adding."""
        refused = np.flatnonzero(self.allowed_w < self.accepted_w)
        if not len(refused):
            return refused
        missing = (self.accepted_w - self.allowed_w)[refused]
        fits = self._admissible(self._values(refused, missing))
        fits |= self._admissible(self._values(refused, self._least_w(refused)))
        return refused[fits]


def _one_hot(columns: Integers, width: int) -> Integers:
    rows = np.zeros((len(columns), width), dtype=np.int64)
    rows[np.arange(len(columns)), columns] = 1
    return rows


def _boundary(low: int, high: int, tried: Integers, good: Truths) -> tuple[int, int]:
    """Narrow (admissible, inadmissible) to neighbours among what was tried: the first that isn't admissible."""
    for value, is_good in zip(tried.tolist(), good.tolist(), strict=True):
        if not is_good:
            return low, value
        low = value
    return low, high
