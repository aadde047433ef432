"""Who calls is asked before anything of what it sends is read."""

from typing import Any

import pytest

from offchain.market.api import commitments_path, create_app
from offchain.rest.server import serve
from offchain.rest.settings import Role
from tests.rest.callers import client_of, settings_of

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("body", [b"no json", b"[" * 100_000], ids=["short", "deep"])
def test_a_body_of_nobody_isnt_read(body: bytes) -> None:
    nothing: Any = None
    settings, tokens = settings_of({"acme": Role.AGGREGATOR})
    with serve(create_app(nothing, nothing, settings)) as url:
        assert (
            client_of(url, "nobody").post(commitments_path(1), content=body, headers=JSON).status_code == 401
        )
        assert (
            client_of(url, tokens["acme"]).post(commitments_path(1), content=body, headers=JSON).status_code
            == 422
        )
