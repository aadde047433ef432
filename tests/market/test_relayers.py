"""A relayer that promises and doesn't keep it: the player's client commits by itself, or takes the penalty."""

import pytest

from offchain.market.client import MarketClient, MarketRefused, SealedDocument
from offchain.market.service import MarketService
from offchain.protocol.products import Side
from offchain.protocol.typed_data import BookState
from scripts.deploy import RELAY_PENALTY_UEUR
from tests.chain.small_market import ADMIN, CAST, FIRST, TERMS
from tests.market.desk import Desk, good_offers

HALF_WAY_S = (TERMS.gateOpening + TERMS.gateClosure) // 2
PLAYERS_UEUR = RELAY_PENALTY_UEUR * 80 // 100


class Dropping:
    """The relayer's chain, on which no commitment is sent."""

    def __init__(self, service: MarketService) -> None:
        self._chain = service._chain

    def __getattr__(self, name: str) -> object:
        return getattr(self._chain, name)

    def send(self, contract: str, function: str, *_: object) -> object:
        """Say that it was sent."""
        assert (contract, function) == ("CommitmentBook", "commitFor")
        return type("Mined", (), {"transaction": bytes(32)})


def drop_commitments(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the relayer promises and drops."""
    relay = MarketService.relay

    def drop(self: MarketService, *arguments: object) -> object:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self, "_chain", Dropping(self))
            return relay(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(MarketService, "relay", drop)


@pytest.fixture
def dropped(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> tuple[MarketClient, SealedDocument]:
    """A commitment that the relayer promised and dropped."""
    drop_commitments(monkeypatch)
    client = desk.client(FIRST)
    sealed = client.commit(good_offers(), Side.OFFER, TERMS.gateClosure)
    assert desk.market.view.commitments(TERMS.session) == []
    return client, sealed


def free_ueur(desk: Desk) -> int:
    return int(desk.market.operator.call("Vault", "free", FIRST.address))


def test_the_client_commits_by_itself_to_what_was_dropped(
    desk: Desk, dropped: tuple[MarketClient, SealedDocument]
) -> None:
    client, sealed = dropped
    desk.market.chain.advance_to(HALF_WAY_S - 60)
    assert client.look_after(sealed) is BookState.NONE
    desk.market.chain.advance_to(HALF_WAY_S)
    assert client.look_after(sealed) is BookState.COMMITTED
    (entry,) = desk.market.view.commitments(TERMS.session)
    assert (entry.player, entry.sealed_hash) == (FIRST.address, sealed.sealed_hash)
    assert client.pending(TERMS.session) == [sealed]


def test_too_late_it_takes_the_penalty_once(desk: Desk, dropped: tuple[MarketClient, SealedDocument]) -> None:
    client, sealed = dropped
    desk.market.chain.advance_to(TERMS.gateClosure)
    before = free_ueur(desk)
    assert client.look_after(sealed) is BookState.NONE
    assert free_ueur(desk) == before + PLAYERS_UEUR
    assert desk.client(FIRST).look_after(sealed) is BookState.NONE
    assert free_ueur(desk) == before + PLAYERS_UEUR


def test_what_the_book_refused_costs_the_relayer_nothing(
    desk: Desk, dropped: tuple[MarketClient, SealedDocument]
) -> None:
    client, sealed = dropped
    player = desk.market.speaking_as(FIRST)
    player.send("Vault", "withdraw", free_ueur(desk))
    promise = client._promises.of(sealed.sealed_hash)
    assert promise is not None
    desk.market.operator.send("RelayStakes", "bring", promise.commitment, promise.signature)
    desk.market.chain.advance_to(TERMS.gateClosure)
    assert client.look_after(sealed) is BookState.NONE
    assert free_ueur(desk) == 0


def test_a_promise_with_no_stake_behind_it_is_none(desk: Desk) -> None:
    desk.market.operator.send("RelayStakes", "leave")
    with pytest.raises(MarketRefused, match=rf"receipt of {ADMIN.address}.*not left"):
        desk.client(CAST.aggregators[0]).commit(good_offers(), Side.OFFER, TERMS.gateClosure)
