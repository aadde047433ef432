"""The technical validation of market outcomes: asked of the DSO's platform over REST (D2.3, Table 9), answered by it (Table 12).

The chain stays the truth. What the DSO's oracle assesses is the outcome that stands there, asked for or not, so that a market that
doesn't ask, or asks for something else, delays and changes nothing; an answer counts as far as it is the one that stands there.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from offchain.chain.market_view import Round
from offchain.chain.sessions import for_each_session
from offchain.protocol.documents.base import dump
from offchain.protocol.documents.outcome import MarketOutcome, TechnicalOutcome
from offchain.protocol.outcome_documents import outcome_id, require_alike
from offchain.protocol.terms import SessionTerms
from offchain.rest.client import PlatformClient, PlatformRefused, PlatformUnavailable
from offchain.rest.refusals import Conflict, NotFound
from offchain.store.outcomes import AnchoredOutcomes

logger = logging.getLogger(__name__)

AGAIN_AFTER_S = 30
"""Who refused is asked again after so long: its node may have been behind ours."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS asked (
    outcome TEXT PRIMARY KEY,
    session INTEGER NOT NULL,
    round INTEGER NOT NULL,
    asked_s INTEGER NOT NULL,
    refusal TEXT,
    answered_s INTEGER,
    answer BLOB
) WITHOUT ROWID
"""


class DsoPlatform(Protocol):
    """Who validates."""

    def ask(self, outcome: MarketOutcome) -> None:
        """Ask for validation; the same again is no harm. Raises PlatformUnavailable or PlatformRefused."""


class DsoPlatformClient:
    """The DSO platform's REST API, as far as the market uses it."""

    def __init__(self, platform: PlatformClient) -> None:
        self._platform = platform

    def ask(self, outcome: MarketOutcome) -> None:
        """See DsoPlatform."""
        self._platform.post("/marketOutcomes", outcome)


@dataclass(frozen=True)
class Asked:
    """A market outcome whose validation was asked for: when, why the DSO's platform refused it, when it answered."""

    outcome: str
    session: int
    round: int
    asked_s: int
    refusal: str | None
    answered_s: int | None


class TechnicalValidation:
    """Asks for each round's market outcome once, unless it is refused; killed in between, it asks again. `clock`: UTC Unix seconds."""

    def __init__(self, outcomes: AnchoredOutcomes, journal: Path, clock: Callable[[], int]) -> None:
        self._outcomes = outcomes
        self._clock = clock
        journal.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._journal = sqlite3.connect(journal, isolation_level=None, check_same_thread=False)
        self._journal.execute(_SCHEMA)

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def step(self, platform: DsoPlatform) -> None:
        """Ask for what stands and wasn't asked for. A session's fault is raised when all have been looked at."""
        for_each_session(self._outcomes.session_ids(), partial(self._look_at, platform))

    def _look_at(self, platform: DsoPlatform, session: int) -> None:
        terms = self._outcomes.terms(session)
        now_s = self._outcomes.market_time_s(session)
        if not terms.documentsDeadline <= now_s < terms.validatedOutcomeDeadline:
            return
        rounds = self._outcomes.rounds(session)
        if not rounds:
            return
        known = self._of(outcome_id(rounds[-1].market.hash()))
        is_refused_long_ago = (
            known is not None and known.refusal is not None and self._clock() >= known.asked_s + AGAIN_AFTER_S
        )
        if known is None or is_refused_long_ago:
            self._ask(platform, terms, rounds[-1])

    def _ask(self, platform: DsoPlatform, terms: SessionTerms, round_: Round) -> None:
        refusal = None
        try:
            platform.ask(self._outcomes.market_document(terms, round_))
        except PlatformUnavailable as problem:
            logger.warning("session %d: validation isn't asked for yet: %s", terms.session, problem)
            return
        except PlatformRefused as problem:
            logger.error("session %d: the DSO's platform refuses to validate: %s", terms.session, problem)
            refusal = str(problem)
        self._rows(
            "INSERT INTO asked (outcome, session, round, asked_s, refusal) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET asked_s = excluded.asked_s, refusal = excluded.refusal",
            outcome_id(round_.market.hash()),
            terms.session,
            round_.number,
            self._clock(),
            refusal,
        )

    def take(self, answer: TechnicalOutcome) -> None:
        """Take the DSO's answer; the same again changes nothing.

        Raises NotFound where it wasn't asked for, Conflict where no such answer stands on chain, InvalidInput at the first field
        in which it is another than that.
        """
        asked = self._of(answer.market_outcome)
        if asked is None:
            raise NotFound(f"marketOutcome = {answer.market_outcome!r}: no such validation was asked for")
        of_id = [
            each
            for each in self._outcomes.rounds(asked.session)
            if outcome_id(each.market.hash()) == asked.outcome
        ]
        terms = self._outcomes.terms(asked.session)
        anchored = self._outcomes.technical_document(terms, of_id[0]) if of_id else None
        if anchored is None:
            raise Conflict(f"marketOutcome = {asked.outcome!r}: no technical outcome of it stands on chain")
        require_alike(answer, anchored)
        self._rows(
            "UPDATE asked SET answered_s = ?, answer = ? WHERE outcome = ? AND answer IS NOT ?",
            self._clock(),
            dump(anchored),
            asked.outcome,
            dump(anchored),
        )

    def asked(self) -> list[Asked]:
        """Everything asked for, by session and round."""
        rows = self._rows(f"SELECT {_ASKED} FROM asked ORDER BY session, round, asked_s")
        return [Asked(*row) for row in rows]

    def _of(self, outcome: str) -> Asked | None:
        rows = self._rows(f"SELECT {_ASKED} FROM asked WHERE outcome = ?", outcome)
        return Asked(*rows[0]) if rows else None

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._journal.execute(statement, values).fetchall()


_ASKED = "outcome, session, round, asked_s, refusal, answered_s"
