"""What brownie needs to work with anvil without losing transactions or time."""

import threading
import time
from http.client import HTTPConnection
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from brownie import chain, web3
from brownie.network import state
from brownie.network.rpc import Rpc
from web3 import HTTPProvider
from web3.middleware import Web3Middleware
from web3.types import MakeRequestFn, RPCEndpoint, RPCResponse

RECEIPT_WAIT_S = 1.0
REQUEST_TIMEOUT_S = 120.0
POLL_S = 0.002


class PatientReceipts(Web3Middleware):
    """Asks again for a receipt that isn't there yet, up to RECEIPT_WAIT_S.

    Anvil raises the sender's nonce a moment before the receipt can be read. brownie, which reads the nonce first, then
    takes the transaction for dropped, and where it doesn't, sleeps a second before it looks again.
    """

    def wrap_make_request(self, make_request: MakeRequestFn) -> MakeRequestFn:
        """The request, repeated while it is one for a receipt and the answer is empty."""

        def patient(method: RPCEndpoint, params: Any) -> RPCResponse:
            response = make_request(method, params)
            deadline = time.monotonic() + RECEIPT_WAIT_S
            while (
                method == "eth_getTransactionReceipt"
                and "error" not in response
                and response.get("result") is None
                and time.monotonic() < deadline
            ):
                time.sleep(POLL_S)
                response = make_request(method, params)
            return response

        return patient


class KeptConnection(HTTPProvider):
    """JSON-RPC of a chain on this machine over one kept connection: `requests`, which looks at proxies, cookies and passwords
    for each request, needs five times as long."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._lock = threading.Lock()
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=REQUEST_TIMEOUT_S)

    def _make_request(self, method: RPCEndpoint, request_data: bytes) -> bytes:
        # brownie asks from several threads.
        with self._lock:
            self._connection.request("POST", "/", request_data, {"Content-Type": "application/json"})
            return self._connection.getresponse().read()


def wait_for_receipts() -> None:
    """Let brownie's connection, this one and those that follow, be patient; may be called again."""
    if PatientReceipts not in web3.middleware_onion:
        web3.middleware_onion.add(PatientReceipts)


def hurry() -> None:
    """Leave out what brownie does around each transaction for nobody's sake in tests. Its chain must be connected."""
    web3.provider = KeptConnection(web3.provider.endpoint_uri)
    # It asks for the chain's id before every call and transaction: a third of all requests.
    web3.middleware_onion.remove("validation")
    # A snapshot of the whole chain, so that the console can undo the transaction.
    type(chain)._add_to_undo_buffer = lambda *_: None
    # As they are, both look up the source of every caller, to warn where that isn't brownie.
    Rpc.snapshot = lambda self: self.backend.snapshot()
    Rpc.revert = lambda self, snapshot: self.backend.revert(snapshot)
    # At each revert all garbage is collected, so that a list of weak references is as short as may be.
    state.gc = SimpleNamespace(collect=lambda: None)
