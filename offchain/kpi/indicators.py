"""The indicators that a market day's data allow, with the formulas of D3.3's KPI sheets.

Amounts are W (var) by (PoD, slot) or by slot; results are ratios (1.0 is 100 %), None where the day has nothing to
divide by.
"""

from collections.abc import Mapping
from statistics import fmean

PodSlot = tuple[bytes, int]


def flexibility_availability(
    available_w: Mapping[PodSlot, int], baseline_w: Mapping[PodSlot, int], slots: int
) -> float | None:
    """KPI_PR_03, one direction: mean over the slots of the sum made available over the sum of the baselines.

    N are the PoDs that made flexibility available at all; a slot whose baselines sum to nothing counts as 0. Target
    20 %.
    """
    pods = {pod for pod, _ in available_w}
    if not pods or not slots:
        return None
    ratios = []
    for slot in range(slots):
        base = sum(abs(baseline_w.get((pod, slot), 0)) for pod in pods)
        offered = sum(abs(available_w.get((pod, slot), 0)) for pod in pods)
        ratios.append(offered / base if base else 0.0)
    return fmean(ratios)


def flexibility_effectiveness(
    provided_w: Mapping[PodSlot, int], set_point_w: Mapping[PodSlot, int]
) -> float | None:
    """KPI_PR_04: provided over set point, mean over the PoDs of a slot, then over the slots. Target 70 %.

    `set_point_w`: the change that was ordered; slots in which nothing was ordered don't count.
    """
    by_slot: dict[int, list[float]] = {}
    for (pod, slot), ordered in set_point_w.items():
        if ordered:
            by_slot.setdefault(slot, []).append(abs(provided_w.get((pod, slot), 0)) / abs(ordered))
    return fmean(fmean(ratios) for ratios in by_slot.values()) if by_slot else None


def market_liquidity(offered_w: Mapping[int, int], requested_w: Mapping[int, int]) -> float | None:
    """KPI_IT_01, one direction: mean over the slots with a request of offered over requested. Target above 150 %."""
    ratios = [offered_w.get(slot, 0) / requested for slot, requested in requested_w.items() if requested]
    return fmean(ratios) if ratios else None
