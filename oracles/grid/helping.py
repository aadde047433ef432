"""Which PoDs of the market could help an element that passes its limit, and by how much."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offchain.protocol.documents.alarm import HelpingPod, HelpingTotal
from offchain.protocol.documents.base import build
from offchain.protocol.products import Product
from oracles.grid.core.network import Floats, Integers
from oracles.grid.core.switched_grid import States
from oracles.grid.core.violations import Alarm, Element, Watching

MOST_SHOWN = 50
"""PoDs and products of an alarm, those with most relief first; the totals are of all."""
_W_PER_MW = 1_000_000
NAMES = {
    Product.ACTIVE_UP: "activeUp",
    Product.ACTIVE_DOWN: "activeDown",
    Product.REACTIVE_UP: "reactiveUp",
    Product.REACTIVE_DOWN: "reactiveDown",
}


@dataclass(frozen=True, eq=False)
class CouldGive:
    """A PoD at its node, and what it is expected to be able to give (W or var by slot)."""

    pod: bytes
    node: int
    most_w: Mapping[Product, Integers]


class Helpers:
    """What the market's PoDs could do in solved states, one a slot."""

    def __init__(self, watch: Watching, states: States, could: Sequence[CouldGive]) -> None:
        self._states = states
        self._columns: dict[Element, list[int]] = {}
        for column, element in enumerate(watch.elements):
            self._columns.setdefault(element, []).append(column)
        self._kinds = [(each, product) for each in could for product in sorted(each.most_w)]
        nodes = sorted({each.node for each in could})
        place = {node: number for number, node in enumerate(nodes)}
        self._nodes: Integers = np.array(nodes, dtype=np.int64)
        self._place: Integers = np.array([place[each.node] for each, _ in self._kinds], dtype=np.int64)
        self._sign: Integers = np.array([product.sign for _, product in self._kinds], dtype=np.int64)
        self._product: Integers = np.array([product for _, product in self._kinds], dtype=np.int64)
        self._reactive = np.array([not product.is_active for _, product in self._kinds], dtype=np.int64)
        self._falls: dict[int, Floats] = {}

    def of(self, alarm: Alarm) -> tuple[tuple[HelpingPod, ...], tuple[HelpingTotal, ...]]:
        """Those that lower what is passed in the alarm's worst slot, and all of them together by product."""
        if not self._kinds:
            return (), ()
        slot = alarm.worst_slot
        if slot not in self._falls:
            self._falls[slot] = self._states.relief(slot, self._nodes)
        # With several limits an element has several columns: all but that of the slot's model are zero.
        falls = self._falls[slot][:, :, self._columns[alarm.element]].sum(axis=2)
        per_w = self._sign * falls[self._reactive, self._place]
        units = np.array([alarm.element.in_units(each * _W_PER_MW) for each in per_w.tolist()])
        most_w = np.array([each.most_w[product][slot] for each, product in self._kinds], dtype=np.int64)
        helps = np.flatnonzero((units > 0) & (most_w > 0))
        best = {int(kind): per_w[helps][self._product[helps] == kind].max() for kind in self._product[helps]}
        ranked = sorted(helps.tolist(), key=lambda each: (-per_w[each] * most_w[each], each))
        shown = tuple(
            build(
                HelpingPod,
                pod=self._kinds[each][0].pod,
                product=NAMES[self._kinds[each][1]],
                available=int(most_w[each]),
                sensitivity=int(units[each]),
                effectiveness=int(1000 * per_w[each] / best[int(self._product[each])] + 1e-9),
            )
            for each in ranked[:MOST_SHOWN]
        )
        totals = tuple(
            build(
                HelpingTotal,
                product=NAMES[Product(kind)],
                pods=int((self._product[helps] == kind).sum()),
                available=int(most_w[helps][self._product[helps] == kind].sum()),
            )
            for kind in sorted(best)
        )
        return shown, totals
