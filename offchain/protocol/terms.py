"""What a session fixes at its creation, and what the registry says of a PoD: the facts that cores reckon with."""

from collections.abc import Sequence
from dataclasses import dataclass

from offchain.protocol.errors import InvalidInput
from offchain.protocol.products import Product, Side


@dataclass(frozen=True)
class SessionTerms:
    """A session as `MarketSessions.create` took it. Times in UTC Unix seconds; see IMarketSessions for each."""

    session: int
    gateOpening: int
    gateClosure: int
    revealDeadline: int
    bondPermille: int
    bondFloorUeur: int
    pausedBeforeS: int
    documentsDeadline: int
    marketOutcomeDeadline: int
    validatedOutcomeDeadline: int
    takeoverS: int
    outcomeBondPermille: int
    slots: int
    marketType: int
    method: int
    receipts: int
    baselineGate: int
    deliveryStart: int
    settlementDeadline: int
    challengeWindowS: int
    outcomeBondUeur: int
    tolerancePermille: int
    clearingOracle: str
    penaltyUeurPerKw: int
    demandWindowS: int
    gridOracle: str
    settlementOracle: str

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

    def slot_at(self, instant_s: int) -> int:
        """Number of the slot that starts at an instant, counted from the session's first: below 0 before it."""
        return (instant_s - self.deliveryStart) // SLOT_S

    def rests_on(self, ahead: "SessionTerms") -> bool:
        """Whether a day-ahead session's result can't change any more when this session's book is complete.

        Both market times stand still in a pause, so that the order of their deadlines is that of the terms.
        """
        fixed_s = ahead.validatedOutcomeDeadline - ahead.pausedBeforeS
        return fixed_s <= self.documentsDeadline - self.pausedBeforeS


SLOT_S = 900
"""Seconds of a slot: a quarter of an hour."""

ANYBODY = "0x" + "00" * 20
"""In place of a named oracle: whoever holds the role."""


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
    products: int
    """Mask of the products that it may be offered for: prequalified by grid and by product, and not suspended."""

    def may_offer(self, product: Product) -> bool:
        """Whether the PoD may be offered for a product."""
        return bool(self.products >> product & 1)

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
    """A document of the book: its number there, whose, on which side, the book's position of its first leaf, and how far
    collateral or escrow covers it (µ€)."""

    commitment: int
    player: str
    side: Side
    leaf_count: int
    first_position: int
    cap_ueur: int
    coverage_ueur: int


def request_owner(reveals: Sequence[Reveal], position: int) -> Reveal:
    """The document that holds the request leaf at a position of the book. Raises InvalidInput beyond the last."""
    for reveal in reveals:
        first = reveal.first_position
        if reveal.side is not Side.OFFER and first <= position < first + reveal.leaf_count:
            return reveal
    raise InvalidInput("requestPosition", position, "the book has no request leaf there")
