"""PoDs as aggregators register them (D2.3 Tables 2 to 4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from offchain.protocol.documents.base import (
    Document,
    Identifier,
    Kw,
    Moment,
    PodReference,
    PositiveKw,
    Whole,
    broken_rule,
    build,
)
from offchain.protocol.market_time import INTERVALS_PER_DAY
from offchain.protocol.units import QUARTER_HOUR_MINUTES, kw_to_w, w_to_kw

DAY_HOURS = 24


class FlexibilityType(StrEnum):
    """How the PoD's flexibility can be had."""

    CONTINUE = "continue"
    DISCRETE = "discrete"


class ActionType(StrEnum):
    """What is to be done with the PoD's registration."""

    ACTIVATE = "activate"
    MODIFY = "modify"
    DELETE = "delete"


@dataclass(frozen=True)
class BaselinePoint:
    """Net power (absorbed minus injected), W and var, of a typical quarter-hour: 0 to 95, by the clock."""

    interval: int
    power_w: int
    reactive_var: int


@dataclass(frozen=True)
class FlexibilityLimits:
    """Most that a PoD can give: W and var, none negative."""

    max_up_w: int
    max_down_w: int
    max_up_var: int
    max_down_var: int


def _only(wanted: int) -> AfterValidator:
    """A curve is of a typical day, in the market's intervals."""

    def check(value: int) -> int:
        if value != wanted:
            raise broken_rule("", value, f"must be {wanted}")
        return value

    return AfterValidator(check)


class CurvePoint(Document):
    """A point of a curve of Table 3."""

    index: Annotated[Whole, Field(ge=0, lt=INTERVALS_PER_DAY)]
    p: Kw
    q: Kw


Curve = Annotated[tuple[CurvePoint, ...], Field(max_length=INTERVALS_PER_DAY)]


class PowerBaselineCurves(Document):
    """Table 3: typical baselines of a PoD."""

    workday: Curve | None = Field(default=None, alias="Workday")
    saturday: Curve | None = Field(default=None, alias="Saturday")
    sunday: Curve | None = Field(default=None, alias="Sunday")

    @model_validator(mode="after")
    def _check_indices(self) -> Self:
        for name, curve in (("Workday", self.workday), ("Saturday", self.saturday), ("Sunday", self.sunday)):
            seen: set[int] = set()
            for place, point in enumerate(curve or ()):
                if point.index in seen:
                    raise broken_rule(f"{name}[{place}].index", point.index, "must stand once in its curve")
                seen.add(point.index)
        return self


class MaxFlexibility(Document):
    """Table 4: most flexibility of a PoD; down is given without a minus sign."""

    upper_p: PositiveKw | None = None
    down_p: PositiveKw | None = None
    upper_q: PositiveKw | None = None
    down_q: PositiveKw | None = None


class Pod(Document):
    """Table 2. `pnp`, `inp`: active power withdrawn, fed in; `inq`, `cinq`: inductive and capacitive."""

    pod_id: PodReference
    aggregator_id: Identifier
    zone: Annotated[str, StringConstraints(max_length=128)] | None = None
    po_m_id: Identifier | None = Field(default=None, alias="poMId")
    pnp: PositiveKw | None = None
    inp: PositiveKw | None = None
    inq: PositiveKw | None = None
    cinq: PositiveKw | None = None
    send_time: Moment | None = None
    validity_start: Moment | None = None
    flexibility_type: FlexibilityType | None = None
    action_type: ActionType | None = None
    smart_contract_id: Identifier | None = None
    power_curves_duration: Annotated[Whole, _only(DAY_HOURS)] = DAY_HOURS
    power_curve_interval: Annotated[Whole, _only(QUARTER_HOUR_MINUTES)] = QUARTER_HOUR_MINUTES
    power_baseline_curves: PowerBaselineCurves | None = None
    max_flexibility: MaxFlexibility | None = None


def baseline_points(curve: Sequence[CurvePoint]) -> tuple[BaselinePoint, ...]:
    """A typical day's baseline as integers, in the curve's order."""
    return tuple(
        BaselinePoint(point.index, kw_to_w(f"[{place}].p", point.p), kw_to_w(f"[{place}].q", point.q))
        for place, point in enumerate(curve)
    )


def curve_of(points: Sequence[BaselinePoint]) -> tuple[CurvePoint, ...]:
    """A curve of Table 3 from integers."""
    return tuple(
        build(CurvePoint, index=point.interval, p=w_to_kw(point.power_w), q=w_to_kw(point.reactive_var))
        for point in points
    )


def flexibility_limits(flexibility: MaxFlexibility) -> FlexibilityLimits:
    """A PoD's limits as integers; what isn't given is 0."""
    return FlexibilityLimits(
        kw_to_w("upperP", flexibility.upper_p or 0),
        kw_to_w("downP", flexibility.down_p or 0),
        kw_to_w("upperQ", flexibility.upper_q or 0),
        kw_to_w("downQ", flexibility.down_q or 0),
    )


def max_flexibility_of(limits: FlexibilityLimits) -> MaxFlexibility:
    """Table 4 from integers."""
    return build(
        MaxFlexibility,
        upper_p=w_to_kw(limits.max_up_w),
        down_p=w_to_kw(limits.max_down_w),
        upper_q=w_to_kw(limits.max_up_var),
        down_q=w_to_kw(limits.max_down_var),
    )
