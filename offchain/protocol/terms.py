"""What a session fixes at its creation, and what the registry says of a PoD: the facts that cores reckon with."""

from collections.abc import Sequence
from dataclasses import dataclass

from offchain.protocol.errors import InvalidInput
from offchain.protocol.products import Product, Side


@dataclass(frozen=True)
class SessionTerms:
    """A session as `MarketSessions.create` took it. Times in UTC Unix seconds; see IMarketSessions for each."""

    session: int
    marketType: int
    deliveryStart: int
    slots: int
    baselineGate: int
    gateOpening: int
    gateClosure: int
    revealDeadline: int
    documentsDeadline: int
    marketOutcomeDeadline: int
    validatedOutcomeDeadline: int
    settlementDeadline: int
    challengeWindowS: int
    penaltyUeurPerKw: int
    tolerancePermille: int
    bondPermille: int
    bondFloorUeur: int
    outcomeBondUeur: int

    @property
    def delivery_end_s(self) -> int:
        """When the last slot ends."""
        return self.deliveryStart + self.slots * SLOT_S

    @property
    def readings_deadline_s(self) -> int:
        """Until when readings count: half-way between the end of delivery and the settlement's deadline."""
        return self.delivery_end_s + (self.settlementDeadline - self.delivery_end_s) // 2

    def slot_start_s(self, slot: int) -> int:
        """When a slot starts."""
        return self.deliveryStart + slot * SLOT_S


SLOT_S = 900
"""Seconds of a slot: a quarter of an hour."""


@dataclass(frozen=True)
class PodFacts:
    """What the PoD registry says of a PoD: who may offer it and how much of each product at most (W or var)."""

    aggregator: str
    customer: str
    node: str
    mechanism: str
    max_up_w: int
    max_down_w: int
    max_up_var: int
    max_down_var: int

    def limit_w(self, product: Product) -> int:
        """Most that the PoD can give of a product, in W or var."""
        return {
            Product.ACTIVE_UP: self.max_up_w,
            Product.ACTIVE_DOWN: self.max_down_w,
            Product.REACTIVE_UP: self.max_up_var,
            Product.REACTIVE_DOWN: self.max_down_var,
        }[product]


@dataclass(frozen=True)
class Reveal:
    """A revealed commitment: whose, on which side, and how far collateral or escrow covers it (µ€)."""

    commitment: int
    player: str
    side: Side
    leaf_count: int
    cap_ueur: int
    coverage_ueur: int


def request_owner(reveals: Sequence[Reveal], position: int) -> Reveal:
    """The reveal whose document holds the request leaf at a position of the book.

    Positions count over the request documents in order of their commitments. Raises InvalidInput beyond the last.
    """
    first = 0
    for reveal in sorted(reveals, key=lambda entry: entry.commitment):
        if reveal.side is Side.OFFER:
            continue
        if first <= position < first + reveal.leaf_count:
            return reveal
        first += reveal.leaf_count
    raise InvalidInput(
        "requestPosition", position, f"must be below {first}: the book has no more request leaves"
    )
