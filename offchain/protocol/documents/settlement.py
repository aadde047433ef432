"""Settlements (D2.3 Tables 24 to 26).

Powers are deviations, signed as in services: positive is up, negative is down.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from offchain.protocol.documents.base import Document, Eur, Identifier, Kw, build
from offchain.protocol.documents.time_frame import (
    LONGEST_FRAME,
    IndexedPower,
    MarketType,
    PodPowers,
    into_objects,
    signed_kw,
)
from offchain.protocol.products import Product
from offchain.protocol.units import ueur_to_eur


@dataclass(frozen=True)
class SettlementRow:
    """W (var) of a product requested of a PoD in a slot, and delivered; what that earns and costs in µ€."""

    pod: str
    slot: int
    product: Product
    requested_w: int
    delivered_w: int
    paid_ueur: int
    penalty_ueur: int
    request_player_id: str
    offer_player_id: str


class MeasuredPower(IndexedPower):
    """Table 26. `penalty` is the reactive power's: so the table names it."""

    requested_p: Kw | None = None
    measured_p: Kw | None = None
    paid_p: Eur | None = None
    penalty_p: Eur | None = None
    requested_q: Kw | None = None
    measured_q: Kw | None = None
    paid_q: Eur | None = None
    penalty: Eur | None = None
    request_player_id: Identifier | None = None
    offer_player_id: Identifier | None = None


class FlexibilitySettlement(PodPowers):
    """Table 25."""

    power: Annotated[tuple[MeasuredPower, ...], Field(max_length=LONGEST_FRAME)]


class Settlement(Document):
    """Table 24."""

    market_outcome_id: Identifier
    market_type: MarketType | None = None
    flexibility: tuple[FlexibilitySettlement, ...]


def settlement(market_outcome_id: str, market_type: MarketType, rows: Sequence[SettlementRow]) -> Settlement:
    """Table 24 from integers. Raises InvalidInput."""
    flexibility = tuple(
        build(
            FlexibilitySettlement,
            pod=members[0].pod,
            power=tuple(_measured(slot, list(cell.values())) for slot, cell in cells.items()),
        )
        for members, cells in into_objects(rows, lambda row: (row.request_player_id, row.offer_player_id))
    )
    return build(
        Settlement, market_outcome_id=market_outcome_id, market_type=market_type, flexibility=flexibility
    )


def _measured(slot: int, rows: Sequence[SettlementRow]) -> MeasuredPower:
    values: dict[str, object] = {
        "index": slot,
        "request_player_id": rows[0].request_player_id,
        "offer_player_id": rows[0].offer_player_id,
    }
    for row in rows:
        letter = "p" if row.product.is_active else "q"
        values[f"requested_{letter}"] = signed_kw(row.product, row.requested_w)
        values[f"measured_{letter}"] = signed_kw(row.product, row.delivered_w)
        values[f"paid_{letter}"] = ueur_to_eur(row.paid_ueur)
        values["penalty_p" if row.product.is_active else "penalty"] = ueur_to_eur(row.penalty_ueur)
    return build(MeasuredPower, **values)
