"""The document store on a real IPFS node (js-ipfs), the same content ids and bytes as in the folder.

Run by `make test-services`: it needs the command `jsipfs` (npm package ipfs 0.62.3) on PATH.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from offchain.protocol.cid import CHUNK_BYTES, cid_of
from offchain.store.documents import DocumentMissing, FolderStore, StoreUnavailable
from offchain.store.ipfs import IpfsStore

START_TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    environment = {**os.environ, "IPFS_PATH": str(tmp_path_factory.mktemp("ipfs") / "repository")}

    def configure(*arguments: str) -> None:
        subprocess.run(["jsipfs", *arguments], env=environment, check=True, capture_output=True)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configure("init", "--profile=test")
    for service in ("Gateway", "RPC"):
        configure("config", f"Addresses.{service}", "/ip4/127.0.0.1/tcp/0")
    configure("config", "Addresses.API", f"/ip4/127.0.0.1/tcp/{port}")
    node = subprocess.Popen(
        ["jsipfs", "daemon", "--offline"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(url, node)
        yield url
    finally:
        node.terminate()
        node.wait(30)


def _wait_until_ready(url: str, node: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while node.poll() is None and time.monotonic() < deadline:
        try:
            httpx.post(f"{url}/api/v0/version", trust_env=False)
            return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError("jsipfs didn't start")


@pytest.mark.parametrize("size", [0, 5, CHUNK_BYTES, CHUNK_BYTES + 7, 175 * CHUNK_BYTES])
def test_same_content_id_and_bytes_as_in_the_folder(api_url: str, tmp_path: Path, size: int) -> None:
    data = bytes(size)
    with IpfsStore(api_url) as store:
        cid = store.put(data)
        assert cid == FolderStore(tmp_path).put(data)
        assert store.put(data) == cid
        assert store.has(cid)
        assert store.get(cid) == data


def test_missing_document_is_named(api_url: str) -> None:
    cid = cid_of(b"never stored")
    with IpfsStore(api_url, timeout_s=2) as store:
        assert not store.has(cid)
        with pytest.raises(DocumentMissing, match=f"document {cid}: not found at {api_url}"):
            store.get(cid)


def test_node_that_is_away_is_unavailable_not_empty() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    cid = cid_of(b"offer")
    with IpfsStore(url) as store:
        for ask in (store.has, store.get):
            with pytest.raises(StoreUnavailable, match=f"document {cid}: {url} doesn't answer"):
                ask(cid)
        with pytest.raises(StoreUnavailable, match=f"document {cid}"):
            store.put(b"offer")
