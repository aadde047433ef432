"""A Light Node put together from its configuration: identity, meter, EMS, journal and broker connection."""

import time
from collections.abc import Callable
from pathlib import Path

from lightnode.config import ModbusSettings, NodeConfig
from lightnode.ems import ModbusEms
from lightnode.identity import Identity, read_secret
from lightnode.journal import Journal
from lightnode.meter import ModbusMeter
from lightnode.modbus import ModbusDevice
from lightnode.node import LightNode
from lightnode.packets import PacketSigner
from offchain.messaging.mqtt import BrokerAddress, Message, MqttClient
from offchain.messaging.topics import set_points


def system_clock_s() -> int:
    """UTC Unix seconds of the device."""
    return int(time.time())


class RunningNode:
    """A Light Node with real devices and a real connection; `start` it, then `step` it again and again."""

    def __init__(self, config: NodeConfig, now_s: Callable[[], int] = system_clock_s) -> None:
        """Raises InvalidInput for a missing, open or malformed key or password file."""
        identity = Identity.load(Path(config.key_file))
        password = read_secret("broker.password_file", Path(config.broker.password_file))
        user = config.broker.user
        self.user = user
        self._meter = ModbusMeter(
            _device(config.meter), config.meter.function, config.meter.registers, config.meter.width_bits
        )
        self._ems = ModbusEms(_device(config.ems), config.ems.first_register)
        self._journal = Journal(Path(config.journal), config.journal_survives_power_cut)
        self._client = MqttClient(
            BrokerAddress(config.broker.host, config.broker.port, user, password),
            f"lightnode-{user}",
            [set_points(user)],
            self._receive,
        )
        self._node = LightNode(
            user,
            PacketSigner(identity, config.pod_bytes, config.chain.id, config.chain.reading_anchor),
            self._meter,
            self._ems,
            self._journal,
            self._client,
            now_s,
            config.late_reading_s,
        )

    def start(self, wait_s: float = 0.0) -> None:
        """Connect to the broker, waiting up to `wait_s`; with 0 the node works on and connects when it can."""
        self._client.start(wait_s)

    def step(self) -> None:
        """Do what is due."""
        self._node.step()

    def count_activations(self) -> int:
        """How many activations the node has received so far."""
        return self._journal.count_activations()

    def stop(self) -> None:
        """Disconnect from everything."""
        self._client.stop()
        self._meter.close()
        self._ems.close()
        self._journal.close()

    def _receive(self, message: Message) -> None:
        self._node.receive(message)


def _device(settings: ModbusSettings) -> ModbusDevice:
    return ModbusDevice(settings.host, settings.port, settings.unit, settings.timeout_s)
