"""Many Light Nodes in one process, each with its own key, journal and broker connection: for demonstrations and tests."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from lightnode.config import NodeConfig
from lightnode.runtime import RunningNode

WORKERS = 8
"""Nodes spend their time waiting for meters, disk and broker: a few threads per core keep it busy."""
CONNECT_TIMEOUT_S = 30.0


class Fleet:
    """Runs a node for every configuration. The nodes share nothing but the clock."""

    def __init__(self, configs: Sequence[NodeConfig], now_s: Callable[[], int]) -> None:
        self._nodes = [RunningNode(config, now_s) for config in configs]
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="lightnode")

    def start(self) -> None:
        """Connect every node to the broker. Raises MessagingUnavailable or MessagingRefused if one can't."""
        self._for_all(lambda node: node.start(CONNECT_TIMEOUT_S))

    def step(self) -> None:
        """One step of every node; returns when all are done. A node that fails doesn't keep the others from theirs."""
        self._for_all(RunningNode.step)

    def count_activations(self) -> int:
        """How many activations the nodes have received so far, all together: messages may still be on their way."""
        return sum(node.count_activations() for node in self._nodes)

    def stop(self) -> None:
        """Disconnect every node."""
        self._for_all(RunningNode.stop)
        self._pool.shutdown()

    def __enter__(self) -> "Fleet":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _for_all(self, action: Callable[[RunningNode], None]) -> None:
        pending = [self._pool.submit(action, node) for node in self._nodes]
        failures = [failure for task in pending if (failure := task.exception()) is not None]
        if failures:
            raise failures[0]
