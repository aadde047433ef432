"""A real HTTP server around an app, and callers with tokens, for the tests of every platform."""

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx
import uvicorn
from fastapi import FastAPI

from offchain.rest.settings import ApiSettings, Role

START_TIMEOUT_S = 20.0


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
    """The URL of the app, served on a free port in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_TIMEOUT_S
    while not server.started:
        assert thread.is_alive(), "the server didn't start"
        assert time.monotonic() < deadline, "the server didn't start in time"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_TIMEOUT_S)


def settings_of(participants: Mapping[str, Role]) -> tuple[ApiSettings, dict[str, str]]:
    """Settings with a random token for each participant, and the tokens by name."""
    tokens = {name: secrets.token_urlsafe(32) for name in participants}
    content = [{"name": name, "role": role, "token": tokens[name]} for name, role in participants.items()]
    return ApiSettings.model_validate({"participants": content}), tokens


def client_of(url: str, token: str | None) -> httpx.Client:
    """An HTTP client with a bearer token, or none."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30)
