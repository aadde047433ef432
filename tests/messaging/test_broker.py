"""The broker: who may do what on it, and what it keeps when it is stopped or killed."""

import os
import signal
import threading
from pathlib import Path

import pytest

from offchain.messaging.broker import MosquittoBroker
from offchain.messaging.mqtt import BrokerAddress, Message, MessagingRefused, MessagingUnavailable, MqttClient
from offchain.messaging.topics import NodeTopic, set_points
from offchain.protocol.errors import InvalidInput
from tests.messaging.conftest import NODES, PLATFORMS
from tests.messaging.waiting import WAIT_S, wait_until


class Inbox:
    """Collects messages and lets a test wait for them."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._arrived = threading.Condition()

    def __call__(self, message: Message) -> None:
        with self._arrived:
            self._messages.append(message)
            self._arrived.notify_all()

    def has_some(self, within_s: float) -> bool:
        with self._arrived:
            return self._arrived.wait_for(lambda: bool(self._messages), within_s)

    def wait_for(self, count: int) -> list[Message]:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self._messages) >= count, WAIT_S), self._messages
            return list(self._messages)


def intake(broker: MosquittoBroker, inbox: Inbox) -> MqttClient:
    return MqttClient(broker.address("access_layer"), "intake", [kind.of_all for kind in NodeTopic], inbox)


def publish_when_connected(client: MqttClient, message: Message) -> None:
    """Publish as a node's outbox does: again and again until the broker has it."""

    def published() -> bool:
        try:
            client.publish([message])
        except MessagingUnavailable:
            return False
        return True

    wait_until(published)


def test_node_publishes_and_access_layer_reads(broker: MosquittoBroker) -> None:
    inbox = Inbox()
    with intake(broker, inbox), MqttClient(broker.address("node-a"), "a") as node:
        sent = [Message(kind.of("node-a"), str(kind).encode()) for kind in NodeTopic]
        node.publish(sent)
        assert inbox.wait_for(3) == sent


@pytest.mark.parametrize(
    "topic", [NodeTopic.READINGS.of("node-b"), set_points("node-a"), "lightnode/node-a/other", "scd/packets"]
)
def test_node_may_not_publish_elsewhere(broker: MosquittoBroker, topic: str) -> None:
    inbox = Inbox()
    with intake(broker, inbox), MqttClient(broker.address("node-a"), "a") as node:
        with pytest.raises(MessagingRefused, match="Not authorized"):
            node.publish([Message(topic, b"forged")])
        good = Message(NodeTopic.READINGS.of("node-a"), b"own")
        # Some versions of mosquitto drop the connection after a refusal; the client comes back by itself.
        publish_when_connected(node, good)
        assert inbox.wait_for(1) == [good]


def test_node_reads_its_own_set_points_only(broker: MosquittoBroker) -> None:
    inbox = Inbox()
    topics = [set_points("node-a"), set_points("node-b"), NodeTopic.READINGS.of("node-b")]
    with (
        MqttClient(broker.address("node-a"), "a", topics, inbox),
        MqttClient(broker.address("node-b"), "b") as other,
        MqttClient(broker.address("dso"), "dso") as dso,
    ):
        other.publish([Message(NodeTopic.READINGS.of("node-b"), b"not for a")])
        dso.publish([Message(set_points("node-b"), b"not for a"), Message(set_points("node-a"), b"for a")])
        assert inbox.wait_for(1) == [Message(set_points("node-a"), b"for a")]


@pytest.mark.parametrize("password", ["", "secret of b"])
def test_wrong_password_is_refused(broker: MosquittoBroker, password: str) -> None:
    address = BrokerAddress("127.0.0.1", broker.port, "node-a", password)
    with pytest.raises(MessagingRefused, match="node-a"):
        MqttClient(address, "a").start()


def test_no_broker_is_named(broker: MosquittoBroker) -> None:
    address = broker.address("node-a")
    broker.stop()
    with pytest.raises(MessagingUnavailable, match="no broker at"):
        MqttClient(address, "a").start(wait_s=0.3)


def test_passwords_are_not_kept_in_clear(broker: MosquittoBroker, tmp_path: Path) -> None:
    for file in (tmp_path / "broker").iterdir():
        content = file.read_bytes()
        assert not [secret for secret in NODES.values() if secret.encode() in content]
    assert (tmp_path / "broker" / "passwords").stat().st_mode & 0o077 == 0


def test_messages_for_an_absent_client_survive_a_restart(tmp_path: Path) -> None:
    inbox = Inbox()
    folder = tmp_path / "broker"
    with MosquittoBroker(folder, NODES, PLATFORMS) as first:
        with intake(first, inbox):
            pass
        with MqttClient(first.address("node-a"), "a") as node:
            node.publish([Message(NodeTopic.READINGS.of("node-a"), b"kept")])
        port = first.port
    with MosquittoBroker(folder, NODES, PLATFORMS) as second:
        assert second.port == port
        with intake(second, inbox):
            assert inbox.wait_for(1)[0].payload == b"kept"


def test_broker_left_behind_by_a_killed_run_is_replaced(tmp_path: Path) -> None:
    inbox = Inbox()
    left_behind = MosquittoBroker(tmp_path / "broker", NODES, PLATFORMS)
    left_behind.start()
    with intake(left_behind, inbox):
        pass
    with MqttClient(left_behind.address("node-a"), "a") as node:
        node.publish([Message(NodeTopic.READINGS.of("node-a"), b"kept")])
    try:
        with MosquittoBroker(tmp_path / "broker", NODES, PLATFORMS) as successor:
            assert successor.port == left_behind.port
            with intake(successor, inbox):
                assert inbox.wait_for(1)[0].payload == b"kept"
    finally:
        left_behind.stop()


def test_client_reconnects_to_a_broker_that_was_killed(tmp_path: Path) -> None:
    inbox = Inbox()
    broker = MosquittoBroker(tmp_path / "broker", NODES, PLATFORMS)
    broker.start()
    try:
        with intake(broker, inbox), MqttClient(broker.address("node-a"), "a") as node:
            os.kill(broker.pid, signal.SIGKILL)
            broker.stop()
            broker.start()
            again = Message(NodeTopic.READINGS.of("node-a"), b"again")

            def arrived() -> bool:
                # The broker may have been killed before it saved who subscribes: what comes before the intake is back is nobody's.
                publish_when_connected(node, again)
                return inbox.has_some(within_s=1.0)

            wait_until(arrived)
            assert set(inbox.wait_for(1)) == {again}
    finally:
        broker.stop()


def test_message_whose_handler_fails_is_delivered_again(broker: MosquittoBroker) -> None:
    failed = threading.Event()

    def failing(message: Message) -> None:
        failed.set()
        raise OSError("disk full")

    with MqttClient(broker.address("access_layer"), "intake", [NodeTopic.READINGS.of_all], failing):
        with MqttClient(broker.address("node-a"), "a") as node:
            node.publish([Message(NodeTopic.READINGS.of("node-a"), b"kept")])
        assert failed.wait(WAIT_S)
    inbox = Inbox()
    with MqttClient(broker.address("access_layer"), "intake", [NodeTopic.READINGS.of_all], inbox):
        assert inbox.wait_for(1)[0].payload == b"kept"


def test_unknown_platform_and_doubled_user_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="platforms"):
        MosquittoBroker(tmp_path, {}, {"stranger": "x"})
    with pytest.raises(InvalidInput, match="nodes"):
        MosquittoBroker(tmp_path, {"dso": "x"}, {"dso": "y"})
    with pytest.raises(InvalidInput, match="user"):
        MosquittoBroker(tmp_path, {"a+b": "x"}, {})
