"""What may be said against the reserve of a market or validated outcome: ReserveChallenges."""

from collections.abc import Iterator
from itertools import pairwise

from offchain.audit.accusations.accusation import Accusation
from offchain.audit.accusations.assessment import RoundResults
from offchain.audit.accusations.places import of_places
from offchain.audit.book import BookPages, Proven, ProvenList
from offchain.audit.verify import FalseResult
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE
from offchain.protocol.products import OfferStatus, Product
from offchain.protocol.typed_data import Outcome

NO_ENTRY: Proven = ((0, 0, 0, 0, 0, bytes(32), *[0] * 16, bytes(32)), [])
"""Where there is none to be shown."""
LEFT_OUT = (OfferStatus.COM_DEARER, OfferStatus.COM_NOT_NEEDED, OfferStatus.COM_MINIMUM)
BEYOND_REQUESTS = (OfferStatus.RESERVED, OfferStatus.RESERVE_EXCLUDED)


class ReserveAccusations:
    """Accusations of a false reserve. `assessed`: of a validated outcome."""

    def __init__(
        self, found: FalseResult, posted: Outcome, book: BookPages, assessed: RoundResults | None = None
    ) -> None:
        self._posted, self._stage, self._book, self._assessed = posted, found.stage, book, assessed
        self._reserve = ProvenList(found.posted.list_of(OUTCOME_RESERVE))
        self._taken = ProvenList(found.posted.list_of(OUTCOME_BY_REQUEST))
        self._answers = ProvenList(found.posted.list_of(OUTCOME_BY_OFFER))
        self._suspects = self._reserve.differing(found.replayed.list_of(OUTCOME_RESERVE))
        self._suspect_answers = self._answers.differing(found.replayed.list_of(OUTCOME_BY_OFFER))

    def __iter__(self) -> Iterator[Accusation]:
        for first, second in self._reserve.doubled():
            yield self._pair("reserveDoubled", first, second)
        for index in self._suspects:
            yield from self._of_entry(index)
            yield from self._of_chains(index)
            yield from self._of_pod(index)
            if self._assessed is not None:
                yield from self._of_validation(index, self._assessed)
        for index in self._suspect_answers:
            yield from self._of_answer(index)

    def _of_entry(self, index: int) -> Iterator[Accusation]:
        leaf, reserved = self._reserve.records[index], self._reserve.proven(index)
        for function in ("reserveNotInBook", "malformedReserve", "reservePodExceeded"):
            yield self._accusation(function, reserved)
        position, request_position = leaf.integer("offerPosition"), leaf.integer("requestPosition")
        offer, request = self._book.offer(position), self._book.request(request_position)
        if offer:
            yield self._accusation("reserveNotAsOffered", reserved, offer)
        if request:
            yield self._accusation("reserveNotAsRequested", reserved, request)
            effect = self._book.effectiveness(leaf.integer("effectivenessPosition"))
            if effect:
                yield self._accusation("reserveWrongEffectiveness", reserved, request, effect)
        opening = self._book.opening(request_position, of_offers=False)
        if opening:
            taken = self._last_of_document(request_position)
            yield self._accusation("reserveEscrowExceeded", reserved, taken, opening)
        results = (self._posted, int(self._stage))
        yield from of_places(results, self._book, leaf, reserved, in_reserve=True)
        if position < len(self._answers):
            answer = self._answers.proven(position)
            yield self._accusation("reserveBeyondOffer", answer, reserved)
            if offer:
                yield self._accusation("reserveBelowMinimum", answer, offer, reserved)
        if self._stage.is_market:
            for refused in range(len(self._answers)):
                yield from self._cheaper(index, refused)

    def _last_of_document(self, request_position: int) -> Proven:
        """The last entry by request of the document that a request is in: it has the document's sum."""
        page = self._book.page(request_position, of_offers=False)
        if page is None:
            return NO_ENTRY
        first, count = page.reveal.first_position, page.reveal.leaf_count
        of_document = [
            index
            for index, leaf in enumerate(self._taken.records)
            if first <= leaf.integer("requestPosition") < first + count
        ]
        return self._taken.proven(of_document[-1]) if of_document else NO_ENTRY

    def _of_chains(self, index: int) -> Iterator[Accusation]:
        leaf, before = self._reserve.records[index], len(self._taken)
        for earlier, later in self._reserve.beside(index):
            yield self._pair("reserveSumBroken", earlier, later)
        for earlier, later in self._reserve.beside(index, "offerPosition"):
            yield self._pair("reserveOfferSumBroken", earlier, later)
        for earlier, later in self._reserve.beside(index, "pod", "slot", "product"):
            yield self._pair("reservePodSumBroken", earlier, later)
        for name, function in (
            ("nextForOffer", "reserveOfferSumBroken"),
            ("nextForPod", "reservePodSumBroken"),
        ):
            following = leaf.integer(name) - 1 - before
            if 0 <= following < len(self._reserve):
                yield self._pair(function, index, following)
        preceding = leaf.integer("previousForPod") - 1 - before
        if 0 <= preceding < len(self._reserve):
            yield self._pair("reservePodSumBroken", preceding, index)

    def _of_pod(self, index: int) -> Iterator[Accusation]:
        """Against what else is taken of its PoD, or what it says that it runs on from."""
        leaf, reserved = self._reserve.records[index], self._reserve.proven(index)
        place = {"pod": leaf.word("pod"), "slot": leaf.integer("slot")}
        preceding = leaf.integer("previousForPod") - 1
        named = [preceding] if 0 <= preceding < len(self._taken) else []
        same = self._taken.where(**place, product=leaf.integer("product"))
        for taken in (*named, *same):
            yield self._accusation("reserveNotContinued", self._taken.proven(taken), reserved)
        if leaf.integer("product") <= max(Product):
            opposite = int(Product(leaf.integer("product")).opposite)
            for leaves, in_reserve in ((self._taken, False), (self._reserve, True)):
                for other in leaves.where(**place, product=opposite):
                    yield self._accusation("reservedBothWays", reserved, leaves.proven(other), in_reserve)

    def _of_validation(self, index: int, assessed: RoundResults) -> Iterator[Accusation]:
        leaf, reserved = self._reserve.records[index], self._reserve.proven(index)
        results = (self._posted, assessed.market, assessed.technical)
        before = ProvenList(assessed.market_document.list_of(OUTCOME_RESERVE))
        same = {name: leaf.values[name] for name in ("offerPosition", "requestPosition")}
        for place in before.where(**same):
            yield _of_reserve("reserveChanged", *results, reserved, before.proven(place))
        of_offer = before.where(offerPosition=leaf.integer("offerPosition"))
        every = list(range(len(before)))
        for places in (every, of_offer):
            for earlier, later in [*zip(places, places, strict=True), *pairwise(places)]:
                shown = (before.proven(earlier), before.proven(later))
                yield _of_reserve("reserveInvented", *results, reserved, *shown)
        if not every:
            yield _of_reserve("reserveInvented", *results, reserved, NO_ENTRY, NO_ENTRY)
        refusals, taken = assessed.refusals, assessed.entries
        for number, refusal in enumerate(refusals.records):
            place = refusal.integer("byRequestPosition")
            if place < len(taken) and taken.records[place].word("pod") == leaf.word("pod"):
                shown = (refusals.proven(number), taken.proven(place))
                yield _of_reserve("reserveOfRefused", *results, *shown, reserved)

    def _of_answer(self, index: int) -> Iterator[Accusation]:
        leaf, answer = self._answers.records[index], self._answers.proven(index)
        for place in self._reserve.where(offerPosition=index):
            yield self._accusation("reserveBeyondOffer", answer, self._reserve.proven(place))
        if not self._stage.is_market:
            return
        named, offer = leaf.integer("because") - 1, self._book.offer(index)
        shown = self._reserve.proven(named) if 0 <= named < len(self._reserve) else NO_ENTRY
        if leaf.integer("status") in BEYOND_REQUESTS:
            yield self._accusation("falselyReserved", answer, shown)
            if offer:
                yield self._accusation("falselyKeptOut", answer, offer, shown)
        for place in range(len(self._reserve)):
            yield from self._cheaper(place, index)

    def _cheaper(self, index: int, refused: int) -> Iterator[Accusation]:
        """An offer said to be refused commercially, beside a dearer one in the reserve that it could have stood for."""
        leaf, offer = self._reserve.records[index], self._book.offer_record(refused)
        if offer is None or self._answers.records[refused].integer("status") not in LEFT_OUT:
            return
        place = (leaf.integer("slot"), leaf.integer("product"))
        if (offer.integer("slot"), offer.integer("product")) != place:
            return
        position = leaf.integer("requestPosition")
        request, proven = self._book.request(position), self._book.offer(refused)
        for effect in self._book.effects(position, offer.word("pod")):
            shown = (self._answers.proven(refused), proven, request, effect)
            yield self._accusation("cheaperLeftOut", self._reserve.proven(index), *shown)

    def _pair(self, function: str, earlier: int, later: int) -> Accusation:
        return self._accusation(function, self._reserve.proven(earlier), self._reserve.proven(later))

    def _accusation(self, function: str, *shown: object) -> Accusation:
        return _of_reserve(function, self._posted, int(self._stage), *shown)


def _of_reserve(function: str, *shown: object) -> Accusation:
    return Accusation("ReserveChallenges", function, shown)
