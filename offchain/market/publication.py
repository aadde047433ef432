"""Publication of validated outcomes: each participant's own part, on its own topic (D2.3, Tables 15 to 17 and 28)."""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from offchain.chain.sessions import for_each_session
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
    """Publishes each validated outcome once; killed in between, it publishes again, never less.

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
        self._journal.execute("CREATE TABLE IF NOT EXISTS told (outcome BLOB PRIMARY KEY) WITHOUT ROWID")

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def step(self) -> None:
        """Publish what has been validated since; what follows one that was struck, too. A session's fault is raised when all have
        been looked at."""
        for_each_session(self._outcomes.session_ids(), self._look_at)

    def _look_at(self, session: int) -> None:
        posted = self._outcomes.validated(session)
        if (
            posted is None
            or self._journal.execute("SELECT 1 FROM told WHERE outcome = ?", (posted.hash(),)).fetchone()
        ):
            return
        self._publisher.publish(self._messages(self._outcomes.terms(session), posted))
        self._journal.execute("INSERT INTO told VALUES (?)", (posted.hash(),))

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
