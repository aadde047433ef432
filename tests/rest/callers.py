"""Participants with tokens and clients that use them, for the tests of every platform's API."""

import secrets
from collections.abc import Mapping

import httpx

from offchain.rest.settings import ApiSettings, Role


def settings_of(participants: Mapping[str, Role]) -> tuple[ApiSettings, dict[str, str]]:
    """Settings with a random token for each participant, and the tokens by name."""
    tokens = {name: secrets.token_urlsafe(32) for name in participants}
    content = [{"name": name, "role": role, "token": tokens[name]} for name, role in participants.items()]
    return ApiSettings.model_validate({"participants": content}), tokens


def client_of(url: str, token: str | None) -> httpx.Client:
    """An HTTP client with a bearer token, or none."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30)
