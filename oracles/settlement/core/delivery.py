"""What a PoD delivered in a slot: its baseline against its certified reading."""

from dataclasses import dataclass

from offchain.protocol.metering import Anchored, Baselines, Readings
from offchain.protocol.products import DeliveryStatus, Product


@dataclass(frozen=True)
class Delivery:
    """Delivered W (var) of a product, never below 0, and the anchored leaves by which it was judged."""

    delivered_w: int
    status: DeliveryStatus
    baseline: Anchored | None
    reading: Anchored | None


def delivery(
    pod: bytes,
    slot: int,
    product: Product,
    baselines: Baselines,
    readings: Readings,
) -> Delivery:
    """Delivered amount: baseline minus net (up), the reverse (down); reactive alike, with var.

    Where signed readings of a slot differ the one with the lowest delivery counts, the first of those. Without a
    baseline nothing can have been delivered; without a reading nothing is.
    """
    baseline = baselines.get((pod, slot))
    found = readings.get((pod, slot))
    if not found:
        return Delivery(0, DeliveryStatus.NO_READING, baseline, None)
    if baseline is None:
        return Delivery(0, DeliveryStatus.MEASURED, None, found[0])
    reference = baseline.net.of(product)
    delivered = [max(0, product.sign * (reference - reading.net.of(product))) for reading in found]
    least = delivered.index(min(delivered))
    return Delivery(delivered[least], DeliveryStatus.MEASURED, baseline, found[least])
