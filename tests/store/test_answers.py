"""Answers to demands, on a chain that only tells what is demanded."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from offchain.chain.client import ChainClient
from offchain.protocol import columnar, lists, merkle
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import OUTCOME_BY_OFFER
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.merkle import verify
from offchain.protocol.products import DemandedList
from offchain.store.answers import OPEN, Answers
from offchain.store.documents import FolderStore
from tests.protocol.test_columns import random_columns

COUNT = 333


@dataclass
class Demanded:
    """A demand for a leaf, as its event tells it."""

    args: dict[str, Any]


@dataclass
class FakeChain:
    """Demands that are open, and the answers to them."""

    demands: list[Demanded]
    answers: list[tuple[bytes, bytes, list[bytes]]] = field(default_factory=list)

    def events(self, _contract: str, _name: str) -> list[Demanded]:
        return self.demands

    def call(self, *_arguments: object) -> list[object]:
        return [OPEN] * 12

    def send(self, _contract: str, _function: str, id_: bytes, leaf: bytes, proof: list[bytes]) -> None:
        self.answers.append((id_, leaf, proof))


def demanded(root: bytes, *positions: int) -> list[Demanded]:
    of_outcome = int(
        next(each for each in DemandedList if "PAIR" not in each.name and "CLAIM" not in each.name)
    )
    return [
        Demanded({"id": bytes([n]) * 32, "list": of_outcome, "root": root, "position": position})
        for n, position in enumerate(positions)
    ]


def test_a_leaf_that_cannot_be_shown_keeps_none_of_the_others_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merkle, "SUBTREE_LEVELS", 3)
    monkeypatch.setattr(columnar, "BATCH_LEAVES", 50)
    monkeypatch.setattr(lists, "COLUMNAR_FROM", 10)
    leaves = LeafList(OUTCOME_BY_OFFER, random_columns(OUTCOME_BY_OFFER, COUNT))
    documents = FolderStore(tmp_path)
    documents.put_written(ListDocument(1, "0x" + "5a" * 20, (leaves,)).write)
    documents.put(b"no document of lists")
    chain = FakeChain(demanded(leaves.root, COUNT, 7, COUNT - 1) + demanded(bytes(32), 0))
    assert Answers(cast("ChainClient", chain), documents).step() == 2
    for (_, leaf, proof), position in zip(chain.answers, (7, COUNT - 1), strict=True):
        assert leaf == leaves.encoded(position)
        assert verify(leaves.root, keccak256(keccak256(leaf)), proof)
