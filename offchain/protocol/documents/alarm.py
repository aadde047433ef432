"""Alarms as the DSO's platform gets them from the grid oracle: what its forecast of a session brings near a limit or beyond it.

Ours, so values are integers: milli-percent of the rating or micro-pu, times in Unix seconds.
"""

from typing import Literal

from offchain.protocol.documents.base import Document, Whole
from offchain.protocol.documents.light_node import Word

ProductName = Literal["activeUp", "activeDown", "reactiveUp", "reactiveDown"]


class HelpingPod(Document):
    """A PoD, by its pseudonym, and a product of which it could give so many W (var) in an alarm's worst slot. `sensitivity`: by how
    much that relieves the element for each MW (Mvar), in its unit; `effectiveness`: of that of the best PoD with this product, per
    mille."""

    pod: Word
    product: ProductName
    available: Whole
    sensitivity: Whole
    effectiveness: Whole


class HelpingTotal(Document):
    """How many PoDs could help with a product, and W (var) of them all."""

    product: ProductName
    pods: Whole
    available: Whole


class GridAlarm(Document):
    """An element in `slots` slots one after the other, from `first_slot` on; `value` is that of `worst_slot`. `unit`: as refusals
    have it. `helping`: where a limit is passed, the PoDs with most relief in the worst slot, first those with most; `helping_totals`
    counts all."""

    level: Literal["warning", "alarm", "critical"]
    type: Literal["congestion", "voltage"]
    element: str
    side: Literal["above", "below"]
    unit: Whole
    first_slot: Whole
    slots: Whole
    worst_slot: Whole
    value: Whole
    limit: Whole
    helping: tuple[HelpingPod, ...] = ()
    helping_totals: tuple[HelpingTotal, ...] = ()


class WatchedGridResults(Document):
    """What the forecast brings in a low-voltage grid that isn't in the anchored model, in the delivery window: `drawn_wh` from the
    grid above (negative: fed into it), losses, the highest loading of a branch (milli-percent) and the voltages' range (micro-pu).
    `unsolved_slots`: without a solution; the rest is of the others, and zeros where there are none."""

    name: str
    drawn_wh: Whole
    losses_wh: Whole
    highest_millipercent: Whole
    lowest_micro_pu: Whole
    highest_micro_pu: Whole
    unsolved_slots: tuple[Whole, ...]


class SessionAlarms(Document):
    """All alarms of a session's delivery window, the worst first, on the grid model (its hash in hex) that is anchored for it, and
    in `watched` grids below it, whose elements' names have the grid's before."""

    session: Whole
    delivery_start: Whole
    delivery_end: Whole
    grid_model: str
    alarms: tuple[GridAlarm, ...]
    watched: tuple[WatchedGridResults, ...] = ()
