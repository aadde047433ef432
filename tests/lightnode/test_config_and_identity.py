"""What an installer can get wrong in a configuration, and how a node's key is guarded."""

from pathlib import Path

import pytest

from lightnode.config import NodeConfig
from lightnode.identity import Identity
from offchain.protocol.errors import InvalidInput
from offchain.protocol.signatures import recover_address
from tests.lightnode.conftest import config_text, write_secret

KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
ADDRESS = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"
GOOD = config_text("node-a", bytes([0xA1] * 32), 1883, 502)


def load(tmp_path: Path, text: str) -> NodeConfig:
    path = tmp_path / "node.toml"
    path.write_text(text)
    return NodeConfig.load(path)


def test_good_configuration(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    assert config.pod_bytes == bytes([0xA1] * 32)
    assert config.journal == str(tmp_path / "node-a.sqlite")
    assert config.broker.password_file == str(tmp_path / "node-a.password")
    assert config.meter.registers == (0, 4, 8, 12, 16, 20)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("port = 1883", "port = 0", "broker.port"),
        ("port = 1883", 'port = "1883"', "broker.port"),
        ("port = 502", "port = 65536", "meter.port"),
        ("0xa1a1", "0xA1A1", "pod"),
        ("0xa1a1", "0xa1", "pod"),
        ("000000A1", "000000A", "chain.reading_anchor"),
        ("id = 31337", "id = 0", "chain.id"),
        ('user = "node-a"', 'user = "node/a"', "broker.user"),
        ("injected_active = 4", "injected_active = 3", "meter"),
        ("injected_active = 4", "injected_active = 400", "meter"),
        ("injected_active = 4", "injected_active = -1", "meter.injected_active"),
        ("injected_active = 4", "injected_activ = 4", "meter"),
        ("timeout_s = 20.0", "timeout_s = nan", "meter.timeout_s"),
        ("timeout_s = 20.0", "timeout_s = 0", "meter.timeout_s"),
        ("[ems]", "[emss]", "ems"),
        ("[ems]", "[ems", "config"),
    ],
)
def test_bad_value_is_refused_by_name(tmp_path: Path, old: str, new: str, field: str) -> None:
    assert old in GOOD
    with pytest.raises(InvalidInput) as refusal:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert refusal.value.field.startswith(field)


def test_missing_configuration(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        NodeConfig.load(tmp_path / "none.toml")


@pytest.mark.parametrize("text", [KEY, "0x" + KEY, KEY.upper() + "\n"])
def test_key_signs_as_its_address(tmp_path: Path, text: str) -> None:
    identity = Identity.load(write_secret(tmp_path / "key", text))
    assert identity.address == ADDRESS
    assert recover_address(bytes(32), identity.sign(bytes(32))) == ADDRESS


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_key_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = write_secret(tmp_path / "key", KEY)
    path.chmod(mode)
    with pytest.raises(InvalidInput, match="chmod 600"):
        Identity.load(path)


@pytest.mark.parametrize("text", ["", KEY[:-1], KEY + "0", "g" * 64, "0" * 64, "f" * 64])
def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        Identity.load(write_secret(tmp_path / "key", text))
    assert not text or text not in str(refusal.value)


def test_key_is_in_no_representation(tmp_path: Path) -> None:
    identity = Identity.load(write_secret(tmp_path / "key", KEY))
    assert KEY not in repr(identity) + str(identity)


def test_missing_key(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="key_file"):
        Identity.load(tmp_path / "none")
