"""What brownie needs to work with anvil without losing transactions or time."""

import time
from typing import Any

from brownie import web3
from web3.middleware import Web3Middleware
from web3.types import MakeRequestFn, RPCEndpoint, RPCResponse

RECEIPT_WAIT_S = 1.0
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


def wait_for_receipts() -> None:
    """Let brownie's connection, this one and those that follow, be patient; may be called again."""
    if PatientReceipts not in web3.middleware_onion:
        web3.middleware_onion.add(PatientReceipts)
