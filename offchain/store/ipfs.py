"""The document store on an IPFS node, over the HTTP API that kubo and js-ipfs share.

js-ipfs 0.14 doesn't give back the last byte of a file whose last chunk has one byte: such a document is reported as
corrupt, never given out short.
"""

import json
from types import TracebackType
from typing import Self

import httpx

from offchain.protocol.cid import Cid, cid_of
from offchain.store.documents import DocumentMissing, StoreUnavailable, checked

TIMEOUT_S = 30.0
"""How long a node may search its peers for a document before it counts as missing."""


class _NoAnswerYet(StoreUnavailable):
    """The node took the question and gave no answer in time."""


class IpfsStore:
    """Documents pinned in the IPFS node whose API is at a URL, such as http://127.0.0.1:5001."""

    def __init__(self, api_url: str, timeout_s: float = TIMEOUT_S) -> None:
        self._where = api_url
        self._client = httpx.Client(base_url=api_url, timeout=timeout_s, trust_env=False)

    def put(self, data: bytes) -> Cid:
        """Add and pin a document. Raises StoreUnavailable, also when the node gives it another content id."""
        cid = cid_of(data)
        options = {"cid-version": "1", "raw-leaves": "true", "pin": "true", "cid-base": "base32"}
        response = self._post(cid, "add", options, files={"file": ("document", data)})
        # The node answers a line for each file; ours is the only one.
        given = json.loads(response.text.splitlines()[-1])["Hash"] if response.is_success else response.text
        if given != str(cid):
            raise StoreUnavailable(f"document {cid}: {self._where} answered {given!r} to it")
        return cid

    def get(self, cid: Cid) -> bytes:
        """The document.

        Raises DocumentMissing where the node finds nothing in time (it goes on looking for ever), DocumentCorrupt,
        and StoreUnavailable.
        """
        try:
            response = self._post(cid, "cat", {"arg": str(cid)})
        except _NoAnswerYet:
            raise DocumentMissing(cid, self._where) from None
        if not response.is_success:
            raise DocumentMissing(cid, self._where)
        return checked(cid, response.content, self._where)

    def has(self, cid: Cid) -> bool:
        """Whether the node has pinned the document. Raises StoreUnavailable."""
        return self._post(cid, "pin/ls", {"arg": str(cid)}).is_success

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _post(
        self, cid: Cid, call: str, options: dict[str, str], files: dict[str, tuple[str, bytes]] | None = None
    ) -> httpx.Response:
        try:
            return self._client.post(f"/api/v0/{call}", params=options, files=files)
        except httpx.ReadTimeout as error:
            raise _NoAnswerYet(f"document {cid}: {self._where} didn't answer in time") from error
        except httpx.HTTPError as error:
            raise StoreUnavailable(f"document {cid}: {self._where} doesn't answer: {error!r}") from error
