"""Packets are kept before they are acknowledged, once each, and their state survives."""

from pathlib import Path

import pytest

from offchain.access_layer.intake import Intake
from offchain.messaging.broker import MosquittoBroker
from offchain.messaging.mqtt import Message, MqttClient
from offchain.messaging.topics import NodeTopic
from offchain.protocol.cid import cid_of
from offchain.store.packets import PacketState, PacketStore, Refusal, VerifiedOther, VerifiedReading
from tests.messaging.waiting import wait_until

NOW_S = 1_800_000_000
POD = bytes([7] * 32)


def add(store: PacketStore, *payloads: bytes) -> list[int]:
    for payload in payloads:
        store.add("node-a", NodeTopic.READINGS, payload, NOW_S)
    return [packet.number for packet in store.received(99)]


def test_intake_keeps_what_every_node_says(tmp_path: Path) -> None:
    store = PacketStore(tmp_path / "packets.sqlite")
    nodes, platforms = {"node-a": "a", "node-b": "b"}, {"access_layer": "x"}
    with MosquittoBroker(tmp_path / "broker", nodes, platforms) as broker:
        with Intake(broker.address("access_layer"), store, lambda: NOW_S):
            pass
        # The intake is away: the broker keeps what arrives.
        for user in nodes:
            with MqttClient(broker.address(user), user) as node:
                for kind in NodeTopic:
                    node.publish([Message(kind.of(user), f"{user} {kind}".encode())] * 2)
        with Intake(broker.address("access_layer"), store, lambda: NOW_S):
            wait_until(lambda: len(store.received(99)) == 6)
    kept = {(packet.user, packet.kind, packet.payload) for packet in store.received(99)}
    assert kept == {(user, kind, f"{user} {kind}".encode()) for user in nodes for kind in NodeTopic}
    store.close()


def test_packet_not_kept_is_not_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store fails, the intake ends: the broker still has the packet for the next one."""
    store = PacketStore(tmp_path / "packets.sqlite")
    failures: list[str] = []

    def fail(*_: object) -> bool:
        failures.append("disk full")
        raise OSError("disk full")

    with MosquittoBroker(tmp_path / "broker", {"node-a": "a"}, {"access_layer": "x"}) as broker:
        with monkeypatch.context() as full:
            full.setattr(store, "add", fail)
            with Intake(broker.address("access_layer"), store, lambda: NOW_S):
                with MqttClient(broker.address("node-a"), "a") as node:
                    node.publish([Message(NodeTopic.READINGS.of("node-a"), b"reading")])
                wait_until(lambda: bool(failures))
        with Intake(broker.address("access_layer"), store, lambda: NOW_S):
            wait_until(lambda: len(store.received(9)) == 1)
    store.close()


def test_same_bytes_are_kept_once(tmp_path: Path) -> None:
    store = PacketStore(tmp_path / "packets.sqlite")
    assert store.add("node-a", NodeTopic.READINGS, b"x", NOW_S)
    assert not store.add("node-a", NodeTopic.READINGS, b"x", NOW_S + 1)
    assert len(store.received(9)) == 1


def test_sequence_counts_once_per_pod(tmp_path: Path) -> None:
    store = PacketStore(tmp_path / "packets.sqlite")
    first, second, third = add(store, b"1", b"2", b"3")
    other_pod = bytes([8] * 32)
    refused = store.judge(
        [
            VerifiedReading(first, POD, 900, 5),
            VerifiedReading(second, POD, 1_800, 5),
            VerifiedReading(third, other_pod, 900, 5),
        ],
        [],
        [],
    )
    assert [refusal.number for refusal in refused] == [second]
    assert "sequence = 5" in refused[0].reason
    assert store.refusals() == refused
    assert store.counts()[PacketState.VERIFIED] == 2


def test_refused_packet_does_not_take_a_sequence(tmp_path: Path) -> None:
    """A forged packet with the next number must not keep the true one out."""
    store = PacketStore(tmp_path / "packets.sqlite")
    forged, true = add(store, b"forged", b"true")
    store.judge([], [], [Refusal(forged, "forged")])
    assert store.judge([VerifiedReading(true, POD, 900, 1)], [], []) == []


def test_two_readings_of_a_slot_are_kept_and_flagged(tmp_path: Path) -> None:
    store = PacketStore(tmp_path / "packets.sqlite")
    numbers = add(store, b"1", b"2", b"3")
    slots = [900, 900, 1_800]
    store.judge(
        [VerifiedReading(n, POD, slots[i], i + 1) for i, n in enumerate(numbers)],
        [],
        [],
    )
    assert len(store.unbatched(9)) == 3
    assert store.contradicted_slots() == [(POD, 900)]


def test_life_of_a_reading_across_restarts(tmp_path: Path) -> None:
    path, cid = tmp_path / "packets.sqlite", cid_of(b"document")

    def reopened(store: PacketStore) -> PacketStore:
        store.close()
        return PacketStore(path)

    store = PacketStore(path)
    first, second = add(store, b"1", b"2")
    store.judge([VerifiedReading(first, POD, 900, 1), VerifiedReading(second, POD, 1_800, 2)], [], [])
    store = reopened(store)
    batch = store.open_batch(bytes(32), cid, [second, first])
    store = reopened(store)
    assert store.unbatched(9) == []
    assert store.unanchored_batch() == batch
    assert [packet.number for packet in store.packets_of(batch)] == [second, first]
    store.mark_anchored(batch, bytes([1] * 32), [b"certified 2", b"certified 1"])
    store = reopened(store)
    assert store.unanchored_batch() is None
    assert store.counts()[PacketState.ANCHORED] == 2
    outgoing = store.outbox(9)
    assert [payload for _, payload in outgoing] == [b"certified 2", b"certified 1"]
    store.forwarded(outgoing[0][0])
    store = reopened(store)
    assert [payload for _, payload in store.outbox(9)] == [b"certified 1"]
    assert (store.counts()[PacketState.ANCHORED], store.counts()[PacketState.FORWARDED]) == (1, 1)
    store.close()


def test_other_packets_are_forwarded_without_a_batch(tmp_path: Path) -> None:
    store = PacketStore(tmp_path / "packets.sqlite")
    (number,) = add(store, b"anomaly")
    store.judge([], [VerifiedOther(number, b"outgoing")], [])
    assert store.unbatched(9) == []
    assert [payload for _, payload in store.outbox(9)] == [b"outgoing"]


def test_change_is_whole_or_none(tmp_path: Path) -> None:
    store = PacketStore(tmp_path / "packets.sqlite")
    numbers = add(store, b"1", b"2")
    store.judge([VerifiedReading(n, POD, 900 * n, n) for n in numbers], [], [])
    batch = store.open_batch(bytes(32), cid_of(b""), numbers)
    with pytest.raises(ValueError, match="zip"):
        store.mark_anchored(batch, bytes(32), [b"one is missing"])
    assert store.unanchored_batch() == batch
    assert store.outbox(9) == []
