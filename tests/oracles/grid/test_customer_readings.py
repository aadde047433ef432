"""The grid oracle fetches certified readings by itself: a real chain, real signatures, the real database over HTTP."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from lightnode.identity import Identity
from lightnode.meter import Counters
from lightnode.packets import PacketSigner
from offchain.customer_database.api import create_app
from offchain.customer_database.records import Pod, Reading
from offchain.customer_database.service import CustomerDatabase
from offchain.customer_database.store import CustomerStore
from offchain.dso.customer_database_client import CustomerDatabaseClient, FlexibleCustomers
from offchain.dso.records import KnownPod
from offchain.protocol.documents.base import parse
from offchain.protocol.documents.certified_reading import CertifiedReading
from offchain.protocol.documents.light_node import Packet, ReadingData
from offchain.protocol.errors import FlexledgerError, InvalidInput
from offchain.protocol.metering import Net
from offchain.protocol.terms import SLOT_S
from offchain.rest.client import PlatformClient
from offchain.rest.server import serve
from offchain.rest.settings import Role
from offchain.store.documents import FolderStore
from oracles.anchoring.chain import DeployedAnchor
from oracles.anchoring.core.batch import Batch, make_batch
from oracles.grid import customer_readings
from oracles.grid.core.power_flow import solve_power_flow
from oracles.grid.customer_forecast import CustomerForecast
from oracles.grid.customer_readings import FETCH_EVERY_S, LATE_S, CustomerReadings, ReadingSource
from oracles.grid.daemon import GridDaemon, GridDaemonSettings
from oracles.grid.facts import anchored_grid
from oracles.grid.reading_store import ReadingStore
from tests.chain.real_time_day import NoRequests, StandInNetwork
from tests.chain.small_market import CAST, FIRST, GENESIS_S, TERMS, SmallMarket, pod, prepared, small_market
from tests.chain.workers import shared_folder
from tests.rest.callers import settings_of

FIRST_S = GENESIS_S + 4 * SLOT_S
"""By then the PoDs' Light Nodes are registered."""
NOW_S = FIRST_S + 8 * SLOT_S


def pod_id(number: int) -> str:
    return f"IT001E{number:08d}"


class Database:
    """The Shared Customer Database with the market's PoDs; `url` None while it is down."""

    def __init__(self, folder: Path) -> None:
        self.store = CustomerStore(folder / "scd.duckdb")
        for number in (0, 1):
            self.store.add([_registered(number)])

    def keep(self, packets: Sequence[Packet[ReadingData]], batch: Batch) -> None:
        """Readings as the intake keeps them."""
        self.store.add([_kept(packets[index], batch.root, place) for place, index in enumerate(batch.order)])


def _registered(number: int) -> Pod:
    return Pod(
        pod_id=pod_id(number),
        pseudonym=pod(number),
        salt=bytes(32),
        aggregator="acme",
        customer_wallet="",
        node_address="",
        node_user=f"node-{number}",
        max_up_w=0,
        max_down_w=0,
        max_up_var=0,
        max_down_var=0,
        validity_start_s=GENESIS_S,
        document="",
    )


def _kept(packet: Packet[ReadingData], root: bytes, position: int) -> Reading:
    data = packet.input_data
    return Reading(
        packet.pod,
        data.start_time,
        data.period,
        data.absorbed_active_energy,
        data.injected_active_energy,
        data.absorbed_inductive_reactive_energy,
        data.injected_inductive_reactive_energy,
        data.absorbed_capacitive_reactive_energy,
        data.injected_capacitive_reactive_energy,
        data.sequence,
        root,
        position,
        b"\x77" * 32,
    )


class Site:
    """Light Nodes that sign, the access layer that anchors, and the database."""

    def __init__(self, market: SmallMarket) -> None:
        self.market = market
        self.chain = market.speaking_as(CAST.oracles["grid"])
        self.database = Database(market.folder)
        market.chain.advance_to(NOW_S)

    def signed(
        self, number: int, slot: int, absorbed_wh: int, signer: str | None = None
    ) -> Packet[ReadingData]:
        identity = Identity(CAST.person(signer or f"node {number}").key)
        anchor = self.chain.address_of("ReadingAnchor")
        node = PacketSigner(identity, pod(number), self.market.manifest.chainId, anchor)
        raw = node.reading(FIRST_S + slot * SLOT_S, Counters(absorbed_wh, 0, 10, 0, 0, 4), slot + 1)
        return parse(Packet[ReadingData], raw)

    def batch(self, *packets: Packet[ReadingData], anchored: bool = True, at_hand: bool = True) -> Batch:
        """A batch of readings, which the database has as certified."""
        made = make_batch(packets, FIRST.address)
        raw = made.document.to_bytes()
        folder = self.market.documents if at_hand else FolderStore(self.market.folder / "elsewhere")
        cid = folder.put(raw)
        if anchored:
            DeployedAnchor(self.market.speaking_as(CAST.oracles["anchoring"])).anchor(
                made.root, len(packets), cid
            )
        self.database.keep(packets, made)
        return made

    def readings(self, source: ReadingSource, store: ReadingStore) -> CustomerReadings:
        return CustomerReadings(self.chain, self.market.documents, source, store)

    def known_w(self, store: ReadingStore, number: int) -> list[float]:
        p, _ = store.history([pod(number)], FIRST_S, NOW_S)
        return [float(value) for value in p.power_w[:, 0]]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(shared_folder(tmp_path_factory) / "small-market")


@pytest.fixture
def site(original: Path, tmp_path: Path) -> Iterator[Site]:
    with small_market(original, tmp_path) as market:
        opened = Site(market)
        yield opened
        opened.database.store.close()


def _known(pseudonym: bytes) -> KnownPod | None:
    """PoD 2 and 3 are none of this DSO's."""
    by_pseudonym = {pod(number): pod_id(number) for number in (0, 1)}
    if pseudonym not in by_pseudonym:
        return None
    return KnownPod(by_pseudonym[pseudonym], pseudonym, "acme", "", "", "")


def test_readings_are_fetched_over_http_verified_kept_and_fetched_on(site: Site) -> None:
    site.batch(site.signed(0, 0, 250), site.signed(1, 0, 500), site.signed(0, 1, 300))
    settings, tokens = settings_of({"dso": Role.DSO})
    service = CustomerDatabase(site.database.store, {}, lambda: NOW_S, lambda: bytes(32))
    path = site.market.folder / "grid" / "readings.sqlite"
    store = ReadingStore(path)
    with serve(create_app(service, settings)) as url:
        platform = PlatformClient(url, tokens["dso"])
        readings = site.readings(FlexibleCustomers(CustomerDatabaseClient(platform), _known), store)
        readings.step()
        assert site.known_w(store, 0)[:2] == [1000, 1200]
        assert site.known_w(store, 1)[0] == 2000
        assert np.isnan(site.known_w(store, 0)[2:]).all()
        assert store.history([pod(0)], FIRST_S, NOW_S)[1].power_w[0, 0] == 4 * (10 + 4)
        site.batch(site.signed(0, 2, 350))
        readings.step()
        assert np.isnan(site.known_w(store, 0)[2])
    # The database is down: what is known stays, and nothing else is kept from being done.
    site.market.chain.advance_to(NOW_S + FETCH_EVERY_S)
    readings.step()
    platform.close()
    store.close()
    again = ReadingStore(path)
    assert site.known_w(again, 0)[:2] == [1000, 1200]
    with serve(create_app(service, settings)) as url:
        platform = PlatformClient(url, tokens["dso"])
        site.readings(FlexibleCustomers(CustomerDatabaseClient(platform), _known), again).step()
        assert site.known_w(again, 0)[:3] == [1000, 1200, 1400]
        platform.close()
    again.close()


class Liar:
    """A database that changes what it says, and may be down."""

    def __init__(self, told: Sequence[CertifiedReading]) -> None:
        self.told = list(told)
        self.asked: list[tuple[bytes, int, int]] = []
        self.down = False
        self.senseless: bytes | None = None

    def readings(self, pseudonym: bytes, from_s: int, to_s: int) -> list[CertifiedReading]:
        self.asked.append((pseudonym, from_s, to_s))
        if self.down:
            raise FlexledgerError("doesn't answer")
        if pseudonym == self.senseless:
            raise InvalidInput("body", {}, "must be an array")
        return self.told if pseudonym == pod(0) else []


def _told(packet: Packet[ReadingData], batch: Batch, position: int) -> CertifiedReading:
    kept = _kept(packet, batch.root, position)
    return CertifiedReading.model_validate(
        {
            "podId": pod_id(0),
            "pseudonym": "0x" + kept.pseudonym.hex(),
            "startTime": kept.start_s,
            "absorbedActiveWh": kept.absorbed_active_wh,
            "injectedActiveWh": kept.injected_active_wh,
            "absorbedInductiveVarh": kept.absorbed_inductive_varh,
            "injectedInductiveVarh": kept.injected_inductive_varh,
            "absorbedCapacitiveVarh": kept.absorbed_capacitive_varh,
            "injectedCapacitiveVarh": kept.injected_capacitive_varh,
            "sequence": kept.sequence,
            "batchRoot": "0x" + kept.batch_root.hex(),
            "position": kept.position,
            "transactionId": "0x" + kept.transaction.hex(),
        }
    )


def test_what_isnt_borne_out_by_its_batch_its_anchor_and_its_signature_is_refused(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    packets = [site.signed(0, slot, 250) for slot in range(8)]
    good = site.batch(packets[0], packets[1], packets[2])
    forged = site.batch(site.signed(0, 3, 250, signer="stranger"))
    nowhere = site.batch(packets[4], at_hand=False)
    unanchored = site.batch(packets[5], anchored=False)
    liar = Liar(
        [
            _told(packets[0], good, 0),
            _told(packets[1], good, 1).model_copy(update={"absorbed_active_wh": 251}),
            _told(packets[2], good, 1),
            _told(packets[2], good, 3),
            _told(site.signed(0, 3, 250, signer="stranger"), forged, 0),
            _told(packets[4], nowhere, 0),
            _told(packets[5], unanchored, 0),
            _told(packets[6], good, 2).model_copy(update={"start_time": NOW_S + SLOT_S}),
            _told(packets[7], good, 2).model_copy(update={"pseudonym": pod(3)}),
        ]
    )
    store = ReadingStore()
    with caplog.at_level(logging.WARNING):
        site.readings(liar, store).step()
    assert site.known_w(store, 0)[0] == 1000
    assert np.isnan(site.known_w(store, 0)[1:]).all()
    for said in (
        "leaf 1 of batch",
        "leaf 3 of batch",
        "isn't signed by the Light Node",
        f"no batch with root 0x{nowhere.root.hex()}",
        f"no batch with root 0x{unanchored.root.hex()}",
        "of another time than was asked for",
    ):
        assert said in caplog.text


def test_two_readings_of_a_quarter_hour_that_differ_are_a_gap(site: Site) -> None:
    first, other = site.signed(0, 0, 250), site.signed(0, 0, 260)
    one, two = site.batch(first), site.batch(other)
    liar = Liar([_told(first, one, 0), _told(other, two, 0)])
    store = ReadingStore()
    site.readings(liar, store).step()
    assert np.isnan(site.known_w(store, 0)).all()


def test_what_was_missed_is_caught_up_with_in_parts_and_then_only_the_last_days_are_asked_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_readings, "MOST_S_A_STEP", 7200)
    liar, store = Liar([]), ReadingStore()
    liar.senseless = pod(1)
    readings = site.readings(liar, store)
    readings.step()
    assert store.fetched_until_s(pod(0)) == GENESIS_S + 7200
    # One PoD of which nonsense is told keeps no other's readings away.
    assert {pseudonym for pseudonym, _, _ in liar.asked} == {pod(number) for number in range(4)}
    readings.step()
    now_s = NOW_S - NOW_S % SLOT_S
    assert store.fetched_until_s(pod(0)) == now_s
    assert store.fetched_until_s(pod(1)) is None
    liar.asked.clear()
    liar.senseless = None
    site.readings(liar, store).step()
    assert (pod(0), now_s - LATE_S, now_s) in liar.asked
    liar.asked.clear()
    liar.down = True
    site.readings(liar, store).step()
    assert len(liar.asked) == 1


def test_the_daemon_fetches_and_anchors_what_it_learned_of_pods_without_a_baseline(site: Site) -> None:
    store, liar = ReadingStore(), Liar([])
    liar.told = [_told(site.signed(0, 0, 250), site.batch(site.signed(0, 0, 250)), 0)]
    days = [(GENESIS_S - slot * SLOT_S, Net(12_000, 3_000)) for slot in range(1, 3 * 96)]
    store.add(pod(0), days, GENESIS_S)

    def daemon() -> GridDaemon:
        return GridDaemon(
            site.chain,
            site.market.documents,
            site.market.stores,
            StandInNetwork(),
            NoRequests(),
            GridDaemonSettings(90_000),
            readings=site.readings(liar, store),
            customers=CustomerForecast(store),
        )

    daemon().step()
    assert site.known_w(store, 0)[0] == 1000
    # That the database doesn't answer keeps no session from its forecast.
    liar.down = True
    site.market.chain.advance_to(TERMS.baselineGate)
    daemon().step()
    grid = anchored_grid(site.market.view, site.market.documents, TERMS, site.chain.address)
    assert grid.forecast.basis is not None
    assert (grid.forecast.basis.learnt, grid.forecast.basis.typical) == ((), (pod(0),))
    node = grid.forecast.node_of_pod[pod(0)]
    noon = grid.forecast.p_w[48, node], grid.forecast.q_var[48, node]
    assert noon == (12_000, 3_000)
    assert (np.delete(grid.forecast.p_w, node, axis=1) == 0).all()
    assert grid.forecast.basis == CustomerForecast(store).expected(TERMS, site.market.view.pods()).basis


def test_what_a_pods_readings_cant_mean_keeps_nobodys_session_from_its_forecast(site: Site) -> None:
    """17 GW, which a meter reading can say, of a PoD that nominates nothing; another one's typical profile counts."""
    store, liar = ReadingStore(), Liar([])
    liar.down = True
    for number, power_w in ((0, 17_000_000_000), (1, 12_000)):
        days = [(GENESIS_S - slot * SLOT_S, Net(power_w, 0)) for slot in range(1, 3 * 96)]
        store.add(pod(number), days, GENESIS_S)
    site.market.chain.advance_to(TERMS.baselineGate)
    GridDaemon(
        site.chain,
        site.market.documents,
        site.market.stores,
        StandInNetwork(),
        NoRequests(),
        GridDaemonSettings(90_000),
        readings=site.readings(liar, store),
        customers=CustomerForecast(store),
    ).step()
    grid = anchored_grid(site.market.view, site.market.documents, TERMS, site.chain.address)
    assert grid.forecast.set_aside == {pod(0)}
    nodes = [grid.forecast.node_of_pod[pod(number)] for number in range(2)]
    assert grid.forecast.p_w[48, nodes].tolist() == [0, 12_000]
    assert solve_power_flow(grid.model, grid.forecast.p_w, grid.forecast.q_var).converged.all()
