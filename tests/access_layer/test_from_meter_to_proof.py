"""From the meter's register to a proof: field, Light Nodes, broker, intake, anchoring, all real but the chain."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lightnode.fleet import Fleet
from lightnode.identity import Identity
from offchain.access_layer.intake import Intake
from offchain.messaging.broker import MosquittoBroker
from offchain.messaging.mqtt import Message, MqttClient
from offchain.messaging.topics import CERTIFIED_PACKETS, set_points
from offchain.protocol.documents.base import build, dump, parse
from offchain.protocol.documents.light_node import (
    ActivationData,
    ActivationService,
    CertifiedPacket,
    IdentifiedPacket,
    ReadingData,
    SetPoint,
)
from offchain.protocol.errors import InvalidInput
from offchain.protocol.merkle import verify
from offchain.protocol.terms import SLOT_S
from offchain.store.documents import FolderStore
from offchain.store.packets import PacketState, PacketStore
from oracles.anchoring.core.verify import Domain
from oracles.anchoring.daemon import AnchoringDaemon
from scripts.demo.field import Field
from tests.lightnode.conftest import CHAIN_ID, PODS, POWER_W, READING_ANCHOR, START_S, Site, field_pods
from tests.messaging.waiting import wait_until
from tests.oracles.anchoring.conftest import MemoryChain

SLOTS = 4
PLATFORMS = {"access_layer": "a", "dso": "d", "customer_database": "c"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    nodes = {user: f"secret of {user}" for user in PODS}
    with (
        Field(tmp_path / "field.sqlite", field_pods(), START_S, seed=1) as field,
        MosquittoBroker(tmp_path / "broker", nodes, PLATFORMS) as broker,
    ):
        yield Site(tmp_path, field, broker)


def send_set_points(site: Site) -> None:
    """2 kW in the second and third slot, for everybody."""
    with MqttClient(site.broker.address("dso"), "dso") as dso:
        for user, (pod, _) in PODS.items():
            points = tuple(
                build(SetPoint, active_power=2_000, reactive_power=0, quarter_hour=START_S + slot * SLOT_S)
                for slot in (1, 2)
            )
            service = build(
                ActivationService, pod=pod, activation_id=pod, set_points=points, timestamp=START_S
            )
            dso.publish([Message(set_points(user), dump(service))])


def wait_for_packets(store: PacketStore, count: int) -> None:
    wait_until(lambda: sum(store.counts().values()) == count)


def test_measured_energy_follows_and_is_proven(site: Site) -> None:
    configs = [site.config(user) for user in PODS]
    nodes = {pod: Identity.load(site.folder / f"{user}.key").address for user, (pod, _) in PODS.items()}
    chain = MemoryChain(nodes=nodes, domain=Domain(CHAIN_ID, READING_ANCHOR))
    store = PacketStore(site.folder / "packets.sqlite")
    forwarded: list[bytes] = []

    def take(message: Message) -> None:
        forwarded.append(message.payload)

    address = site.broker.address
    with (
        Intake(address("access_layer"), store, site.clock),
        MqttClient(address("access_layer"), "forwarder") as forwarder,
        MqttClient(address("customer_database"), "scd", [CERTIFIED_PACKETS], take),
        Fleet(configs, site.clock) as fleet,
    ):
        daemon = AnchoringDaemon(store, FolderStore(site.folder / "documents"), chain, forwarder)
        fleet.step()
        send_set_points(site)
        wait_until(lambda: fleet.count_activations() == len(PODS))
        for slot in range(SLOTS):
            site.pass_to(START_S + (slot + 1) * SLOT_S)
            fleet.step()
            expected = (slot + 2) * len(PODS)
            wait_for_packets(store, expected)
            daemon.step()
        wait_until(lambda: len(forwarded) == (SLOTS + 1) * len(PODS))
    readings, acknowledgements = [], []
    for payload in forwarded:
        try:
            readings.append(parse(CertifiedPacket[ReadingData], payload))
        except InvalidInput:
            acknowledgements.append(parse(IdentifiedPacket[ActivationData], payload))
    assert store.counts()[PacketState.REFUSED] == 0
    assert {packet.pod for packet in acknowledgements} == set(nodes)
    for packet in readings:
        leaf = packet.merkle_tree_structure[0].leaf
        assert leaf is not None
        roots = [root for root, transaction in chain.anchored.items() if transaction == packet.transaction_id]
        assert [verify(root, leaf, packet.proof) for root in roots] == [True]
    good, weak, dead = ([_net_wh(readings, pod, slot) for slot in range(SLOTS)] for pod, _ in PODS.values())
    profile = [power_w // 4 for power_w in POWER_W[:SLOTS]]
    assert dead == profile
    assert [good[0], weak[0]] == profile[:1] * 2
    for slot in (1, 2):
        asked = profile[slot] - 500
        assert abs(good[slot] - 500) <= asked // 100 + 1
        assert abs(weak[slot] - (profile[slot] - asked // 2)) <= 1
    assert all(abs(plant[3] - profile[3]) <= 1 for plant in (good, weak))
    store.close()


def _net_wh(readings: list[CertifiedPacket[ReadingData]], pod: bytes, slot: int) -> int:
    (data,) = [
        packet.input_data
        for packet in readings
        if packet.pod == pod and packet.input_data.start_time == START_S + slot * SLOT_S
    ]
    return data.absorbed_active_energy - data.injected_active_energy
