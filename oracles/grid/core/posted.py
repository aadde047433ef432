"""A technical outcome that somebody posted, held to the rules and to the grid.

Where floats decide, two honest oracles may post two results. Either must keep to the rules in integers, violate nothing,
refuse nothing that would fit, and say rightly why; and of slots that are joined, nobody may be left with less than our own
assessment allows unless somebody before him in priority is left with more: all within what power flows may differ by.
"""

from dataclasses import dataclass

import numpy as np

from offchain.protocol.errors import FlexledgerError
from offchain.protocol.leaves import REFUSAL
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import MarginUnit
from oracles.grid.core.assessment import W_PER_MW, Assessment, Case, Refusal
from oracles.grid.core.documents import ELEMENTS_NOTE, SENSITIVITIES_NOTE, SLOTS_NOTE, technical_outcome
from oracles.grid.core.joined_slots import More, least_more_w, look_at_more
from oracles.grid.core.network import Floats, Integers

TOLERANCE_UNITS = {MarginUnit.LOADING_MILLIPERCENT: 100, MarginUnit.VOLTAGE_MICRO_PU: 100}
"""By how much what another power flow gives may differ: 0.1 % of loading, 1e-4 pu."""
SENSITIVITY_TOLERANCE = 0.01
"""By which share a sensitivity may differ."""


class FalseAssessment(FlexledgerError):
    """A technical outcome that breaks a rule, or isn't as good as it must be."""

    def __init__(self, what: str) -> None:
        super().__init__(f"technical outcome: {what}")


@dataclass(frozen=True, order=True)
class _Worth:
    """What a W of a quantity does to the element that refuses it, as a share of the tolerance."""

    share: float
    slot: int
    element: str


def require_as_good(
    case: Case, own: Assessment, market: ListDocument, grid_model: bytes, posted: ListDocument
) -> None:
    """Raise FalseAssessment unless a posted technical outcome of `market` is as good as our own assessment of `case`."""
    _Judging(case, own).require(_refusals(case, market, grid_model, posted))


def _refusals(case: Case, market: ListDocument, grid_model: bytes, posted: ListDocument) -> list[Refusal]:
    """What a posted technical outcome refuses. FalseAssessment where it isn't one of that market outcome, leaf for leaf."""
    records = posted.list_of(REFUSAL).records()
    notes = [_note(posted, name, len(records)) for name in (ELEMENTS_NOTE, SLOTS_NOTE, SENSITIVITIES_NOTE)]
    elements = {element.key: element for element in case.watch.elements}
    refusals = []
    for position, (record, key, slot, sensitivity) in enumerate(zip(records, *notes, strict=True)):
        entry = record.integer("byRequestPosition")
        if entry >= len(case.items) or not 0 < record.integer("refusedW") <= case.items[entry].accepted_w:
            raise FalseAssessment(f"refusal {position}: isn't of what the market accepted")
        is_named = isinstance(key, str) and key in elements
        if not is_named or not isinstance(slot, int) or not isinstance(sensitivity, int):
            raise FalseAssessment(f"refusal {position}: names no element, slot and sensitivity of the grid")
        refusals.append(
            Refusal(
                case.items[entry],
                record.integer("refusedW"),
                elements[str(key)],
                record.integer("margin"),
                slot,
                sensitivity,
            )
        )
    again = technical_outcome(Assessment((), tuple(refusals)), market, grid_model, posted.author)
    if again.list_of(REFUSAL).root != posted.list_of(REFUSAL).root:
        raise FalseAssessment("its leaves aren't those of what it refuses, in order and with their sums")
    return refusals


def _note(posted: ListDocument, name: str, length: int) -> list[object]:
    found = posted.notes.get(name, [])
    if not isinstance(found, list) or len(found) != length:
        raise FalseAssessment(f"its notes must hold {name} for each of its {length} refusals")
    return found


class _Judging:
    """A case and our own assessment of it."""

    def __init__(self, case: Case, own: Assessment) -> None:
        self._case, self._own = case, own
        self._place = {item.priority: index for index, item in enumerate(case.items)}
        units = [TOLERANCE_UNITS[each.unit] / each.in_units(1.0) for each in case.watch.elements]
        self._tolerance: Floats = np.array(units)
        self._whole = case.part(slice(0, case.slots), np.arange(len(case.accepted_w)))

    def require(self, refusals: list[Refusal]) -> None:
        """FalseAssessment at the first rule that they break."""
        allowed_w = self._allowed_w(refusals)
        self._require_admissible(allowed_w)
        worth = self._require_needed(allowed_w, refusals)
        self._require_priority(allowed_w, worth)

    def _allowed_w(self, refusals: list[Refusal]) -> Integers:
        """What is left of each quantity."""
        case = self._case
        left_w = np.array([item.accepted_w for item in case.items], dtype=np.int64)
        for refusal in refusals:
            left_w[self._place[refusal.item.priority]] -= refusal.refused_w
        allowed_w = np.zeros(len(case.accepted_w), dtype=np.int64)
        allowed_w[case.quantity_of] = left_w
        uneven = np.flatnonzero(allowed_w[case.quantity_of] != left_w)
        if len(uneven):
            raise FalseAssessment(
                f"entry {case.items[int(uneven[0])].priority}: its block is refused unevenly"
            )
        wrong = np.flatnonzero((allowed_w > 0) & (allowed_w < case.least_w))
        if len(wrong):
            raise FalseAssessment(f"{self._named(int(wrong[0]))}: less than its minimum is left")
        return allowed_w

    def _require_admissible(self, allowed_w: Integers) -> None:
        over = self._case.values(allowed_w) - self._case.ceilings - self._tolerance
        if (over > 0).any():
            slot, column = divmod(int(np.argmax(over)), over.shape[1])
            raise FalseAssessment(f"{self._case.watch.elements[column].key} would be passed in slot {slot}")

    def _require_needed(self, allowed_w: Integers, refusals: list[Refusal]) -> dict[int, _Worth]:
        """By quantity refused, what a W of it is worth."""
        case = self._case
        now = case.values(allowed_w) - case.ceilings
        named: dict[int, list[Refusal]] = {}
        for refusal in refusals:
            named.setdefault(self._quantity_of(refusal), []).append(refusal)
        refused = np.array(sorted(named), dtype=np.int64)
        least_w = least_more_w(case.accepted_w, case.least_w, allowed_w)

        def fits(more: More) -> bool:
            asked_w = int(least_w[more.quantity])
            return more.more_w == asked_w and bool((more.excess < -self._tolerance).all())

        for quantity, is_needless in look_at_more(
            self._whole, allowed_w, refused, least_w[refused], fits
        ).items():
            if is_needless:
                raise FalseAssessment(f"{self._named(quantity)}: more of it would fit")

        def judge(missing: More) -> _Worth:
            return max(self._worth(missing, refusal, now) for refusal in named[missing.quantity])

        missing_w = (case.accepted_w - allowed_w)[refused]
        return look_at_more(self._whole, allowed_w, refused, missing_w, judge)

    def _worth(self, missing: More, refusal: Refusal, now: Floats) -> _Worth:
        """What a W is worth. FalseAssessment unless a refusal says rightly by how much all of it would pass its element,
        and what it does to it."""
        where, element = self._named(missing.quantity), refusal.element
        rows = np.flatnonzero(missing.slots == refusal.slot)
        columns = [index for index, each in enumerate(self._case.watch.elements) if each.key == element.key]
        if not len(rows):
            raise FalseAssessment(f"{where}: does nothing in slot {refusal.slot}")
        row = int(rows[0])
        column = max(columns, key=lambda each: float(missing.excess[row, each]))
        excess = float(missing.excess[row, column])
        tolerance = float(self._tolerance[column])
        if excess < -tolerance:
            raise FalseAssessment(f"{where}: wouldn't pass {element.key} in slot {refusal.slot}")
        margin = max(1, element.in_units(excess))
        if abs(margin - refusal.margin) > TOLERANCE_UNITS[element.unit]:
            raise FalseAssessment(f"{where}: margin {refusal.margin}, where all of it gives {margin}")
        sensitivity = element.in_units(float(missing.slope[row, column]) * W_PER_MW)
        if abs(sensitivity - refusal.sensitivity) > max(1.0, SENSITIVITY_TOLERANCE * abs(sensitivity)):
            raise FalseAssessment(f"{where}: sensitivity {refusal.sensitivity}, where it is {sensitivity}")
        rise = excess - float(now[refusal.slot, column])
        share = rise / tolerance / missing.more_w if rise > 0 else float("inf")
        return _Worth(share, refusal.slot, element.key)

    def _require_priority(self, allowed_w: Integers, worth: dict[int, _Worth]) -> None:
        """FalseAssessment where some are left with less than by our own assessment, together by more than the tolerance is
        worth at their element, and nobody before them with more."""
        case = self._case
        own_w = np.zeros(len(case.accepted_w), dtype=np.int64)
        own_w[case.quantity_of] = np.array(self._own.allowed_w, dtype=np.int64)
        own_slack_w = {
            self._quantity_of(refusal): W_PER_MW
            * TOLERANCE_UNITS[refusal.unit]
            / max(1, abs(refusal.sensitivity))
            for refusal in self._own.refusals
        }
        run = np.searchsorted(case.joined_until, case.first_slots, side="right")
        is_better: set[int] = set()
        lost: dict[tuple[int, str], float] = {}
        for quantity in np.flatnonzero(allowed_w != own_w).tolist():
            more_w = int(allowed_w[quantity] - own_w[quantity])
            if more_w > own_slack_w.get(quantity, 0.0):
                is_better.add(int(run[quantity]))
            elif more_w < -1 and int(run[quantity]) not in is_better:
                of_one = worth[quantity]
                place = of_one.slot, of_one.element
                lost[place] = lost.get(place, 0.0) - (more_w + 1) * of_one.share
                if lost[place] > 1:
                    raise FalseAssessment(
                        f"{self._named(quantity)}: {allowed_w[quantity]} W are left, where {own_w[quantity]} W are possible"
                    )

    def _quantity_of(self, refusal: Refusal) -> int:
        return int(self._case.quantity_of[self._place[refusal.item.priority]])

    def _named(self, quantity: int) -> str:
        first = int(np.argmax(self._case.quantity_of == quantity))
        return f"entry {self._case.items[first].priority}"
