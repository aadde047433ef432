"""The stage: every process and platform of the demo, started in order and stopped in reverse."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from lightnode.config import NodeConfig
from lightnode.fleet import Fleet
from offchain.access_layer.intake import Intake
from offchain.aggregator.platform import AggregatorPlatform, Baselines
from offchain.chain.client import ChainClient
from offchain.chain.local import CHAIN_ID, LocalChain
from offchain.chain.manifest import Manifest
from offchain.chain.market_view import MarketView
from offchain.customer_database.api import create_app as customer_database_app
from offchain.customer_database.certified import CertifiedIntake, Inbox
from offchain.customer_database.pod_listener import PlatformPodListener
from offchain.customer_database.service import CustomerDatabase, Subscription
from offchain.customer_database.store import CustomerStore
from offchain.dso.api import Desks
from offchain.dso.api import create_app as dso_app
from offchain.dso.customer_database_client import CustomerDatabaseClient, FlexibleCustomers
from offchain.dso.field import FieldDesk
from offchain.dso.flow_store import FlowStore
from offchain.dso.pom_mapping import PomsOfPods, fed_buses
from offchain.dso.records import Deployment
from offchain.dso.service import DsoService
from offchain.dso.store import DsoStore
from offchain.dso.validation import MarketPlatformClient, ValidationDesk
from offchain.dso.validation_store import ValidationStore
from offchain.market.api import create_app as market_app
from offchain.market.client import MarketClient
from offchain.market.promises import PromiseFolder
from offchain.market.publication import OutcomePublication
from offchain.market.service import MarketService
from offchain.market.validation import DsoPlatformClient, TechnicalValidation
from offchain.messaging.broker import MosquittoBroker
from offchain.messaging.mqtt import MqttClient
from offchain.messaging.topics import (
    CERTIFIED_PACKETS,
    DSO_OUTCOME,
    PLATFORM_GRANTS,
    NodeTopic,
    aggregator_grant,
    aggregator_outcome,
)
from offchain.protocol.errors import FlexledgerError
from offchain.rest.client import PlatformClient
from offchain.rest.server import serve
from offchain.rest.settings import ApiSettings, Role
from offchain.store.api import create_app as store_app
from offchain.store.client import StoreClient
from offchain.store.documents import FolderStore
from offchain.store.outcomes import AnchoredOutcomes
from offchain.store.packets import PacketStore
from offchain.store.receipts import Keeper, Stores
from oracles.anchoring.chain import DeployedAnchor
from oracles.anchoring.daemon import AnchoringDaemon
from oracles.clearing.daemon import ClearingDaemon
from oracles.grid.reading_store import ReadingStore
from oracles.settlement.daemon import SettlementDaemon
from scripts.demo.case import DemoCase, MarketPod
from scripts.demo.cast import Cast, Person
from scripts.demo.field import EMS_UNIT, HOST, METER_REGISTERS, METER_UNIT, Field, FieldPod

PROJECT = Path(__file__).resolve().parents[2]
POM = "HV-connection-1"
FIELD_SEED = 1
ROLES = {"dso": Role.DSO, "tso": Role.TSO, "market": Role.MARKET, "customer_database": Role.CUSTOMER_DATABASE}


def deploy(chain: LocalChain, folder: Path, operator: Person) -> Manifest:
    """Deploy the contracts with the project's own brownie script, unless the manifest says that they stand."""
    manifest = folder / "manifest.json"
    done = folder / "deployed"
    if not done.exists():
        chain.fund(operator.address)
        environment = {
            **os.environ,
            "FLEXLEDGER_RPC": chain.url,
            "FLEXLEDGER_MANIFEST": str(manifest),
            "FLEXLEDGER_DEPLOYER_KEY": "0x" + operator.key.hex(),
        }
        command = [
            str(PROJECT / "scripts" / "setup" / "brownie.sh"),
            "run",
            "deploy",
            "--network",
            "flexledger",
        ]
        # One at a time: brownie keeps what it deployed in one folder. brownie holds the lock, too, so that a demo started
        # again waits for the deployment that outlived the one that was killed.
        with (PROJECT / "build" / "deploying.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # What it deployed it keeps by chain id; of an earlier local chain nothing stands any more.
            shutil.rmtree(PROJECT / "build" / "deployments" / str(CHAIN_ID), ignore_errors=True)
            finished = subprocess.run(
                command,
                cwd=PROJECT,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                pass_fds=(lock.fileno(),),
            )
        if finished.returncode:
            raise FlexledgerError(
                f"brownie run deploy failed:\n{finished.stdout[-2000:]}\n{finished.stderr[-2000:]}"
            )
        done.touch()
    return Manifest.load(manifest)


@dataclass
class Stage:
    """What the day plays on. Clients are named after who they speak for."""

    folder: Path
    cast: Cast
    case: DemoCase
    chain: LocalChain
    manifest: Manifest
    documents: FolderStore
    stores: Stores
    operator: ChainClient
    market_url: str
    customer_database: CustomerDatabase
    customer_database_url: str
    certified: CertifiedIntake
    dso: DsoService
    dso_url: str
    dso_validation: ValidationDesk
    dso_flows: FlowStore
    dso_for_market: DsoPlatformClient
    market_validation: TechnicalValidation
    flexible_customers: FlexibleCustomers
    grid_readings: ReadingStore
    publication: OutcomePublication
    packets: PacketStore
    anchoring: AnchoringDaemon
    clearing: ClearingDaemon
    settlement: SettlementDaemon
    broker: MosquittoBroker
    exits: ExitStack

    def chain_as(self, person: Person) -> ChainClient:
        """The chain, as a participant's account."""
        return ChainClient(self.chain.url, self.manifest, person.key)

    def market_as(self, person: Person) -> MarketClient:
        """The market's client of a player, with a drawer of its own for sealed documents."""
        drawer = FolderStore(self.folder / "players" / person.name)
        promises = PromiseFolder(self.folder / "promises" / person.name)
        chain, secret = self.chain_as(person), token(self.cast, person.name)
        client = MarketClient(self.market_url, secret, person.key, chain, drawer, promises)
        self.exits.callback(client.close)
        return client

    def validate(self) -> None:
        """Market and DSO's platform do what is due of technical validation."""
        self.market_validation.step(self.dso_for_market)
        self.dso_validation.step()

    def token_of(self, name: str) -> str:
        """A participant's token at the platforms."""
        return token(self.cast, name)


def token(cast: Cast, name: str) -> str:
    """A participant's bearer token."""
    return cast.secret("token", name).hex()


@contextmanager
def set_stage(
    folder: Path, cast: Cast, case: DemoCase, genesis_s: int, say: Callable[[str], None]
) -> Iterator[Stage]:
    """Start everything; what runs already from a killed demo is found again."""
    with ExitStack() as exits:
        chain = LocalChain(folder / "chain", genesis_s)
        chain.start()
        say("local chain at " + chain.url)
        manifest = deploy(chain, folder, cast.operator)
        operator = ChainClient(chain.url, manifest, cast.operator.key)
        documents = FolderStore(folder / "documents")
        aggregators = {person.name: person for person in cast.aggregators}
        broker = MosquittoBroker(
            folder / "broker",
            {pod.node_user: cast.secret("broker", pod.node_user).hex() for pod in case.pods},
            {
                user: cast.secret("broker", user).hex()
                for user in ("access_layer", "dso", "tso", "market", "customer_database", *aggregators)
            },
            {**PLATFORM_GRANTS, **{name: aggregator_grant(name) for name in aggregators}},
        )
        broker.start()
        exits.callback(broker.stop)
        settings = _api_settings(cast)

        def connected(user: str, subscriptions: list[str], handler: Callable[..., None] | None) -> MqttClient:
            client = MqttClient(broker.address(user), f"{user}-platform", subscriptions, handler)
            client.start()
            exits.callback(client.stop)
            return client

        stores = Stores([_store(exits, folder, cast, operator, person) for person in cast.stores], operator)
        market = MarketService(operator, documents, stores, cast.operator.key)
        outcomes = AnchoredOutcomes(MarketView(operator), documents)
        market_validation = TechnicalValidation(outcomes, folder / "asked.sqlite", operator.now_s)
        exits.callback(market_validation.close)
        market_url = exits.enter_context(serve(market_app(market, market_validation, settings)))

        dso_store = DsoStore(folder / "dso.sqlite")
        exits.callback(dso_store.close)
        dso_mqtt = MqttClient(
            broker.address("dso"),
            "dso-platform",
            [NodeTopic.SET_POINT_ACKS.of_all, DSO_OUTCOME],
            lambda message: (
                dso_validation.on_outcome(message.payload)
                if message.topic == DSO_OUTCOME
                else dso.on_acknowledgement(message.payload)
            ),
        )
        scd_store = CustomerStore(folder / "customers.duckdb")
        exits.callback(scd_store.close)
        subscriptions: dict[str, Subscription] = {}
        customer_database = CustomerDatabase(
            scd_store, subscriptions, operator.now_s, _salts(cast, scd_store)
        )
        scd_url = exits.enter_context(serve(customer_database_app(customer_database, settings)))
        scd_for_dso = _client(exits, scd_url, token(cast, "dso"))
        scd_client = CustomerDatabaseClient(scd_for_dso)
        grid_readings = ReadingStore(folder / "grid.sqlite")
        exits.callback(grid_readings.close)
        dso = DsoService(
            dso_store,
            dso_mqtt,
            scd_client,
            _poms(case),
            operator.now_s,
            Deployment(manifest.chainId, operator.address_of("ReadingAnchor")),
        )
        validation_store = ValidationStore(folder / "validation.sqlite")
        exits.callback(validation_store.close)
        market_for_dso = MarketPlatformClient(_client(exits, market_url, token(cast, "dso")))
        dso_validation = ValidationDesk(validation_store, outcomes, market_for_dso, operator.now_s)
        dso_flows, dso_field = (
            FlowStore(folder / "dso.sqlite"),
            FieldDesk(folder / "dso.sqlite", operator.now_s),
        )
        for desk in (dso_flows, dso_field):
            exits.callback(desk.close)
        dso_mqtt.start()
        exits.callback(dso_mqtt.stop)
        desks = Desks(dso, dso_validation, dso_flows, dso_field)
        dso_url = exits.enter_context(serve(dso_app(desks, settings)))
        dso_for_scd = _client(exits, dso_url, token(cast, "customer_database"))
        subscriptions["dso"] = Subscription(PlatformPodListener(dso_for_scd), may_link=True)

        inbox = Inbox(folder / "inbox.sqlite")
        exits.callback(inbox.close)
        certified = CertifiedIntake(
            scd_store,
            inbox,
            lambda root: operator.call("ReadingAnchor", "anchoredAt", root) or None,
            operator.now_s,
        )
        connected("customer_database", [CERTIFIED_PACKETS], certified.take)

        packets = PacketStore(folder / "packets.sqlite")
        exits.callback(packets.close)
        exits.enter_context(Intake(broker.address("access_layer"), packets, operator.now_s))
        oracles = {
            name: ChainClient(chain.url, manifest, person.key) for name, person in cast.oracles.items()
        }
        forwarder = MqttClient(broker.address("access_layer"), "anchoring-oracle")
        forwarder.start()
        exits.callback(forwarder.stop)

        publication = OutcomePublication(
            outcomes,
            connected("market", [], None),
            {person.address: name for name, person in aggregators.items()},
            folder / "published.sqlite",
        )
        exits.callback(publication.close)
        yield Stage(
            folder=folder,
            cast=cast,
            case=case,
            chain=chain,
            manifest=manifest,
            documents=documents,
            stores=stores,
            operator=operator,
            market_url=market_url,
            customer_database=customer_database,
            customer_database_url=scd_url,
            certified=certified,
            dso=dso,
            dso_url=dso_url,
            dso_validation=dso_validation,
            dso_flows=dso_flows,
            dso_for_market=DsoPlatformClient(_client(exits, dso_url, token(cast, "market"))),
            market_validation=market_validation,
            flexible_customers=FlexibleCustomers(scd_client, dso_store.pod),
            grid_readings=grid_readings,
            publication=publication,
            packets=packets,
            anchoring=AnchoringDaemon(packets, documents, DeployedAnchor(oracles["anchoring"]), forwarder),
            clearing=ClearingDaemon(oracles["clearing"], documents, stores),
            settlement=SettlementDaemon(oracles["settlement"], documents, stores),
            broker=broker,
            exits=exits,
        )


def aggregator_platform(stage: Stage, person: Person, baselines: Baselines) -> AggregatorPlatform:
    """An aggregator's platform, listening on its own topic."""
    own = token(stage.cast, person.name)
    platform = AggregatorPlatform(
        stage.folder / "aggregators" / person.name,
        _client(stage.exits, stage.dso_url, own),
        _client(stage.exits, stage.customer_database_url, own),
        baselines,
        stage.operator.now_s,
    )
    client = MqttClient(
        stage.broker.address(person.name),
        f"{person.name}-platform",
        [aggregator_outcome(person.name)],
        platform.on_outcome,
    )
    client.start()
    stage.exits.callback(client.stop)
    return platform


@contextmanager
def field_and_nodes(
    stage: Stage, pseudonym_of: dict[str, bytes], start_s: int, now_s: Callable[[], int]
) -> Iterator[tuple[Field, Fleet]]:
    """The customers' meters and EMSs, and a Light Node at each."""
    pods = [FieldPod(pod.pod_id, pod.power_w, pod.reactive_var, pod.behaviour) for pod in stage.case.pods]
    with Field(stage.folder / "field.sqlite", pods, start_s, FIELD_SEED) as field:
        configs = [
            _node_config(stage, pod, pseudonym_of[pod.pod_id], field.ports[pod.pod_id])
            for pod in stage.case.pods
        ]
        with Fleet(configs, now_s) as fleet:
            yield field, fleet


def _node_config(stage: Stage, pod: MarketPod, pseudonym: bytes, port: int) -> NodeConfig:
    folder = stage.folder / "lightnodes" / pod.pod_id
    folder.mkdir(parents=True, exist_ok=True)
    key, password = folder / "key", folder / "password"
    for path, secret in (
        (key, stage.cast.secret("node", pod.pod_id).hex()),
        (password, stage.cast.secret("broker", pod.node_user).hex()),
    ):
        path.touch(mode=0o600)
        path.write_text(secret)
    return NodeConfig.model_validate(
        {
            "pod": "0x" + pseudonym.hex(),
            "key_file": str(key),
            "journal": str(folder / "journal.sqlite"),
            "journal_survives_power_cut": False,
            "chain": {
                "id": stage.manifest.chainId,
                "reading_anchor": stage.operator.address_of("ReadingAnchor"),
            },
            "broker": {
                "host": HOST,
                "port": stage.broker.port,
                "user": pod.node_user,
                "password_file": str(password),
            },
            "meter": {"host": HOST, "port": port, "unit": METER_UNIT, **METER_REGISTERS},
            "ems": {"host": HOST, "port": port, "unit": EMS_UNIT},
        }
    )


def forget(folder: Path) -> None:
    """Remove a demo's folder, and end the chain that a killed demo left in it."""
    LocalChain(folder / "chain").stop_left_behind()
    shutil.rmtree(folder, ignore_errors=True)


def _store(exits: ExitStack, folder: Path, cast: Cast, chain: ChainClient, person: Person) -> StoreClient:
    """A store behind its API, and the way to it."""
    documents = FolderStore(folder / "stores" / person.name)
    keeper = Keeper(chain, documents, person.key, person.address)
    url = exits.enter_context(serve(store_app(keeper, _api_settings(cast))))
    client = StoreClient(url, token(cast, "market"), person.address)
    exits.callback(client.close)
    return client


def _poms(case: DemoCase) -> PomsOfPods:
    """PoMs from the grid's topology; the DSO calls the one point at which it is connected by its own name."""
    topology = case.case.topology
    pom_of_bus = fed_buses(dict.fromkeys(topology.connection_points, POM), topology.branches, topology.buses)
    return PomsOfPods({pod.pod_id: pod.unit.bus_name for pod in case.pods}, pom_of_bus)


def _api_settings(cast: Cast) -> ApiSettings:
    roles = {**ROLES, **{person.name: Role.AGGREGATOR for person in cast.aggregators}}
    participants = [{"name": name, "role": role, "token": token(cast, name)} for name, role in roles.items()]
    return ApiSettings.model_validate({"participants": participants})


def _client(exits: ExitStack, url: str, bearer: str) -> PlatformClient:
    client = PlatformClient(url, bearer)
    exits.callback(client.close)
    return client


def _salts(cast: Cast, store: CustomerStore) -> Callable[[], bytes]:
    """PoDs' secret salts, from the seed: the demo's day shall come out the same each time. A real database draws them."""
    numbers = count(len(store.pods()))
    return lambda: cast.secret("pod-salt", str(next(numbers)))
