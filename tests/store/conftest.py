"""Stores on a small market with a revealed document."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chain.small_market import TERMS, prepared
from tests.chain.workers import shared_folder
from tests.market.desk import Desk, Sealed, good_offers, open_desk


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(shared_folder(tmp_path_factory) / "small-market")


@pytest.fixture
def desk(original: Path, tmp_path: Path) -> Iterator[Desk]:
    with open_desk(original, tmp_path) as desk:
        yield desk


@pytest.fixture
def sealed(desk: Desk) -> Sealed:
    """Committed to, and not revealed yet."""
    sealed = desk.commit(good_offers())
    desk.market.chain.advance_to(TERMS.gateClosure)
    return sealed
