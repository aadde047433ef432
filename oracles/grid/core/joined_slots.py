"""What slots that blocks or paybacks join can carry of what is accepted in them.

Power flows are asked for, not run: what assesses a part is a generator that yields states of the grid and is sent what is
watched in them, so that parts that have nothing to do with each other are answered by one power flow.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from oracles.grid.core.network import Floats, Integers
from oracles.grid.core.switched_grid import solve
from oracles.grid.core.violations import TOLERANCE, Watching

T = TypeVar("T")
Truths = npt.NDArray[np.bool_]
Question = tuple[Integers | Floats, Integers]
Asking = Generator[Question, Floats, T]
"""Yields states (s, 2 n: W absorbed at each node, then var) with the slot of each, is sent watched values (s, k), ends with its
result."""

LEAST_PUSH = 0.05
"""An element is relieved by who pushes it, per W, at least this share as much as who pushes it most."""
RETRY_PART = 20
"""What was given back is offered again where all of it, or this part of it, fits by now. Without such a step what relieves
each other would creep towards its end by single W."""
_PARTS_A_SLOT = 12
"""Elements relieved in a slot after which nobody is cut in part any more: what pushes one and relieves another, and the
other way round, would be cut by ever smaller parts. Offered again, it gets back what fits."""
_STEP_SHARE = 1000
"""Slopes are taken over this part of the grid's rating: far above the power flow's noise, far below curvature."""
_STATES_AT_ONCE = 2048
_NEAR_W = np.array([-1000, -30, -1, 0, 1, 30, 1000])
_HALVINGS = 30


@dataclass(frozen=True, eq=False)
class Effects:
    """How quantities move the grid, sorted by `owner`: x W of it lower the net power at (`slot`, `column`) by
    `numerator` x / `denominator`, rounded down to whole W. Columns: nodes' W, then nodes' var."""

    owner: Integers
    slot: Integers
    column: Integers
    numerator: Integers
    denominator: Integers

    def moved(self, effects: Integers, quantities_w: Integers) -> Integers:
        """Change of the net power by some effects, of so much of their owners (..., effects)."""
        return np.asarray(-(self.numerator[effects] * quantities_w // self.denominator[effects]))

    def applied(self, power: Integers, quantities_w: Integers) -> Integers:
        """Net power (slots, 2 n) with so much of each quantity."""
        changed, every = power.copy(), np.arange(len(self.owner))
        np.add.at(changed, (self.slot, self.column), self.moved(every, quantities_w[self.owner]))
        return changed

    @property
    def per_w(self) -> Floats:
        """Change of the net power per W of the owner."""
        return -self.numerator / self.denominator

    def some(self, chosen: Truths) -> "Effects":
        """Those chosen."""
        return Effects(
            self.owner[chosen],
            self.slot[chosen],
            self.column[chosen],
            self.numerator[chosen],
            self.denominator[chosen],
        )


@dataclass(frozen=True, eq=False)
class Part:
    """Slots and all that is accepted in them, by priority: `accepted_w` (q,), of which at least `least_w` (q,) is allowed if
    any is.

    `slots` (slots,): which of the case's they are. `power` (slots, 2 n): without flexibility. `ceilings` (slots, k): what watched values may reach.
    """

    watch: Watching
    slots: Integers
    power: Integers
    ceilings: Floats
    accepted_w: Integers
    least_w: Integers
    effects: Effects


@dataclass(frozen=True, eq=False)
class More:
    """More of a quantity on top of what is allowed: `more_w`, or where that has no solution the largest half, quarter... of it
    that has one. `slots` (s,) that it touches, how far what is watched then passes what it may reach, `excess` (s, k), and the
    rise of what is watched per W of it where what is allowed is, `slope` (s, k)."""

    quantity: int
    more_w: int
    slots: Integers
    excess: Floats
    slope: Floats


@dataclass(frozen=True)
class Reason:
    """Why something of a quantity is refused: what of `More` weighs most, with all that is missing, in `slot` at `column`."""

    slot: int
    column: int
    excess: float
    slope: float


@dataclass(frozen=True, eq=False)
class Allowed:
    """`allowed_w` (q,), and why not more, by quantity."""

    allowed_w: Integers
    reasons: dict[int, Reason]


def assess_parts(parts: Sequence[Part]) -> list[Allowed]:
    """Assess parts of one grid side by side."""
    return _answer_together(parts[0].watch, [_Assessing(part, part.accepted_w).run() for part in parts])


def look_at_more(
    part: Part, allowed_w: Integers, quantities: Integers, more_w: Integers, look: Callable[[More], T]
) -> dict[int, T]:
    """What is seen, by quantity, of so much more of each alone on top of `allowed_w` (q,), which must have a solution."""
    (seen,) = _answer_together(part.watch, [_Assessing(part, allowed_w).of_each(quantities, more_w, look)])
    return seen


def _answer_together(watch: Watching, asking: Sequence[Asking[T]]) -> list[T]:
    """Results of all who ask, each round of their questions answered by one power flow."""
    results: dict[int, T] = {}
    questions: dict[int, Question] = {}
    answers: dict[int, Floats | None] = dict.fromkeys(range(len(asking)))
    while answers:
        questions.clear()
        for number, answer in answers.items():
            try:
                questions[number] = next(asking[number]) if answer is None else asking[number].send(answer)
            except StopIteration as end:
                results[number] = end.value
        answers = dict(zip(questions, _answers(watch, list(questions.values())), strict=True))
    return [results[number] for number in range(len(asking))]


def _answers(watch: Watching, questions: Sequence[Question]) -> list[Floats]:
    if not questions:
        return []
    states = np.concatenate([each for each, _ in questions]).astype(np.float64)
    slots = np.concatenate([each for _, each in questions])
    cuts = range(_STATES_AT_ONCE, len(states), _STATES_AT_ONCE)
    values = np.concatenate(
        [
            solve(watch, some[:, : watch.nodes], some[:, watch.nodes :], of_some).values
            for some, of_some in zip(np.split(states, cuts), np.split(slots, cuts), strict=True)
        ]
    )
    return np.split(values, np.cumsum([len(each) for each, _ in questions])[:-1])


def least_more_w(accepted_w: Integers, least_w: Integers, allowed_w: Integers) -> Integers:
    """Least that is worth adding: a part of what is missing, and the least of what may be allowed where nothing is."""
    part_w = np.maximum(1, (accepted_w - allowed_w) // RETRY_PART)
    return np.asarray(np.where(allowed_w == 0, np.maximum(least_w, part_w), part_w))


class _Assessing:
    """A part at work, from so much of each quantity on."""

    def __init__(self, part: Part, allowed_w: Integers) -> None:
        self.part, self.effects = part, part.effects
        self.allowed_w = allowed_w.copy()
        quantities, slots = len(part.accepted_w), len(part.power)
        self.first = np.searchsorted(self.effects.owner, np.arange(quantities + 1))
        self.per_w = self.effects.per_w
        by_slot = np.argsort(self.effects.slot, kind="stable")
        self.in_slot = np.split(by_slot, np.searchsorted(self.effects.slot[by_slot], np.arange(1, slots)))
        self.power = self.effects.applied(part.power, self.allowed_w)
        self.values = np.full(part.ceilings.shape, np.nan)
        self.is_stale = np.ones(slots, dtype=np.bool_)
        self.slopes: dict[int, Floats] = {}
        self.columns = [np.unique(self.effects.column[some]) for some in self.in_slot]
        self.relieved = np.zeros(slots, dtype=np.int64)
        self.step_w = max(1, part.watch.rating_w // _STEP_SHARE)

    def run(self) -> Asking[Allowed]:
        """Give back what can't be, offer again what can, and say why the rest is refused."""
        yield from self._give_back()
        yield from self._offer_again()
        reasons = yield from self._reasons()
        return Allowed(self.allowed_w, reasons)

    # What is allowed, and what is watched then

    def _effects_of(self, quantities: Integers) -> Integers:
        parts = [np.arange(self.first[each], self.first[each + 1]) for each in quantities.tolist()]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def _allow(self, quantities: Integers, allowed_w: Integers) -> None:
        effects = self._effects_of(quantities)
        owners = self.effects.owner[effects]
        before = self.effects.moved(effects, self.allowed_w[owners])
        self.allowed_w[quantities] = allowed_w
        change = self.effects.moved(effects, self.allowed_w[owners]) - before
        slots = self.effects.slot[effects]
        np.add.at(self.power, (slots, self.effects.column[effects]), change)
        self.is_stale[slots[change != 0]] = True

    def _ask(self, states: Integers | Floats, slots: Integers) -> Asking[Floats]:
        """What is watched in states of some of the part's slots."""
        answers = yield states, self.part.slots[slots]
        return answers

    def _refresh(self) -> Asking[None]:
        slots = np.flatnonzero(self.is_stale)
        if len(slots):
            self.values[slots] = yield from self._ask(self.power[slots], slots)
            self.is_stale[slots] = False
            for slot in slots.tolist():
                self.slopes.pop(slot, None)

    def _learn_slopes(self, effects: Integers) -> Asking[None]:
        """Rise of what is watched per W absorbed where some effects are, at what is allowed; what is known isn't asked
        again."""
        unknown: list[tuple[int, Integers]] = []
        for slot in np.unique(self.effects.slot[effects]).tolist():
            if slot not in self.slopes:
                self.slopes[slot] = np.full((len(self.columns[slot]), len(self.part.watch.elements)), np.nan)
            mine = self.effects.column[effects[self.effects.slot[effects] == slot]]
            places = np.unique(np.searchsorted(self.columns[slot], mine))
            places = places[np.isnan(self.slopes[slot][places, 0])]
            if len(places):
                unknown.append((slot, places))
        if not unknown:
            return
        sizes = [len(places) for _, places in unknown]
        answers = yield from self._ask(
            np.concatenate([self._stepped(self.power[slot], slot, places) for slot, places in unknown]),
            np.repeat([slot for slot, _ in unknown], sizes),
        )
        ends = np.cumsum(sizes)[:-1]
        for (slot, places), values in zip(unknown, np.split(answers, ends), strict=True):
            self.slopes[slot][places] = self._slopes_of(values, self.values[slot])

    def _stepped(self, state: Integers | Floats, slot: int, places: Integers) -> Floats:
        states = np.repeat(state[None, :].astype(np.float64), len(places), axis=0)
        states[np.arange(len(places)), self.columns[slot][places]] += self.step_w
        return states

    def _slopes_of(self, stepped: Floats, values: Floats) -> Floats:
        slopes = (stepped - values) / self.step_w
        return np.asarray(np.where(np.isfinite(slopes), slopes, 0.0))

    # Giving back

    def _give_back(self) -> Asking[None]:
        """From the first slot on, while a value passes what it may reach, cut who pushes it, the last in priority first."""
        while True:
            yield from self._refresh()
            passed = ~(self.values <= self.part.ceilings + TOLERANCE).all(axis=1)
            if not passed.any():
                return
            yield from self._relieve(int(np.argmax(passed)))

    def _relieve(self, slot: int) -> Asking[None]:
        """Bring the element that is passed furthest in a slot back within what it may reach."""
        effects = self.in_slot[slot]
        effects = effects[self.allowed_w[self.effects.owner[effects]] > 0]
        values, slopes = yield from self._linearised(slot, effects)
        ceilings = self.part.ceilings[slot]
        worst = int(np.argmax((values - ceilings) * self.part.watch.weights))
        owners, of_owner = np.unique(self.effects.owner[effects], return_inverse=True)
        places = np.searchsorted(self.columns[slot], self.effects.column[effects])
        push = np.bincount(of_owner, self.per_w[effects] * slopes[places, worst])
        pushes = push > max(0.0, LEAST_PUSH * push.max())
        is_known = bool(pushes.any())
        if not is_known:
            pushes[:] = True
        quantities, push = owners[pushes], push[pushes]
        chosen = np.flatnonzero(pushes[of_owner])
        effects, of_quantity = effects[chosen], (np.cumsum(pushes) - 1)[of_owner[chosen]]
        has_w = self.allowed_w[quantities]
        before_w = np.cumsum(has_w) - has_w
        columns = self.effects.column[effects]
        with_all = self.power[slot].copy()
        np.subtract.at(with_all, columns, self.effects.moved(effects, has_w[of_quantity]))

        def excess_at(kept_w: Integers) -> Asking[Floats]:
            shares_w = np.clip(kept_w[:, None] - before_w, 0, has_w)
            states = np.repeat(with_all[None, :], len(kept_w), axis=0)
            changes = self.effects.moved(effects, shares_w[:, of_quantity])
            np.add.at(states, (np.arange(len(kept_w))[:, None], columns[None, :]), changes)
            answers = yield from self._ask(states, np.full(len(kept_w), slot))
            return np.asarray(answers[:, worst] - ceilings[worst])

        guess_w = _kept_w(values[worst] - ceilings[worst], push, has_w) if is_known else 0
        kept_w = yield from _largest(0, int(has_w.sum()), guess_w, excess_at)
        left_w = np.clip(kept_w - before_w, 0, has_w)
        self.relieved[slot] += 1
        if self.relieved[slot] > _PARTS_A_SLOT:
            left_w[left_w < has_w] = 0
        left_w[left_w < self.part.least_w[quantities]] = 0
        cut = left_w < has_w
        self._allow(quantities[cut], left_w[cut])

    def _linearised(self, slot: int, effects: Integers) -> Asking[tuple[Floats, Floats]]:
        """Values of a slot and their slopes where some effects are. Where it has no solution, continued from the largest
        half, quarter... of what is allowed that has one."""
        values = self.values[slot]
        if np.isfinite(values).all():
            yield from self._learn_slopes(effects)
            return values, self.slopes[slot]
        base = self.part.power[slot]
        change = self.power[slot] - base
        shares = 0.5 ** np.arange(1, _HALVINGS)
        states = np.concatenate([[base], base + shares[:, None] * change])
        answers = yield from self._ask(states, np.full(len(states), slot))
        solved = int(np.argmax(np.isfinite(answers[1:]).all(axis=1)))
        share, at_share = shares[solved], answers[1 + solved]
        columns = np.arange(len(self.columns[slot]))
        stepped = yield from self._ask(
            self._stepped(base + share * change, slot, columns), np.full(len(columns), slot)
        )
        further = at_share + (at_share - answers[0]) * (1 - share) / share
        return np.asarray(further), self._slopes_of(stepped, at_share)

    # Offering again

    def _offer_again(self) -> Asking[None]:
        """Offer what was given back again, by priority, until nothing fits any further: in full, or by a part."""
        while True:
            fitting = yield from self._fitting_further()
            if not len(fitting):
                return
            for quantity in fitting.tolist():
                yield from self._raise(quantity)

    def _refused(self) -> Integers:
        return np.flatnonzero(self.allowed_w < self.part.accepted_w)

    def _least_more_w(self, quantities: Integers) -> Integers:
        return least_more_w(
            self.part.accepted_w[quantities], self.part.least_w[quantities], self.allowed_w[quantities]
        )

    def _fitting_further(self) -> Asking[Integers]:
        yield from self._refresh()
        refused = self._refused()
        yield from self._learn_slopes(self._effects_of(refused))
        missing_w = self.part.accepted_w[refused] - self.allowed_w[refused]
        found = np.zeros(len(refused), dtype=np.bool_)
        for more_w in (missing_w, self._least_more_w(refused)):
            may_fit = np.flatnonzero(self._may_fit(refused, more_w) & ~found)
            for some in _chunks(may_fit):
                _, excess, of = yield from self._with_more(refused[some], more_w[some])
                found[some] = np.bincount(of, (excess > TOLERANCE).any(axis=1), minlength=len(some)) == 0
        return refused[found]

    def _may_fit(self, quantities: Integers, more_w: Integers) -> Truths:
        """Whether by the slopes so much more of each alone might fit: what is half of it too much doesn't."""
        may_fit = np.ones(len(quantities), dtype=np.bool_)
        place = np.full(len(self.allowed_w), -1)
        place[quantities] = np.arange(len(quantities))
        for slot, effects in enumerate(self.in_slot):
            effects = effects[place[self.effects.owner[effects]] >= 0]
            if not len(effects):
                continue
            places, row = np.unique(place[self.effects.owner[effects]], return_inverse=True)
            columns, moved = np.unique(self.effects.column[effects], return_inverse=True)
            moves = np.zeros((len(places), len(columns)))
            np.add.at(moves, (row, moved), self.per_w[effects])
            slopes = self.slopes[slot][np.searchsorted(self.columns[slot], columns)]
            rise = (moves * more_w[places, None]) @ slopes
            room = self.part.ceilings[slot] + TOLERANCE - self.values[slot]
            may_fit[places] &= ~((rise > 0) & (rise > 2 * room)).any(axis=1)
        return may_fit

    def _with_more(self, quantities: Integers, more_w: Integers) -> Asking[tuple[Integers, Floats, Integers]]:
        """With so much more of each alone, in every slot that it touches: slots (s,), how far what is watched then passes
        what it may reach (s, k), and which of `quantities` it is (s,)."""
        sizes = self.first[quantities + 1] - self.first[quantities]
        effects, of = self._effects_of(quantities), np.repeat(np.arange(len(quantities)), sizes)
        slots = len(self.power)
        state, of_state = np.unique(of * slots + self.effects.slot[effects], return_inverse=True)
        slot, of_quantity = state % slots, state // slots
        states = self.power[slot]
        has_w = self.allowed_w[quantities]
        change = self.effects.moved(effects, (has_w + more_w)[of]) - self.effects.moved(effects, has_w[of])
        np.add.at(states, (of_state, self.effects.column[effects]), change)
        answers = yield from self._ask(states, slot)
        return slot, answers - self.part.ceilings[slot], of_quantity

    def _raise(self, quantity: int) -> Asking[None]:
        """Allow as much more of a quantity as fits."""
        one = np.array([quantity])
        missing_w = int(self.part.accepted_w[quantity] - self.allowed_w[quantity])
        least_w = int(self._least_more_w(one)[0])

        def excess_at(more_w: Integers) -> Asking[Floats]:
            _, excess, of = yield from self._with_more(np.repeat(one, len(more_w)), more_w)
            highest = np.full(len(more_w), -np.inf)
            np.maximum.at(highest, of, excess.max(axis=1))
            return highest

        at_least, at_all = yield from excess_at(np.array([least_w, missing_w]))
        if at_all <= TOLERANCE:
            more_w = missing_w
        elif at_least <= TOLERANCE:
            more_w = yield from _largest(least_w, missing_w, (least_w + missing_w) // 2, excess_at)
        else:
            return
        self._allow(one, self.allowed_w[one] + more_w)

    # Saying why

    def _reasons(self) -> Asking[dict[int, Reason]]:
        """A reason for every quantity that isn't allowed in full."""
        refused = self._refused()
        missing_w = self.part.accepted_w[refused] - self.allowed_w[refused]
        return (yield from self.of_each(refused, missing_w, self._reason))

    def _reason(self, missing: More) -> Reason:
        weighed = missing.excess * self.part.watch.weights
        row, column = divmod(int(np.argmax(weighed)), weighed.shape[1])
        excess, slope = float(missing.excess[row, column]), float(missing.slope[row, column])
        return Reason(int(missing.slots[row]), column, excess, slope)

    def of_each(
        self, quantities: Integers, more_w: Integers, look: Callable[[More], T]
    ) -> Asking[dict[int, T]]:
        """What is seen, by quantity, of so much more of it alone."""
        yield from self._refresh()
        out: dict[int, T] = {}
        for chunk in _chunks(np.arange(len(quantities))):
            some, some_w = quantities[chunk], more_w[chunk]
            yield from self._learn_slopes(self._effects_of(some))
            while len(some):
                slot, excess, of = yield from self._with_more(some, some_w)
                solved = np.bincount(of, ~np.isfinite(excess).all(axis=1), minlength=len(some)) == 0
                ends = np.cumsum(np.bincount(of, minlength=len(some)))[:-1]
                for index, rows in enumerate(np.split(np.arange(len(of)), ends)):
                    if solved[index]:
                        quantity = int(some[index])
                        slope = np.stack([self._slope(quantity, at) for at in slot[rows].tolist()])
                        out[quantity] = look(
                            More(quantity, int(some_w[index]), slot[rows], excess[rows], slope)
                        )
                some, some_w = some[~solved], some_w[~solved] // 2
        return out

    def _slope(self, quantity: int, slot: int) -> Floats:
        effects = np.arange(self.first[quantity], self.first[quantity + 1])
        effects = effects[self.effects.slot[effects] == slot]
        places = np.searchsorted(self.columns[slot], self.effects.column[effects])
        return np.asarray(self.per_w[effects] @ self.slopes[slot][places])


def _chunks(indices: Integers) -> Iterator[Integers]:
    for first in range(0, len(indices), _STATES_AT_ONCE // 8):
        yield indices[first : first + _STATES_AT_ONCE // 8]


def _kept_w(excess: float, push: Floats, has_w: Integers) -> int:
    """W to keep of quantities, the first in priority first, so that by the slopes cutting the rest lowers a value by
    `excess`."""
    gain = (push * has_w)[::-1]
    gained = np.cumsum(gain)
    last = int(np.searchsorted(gained, excess))
    if last >= len(gain):
        return 0
    still = excess - (gained[last] - gain[last])
    kept = has_w[::-1]
    return int(kept[last:].sum() - np.ceil(still / push[::-1][last]))


def _largest(low: int, high: int, guess: int, excess_at: Callable[[Integers], Asking[Floats]]) -> Asking[int]:
    """The largest amount whose excess is within the tolerance, above `low`, which is, below `high`, which isn't: the first
    place found, where there are several at which it passes."""
    excess_low = excess_high = np.nan
    while high - low > 1:
        tries = np.concatenate((guess + _NEAR_W, np.linspace(low, high, 6)[1:-1].astype(np.int64)))
        tries = np.unique(np.clip(tries, low + 1, high - 1))
        excess = yield from excess_at(tries)
        passing = np.flatnonzero(excess > TOLERANCE)
        if len(passing):
            high, excess_high = int(tries[passing[0]]), float(excess[passing[0]])
        fitting = tries[: passing[0]] if len(passing) else tries
        if len(fitting):
            low, excess_low = int(fitting[-1]), float(excess[len(fitting) - 1])
        guess = (low + high) // 2
        if np.isfinite(excess_low) and np.isfinite(excess_high):
            guess = low + int((TOLERANCE - excess_low) / (excess_high - excess_low) * (high - low))
    return low
