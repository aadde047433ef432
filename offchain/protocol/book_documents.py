"""Builders of the documents that players make: offers, requests and baselines, with positions and salts as they must be.

`salt_of(pod, position)` gives a leaf's salt; `offchain.protocol.pods` makes it from the PoD's key, so that erasing the
key erases the link. Leaves that name no PoD are salted by their author.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import BASELINE, EFFECTIVENESS, OFFER, REQUEST, Value
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.products import OfferOption, Product

PAYBACK_SLOTS = 8
"""Slots after an activation of which an offer states its payback: eight int32 in a word, the first slot first."""
CO2_NOTE = "co2GPerKwh"
"""In the notes of a document of offers: grams per kWh of each, by position, null where it states none."""
SaltOf = Callable[[bytes, int], bytes]


@dataclass(frozen=True)
class OfferEntry:
    """A quantity of a product at a PoD (its pseudonym). W or var; price in µ€ per kW (kvar) and slot.

    It runs for `duration_slots` from `slot`, or from where clearing puts it up to `last_slot`. At most one offer of an
    `exclusive_group` of the document is taken (0: none). `linked_to`: index in the document of an earlier offer that isn't
    linked itself, without which this one isn't taken. `payback_w`: W (positive: up; var
    for reactive products) in up to eight slots after the activation.
    `co2_g_per_kwh`: what each kWh of it emits, None where that isn't stated.
    """

    pod: bytes
    slot: int
    product: Product
    power_w: int
    price_ueur_per_kw: int
    min_power_w: int = 0
    real_time: bool = False
    last_slot: int | None = None
    duration_slots: int = 1
    exclusive_group: int = 0
    linked_to: int | None = None
    payback_w: tuple[int, ...] = ()
    co2_g_per_kwh: int | None = None

    @property
    def options(self) -> int:
        """Bits of OfferOption."""
        flexible = self.last_slot not in (None, self.slot)
        return (OfferOption.REAL_TIME if self.real_time else 0) | (
            OfferOption.FLEXIBLE_BLOCK if flexible else 0
        )


@dataclass(frozen=True)
class Relief:
    """Relief that an area needs in a slot: W at effectiveness 1000, and the most it may cost per kW at that, grid fees
    included."""

    slot: int
    relief_w: int
    price_cap_ueur_per_kw: int


@dataclass(frozen=True)
class Area:
    """What loads one element of the grid: the relief it needs, and the PoDs that can give it, per mille of each W.

    `grid_fees_ueur_per_kw`: by PoD, what moving a kW there costs in grid fees a slot, where it costs any.
    """

    element: bytes
    product: Product
    grid_model: bytes
    reliefs: Sequence[Relief]
    effectiveness: Sequence[tuple[bytes, int]]
    reserve_permille: int = 0
    availability_price_ueur_per_kw: int = 0
    grid_fees_ueur_per_kw: Mapping[bytes, int] = field(default_factory=dict)
    name: str = field(default="", compare=False)


@dataclass(frozen=True)
class BaselineEntry:
    """Net power (absorbed minus injected) that a PoD would have in a slot, W and var."""

    pod: bytes
    slot: int
    power_w: int
    reactive_var: int


def offers_document(session: int, author: str, offers: Sequence[OfferEntry], salt_of: SaltOf) -> ListDocument:
    """An aggregator's offers, in the order given; what they emit, where one of them states it, in the notes."""
    rows: list[Sequence[Value]] = [
        (
            position,
            len(offers),
            offer.pod,
            offer.slot,
            offer.slot if offer.last_slot is None else offer.last_slot,
            offer.duration_slots,
            int(offer.product),
            offer.power_w,
            offer.min_power_w,
            offer.price_ueur_per_kw,
            offer.exclusive_group,
            0 if offer.linked_to is None else offer.linked_to + 1,
            int(offer.options),
            _payback(offer.payback_w),
            salt_of(offer.pod, position),
        )
        for position, offer in enumerate(offers)
    ]
    stated = [offer.co2_g_per_kwh for offer in offers]
    notes: dict[str, object] = {CO2_NOTE: stated} if any(each is not None for each in stated) else {}
    return ListDocument(session, author, (LeafList.of_rows(OFFER, rows),), notes)


def payback_of(word: bytes) -> tuple[int, ...]:
    """W (positive: up) in each of the slots after an activation, from an offer leaf's `payback`."""
    return tuple(
        int.from_bytes(word[4 * slot : 4 * slot + 4], "big", signed=True) for slot in range(PAYBACK_SLOTS)
    )


def _payback(payback_w: Sequence[int]) -> bytes:
    if len(payback_w) > PAYBACK_SLOTS or any(not -(2**31) <= power_w < 2**31 for power_w in payback_w):
        raise InvalidInput("payback_w", list(payback_w), f"must be at most {PAYBACK_SLOTS} int32 of W")
    return b"".join(power_w.to_bytes(4, "big", signed=True) for power_w in payback_w).ljust(32, b"\0")


def request_document(session: int, author: str, areas: Sequence[Area], salt_of: SaltOf) -> ListDocument:
    """An operator's requests: first the relief of every area and slot, then the PoDs of every area."""
    needs = [(number, area, relief) for number, area in enumerate(areas) for relief in area.reliefs]
    effects = [
        (number, pod, permille, area.grid_fees_ueur_per_kw.get(pod, 0))
        for number, area in enumerate(areas)
        for pod, permille in area.effectiveness
    ]
    length = len(needs) + len(effects)
    request_rows: list[Sequence[Value]] = [
        (
            position,
            length,
            number,
            relief.slot,
            int(area.product),
            relief.relief_w,
            relief.price_cap_ueur_per_kw,
            area.reserve_permille,
            area.availability_price_ueur_per_kw,
            area.element,
            area.grid_model,
            salt_of(area.element, position),
        )
        for position, (number, area, relief) in enumerate(needs)
    ]
    effect_rows: list[Sequence[Value]] = [
        (position, length, number, pod, permille, fee, salt_of(pod, position))
        for position, (number, pod, permille, fee) in enumerate(effects, start=len(needs))
    ]
    names: dict[str, object] = {"areas": [area.name for area in areas]} if any(a.name for a in areas) else {}
    lists = (LeafList.of_rows(REQUEST, request_rows), LeafList.of_rows(EFFECTIVENESS, effect_rows))
    return ListDocument(session, author, lists, names)


def baseline_document(
    session: int, author: str, entries: Sequence[BaselineEntry], salt_of: SaltOf
) -> ListDocument:
    """An aggregator's baselines for a session, a leaf per PoD and slot."""
    rows: list[Sequence[Value]] = [
        (
            position,
            len(entries),
            entry.pod,
            entry.slot,
            entry.power_w,
            entry.reactive_var,
            salt_of(entry.pod, position),
        )
        for position, entry in enumerate(entries)
    ]
    return ListDocument(session, author, (LeafList.of_rows(BASELINE, rows),))
