"""Work in parts that have nothing to do with each other: in threads here, or on other machines (`on_dask.py`)."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from os import cpu_count
from typing import Protocol, TypeVar

THREADS = cpu_count() or 1
A = TypeVar("A")
B = TypeVar("B")


class MapParts(Protocol):
    """A way to do the same with many things: in threads, or on other machines. Results come in the things' order."""

    def __call__(self, function: Callable[[A], B], things: Iterable[A]) -> Iterable[B]:
        """Results by thing."""


def in_threads(function: Callable[[A], B], things: Iterable[A]) -> Iterator[B]:
    """One thread a core, none for a single thing; things are made as threads come free."""
    waiting: list[Future[B]] = []
    coming = iter(things)
    first = list(islice(coming, 2))
    if len(first) < 2:
        yield from map(function, first)
        return
    with ThreadPoolExecutor(THREADS) as pool:
        for thing in chain(first, coming):
            waiting.append(pool.submit(function, thing))
            if len(waiting) > THREADS:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()
