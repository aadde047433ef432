"""What may be said against refusals, and against what a validated outcome makes of them: AssessmentChallenges."""

from collections.abc import Iterator
from dataclasses import dataclass

from offchain.audit.accusations.accusation import Accusation
from offchain.audit.book import BookPages, Proven, ProvenList
from offchain.audit.verify import FalseResult
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, REFUSAL
from offchain.protocol.lists import ListDocument
from offchain.protocol.typed_data import Outcome, TechnicalOutcome

NO_REFUSAL: Proven = ((0, 0, 0, 0, 0, 0, 0, 0, bytes(32), 0, 0, bytes(32), bytes(32)), [])
"""Where an answer names none: it isn't looked at."""


@dataclass(frozen=True)
class MarketResult:
    """A market outcome that stands, with its document."""

    outcome: Outcome
    document: ListDocument


class RefusalAccusations:
    """Accusations of a false technical outcome."""

    def __init__(self, found: FalseResult, posted: TechnicalOutcome, market: MarketResult) -> None:
        self._posted, self._market = posted, market
        self._refusals = ProvenList(found.posted.list_of(REFUSAL))
        self._suspects = self._refusals.differing(found.replayed.list_of(REFUSAL))
        self._entries = ProvenList(market.document.list_of(OUTCOME_BY_REQUEST))

    def __iter__(self) -> Iterator[Accusation]:
        for first, second in self._refusals.doubled():
            yield self._accusation("refusalDoubled", first, second)
        for index in self._suspects:
            yield self._accusation("modelNotAnchored", index)
            yield self._accusation("malformedRefusal", index)
            for earlier, later in self._refusals.beside(index):
                yield self._accusation("refusalSumBroken", earlier, later)
            yield self._accusation("notInOutcome", index, shown=(self._market.outcome,))
            entry = self._refusals.records[index].integer("byRequestPosition")
            if entry < len(self._entries):
                shown = (self._market.outcome, self._entries.proven(entry))
                yield self._accusation("notAsAccepted", index, shown=shown)

    def _accusation(self, function: str, *indices: int, shown: tuple[object, ...] = ()) -> Accusation:
        leaves = [self._refusals.proven(index) for index in indices]
        return Accusation("AssessmentChallenges", function, (self._posted, *leaves, *shown))


class ValidationAccusations:
    """Accusations of a validated outcome that isn't the market outcome less the refusals."""

    def __init__(
        self,
        found: FalseResult,
        posted: Outcome,
        market: MarketResult,
        technical: TechnicalOutcome,
        refusals: ListDocument,
        book: BookPages,
    ) -> None:
        self._results = (posted, market.outcome)
        self._book = book
        self._technical = technical
        self._refusals = ProvenList(refusals.list_of(REFUSAL))
        self._answers = ProvenList(found.posted.list_of(OUTCOME_BY_OFFER))
        self._entries = ProvenList(found.posted.list_of(OUTCOME_BY_REQUEST))
        self._market_answers = ProvenList(market.document.list_of(OUTCOME_BY_OFFER))
        self._market_entries = ProvenList(market.document.list_of(OUTCOME_BY_REQUEST))
        self._suspect_answers = self._answers.differing(found.replayed.list_of(OUTCOME_BY_OFFER))
        self._suspect_entries = self._entries.differing(found.replayed.list_of(OUTCOME_BY_REQUEST))

    def __iter__(self) -> Iterator[Accusation]:
        for index in self._suspect_answers:
            if index < len(self._market_answers):
                yield from self._of_answer(index)
        for index in self._suspect_entries:
            yield from self._of_entry(index)

    def _of_answer(self, index: int) -> Iterator[Accusation]:
        both = (self._answers.proven(index), self._market_answers.proven(index))
        yield self._accusation("acceptedMore", *both)
        first = self._market_answers.records[index].integer("firstByRequest") - 1
        if first >= 0:
            because = self._answers.records[index].integer("because") - 1
            named = self._refusals.proven(because) if 0 <= because < len(self._refusals) else NO_REFUSAL
            shown = (self._technical, *both, self._market_entries.proven(first), named)
            yield self._accusation("takenWithoutRefusal", *shown)
            offer = self._book.offer(index)
            if offer and named is not NO_REFUSAL:
                against = (self._results[0], self._technical, both[0], offer, named)
                yield Accusation("AssessmentChallenges", "refusedForAnother", against)
        for refusal in self._refusals.where(offerPosition=index):
            yield self._accusation("refusalIgnored", self._technical, self._refusals.proven(refusal), *both)
        yield self._accusation("answerChanged", *both)

    def _of_entry(self, index: int) -> Iterator[Accusation]:
        leaf, entry = self._entries.records[index], self._entries.proven(index)
        offer, request = leaf.integer("offerPosition"), leaf.integer("requestPosition")
        of_offer = self._market_entries.where(offerPosition=offer)
        for place in self._market_entries.where(offerPosition=offer, requestPosition=request):
            before = self._market_entries.proven(place)
            yield self._accusation("entryChanged", entry, before)
            for refusal in self._refusals.where(byRequestPosition=place):
                shown = (self._technical, self._refusals.proven(refusal), entry, before)
                yield self._accusation("refusalMisplaced", *shown)
        for earlier, later in zip(of_offer, [*of_offer[1:], *of_offer[-1:]], strict=True):
            for pair in ((earlier, later), (earlier, earlier)):
                shown_pair = [self._market_entries.proven(place) for place in pair]
                yield self._accusation("entryInvented", entry, *shown_pair)

    def _accusation(self, function: str, *shown: object) -> Accusation:
        return Accusation("AssessmentChallenges", function, (*self._results, *shown))
