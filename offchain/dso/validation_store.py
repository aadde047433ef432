"""The memory of the validation desk in one SQLite file."""

from pathlib import Path
from typing import Any

from offchain.dso.database import Database
from offchain.dso.validation_records import AskedValidation, FinalOutcome, FinalState
from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.outcome import MarketOutcome, TechnicalOutcome, ValidatedOutcome
from offchain.protocol.errors import InvalidInput
from offchain.protocol.terms import SessionTerms

_SCHEMA = """
CREATE TABLE IF NOT EXISTS asked (
    outcome TEXT PRIMARY KEY,
    session INTEGER NOT NULL,
    round INTEGER NOT NULL,
    start_s INTEGER NOT NULL,
    end_s INTEGER NOT NULL,
    document BLOB NOT NULL,
    received_s INTEGER NOT NULL,
    answer BLOB,
    told_s INTEGER,
    closed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS final_outcomes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    payload BLOB UNIQUE NOT NULL,
    received_s INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    session INTEGER,
    start_s INTEGER NOT NULL DEFAULT 0,
    end_s INTEGER NOT NULL DEFAULT 0
);
"""
_ASKED = "outcome, session, round, document, received_s, answer, told_s, closed"


class ValidationStore(Database):
    """What was asked for, and what came as final outcomes."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _SCHEMA)

    def add(self, asked: AskedValidation, start_s: int, end_s: int) -> None:
        """Keep what was asked for; the first time counts."""
        self._rows(
            "INSERT OR IGNORE INTO asked (outcome, session, round, start_s, end_s, document, received_s)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            asked.outcome,
            asked.session,
            asked.round,
            start_s,
            end_s,
            dump(asked.document),
            asked.received_s,
        )

    def asked(self, outcome: str) -> AskedValidation | None:
        """What was asked for under a market outcome's id."""
        rows = self._rows(f"SELECT {_ASKED} FROM asked WHERE outcome = ?", outcome)
        return _asked(rows[0]) if rows else None

    def asked_between(self, from_s: int, to_s: int) -> list[AskedValidation]:
        """What was asked for of deliveries that overlap [from_s, to_s), by session and round."""
        rows = self._rows(
            f"SELECT {_ASKED} FROM asked WHERE start_s < ? AND end_s > ? ORDER BY session, round, received_s",
            to_s,
            from_s,
        )
        return [_asked(row) for row in rows]

    def open(self) -> list[AskedValidation]:
        """What may still change."""
        return [_asked(row) for row in self._rows(f"SELECT {_ASKED} FROM asked WHERE NOT closed")]

    def put_answer(self, outcome: str, answer: TechnicalOutcome | None) -> None:
        """Keep what stands on chain as the answer, which the market has not been told yet."""
        raw = None if answer is None else dump(answer)
        self._rows("UPDATE asked SET answer = ?, told_s = NULL WHERE outcome = ?", raw, outcome)

    def mark_told(self, outcome: str, now_s: int) -> None:
        """Note that the market has the answer."""
        self._rows("UPDATE asked SET told_s = ? WHERE outcome = ?", now_s, outcome)

    def close_asked(self, outcome: str) -> None:
        """Let nothing change any more."""
        self._rows("UPDATE asked SET closed = 1 WHERE outcome = ?", outcome)

    def add_final(self, payload: bytes, now_s: int) -> None:
        """Keep what came as a final outcome, unchecked; the first time counts."""
        self._rows(
            "INSERT OR IGNORE INTO final_outcomes (payload, received_s, state) VALUES (?, ?, ?)",
            payload,
            now_s,
            FinalState.UNCHECKED,
        )

    def unchecked(self) -> list[tuple[int, bytes, int]]:
        """Number, bytes and time of what hasn't been checked, oldest first."""
        return self._rows(
            "SELECT number, payload, received_s FROM final_outcomes WHERE state = ? ORDER BY number",
            FinalState.UNCHECKED,
        )

    def judge_final(
        self, number: int, terms: SessionTerms | None, state: FinalState, reason: str | None
    ) -> None:
        """Keep what came of the check, and whose outcome it is."""
        place = (None, 0, 0) if terms is None else (terms.session, terms.deliveryStart, terms.delivery_end_s)
        self._rows(
            "UPDATE final_outcomes SET state = ?, reason = ?, session = ?, start_s = ?, end_s = ? WHERE number = ?",
            state,
            reason,
            *place,
            number,
        )

    def finals(self, from_s: int, to_s: int) -> list[FinalOutcome]:
        """Those of deliveries that overlap [from_s, to_s), and those that belong to none, in order of arrival."""
        rows = self._rows(
            "SELECT session, payload, state, reason, received_s FROM final_outcomes"
            " WHERE session IS NULL OR (start_s < ? AND end_s > ?) ORDER BY number",
            to_s,
            from_s,
        )
        return [
            FinalOutcome(session, _final(payload), FinalState(state), *rest)
            for session, payload, state, *rest in rows
        ]


def _final(payload: bytes) -> ValidatedOutcome | None:
    try:
        return parse(ValidatedOutcome, payload)
    except InvalidInput:
        return None


def _asked(row: tuple[Any, ...]) -> AskedValidation:
    outcome, session, round_, document, received_s, answer, told_s, closed = row
    return AskedValidation(
        outcome,
        session,
        round_,
        parse(MarketOutcome, document),
        received_s,
        None if answer is None else parse(TechnicalOutcome, answer),
        told_s,
        bool(closed),
    )
