"""What may be said against a settlement: SettlementChallenges, DeliveryChallenges, and demands for what no leaf accounts
for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from offchain.audit.accusations.accusation import Accusation
from offchain.audit.book import BookPages, Proven, ProvenList
from offchain.audit.verify import FalseResult
from offchain.protocol.claims import claim_tree, claims_of
from offchain.protocol.leaves import BASELINE, OUTCOME_BY_REQUEST, READING, SETTLEMENT
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import DeliveryStatus
from offchain.protocol.terms import SLOT_S, SessionTerms
from offchain.protocol.typed_data import Outcome, Pair, Settlement

NO_BASELINE: Proven = ((0, 0, bytes(32), 0, 0, 0, bytes(32)), [])
"""Where a leaf names none: it isn't looked at."""
NO_ROOT = bytes(32)


@dataclass(frozen=True)
class SettledFacts:
    """What a settlement rests on: the validated outcome, the book, baselines with their authors, readings."""

    terms: SessionTerms
    validated: Outcome
    entries: ListDocument
    book: BookPages
    baselines: Sequence[tuple[str, ListDocument]]
    readings: Sequence[ListDocument]


class SettlementAccusations:
    """Accusations of a false settlement; what leaves can't show because there are none, as demands at the end."""

    def __init__(
        self, found: FalseResult, posted: Settlement, pairs: Sequence[Pair], facts: SettledFacts
    ) -> None:
        self._settlement, self._pairs, self._facts = posted, list(pairs), facts
        self._leaves = ProvenList(found.posted.list_of(SETTLEMENT))
        self._suspects = self._leaves.differing(found.replayed.list_of(SETTLEMENT))
        self._entries = ProvenList(facts.entries.list_of(OUTCOME_BY_REQUEST))
        self._baselines = {
            document.list_of(BASELINE).root: ProvenList(document.list_of(BASELINE))
            for _, document in facts.baselines
        }
        self._readings = {
            document.list_of(READING).root: ProvenList(document.list_of(READING))
            for document in facts.readings
        }
        claims = claims_of(found.posted) or ()
        known = bool(claims) and claim_tree(claims).root == posted.claimRoot
        self._claims = claims if known else ()

    def __iter__(self) -> Iterator[Accusation]:
        yield self._accusation("wrongLength", self._facts.validated)
        for index in range(1, len(self._pairs)):
            yield self._accusation("pairsNotSorted", index)
        for first, second in self._leaves.doubled():
            yield self._accusation("leafDoubled", self._leaves.proven(first), self._leaves.proven(second))
        for index in self._suspects:
            yield from self._of_sums(index)
            yield from self._of_delivery(index)
        yield from self._of_totals()
        yield from self._demands()

    def _of_sums(self, index: int) -> Iterator[Accusation]:
        leaf, judged = self._leaves.records[index], self._leaves.proven(index)
        yield self._accusation("malformedLeaf", judged)
        position = leaf.integer("position")
        if position < len(self._entries):
            shown = (self._facts.validated, judged, self._entries.proven(position))
            yield self._accusation("wrongEntry", *shown)
            request = self._entries.records[position].integer("requestPosition")
            opening = self._facts.book.opening(request, of_offers=False)
            if opening:
                yield self._accusation("wrongPayer", *shown, opening)
            yield self._accusation("wrongPayment", *shown)
            yield self._accusation("wrongPenalty", judged)
            yield self._accusation("wrongReward", *shown)
        for names, of, function in (
            (("payer", "payee"), "Pair", "pairSumBroken"),
            (("pod",), "Pod", "podSumBroken"),
        ):
            for earlier, later in self._leaves.beside(index, *names):
                yield self._two(function, earlier, later)
            following, preceding = leaf.integer(f"nextFor{of}") - 1, leaf.integer(f"previousFor{of}") - 1
            if 0 <= following < len(self._leaves):
                yield self._two(function, index, following)
            if 0 <= preceding < len(self._leaves):
                yield self._two(function, preceding, index)
        place = {"claimPosition": leaf.integer("claimPosition"), "claimIndex": leaf.integer("claimIndex")}
        for other in self._leaves.where(**place):
            yield self._two("podSumBroken", min(index, other), max(index, other))

    def _of_delivery(self, index: int) -> Iterator[Accusation]:
        leaf, judged = self._leaves.records[index], self._leaves.proven(index)
        pod, slot, position = leaf.word("pod"), leaf.integer("slot"), leaf.integer("position")
        yield self._delivery("baselineNotAnchored", judged)
        for root in self._baselines:
            yield self._delivery("baselineChanged", judged, root)
        yield self._delivery("readingNotAnchored", judged)
        baseline = _named(self._baselines, leaf.word("baselineRoot"), leaf.integer("baselinePosition"))
        reading = _named(self._readings, leaf.word("readingRoot"), leaf.integer("readingPosition"))
        if baseline:
            yield self._delivery("wrongBaseline", judged, baseline)
        if reading:
            yield self._delivery("readingNotGenuine", judged, reading)
            if position < len(self._entries):
                shown = (self._facts.validated, judged, self._entries.proven(position))
                yield self._delivery("wrongDelivery", *shown, baseline or NO_BASELINE, reading)
        if leaf.word("baselineRoot") == NO_ROOT:
            for root, place in _where(self._baselines, pod=pod, slot=slot):
                for witness in self._leaves.where(baselineRoot=root)[:1]:
                    shown_witness = self._leaves.proven(witness)
                    yield self._delivery(
                        "baselineIgnored", judged, shown_witness, self._baselines[root].proven(place)
                    )
        start_s = self._facts.terms.slot_start_s(slot)
        for root, place in _where(self._readings, pod=pod, startTime=start_s, periodS=SLOT_S):
            found = self._readings[root].proven(place)
            for witness in self._leaves.where(readingRoot=root)[:1]:
                shown_witness = self._leaves.proven(witness)
                if leaf.integer("status") == DeliveryStatus.NO_READING:
                    yield self._delivery("readingIgnored", judged, shown_witness, found)
                elif reading:
                    yield self._delivery("higherReadingTaken", judged, reading, shown_witness, found)

    def _of_totals(self) -> Iterator[Accusation]:
        """What the last leaves say of pairs and claims: whatever leaves are right, these may be false."""
        for index in self._leaves.where(nextForPair=0):
            yield self._accusation("wrongPair", self._leaves.proven(index))
        shown = [self._claim(position) for position in range(len(self._claims))]
        for claim in shown:
            yield self._accusation("malformedClaim", claim)
        for index in self._leaves.where(nextForPod=0):
            position = self._leaves.records[index].integer("claimPosition")
            if position < len(shown):
                yield self._accusation("wrongClaim", self._leaves.proven(index), shown[position])
        if shown:
            yield self._accusation("rewardsDontAddUp", shown)

    def _demands(self) -> Iterator[Accusation]:
        """Pairs and entries of claims that no leaf accounts for."""
        result = (self._settlement, self._pairs)
        for index, pair in enumerate(self._pairs):
            sums = {"pairPaymentUeur": pair.paymentUeur, "pairPenaltyUeur": pair.penaltyUeur}
            payer, payee = bytes.fromhex(pair.payer[2:]), bytes.fromhex(pair.payee[2:])
            if not self._leaves.where(payer=payer, payee=payee, nextForPair=0, **sums):
                yield Accusation("Demands", "demandPair", (*result, index))
        for position, claim in enumerate(self._claims):
            for index in range(len(claim.wallets)):
                place = {"claimPosition": position, "claimIndex": index, "nextForPod": 0}
                if not self._leaves.where(**place):
                    yield Accusation("Demands", "demandClaimEntry", (*result, self._claim(position), index))

    def _claim(self, position: int) -> tuple[object, ...]:
        claim, proof = self._claims[position], claim_tree(self._claims).proof(position)
        return (position, len(self._claims), list(claim.wallets), list(claim.amounts_ueur), proof)

    def _two(self, function: str, earlier: int, later: int) -> Accusation:
        return self._accusation(function, self._leaves.proven(earlier), self._leaves.proven(later))

    def _accusation(self, function: str, *shown: object) -> Accusation:
        return Accusation("SettlementChallenges", function, (self._posted, *shown))

    def _delivery(self, function: str, *shown: object) -> Accusation:
        return Accusation("DeliveryChallenges", function, (self._posted, *shown))

    @property
    def _posted(self) -> tuple[object, ...]:
        return (self._settlement, self._pairs)


def _named(lists: dict[bytes, ProvenList], root: bytes, position: int) -> Proven | None:
    """The leaf that a settlement names; its list's last where it names one beyond."""
    leaves = lists.get(root)
    return leaves.proven(min(position, len(leaves) - 1)) if leaves else None


def _where(lists: dict[bytes, ProvenList], **wanted: object) -> Iterator[tuple[bytes, int]]:
    for root, leaves in lists.items():
        for place in leaves.where(**wanted):
            yield root, place
