"""Proofs made by the project check out with OpenZeppelin's npm library and by the contracts, and the reverse."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from brownie import project

from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import OFFER, SETTLEMENT, LeafKind, Value
from offchain.protocol.lists import LeafList
from offchain.protocol.merkle import MerkleTree, verify
from tests.contracts.chain import refused

PROJECT = Path(__file__).parents[2]
# Reads types, leaves and the project's root and proofs. Prints whether each proof holds by the library, and the library's
# own roots and proofs of the leaves in their order and, as it does by itself, sorted.
SCRIPT = """
const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");
const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
const holds = given.values.map((value, i) =>
  StandardMerkleTree.verify(given.root, given.types, value, given.proofs[i]));
const built = [false, true].map((sortLeaves) => {
  const tree = StandardMerkleTree.of(given.values, given.types, { sortLeaves });
  return { root: tree.root, proofs: given.values.map((value) => tree.getProof(value)) };
});
console.log(JSON.stringify({ holds, built }));
"""


def leaf_list(kind: LeafKind, length: int) -> LeafList:
    """Leaves with a different value in every field, each as large as half its type allows."""

    def value(name: str, index: int) -> Value:
        field = next(field for field in kind.fields if field.name == name)
        word = keccak256(f"{name} {index}".encode())
        if name in ("position", "length"):
            return index if name == "position" else length
        if field.is_integer:
            return int.from_bytes(word[:6], "big") % (field.bounds[1] + 1)
        return word[: field.width_bytes]

    rows = [[value(field.name, index) for field in kind.fields] for index in range(length)]
    return LeafList.of_rows(kind, rows)


def hexadecimal(value: Value) -> str | int:
    return "0x" + value.hex() if isinstance(value, bytes) else value


def by_openzeppelin(made: LeafList) -> dict[str, Any]:
    """What the library says of a list and of the project's tree over it."""
    given = {
        "types": made.kind.types,
        "values": [[made.kind.number, *map(hexadecimal, made.row(index))] for index in range(len(made))],
        "root": hexadecimal(made.root),
        "proofs": [[hexadecimal(node) for node in made.tree.proof(index)] for index in range(len(made))],
    }
    ran = subprocess.run(
        ["node", "-e", SCRIPT],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NODE_PATH": str(PROJECT / "node_modules")},
    )
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout))


@pytest.fixture(scope="module")
def harness(admin: Any) -> Any:
    return project.get_loaded_projects()[0].LeavesHarness.deploy({"from": admin})


@pytest.mark.parametrize("kind", [OFFER, SETTLEMENT], ids=lambda kind: kind.name)
@pytest.mark.parametrize("length", [1, 2, 7, 64])
def test_each_others_proofs_hold(harness: Any, kind: LeafKind, length: int) -> None:
    made = leaf_list(kind, length)
    found = by_openzeppelin(made)
    assert found["holds"] == [True] * length
    in_order, sorted_ = found["built"]
    assert in_order["root"] == "0x" + made.root.hex()
    hashes = [row.tobytes() for row in made.leaf_hashes]
    ours = MerkleTree(made.leaf_hashes, sort_leaves=True)
    assert sorted_["root"] == "0x" + ours.root.hex()
    for index in sorted({0, length // 2, length - 1}):
        for tree in (in_order, sorted_):
            root = bytes.fromhex(tree["root"][2:])
            proof = [bytes.fromhex(node[2:]) for node in tree["proofs"][index]]
            assert verify(root, hashes[index], proof)
            harness.requireLeaf(root, hashes[index], proof)
        harness.requireLeaf(made.root, hashes[index], made.tree.proof(index))


def test_a_proof_of_another_leaf_holds_nowhere(harness: Any) -> None:
    made = leaf_list(OFFER, 7)
    other = made.leaf_hashes[3].tobytes()
    proof = made.tree.proof(2)
    assert not verify(made.root, other, proof)
    with refused("ProofsNotInList", made.root, other):
        harness.requireLeaf(made.root, other, proof)
