"""Settings of an API: what they refuse, without ever showing a token."""

import hashlib
import json
from pathlib import Path

import pytest

from offchain.protocol.errors import InvalidInput
from offchain.rest.settings import ApiSettings, Role

TOKEN = hashlib.sha256(b"a token for tests").hexdigest()


def _write(folder: Path, *participants: dict[str, str], **others: object) -> Path:
    path = folder / "settings.json"
    path.write_text(json.dumps({"participants": participants, **others}))
    return path


def test_toml_and_json_give_the_same_settings(tmp_path: Path) -> None:
    toml = tmp_path / "settings.toml"
    toml.write_text(f'port = 8080\n[[participants]]\nname = "acme"\nrole = "aggregator"\ntoken = "{TOKEN}"\n')
    json_file = _write(tmp_path, {"name": "acme", "role": "aggregator", "token": TOKEN}, port=8080)
    settings = ApiSettings.load(toml)
    assert settings == ApiSettings.load(json_file)
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.participants[0].role is Role.AGGREGATOR
    assert TOKEN not in repr(settings)


@pytest.mark.parametrize(
    "token", ["", "changeme", "s3cret", "a" * 64, TOKEN[:31], TOKEN + " x", TOKEN + "\u20ac"]
)
def test_token_that_could_be_guessed_or_sent_wrongly_is_refused_unseen(tmp_path: Path, token: str) -> None:
    path = _write(tmp_path, {"name": "acme", "role": "aggregator", "token": token})
    with pytest.raises(
        InvalidInput, match=r"settings\.participants\.0\.token = .*settings\.json.*must be"
    ) as caught:
        ApiSettings.load(path)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    ("participants", "rule"),
    [
        ([], "at least 1 item"),
        ([{"name": "a", "role": "dso", "token": TOKEN}] * 2, "names of their own"),
        (
            [{"name": "a", "role": "dso", "token": TOKEN}, {"name": "b", "role": "tso", "token": TOKEN}],
            "tokens of their own",
        ),
        ([{"name": "a", "role": "king", "token": TOKEN}], "'aggregator', 'dso'"),
        ([{"name": "a b", "role": "dso", "token": TOKEN}], "match pattern"),
        ([{"name": "a", "role": "dso", "token": TOKEN, "admin": "yes"}], "not permitted"),
    ],
)
def test_unclear_participants_are_refused(
    tmp_path: Path, participants: list[dict[str, str]], rule: str
) -> None:
    with pytest.raises(InvalidInput, match=rule) as caught:
        ApiSettings.load(_write(tmp_path, *participants))
    assert TOKEN not in str(caught.value)


def test_missing_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="must be a readable file"):
        ApiSettings.load(tmp_path / "settings.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[[participants]\n")
    with pytest.raises(InvalidInput, match="must be TOML"):
        ApiSettings.load(broken)
