"""The indicators that a market day's data allow, with the formulas of D3.3's KPI sheets.

Amounts are W (var) by (PoD, slot) or by slot; results are ratios (1.0 is 100 %), None where the day has nothing to
divide by. Those of forecasts take a row a slot with a value a customer or asset, because they are reckoned over a year.
"""

from collections.abc import Mapping, Sequence
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


def customer_forecast_error(
    real_w: Sequence[Sequence[int | None]], forecast_w: Sequence[Sequence[int]]
) -> float | None:
    """KPI_IT_02: |real - forecast| / |real| of a customer's W (var), mean over the customers of a slot, then over the
    slots. Target at most 25 %.

    `real_w`, `forecast_w`: a row for each slot, a value for each customer. A customer whose real value is 0, or unknown
    (None), doesn't count in that slot, a slot without any customer not at all. The sheet's formula has no bars around
    the difference; without them errors of either sign would cancel out.
    """
    return _mean_relative_error(real_w, forecast_w)


def grid_forecast_error(
    real_w: Sequence[Sequence[int | None]], forecast_w: Sequence[Sequence[int]]
) -> float | None:
    """KPI_IT_03: as KPI_IT_02, of the power flow (W or VA) in assets of one category. Target at most 30 %."""
    return _mean_relative_error(real_w, forecast_w)


def _mean_relative_error(
    real: Sequence[Sequence[int | None]], forecast: Sequence[Sequence[int]]
) -> float | None:
    slots = []
    for reals, forecasts in zip(real, forecast, strict=True):
        errors = [abs(is_ - said) / abs(is_) for is_, said in zip(reals, forecasts, strict=True) if is_]
        if errors:
            slots.append(fmean(errors))
    return fmean(slots) if slots else None
