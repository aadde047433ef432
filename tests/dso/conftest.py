"""The DSO's platform with a real SQLite file, a clock that stands, and a broker that may be away."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from lightnode.identity import Identity
from lightnode.packets import PacketSigner
from offchain.dso.api import Desks, create_app
from offchain.dso.field import FieldDesk
from offchain.dso.flow_store import FlowStore
from offchain.dso.records import Deployment, KnownPod, PodChange
from offchain.dso.service import DsoService
from offchain.dso.store import DsoStore
from offchain.dso.validation import ValidationDesk
from offchain.dso.validation_store import ValidationStore
from offchain.messaging.mqtt import Message, MessagingUnavailable
from offchain.protocol.documents.base import parse
from offchain.protocol.documents.light_node import ActivationService
from offchain.protocol.documents.outcome import TechnicalOutcome
from offchain.protocol.signatures import address_of
from offchain.rest.client import PlatformUnavailable
from offchain.rest.server import serve
from offchain.rest.settings import Role
from tests.rest.callers import client_of, settings_of

NOW_S = 1_800_000_000
DEPLOYMENT = Deployment(31337, "0x00000000000000000000000000000000000000A1")
PARTICIPANTS = {
    "acme": Role.AGGREGATOR,
    "bolt": Role.AGGREGATOR,
    "dso": Role.DSO,
    "scd": Role.CUSTOMER_DATABASE,
    "gateway": Role.FIELD_GATEWAY,
    "another": Role.FIELD_GATEWAY,
}
POMS = {"IT001E00000001": "POM-1", "IT001E00000003": "POM-2"}


def pod_id(number: int) -> str:
    return f"IT001E{number:08d}"


def pseudonym(number: int) -> bytes:
    return bytes([number] * 32)


def node_key(number: int) -> bytes:
    return hashlib.sha256(f"node {number}".encode()).digest()


def signer(number: int) -> PacketSigner:
    """A PoD's Light Node."""
    return PacketSigner(
        Identity(node_key(number)), pseudonym(number), DEPLOYMENT.chain_id, DEPLOYMENT.reading_anchor
    )


def known_pod(number: int, aggregator: str = "acme") -> KnownPod:
    address = address_of(node_key(number))
    return KnownPod(pod_id(number), pseudonym(number), aggregator, f"node-{number}", address, "{}")


def activation(
    number: int, first_s: int, count: int = 16, key: int = 1, power_w: int = 500
) -> dict[str, object]:
    """An activation as an aggregator posts it."""
    return {
        "PoD": "0x" + pseudonym(number).hex(),
        "ActivationId": f"0x{key:064x}",
        "Set-Point": [
            {"activePower": power_w - slot, "reactivePower": slot, "quarterHour": first_s + 900 * slot}
            for slot in range(count)
        ],
        "Timestamp": NOW_S,
    }


@dataclass
class Broker:
    """Takes messages; it may be away, or go away after some."""

    takes: int | None = None
    messages: list[Message] = field(default_factory=list)

    def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if self.takes is not None and len(self.messages) >= self.takes:
                raise MessagingUnavailable("away")
            self.messages.append(message)

    def activations(self) -> list[ActivationService]:
        return [parse(ActivationService, message.payload) for message in self.messages]


@dataclass
class PomDesk:
    """The Shared Customer Database, which may be away."""

    away: bool = False
    told: list[tuple[str, str]] = field(default_factory=list)

    def associate(self, pod_id: str, pom_id: str) -> None:
        if self.away:
            raise PlatformUnavailable("away")
        self.told.append((pod_id, pom_id))


class Dso:
    """The platform, which can be stopped and started again on the same file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_s = NOW_S
        self.broker, self.pom_desk = Broker(), PomDesk()
        self.start()
        self.desks = desks_of(self.service, folder)
        self.service.announce([PodChange(known_pod(1), False), PodChange(known_pod(2), False)])
        self.service.announce([PodChange(known_pod(3, "bolt"), False)])

    def start(self) -> None:
        self.store = DsoStore(self.folder / "dso.sqlite")
        self.service = DsoService(
            self.store, self.broker, self.pom_desk, POMS.get, lambda: self.now_s, DEPLOYMENT
        )

    def restart(self) -> None:
        self.store.close()
        self.start()

    def statuses(self) -> list[str]:
        return [status.value for _, status in self.service.activations(None, 0, 2**40)]


class NoSessions:
    """A chain on which nothing has happened."""

    def session_ids(self) -> list[int]:
        return []


class NoMarket:
    """A market that asks for nothing."""

    def answer(self, technical: TechnicalOutcome) -> None:
        raise AssertionError(technical)


def desks_of(service: DsoService, folder: Path) -> Desks:
    """A platform that nobody asks to validate anything."""
    store = ValidationStore(folder / "validation.sqlite")
    validation = ValidationDesk(store, NoSessions(), NoMarket(), lambda: NOW_S)  # type: ignore[arg-type]
    return Desks(
        service,
        validation,
        FlowStore(folder / "flows.sqlite"),
        FieldDesk(folder / "field.sqlite", lambda: NOW_S),
    )


@pytest.fixture
def dso(tmp_path: Path) -> Iterator[Dso]:
    platform = Dso(tmp_path)
    yield platform
    platform.store.close()


@pytest.fixture
def api(dso: Dso) -> Iterator[dict[str, httpx.Client]]:
    """HTTP clients by participant; `stranger` has a token of nobody, `nobody` none."""
    settings, tokens = settings_of(PARTICIPANTS)
    with serve(create_app(dso.desks, settings)) as url:
        clients = {name: client_of(url, token) for name, token in tokens.items()}
        clients |= {"stranger": client_of(url, "x" * 43), "nobody": client_of(url, None)}
        yield clients
        for client in clients.values():
            client.close()
