"""Flexibility services: what aggregators offer and operators request (D2.3 Tables 6 to 8).

Powers are signed: positive is up, negative is down, zero says nothing. Prices are per kW (kvar) and interval;
where there is a power there must be its price (of a request: the most that it may cost).

The source calls `flexibleBlock` an object and says no more. Ours has `duration` (intervals, in a row),
`firstIndex` and `lastIndex` (the first and last interval that it may cover), `p` and `pPrice`: that power in
each of `duration` intervals, to be put anywhere between the two. It is offered beside what `power` says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import Field, StrictBool, model_validator

from offchain.protocol.documents.base import Document, Eur, Identifier, Kw, Whole, broken_rule, build
from offchain.protocol.documents.time_frame import (
    LONGEST_FRAME,
    IndexedPower,
    MarketType,
    PodPowers,
    ServiceType,
    TimeFramed,
    frame_values,
    into_objects,
    product_of,
    signed_kw,
)
from offchain.protocol.errors import InvalidInput
from offchain.protocol.market_time import Window
from offchain.protocol.products import Product
from offchain.protocol.units import eur_to_ueur, kw_to_w, ueur_to_eur


@dataclass(frozen=True, order=True)
class OfferEntry:
    """One offered quantity: W (var) of a product in `duration_slots` slots, at µ€ per kW (kvar) and slot.

    A single offer is of one slot, and `last_slot` is that slot. A flexible block may be put anywhere from
    `slot` on, as long as it doesn't reach beyond `last_slot`.
    """

    pod: str
    slot: int
    product: Product
    power_w: int
    price_ueur_per_kw: int
    real_time: bool
    duration_slots: int
    last_slot: int
    flexible_block: bool

    @classmethod
    def single(
        cls, pod: str, slot: int, product: Product, power_w: int, price_ueur_per_kw: int, *, real_time: bool
    ) -> "OfferEntry":
        """An offer of one slot."""
        return cls(pod, slot, product, power_w, price_ueur_per_kw, real_time, 1, slot, False)


@dataclass(frozen=True, order=True)
class RequestEntry:
    """One requested quantity: W (var) of a product in a slot, at most at that price per kW (kvar)."""

    pod: str
    slot: int
    product: Product
    power_w: int
    price_cap_ueur_per_kw: int


class FlexibleBlock(Document):
    """Our object for Table 7's `flexibleBlock`."""

    duration: Annotated[Whole, Field(ge=1, le=LONGEST_FRAME)]
    first_index: Annotated[Whole, Field(ge=0, lt=LONGEST_FRAME)]
    last_index: Annotated[Whole, Field(ge=0, lt=LONGEST_FRAME)]
    p: Kw
    p_price: Eur

    @model_validator(mode="after")
    def _check_fit(self) -> Self:
        if self.first_index + self.duration - 1 > self.last_index:
            rule = f"must leave room for {self.duration} intervals from {self.first_index} on"
            raise broken_rule("lastIndex", self.last_index, rule)
        if not self.p:
            raise broken_rule("p", self.p, "must not be 0: positive is up, negative is down")
        return self


class Power(IndexedPower):
    """Table 8."""

    p: Kw | None = None
    p_price: Eur | None = None
    q: Kw | None = None
    q_price: Eur | None = None

    @model_validator(mode="after")
    def _check_prices(self) -> Self:
        for name, power, price in (("pPrice", self.p, self.p_price), ("qPrice", self.q, self.q_price)):
            if power and price is None:
                raise broken_rule(name, None, f"is required where {name[0]} isn't 0")
        return self


class Flexibility(PodPowers):
    """Table 7."""

    real_time: StrictBool = False
    flexible_block: FlexibleBlock | None = None
    power: Annotated[tuple[Power, ...], Field(max_length=LONGEST_FRAME)]


class FlexibilityService(TimeFramed):
    """Table 6."""

    player_id: Identifier
    service_type: ServiceType | None = None
    market_type: MarketType
    market_session: Identifier | None = None
    player_service_id: Identifier
    flexibility: Annotated[tuple[Flexibility, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check_service(self) -> Self:
        for place, entry in enumerate(self.flexibility):
            block, where = entry.flexible_block, f"flexibility[{place}]"
            if block is not None and block.last_index >= self.slots:
                rule = f"the time frame has intervals 0 to {self.slots - 1}"
                raise broken_rule(f"{where}.flexibleBlock.lastIndex", block.last_index, rule)
            if self.service_type in (ServiceType.DSO_REQUEST, ServiceType.TSO_REQUEST):
                if block is not None:
                    raise broken_rule(f"{where}.flexibleBlock", "given", "is for offers only")
                if entry.real_time:
                    raise broken_rule(f"{where}.realTime", True, "is for offers only")
        return self


def offer_entries(service: FlexibilityService) -> tuple[OfferEntry, ...]:
    """All offered quantities, in the document's order, a PoD's block after its single ones.

    Raises InvalidInput unless the service is an offer.
    """
    if service.service_type is not ServiceType.OFFER:
        raise InvalidInput("serviceType", service.service_type, f"must be {ServiceType.OFFER}")
    entries = []
    for place, flexibility in enumerate(service.flexibility):
        for slot, product, power_w, price in _quantities(flexibility, f"flexibility[{place}]"):
            entries.append(
                OfferEntry.single(
                    flexibility.pod, slot, product, power_w, price, real_time=flexibility.real_time
                )
            )
        block = flexibility.flexible_block
        if block is not None:
            where = f"flexibility[{place}].flexibleBlock"
            power_w = kw_to_w(f"{where}.p", block.p)
            entries.append(
                OfferEntry(
                    flexibility.pod,
                    block.first_index,
                    product_of(power_w, active=True),
                    abs(power_w),
                    eur_to_ueur(f"{where}.pPrice", block.p_price),
                    flexibility.real_time,
                    block.duration,
                    block.last_index,
                    True,
                )
            )
    return tuple(entries)


def request_entries(service: FlexibilityService) -> tuple[RequestEntry, ...]:
    """All requested quantities, in the document's order.

    Raises InvalidInput unless the service is a DSO's or TSO's request.
    """
    if service.service_type not in (ServiceType.DSO_REQUEST, ServiceType.TSO_REQUEST):
        rule = f"must be {ServiceType.DSO_REQUEST} or {ServiceType.TSO_REQUEST}"
        raise InvalidInput("serviceType", service.service_type, rule)
    return tuple(
        RequestEntry(flexibility.pod, slot, product, power_w, price)
        for place, flexibility in enumerate(service.flexibility)
        for slot, product, power_w, price in _quantities(flexibility, f"flexibility[{place}]")
    )


def offer_service(
    player_id: str,
    player_service_id: str,
    market_type: MarketType,
    window: Window,
    entries: Sequence[OfferEntry],
) -> FlexibilityService:
    """An aggregator's offer from integers.

    Raises InvalidInput for what no document can say, such as a reactive block.
    """
    single = [entry for entry in entries if not entry.flexible_block]
    for entry in single:
        if (entry.duration_slots, entry.last_slot) != (1, entry.slot):
            shown = f"{entry.duration_slots} slots up to {entry.last_slot}"
            raise InvalidInput("duration_slots", shown, "must be one slot, or a flexible block")
    flexibility = [
        build(
            Flexibility,
            pod=rows[0].pod,
            real_time=rows[0].real_time,
            power=tuple(
                _power(slot, [(row.product, row.power_w, row.price_ueur_per_kw) for row in cell.values()])
                for slot, cell in cells.items()
            ),
        )
        for rows, cells in into_objects(single, lambda row: row.real_time)
    ]
    flexibility += [_block_of(entry) for entry in entries if entry.flexible_block]
    return build(
        FlexibilityService,
        player_id=player_id,
        service_type=ServiceType.OFFER,
        player_service_id=player_service_id,
        flexibility=tuple(flexibility),
        **frame_values(market_type, window),
    )


def request_service(
    player_id: str,
    player_service_id: str,
    service_type: ServiceType,
    market_type: MarketType,
    window: Window,
    entries: Sequence[RequestEntry],
) -> FlexibilityService:
    """A DSO's or TSO's request from integers. Raises InvalidInput."""
    flexibility = tuple(
        build(
            Flexibility,
            pod=rows[0].pod,
            power=tuple(
                _power(slot, [(row.product, row.power_w, row.price_cap_ueur_per_kw) for row in cell.values()])
                for slot, cell in cells.items()
            ),
        )
        for rows, cells in into_objects(entries, lambda _: None)
    )
    return build(
        FlexibilityService,
        player_id=player_id,
        service_type=service_type,
        player_service_id=player_service_id,
        flexibility=flexibility,
        **frame_values(market_type, window),
    )


def _quantities(flexibility: Flexibility, where: str) -> Iterator[tuple[int, Product, int, int]]:
    """(slot, product, W or var, price in µ€) of everything in `power` that isn't 0."""
    for place, power in enumerate(flexibility.power):
        at = f"{where}.power[{place}]"
        for name, amount, price, active in (
            ("p", power.p, power.p_price, True),
            ("q", power.q, power.q_price, False),
        ):
            if amount and price is not None:
                power_w = kw_to_w(f"{at}.{name}", amount)
                price_ueur = eur_to_ueur(f"{at}.{name}Price", price)
                yield power.index, product_of(power_w, active=active), abs(power_w), price_ueur


def _power(slot: int, amounts: Sequence[tuple[Product, int, int]]) -> Power:
    values: dict[str, object] = {"index": slot}
    for product, power_w, price_ueur in amounts:
        if power_w == 0:
            raise InvalidInput("power_w", power_w, "must not be 0")
        name = "p" if product.is_active else "q"
        values[name] = signed_kw(product, power_w)
        values[f"{name}_price"] = ueur_to_eur(price_ueur)
    return build(Power, **values)


def _block_of(entry: OfferEntry) -> Flexibility:
    if not entry.product.is_active:
        raise InvalidInput("product", entry.product.name, "a flexible block is of active power")
    block = build(
        FlexibleBlock,
        duration=entry.duration_slots,
        first_index=entry.slot,
        last_index=entry.last_slot,
        p=signed_kw(entry.product, entry.power_w),
        p_price=ueur_to_eur(entry.price_ueur_per_kw),
    )
    return build(Flexibility, pod=entry.pod, real_time=entry.real_time, flexible_block=block, power=())
