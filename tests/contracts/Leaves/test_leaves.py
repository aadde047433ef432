"""Leaves.sol says of every leaf what offchain/protocol/leaves.py says (SPECIFICATION.md 12.x)."""

from typing import Any

import pytest
from brownie import project

from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import CLAIM_NUMBER, CLAIM_TYPES, KINDS, LeafKind
from offchain.protocol.lists import LeafList
from offchain.protocol.merkle import standard_leaf_hash


@pytest.fixture(scope="module")
def harness(admin: Any) -> Any:
    return project.get_loaded_projects()[0].LeavesHarness.deploy({"from": admin})


def function_of(harness: Any, kind: LeafKind) -> Any:
    return getattr(harness, "hash" + kind.name.removesuffix("Leaf"))


def values_of(kind: LeafKind, extreme: bool) -> list[Any]:
    """Values of a leaf: all different, or each the greatest of its type that JSON holds; negative where they may be."""
    values: list[Any] = []
    for place, field in enumerate(kind.fields, start=1):
        if field.is_integer:
            low, high = field.bounds
            values.append(high if extreme else (low + place if low else place))
        else:
            values.append(keccak256(bytes([place]))[: field.width_bytes])
    return values


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_fields_are_the_structs(harness: Any, kind: LeafKind) -> None:
    (entry,) = (
        item for item in harness.abi if item["name"] == function_of(harness, kind)._name.split(".")[1]
    )
    components = entry["inputs"][0]["components"]
    assert [(field.name, field.type) for field in kind.fields] == [(c["name"], c["type"]) for c in components]


@pytest.mark.parametrize("extreme", [False, True])
@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_hashes_are_equal(harness: Any, kind: LeafKind, extreme: bool) -> None:
    values = values_of(kind, extreme)
    argument = ["0x" + value.hex() if isinstance(value, bytes) else value for value in values]
    assert bytes(function_of(harness, kind)(argument)) == LeafList.of_rows(kind, [values]).root


@pytest.mark.parametrize("customers", [0, 1, 100])
def test_claims_hash_alike(harness: Any, customers: int) -> None:
    wallets = ["0x" + keccak256(bytes([k]))[:20].hex() for k in range(customers)]
    amounts = [k - 50 for k in range(customers)]
    expected = standard_leaf_hash(CLAIM_TYPES, [CLAIM_NUMBER, 3, 9, wallets, amounts])
    assert bytes(harness.hashClaim(3, 9, wallets, amounts)) == expected
