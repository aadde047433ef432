"""Publication of validated outcomes: each participant's own part, on its own topic (D2.3, Tables 15 to 17 and 28)."""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from offchain.messaging.mqtt import Message
from offchain.messaging.topics import DSO_OUTCOME, TSO_OUTCOME, aggregator_outcome
from offchain.protocol.documents.base import dump
from offchain.protocol.documents.time_frame import ServiceType
from offchain.protocol.outcome_documents import part_document
from offchain.protocol.products import Side
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Outcome
from offchain.store.outcomes import AnchoredOutcomes


class Publisher(Protocol):
    """The way to the participants."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Returns once the broker has them all. Raises MessagingUnavailable or MessagingRefused."""


class OutcomePublication:
    """Publishes each session's validated outcome once; killed in between, it publishes again, never less.

    `aggregators`: broker user of each aggregator by its address.
    """

    def __init__(
        self,
        outcomes: AnchoredOutcomes,
        publisher: Publisher,
        aggregators: Mapping[str, str],
        journal: Path,
    ) -> None:
        self._outcomes = outcomes
        self._publisher = publisher
        self._aggregators = aggregators
        journal.parent.mkdir(parents=True, exist_ok=True)
        self._journal = sqlite3.connect(journal, isolation_level=None)
        self._journal.execute("CREATE TABLE IF NOT EXISTS published (session INTEGER PRIMARY KEY)")

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def step(self) -> None:
        """Publish what has been validated since."""
        published = {session for (session,) in self._journal.execute("SELECT session FROM published")}
        for session in self._outcomes.session_ids():
            posted = None if session in published else self._outcomes.validated(session)
            if posted is None:
                continue
            self._publisher.publish(self._messages(self._outcomes.terms(session), posted))
            self._journal.execute("INSERT INTO published VALUES (?)", (session,))

    def _messages(self, terms: SessionTerms, posted: Outcome) -> list[Message]:
        parts = self._outcomes.validated_parts(terms, posted)
        told = [
            (DSO_OUTCOME, parts[Side.DSO_REQUEST], ServiceType.DSO_REQUEST),
            (TSO_OUTCOME, parts[Side.TSO_REQUEST], ServiceType.TSO_REQUEST),
        ]
        for address, user in self._aggregators.items():
            told.append((aggregator_outcome(user), parts[address], ServiceType.OFFER))
        return [
            Message(topic, dump(part_document(terms, posted.hash(), part, service)))
            for topic, part, service in told
        ]
