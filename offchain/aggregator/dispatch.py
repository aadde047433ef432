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


def set_points(accepted: Sequence[AcceptedPower], baseline: Baseline) -> dict[str, list[SetPoint]]:
    """Set points by PoD, in order of slots, for the slots in which anything was accepted."""
    moved: dict[tuple[str, int], list[int]] = {}
    for entry in accepted:
        place = moved.setdefault((entry.pod, entry.slot), [0, 0])
        place[0 if entry.product.is_active else 1] += entry.product.sign * entry.accepted_w
    out: dict[str, list[SetPoint]] = {}
    for (pod, slot), (up_w, up_var) in sorted(moved.items()):
        power_w, reactive_var = baseline[pod, slot]
        out.setdefault(pod, []).append(SetPoint(slot, power_w - up_w, reactive_var - up_var))
    return out


def by_activation(points: Sequence[SetPoint]) -> dict[int, list[SetPoint]]:
    """A PoD's set points by activation: four-hour blocks counted from the session's first slot."""
    out: dict[int, list[SetPoint]] = {}
    for point in points:
        out.setdefault(point.slot // SLOTS_PER_ACTIVATION, []).append(point)
    return out
