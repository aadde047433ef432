"""The market's REST API. It only translates HTTP; `MarketService` does the work."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Path, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from offchain.chain.client import ChainRefused, ChainUnavailable
from offchain.market.service import DocumentKind, MarketService
from offchain.market.validation import TechnicalValidation
from offchain.protocol.cid import Cid
from offchain.protocol.documents.base import parse
from offchain.protocol.documents.outcome import TechnicalOutcome
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.products import Side
from offchain.protocol.signatures import checksum_address, parse_address
from offchain.protocol.typed_data import Commitment
from offchain.protocol.units import MAX_UNIX_S
from offchain.rest.app import Authenticator, Caller, RawBody, new_app
from offchain.rest.settings import ApiSettings, Role
from offchain.store.documents import DocumentCorrupt, DocumentMissing, StoreUnavailable
from offchain.store.lists import RootMismatch
from offchain.store.receipts import TooFewReceipts

DOCUMENTS = "/documents"
STATUSES: Mapping[type[FlexledgerError], int] = MappingProxyType(
    {
        ChainRefused: 409,
        ChainUnavailable: 503,
        DocumentMissing: 404,
        DocumentCorrupt: 503,
        StoreUnavailable: 503,
        TooFewReceipts: 503,
        RootMismatch: 503,
    }
)
"""What the chain or the store says, as HTTP says it."""
Bytes32 = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
Integer = Annotated[int, Field(ge=0, lt=2**53, strict=True)]
Number = Annotated[int, Path(ge=0, lt=2**53)]


def commitments_path(session: int) -> str:
    """Where commitments of a session are relayed."""
    return f"/sessions/{session}/commitments"


def reveal_path(session: int, sealed_hash: bytes) -> str:
    """Where the document of a commitment is revealed."""
    return f"{commitments_path(session)}/0x{sealed_hash.hex()}/document"


class CommitmentBody(BaseModel):
    """A signed commitment; amounts in µ€, times in Unix seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    player: str
    side: Side
    sealedHash: Bytes32
    capUeur: Integer
    replaces: Bytes32
    nonce: Integer
    deadline: Annotated[int, Field(ge=0, le=MAX_UNIX_S, strict=True)]
    signature: Annotated[str, Field(pattern=r"^0x([0-9a-f]{2})+$")]


class RelayedView(BaseModel):
    """The transaction, and the relayer's signed receipt."""

    transaction: str
    receipt: str


class VoidOfferView(BaseModel):
    """An offer that counts for nothing, by its place in the document, and the rule that it breaks."""

    field: str
    value: str
    rule: str


class RevealedView(BaseModel):
    """Under which content id a revealed document is stored, and which of its offers are void."""

    cid: str
    void: list[VoidOfferView]


class StoredView(BaseModel):
    """Under which content id a document is stored."""

    cid: str


class AskedView(BaseModel):
    """A market outcome that the DSO's platform was asked to validate. Times in Unix seconds, null until it has happened; `refusal`:
    what the platform said if it didn't take it."""

    marketOutcome: str
    session: int
    round: int
    askedTime: int
    refusal: str | None
    answeredTime: int | None


class Taken(BaseModel):
    """How many items were taken."""

    taken: int


def create_app(service: MarketService, validation: TechnicalValidation, settings: ApiSettings) -> FastAPI:
    """The API: commitments relayed, documents revealed, brought and read; the DSO's answers to what it was asked to validate."""
    app = new_app("flexledger market platform", STATUSES)
    authenticated = Annotated[Caller, Depends(Authenticator(settings))]

    @app.post("/sessions/{session}/commitments")
    def relay(caller: authenticated, session: Number, raw: RawBody) -> RelayedView:
        caller.require(Role.AGGREGATOR, Role.DSO, Role.TSO)
        body = _commitment(raw)
        commitment = Commitment(
            session=session,
            player=checksum_address(parse_address("player", body.player)),
            side=int(body.side),
            sealedHash=bytes.fromhex(body.sealedHash[2:]),
            capUeur=body.capUeur,
            replaces=bytes.fromhex(body.replaces[2:]),
            nonce=body.nonce,
            deadline=body.deadline,
        )
        relayed = service.relay(commitment, bytes.fromhex(body.signature[2:]))
        return RelayedView(transaction=relayed.transaction, receipt=relayed.receipt)

    @app.post("/sessions/{session}/commitments/{sealed_hash}/document")
    def reveal(
        caller: authenticated,
        session: Number,
        sealed_hash: Annotated[str, Path(pattern=r"^0x[0-9a-f]{64}$")],
        raw: RawBody,
        x_salt: Annotated[Bytes32, Header()],
    ) -> RevealedView:
        caller.require(Role.AGGREGATOR, Role.DSO, Role.TSO)
        taken = service.reveal(session, bytes.fromhex(sealed_hash[2:]), bytes.fromhex(x_salt[2:]), raw)
        void = [
            VoidOfferView(field=each.field, value=repr(each.value), rule=each.rule) for each in taken.void
        ]
        return RevealedView(cid=str(taken.cid), void=void)

    @app.post(DOCUMENTS)
    def bring(caller: authenticated, kind: DocumentKind, raw: RawBody) -> StoredView:
        caller.require(Role.AGGREGATOR, Role.DSO, Role.TSO)
        return StoredView(cid=str(service.take_document(kind, raw)))

    @app.get(DOCUMENTS + "/{cid}")
    def document(caller: authenticated, cid: str) -> Response:
        caller.require(Role.DSO, Role.MARKET)
        return Response(service.document(Cid.parse(cid)), media_type="application/octet-stream")

    @app.post("/technicalOutcome")
    def take_answer(caller: authenticated, raw: RawBody) -> Taken:
        caller.require(Role.DSO)
        validation.take(parse(TechnicalOutcome, raw))
        return Taken(taken=1)

    @app.get("/validations")
    def validations(caller: authenticated) -> list[AskedView]:
        caller.require(Role.DSO, Role.MARKET)
        return [
            AskedView(
                marketOutcome=each.outcome,
                session=each.session,
                round=each.round,
                askedTime=each.asked_s,
                refusal=each.refusal,
                answeredTime=each.answered_s,
            )
            for each in validation.asked()
        ]

    return app


def _commitment(raw: bytes) -> CommitmentBody:
    """Read by us: FastAPI would read a body of any length before it asks who calls."""
    try:
        return CommitmentBody.model_validate_json(raw)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None
