"""Takes in Light Node packets from the broker: each is kept before the broker hears that it arrived."""

from collections.abc import Callable

from offchain.messaging.mqtt import BrokerAddress, Message, MqttClient
from offchain.messaging.topics import NodeTopic
from offchain.store.packets import PacketStore

CLIENT_ID = "access-layer-intake"


class Intake:
    """Subscribes to what all Light Nodes publish and keeps it in the packet store, unjudged.

    While it is away the broker keeps the packets; a packet delivered twice is kept once.
    """

    def __init__(self, broker: BrokerAddress, store: PacketStore, now_s: Callable[[], int]) -> None:
        self._store = store
        self._now_s = now_s
        self._client = MqttClient(broker, CLIENT_ID, [kind.of_all for kind in NodeTopic], self._take)

    def start(self) -> None:
        """Connect and subscribe. Raises MessagingUnavailable or MessagingRefused."""
        self._client.start()

    def stop(self) -> None:
        """Disconnect."""
        self._client.stop()

    def __enter__(self) -> "Intake":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _take(self, message: Message) -> None:
        user, kind = NodeTopic.parse(message.topic)
        self._store.add(user, kind, message.payload, self._now_s())
