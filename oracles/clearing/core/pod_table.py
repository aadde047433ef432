"""The registry's PoDs in columns, and the indexes by which a book names its PoDs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from offchain.protocol.keccak import HASH_BYTES, as_words
from offchain.protocol.products import Product
from offchain.protocol.terms import PodFacts
from oracles.clearing.core.book_kernels import fill_table, look_up

NO_POD = -1
Ints = npt.NDArray[np.integer[Any]]
Bytes = npt.NDArray[np.uint8]


class PodTable(Mapping[bytes, PodFacts]):
    """The registry's PoDs in columns, so that a city's are looked up at once. `facts`: of one, by its index."""

    def __init__(
        self,
        names: Bytes,
        aggregators: Sequence[str],
        aggregator: Ints,
        limits_w: npt.NDArray[np.int64],
        products: Ints,
        facts: Callable[[int], PodFacts],
    ) -> None:
        self.names, self.limits_w, self.products = names, limits_w, products
        self._aggregators, self._aggregator, self._facts = aggregators, aggregator, facts

    @classmethod
    def of(cls, pods: Mapping[bytes, PodFacts]) -> "PodTable":
        """The table of a registry."""
        if isinstance(pods, cls):
            return pods
        facts = list(pods.values())
        aggregators = {name: number for number, name in enumerate({each.aggregator for each in facts})}
        limits_w = np.array(
            [[each.limit_w(product) for product in Product] for each in facts], dtype=np.int64
        ).reshape(-1, len(Product))
        return cls(
            np.frombuffer(b"".join(pods), dtype=np.uint8).reshape(-1, HASH_BYTES),
            list(aggregators),
            np.array([aggregators[each.aggregator] for each in facts], dtype=np.int32),
            limits_w,
            np.array([each.products for each in facts], dtype=np.int64),
            facts.__getitem__,
        )

    def are_of(self, player: str) -> npt.NDArray[np.bool_]:
        """Which PoDs may be offered by a player."""
        theirs = [number for number, name in enumerate(self._aggregators) if name.lower() == player.lower()]
        return np.isin(self._aggregator, theirs)

    @cached_property
    def _table(self) -> npt.NDArray[np.int32]:
        table = np.full(1 << max(4, (2 * len(self.names)).bit_length()), NO_POD, dtype=np.int32)
        fill_table(as_words(self.names), table)
        return table

    def indexes(self, names: Bytes) -> npt.NDArray[np.int32]:
        """Index of each name (n, 32), NO_POD where it isn't registered."""
        out = np.empty(len(names), dtype=np.int32)
        look_up(as_words(names), as_words(self.names), self._table, out)
        return out

    def __getitem__(self, pod: bytes) -> PodFacts:
        (index,) = self.indexes(np.frombuffer(pod, dtype=np.uint8).reshape(1, HASH_BYTES))
        if index == NO_POD:
            raise KeyError(pod)
        return self._facts(int(index))

    def __iter__(self) -> Iterator[bytes]:
        return iter(as_bytes(self.names))

    def __len__(self) -> int:
        return len(self.names)


class Names:
    """Indexes of the PoDs that a book names: the registry's, then those that only documents name."""

    def __init__(self, registry: PodTable) -> None:
        self._registry = registry
        self._others: dict[bytes, int] = {}

    def indexes(self, names: Bytes) -> npt.NDArray[np.int32]:
        """Index of each name (n, 32); new ones get the next."""
        out = self._registry.indexes(names)
        unknown = np.flatnonzero(out == NO_POD)
        for row, name in zip(unknown.tolist(), as_bytes(names[unknown]), strict=True):
            out[row] = self._others.setdefault(name, len(self._registry) + len(self._others))
        return out

    @property
    def all(self) -> Bytes:
        """The names by index."""
        others = np.frombuffer(b"".join(self._others), dtype=np.uint8).reshape(-1, HASH_BYTES)
        return np.concatenate([self._registry.names, others]) if len(others) else self._registry.names


def as_bytes(rows: Bytes) -> list[bytes]:
    """Rows of bytes as they are."""
    raw, width = rows.tobytes(), rows.shape[1]
    return [raw[index * width : (index + 1) * width] for index in range(len(rows))]
