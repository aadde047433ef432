"""A FastAPI app that authenticates its callers and answers every refusal with field, value and rule."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response

from offchain.protocol.documents.base import Document, dump, parse, read_json
from offchain.protocol.errors import FlexledgerError, InvalidInput
from offchain.protocol.units import MAX_UNIX_S
from offchain.rest.refusals import Conflict, Forbidden, NotFound, Unauthenticated
from offchain.rest.settings import ApiSettings, Role

_SCHEME = "bearer"
MOST_BODY_BYTES = 32 * 1024 * 1024


_STATUS: Mapping[type[FlexledgerError], int] = {
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    InvalidInput: 422,
}


@dataclass(frozen=True)
class Caller:
    """A participant that has proved who it is."""

    name: str
    role: Role

    def require(self, *roles: Role) -> None:
        """Raises Forbidden unless the caller has one of the roles."""
        if self.role not in roles:
            raise Forbidden(f"role = '{self.role}': must be {' or '.join(roles)}")


class Authenticator:
    """Tells who calls by the bearer token, as a FastAPI dependency."""

    def __init__(self, settings: ApiSettings) -> None:
        self._known = [
            (_digest(participant.token.get_secret_value()), Caller(participant.name, participant.role))
            for participant in settings.participants
        ]

    def __call__(self, authorization: Annotated[str | None, Header()] = None) -> Caller:
        """The caller. Raises Unauthenticated."""
        scheme, _, token = (authorization or "").partition(" ")
        presented = _digest(token)
        found: Caller | None = None
        # Every token is compared, and in constant time, so that the answer's delay tells nothing.
        for known, caller in self._known:
            if hmac.compare_digest(known, presented):
                found = caller
        if scheme.lower() != _SCHEME or found is None:
            raise Unauthenticated("authorization: must be 'Bearer ' and a participant's token")
        return found


def new_app(title: str, statuses: Mapping[type[FlexledgerError], int] = MappingProxyType({})) -> FastAPI:
    """An app whose refusals are JSON objects with `error`, and with `field`, `value`, `rule` for bad input.

    `statuses`: HTTP status of the errors that only this platform raises.
    """
    app = FastAPI(title=title)
    known = {**_STATUS, **statuses}

    @app.exception_handler(FlexledgerError)
    def refuse(_request: Request, error: FlexledgerError) -> JSONResponse:
        status = next((code for kind, code in known.items() if isinstance(error, kind)), None)
        if status is None:
            raise error
        return _refusal(status, error)

    @app.exception_handler(RequestValidationError)
    def refuse_malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
        rule = first["msg"].removeprefix("Value error, ")
        return _refusal(422, InvalidInput(field or "body", first.get("input"), rule))

    return app


async def _body(request: Request) -> bytes:
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > MOST_BODY_BYTES:
            raise InvalidInput(
                "body", f"{len(received)} bytes or more", f"must be at most {MOST_BODY_BYTES} bytes"
            )
    return bytes(received)


RawBody = Annotated[bytes, Depends(_body)]
"""The request's bytes. Documents are read from them, not from FastAPI's floats, so that no decimal is lost."""
FromTime = Annotated[int, Query(alias="fromTime", ge=0, le=MAX_UNIX_S)]
"""First Unix second of what is asked for."""
ToTime = Annotated[int, Query(alias="toTime", ge=0, le=MAX_UNIX_S)]
"""The Unix second before which what is asked for ends."""
DocumentT = TypeVar("DocumentT", bound=Document)


def read_each(model: type[DocumentT], raw: bytes, most: int) -> list[DocumentT]:
    """The documents of a JSON array. Raises InvalidInput naming index and field for the first that is wrong."""
    items = read_json(raw)
    if not isinstance(items, list) or len(items) > most:
        raise InvalidInput("body", items, f"must be an array of at most {most} objects")
    documents = []
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise InvalidInput(f"[{index}]", item, "must be an object")
        try:
            documents.append(parse(model, item))
        except InvalidInput as error:
            raise InvalidInput(f"[{index}].{error.field}", error.value, error.rule) from None
    return documents


def documents_response(documents: Sequence[Document], status: int = 200) -> Response:
    """A JSON array of documents."""
    content = b"[" + b",".join(dump(document) for document in documents) + b"]"
    return Response(content, status, media_type="application/json")


def _refusal(status: int, error: FlexledgerError) -> JSONResponse:
    content = {"error": str(error)}
    if isinstance(error, InvalidInput):
        content |= {"field": error.field, "value": repr(error.value)[:120], "rule": error.rule}
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(content, status, headers)


def _digest(token: str) -> bytes:
    """Hashed first, so that tokens of any length compare in the same time."""
    return hashlib.sha256(token.encode()).digest()
