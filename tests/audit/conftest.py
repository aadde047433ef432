"""A small market with a book that is revealed, ready to be cleared by an oracle, true or not."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from offchain.chain.client import ChainClient
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Side
from offchain.protocol.roles import Role
from tests.chain.small_market import CAST, FIRST, SECOND, TERMS, prepared
from tests.chain.workers import shared_folder
from tests.market.desk import Desk, good_offers, open_desk, played
from tests.market.desk import request as dso_request


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(shared_folder(tmp_path_factory) / "small-market")


@pytest.fixture
def desk(request: pytest.FixtureRequest, original: Path, tmp_path: Path) -> Iterator[Desk]:
    """The gate open; for a test that asks for `revealed`, the market outcome due."""
    start = played(original, "revealed", play_to_clearing) if "revealed" in request.fixturenames else original
    with open_desk(start, tmp_path) as opened:
        yield opened


@pytest.fixture
def revealed(desk: Desk) -> Desk:
    """The market outcome is due."""
    return desk


@pytest.fixture
def auditor(desk: Desk) -> ChainClient:
    """An auditor, with what a demand or a case costs in the vault."""
    market, person = desk.market, CAST.auditor
    market.operator.send("ParticipantRegistry", "register", person.address, Role.AUDITOR.mask, person.name)
    chain = market.speaking_as(person)
    market.operator.send("Euro", "mint", person.address, 100_000_000)
    chain.send("Euro", "approve", chain.address_of("Vault"), 100_000_000)
    chain.send("Vault", "deposit", 100_000_000)
    return chain


def play_to_clearing(
    desk: Desk,
    before_gate: Callable[[], None] = lambda: None,
    of_first: ListDocument | None = None,
    of_dso: ListDocument | None = None,
) -> None:
    """Play the session until its market outcome is due; `before_gate` happens when all have committed. `of_first`, `of_dso`:
    other documents of the first aggregator and of the DSO."""
    players = [(FIRST, of_first or good_offers(FIRST), Side.OFFER), (SECOND, good_offers(SECOND), Side.OFFER)]
    players.append((CAST.dso, of_dso or dso_request(), Side.DSO_REQUEST))
    clients = [(desk.client(player), document, side) for player, document, side in players]
    sealed = [client.commit(document, side, TERMS.gateClosure) for client, document, side in clients]
    before_gate()
    desk.market.chain.advance_to(TERMS.gateClosure)
    for (client, _, _), entry in zip(clients, sealed, strict=True):
        client.reveal(entry)
    desk.market.chain.advance_to(TERMS.documentsDeadline)
