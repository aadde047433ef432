"""Key files: keystores and plain hex of an owner's own; refusals say nothing of the key."""

import json
from pathlib import Path

import pytest
from eth_account import Account

from offchain.chain.keys import load_key
from offchain.protocol.errors import InvalidInput

KEY = bytes(range(1, 33))


def never() -> str:
    raise AssertionError("no password is needed")


def plain(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("text", [KEY.hex(), "0x" + KEY.hex() + "\n"])
def test_a_plain_key_is_read(tmp_path: Path, text: str) -> None:
    assert load_key(plain(tmp_path, text), never) == KEY


def test_a_keystore_opens_with_its_password_only(tmp_path: Path) -> None:
    path = tmp_path / "keystore.json"
    path.write_text(json.dumps(Account.encrypt(KEY, "secret", kdf="pbkdf2", iterations=2)))
    assert load_key(path, lambda: "secret") == KEY
    with pytest.raises(InvalidInput, match="that this password opens"):
        load_key(path, lambda: "wrong")


@pytest.mark.parametrize(
    ("text", "mode", "rule"),
    [
        (KEY.hex(), 0o640, "chmod 600"),
        (KEY.hex()[:-2], 0o600, "32 bytes as hex"),
        (KEY.hex()[:-1] + "x", 0o600, "32 bytes as hex"),
        ('{"version": 3}', 0o600, "that this password opens"),
    ],
)
def test_what_is_no_key_file_is_refused_without_a_word_of_it(
    tmp_path: Path, text: str, mode: int, rule: str
) -> None:
    with pytest.raises(InvalidInput, match=rule) as caught:
        load_key(plain(tmp_path, text, mode), lambda: "")
    assert KEY.hex()[:16] not in str(caught.value)


def test_a_file_that_isnt_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nothing here"):
        load_key(tmp_path / "nothing here", never)
