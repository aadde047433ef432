"""Market sessions (D2.3 Table 5)."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from offchain.protocol.documents.base import Document, Moment, broken_rule
from offchain.protocol.documents.time_frame import MarketType


class SessionStatus(StrEnum):
    """How far a session is."""

    CREATED = "created"
    ACTIVE = "active"
    CLOSED = "closed"


class MarketSession(Document):
    """Table 5: from when to when a session takes requests and offers."""

    market_type: MarketType
    status: SessionStatus = Field(alias="Status")
    start: Moment | None = Field(default=None, alias="Start")
    end: Moment | None = Field(default=None, alias="End")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise broken_rule("End", self.end.isoformat(), "must be later than Start")
        return self
