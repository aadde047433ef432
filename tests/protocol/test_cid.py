"""Content ids against IPFS's own importer (golden vectors)."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.cid import CHUNK_BYTES, DAG_PB, RAW, Cid, cid_of
from offchain.protocol.errors import InvalidInput

GOLDEN = json.loads((Path(__file__).parents[1] / "data/golden/cid.json").read_text())
EMPTY_FILE = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


def golden_bytes(length: int) -> bytes:
    """The same formula as `bytes` in tests/data/golden/generate/formulas.mjs."""
    i = np.arange(length, dtype=np.uint32)
    return bytes((i * 31 + (i >> 8) * 7 + (i >> 16)).astype(np.uint8))


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda vector: f"{vector['size']} bytes")
def test_equals_ipfs(vector: dict[str, int | str]) -> None:
    size = int(vector["size"])
    cid = cid_of(golden_bytes(size))
    assert str(cid) == vector["cid"]
    assert cid.codec == (RAW if size <= CHUNK_BYTES else DAG_PB)


def test_one_changed_byte_changes_the_id() -> None:
    data = golden_bytes(CHUNK_BYTES + 1)
    assert cid_of(data) != cid_of(data[:-1] + bytes([data[-1] ^ 1]))


@given(codec=st.sampled_from([RAW, DAG_PB]), digest=st.binary(min_size=32, max_size=32))
def test_text_and_back(codec: int, digest: bytes) -> None:
    cid = Cid(codec, digest)
    assert Cid.parse(str(cid)) == cid


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        EMPTY_FILE.upper(),
        EMPTY_FILE[:-1],
        EMPTY_FILE + "a",
        EMPTY_FILE[:-1] + "v",  # the same bytes, with a bit set that base32 leaves over
        EMPTY_FILE.replace("k", "1"),
        EMPTY_FILE + "=",
        "é" + EMPTY_FILE[1:],
        "bé" + EMPTY_FILE[2:],
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",  # version 0
        "bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",  # dag-cbor
        "bafkrgihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",  # another hash function
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    assert str(Cid.parse(EMPTY_FILE)) == EMPTY_FILE
    with pytest.raises(InvalidInput, match="cid"):
        Cid.parse(text)


def test_other_codecs_and_lengths_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"cid\.codec"):
        Cid(0x71, bytes(32))
    with pytest.raises(InvalidInput, match=r"cid\.digest"):
        Cid(RAW, bytes(31))
