"""A small market for each test: contracts, participants, PoDs and a session on a chain of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chain.small_market import SmallMarket, prepared, small_market
from tests.chain.workers import shared_folder


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(shared_folder(tmp_path_factory) / "small-market")


@pytest.fixture
def market(original: Path, tmp_path: Path) -> Iterator[SmallMarket]:
    with small_market(original, tmp_path) as running:
        yield running
