"""Alarms as the DSO's platform gets them from the grid oracle: what its forecast of a session brings near a limit or beyond it.

Ours, so values are integers: milli-percent of the rating or micro-pu, times in Unix seconds.
"""

from typing import Literal

from offchain.protocol.documents.base import Document, Whole


class GridAlarm(Document):
    """An element in `slots` slots one after the other, from `first_slot` on; `value` is that of `worst_slot`. `unit`: as refusals
    have it."""

    level: Literal["warning", "alarm", "critical"]
    element: str
    side: Literal["above", "below"]
    unit: Whole
    first_slot: Whole
    slots: Whole
    worst_slot: Whole
    value: Whole
    limit: Whole


class SessionAlarms(Document):
    """All alarms of a session's delivery window, the worst first, on the grid model (its hash in hex) that is anchored for it."""

    session: Whole
    delivery_start: Whole
    delivery_end: Whole
    grid_model: str
    alarms: tuple[GridAlarm, ...]
