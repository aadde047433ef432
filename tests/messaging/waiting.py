"""Waiting for what other threads do."""

import threading
import time
from collections.abc import Callable

WAIT_S = 60.0
"""On a machine that has much else to do as well."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; an AssertionError if it never does."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to it"
        threading.Event().wait(0.01)
