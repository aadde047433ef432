"""A Shared Customer Database with a real DuckDB file, a clock that stands, and a listener that may be away."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from offchain.customer_database.api import create_app
from offchain.customer_database.certified import CertifiedIntake, Inbox
from offchain.customer_database.service import CustomerDatabase, Subscription
from offchain.customer_database.store import CustomerStore
from offchain.protocol.signatures import address_of
from offchain.rest.client import PlatformRefused, PlatformUnavailable
from offchain.rest.registry import PseudonymousEntry, RegistryEntry
from offchain.rest.server import serve
from offchain.rest.settings import Role
from tests.rest.callers import client_of, settings_of

NOW_S = 1_790_000_000
PARTICIPANTS = {"acme": Role.AGGREGATOR, "bolt": Role.AGGREGATOR, "dso": Role.DSO, "market": Role.MARKET}
WALLET = address_of(bytes([9] * 32))


def node_key(number: int) -> bytes:
    """The private key of a PoD's Light Node."""
    return hashlib.sha256(f"node {number}".encode()).digest()


def pod_id(number: int) -> str:
    return f"IT001E{number:08d}"


def registration(number: int, aggregator: str = "acme", **pod: object) -> dict[str, object]:
    """A registration as an aggregator posts it."""
    return {
        "pod": {
            "podId": pod_id(number),
            "aggregatorId": aggregator,
            "zone": "Roma",
            "pnp": 6.6,
            "maxFlexibility": {"upperP": 2.5, "downP": 1.001, "upperQ": 0, "downQ": 0.3},
            "powerBaselineCurves": {"Workday": [{"index": 0, "p": -1.25, "q": 0.001}]},
            **pod,
        },
        "customerWallet": WALLET,
        "nodeAddress": address_of(node_key(number)),
        "nodeUser": f"node-{number}",
    }


@dataclass
class Listener:
    """A platform that is told of PoDs; it may be away, or refuse some."""

    away: bool = False
    refuses: str = ""
    told: list[RegistryEntry | PseudonymousEntry] = field(default_factory=list)

    def announce(self, entries: Sequence[RegistryEntry | PseudonymousEntry]) -> None:
        if self.away:
            raise PlatformUnavailable("away")
        if any(entry.pod.pod_id == self.refuses for entry in entries):
            raise PlatformRefused("refused")
        self.told.extend(entries)


class Scd:
    """The database, which can be stopped and started again on the same files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_s = NOW_S
        self.dso, self.market = Listener(), Listener()
        self.anchored: dict[bytes, int] = {}
        self.salts = 0
        self.start()

    def start(self) -> None:
        self.store = CustomerStore(self.folder / "scd.duckdb")
        self.inbox = Inbox(self.folder / "inbox.sqlite")
        self.service = CustomerDatabase(
            self.store,
            {"dso": Subscription(self.dso, True), "market": Subscription(self.market, False)},
            lambda: self.now_s,
            self._new_salt,
        )
        self.intake = CertifiedIntake(self.store, self.inbox, self.anchored.get, lambda: self.now_s)

    def stop(self) -> None:
        self.store.close()
        self.inbox.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def _new_salt(self) -> bytes:
        self.salts += 1
        return self.salts.to_bytes(32, "big")


@pytest.fixture
def scd(tmp_path: Path) -> Iterator[Scd]:
    database = Scd(tmp_path)
    yield database
    database.stop()


@dataclass
class Api:
    """HTTP clients by participant; `stranger` has a token of nobody, `nobody` none."""

    scd: Scd
    clients: dict[str, httpx.Client]

    def __getitem__(self, name: str) -> httpx.Client:
        return self.clients[name]


@pytest.fixture
def api(scd: Scd) -> Iterator[Api]:
    settings, tokens = settings_of(PARTICIPANTS)
    with serve(create_app(scd.service, settings)) as url:
        clients = {name: client_of(url, token) for name, token in tokens.items()}
        clients |= {"stranger": client_of(url, "x" * 43), "nobody": client_of(url, None)}
        yield Api(scd, clients)
        for client in clients.values():
            client.close()
