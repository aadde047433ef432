"""An MQTT 5 client at QoS 1: it publishes and waits for the broker's answer, and acknowledges what it has handled.

The session is persistent: while a client is away the broker keeps what it subscribed to. A message counts as
received only once its handler has returned; one whose handler raises is delivered again at the next connection.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from offchain.protocol.errors import FlexledgerError

logger = logging.getLogger(__name__)

QOS = 1
KEEPALIVE_S = 30
ACK_TIMEOUT_S = 10.0
LONGEST_RECONNECT_DELAY_S = 10
SESSION_EXPIRY_S = 0xFFFFFFFF
"""MQTT's value for a session that never expires."""
MOST_IN_FLIGHT = 200


class MessagingUnavailable(FlexledgerError):
    """The broker isn't connected, or didn't answer in time: what was published may or may not have arrived."""


class MessagingRefused(FlexledgerError):
    """The broker answered no: wrong password, or a topic that this user may not write (then `topics`)."""

    def __init__(self, what: str, topics: Collection[str] = ()) -> None:
        self.topics = frozenset(topics)
        super().__init__(what)


@dataclass(frozen=True)
class BrokerAddress:
    """Where the broker listens and as whom to log in."""

    host: str
    port: int
    user: str
    password: str


@dataclass(frozen=True)
class Message:
    """A message: its topic and bytes."""

    topic: str
    payload: bytes


class MqttClient:
    """One connection to the broker; `handler` runs in the client's thread, one message after another.

    `client_id` names the persistent session: fixed per device or daemon, never shared by two that run at once.
    """

    def __init__(
        self,
        broker: BrokerAddress,
        client_id: str,
        subscriptions: Sequence[str] = (),
        handler: Callable[[Message], None] | None = None,
    ) -> None:
        self._broker = broker
        self._subscriptions = list(subscriptions)
        self._handler = handler
        self._changed = threading.Condition()
        self._answers: dict[int, ReasonCode] = {}
        self._ready = False
        self._refusal: str | None = None
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        client.username_pw_set(broker.user, broker.password)
        client.reconnect_delay_set(1, LONGEST_RECONNECT_DELAY_S)
        client.max_inflight_messages_set(MOST_IN_FLIGHT)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        self._client = client

    def start(self, wait_s: float = ACK_TIMEOUT_S) -> None:
        """Connect, and keep connecting in the background until `stop`.

        Waits up to `wait_s` until connected and subscribed; with 0 it returns at once. Raises MessagingRefused if the
        broker refuses user, password or subscription, MessagingUnavailable if it isn't there in time.
        """
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        properties.ReceiveMaximum = MOST_IN_FLIGHT
        self._client.connect_async(
            self._broker.host, self._broker.port, KEEPALIVE_S, clean_start=False, properties=properties
        )
        self._client.loop_start()
        if wait_s > 0:
            try:
                self._wait_until_ready(wait_s)
            except FlexledgerError:
                self.stop()
                raise

    def _wait_until_ready(self, wait_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._refusal is not None, timeout=wait_s)
            if self._refusal is not None:
                raise MessagingRefused(f"user {self._broker.user}: the broker refused: {self._refusal}")
            if not self._ready:
                where = f"{self._broker.host}:{self._broker.port}"
                raise MessagingUnavailable(
                    f"user {self._broker.user}: no broker at {where} within {wait_s} s"
                )

    def stop(self) -> None:
        """Disconnect; the broker keeps the session."""
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> "MqttClient":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def connected(self) -> bool:
        """Connected and subscribed."""
        return self._ready

    def publish(self, messages: Sequence[Message], timeout_s: float = ACK_TIMEOUT_S) -> None:
        """Publish messages in order and wait until the broker has taken every one.

        Raises MessagingUnavailable if it isn't connected or doesn't answer in time (publish them again), and
        MessagingRefused, after the others have been answered, if it refuses one.
        """
        if not self._ready:
            raise MessagingUnavailable(f"user {self._broker.user}: not connected to the broker")
        pending = [(message, self._send(message)) for message in messages]
        deadline = time.monotonic() + timeout_s
        refused: dict[str, str] = {}
        for message, mid in pending:
            answer = self._answer(mid, deadline)
            if answer is None:
                raise MessagingUnavailable(f"{message.topic}: the broker didn't answer within {timeout_s} s")
            if answer.is_failure:
                refused[message.topic] = str(answer)
        if refused:
            named = "; ".join(f"{topic}: {answer}" for topic, answer in refused.items())
            raise MessagingRefused(f"user {self._broker.user}: the broker refused {named}", refused)

    def _send(self, message: Message) -> int:
        sent = self._client.publish(message.topic, message.payload, qos=QOS)
        if sent.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise MessagingUnavailable(f"{message.topic}: not sent: {sent.rc.name}")
        return sent.mid

    def _answer(self, mid: int, deadline: float) -> ReasonCode | None:
        with self._changed:
            self._changed.wait_for(lambda: mid in self._answers, deadline - time.monotonic())
            return self._answers.pop(mid, None)

    def _on_connect(
        self,
        client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._set_refusal(str(reason))
        elif self._subscriptions:
            client.subscribe([(topic, SubscribeOptions(qos=QOS)) for topic in self._subscriptions])
        else:
            self._set_ready(True)

    def _on_subscribe(
        self, _client: Client, _userdata: object, _mid: int, reasons: list[ReasonCode], _: Properties | None
    ) -> None:
        failed = [
            f"{topic}: {reason}"
            for topic, reason in zip(self._subscriptions, reasons, strict=True)
            if reason.is_failure
        ]
        if failed:
            self._set_refusal("; ".join(failed))
        else:
            self._set_ready(True)

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        _reason: ReasonCode,
        _: Properties | None,
    ) -> None:
        self._set_ready(False)

    def _on_publish(
        self, _client: Client, _userdata: object, mid: int, reason: ReasonCode, _: Properties | None
    ) -> None:
        with self._changed:
            self._answers[mid] = reason
            self._changed.notify_all()

    def _on_message(self, client: Client, _userdata: object, message: MQTTMessage) -> None:
        if self._handler is not None:
            try:
                self._handler(Message(message.topic, bytes(message.payload)))
            except Exception:
                # Not acknowledged, so the broker delivers it again at the next connection.
                logger.exception("%s: message not handled", message.topic)
                return
        client.ack(message.mid, message.qos)

    def _set_ready(self, ready: bool) -> None:
        with self._changed:
            self._ready = ready
            if ready:
                self._refusal = None
            self._changed.notify_all()

    def _set_refusal(self, reason: str) -> None:
        logger.error("user %s: the broker refused: %s", self._broker.user, reason)
        with self._changed:
            self._refusal = reason
            self._changed.notify_all()
