"""A store's REST API. It only translates HTTP; `Keeper` does the work."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from fastapi import Depends, FastAPI, Path, Response
from pydantic import BaseModel

from offchain.chain.client import ChainRefused, ChainUnavailable
from offchain.protocol.cid import Cid
from offchain.protocol.errors import FlexledgerError
from offchain.rest.app import Authenticator, Caller, RawBody, new_app
from offchain.rest.settings import ApiSettings, Role
from offchain.store.documents import DocumentCorrupt, DocumentMissing, StoreUnavailable
from offchain.store.receipts import Keeper

STATUSES: Mapping[type[FlexledgerError], int] = MappingProxyType(
    {
        ChainRefused: 409,
        ChainUnavailable: 503,
        DocumentMissing: 404,
        DocumentCorrupt: 503,
        StoreUnavailable: 503,
    }
)
Number = Annotated[int, Path(ge=0, lt=2**53)]


def keep_path(session: int) -> str:
    """Where documents of a session are brought."""
    return f"/sessions/{session}/documents"


def document_path(cid: str) -> str:
    """Where a document is read."""
    return f"/documents/{cid}"


class ReceiptView(BaseModel):
    """The store's signature of its receipt."""

    signature: str


def create_app(keeper: Keeper, settings: ApiSettings) -> FastAPI:
    """The API: documents brought for a receipt (`joint`: one of the book, else a result), and read."""
    app = new_app("flexledger store", STATUSES)
    authenticated = Annotated[Caller, Depends(Authenticator(settings))]

    @app.post("/sessions/{session}/documents")
    def keep(caller: authenticated, session: Number, joint: bool, raw: RawBody) -> ReceiptView:
        caller.require(Role.AGGREGATOR, Role.DSO, Role.TSO, Role.MARKET, Role.ORACLE)
        return ReceiptView(signature="0x" + keeper.keep(session, raw, joint=joint).hex())

    @app.get("/documents/{cid}")
    def document(caller: authenticated, cid: str) -> Response:
        caller.require(Role.DSO, Role.MARKET, Role.ORACLE)
        return Response(keeper.get(Cid.parse(cid)), media_type="application/octet-stream")

    return app
