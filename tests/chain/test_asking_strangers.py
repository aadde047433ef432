"""A contract that nobody vouches for may revert with anything: it has failed then, and does nothing else to who asked."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from eth_abi.abi import encode

from offchain.chain.client import ChainClient
from offchain.chain.manifest import DeployedContract, Manifest

MECHANISM = "0x00000000000000000000000000000000000000a1"
ASKED = [
    {
        "type": "function",
        "name": "price",
        "inputs": [{"name": "slot", "type": "uint8"}],
        "outputs": [{"name": "", "type": "uint64"}],
        "stateMutability": "view",
    }
]
KNOWN_ERROR = [{"type": "error", "name": "Panics", "inputs": [{"name": "", "type": "uint256"}]}]
LOOKUP = encode(
    ["address", "string[]", "bytes", "bytes4", "bytes"],
    [MECHANISM, ["https://nobody.invalid/{sender}/{data}"], b"", b"1234", b""],
)
REVERTS = {
    "no reason": "0x",
    "an unknown panic": "0x4e487b71" + "ff" * 32,
    "a lookup cut short": "0x556f1830",
    "a lookup elsewhere": "0x556f1830" + LOOKUP.hex(),
    "a known error cut short": "0x2a945b51",
}


@contextmanager
def node(data: str) -> Iterator[str]:
    """A node on which every call reverts so."""

    class Node(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            error = {"code": 3, "message": "execution reverted", "data": data}
            told = {"result": "0x7a69"} if asked["method"] == "eth_chainId" else {"error": error}
            answer = json.dumps({"jsonrpc": "2.0", "id": asked["id"], **told}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Node) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("how", REVERTS)
def test_whatever_it_reverts_with_it_has_failed(how: str) -> None:
    known = DeployedContract(address=MECHANISM, block=0, abi=KNOWN_ERROR)
    manifest = Manifest(
        chainId=31337, deployer=MECHANISM, contracts={"Known": known}, interfaces={"IPrice": ASKED}
    )
    with node(REVERTS[how]) as url:
        assert ChainClient(url, manifest).ask(MECHANISM, "IPrice", "price", 1, gas=50_000) is None
