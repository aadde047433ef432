"""Which PoDs of the market could help an element that passes its limit, and by how much."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offchain.protocol.documents.alarm import HelpingPod, HelpingTotal
from offchain.protocol.documents.base import build
from offchain.protocol.products import Product
from oracles.grid.core.network import Floats, Integers
from oracles.grid.core.power_flow import PowerFlow
from oracles.grid.core.sensitivity import relief_per_unit
from oracles.grid.core.violations import Alarm, Watch

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
    """What the market's PoDs could do in the states of a solved power flow."""

    def __init__(self, flow: PowerFlow, could: Sequence[CouldGive]) -> None:
        self._flow = flow
        self._watch = Watch(flow.model)
        self._column = {element: place for place, element in enumerate(self._watch.elements)}
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
            self._falls[slot] = relief_per_unit(self._watch, self._flow, slot, self._nodes)
        per_w = self._sign * self._falls[slot][self._reactive, self._place, self._column[alarm.element]]
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
