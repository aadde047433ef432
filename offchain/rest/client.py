"""How one platform calls another's REST API."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from offchain.protocol.documents.base import Document, dump
from offchain.protocol.errors import FlexledgerError

TIMEOUT_S = 30.0


class PlatformUnavailable(FlexledgerError):
    """The other platform doesn't answer, or not now: try again later."""


class PlatformRefused(FlexledgerError):
    """The other platform says no, and will say it again."""


class PlatformClient:
    """Calls a platform at a URL with our bearer token there."""

    def __init__(self, url: str, token: str, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=timeout_s, trust_env=False)

    def post(self, path: str, document: Document | Sequence[Document]) -> None:
        """Post a document, or an array of them. Raises PlatformUnavailable or PlatformRefused."""
        if isinstance(document, Document):
            body = dump(document)
        else:
            body = b"[" + b",".join(dump(item) for item in document) + b"]"
        self._ask("POST", path, content=body)

    def get(self, path: str, parameters: Mapping[str, str | int]) -> bytes:
        """What a path gives. Raises PlatformUnavailable or PlatformRefused."""
        return self._ask("GET", path, params=dict(parameters)).content

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = self._client.request(method, path, **request)
        except httpx.HTTPError as error:
            raise PlatformUnavailable(f"{self._url}{path}: doesn't answer: {error!r}") from error
        if response.is_client_error:
            raise PlatformRefused(f"{self._url}{path}: {response.status_code}: {response.text[:500]}")
        if not response.is_success:
            raise PlatformUnavailable(f"{self._url}{path}: answers {response.status_code}")
        return response
