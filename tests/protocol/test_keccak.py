"""Keccak-256 against ethereum-cryptography (golden vectors), and the batch kernel against single hashes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256, keccak256_rows
from tests.examples import examples

GOLDEN = json.loads((Path(__file__).parents[1] / "data/golden/keccak.json").read_text())
FROM_TWO_THREADS_ON = 8192


def golden_bytes(length: int) -> bytes:
    """The same formula as `bytes` in tests/data/golden/generate/formulas.mjs."""
    return bytes((i * 31 + (i >> 8) * 7 + (i >> 16)) & 255 for i in range(length))


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda vector: f"{vector['length']} bytes")
def test_golden_vectors(vector: dict[str, int | str]) -> None:
    message = golden_bytes(int(vector["length"]))
    assert "0x" + keccak256(message).hex() == vector["digest"]
    rows = np.frombuffer(message * 3, dtype=np.uint8).reshape(3, len(message))
    assert ["0x" + digest.tobytes().hex() for digest in keccak256_rows(rows)] == [vector["digest"]] * 3


@examples(60)
@given(count=st.integers(0, 40), length=st.integers(0, 300), seed=st.integers(0, 2**32 - 1))
def test_every_row_is_hashed_as_if_alone(count: int, length: int, seed: int) -> None:
    rows = np.random.default_rng(seed).integers(0, 256, (count, length), dtype=np.uint8)
    digests = keccak256_rows(rows)
    assert digests.shape == (count, 32)
    assert [digest.tobytes() for digest in digests] == [keccak256(row.tobytes()) for row in rows]


def test_threads_cover_every_row() -> None:
    rows = np.arange(FROM_TWO_THREADS_ON + 5, dtype=">u8").view(np.uint8).reshape(-1, 8)
    digests = keccak256_rows(rows)
    assert all(
        digest.tobytes() == keccak256(row.tobytes()) for digest, row in zip(digests, rows, strict=True)
    )


def test_memory_layout_does_not_matter() -> None:
    rows = np.random.default_rng(1).integers(0, 256, (50, 64), dtype=np.uint8)
    expected = keccak256_rows(rows)
    read_only = rows.copy()
    read_only.flags.writeable = False
    unaligned = np.frombuffer(b"x" + rows.tobytes(), dtype=np.uint8)[1:].reshape(50, 64)
    wider = np.concatenate([rows, rows], axis=1)[:, :64]
    for same in (read_only, unaligned, wider, np.asfortranarray(rows)):
        assert np.array_equal(keccak256_rows(same), expected)


@pytest.mark.parametrize(
    "rows", [np.zeros(64, dtype=np.uint8), np.zeros((2, 2, 2), dtype=np.uint8), np.zeros((2, 8))]
)
def test_other_shapes_and_types_are_refused(rows: npt.NDArray[Any]) -> None:
    with pytest.raises(InvalidInput, match="rows"):
        keccak256_rows(rows)
