"""Pseudonyms and salts: against eth_abi, and the columns against the single ones."""

from collections.abc import Callable

import numpy as np
import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.pods import (
    check_pod_id,
    check_pod_reference,
    document_key,
    leaf_salt,
    leaf_salts,
    outcome_salt,
    outcome_salts,
    pod_pseudonym,
)

POD = "IT001E00000042"
SECRET = bytes(range(32))
words = st.binary(min_size=32, max_size=32)
positions = st.integers(0, 2**32 - 1)


def test_a_known_pseudonym() -> None:
    by_hand = (64).to_bytes(32, "big") + SECRET + len(POD).to_bytes(32, "big") + POD.encode().ljust(32, b"\0")
    assert pod_pseudonym(POD, SECRET) == keccak256(by_hand)


@given(words, words)
def test_another_secret_is_another_pseudonym(first: bytes, second: bytes) -> None:
    assert (pod_pseudonym(POD, first) == pod_pseudonym(POD, second)) == (first == second)


@given(words, words, positions)
def test_leaf_salt(secret: bytes, document: bytes, position: int) -> None:
    key = document_key(secret, document)
    assert key == keccak256(secret + document)
    assert leaf_salt(key, position) == keccak256(encode(["bytes32", "uint256"], [key, position]))


@given(words, st.integers(1, 11), positions)
def test_outcome_salt(salt: bytes, kind: int, position: int) -> None:
    encoded = encode(["bytes32", "uint256", "uint256"], [salt, kind, position])
    assert outcome_salt(salt, kind, position) == keccak256(encoded)


@given(st.lists(st.tuples(words, positions), max_size=20), st.integers(1, 11))
def test_columns_equal_single_salts(rows: list[tuple[bytes, int]], kind: int) -> None:
    keys = np.frombuffer(b"".join(key for key, _ in rows), dtype=np.uint8).reshape(len(rows), 32)
    places = np.array([position for _, position in rows], dtype=np.int64)
    assert [row.tobytes() for row in leaf_salts(keys, places)] == [leaf_salt(*row) for row in rows]
    assert [row.tobytes() for row in outcome_salts(keys, kind, places)] == [
        outcome_salt(key, kind, position) for key, position in rows
    ]


@pytest.mark.parametrize("pod_id", [POD, "IT001E000000425", "IT012E0A1B2C3D", "IT001E12345678X"])
def test_pod_ids(pod_id: str) -> None:
    assert check_pod_id("pod", pod_id) == check_pod_reference("pod", pod_id) == pod_id


@pytest.mark.parametrize(
    "pod_id",
    [
        "",
        "it001e00000042",
        "IT01E00000042",
        "IT001F00000042",
        "IT001E0000004",
        "IT001E0000004212",
        POD + "\n",
    ],
)
def test_bad_pod_ids(pod_id: str) -> None:
    with pytest.raises(InvalidInput, match=r"^pod = .*must be a PoD id"):
        check_pod_id("pod", pod_id)
    with pytest.raises(InvalidInput, match=r"^pod_id = "):
        pod_pseudonym(pod_id, SECRET)


def test_documents_name_pods_by_id_or_pseudonym() -> None:
    pseudonym = "0x" + pod_pseudonym(POD, SECRET).hex()
    assert check_pod_reference("pod", pseudonym) == pseudonym
    with pytest.raises(InvalidInput, match="must be a PoD id"):
        check_pod_id("pod", pseudonym)
    with pytest.raises(InvalidInput, match="or a pseudonym"):
        check_pod_reference("pod", pseudonym.upper())


def test_short_secrets_are_refused_and_not_shown() -> None:
    refused: list[Callable[[], bytes]] = [
        lambda: pod_pseudonym(POD, b"secret"),
        lambda: document_key(b"secret", SECRET),
        lambda: document_key(SECRET, b"secret"),
        lambda: leaf_salt(b"secret", 0),
        lambda: outcome_salt(b"secret", 1, 0),
    ]
    for act in refused:
        with pytest.raises(InvalidInput, match="'6 bytes': must be 32 bytes") as refusal:
            act()
        assert "secret'" not in str(refusal.value)


@pytest.mark.parametrize("position", [-1, 2**63])
def test_positions_out_of_range(position: int) -> None:
    with pytest.raises(InvalidInput, match="position = "):
        leaf_salt(SECRET, position)


def test_bad_columns_are_refused() -> None:
    keys = np.zeros((2, 32), dtype=np.uint8)
    with pytest.raises(InvalidInput, match="keys = "):
        leaf_salts(keys, np.zeros(3, dtype=np.int64))
    with pytest.raises(InvalidInput, match="offer_salts = "):
        outcome_salts(keys[:, :31], 1, np.zeros(2, dtype=np.int64))
    with pytest.raises(InvalidInput, match="positions = -1"):
        leaf_salts(keys, np.array([0, -1]))
    with pytest.raises(InvalidInput, match="positions = "):
        leaf_salts(keys, np.zeros((2, 1), dtype=np.int64))
