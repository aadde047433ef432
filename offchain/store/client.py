"""A store of the market, by its REST API."""

from collections.abc import Mapping

import httpx

from offchain.protocol.cid import Cid
from offchain.protocol.errors import FlexledgerError
from offchain.store.api import document_path, keep_path
from offchain.store.documents import DocumentMissing, StoreUnavailable, checked

TIMEOUT_S = 30.0


class StoreRefused(FlexledgerError):
    """The store says no to a document; the message is the store's."""


class StoreClient:
    """Calls the store at a URL; `address`: the account that answers for its receipts."""

    def __init__(self, url: str, token: str, address: str, timeout_s: float = TIMEOUT_S) -> None:
        self.address = address
        self._url = url
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s, trust_env=False)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def keep(self, session: int, raw: bytes, *, joint: bool) -> bytes:
        """Bring a document and give the signature of its receipt (see Store). Raises StoreRefused or StoreUnavailable."""
        answer = self._ask("POST", keep_path(session), raw, {"joint": joint})
        if answer.is_client_error:
            raise StoreRefused(f"{self._url}: {answer.status_code}: {answer.text[:500]}")
        try:
            return bytes.fromhex(str(answer.json()["signature"]).removeprefix("0x"))
        except (ValueError, KeyError, TypeError):
            raise StoreUnavailable(f"{self._url}: answers without a signature") from None

    def get(self, cid: Cid) -> bytes:
        """A document, its content id recomputed. Raises DocumentMissing, DocumentCorrupt or StoreUnavailable."""
        answer = self._ask("GET", document_path(str(cid)))
        if answer.is_client_error:
            raise DocumentMissing(cid, self._url)
        return checked(cid, answer.content, self._url)

    def _ask(
        self, method: str, path: str, content: bytes | None = None, params: Mapping[str, bool] | None = None
    ) -> httpx.Response:
        try:
            answer = self._http.request(method, path, content=content, params=params)
        except httpx.HTTPError as problem:
            raise StoreUnavailable(f"{self._url}{path}: doesn't answer: {problem!r}") from None
        if not answer.is_success and not answer.is_client_error:
            raise StoreUnavailable(f"{self._url}{path}: answers {answer.status_code}")
        return answer
