"""Market outcomes that the DSO's platform was asked to validate, and the final ones that came on its topic."""

from dataclasses import dataclass
from enum import StrEnum

from offchain.protocol.documents.outcome import MarketOutcome, TechnicalOutcome, ValidatedOutcome


class ValidationStatus(StrEnum):
    """How far a validation has come."""

    PENDING = "pending"
    """The grid oracle hasn't answered yet."""
    ANSWERED = "answered"
    """Its technical outcome stands on chain; the market hasn't taken it from the platform yet."""
    TOLD = "told"
    LAPSED = "lapsed"
    """The session's time for validation went by without an answer, or the market outcome was struck."""


@dataclass(frozen=True)
class AskedValidation:
    """A market outcome, by its id, whose validation was asked for; what stands on chain as the answer, and when the market took that
    from the platform. `closed`: nothing changes any more."""

    outcome: str
    session: int
    round: int
    document: MarketOutcome
    received_s: int
    answer: TechnicalOutcome | None = None
    told_s: int | None = None
    closed: bool = False

    @property
    def status(self) -> ValidationStatus:
        """Where it is."""
        if self.answer is None:
            return ValidationStatus.LAPSED if self.closed else ValidationStatus.PENDING
        return ValidationStatus.ANSWERED if self.told_s is None else ValidationStatus.TOLD


class FinalState(StrEnum):
    """What is known of a final outcome that came on the DSO's topic."""

    UNCHECKED = "unchecked"
    CONFIRMED = "confirmed"
    """It is the DSO's part of the validated outcome that stands on chain."""
    REFUSED = "refused"


@dataclass(frozen=True)
class FinalOutcome:
    """What came as a final outcome; `document`: None where it is none. `session`: None until it is found on chain; `reason`: why it
    was refused."""

    session: int | None
    document: ValidatedOutcome | None
    state: FinalState
    reason: str | None
    received_s: int
