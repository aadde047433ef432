"""What may be said against a market or validated outcome by itself and by the book: OutcomeChallenges, ClearingChallenges."""

from collections.abc import Iterator

from offchain.audit.accusations.accusation import Accusation
from offchain.audit.accusations.places import of_places
from offchain.audit.book import BookPages, ProvenInBook, ProvenList
from offchain.audit.verify import FalseResult
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST
from offchain.protocol.lists import Record
from offchain.protocol.products import OfferStatus
from offchain.protocol.typed_data import Outcome

POD_PLACE = ("pod", "slot", "product")
COMMERCIAL = (
    OfferStatus.COM_DEARER,
    OfferStatus.COM_NOT_NEEDED,
    OfferStatus.COM_MINIMUM,
    OfferStatus.RESERVED,
    OfferStatus.RESERVE_EXCLUDED,
)


class OutcomeAccusations:
    """Accusations of a false market or validated outcome."""

    def __init__(self, found: FalseResult, posted: Outcome, book: BookPages) -> None:
        self._posted, self._stage, self._book = posted, found.stage, book
        self._entries = ProvenList(found.posted.list_of(OUTCOME_BY_REQUEST))
        self._answers = ProvenList(found.posted.list_of(OUTCOME_BY_OFFER))
        truth = found.replayed.list_of(OUTCOME_BY_OFFER).records()
        # Position + 1 of the leaf, in its document, that voids an offer, by the offer's position.
        self._voided_by = {
            index: leaf.integer("because")
            for index, leaf in enumerate(truth)
            if leaf.integer("status") == OfferStatus.VOID
        }
        self._suspect_entries = self._entries.differing(found.replayed.list_of(OUTCOME_BY_REQUEST))
        self._suspect_answers = self._answers.differing(found.replayed.list_of(OUTCOME_BY_OFFER))

    def __iter__(self) -> Iterator[Accusation]:
        yield self._accusation("offerLeftOut")
        if len(self._entries):
            yield self._accusation("totalsDontAddUp", self._entries.proven(len(self._entries) - 1))
        for name, leaves in (("entryDoubled", self._entries), ("answerDoubled", self._answers)):
            for first, second in leaves.doubled():
                yield self._accusation(name, leaves.proven(first), leaves.proven(second))
        for index in self._suspect_entries:
            yield from self._of_entry(index)
        for index in self._suspect_answers:
            yield from self._of_answer(index)

    def _of_entry(self, index: int) -> Iterator[Accusation]:
        leaf, entry = self._entries.records[index], self._entries.proven(index)
        for function in ("notInBook", "malformedEntry", "podExceeded"):
            yield self._accusation(function, entry)
        position = leaf.integer("offerPosition")
        offer, request = self._book.offer(position), self._book.request(leaf.integer("requestPosition"))
        if offer:
            yield self._accusation("notAsOffered", entry, offer)
        if request:
            yield self._accusation("notAsRequested", entry, request)
            effect = self._book.effectiveness(leaf.integer("effectivenessPosition"))
            if effect:
                yield self._accusation("wrongEffectiveness", entry, request, effect)
        opening = self._book.opening(leaf.integer("requestPosition"), of_offers=False)
        if opening:
            yield self._accusation("escrowExceeded", entry, opening)
        results = (self._posted, int(self._stage))
        yield from of_places(results, self._book, leaf, entry, in_reserve=False)
        for earlier, later in self._entries.beside(index):
            yield self._pair("sumBroken", earlier, later)
        for earlier, later in self._entries.beside(index, "offerPosition"):
            yield self._pair("offerSumBroken", earlier, later)
        for earlier, later in self._entries.beside(index, *POD_PLACE):
            yield self._pair("podSumBroken", earlier, later)
        if offer:
            for earlier, later in self._entries.beside(index, "offerPosition"):
                pair = (self._entries.proven(earlier), self._entries.proven(later))
                yield self._of_clearing("blockSplit", offer, *pair)
        for name, function in (("nextForOffer", "offerSumBroken"), ("nextForPod", "podSumBroken")):
            following = leaf.integer(name) - 1
            if 0 <= following < len(self._entries):
                yield self._pair(function, index, following)
        preceding = leaf.integer("previousForPod") - 1
        if 0 <= preceding < len(self._entries):
            yield self._pair("podSumBroken", preceding, index)
        if position < len(self._answers):
            yield self._accusation("offerChainBroken", self._answers.proven(position), entry)
            if offer:
                yield self._of_clearing("blockBroken", self._answers.proven(position), offer, entry)
        if self._stage.is_market:
            yield from self._price(index)

    def _price(self, index: int) -> Iterator[Accusation]:
        """Paid as cleared: an entry, and its request's last one, which sets the price. Other methods don't know these."""
        same = self._entries.where(requestPosition=self._entries.records[index].integer("requestPosition"))
        last = same[-1]
        following = min(last + 1, len(self._entries) - 1)
        shown = (self._entries.proven(last), self._entries.proven(following))
        entry = self._entries.proven(index)
        yield self._of_clearing("wrongClearingPrice", entry, *shown)
        offer = self._book.offer(self._entries.records[last].integer("offerPosition"))
        if offer:
            yield self._of_clearing("wrongMarginalPrice", *shown, offer)

    def _of_answer(self, index: int) -> Iterator[Accusation]:
        leaf, answer = self._answers.records[index], self._answers.proven(index)
        yield self._accusation("malformedAnswer", answer)
        first = leaf.integer("firstByRequest") - 1
        if 0 <= first < len(self._entries):
            yield self._accusation("offerChainBroken", answer, self._entries.proven(first))
        for entry in self._entries.where(offerPosition=index):
            yield self._accusation("offerChainBroken", answer, self._entries.proven(entry))
        page = self._book.page(index, of_offers=True)
        if page is None:
            return
        offer = page.proven(index - page.reveal.first_position)
        yield self._accusation("wrongCopy", answer, offer)
        yield self._of_clearing("belowMinimum", answer, offer)
        yield from self._bound(index, offer)
        culprit = leaf.integer("because") - 1
        if leaf.integer("status") == OfferStatus.VOID and 0 <= culprit < page.reveal.leaf_count:
            yield self._accusation("falselyVoid", answer, page.proven(culprit))
        culprit = self._voided_by.get(index, 0) - 1
        if 0 <= culprit < page.reveal.leaf_count:
            yield self._accusation("takenThoughVoid", answer, page.proven(culprit))
        if self._stage.is_market:
            yield from self._reason(index, offer)

    def _reason(self, index: int, offer: object) -> Iterator[Accusation]:
        """What a market outcome says of an offer that it doesn't take, or only in part."""
        leaf, answer = self._answers.records[index], self._answers.proven(index)
        earlier = self._answers.proven(max(index - 1, 0))
        yield self._accusation("miscounted", earlier, answer, offer)
        if leaf.integer("status") == OfferStatus.COM_EXCLUDED and len(self._entries):
            named = leaf.integer("because") - 1
            entry = self._entries.proven(named if 0 <= named < len(self._entries) else 0)
            yield self._of_clearing("falselyExcluded", answer, offer, entry)
        if leaf.integer("status") in COMMERCIAL:
            yield from self._cheaper(index)

    def _cheaper(self, refused: int) -> Iterator[Accusation]:
        """Dearer ones that were taken for a request that the refused offer could have served, the dearest first."""
        offer, proven = self._book.offer_record(refused), self._book.offer(refused)
        if offer is None or proven is None:
            return
        answer = self._answers.proven(refused)
        taken = self._entries.where(slot=offer.integer("slot"), product=offer.integer("product"))
        leaves = self._entries.records
        for index in sorted(taken, key=lambda place: -_delivered_ueur_per_kw(leaves[place])):
            position = leaves[index].integer("requestPosition")
            request = self._book.request(position)
            for effect in self._book.effects(position, offer.word("pod")):
                yield self._of_clearing(
                    "cheaperRefused", self._entries.proven(index), answer, proven, request, effect
                )

    def _bound(self, index: int, offer: ProvenInBook) -> Iterator[Accusation]:
        """An offer taken together with another of its group, or without the one that it is linked to."""
        mine = self._book.offer_record(index)
        if mine is None:
            return
        first = index - mine.integer("position")
        shown = (self._answers.proven(index), offer)
        parent = first + mine.integer("linkedTo") - 1
        if mine.integer("linkedTo") and parent < len(self._answers):
            yield self._of_clearing("linkBroken", shown, self._answers.proven(parent))
        group = mine.integer("exclusiveGroup")
        for other in range(first, first + mine.integer("length")) if group else ():
            theirs, proven = self._book.offer_record(other), self._book.offer(other)
            if other != index and theirs and proven and theirs.integer("exclusiveGroup") == group:
                yield self._of_clearing("groupBroken", shown, (self._answers.proven(other), proven))

    def _of_clearing(self, function: str, *shown: object) -> Accusation:
        return Accusation("ClearingChallenges", function, (self._posted, int(self._stage), *shown))

    def _pair(self, function: str, earlier: int, later: int) -> Accusation:
        return self._accusation(function, self._entries.proven(earlier), self._entries.proven(later))

    def _accusation(self, function: str, *shown: object) -> Accusation:
        return Accusation("OutcomeChallenges", function, (self._posted, int(self._stage), *shown))


def _delivered_ueur_per_kw(entry: Record) -> int:
    return entry.integer("priceUeurPerKw") + entry.integer("gridFeeUeurPerKw")
