"""How much of what the market accepted the grid allows, in the market's priority order.

A state is admissible where no watched value passes its limit, except one that passes it without any flexibility
already, and that may not get worse. An offer's payback comes in the slots after its last one, in proportion to what is
allowed of it, and counts like the offer itself: so slots depend on each other, and are looked at to the last payback.

1. Everything together: where that is admissible nothing is refused, whatever single steps would do.
2. Else from the first slot on, while a value passes what it may reach: who pushes the one that is passed furthest gives
   back, the last in priority first and that one as far as needed, in whole W, until it isn't passed. So what relieves
   an element is never refused for what pushes it, and makes room for who comes first.
3. What was given back is offered again, in order, until no item fits any further, in full or by a twentieth of what is
   missing: so whatever only relieves what is accepted in the end isn't refused.

A block has the same power in each of its slots and is one with its payback: what refuses it in one slot, or after it,
refuses it in all.

Each refusal can be reproduced: accepted state plus the refused quantity, against the same model.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.products import MarginUnit, Product
from oracles.grid.core.joined_slots import Effects, Part, Reason, assess_parts
from oracles.grid.core.network import Floats, Integers
from oracles.grid.core.switched_grid import Grid, solve, solved, watch_of
from oracles.grid.core.violations import TOLERANCE, Element, Watching
from oracles.parallel import MapParts, in_threads

W_PER_MW = 1_000_000
_QUANTITIES_A_PART = 500
"""Slots that nothing joins are assessed in parts of about so many quantities: enough for one power flow to answer many."""


@dataclass(frozen=True)
class Item:
    """A quantity that the market accepted. Lower `priority` comes first; priorities of a slot are distinct.

    `accepted_w`: W, or var for reactive products. `min_w`: least that may be accepted if any is (0: divisible). `block`:
    what the items of one block share, which all have the same power (None: a single one). `payback_w`: W (positive: up; var
    for reactive products) in the slots after this one for every `offered_w` W of it; of a block its last slot's item has one.
    """

    priority: int
    node: int
    slot: int
    product: Product
    accepted_w: int
    min_w: int = 0
    block: int | None = None
    payback_w: tuple[int, ...] = ()
    offered_w: int = 1


@dataclass(frozen=True)
class Refusal:
    """What of an item the grid doesn't allow. `margin`: how far the element would pass what it may reach in `slot` (its
    limit, or its value without flexibility where that is worse already) with this on top of all that is allowed, at least
    1, in `unit`; of a block, with what is refused of all of it. Where the power flow then has no solution, the margin is
    that of the largest half, quarter... of it that has one. `sensitivity`: rise of the element's value per MW (Mvar) of
    the item where what is allowed is, in `unit`."""

    item: Item
    refused_w: int
    element: Element
    margin: int
    slot: int
    sensitivity: int

    @property
    def unit(self) -> MarginUnit:
        """Unit of `margin`."""
        return self.element.unit


@dataclass(frozen=True)
class Assessment:
    """`allowed_w`: per item, in the order given. `refusals`: by slot, then priority."""

    allowed_w: tuple[int, ...]
    refusals: tuple[Refusal, ...]


def assess(
    grid: Grid, p_w: Integers, q_var: Integers, items: Sequence[Item], map_parts: MapParts = in_threads
) -> Assessment:
    """Assess the market's acceptances against the grid, on baselines `p_w`, `q_var` (slots, nodes; net absorbed).

    The order of `items` doesn't matter, their priorities do. `map_parts`: who assesses slots that nothing joins. Raises
    InvalidInput on an item outside grid or slots, on quantities that aren't positive, on doubled priorities and uneven
    blocks, and PowerFlowDiverged where the baseline has no solution.
    """
    case = Case(watch_of(grid), p_w, q_var, items)
    return assess_case(case, map_parts)


def assess_case(case: "Case", map_parts: MapParts = in_threads) -> Assessment:
    """As `assess`."""
    allowed_w = case.accepted_w.copy()
    reasons: dict[int, Reason] = {}
    parts = case.parts()
    bundles = _bundles(parts)
    done = map_parts(assess_parts, [[part for _, _, part in bundle] for bundle in bundles])
    for bundle, found in zip(bundles, done, strict=True):
        for (first_slot, quantities, _), each in zip(bundle, found, strict=True):
            allowed_w[quantities] = each.allowed_w
            for place, reason in each.reasons.items():
                reasons[int(quantities[place])] = replace(reason, slot=first_slot + reason.slot)
    return case.assessment(allowed_w, reasons)


class Case:
    """Items as quantities that are each allowed by one number: single ones, and blocks; in order of priority.

    `quantity_of` (items,), `accepted_w` and `least_w` (q,).
    """

    def __init__(self, watch: Watching, p_w: Integers, q_var: Integers, items: Sequence[Item]) -> None:
        self.watch, self.items, self.slots = watch, items, len(p_w)
        _check(items, len(p_w), watch.nodes)
        self._p_w, self._q_var = p_w, q_var
        members: dict[tuple[bool, int], list[int]] = {}
        for index in sorted(range(len(items)), key=lambda each: (items[each].priority, items[each].slot)):
            block = items[index].block
            members.setdefault((block is None, index if block is None else block), []).append(index)
        self.quantity_of = np.zeros(len(items), dtype=np.int64)
        for quantity, indices in enumerate(members.values()):
            self.quantity_of[indices] = quantity
        firsts = [items[indices[0]] for indices in members.values()]
        self.accepted_w = np.array([item.accepted_w for item in firsts], dtype=np.int64)
        self.least_w = np.array([item.min_w for item in firsts], dtype=np.int64)
        rows = [row for index, item in enumerate(items) for row in self._effects(index, item)]
        table = np.array(sorted(rows), dtype=np.int64).reshape(-1, 5).T
        self.effects = Effects(*table)

    def _effects(self, index: int, item: Item) -> Iterator[tuple[int, int, int, int, int]]:
        quantity = int(self.quantity_of[index])
        column = item.node + (0 if item.product.is_active else self.watch.nodes)
        yield quantity, item.slot, column, item.product.sign, 1
        for after, payback_w in enumerate(item.payback_w, start=1):
            if payback_w:
                yield quantity, item.slot + after, column, payback_w, item.offered_w

    @cached_property
    def power(self) -> Integers:
        """Net W, then var, at each node without flexibility: (slots, 2 n)."""
        return np.concatenate((self._p_w, self._q_var), axis=1)

    @cached_property
    def ceilings(self) -> Floats:
        """What watched values may reach: (slots, k)."""
        return np.maximum(self.watch.limits, solved(self.watch, self._p_w, self._q_var).values)

    def power_with(self, allowed_w: Integers) -> Integers:
        """Net W, then var, at each node with so much of each quantity (q,): (slots, 2 n)."""
        return self.effects.applied(self.power, allowed_w)

    def values(self, allowed_w: Integers) -> Floats:
        """Watched values (slots, k) with so much of each quantity (q,)."""
        power, nodes = self.power_with(allowed_w), self.watch.nodes
        return solve(self.watch, power[:, :nodes], power[:, nodes:], range(self.slots)).values

    @cached_property
    def first_slots(self) -> Integers:
        """First slot that each quantity touches, (q,)."""
        first = np.full(len(self.accepted_w), self.slots)
        np.minimum.at(first, self.effects.owner, self.effects.slot)
        return first

    @cached_property
    def joined_until(self) -> Integers:
        """Where each run of slots that quantities join ends, and the next begins."""
        last = np.zeros(len(self.accepted_w), dtype=np.int64)
        np.maximum.at(last, self.effects.owner, self.effects.slot)
        is_joined = np.zeros(self.slots + 1, dtype=np.int64)
        np.add.at(is_joined, self.first_slots, 1)
        np.add.at(is_joined, last, -1)
        return np.flatnonzero(np.cumsum(is_joined)[: self.slots] == 0) + 1

    def parts(self) -> list[tuple[int, Integers, Part]]:
        """Runs of joined slots in which not all fits: first slot, quantities (of the case), and the part."""
        passed = np.any(self.values(self.accepted_w) > self.ceilings + TOLERANCE, axis=1)
        out = []
        start = 0
        for end in self.joined_until.tolist():
            if passed[start:end].any():
                quantities = np.flatnonzero((start <= self.first_slots) & (self.first_slots < end))
                out.append((start, quantities, self.part(slice(start, end), quantities)))
            start = end
        return out

    def part(self, slots: slice, quantities: Integers) -> Part:
        """Some slots with the quantities that touch them and no others."""
        place = np.full(len(self.accepted_w), -1)
        place[quantities] = np.arange(len(quantities))
        some = self.effects.some(place[self.effects.owner] >= 0)
        return Part(
            watch=self.watch,
            slots=np.arange(self.slots)[slots],
            power=self.power[slots],
            ceilings=self.ceilings[slots],
            accepted_w=self.accepted_w[quantities],
            least_w=self.least_w[quantities],
            effects=replace(some, owner=place[some.owner], slot=some.slot - slots.start),
        )

    def assessment(self, allowed_w: Integers, reasons: Mapping[int, Reason]) -> Assessment:
        """The assessment that allows so much of each quantity, for these reasons."""
        refusals = []
        for item, quantity in zip(self.items, self.quantity_of.tolist(), strict=True):
            refused_w = item.accepted_w - int(allowed_w[quantity])
            if refused_w:
                refusals.append(self._refusal(item, refused_w, reasons[quantity]))
        return Assessment(
            allowed_w=tuple(allowed_w[self.quantity_of].tolist()),
            refusals=tuple(sorted(refusals, key=lambda each: (each.item.slot, each.item.priority))),
        )

    def _refusal(self, item: Item, refused_w: int, reason: Reason) -> Refusal:
        element = self.watch.elements[reason.column]
        margin, sensitivity = (element.in_units(each) for each in (reason.excess, reason.slope * W_PER_MW))
        return Refusal(item, refused_w, element, max(1, margin), reason.slot, sensitivity)


def _bundles(parts: Sequence[tuple[int, Integers, Part]]) -> list[list[tuple[int, Integers, Part]]]:
    """Parts that are assessed side by side, of about so many quantities."""
    bundles: list[list[tuple[int, Integers, Part]]] = []
    room = 0
    for part in parts:
        if room <= 0:
            bundles.append([])
            room = _QUANTITIES_A_PART
        bundles[-1].append(part)
        room -= len(part[1])
    return bundles


def _check(items: Sequence[Item], slots: int, nodes: int) -> None:
    seen: set[tuple[int, int]] = set()
    blocks: dict[int, tuple[int, int]] = {}
    for index, item in enumerate(items):
        for field, value, bound in (("slot", item.slot, slots), ("node", item.node, nodes)):
            if not 0 <= value < bound:
                raise InvalidInput(f"items[{index}].{field}", value, f"must be from 0 to {bound - 1}")
        if item.accepted_w <= 0:
            raise InvalidInput(f"items[{index}].accepted_w", item.accepted_w, "must be above 0")
        if not 0 <= item.min_w <= item.accepted_w:
            raise InvalidInput(f"items[{index}].min_w", item.min_w, "must be from 0 to accepted_w")
        if item.slot + len(item.payback_w) >= slots:
            rule = f"must end before slot {slots}"
            raise InvalidInput(f"items[{index}].payback_w", item.payback_w, rule)
        if item.offered_w <= 0:
            raise InvalidInput(f"items[{index}].offered_w", item.offered_w, "must be above 0")
        if (item.slot, item.priority) in seen:
            raise InvalidInput(f"items[{index}].priority", item.priority, "must occur once in a slot")
        seen.add((item.slot, item.priority))
        amounts = item.accepted_w, item.min_w
        if item.block is not None and blocks.setdefault(item.block, amounts) != amounts:
            raise InvalidInput(
                f"items[{index}].block", amounts, "must have the same power in each of its slots"
            )
