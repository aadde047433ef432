"""What may be said against refusals, and against what later results make of them: AssessmentChallenges."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from offchain.audit.accusations.accusation import Accusation
from offchain.audit.book import BookPages, Proven, ProvenList
from offchain.audit.verify import FalseResult
from offchain.chain.market_view import Stage
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, REFUSAL
from offchain.protocol.lists import ListDocument
from offchain.protocol.rounds import refusal_named
from offchain.protocol.typed_data import Outcome, TechnicalOutcome

CONTRACT = "AssessmentChallenges"
NO_REFUSAL: Proven = ((0, 0, 0, 0, 0, 0, 0, 0, bytes(32), 0, 0, bytes(32), bytes(32)), [])
"""Where an answer names none: it isn't looked at."""
NO_ASSESSMENT = TechnicalOutcome(0, bytes(32), bytes(32), 0, bytes(32), bytes(32), 0, 0)
"""Where an answer names a round that there wasn't: it isn't looked at."""


@dataclass(frozen=True)
class RoundResults:
    """A round's market and technical outcome that stand, with their documents. `stage`: of the technical one."""

    stage: Stage
    market: Outcome
    market_document: ListDocument
    technical: TechnicalOutcome
    refusals_document: ListDocument

    @cached_property
    def refusals(self) -> ProvenList:
        """Leaves of the technical outcome."""
        return ProvenList(self.refusals_document.list_of(REFUSAL))

    @cached_property
    def answers(self) -> ProvenList:
        """The market outcome's list by offer."""
        return ProvenList(self.market_document.list_of(OUTCOME_BY_OFFER))

    @cached_property
    def entries(self) -> ProvenList:
        """The market outcome's list by request."""
        return ProvenList(self.market_document.list_of(OUTCOME_BY_REQUEST))


class RefusalAccusations:
    """Accusations of a false technical outcome."""

    def __init__(self, found: FalseResult, judged: RoundResults) -> None:
        self._posted, self._stage = judged.technical, judged.stage
        self._market, self._entries = judged.market, judged.entries
        self._refusals = ProvenList(found.posted.list_of(REFUSAL))
        # Where no leaf differs, what is false is posted beside them: their number or sum.
        different = self._refusals.differing(found.replayed.list_of(REFUSAL))
        self._suspects = different or range(len(self._refusals))

    def __iter__(self) -> Iterator[Accusation]:
        for first, second in self._refusals.doubled():
            yield self._accusation("refusalDoubled", first, second)
        for index in self._suspects:
            yield self._accusation("modelNotAnchored", index)
            yield self._accusation("malformedRefusal", index)
            for earlier, later in self._refusals.beside(index):
                yield self._accusation("refusalSumBroken", earlier, later)
            yield self._accusation("notInOutcome", index, shown=(self._market,))
            entry = self._refusals.records[index].integer("byRequestPosition")
            if entry < len(self._entries):
                shown = (self._market, self._entries.proven(entry))
                yield self._accusation("notAsAccepted", index, shown=shown)

    def _accusation(self, function: str, *indices: int, shown: tuple[object, ...] = ()) -> Accusation:
        leaves = [self._refusals.proven(index) for index in indices]
        return Accusation(CONTRACT, function, (self._posted, int(self._stage), *leaves, *shown))


class NamedRefusalAccusations:
    """Accusations of a validated outcome, or of a later round's market outcome, that names or ignores refusals falsely.
    `rounds`: those before it."""

    def __init__(
        self, found: FalseResult, posted: Outcome, rounds: Sequence[RoundResults], book: BookPages
    ) -> None:
        self._posted, self._stage, self._rounds, self._book = posted, found.stage, rounds, book
        self._answers = ProvenList(found.posted.list_of(OUTCOME_BY_OFFER))
        self._suspects = self._answers.differing(found.replayed.list_of(OUTCOME_BY_OFFER))

    def __iter__(self) -> Iterator[Accusation]:
        for index in self._suspects:
            yield from self._of_named(index)
            for each in self._rounds:
                if index < len(each.answers):
                    yield from self._ignored(index, each)

    def _of_named(self, index: int) -> Iterator[Accusation]:
        answer, offer = self._answers.proven(index), self._book.offer(index)
        round_, place = refusal_named(self._answers.records[index].integer("because"))
        if round_ > len(self._rounds):
            yield self._accusation("noSuchRefusal", NO_ASSESSMENT, answer)
            return
        named_in = self._rounds[round_ - 1]
        if not 0 <= place < len(named_in.refusals):
            yield self._accusation("noSuchRefusal", named_in.technical, answer)
        elif offer:
            named = named_in.refusals.proven(place)
            yield self._accusation("refusedForAnother", named_in.technical, answer, offer, named)
            entry = named_in.refusals.records[place].integer("byRequestPosition")
            if entry < len(named_in.entries):
                shown = (answer, offer, named, named_in.entries.proven(entry))
                yield self._accusation("takenAway", named_in.technical, named_in.market, *shown)

    def _ignored(self, index: int, before: RoundResults) -> Iterator[Accusation]:
        both = (self._answers.proven(index), before.answers.proven(index))
        for refusal in before.refusals.where(offerPosition=index):
            shown = (before.technical, int(before.stage), before.market, before.refusals.proven(refusal))
            yield self._accusation("refusalIgnored", *shown, *both)

    def _accusation(self, function: str, *shown: object) -> Accusation:
        return Accusation(CONTRACT, function, (self._posted, int(self._stage), *shown))


class ValidationAccusations:
    """Accusations of a validated outcome that isn't the last round's market outcome less its refusals."""

    def __init__(self, found: FalseResult, posted: Outcome, last: RoundResults) -> None:
        self._results, self._last = (posted, last.market, last.technical), last
        self._answers = ProvenList(found.posted.list_of(OUTCOME_BY_OFFER))
        self._entries = ProvenList(found.posted.list_of(OUTCOME_BY_REQUEST))
        self._suspect_answers = self._answers.differing(found.replayed.list_of(OUTCOME_BY_OFFER))
        self._suspect_entries = self._entries.differing(found.replayed.list_of(OUTCOME_BY_REQUEST))

    def __iter__(self) -> Iterator[Accusation]:
        for index in self._suspect_answers:
            if index < len(self._last.answers):
                yield from self._of_answer(index)
        for index in self._suspect_entries:
            yield from self._of_entry(index)

    def _of_answer(self, index: int) -> Iterator[Accusation]:
        both = (self._answers.proven(index), self._last.answers.proven(index))
        yield self._accusation("acceptedMore", *both)
        first = self._last.answers.records[index].integer("firstByRequest") - 1
        if first >= 0:
            _, place = refusal_named(self._answers.records[index].integer("because"))
            refusals = self._last.refusals
            named = refusals.proven(place) if 0 <= place < len(refusals) else NO_REFUSAL
            shown = (*both, self._last.entries.proven(first), named)
            yield self._accusation("takenWithoutRefusal", *shown)
        yield self._accusation("answerChanged", *both)

    def _of_entry(self, index: int) -> Iterator[Accusation]:
        leaf, entry = self._entries.records[index], self._entries.proven(index)
        offer, request = leaf.integer("offerPosition"), leaf.integer("requestPosition")
        before, refusals = self._last.entries, self._last.refusals
        of_offer = before.where(offerPosition=offer)
        for place in before.where(offerPosition=offer, requestPosition=request):
            yield self._accusation("entryChanged", entry, before.proven(place))
            for refusal in refusals.where(byRequestPosition=place):
                shown = (refusals.proven(refusal), entry, before.proven(place))
                yield self._accusation("refusalMisplaced", *shown)
        for earlier, later in zip(of_offer, [*of_offer[1:], *of_offer[-1:]], strict=True):
            for pair in ((earlier, later), (earlier, earlier)):
                shown_pair = [before.proven(place) for place in pair]
                yield self._accusation("entryInvented", entry, *shown_pair)

    def _accusation(self, function: str, *shown: object) -> Accusation:
        return Accusation(CONTRACT, function, (*self._results, *shown))
