"""Outcomes: what was matched, what the DSO accepts, what holds (D2.3 Tables 9 to 17).

Powers are signed as in services: positive is up, negative is down.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from offchain.protocol.documents.base import Eur, Identifier, Kw, Whole, broken_rule, build
from offchain.protocol.documents.time_frame import (
    LONGEST_FRAME,
    IndexedPower,
    MarketType,
    PodPowers,
    ServiceType,
    TimeFramed,
    frame_values,
    into_objects,
    signed_kw,
)
from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import Window
from offchain.protocol.products import OfferStatus, Product
from offchain.protocol.units import ueur_to_eur


class Acceptance(StrEnum):
    """Whether the DSO accepted any of a power."""

    OK = "OK"
    KO = "KO"


class Rejection(StrEnum):
    """Why a power was rejected: by the DSO, or by the market."""

    TECHNICAL = "TEC"
    MARKET = "COM"


@dataclass(frozen=True, order=True)
class MatchedRow:
    """W (var) of a product matched at a PoD in a slot; the first in order of merit has priority 1."""

    pod: str
    slot: int
    product: Product
    matched_w: int
    priority: int


@dataclass(frozen=True, order=True)
class AcceptedRow:
    """W (var) of a matched quantity that the DSO accepted; 0: none of it."""

    pod: str
    slot: int
    product: Product
    accepted_w: int


@dataclass(frozen=True)
class ValidatedRow:
    """W (var) of an offer that holds, at µ€ per kW (kvar) and slot; or 0 and why it was rejected."""

    pod: str
    slot: int
    product: Product
    accepted_w: int
    price_ueur_per_kw: int
    rejection: Rejection | None
    player_service_id: str | None


class MatchedPower(IndexedPower):
    """Table 11."""

    p: Kw | None = None
    priority_p: Annotated[Whole, Field(ge=1)] | None = None
    q: Kw | None = None
    priority_q: Annotated[Whole, Field(ge=1)] | None = None


class MatchedFlexibility(PodPowers):
    """Table 10."""

    power: Annotated[tuple[MatchedPower, ...], Field(max_length=LONGEST_FRAME)]


class MarketOutcome(TimeFramed):
    """Table 9."""

    id: Identifier | None = Field(default=None, alias="_id")
    service_type: ServiceType | None = None
    market_type: MarketType
    market_session: Identifier
    flexibility: tuple[MatchedFlexibility, ...]


class AcceptedPower(IndexedPower):
    """Table 14: a value is null exactly where it says KO, or where there was nothing to say OK or KO to."""

    accepted_p_value: Kw | None = None
    accepted_q_value: Kw | None = None
    accepted_p: Acceptance | None = None
    accepted_q: Acceptance | None = None

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        for name, value, said in (
            ("acceptedPValue", self.accepted_p_value, self.accepted_p),
            ("acceptedQValue", self.accepted_q_value, self.accepted_q),
        ):
            if (value is not None) != (said is Acceptance.OK):
                raise broken_rule(name, value, "must be given exactly where the power is accepted (OK)")
        return self


class AcceptedFlexibility(PodPowers):
    """Table 13."""

    power: Annotated[tuple[AcceptedPower, ...], Field(max_length=LONGEST_FRAME)]


class TechnicalOutcome(TimeFramed):
    """Table 12."""

    market_outcome: Identifier
    flexibility: tuple[AcceptedFlexibility, ...]


class ValidatedPower(IndexedPower):
    """Table 17."""

    accepted_p_value: Kw | None = None
    accepted_p_price: Eur | None = None
    rejection_type_p: Rejection | None = None
    accepted_q_value: Kw | None = None
    accepted_q_price: Eur | None = None
    rejection_type_q: Rejection | None = None
    player_service_id: Identifier | None = None


class ValidatedFlexibility(PodPowers):
    """Table 16."""

    power: Annotated[tuple[ValidatedPower, ...], Field(max_length=LONGEST_FRAME)]


class ValidatedOutcome(TimeFramed):
    """Table 15, and beside it what stands in reserve: it moves only on an order, at its price."""

    service_type: ServiceType | None = None
    market_outcome: Identifier
    flexibility: tuple[ValidatedFlexibility, ...]
    reserve: tuple[ValidatedFlexibility, ...] = ()


def rejection_of(status: OfferStatus) -> Rejection | None:
    """What documents say of an offer's status: nothing where any of it was accepted."""
    if status in (OfferStatus.ACCEPTED, OfferStatus.PARTLY_ACCEPTED):
        return None
    return Rejection.TECHNICAL if status is OfferStatus.TEC else Rejection.MARKET


def market_outcome(
    outcome_id: str, market_session: str, market_type: MarketType, window: Window, rows: Sequence[MatchedRow]
) -> MarketOutcome:
    """Table 9 from integers. Raises InvalidInput."""
    flexibility = tuple(
        build(
            MatchedFlexibility,
            pod=members[0].pod,
            power=tuple(_matched(slot, list(cell.values())) for slot, cell in cells.items()),
        )
        for members, cells in into_objects(rows, lambda _: None)
    )
    return build(
        MarketOutcome,
        id=outcome_id,
        market_session=market_session,
        flexibility=flexibility,
        **frame_values(market_type, window),
    )


def technical_outcome(
    market_outcome_id: str, market_type: MarketType, window: Window, rows: Sequence[AcceptedRow]
) -> TechnicalOutcome:
    """Table 12 from integers. Raises InvalidInput."""
    flexibility = tuple(
        build(
            AcceptedFlexibility,
            pod=members[0].pod,
            power=tuple(_accepted(slot, list(cell.values())) for slot, cell in cells.items()),
        )
        for members, cells in into_objects(rows, lambda _: None)
    )
    return build(
        TechnicalOutcome,
        market_outcome=market_outcome_id,
        flexibility=flexibility,
        **frame_values(market_type, window),
    )


def validated_outcome(
    market_outcome_id: str,
    market_type: MarketType,
    window: Window,
    rows: Sequence[ValidatedRow],
    service_type: ServiceType | None = None,
    reserve: Sequence[ValidatedRow] = (),
) -> ValidatedOutcome:
    """Table 15 from integers; `service_type` says whose part of the outcome it is. Raises InvalidInput."""
    part: dict[str, object] = {} if service_type is None else {"service_type": service_type}
    if reserve:
        part["reserve"] = _validated_flexibility(reserve)
    return build(
        ValidatedOutcome,
        market_outcome=market_outcome_id,
        flexibility=_validated_flexibility(rows),
        **part,
        **frame_values(market_type, window),
    )


def _validated_flexibility(rows: Sequence[ValidatedRow]) -> tuple[ValidatedFlexibility, ...]:
    return tuple(
        build(
            ValidatedFlexibility,
            pod=members[0].pod,
            power=tuple(_validated(slot, list(cell.values())) for slot, cell in cells.items()),
        )
        for members, cells in into_objects(rows, lambda row: row.player_service_id)
    )


def _letter(product: Product) -> str:
    return "p" if product.is_active else "q"


def _matched(slot: int, rows: Sequence[MatchedRow]) -> MatchedPower:
    values: dict[str, object] = {"index": slot}
    for row in rows:
        values[_letter(row.product)] = signed_kw(row.product, row.matched_w)
        values[f"priority_{_letter(row.product)}"] = row.priority
    return build(MatchedPower, **values)


def _accepted(slot: int, rows: Sequence[AcceptedRow]) -> AcceptedPower:
    values: dict[str, object] = {"index": slot}
    for row in rows:
        name = f"accepted_{_letter(row.product)}"
        value = signed_kw(row.product, row.accepted_w)
        values[name] = Acceptance.OK if value else Acceptance.KO
        values[f"{name}_value"] = value or None
    return build(AcceptedPower, **values)


def _validated(slot: int, rows: Sequence[ValidatedRow]) -> ValidatedPower:
    values: dict[str, object] = {"index": slot}
    for row in rows:
        if (row.accepted_w == 0) != (row.rejection is not None):
            raise InvalidInput("rejection", row.rejection, "must be given exactly where nothing is accepted")
        letter = _letter(row.product)
        if row.rejection is None:
            values[f"accepted_{letter}_value"] = signed_kw(row.product, row.accepted_w)
            values[f"accepted_{letter}_price"] = ueur_to_eur(row.price_ueur_per_kw)
        else:
            values[f"rejection_type_{letter}"] = row.rejection
        if row.player_service_id is not None:
            values["player_service_id"] = row.player_service_id
    return build(ValidatedPower, **values)
