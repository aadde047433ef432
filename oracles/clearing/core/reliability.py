"""How reliably PoDs deliver what is accepted of them: an index from settled sessions, which anybody can reckon again.

A PoD's index is what it delivered of what was accepted (never more than that), in per mille, over its own record and, as if
it were PRIOR_W of it, its aggregator's record over all its PoDs. A newcomer thus starts with its aggregator's index, an
aggregator without a record with all. What was excused (no reading, through no fault of the PoD's) isn't counted.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from offchain.protocol.leaves import SETTLEMENT
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import DeliveryStatus

ALWAYS_PERMILLE = 1000
PRIOR_W = 10_000
"""W and slot: ten kW in a slot, or one in ten, weigh as much as the aggregator's record."""


@dataclass
class _Record:
    accepted_w: int = 0
    delivered_w: int = 0

    def add(self, accepted_w: int, delivered_w: int) -> None:
        self.accepted_w += accepted_w
        self.delivered_w += min(delivered_w, accepted_w)

    def permille(self, prior_permille: int, prior_w: int) -> int:
        weight_w = self.accepted_w + prior_w
        if not weight_w:
            return prior_permille
        return (self.delivered_w * ALWAYS_PERMILLE + prior_w * prior_permille) // weight_w


def reliability_index(
    settlements: Iterable[ListDocument], aggregators: Mapping[bytes, str]
) -> dict[bytes, int]:
    """Per mille of each PoD, by its present aggregator. `settlements`: documents of settlements that are final;
    `aggregators`: of each PoD, whose index is wanted."""
    of_pod: dict[bytes, _Record] = defaultdict(_Record)
    of_aggregator: dict[str, _Record] = defaultdict(_Record)
    for document in settlements:
        for leaf in document.list_of(SETTLEMENT).records():
            if leaf.integer("status") != DeliveryStatus.EXCUSED:
                quantities = leaf.integer("acceptedW"), leaf.integer("deliveredW")
                of_pod[leaf.word("pod")].add(*quantities)
                of_aggregator["0x" + leaf.word("payee").hex()].add(*quantities)
    return {
        pod: of_pod[pod].permille(of_aggregator[aggregator.lower()].permille(ALWAYS_PERMILLE, 0), PRIOR_W)
        for pod, aggregator in aggregators.items()
    }
