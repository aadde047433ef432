"""What may be said against a real-time outcome by the day-ahead result: RealTimeChallenges."""

from collections.abc import Iterator

from offchain.audit.accusations.accusation import Accusation
from offchain.audit.book import BookPages, Proven, ProvenList
from offchain.audit.verify import FalseResult
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST
from offchain.protocol.lists import Record
from offchain.protocol.products import OfferStatus
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Outcome
from oracles.session_facts import AheadResult

NO_ENTRY: Proven = (
    tuple(0 if field.is_integer else bytes(32) for field in OUTCOME_BY_REQUEST.fields),
    [],
)
"""Where an answer names none: it isn't looked at."""


class RealTimeAccusations:
    """Accusations of a market or validated outcome in real time. `ahead`: None where no day-ahead outcome counts."""

    def __init__(
        self,
        found: FalseResult,
        posted: Outcome,
        book: BookPages,
        terms: SessionTerms,
        ahead: AheadResult | None,
    ) -> None:
        self._posted, self._stage, self._book = posted, found.stage, book
        self._terms, self._ahead = terms, ahead
        self._sold = None if ahead is None else ProvenList(ahead.document.list_of(OUTCOME_BY_REQUEST))
        self._entries = ProvenList(found.posted.list_of(OUTCOME_BY_REQUEST))
        self._answers = ProvenList(found.posted.list_of(OUTCOME_BY_OFFER))
        self._suspect_entries = self._entries.differing(found.replayed.list_of(OUTCOME_BY_REQUEST))
        self._suspect_answers = self._answers.differing(found.replayed.list_of(OUTCOME_BY_OFFER))

    def __iter__(self) -> Iterator[Accusation]:
        if self._ahead is not None and self._sold is not None:
            yield from self._sold_twice(self._ahead, self._sold)
        for index in self._suspect_answers:
            offer = self._book.offer(index)
            if offer and self._answers.records[index].integer("status") == OfferStatus.COM_SOLD:
                shown = (self._answers.proven(index), offer, *self._named_by(index))
                yield self._accusation("falselySold", *shown)

    def _sold_twice(self, ahead: AheadResult, sold: ProvenList) -> Iterator[Accusation]:
        first: dict[tuple[bytes, int, int], int] = {}
        for index, leaf in enumerate(sold.records):
            first.setdefault(_place(leaf, ahead.terms), index)
        for index in self._suspect_entries:
            earlier = first.get(_place(self._entries.records[index], self._terms))
            if earlier is not None:
                shown = (self._entries.proven(index), ahead.outcome, sold.proven(earlier))
                yield self._accusation("soldTwice", *shown)

    def _named_by(self, index: int) -> tuple[Outcome, Proven]:
        """The day-ahead outcome, and its entry that an answer names; where none counts, or it names none, anything."""
        if self._ahead is None or self._sold is None:
            return self._posted, NO_ENTRY
        named = self._answers.records[index].integer("because") - 1
        is_one = 0 <= named < len(self._sold)
        return self._ahead.outcome, self._sold.proven(named) if is_one else NO_ENTRY

    def _accusation(self, function: str, *shown: object) -> Accusation:
        return Accusation("RealTimeChallenges", function, (self._posted, int(self._stage), *shown))


def _place(leaf: Record, terms: SessionTerms) -> tuple[bytes, int, int]:
    """PoD, start of the quarter-hour, and kind of power."""
    return leaf.word("pod"), terms.slot_start_s(leaf.integer("slot")), leaf.integer("product") >> 1
