"""What is known of the past: mean net power of consecutive quarter-hours, with gaps where no reading came."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.terms import SLOT_S

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class History:
    """`power_w`: (slots, series), W or var, absorbed minus injected; NaN where no reading came.

    `start_s`: when the first quarter-hour starts, UTC Unix seconds.
    """

    start_s: int
    power_w: Floats

    def __post_init__(self) -> None:
        if self.start_s % SLOT_S:
            raise InvalidInput("history.start_s", self.start_s, f"must be a multiple of {SLOT_S}")
        if self.power_w.ndim != 2:
            raise InvalidInput("history.power_w", self.power_w.shape, "must be of shape (slots, series)")
        if np.isinf(self.power_w).any():
            raise InvalidInput("history.power_w", np.inf, "must be finite, or NaN where no reading came")

    @property
    def end_s(self) -> int:
        """When the last quarter-hour ends."""
        return self.start_s + len(self.power_w) * SLOT_S

    @property
    def series(self) -> int:
        """How many series it holds."""
        return int(self.power_w.shape[1])

    def until(self, instant_s: int) -> "History":
        """The quarter-hours that have ended by an instant: all that may be known then."""
        return History(self.start_s, self.power_w[: max(0, (instant_s - self.start_s) // SLOT_S)])

    def since(self, instant_s: int) -> "History":
        """The quarter-hours that start at an instant or later."""
        first = min(len(self.power_w), max(0, -((self.start_s - instant_s) // SLOT_S)))
        return History(self.start_s + first * SLOT_S, self.power_w[first:])

    def at(self, start_s: int, slots: int) -> Floats:
        """Readings of a window (slots, series); NaN where there are none."""
        out = np.full((slots, self.series), np.nan)
        first = (start_s - self.start_s) // SLOT_S
        low, high = max(0, first), min(len(self.power_w), first + slots)
        if low < high:
            out[low - first : high - first] = self.power_w[low:high]
        return out

    def summed(self, group_of_series: Sequence[int], groups: int) -> "History":
        """Sums of the series of each group (slots, groups): nodes from customers. A gap in one is a gap in the sum."""
        out = np.zeros((len(self.power_w), groups))
        for series, group in enumerate(group_of_series):
            out[:, group] += self.power_w[:, series]
        return History(self.start_s, out)

    def digest(self) -> bytes:
        """keccak256 of its start and readings: names what a model was trained with."""
        header = b"%d,%d,%d;" % (self.start_s, *self.power_w.shape)
        readings = np.where(np.isnan(self.power_w), np.nan, self.power_w)
        return keccak256(header + readings.astype("<f8").tobytes())


def mean_of_known(values: Floats, axis: int) -> Floats:
    """Mean of what isn't NaN; NaN where everything is."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def first_finite(*candidates: Floats) -> Floats:
    """The first that isn't NaN, place by place; the others must fit the first one's shape."""
    out = candidates[0]
    for candidate in candidates[1:]:
        out = np.where(np.isfinite(out), out, candidate)
    return out
