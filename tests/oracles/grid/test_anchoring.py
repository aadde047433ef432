"""Model and forecast are anchored whatever happens meanwhile: a kill between the two, a pause, a baseline that can't be meant."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from offchain.chain.client import ChainClient
from offchain.protocol.book_documents import BaselineEntry, baseline_document
from offchain.protocol.leaves import BASELINE
from offchain.protocol.typed_data import NoticeKind
from oracles.grid.core.documents import document_hash, grid_model_bytes
from oracles.grid.core.network import Document
from oracles.grid.daemon import GridDaemon, GridDaemonSettings
from oracles.grid.facts import anchored_grid
from oracles.session_facts import baseline_documents
from tests.chain.real_time_day import NoRequests, StandInNetwork
from tests.chain.small_market import CAST, FIRST, SECOND, TERMS, SmallMarket, pod, prepared, small_market
from tests.chain.workers import shared_folder
from tests.market.desk import leaf_salt
from tests.oracles.grid.small_grids import radial_document

GRID = CAST.oracles["grid"]
KINDS = (NoticeKind.GRID_MODEL, NoticeKind.FORECAST)


class Killed(Exception):
    """The process ends here."""


class DyingChain:
    """A chain client whose process is killed before it sends a notice of a kind."""

    def __init__(self, chain: ChainClient, kind: NoticeKind) -> None:
        self._chain, self._kind = chain, kind

    def __getattr__(self, name: str) -> object:
        return getattr(self._chain, name)

    def send(self, contract: str, function: str, *arguments: object) -> object:
        if (function, arguments[0]) == ("notarise", self._kind):
            raise Killed
        return self._chain.send(contract, function, *arguments)


class SwitchedStandIn(StandInNetwork):
    """The same network once a line was taken out and another one put in."""

    def document(self) -> Document:
        return radial_document([1] * 4, [0.01, 0.01, 0.01, 0.02], rating_ka=5.0)


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(shared_folder(tmp_path_factory) / "small-market")


@pytest.fixture
def market(original: Path, tmp_path: Path) -> Iterator[SmallMarket]:
    with small_market(original, tmp_path) as opened:
        yield opened


def daemon(market: SmallMarket, network: StandInNetwork, dies_before: NoticeKind | None = None) -> GridDaemon:
    """A grid daemon that was just started."""
    chain = market.speaking_as(GRID)
    speaking = chain if dies_before is None else DyingChain(chain, dies_before)
    settings = GridDaemonSettings(90_000)
    return GridDaemon(speaking, market.documents, market.stores, network, NoRequests(), settings)  # type: ignore[arg-type]


def anchor_baseline(market: SmallMarket, entries: Sequence[BaselineEntry], author: object = FIRST) -> None:
    document = baseline_document(TERMS.session, author.address, entries, leaf_salt)  # type: ignore[attr-defined]
    cid = market.documents.put(document.to_bytes())
    notice = (NoticeKind.BASELINE, TERMS.session, document.list_of(BASELINE).root, cid.digest, cid.codec)
    market.speaking_as(author).send("DataNotary", "notarise", *notice)  # type: ignore[arg-type]


def counts(market: SmallMarket) -> list[int]:
    """How many models and forecasts are anchored."""
    return [len(market.view.notices(kind, TERMS.session)) for kind in KINDS]


def test_killed_between_model_and_forecast_it_goes_on_though_the_network_was_switched(
    market: SmallMarket,
) -> None:
    market.chain.advance_to(TERMS.baselineGate)
    with pytest.raises(Killed):
        daemon(market, StandInNetwork(), NoticeKind.FORECAST).step()
    daemon(market, SwitchedStandIn()).step()
    daemon(market, StandInNetwork()).step()
    assert counts(market) == [2, 1], "the first forecast stays"
    grid = anchored_grid(market.view, market.documents, TERMS, GRID.address)
    assert grid.model_hash == document_hash(grid_model_bytes(SwitchedStandIn().document()))
    market.chain.advance_to(TERMS.gateOpening)
    daemon(market, StandInNetwork()).step()


def test_a_pause_before_its_deadlines_leaves_time_for_baselines_grid_and_pods(market: SmallMarket) -> None:
    """Two hours from ten minutes before the baseline gate: by the clock on the wall all comes after the gate has opened."""
    pause_s = 2 * 3600
    market.chain.advance_to(TERMS.baselineGate - 600)
    market.operator.send("MarketSessions", "pause")
    market.chain.advance_to(TERMS.baselineGate - 600 + pause_s)
    market.operator.send("MarketSessions", "resume")
    anchor_baseline(market, [BaselineEntry(pod(0), 3, 20_000, 0)])
    market.chain.advance_to(TERMS.baselineGate + pause_s + 60)
    anchor_baseline(market, [BaselineEntry(pod(1), 3, 20_000, 0)], SECOND)
    daemon(market, StandInNetwork()).step()
    grid = anchored_grid(market.view, market.documents, TERMS, GRID.address)
    assert [grid.forecast.p_w[3, node] for node in (2, 3)] == [20_000, 0]
    found = baseline_documents(market.view, market.documents, TERMS)
    assert [author for author, _ in found] == [FIRST.address]
    market.chain.advance_to(TERMS.gateClosure + pause_s - 60)
    market.register_pod(4)
    market.chain.advance_to(TERMS.gateClosure + pause_s + 60)
    market.register_pod(5)
    assert set(market.view.pods_at_gate(TERMS)) == {pod(number) for number in range(5)}
    assert set(market.view.pods()) == {pod(number) for number in range(6)}


def test_a_baseline_that_cant_be_meant_is_set_aside_and_named(
    market: SmallMarket, caplog: pytest.LogCaptureFixture
) -> None:
    """2 GW at a connection of some MVA: without it the others' forecast has a solution."""
    absurd = BaselineEntry(pod(0), 3, 2 * 10**9, 0)
    anchor_baseline(
        market, [BaselineEntry(pod(0), 4, 20_000, 0), absurd, BaselineEntry(pod(2), 3, 30_000, 0)]
    )
    market.chain.advance_to(TERMS.baselineGate)
    daemon(market, StandInNetwork()).step()
    forecast = anchored_grid(market.view, market.documents, TERMS, GRID.address).forecast
    assert forecast.set_aside == {pod(0)}
    assert [forecast.p_w[slot, node] for slot, node in ((3, 2), (4, 2), (3, 4))] == [0, 0, 30_000]
    assert pod(0) in forecast.node_of_pod
    assert f"baseline of 0x{pod(0).hex()} set aside" in caplog.text
    market.chain.advance_to(TERMS.gateOpening)
    daemon(market, StandInNetwork()).step()
