"""The market's platform over HTTP, on a small market whose gate is open."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from offchain.market.api import create_app
from offchain.market.service import MarketService
from offchain.rest.server import serve
from offchain.rest.settings import Role
from tests.chain.small_market import ADMIN, TERMS, prepared, small_market
from tests.chain.workers import shared_folder
from tests.market.desk import Desk
from tests.rest.callers import settings_of

ROLES = {
    "AggOne": Role.AGGREGATOR,
    "AggTwo": Role.AGGREGATOR,
    "dso": Role.DSO,
    "tso": Role.TSO,
    "customer_database": Role.CUSTOMER_DATABASE,
}


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


@contextmanager
def open_desk(original: Path, folder: Path) -> Iterator[Desk]:
    settings, tokens = settings_of(ROLES)
    with small_market(original, folder) as market:
        market.chain.advance_to(TERMS.gateOpening)
        service = MarketService(market.operator, market.documents, ADMIN.key)
        with serve(create_app(service, settings)) as url, Desk(market, url, tokens, folder) as desk:
            yield desk
