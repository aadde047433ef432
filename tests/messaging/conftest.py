"""A real mosquitto for each test, with two Light Nodes and two platforms as its users."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from offchain.messaging.broker import MosquittoBroker

NODES = {"node-a": "secret of a", "node-b": "secret of b"}
PLATFORMS = {"access_layer": "secret of the access layer", "dso": "secret of the DSO"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[MosquittoBroker]:
    with MosquittoBroker(tmp_path / "broker", NODES, PLATFORMS) as running:
        yield running
