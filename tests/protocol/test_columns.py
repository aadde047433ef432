"""Compact columns and streamed trees: the same leaves, hashes and proofs as with plain arrays."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol import merkle
from offchain.protocol.columns import Coded, Column, Constant, Counting, Runs
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import BASELINE, KINDS, OUTCOME_BY_OFFER, READING, LeafKind
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.merkle import EMPTY_ROOT, ListTree, MerkleTree, leaf_hashes, leaves_under, verify
from offchain.protocol.pods import OutcomeSalts, outcome_salt
from tests.examples import examples

SOME = 5000
"""More than are hashed at once."""


def random_columns(kind: LeafKind, count: int, seed: int = 1) -> dict[str, Column]:
    """Columns of a list of any kind, its integers in the narrowest dtype of their type."""
    chance = np.random.default_rng(seed)
    columns: dict[str, Column] = {}
    for field in kind.fields:
        if field.is_integer:
            low, high = field.bounds
            columns[field.name] = chance.integers(low, high, count, field.type, endpoint=True)
        else:
            columns[field.name] = chance.integers(0, 256, (count, field.width_bytes), np.uint8)
    columns["position"], columns["length"] = Counting(0, count), Constant(count, count)
    return columns


def by_eth_abi(kind: LeafKind, columns: dict[str, Column]) -> npt.NDArray[np.uint8]:
    """All leaves of a list by another encoder."""
    rows = LeafList(kind, columns).records()
    encoded = []
    for row in rows:
        values = [
            "0x" + value.hex() if isinstance(value, bytes) and len(value) == 20 else value
            for value in row.values.values()
        ]
        encoded.append(encode(kind.types, [kind.number, *values]))
    return np.frombuffer(b"".join(encoded), dtype=np.uint8).reshape(len(rows), -1)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_streamed_leaves_equal_their_abi_encoding_and_its_hash(kind: LeafKind) -> None:
    columns = random_columns(kind, 67)
    expected = by_eth_abi(kind, columns)
    leaves = LeafList.of_columns(kind, columns)
    assert np.array_equal(kind.encode(columns), expected)
    assert leaves.encoded(66) == expected[66].tobytes()
    assert np.array_equal(leaves.leaf_hashes, leaf_hashes(expected))
    assert np.array_equal(leaves.hashes(13, 50), leaf_hashes(expected[13:50]))
    assert leaves.root == MerkleTree(leaf_hashes(expected)).root


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, ">i4"]
)
def test_the_width_of_a_column_changes_no_leaf(dtype: Any) -> None:
    wide = random_columns(BASELINE, 40)
    small = np.arange(40, dtype=np.int64)
    narrow = {**wide, "slot": small.astype(dtype), "powerW": small.astype(dtype)}
    wide |= {"slot": small, "powerW": small}
    assert np.array_equal(BASELINE.encode(narrow), BASELINE.encode(wide))
    assert LeafList.of_columns(BASELINE, narrow).root == LeafList.of_columns(BASELINE, wide).root


def test_a_list_longer_than_a_part_is_hashed_leaf_by_leaf_and_its_tree_is_the_plain_one() -> None:
    leaves = LeafList.of_columns(BASELINE, random_columns(BASELINE, SOME))
    hashes = leaf_hashes(BASELINE.encode(leaves.columns))
    plain = MerkleTree(hashes)
    assert np.array_equal(leaves.leaf_hashes, hashes)
    assert leaves.root == plain.root
    for position in (0, 1, 807, 808, 809, 4095, 4096, SOME - 1):
        assert leaves.tree.proof(position) == plain.proof(position)


@given(
    st.integers(-5, 200),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 7)), max_size=12),
    st.tuples(st.integers(0, 80), st.integers(0, 80)),
)
def test_compact_columns_are_the_arrays_for_which_they_stand(
    first: int, runs: list[tuple[int, int]], ends: tuple[int, int]
) -> None:
    values = np.array([value for value, _ in runs], dtype=np.uint32)
    lengths = [length for _, length in runs]
    plain = np.repeat(values, lengths)
    table = np.frombuffer(b"".join(bytes([k]) * 32 for k in range(10)), dtype=np.uint8).reshape(10, 32)
    word = bytes(range(20))
    pairs: list[tuple[Column, npt.NDArray[Any]]] = [
        (Runs(values, lengths), plain),
        (Counting(first, len(plain)), np.arange(first, first + len(plain))),
        (Constant(first, len(plain)), np.full(len(plain), first)),
        (Constant(word, len(plain)), np.tile(np.frombuffer(word, dtype=np.uint8), (len(plain), 1))),
        (Coded(table, plain), table[plain]),
        (Coded(table, Runs(values, lengths)), table[plain]),
    ]
    part = slice(min(ends), max(ends))
    for column, array in pairs:
        assert len(column) == len(array)
        assert np.array_equal(column[:], array)
        assert np.array_equal(column[part], array[part])
        assert column[part].shape == array[part].shape
        assert np.array_equal(column[::-3], array[::-3])
        some = np.arange(len(array))[part][::-1]
        assert np.array_equal(column[some], array[some])
        with pytest.raises(IndexError):
            column[np.array([len(array)])]
    with pytest.raises(IndexError):
        Counting(first, len(plain))[np.array([-1])]


def test_salts_made_where_they_are_read_are_the_outcomes() -> None:
    offer_salts = np.random.default_rng(2).integers(0, 256, (SOME, 32), np.uint8)
    made = OutcomeSalts(offer_salts, OUTCOME_BY_OFFER.number, Counting(7, SOME))
    assert len(made) == SOME
    for index in (0, 1, 4096, SOME - 1):
        expected = outcome_salt(offer_salts[index].tobytes(), OUTCOME_BY_OFFER.number, 7 + index)
        assert made[index : index + 1].tobytes() == expected == made[:][index].tobytes()


def test_runs_without_a_length_are_refused() -> None:
    with pytest.raises(InvalidInput, match="lengths = 1"):
        Runs(np.array([1, 2]), [3])


@pytest.mark.parametrize("index", [0, 4095, 4096, SOME - 1])
def test_the_first_leaf_that_differs_is_found_whatever_holds_the_columns(index: int) -> None:
    columns = random_columns(BASELINE, SOME)
    plain = {name: column[:] for name, column in columns.items()}
    leaves = LeafList(BASELINE, columns)
    assert leaves.first_difference(LeafList(BASELINE, plain)) is None
    salts = plain["salt"].copy()
    salts[index:, 31] ^= 1
    assert leaves.first_difference(LeafList(BASELINE, plain | {"salt": salts})) == index


def changed(name: str, column: Column) -> Callable[[dict[str, Column]], None]:
    return lambda columns: columns.__setitem__(name, column)


def with_one(dtype: Any, index: int, value: int) -> npt.NDArray[Any]:
    column = np.zeros(SOME, dtype=dtype)
    column[index] = value
    return column


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        (lambda columns: columns.pop("slot"), "BaselineLeaf", None),
        (changed("extra", Constant(1, SOME)), "BaselineLeaf", None),
        (changed("slot", Constant(1, SOME - 1)), "BaselineLeaf.slot", SOME - 1),
        (changed("slot", np.zeros(SOME)), "BaselineLeaf.slot", None),
        (changed("slot", np.zeros(SOME, dtype=bool)), "BaselineLeaf.slot", None),
        (changed("slot", np.zeros((SOME, 1), dtype=np.uint16)), "BaselineLeaf.slot", None),
        (changed("slot", with_one(np.int32, 4999, -1)), "BaselineLeaf[4999].slot", -1),
        (changed("slot", with_one(np.uint32, 1, 65536)), "BaselineLeaf[1].slot", 65536),
        (changed("powerW", with_one(np.uint32, 4097, 2**31)), "BaselineLeaf[4097].powerW", 2**31),
        (changed("pod", np.zeros((SOME, 31), dtype=np.uint8)), "BaselineLeaf.pod", None),
        (changed("pod", np.zeros((SOME, 32), dtype=np.int8)), "BaselineLeaf.pod", None),
        (changed("pod", Constant(bytes(20), SOME)), "BaselineLeaf.pod", None),
        (changed("pod", np.zeros(SOME, dtype=np.uint8)), "BaselineLeaf.pod", None),
    ],
)
def test_columns_that_are_not_those_of_the_kind_are_refused(change: Any, field: str, value: object) -> None:
    columns = random_columns(BASELINE, SOME)
    change(columns)
    with pytest.raises(InvalidInput) as refusal:
        LeafList.of_columns(BASELINE, columns)
    assert refusal.value.field == field
    assert value is None or refusal.value.value == value


def test_integers_that_json_cannot_carry_are_refused_in_columns_too() -> None:
    columns = random_columns(READING, 3) | {"sequence": np.array([0, 2**53, 1], dtype=np.uint64)}
    with pytest.raises(InvalidInput, match=r"ReadingLeaf\[1\].sequence.*9007199254740991"):
        LeafList.of_columns(READING, columns)


def random_hashes(count: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, 32), np.uint8)


def tree_of(hashes: npt.NDArray[np.uint8], upper_nodes: npt.NDArray[np.uint8] | None = None) -> ListTree:
    return ListTree(len(hashes), lambda first, last: hashes[first:last], upper_nodes)


@examples(60)
@given(count=st.integers(1, 200), levels=st.integers(1, 8))
def test_a_tree_of_upper_nodes_gives_every_proof_of_the_whole_one(count: int, levels: int) -> None:
    hashes = random_hashes(count)
    whole = MerkleTree(hashes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merkle, "SUBTREE_LEVELS", levels)
        tree = tree_of(hashes)
        again = tree_of(hashes, tree.upper_nodes.copy())
    assert np.array_equal(tree.upper_nodes, whole.nodes[: len(tree.upper_nodes)])
    assert tree.root == again.root == whole.root
    assert len(tree.upper_nodes) <= max(1, 4 * count >> levels)
    for position in range(count):
        assert tree.proof(position) == again.proof(position) == whole.proof(position)
        assert verify(tree.root, hashes[position].tobytes(), tree.proof(position))


@given(count=st.integers(1, 300))
def test_what_lies_under_a_node_is_a_tree_of_its_own(count: int) -> None:
    hashes = random_hashes(count)
    whole = MerkleTree(hashes)
    for node in range(2 * count - 1):
        deep, higher = leaves_under(count, node)
        assert MerkleTree(hashes[[*deep, *higher]]).root == whole.nodes[node].tobytes()


def test_the_tree_of_no_leaves_and_positions_outside() -> None:
    empty = tree_of(np.zeros((0, 32), dtype=np.uint8))
    assert empty.root == EMPTY_ROOT
    assert len(empty) == len(empty.upper_nodes) == 0
    for tree, position in ((empty, 0), (tree_of(random_hashes(3)), 3), (tree_of(random_hashes(3)), -1)):
        with pytest.raises(InvalidInput, match=f"position = {position}"):
            tree.proof(position)


@pytest.mark.parametrize("shape", [(0, 32), (2, 32), (1, 31), (3, 32)])
def test_upper_nodes_of_another_list_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput, match="upper_nodes"):
        tree_of(random_hashes(100), np.zeros(shape, dtype=np.uint8))


def test_a_joint_tree_runs_over_all_lists() -> None:
    lists = tuple(LeafList(BASELINE, random_columns(BASELINE, count, count)) for count in (3, 0, SOME, 9))
    document = ListDocument(1, "0x" + "11" * 20, lists)
    plain = MerkleTree(np.concatenate([leaves.leaf_hashes for leaves in lists]))
    assert document.joint_tree.root == plain.root
    assert document.joint_tree.proof(SOME + 4) == plain.proof(SOME + 4)


def test_hashing_a_list_takes_little_memory_beside_its_columns() -> None:
    count = 60_000
    columns = random_columns(OUTCOME_BY_OFFER, count) | {"salt": Constant(bytes(32), count)}
    leaves = LeafList(OUTCOME_BY_OFFER, columns)
    _ = leaves.hashes(0, 10)
    tracemalloc.start()
    _ = leaves.root
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < count * 32 * 2
