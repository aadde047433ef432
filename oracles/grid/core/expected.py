"""Net power that the market's PoDs are expected to have in a session, and FORECAST_BEYOND_SLOTS after it: their baselines and, in
real time, what was sold day ahead.

What was sold stands: there the day-ahead baseline counts, less what was accepted (protocol.md: outcomes are deviations, up
lowers what is absorbed). Elsewhere the session's own baseline counts, and where it has none the day-ahead one, less what the
accepted offers pay back; who nominates again knows what its PoDs pay back. After the window a PoD is back at its day-ahead
baseline; where there is none it goes on as in the last slot, but for what was sold in it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from offchain.protocol.leaves import OUTCOME_BY_REQUEST
from offchain.protocol.lists import ListDocument, Record
from offchain.protocol.metering import Baselines, Net, PodSlot
from offchain.protocol.products import Product
from offchain.protocol.real_time import Place, sold_places
from offchain.protocol.terms import SessionTerms
from oracles.grid.core.documents import FORECAST_BEYOND_SLOTS, OfferTerms
from oracles.grid.core.network import Integers

_NOTHING = Net(0, 0)


@dataclass(frozen=True, eq=False)
class DayAhead:
    """What a real-time session rests on: the day-ahead session, its baselines by its own slots, and its validated outcome (None:
    it ended empty) with the offers that were accepted, by position in the book.

    `replaced_by`: PoDs that others have replaced since, which are the same connection under another pseudonym.
    """

    terms: SessionTerms
    baselines: Baselines
    outcome: ListDocument | None
    offers: Mapping[int, OfferTerms] = field(default_factory=dict)
    replaced_by: Mapping[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Expected:
    """`nets`: by PoD and slot. `sold`: places of the session of which nothing more can be sold."""

    nets: Mapping[PodSlot, Net]
    sold: frozenset[Place]

    def power_w(self, pod: bytes, slots: int) -> Integers:
        """A PoD's net W in each slot; 0 where nothing is known."""
        known = (self.nets.get((pod, slot), _NOTHING) for slot in range(slots))
        return np.array([net.power_w for net in known], dtype=np.int64)

    def is_sold(self, pod: bytes, product: Product, slots: int) -> npt.NDArray[np.bool_]:
        """In which slots nothing more of a product can be sold of a PoD."""
        return np.array([(pod, slot, product.is_active) in self.sold for slot in range(slots)])


@dataclass(frozen=True, eq=False)
class _Standing:
    """A day-ahead result in the slots of a real-time session and those after it: baselines, what was accepted and what that
    pays back (both up). `taken`: where a PoD was replaced by one of whose predecessor something was sold there."""

    nets: Mapping[PodSlot, Net]
    moved: Mapping[Place, int]
    paid_back: Mapping[Place, int]
    sold: frozenset[Place]
    taken: frozenset[PodSlot] = frozenset()


def expected_nets(terms: SessionTerms, baselines: Baselines, ahead: DayAhead | None) -> Expected:
    """Of every PoD and slot of which something is known."""
    standing = _Standing({}, {}, {}, frozenset()) if ahead is None else _standing(terms, ahead)
    # What a player nominates beyond the window is nothing to the session.
    own = {
        place: known.net
        for place, known in baselines.items()
        if place[1] < terms.slots and place not in standing.taken
    }
    last, end = terms.slots - 1, terms.slots + FORECAST_BEYOND_SLOTS
    places = {*own, *standing.nets}
    places.update((pod, slot) for each in (standing.moved, standing.paid_back) for pod, slot, _ in each)
    places.update(
        (pod, after) for pod, slot in tuple(places) if slot == last for after in range(last + 1, end)
    )

    def power(pod: bytes, slot: int, active: bool) -> int:
        place = (pod, slot, active)
        nominated = own.get((pod, slot))
        if nominated is not None and place not in standing.moved:
            return _part(nominated, active)
        known = standing.nets.get((pod, slot), nominated)
        if known is None and slot > last:
            known = own.get((pod, last), standing.nets.get((pod, last)))
        return (
            _part(known or _NOTHING, active) - standing.moved.get(place, 0) - standing.paid_back.get(place, 0)
        )

    nets = {(pod, slot): Net(power(pod, slot, True), power(pod, slot, False)) for pod, slot in places}
    return Expected(nets, standing.sold)


def _part(net: Net, active: bool) -> int:
    return net.power_w if active else net.reactive_var


def _standing(terms: SessionTerms, ahead: DayAhead) -> _Standing:
    end = terms.slots + FORECAST_BEYOND_SLOTS

    def slot_of(ahead_slot: int) -> int:
        return terms.slot_at(ahead.terms.slot_start_s(ahead_slot))

    entries = [] if ahead.outcome is None else ahead.outcome.list_of(OUTCOME_BY_REQUEST).records()
    entries = [entry for entry in entries if entry.integer("product") <= max(Product)]
    moved: dict[Place, int] = {}
    for entry in entries:
        product, slot = Product(entry.integer("product")), slot_of(entry.integer("slot"))
        if 0 <= slot < end:
            place = (entry.word("pod"), slot, product.is_active)
            moved[place] = moved.get(place, 0) + product.sign * entry.integer("acceptedW")
    paid_back: dict[Place, int] = {}
    for pod, ahead_slot, active, up_w in _paybacks(entries, ahead.offers):
        slot = slot_of(ahead_slot)
        if 0 <= slot < end:
            paid_back[pod, slot, active] = paid_back.get((pod, slot, active), 0) + up_w
    sold = frozenset() if ahead.outcome is None else frozenset(sold_places(ahead.outcome, ahead.terms, terms))
    heirs = ahead.replaced_by
    is_sold = {(pod, slot) for pod, slot, _ in moved}
    nets = {}
    for (pod, ahead_slot), known in ahead.baselines.items():
        slot = slot_of(ahead_slot)
        if 0 <= slot < end:
            # Where something was sold of a PoD it is still itself, elsewhere its heir is what is connected there.
            nets[pod if (pod, slot) in is_sold else heirs.get(pod, pod), slot] = known.net
    taken = frozenset((heirs[pod], slot) for pod, slot in is_sold if pod in heirs)
    of_heirs = frozenset((heirs[pod], slot, active) for pod, slot, active in sold if pod in heirs)
    return _Standing(nets, moved, paid_back, sold | of_heirs, taken)


def _paybacks(
    entries: list[Record], offers: Mapping[int, OfferTerms]
) -> Iterator[tuple[bytes, int, bool, int]]:
    """PoD, day-ahead slot, whether active, and how much up: as the assessment has it, after the last slot of each offer, in
    proportion to what is accepted there, rounded down for each entry."""
    last_slot: dict[int, int] = {}
    for entry in entries:
        position = entry.integer("offerPosition")
        last_slot[position] = max(last_slot.get(position, 0), entry.integer("slot"))
    for entry in entries:
        position, slot = entry.integer("offerPosition"), entry.integer("slot")
        offer = offers.get(position)
        if offer is None or not offer.power_w or slot != last_slot[position]:
            continue
        active = Product(entry.integer("product")).is_active
        for after, payback_w in enumerate(offer.payback_w, start=1):
            up_w = payback_w * entry.integer("acceptedW") // offer.power_w
            if up_w:
                yield entry.word("pod"), slot + after, active, up_w
