"""What the day came to, read back from chain, documents and meters: the figures of the table, report and summary."""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt

from offchain.protocol.products import OfferStatus, Product

WH_PER_W_SLOT = 4
"""A W kept up for a slot is a quarter of a Wh."""


@dataclass(frozen=True)
class GridDay:
    """A grid over the day's slots: worst loading (%) of any line or transformer, highest and lowest voltage (pu).

    `violated`: per slot, how many limits are passed. Arrays of shape (slots,).
    """

    loading_percent: npt.NDArray[np.float64]
    vm_max_pu: npt.NDArray[np.float64]
    vm_min_pu: npt.NDArray[np.float64]
    violated: npt.NDArray[np.int64]

    @property
    def violations(self) -> int:
        """Limits passed, over all slots."""
        return int(self.violated.sum())


@dataclass(frozen=True)
class OfferFigure:
    """An offer of the busiest slot, for the merit order: how much, at which delivered price, and how much was taken."""

    delivered_ueur_per_kw: int
    power_w: int
    accepted_w: int
    aggregator: str


@dataclass(frozen=True)
class PodFigure:
    """A PoD over the day: baseline, measured and ordered net power in W, one per slot."""

    pod_id: str
    behaviour: str
    baseline_w: list[int]
    measured_w: list[int]
    set_point_w: list[int | None]


@dataclass(frozen=True)
class MoneyFigure:
    """What an aggregator was paid and penalised in µ€, and what its customers earned in token units."""

    paid_ueur: int = 0
    penalised_ueur: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class MeansFigures:
    """The DSO's own means for a session: violations on the forecast without them, the plans found, how many of the violations
    the best one removes and by which actions, and whether it was taken."""

    session: int
    violations: int
    plans: int
    removed: int
    actions: list[str]
    taken: bool

    @property
    def told(self) -> str:
        """In a line."""
        if not self.violations:
            return "not needed"
        if not self.plans:
            return (
                f"nothing to switch or tap removes any of {self.violations} violations; the market is asked"
            )
        then = "taken" if self.taken else "declined, the market is asked"
        return (
            f"{', '.join(self.actions)} removes {self.removed} of {self.violations} violations"
            f" (the best of {self.plans} plans): {then}"
        )


@dataclass(frozen=True)
class RealTimeFigures:
    """What a real-time session came to: violations on the forecast with what was sold day ahead, and as measured."""

    session: int
    before_summary: list[str]
    after_summary: list[str]
    accepted_wh: int
    paid_ueur: int


@dataclass(frozen=True)
class DayFigures:
    """All figures of a demo day."""

    grid: str
    day: str
    session: int
    pods: int
    limits: dict[str, float]
    before: GridDay
    after: GridDay
    before_summary: list[str]
    after_summary: list[str]
    requested_wh: dict[str, int]
    offered_wh: int
    accepted_wh: dict[str, int]
    statuses: Counter[OfferStatus]
    delivered_wh: int
    money: dict[str, MoneyFigure]
    deliveries: Counter[str]
    readings: int
    anchored_batches: int
    gas: dict[str, list[int]]
    seconds: dict[str, float]
    kpis: dict[str, float | None]
    merit_order: list[OfferFigure] = field(repr=False)
    merit_order_slot: int
    merit_order_needed_w: int
    shown_pods: list[PodFigure] = field(repr=False)
    real_time: RealTimeFigures
    own_means: list[MeansFigures]

    @property
    def refused(self) -> dict[str, int]:
        """Offers not accepted at all, by reason."""
        taken = (OfferStatus.ACCEPTED, OfferStatus.PARTLY_ACCEPTED)
        return {status.name: count for status, count in sorted(self.statuses.items()) if status not in taken}

    def summary(self) -> dict[str, object]:
        """The content of summary.json."""
        return {
            "grid": self.grid,
            "day": self.day,
            "sessions": [self.session, self.real_time.session],
            "pods": self.pods,
            "own_means": [asdict(each) for each in self.own_means],
            "violations_before": self.before.violations,
            "violations_after": self.after.violations,
            "requested_wh": sum(self.requested_wh.values()),
            "offered_wh": self.offered_wh,
            "accepted_wh": sum(self.accepted_wh.values()),
            "refused": self.refused,
            "delivered_wh": self.delivered_wh,
            "paid_ueur": sum(entry.paid_ueur for entry in self.money.values()),
            "penalised_ueur": sum(entry.penalised_ueur for entry in self.money.values()),
            "tokens": {name: entry.tokens for name, entry in self.money.items()},
            "readings": self.readings,
            "anchored_batches": self.anchored_batches,
            "gas": {
                name: {"count": len(used), "least": min(used), "most": max(used), "total": sum(used)}
                for name, used in self.gas.items()
            },
            "real_time": {
                "violations_before": self.real_time.before_summary,
                "violations_after": self.real_time.after_summary,
                "accepted_wh": self.real_time.accepted_wh,
                "paid_ueur": self.real_time.paid_ueur,
            },
            "kpis": self.kpis,
            "seconds": {name: round(spent, 1) for name, spent in self.seconds.items()},
        }


def by_slot(amounts: list[tuple[int, Product, int]], product_up: bool) -> dict[int, int]:
    """Sum of W by slot of (slot, product, W), of one direction."""
    out: dict[int, int] = defaultdict(int)
    for slot, product, power_w in amounts:
        if (product.sign > 0) == product_up:
            out[slot] += power_w
    return dict(out)
