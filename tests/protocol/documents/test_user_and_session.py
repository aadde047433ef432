"""Users and sessions (D2.3 Tables 1 and 5)."""

import json
from typing import Any

import pytest

from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.session import MarketSession
from offchain.protocol.documents.user import Role, User
from offchain.protocol.errors import InvalidInput

USER = {"username": "agg1", "password": "correct horse", "role": "aggregator"}
SESSION = {
    "marketType": "dayAhead",
    "Status": "active",
    "Start": "2026-06-14T08:00:00Z",
    "End": "2026-06-14T10:00:00Z",
}


def test_a_user() -> None:
    user = parse(User, json.dumps(USER).encode())
    assert (user.username, user.password.get_secret_value(), user.role) == (
        "agg1",
        "correct horse",
        Role.AGGREGATOR,
    )


def test_passwords_are_never_written() -> None:
    user = parse(User, json.dumps(USER).encode())
    assert "horse" not in repr(user)
    assert b"horse" not in dump(user)


@pytest.mark.parametrize("password", ["", 12345678, "x" * 1025, None])
def test_bad_passwords_are_refused_and_not_shown(password: object) -> None:
    with pytest.raises(InvalidInput, match="password = 'hidden': must be a text"):
        parse(User, json.dumps(USER | {"password": password}).encode())


@pytest.mark.parametrize("change", [{"role": "customer"}, {"username": ""}, {"admin": True}])
def test_bad_users(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=f"^{next(iter(change))} = "):
        parse(User, json.dumps(USER | change).encode())


def test_a_session_reads_back() -> None:
    session = parse(MarketSession, json.dumps(SESSION).encode())
    assert json.loads(dump(session)) == SESSION


@pytest.mark.parametrize(
    "change",
    [
        {"Status": "open"},
        {"marketType": "dayahead"},
        {"End": "2026-06-14T08:00:00Z"},
        {"End": "2026-06-14T09:59:59+02:00"},
        {"Start": "2026-06-14"},
        {"start": "2026-06-14T08:00:00Z"},
    ],
)
def test_bad_sessions(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=f"^{next(iter(change))} = "):
        parse(MarketSession, json.dumps(SESSION | change).encode())
