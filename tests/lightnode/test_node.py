"""The Light Node at work: real meter and EMS over Modbus TCP, a real broker, a clock that the test moves."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from lightnode.identity import Identity
from lightnode.node import LightNode
from lightnode.runtime import RunningNode
from offchain.messaging.mqtt import Message, MessagingUnavailable, MqttClient
from offchain.messaging.topics import NodeTopic, set_points
from offchain.protocol.documents.base import build, dump, parse
from offchain.protocol.documents.light_node import (
    ActivationData,
    ActivationService,
    AnomalyCode,
    AnomalyData,
    Packet,
    ReadingData,
    SetPoint,
)
from offchain.protocol.signatures import recover_address
from offchain.protocol.terms import SLOT_S
from scripts.demo.field import Field
from tests.lightnode.conftest import PODS, POWER_W, START_S, Site, field_pods
from tests.messaging.waiting import WAIT_S, wait_until

ACTIVATION = bytes([0xAC] * 32)
InputT = TypeVar("InputT", ReadingData, ActivationData, AnomalyData)


class Listener:
    """Everything that nodes have published, as the access layer sees it."""

    def __init__(self, site: Site) -> None:
        self.messages: list[Message] = []
        self._arrived = threading.Condition()
        topics = [kind.of_all for kind in NodeTopic]
        self.client = MqttClient(site.broker.address("access_layer"), "listener", topics, self._take)

    def _take(self, message: Message) -> None:
        with self._arrived:
            self.messages.append(message)
            self._arrived.notify_all()

    def packets(self, user: str, kind: NodeTopic, count: int) -> list[bytes]:
        """The packets of a node and kind, once there are `count`."""

        def found() -> list[bytes]:
            return [message.payload for message in self.messages if message.topic == kind.of(user)]

        with self._arrived:
            assert self._arrived.wait_for(lambda: len(found()) >= count, WAIT_S), self.messages
            assert len(found()) == count
            return found()

    def readings(self, user: str, count: int) -> list[ReadingData]:
        packets = self.packets(user, NodeTopic.READINGS, count)
        return [parse(Packet[ReadingData], packet).input_data for packet in packets]

    def anomalies(self, user: str, count: int) -> list[AnomalyData]:
        packets = self.packets(user, NodeTopic.ANOMALIES, count)
        return [parse(Packet[AnomalyData], packet).input_data for packet in packets]


@pytest.fixture
def listener(site: Site) -> Iterator[Listener]:
    listening = Listener(site)
    with listening.client:
        yield listening


@pytest.fixture
def dso(site: Site) -> Iterator[MqttClient]:
    with MqttClient(site.broker.address("dso"), "dso") as client:
        yield client


@pytest.fixture
def node(site: Site) -> Iterator[RunningNode]:
    running = RunningNode(site.config("node-a"), site.clock)
    running.start(WAIT_S)
    yield running
    running.stop()


def activation(
    points: Sequence[tuple[int, int]],
    user: str = "node-a",
    activation_id: bytes = ACTIVATION,
    sent_s: int = START_S,
) -> bytes:
    """Set points (W) for slots counted from START_S."""
    return dump(
        build(
            ActivationService,
            pod=PODS[user][0],
            activation_id=activation_id,
            set_points=tuple(
                build(SetPoint, active_power=power_w, reactive_power=0, quarter_hour=START_S + slot * SLOT_S)
                for slot, power_w in points
            ),
            timestamp=sent_s,
        )
    )


def deliver(node: RunningNode, dso: MqttClient, payload: bytes) -> None:
    """Send a set point message and wait until the node has taken it."""
    taken = threading.Event()
    receive = LightNode.receive

    def note(light_node: LightNode, message: Message) -> None:
        receive(light_node, message)
        taken.set()

    with pytest.MonkeyPatch.context() as noted:
        noted.setattr(LightNode, "receive", note)
        dso.publish([Message(set_points(node.user), payload)])
        assert taken.wait(WAIT_S)


def play(site: Site, node: RunningNode, slots: range) -> None:
    """Let each of the slots pass, with a step at its end."""
    for slot in slots:
        site.pass_to(START_S + (slot + 1) * SLOT_S)
        node.step()


def test_readings_are_the_meters_and_signed(site: Site, node: RunningNode, listener: Listener) -> None:
    node.step()
    play(site, node, range(3))
    node.step()
    readings = listener.readings("node-a", 3)
    assert [reading.start_time for reading in readings] == [START_S + slot * SLOT_S for slot in range(3)]
    assert [reading.absorbed_active_energy for reading in readings] == [power // 4 for power in POWER_W[:3]]
    assert [reading.absorbed_capacitive_reactive_energy for reading in readings] == [200] * 3
    assert [reading.sequence for reading in readings] == [1, 2, 3]
    identity = Identity.load(site.folder / "node-a.key")
    for raw in listener.packets("node-a", NodeTopic.READINGS, 3):
        packet = parse(Packet[ReadingData], raw)
        assert packet.pod == PODS["node-a"][0]
        assert recover_address(packet.hash, packet.signed_hash) == identity.address


def test_set_point_closes_the_loop(
    site: Site, node: RunningNode, listener: Listener, dso: MqttClient
) -> None:
    """What is measured follows the set points, and goes back to the profile after them."""
    node.step()
    deliver(node, dso, activation([(1, 2_000), (2, -2_000)]))
    play(site, node, range(4))
    readings = listener.readings("node-a", 4)
    net_wh = [reading.absorbed_active_energy - reading.injected_active_energy for reading in readings]
    assert net_wh[0] == POWER_W[0] // 4
    assert abs(net_wh[1] - 500) <= abs(POWER_W[1] - 2_000) // 400 + 1
    assert abs(net_wh[2] + 500) <= abs(POWER_W[2] + 2_000) // 400 + 1
    assert abs(net_wh[3] - POWER_W[3] // 4) <= 1


def test_acknowledgement_has_the_three_times(
    site: Site, node: RunningNode, listener: Listener, dso: MqttClient
) -> None:
    node.step()
    site.clock.now_s = START_S + 50
    deliver(node, dso, activation([(1, 2_000), (2, 1_000)], sent_s=START_S + 40))
    play(site, node, range(3))
    (raw,) = listener.packets("node-a", NodeTopic.SET_POINT_ACKS, 1)
    packet = parse(Packet[ActivationData], raw)
    assert packet.input_data.status == (START_S + 40, START_S + 50, START_S + SLOT_S)
    assert [point.active_power for point in packet.input_data.set_points] == [2_000, 1_000]
    identity = Identity.load(site.folder / "node-a.key")
    assert recover_address(packet.hash, packet.signed_hash) == identity.address


def test_same_activation_twice_is_one(
    site: Site, node: RunningNode, listener: Listener, dso: MqttClient
) -> None:
    node.step()
    for _ in range(2):
        deliver(node, dso, activation([(1, 2_000)]))
    play(site, node, range(2))
    deliver(node, dso, activation([(1, 2_000)]))
    play(site, node, range(2, 3))
    listener.readings("node-a", 3)
    assert len(listener.packets("node-a", NodeTopic.SET_POINT_ACKS, 1)) == 1
    assert listener.anomalies("node-a", 0) == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (activation([(1, 2_000)], user="node-b"), "PoD"),
        (activation([(1, 2_000)]).replace(b"2000", b"NaN"), "NaN"),
        (activation([(1, 2_000)]).replace(b"2000", b"2000.5"), "activePower"),
        (activation([(1, 2_000)]).replace(b'"Timestamp"', b'"Timestam"'), "Timestam"),
        (b"\xff", "JSON"),
        (b"{}", "PoD"),
    ],
)
def test_bad_set_point_message_is_refused(
    site: Site, node: RunningNode, listener: Listener, dso: MqttClient, payload: bytes, reason: str
) -> None:
    """It isn't carried out, an anomaly says so, and the next good one is."""
    node.step()
    deliver(node, dso, payload)
    deliver(node, dso, activation([(2, 0)]))
    play(site, node, range(3))
    (anomaly,) = listener.anomalies("node-a", 1)
    assert anomaly.code is AnomalyCode.SET_POINT_REFUSED
    assert reason in anomaly.description
    readings = listener.readings("node-a", 3)
    assert readings[1].absorbed_active_energy == POWER_W[1] // 4
    assert readings[2].absorbed_active_energy < 20


def test_97_slots_are_refused(site: Site, node: RunningNode, listener: Listener, dso: MqttClient) -> None:
    one = parse(ActivationService, activation([(1, 2_000)]))
    many = [
        one.set_points[0].model_copy(update={"quarter_hour": START_S + slot * SLOT_S}) for slot in range(97)
    ]
    node.step()
    deliver(node, dso, dump(one.model_copy(update={"set_points": tuple(many)})))
    play(site, node, range(2))
    (anomaly,) = listener.anomalies("node-a", 1)
    assert "Set-Point" in anomaly.description
    assert listener.readings("node-a", 2)[1].absorbed_active_energy == POWER_W[1] // 4


def test_contradicting_activation_is_refused(
    site: Site, node: RunningNode, listener: Listener, dso: MqttClient
) -> None:
    node.step()
    deliver(node, dso, activation([(1, 0)]))
    deliver(node, dso, activation([(1, 9_000)]))
    play(site, node, range(2))
    (anomaly,) = listener.anomalies("node-a", 1)
    assert "0x" + ACTIVATION.hex() in anomaly.description
    assert listener.readings("node-a", 2)[1].absorbed_active_energy < 20


def test_later_activation_of_a_slot_counts(
    site: Site, node: RunningNode, listener: Listener, dso: MqttClient
) -> None:
    node.step()
    deliver(node, dso, activation([(1, 9_000)]))
    deliver(node, dso, activation([(1, 0)], activation_id=bytes([1] * 32), sent_s=START_S + 1))
    play(site, node, range(2))
    assert listener.readings("node-a", 2)[1].absorbed_active_energy < 20


def test_kill_between_reading_and_publishing(
    site: Site, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reading is in the journal: the next life publishes it, once, and goes on with the next sequence number."""
    first = RunningNode(site.config("node-a"), site.clock)
    first.start(WAIT_S)
    first.step()
    site.pass_to(START_S + SLOT_S)
    with monkeypatch.context() as killed:
        killed.setattr(MqttClient, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            first.step()
    first.stop()
    second = RunningNode(site.config("node-a"), site.clock)
    second.start(WAIT_S)
    second.step()
    play(site, second, range(1, 2))
    second.stop()
    assert [reading.sequence for reading in listener.readings("node-a", 2)] == [1, 2]


def test_kill_between_publishing_and_forgetting(
    site: Site, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very same packet is published again, which the access layer recognises: no second one is made."""
    publish = MqttClient.publish

    def publish_and_die(client: MqttClient, messages: Sequence[Message]) -> None:
        publish(client, messages)
        raise KeyboardInterrupt

    first = RunningNode(site.config("node-a"), site.clock)
    first.start(WAIT_S)
    first.step()
    site.pass_to(START_S + SLOT_S)
    with monkeypatch.context() as killed:
        killed.setattr(MqttClient, "publish", publish_and_die)
        with pytest.raises(KeyboardInterrupt):
            first.step()
    first.stop()
    second = RunningNode(site.config("node-a"), site.clock)
    second.start(WAIT_S)
    second.step()
    second.stop()
    packets = listener.packets("node-a", NodeTopic.READINGS, 2)
    assert packets[0] == packets[1]


def test_missed_boundaries_are_reported_not_invented(
    site: Site, node: RunningNode, listener: Listener
) -> None:
    node.step()
    play(site, node, range(1))
    site.pass_to(START_S + 4 * SLOT_S)
    node.step()
    play(site, node, range(4, 5))
    assert [reading.start_time for reading in listener.readings("node-a", 2)] == [
        START_S,
        START_S + 4 * SLOT_S,
    ]
    (anomaly,) = listener.anomalies("node-a", 1)
    assert anomaly.code is AnomalyCode.SLOTS_MISSED
    assert (anomaly.start_time, anomaly.end_time) == (START_S + SLOT_S, START_S + 4 * SLOT_S)
    assert "3 slots" in anomaly.description


def test_boundary_read_too_late_counts_as_missed(site: Site, node: RunningNode, listener: Listener) -> None:
    node.step()
    site.pass_to(START_S + SLOT_S + 61)
    node.step()
    site.pass_to(START_S + 2 * SLOT_S + 60)
    node.step()
    assert listener.anomalies("node-a", 1)[0].code is AnomalyCode.SLOTS_MISSED
    assert listener.readings("node-a", 0) == []


def test_meter_that_lost_its_counters(site: Site, listener: Listener) -> None:
    """A counter that went back is an anomaly, and no reading."""
    node = RunningNode(site.config("node-a"), site.clock)
    node.start(WAIT_S)
    node.step()
    play(site, node, range(1))
    node.stop()
    with Field(site.folder / "new-meter.sqlite", field_pods(), START_S, seed=1) as replaced:
        site.field, old = replaced, site.field
        second = RunningNode(site.config("node-a"), site.clock)
        second.start(WAIT_S)
        site.clock.now_s = START_S + 2 * SLOT_S
        second.step()
        second.stop()
        site.field = old
    (anomaly,) = listener.anomalies("node-a", 1)
    assert anomaly.code is AnomalyCode.COUNTER_FAULT
    assert "absorbed_active" in anomaly.description
    assert len(listener.readings("node-a", 1)) == 1


def test_meter_and_ems_unreachable(site: Site, listener: Listener, dso: MqttClient) -> None:
    """Reported once while it lasts, and once more, with its duration, when it is over."""
    config = site.config("node-a")
    unreachable = config.model_copy(
        update={
            "meter": config.meter.model_copy(update={"port": 1}),
            "ems": config.ems.model_copy(update={"port": 1}),
        }
    )
    node = RunningNode(unreachable, site.clock)
    node.start(WAIT_S)
    deliver(node, dso, activation([(0, 0)]))
    node.step()
    node.step()
    node.stop()
    begun = listener.anomalies("node-a", 2)
    assert {anomaly.code for anomaly in begun} == {AnomalyCode.METER_UNREACHABLE, AnomalyCode.EMS_UNREACHABLE}
    assert listener.packets("node-a", NodeTopic.SET_POINT_ACKS, 0) == []
    mended = RunningNode(config, site.clock)
    mended.start(WAIT_S)
    site.pass_to(START_S + 30)
    mended.step()
    mended.stop()
    over = listener.anomalies("node-a", 4)[2:]
    assert {anomaly.code for anomaly in over} == {AnomalyCode.METER_UNREACHABLE, AnomalyCode.EMS_UNREACHABLE}
    assert {(anomaly.start_time, anomaly.end_time) for anomaly in over} == {(START_S, START_S + 30)}
    listener.packets("node-a", NodeTopic.SET_POINT_ACKS, 1)


def test_broker_away(site: Site, node: RunningNode) -> None:
    """Readings wait in the journal while the broker is down, and arrive once, in order, when it is back."""
    node.step()
    site.broker.stop()
    # What is published before the node has noticed may arrive twice.
    wait_until(lambda: not node._client.connected)
    play(site, node, range(3))
    site.broker.start()
    listener = Listener(site)

    def connected() -> bool:
        try:
            node._client.publish([])
        except MessagingUnavailable:
            return False
        return True

    with listener.client:
        wait_until(connected)
        node.step()
        assert [reading.sequence for reading in listener.readings("node-a", 3)] == [1, 2, 3]


def test_key_is_in_no_log_and_no_file(
    site: Site, node: RunningNode, listener: Listener, dso: MqttClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    node.step()
    deliver(node, dso, b"{}")
    play(site, node, range(2))
    key = (site.folder / "node-a.key").read_text()
    secrets = [key.encode(), bytes.fromhex(key)]
    others: list[Path] = [path for path in site.folder.rglob("*") if path.is_file() and path.suffix != ".key"]
    assert not [path for path in others if any(secret in path.read_bytes() for secret in secrets)]
    assert key not in caplog.text


def test_process_runs_until_told_to_stop(site: Site, listener: Listener, dso: MqttClient) -> None:
    """`python -m lightnode`: it hears the DSO, reaches the access layer, and ends when it is told to."""
    site.config("node-a")
    command = [sys.executable, "-m", "lightnode", str(site.folder / "node-a.toml")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def heard() -> bool:
        # Again and again: before the node's first connection the broker keeps nothing for it.
        dso.publish([Message(set_points("node-a"), b"{}")])
        return any(b"SET_POINT_REFUSED" in message.payload for message in listener.messages)

    try:
        wait_until(heard)
    finally:
        process.terminate()
        _, log = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    assert "SET_POINT_REFUSED" in log
    assert (site.folder / "node-a.key").read_text() not in log


def test_process_refuses_a_bad_configuration(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('pod = "0x12"\n')
    command = [sys.executable, "-m", "lightnode", str(tmp_path / "node.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pod = '0x12'" in done.stderr
