"""The anchoring daemon: each good packet anchored once and forwarded, whenever it is killed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lightnode.meter import Counters
from offchain.messaging.mqtt import Message, MessagingUnavailable
from offchain.messaging.topics import CERTIFIED_PACKETS, NodeTopic
from offchain.protocol.documents.base import parse
from offchain.protocol.documents.light_node import (
    AnomalyCode,
    AnomalyData,
    CertifiedPacket,
    IdentifiedPacket,
    ReadingData,
)
from offchain.protocol.leaves import READING
from offchain.protocol.lists import ListDocument
from offchain.protocol.merkle import verify
from offchain.store.documents import FolderStore
from offchain.store.packets import PacketState, PacketStore
from oracles.anchoring.daemon import AnchoringDaemon
from tests.oracles.anchoring.conftest import NODE_A, POD_A, POD_B, MemoryChain, reading, signer

NOW_S = 1_800_100_000


class Killed(BaseException):
    """The process ends here."""


class MemoryPublisher:
    """Takes what is forwarded; away until a test lets it in."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.away = False

    def publish(self, messages: Sequence[Message]) -> None:
        if self.away:
            raise MessagingUnavailable("away")
        self.messages.extend(messages)


class World:
    """The daemon with its store, documents, chain and publisher."""

    def __init__(self, folder: Path, chain: MemoryChain) -> None:
        self.chain, self.publisher = chain, MemoryPublisher()
        self.store = PacketStore(folder / "packets.sqlite")
        self.documents = FolderStore(folder / "documents")
        self.daemon = AnchoringDaemon(self.store, self.documents, chain, self.publisher)

    def arrive(self, *payloads: bytes, kind: NodeTopic = NodeTopic.READINGS) -> None:
        for payload in payloads:
            self.store.add("node", kind, payload, NOW_S)

    def certified(self) -> list[CertifiedPacket[ReadingData]]:
        assert {message.topic for message in self.publisher.messages} <= {CERTIFIED_PACKETS}
        return [parse(CertifiedPacket[ReadingData], message.payload) for message in self.publisher.messages]


@pytest.fixture
def world(tmp_path: Path, chain: MemoryChain) -> Iterator[World]:
    opened = World(tmp_path, chain)
    yield opened
    opened.store.close()


def test_good_readings_are_anchored_and_forwarded_with_their_proofs(world: World) -> None:
    world.arrive(reading(1, 2), reading(0, 1), reading(0, 1, POD_B))
    world.daemon.step()
    (root,) = world.chain.sent
    for packet in world.certified():
        leaf = packet.merkle_tree_structure[0].leaf
        assert leaf is not None
        assert packet.transaction_id == world.chain.anchored[root]
        assert verify(root, leaf, packet.proof)
    assert [packet.pod for packet in world.certified()] == [POD_A, POD_A, POD_B]
    assert world.store.counts()[PacketState.FORWARDED] == 3


def test_document_of_a_batch_is_stored_and_gives_its_root(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[bytes] = []
    put = world.documents.put
    monkeypatch.setattr(world.documents, "put", lambda data: (stored.append(data), put(data))[1])
    world.arrive(reading(0, 1))
    world.daemon.step()
    assert [
        ListDocument.from_bytes(data, joint=False).list_of(READING).root for data in stored
    ] == world.chain.sent


def test_nothing_new_anchors_nothing(world: World) -> None:
    world.arrive(reading(0, 1))
    world.daemon.step()
    world.arrive(reading(0, 1))
    world.daemon.step()
    assert len(world.chain.sent) == 1
    assert len(world.publisher.messages) == 1


def test_bad_packets_do_not_stop_good_ones(world: World) -> None:
    forged = reading(0, 1).replace(b'"absorbedActiveEnergy":1000', b'"absorbedActiveEnergy":1')
    world.arrive(forged, b"no packet", reading(0, 1))
    world.daemon.step()
    assert world.store.counts()[PacketState.REFUSED] == 2
    assert ["Hash" in refusal.reason for refusal in world.store.refusals()] == [True, False]
    assert [packet.input_data.absorbed_active_energy for packet in world.certified()] == [1_000]


def test_sequence_used_before_is_refused_also_in_a_later_batch(world: World) -> None:
    world.arrive(reading(0, 1))
    world.daemon.step()
    world.arrive(reading(1, 1))
    world.daemon.step()
    assert len(world.chain.sent) == 1
    assert "sequence = 1" in world.store.refusals()[0].reason


def test_two_readings_of_a_slot_are_both_anchored_and_flagged(world: World) -> None:
    world.arrive(reading(0, 1), reading(0, 2, energies=Counters(7, 0, 0, 0, 0, 0)))
    world.daemon.step()
    assert len(world.certified()) == 2
    assert world.store.contradicted_slots() == [(POD_A, world.certified()[0].input_data.start_time)]


def test_anomaly_is_forwarded_with_a_unique_id(world: World) -> None:
    anomaly = signer(NODE_A, POD_A).anomaly(AnomalyCode.METER_UNREACHABLE, "no answer", NOW_S)
    world.arrive(anomaly, kind=NodeTopic.ANOMALIES)
    world.daemon.step()
    (message,) = world.publisher.messages
    packet = parse(IdentifiedPacket[AnomalyData], message.payload)
    assert packet.unique_id == "0x" + packet.hash.hex()
    assert world.chain.sent == []


def test_packet_on_the_wrong_topic_is_refused(world: World) -> None:
    world.arrive(reading(0, 1), kind=NodeTopic.ANOMALIES)
    world.daemon.step()
    assert world.store.counts()[PacketState.REFUSED] == 1


@pytest.mark.parametrize("step", ["documents.put", "store.open_batch", "chain.anchor", "store.mark_anchored"])
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_step_anchors_and_forwards_once(
    tmp_path: Path, chain: MemoryChain, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    """Killed before or after each change, then started again on the same files."""
    first = World(tmp_path, chain)
    first.arrive(reading(0, 1), reading(1, 2))
    part, method = step.split(".")
    real = getattr(getattr(first, part), method)

    def killed(*arguments: object) -> None:
        if after:
            real(*arguments)
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(getattr(first, part), method, killed)
        with pytest.raises(Killed):
            first.daemon.step()
    first.store.close()
    second = World(tmp_path, chain)
    second.arrive(reading(2, 3))
    second.daemon.step()
    second.daemon.step()
    forwarded = [packet.input_data.sequence for packet in second.certified()]
    assert sorted(forwarded) == [1, 2, 3]
    assert len(set(chain.sent)) == len(chain.sent)
    assert {packet.transaction_id for packet in second.certified()} == set(chain.anchored.values())
    second.store.close()


def test_forwarding_waits_for_the_broker(world: World) -> None:
    world.publisher.away = True
    world.arrive(reading(0, 1))
    world.daemon.step()
    assert world.store.counts()[PacketState.ANCHORED] == 1
    world.publisher.away = False
    world.daemon.step()
    assert len(world.certified()) == 1
    assert len(world.chain.sent) == 1
