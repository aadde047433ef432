"""Trees against OpenZeppelin's npm library (golden vectors) and against a plain one written here."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.merkle import (
    EMPTY_ROOT,
    MerkleTree,
    hash_pair,
    leaf_hashes,
    standard_leaf_hash,
    verify,
)
from tests.examples import examples

GOLDEN = json.loads((Path(__file__).parents[1] / "data/golden/merkle.json").read_text())
FROM_TWO_THREADS_ON = 20_000


def golden_value(kind: str, row: int, column: int) -> Any:
    """The same formula as `value` in tests/data/golden/generate/formulas.mjs."""
    n = row * 2654435761 + column * 40503 + 1
    if kind.endswith("[]"):
        return [golden_value(kind[:-2], row, column + k) for k in range(row % 4)]
    if kind == "bytes32":
        return bytes.fromhex(f"{n:016x}" * 4)
    if kind == "address":
        return "0x" + f"{n:020x}" * 2
    if kind == "bool":
        return n % 2 == 1
    if kind == "string":
        return f"PoD {n} è qui"
    bits = min(int(kind.removeprefix("u").removeprefix("int")), 48)
    return n % 2**bits if kind.startswith("u") else n % 2 ** (bits - 1) * (-1 if row % 2 else 1)


def golden_leaf_hashes(vector: dict[str, Any]) -> npt.NDArray[Any]:
    types = vector["types"]
    rows = [
        [golden_value(kind, row % vector["period"], column) for column, kind in enumerate(types)]
        for row in range(vector["count"])
    ]
    if any(kind in ("string", "address[]") for kind in types):
        joined = b"".join(standard_leaf_hash(types, row) for row in rows)
        return np.frombuffer(joined, dtype=np.uint8).reshape(-1, 32)
    encoded = b"".join(encode(types, row) for row in rows)
    return leaf_hashes(np.frombuffer(encoded, dtype=np.uint8).reshape(len(rows), 32 * len(types)))


def as_array(hashes: list[bytes]) -> npt.NDArray[Any]:
    return np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, 32)


def as_hex(hashes: Any) -> list[str]:
    return ["0x" + bytes(node).hex() for node in hashes]


def plain_nodes(leaves: list[bytes], sort_leaves: bool) -> list[bytes]:
    """The tree's array by its definition, with Python lists."""
    ordered = sorted(leaves) if sort_leaves else leaves
    nodes = [b""] * (len(leaves) - 1) + ordered[::-1]
    for i in reversed(range(len(leaves) - 1)):
        low, high = sorted(nodes[2 * i + 1 : 2 * i + 3])
        nodes[i] = keccak256(low + high)
    return nodes


def vector_name(vector: dict[str, Any]) -> str:
    order = "sorted" if vector["sortLeaves"] else "listed"
    return f"{vector['types'][0]}-{vector['types'][3]}-{vector['count']}-period{vector['period']}-{order}"


@pytest.mark.parametrize("vector", GOLDEN, ids=vector_name)
def test_equals_the_npm_library(vector: dict[str, Any]) -> None:
    hashes = golden_leaf_hashes(vector)
    tree = MerkleTree(hashes, sort_leaves=vector["sortLeaves"])
    assert "0x" + tree.root.hex() == vector["root"]
    for position, proof in vector["proofs"].items():
        assert as_hex(tree.proof(int(position))) == proof
    if vector["nodes"] is not None:
        assert as_hex(tree.nodes) == vector["nodes"]


def test_the_golden_vectors_cover_sizes_modes_and_equal_leaves() -> None:
    assert {vector["count"] for vector in GOLDEN} == {1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 1000}
    assert {vector["sortLeaves"] for vector in GOLDEN} == {True, False}
    assert any(vector["period"] < vector["count"] for vector in GOLDEN)


leaf_lists = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70)


@examples(60)
@given(leaves=leaf_lists, sort_leaves=st.booleans())
def test_equals_a_plain_tree(leaves: list[bytes], sort_leaves: bool) -> None:
    tree = MerkleTree(as_array(leaves), sort_leaves=sort_leaves)
    assert [node.tobytes() for node in tree.nodes] == plain_nodes(leaves, sort_leaves)
    assert len(tree) == len(leaves)


@examples(60)
@given(leaves=leaf_lists, sort_leaves=st.booleans(), data=st.data())
def test_every_proof_verifies_and_a_changed_one_does_not(
    leaves: list[bytes], sort_leaves: bool, data: st.DataObject
) -> None:
    tree = MerkleTree(as_array(leaves), sort_leaves=sort_leaves)
    for position, leaf in enumerate(leaves):
        assert verify(tree.root, leaf, tree.proof(position))
    position = data.draw(st.integers(0, len(leaves) - 1))
    bit = data.draw(st.integers(0, 255))
    proof = tree.proof(position)

    def changed(node: bytes) -> bytes:
        return (int.from_bytes(node, "big") ^ 1 << bit).to_bytes(32, "big")

    assert not verify(tree.root, changed(leaves[position]), proof)
    assert not verify(changed(tree.root), leaves[position], proof)
    for index in range(len(proof)):
        assert not verify(
            tree.root, leaves[position], [*proof[:index], changed(proof[index]), *proof[index + 1 :]]
        )
    if proof:
        assert not verify(tree.root, leaves[position], proof[:-1])


@pytest.mark.parametrize("sort_leaves", [False, True])
def test_a_tree_large_enough_for_threads(sort_leaves: bool) -> None:
    hashes = np.random.default_rng(7).integers(0, 256, (FROM_TWO_THREADS_ON, 32), dtype=np.uint8)
    tree = MerkleTree(hashes, sort_leaves=sort_leaves)
    assert [node.tobytes() for node in tree.nodes] == plain_nodes(
        [leaf.tobytes() for leaf in hashes], sort_leaves
    )


def test_sorting_tells_hashes_apart_that_share_their_first_eight_bytes() -> None:
    start = bytes(range(8))
    leaves = [start + bytes([k]) * 24 for k in (9, 3, 200, 3, 0)] + [bytes(32)]
    tree = MerkleTree(as_array(leaves), sort_leaves=True)
    assert [node.tobytes() for node in tree.nodes] == plain_nodes(leaves, sort_leaves=True)
    assert all(verify(tree.root, leaf, tree.proof(position)) for position, leaf in enumerate(leaves))


def test_pairs_are_sorted_as_big_endian_numbers() -> None:
    for place in range(32):
        small, large = bytearray(b"\x7f" * 32), bytearray(b"\x7f" * 32)
        large[place] = 0x80
        large[place + 1 :] = bytes(31 - place)
        tree = MerkleTree(as_array([bytes(large), bytes(small)]))
        assert tree.root == hash_pair(bytes(large), bytes(small)) == keccak256(bytes(small + large))


def test_the_tree_does_not_follow_later_changes_of_its_input() -> None:
    hashes = np.zeros((4, 32), dtype=np.uint8)
    tree = MerkleTree(hashes)
    root = tree.root
    hashes[:] = 1
    assert tree.root == root
    with pytest.raises(ValueError, match="read-only"):
        tree.nodes[0, 0] = 1


def test_the_empty_list_has_a_root_and_no_proofs() -> None:
    tree = MerkleTree(np.zeros((0, 32), dtype=np.uint8))
    assert tree.root == EMPTY_ROOT == bytes(32)
    assert tree.nodes.shape == (0, 32)
    assert len(tree) == 0
    with pytest.raises(InvalidInput, match="position"):
        tree.proof(0)


@pytest.mark.parametrize("position", [-1, 3, 10**9])
def test_a_position_outside_the_list_is_refused(position: int) -> None:
    with pytest.raises(InvalidInput, match=f"position = {position}"):
        MerkleTree(np.zeros((3, 32), dtype=np.uint8)).proof(position)


@pytest.mark.parametrize(
    "hashes", [np.zeros((3, 31), dtype=np.uint8), np.zeros(32, dtype=np.uint8), np.zeros((3, 32))]
)
def test_leaf_hashes_of_another_shape_or_type_are_refused(hashes: npt.NDArray[Any]) -> None:
    with pytest.raises(InvalidInput, match="leaf_hashes"):
        MerkleTree(hashes)


def test_nodes_of_another_length_are_refused() -> None:
    with pytest.raises(InvalidInput, match="b = "):
        hash_pair(bytes(32), bytes(33))
    with pytest.raises(InvalidInput, match="root"):
        verify(bytes(31), bytes(32), [])
    with pytest.raises(InvalidInput, match="leaf_hash"):
        verify(bytes(32), bytes(64), [])
    with pytest.raises(InvalidInput, match=r"proof\[1\]"):
        verify(bytes(32), bytes(32), [bytes(32), bytes(31)])


@pytest.mark.parametrize(
    ("types", "values"),
    [
        (["uint8"], [256]),
        (["uint8"], [-1]),
        (["uint8"], ["1"]),
        (["address"], ["0x12"]),
        (["bytes32"], [bytes(33)]),
        (["uint7"], [1]),
        (["uint8,"], [1]),
        (["nothing"], [1]),
        (["uint8", "uint8"], [1]),
    ],
)
def test_values_that_do_not_fit_their_types_are_refused(types: list[str], values: list[object]) -> None:
    with pytest.raises(InvalidInput, match="values"):
        standard_leaf_hash(types, values)
