"""Dispatch: from the validated outcome to set points per PoD, for the next four hours.

A set point is the net power (absorbed minus injected) that a PoD shall have: baseline minus what was accepted up,
plus what was accepted down. Reactive alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from offchain.protocol.products import Product

SLOTS_PER_ACTIVATION = 16
"""Quarter-hours of one activation: four hours (D3.3, Table 18)."""


@dataclass(frozen=True)
class AcceptedPower:
    """W (var) of a product accepted at a PoD in a slot, over all its offers."""

    pod: str
    slot: int
    product: Product
    accepted_w: int


@dataclass(frozen=True)
class SetPoint:
    """Net W and var that a PoD shall have in a slot."""

    slot: int
    power_w: int
    reactive_var: int


Baseline = Mapping[tuple[str, int], tuple[int, int]]
"""(PoD, slot) to net W and var."""


def set_points(
    accepted: Sequence[AcceptedPower],
    baseline: Baseline,
    standing: Mapping[tuple[str, int], SetPoint] | None = None,
) -> dict[str, list[SetPoint]]:
    """Set points by PoD, in order of slots, for the slots in which anything was accepted.

    `standing`: in real time, the day-ahead set points by PoD and slot. A kind of power that isn't moved now stays where they
    have it, so that the later of two set points of a slot says all that holds.
    """
    moved: dict[tuple[str, int], dict[bool, int]] = {}
    for entry in accepted:
        up = moved.setdefault((entry.pod, entry.slot), {})
        kind = entry.product.is_active
        up[kind] = up.get(kind, 0) + entry.product.sign * entry.accepted_w
    out: dict[str, list[SetPoint]] = {}
    for place, up in sorted(moved.items()):
        power_w, reactive_var = baseline[place]
        held = (standing or {}).get(place)
        if held is not None:
            power_w = power_w if True in up else held.power_w
            reactive_var = reactive_var if False in up else held.reactive_var
        pod, slot = place
        point = SetPoint(slot, power_w - up.get(True, 0), reactive_var - up.get(False, 0))
        out.setdefault(pod, []).append(point)
    return out


def by_activation(points: Sequence[SetPoint]) -> dict[int, list[SetPoint]]:
    """A PoD's set points by activation: four-hour blocks counted from the session's first slot."""
    out: dict[int, list[SetPoint]] = {}
    for point in points:
        out.setdefault(point.slot // SLOTS_PER_ACTIVATION, []).append(point)
    return out
