"""What a PoD delivered in a slot: its baseline against its certified reading."""

from dataclasses import dataclass

from offchain.protocol.metering import Baselines, Readings
from offchain.protocol.products import DeliveryStatus, Product


@dataclass(frozen=True)
class Delivery:
    """Delivered W (var) of a product, never below 0, and what it was judged by."""

    delivered_w: int
    status: DeliveryStatus


def delivery(
    pod: bytes,
    slot: int,
    product: Product,
    baselines: Baselines,
    readings: Readings,
) -> Delivery:
    """Delivered amount: baseline minus net (up), the reverse (down); reactive alike, with var.

    Where two signed readings of a slot differ the lower delivery counts. Without a baseline nothing can have been
    delivered; without a reading nothing is.
    """
    baseline = baselines.get((pod, slot))
    nets = readings.get((pod, slot))
    if not nets:
        return Delivery(0, DeliveryStatus.NO_READING)
    if baseline is None:
        return Delivery(0, DeliveryStatus.MEASURED)
    moved = min(product.sign * (baseline.of(product) - net.of(product)) for net in nets)
    return Delivery(max(0, moved), DeliveryStatus.MEASURED)
