"""A field of real Modbus devices, a real broker, and configurations of Light Nodes between them."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lightnode.config import NodeConfig
from offchain.messaging.broker import MosquittoBroker
from scripts.demo.field import EMS_UNIT, HOST, METER_REGISTERS, METER_UNIT, Behaviour, Field, FieldPod

START_S = 1_800_000_000
CHAIN_ID = 31337
READING_ANCHOR = "0x00000000000000000000000000000000000000A1"
PODS = {
    "node-a": (bytes([0xA1] * 32), Behaviour.GOOD),
    "node-b": (bytes([0xB2] * 32), Behaviour.WEAK),
    "node-c": (bytes([0xC3] * 32), Behaviour.DEAD),
}
POWER_W = [4_000 + 400 * slot for slot in range(24)]
REACTIVE_VAR = [-800] * 24


@dataclass
class Clock:
    """A clock that stands until a test moves it."""

    now_s: int = START_S

    def __call__(self) -> int:
        return self.now_s


def write_secret(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def config_text(user: str, pod: bytes, broker_port: int, field_port: int) -> str:
    registers = "\n".join(f"{name} = {register}" for name, register in METER_REGISTERS.items())
    return f"""
pod = "0x{pod.hex()}"
key_file = "{user}.key"
journal = "{user}.sqlite"

[chain]
id = {CHAIN_ID}
reading_anchor = "{READING_ANCHOR}"

[broker]
host = "{HOST}"
port = {broker_port}
user = "{user}"
password_file = "{user}.password"

[meter]
host = "{HOST}"
port = {field_port}
unit = {METER_UNIT}
timeout_s = 20.0
{registers}

[ems]
host = "{HOST}"
port = {field_port}
unit = {EMS_UNIT}
timeout_s = 20.0
"""


@dataclass
class Site:
    """The field, the broker and a clock, with a folder in which the nodes' files lie."""

    folder: Path
    field: Field
    broker: MosquittoBroker
    clock: Clock = field(default_factory=Clock)

    def config(self, user: str) -> NodeConfig:
        pod, _ = PODS[user]
        path = self.folder / f"{user}.toml"
        path.write_text(config_text(user, pod, self.broker.port, self.field.ports[user]))
        if not (self.folder / f"{user}.key").exists():
            write_secret(self.folder / f"{user}.key", secrets.token_hex(32))
            write_secret(self.folder / f"{user}.password", self.broker.address(user).password)
        return NodeConfig.load(path)

    def pass_to(self, instant_s: int) -> None:
        """Let energy flow, and the clock go, to an instant."""
        self.field.advance(instant_s)
        self.clock.now_s = instant_s


def field_pods() -> list[FieldPod]:
    return [FieldPod(user, POWER_W, REACTIVE_VAR, behaviour) for user, (_, behaviour) in PODS.items()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    nodes = {user: f"secret of {user}" for user in PODS}
    platforms = {"access_layer": "secret of the access layer", "dso": "secret of the DSO"}
    with (
        Field(tmp_path / "field.sqlite", field_pods(), START_S, seed=1) as running,
        MosquittoBroker(tmp_path / "broker", nodes, platforms) as broker,
    ):
        yield Site(tmp_path, running, broker)
