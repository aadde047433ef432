"""Routes of the DSO's platform for what the market asks it to validate, and for the final outcomes that it keeps."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel

from offchain.chain.client import ChainRefused, ChainUnavailable
from offchain.dso.validation import ValidationDesk
from offchain.dso.validation_records import FinalState, ValidationStatus
from offchain.protocol.documents.base import parse
from offchain.protocol.documents.outcome import MarketOutcome, TechnicalOutcome, ValidatedOutcome
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.units import MAX_UNIX_S
from offchain.rest.app import Authenticator, Caller, FromTime, RawBody, ToTime
from offchain.rest.settings import ApiSettings, Role
from offchain.store.documents import DocumentCorrupt, DocumentMissing, StoreUnavailable
from offchain.store.lists import RootMismatch

UNCHECKABLE: Mapping[type[FlexledgerError], int] = MappingProxyType(
    dict.fromkeys(
        (ChainRefused, ChainUnavailable, DocumentCorrupt, DocumentMissing, RootMismatch, StoreUnavailable),
        503,
    )
)
"""Why what came can't be held to the chain now: nothing is taken, try again later."""


class AskedForView(BaseModel):
    """A validation that the market asked for. Times in Unix seconds, null until it has happened. `technicalOutcome`: the answer that
    stands on chain."""

    id: str
    session: int
    round: int
    status: ValidationStatus
    receivedTime: int
    toldTime: int | None
    marketOutcome: MarketOutcome
    technicalOutcome: TechnicalOutcome | None


class FinalView(BaseModel):
    """A final outcome that came on the DSO's topic, null where it is none, and whether it is what stands on chain; `reason`: why it
    isn't."""

    session: int | None
    state: FinalState
    reason: str | None
    receivedTime: int
    outcome: ValidatedOutcome | None


class AskedTaken(BaseModel):
    """The id under which a validation was taken."""

    id: str


def add_validation(app: FastAPI, desk: ValidationDesk, settings: ApiSettings) -> None:
    """POST /marketOutcomes: a `MarketOutcome` (D2.3 Table 9) that stands on chain, to be validated.

    GET /marketOutcomes: those asked for, with what came of each. GET /validatedOutcomes: the final ones. All by the time of delivery.
    """
    authenticated = Annotated[Caller, Depends(Authenticator(settings))]

    @app.post("/marketOutcomes")
    def ask(caller: authenticated, raw: RawBody) -> AskedTaken:
        caller.require(Role.MARKET)
        told = parse(MarketOutcome, raw)
        desk.ask(told)
        return AskedTaken(id=str(told.id))

    @app.get("/marketOutcomes", response_model_exclude_unset=True)
    def asked(caller: authenticated, from_s: FromTime = 0, to_s: ToTime = MAX_UNIX_S) -> list[AskedForView]:
        caller.require(Role.DSO)
        return [
            AskedForView(
                id=each.outcome,
                session=each.session,
                round=each.round,
                status=status,
                receivedTime=each.received_s,
                toldTime=each.told_s,
                marketOutcome=each.document,
                technicalOutcome=each.answer,
            )
            for each, status in desk.validations(from_s, to_s)
        ]

    @app.get("/validatedOutcomes", response_model_exclude_unset=True)
    def finals(caller: authenticated, from_s: FromTime = 0, to_s: ToTime = MAX_UNIX_S) -> list[FinalView]:
        caller.require(Role.DSO)
        return [
            FinalView(
                session=each.session,
                state=each.state,
                reason=each.reason,
                receivedTime=each.received_s,
                outcome=each.document,
            )
            for each in desk.finals(from_s, to_s)
        ]
