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


class SessionAlarms(Document):
    """All alarms of a session's delivery window, the worst first, on the grid model (its hash in hex) that is anchored for it."""

    session: Whole
    delivery_start: Whole
    delivery_end: Whole
    grid_model: str
    alarms: tuple[GridAlarm, ...]
