"""The small enumerations that leaves, contracts and documents share. Numbers are part of the format."""

from enum import IntEnum


class Product(IntEnum):
    """What a quantity of flexibility is: active or reactive power, up or down.

    Up is more generation or less demand (reactive: more var injected); down the reverse.
    The four are kept and summed apart, never netted.
    """

    ACTIVE_UP = 0
    ACTIVE_DOWN = 1
    REACTIVE_UP = 2
    REACTIVE_DOWN = 3

    @property
    def is_active(self) -> bool:
        """Active power (W), else reactive (var)."""
        return self in (Product.ACTIVE_UP, Product.ACTIVE_DOWN)

    @property
    def sign(self) -> int:
        """+1 for up, -1 for down."""
        return 1 if self in (Product.ACTIVE_UP, Product.REACTIVE_UP) else -1

    @property
    def opposite(self) -> "Product":
        """The same kind of power the other way."""
        return Product(self ^ 1)


class Side(IntEnum):
    """Which side of the book a commitment is on."""

    OFFER = 0
    DSO_REQUEST = 1
    TSO_REQUEST = 2


class OfferOption(IntEnum):
    """Bits of an offer leaf's `options`."""

    REAL_TIME = 1
    """Day-ahead: rolls over into real time if nothing of it is accepted. In real time: rolled over."""
    FLEXIBLE_BLOCK = 2


class ClearingMethod(IntEnum):
    """How a session is cleared and what is paid: the `method` of its terms."""

    PAY_AS_BID = 0
    """Price priority; each offer gets its own price."""
    PAY_AS_CLEAR = 1
    """Price priority; all offers of a request get the price of its dearest one, per relief."""
    EXACT = 2
    NSGA2 = 3


class OfferStatus(IntEnum):
    """What became of an offer, with the reason: the `status` of its leaf in the outcome by offer."""

    ACCEPTED = 0
    PARTLY_ACCEPTED = 1
    COM_DEARER = 2
    """Refused commercially: dearer than the last one accepted for the requests it could have served."""
    COM_NOT_NEEDED = 3
    """No request for this PoD, slot and product, or the request was served, or its price cap is lower."""
    COM_MINIMUM = 4
    """What was still needed was less than the offer's minimum acceptance."""
    COM_EXCLUDED = 5
    """Another offer of its exclusive group was taken, or the offer that it is linked to was not."""
    TEC = 6
    """Refused by the DSO: a refusal leaf names the element."""
    VOID = 7
    """The PoD is unknown, another aggregator's, or the leaf breaks the PoD's limits or the session's slots."""
    UNCOVERED = 8
    """The aggregator's free collateral doesn't cover the penalty for delivering none of it."""
    RESERVED = 9
    """Refused commercially by the requests, but picked for the reserve."""
    RESERVE_EXCLUDED = 10
    """Refused commercially by the requests; the reserve has taken its PoD to its limit, or the opposite way."""
    COM_SOLD = 11
    """In real time: what it could have served of its PoD was sold day ahead, for the same kind of power."""


class DeliveryStatus(IntEnum):
    """What a settlement leaf was judged by."""

    MEASURED = 0
    NO_READING = 1
    """No reading was anchored by the deadline: not paid, penalised."""
    EXCUSED = 2
    """No reading, and an anchored anomaly of broker, access layer or DSO covers the slot: not paid, not penalised."""


class MarginUnit(IntEnum):
    """Unit of a refusal's `margin`: how far the limit would have been passed."""

    LOADING_MILLIPERCENT = 0
    VOLTAGE_MICRO_PU = 1


class DemandedList(IntEnum):
    """Of which list a demanded leaf is (IDemands)."""

    BY_OFFER = 0
    BY_REQUEST = 1
    RESERVE = 2
    REFUSALS = 3
    SETTLEMENT = 4
    CLAIMS = 5
    DOCUMENT = 6
    PAIR = 7
    CLAIM_ENTRY = 8
