"""What of an aggregator's day-ahead offers rolls over into a real-time session: offers marked `realTime` that weren't used."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from offchain.protocol.book_documents import OfferEntry, payback_of
from offchain.protocol.lists import Record
from offchain.protocol.products import OfferOption, Product
from offchain.protocol.real_time import SoldPlaces
from offchain.protocol.terms import SessionTerms


@dataclass(frozen=True)
class Leftover:
    """An offer of a day-ahead document, and how much of it was accepted (W)."""

    leaf: Record
    accepted_w: int


def rolled_over(
    leftovers: Sequence[Leftover],
    ahead: SessionTerms,
    terms: SessionTerms,
    sold: SoldPlaces,
    barred: Set[int] = frozenset(),
) -> list[OfferEntry]:
    """Offers of one day-ahead document that roll over, in its order, with slots of the real-time session.

    Those marked `realTime` of which, and of whose exclusive group, nothing was accepted; that lie in the session's window
    with all slots in which they may run, and have a place that wasn't sold; linked ones together with the offer that they
    are linked to. Power, minimum, price and payback stay. `barred`: positions of offers that may not be made any more.
    """
    taken_groups = {each.leaf.integer("exclusiveGroup") for each in leftovers if each.accepted_w}
    entries: list[OfferEntry] = []
    places: dict[int, int] = {}
    for position, each in enumerate(leftovers):
        leaf = each.leaf
        group, parent = leaf.integer("exclusiveGroup"), leaf.integer("linkedTo") - 1
        marked = bool(leaf.integer("options") & OfferOption.REAL_TIME)
        if not marked or each.accepted_w or (group and group in taken_groups) or position in barred:
            continue
        if parent >= 0 and parent not in places:
            continue
        entry = replace(_shifted(leaf, ahead, terms), linked_to=places.get(parent))
        if _fits(entry, terms, sold):
            places[position] = len(entries)
            entries.append(entry)
    return entries


def merged(documents: Sequence[Sequence[OfferEntry]]) -> list[OfferEntry]:
    """Offers of several documents as one's: links and exclusive groups stay each document's own."""
    out: list[OfferEntry] = []
    groups: dict[tuple[int, int], int] = {}
    for number, entries in enumerate(documents):
        first = len(out)
        for entry in entries:
            group, parent = entry.exclusive_group, entry.linked_to
            out.append(
                replace(
                    entry,
                    exclusive_group=groups.setdefault((number, group), len(groups) + 1) if group else 0,
                    linked_to=None if parent is None else first + parent,
                )
            )
    return out


def _shifted(leaf: Record, ahead: SessionTerms, terms: SessionTerms) -> OfferEntry:
    return OfferEntry(
        pod=leaf.word("pod"),
        slot=terms.slot_at(ahead.slot_start_s(leaf.integer("slot"))),
        product=Product(leaf.integer("product")),
        power_w=leaf.integer("powerW"),
        price_ueur_per_kw=leaf.integer("priceUeurPerKw"),
        min_power_w=leaf.integer("minPowerW"),
        real_time=True,
        last_slot=terms.slot_at(ahead.slot_start_s(leaf.integer("lastSlot"))),
        duration_slots=leaf.integer("durationSlots"),
        exclusive_group=leaf.integer("exclusiveGroup"),
        payback_w=payback_of(leaf.word("payback")),
    )


def _fits(entry: OfferEntry, terms: SessionTerms, sold: SoldPlaces) -> bool:
    """Whether it lies in the session with every slot in which it may run, and one of its places to run isn't sold."""
    assert entry.last_slot is not None, "shifted from a leaf"
    if entry.slot < 0 or entry.last_slot + entry.duration_slots > terms.slots:
        return False
    kind = entry.product.is_active
    return any(
        all((entry.pod, slot, kind) not in sold for slot in range(first, first + entry.duration_slots))
        for first in range(entry.slot, entry.last_slot + 1)
    )
