"""The market's platform over HTTP, on a small market whose gate is open."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chain.small_market import prepared
from tests.chain.workers import shared_folder
from tests.market.desk import Desk, open_desk


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(shared_folder(tmp_path_factory) / "small-market")


@pytest.fixture
def desk(original: Path, tmp_path: Path) -> Iterator[Desk]:
    with open_desk(original, tmp_path) as desk:
        yield desk


@pytest.fixture(scope="module")
def refusing_desk(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """For what is refused and so changes nothing."""
    with open_desk(original, tmp_path_factory.mktemp("desk")) as desk:
        yield desk
