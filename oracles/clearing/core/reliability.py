"""How reliably PoDs and aggregators deliver what is accepted of them: an index from settled sessions, which anybody can reckon again.

A PoD's index is what it delivered of what was accepted (never more than that), in per mille, over its own record and, as if
it were PRIOR_W of it, its aggregator's record over all its PoDs. A newcomer thus starts with its aggregator's index, an
aggregator without a record with all; an aggregator's own index is its record alone. What was excused (no reading, through no fault of the PoD's) isn't counted.
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
class Record:
    """What was accepted of somebody, and what of it was delivered, in W and slot."""

    accepted_w: int = 0
    delivered_w: int = 0

    def add(self, accepted_w: int, delivered_w: int) -> None:
        """A settled quantity."""
        self.accepted_w += accepted_w
        self.delivered_w += min(delivered_w, accepted_w)

    def permille(self, prior_permille: int = ALWAYS_PERMILLE, prior_w: int = 0) -> int:
        """The index, as if so much at the prior's index came before."""
        weight_w = self.accepted_w + prior_w
        if not weight_w:
            return prior_permille
        return (self.delivered_w * ALWAYS_PERMILLE + prior_w * prior_permille) // weight_w


class DeliveryRecord:
    """Who delivered what over settlements: by PoD, and by aggregator (its address in lower case)."""

    def __init__(self, settlements: Iterable[ListDocument]) -> None:
        """`settlements`: documents of those that are final."""
        self._of_pod: dict[bytes, Record] = defaultdict(Record)
        self._of_aggregator: dict[str, Record] = defaultdict(Record)
        for document in settlements:
            for leaf in document.list_of(SETTLEMENT).records():
                if leaf.integer("status") != DeliveryStatus.EXCUSED:
                    quantities = leaf.integer("acceptedW"), leaf.integer("deliveredW")
                    self._of_pod[leaf.word("pod")].add(*quantities)
                    self._of_aggregator["0x" + leaf.word("payee").hex()].add(*quantities)

    @property
    def aggregators(self) -> dict[str, Record]:
        """Of every aggregator that has one, by address."""
        return dict(sorted(self._of_aggregator.items()))

    def index_of_pods(self, aggregators: Mapping[bytes, str]) -> dict[bytes, int]:
        """Per mille of each PoD. `aggregators`: of each PoD whose index is wanted, its present one."""
        return {
            pod: self._of_pod[pod].permille(self._of_aggregator[aggregator.lower()].permille(), PRIOR_W)
            for pod, aggregator in aggregators.items()
        }
