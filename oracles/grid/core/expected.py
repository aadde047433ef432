"""Net power that the market's PoDs are expected to have in a session: their baselines and, in real time, what was sold day ahead.

What was sold stands: there the day-ahead baseline counts, less what was accepted (protocol.md: outcomes are deviations, up
lowers what is absorbed). Elsewhere the session's own baseline counts, and where it has none the day-ahead one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offchain.protocol.leaves import OUTCOME_BY_REQUEST
from offchain.protocol.lists import ListDocument
from offchain.protocol.metering import Baselines, Net, PodSlot
from offchain.protocol.products import Product
from offchain.protocol.real_time import Place, sold_places
from offchain.protocol.terms import SessionTerms
from oracles.grid.core.network import Integers

_NOTHING = Net(0, 0)


@dataclass(frozen=True, eq=False)
class DayAhead:
    """What a real-time session rests on: the day-ahead session, its baselines by its own slots, and its validated outcome (None:
    it ended empty)."""

    terms: SessionTerms
    baselines: Baselines
    outcome: ListDocument | None


@dataclass(frozen=True, eq=False)
class Expected:
    """`nets`: by PoD and slot. `sold`: places of which nothing more can be sold."""

    nets: Mapping[PodSlot, Net]
    sold: frozenset[Place]

    def power_w(self, pod: bytes, slots: int) -> Integers:
        """A PoD's net W in each slot; 0 where nothing is known."""
        known = (self.nets.get((pod, slot), _NOTHING) for slot in range(slots))
        return np.array([net.power_w for net in known], dtype=np.int64)

    def is_sold(self, pod: bytes, product: Product, slots: int) -> npt.NDArray[np.bool_]:
        """In which slots nothing more of a product can be sold of a PoD."""
        return np.array([(pod, slot, product.is_active) in self.sold for slot in range(slots)])


def expected_nets(terms: SessionTerms, baselines: Baselines, ahead: DayAhead | None) -> Expected:
    """Of every PoD and slot of the session for which there is a baseline or an accepted quantity."""
    # What a player nominates beyond the window is nothing to the session.
    baselines = {place: known for place, known in baselines.items() if place[1] < terms.slots}
    if ahead is None:
        return Expected({place: known.net for place, known in baselines.items()}, frozenset())
    standing = {
        (pod, slot): known.net
        for (pod, ahead_slot), known in ahead.baselines.items()
        if 0 <= (slot := terms.slot_at(ahead.terms.slot_start_s(ahead_slot))) < terms.slots
    }
    moved: dict[Place, int] = {}
    if ahead.outcome is not None:
        moved = dict.fromkeys(sold_places(ahead.outcome, ahead.terms, terms), 0)
        for entry in ahead.outcome.list_of(OUTCOME_BY_REQUEST).records():
            if entry.integer("product") > max(Product):
                continue
            product = Product(entry.integer("product"))
            slot = terms.slot_at(ahead.terms.slot_start_s(entry.integer("slot")))
            place = (entry.word("pod"), slot, product.is_active)
            if place in moved:
                moved[place] += product.sign * entry.integer("acceptedW")
    nets: dict[PodSlot, Net] = {}
    for pod, slot in {*baselines, *standing, *((pod, slot) for pod, slot, _ in moved)}:
        known = baselines.get((pod, slot))
        then = standing.get((pod, slot), _NOTHING if known is None else known.net)
        now = then if known is None else known.net
        power_w = now.power_w if (pod, slot, True) not in moved else then.power_w - moved[pod, slot, True]
        reactive = (
            now.reactive_var
            if (pod, slot, False) not in moved
            else then.reactive_var - moved[pod, slot, False]
        )
        nets[pod, slot] = Net(power_w, reactive)
    return Expected(nets, frozenset(moved))
