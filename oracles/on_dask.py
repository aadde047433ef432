"""Parts of clearing and assessment by the workers of a Dask scheduler: the same outcome, on other machines.

What a part needs is sent with it, so workers need no book, grid, chain or store; a part whose worker dies is done by another.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from distributed import Client

from oracles.parallel import MapParts, in_threads

A = TypeVar("A")
B = TypeVar("B")
PARTS_A_THREAD = 2
"""Parts that are sent ahead, so that no worker waits."""


def parts_on(scheduler: str | None) -> MapParts:
    """Who does parts: the workers of a scheduler (its address), or threads of this process where there is none."""
    return in_threads if scheduler is None else OnDask(Client(scheduler, set_as_default=False))


class OnDask:
    """Does parts on the workers of a client's scheduler."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(self, function: Callable[[A], B], things: Iterable[A]) -> Iterator[B]:
        """Results in the things' order; things are made as workers come free."""
        ahead = PARTS_A_THREAD * max(1, sum(self._client.nthreads().values()))
        waiting = []
        for thing in things:
            waiting.append(self._client.submit(function, thing, pure=False))
            if len(waiting) > ahead:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()
