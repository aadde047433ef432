"""Columns: one field of all leaves of a list, kept as small as the field allows.

A column has a length, and a slice of it is an array with one row per leaf: integers of any width of shape (n,), bytes32
as uint8 (n, 32), addresses as uint8 (n, 20). A numpy array is a column. The kinds here stand for arrays that would be
large and say little: nothing that reads a list asks for more of it than a slice at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from offchain.protocol.errors import InvalidInput

Rows = npt.NDArray[Any]


class Column(Protocol):
    """What a list needs of a column.

    Slices have step 1, are all of one dtype, and may be taken by several threads at once.
    """

    def __len__(self) -> int:
        """Leaves."""

    def __getitem__(self, rows: slice, /) -> Rows:
        """The values of some leaves."""


@dataclass(frozen=True)
class Constant:
    """One value in every leaf, as a list's `length`: an integer, or bytes."""

    value: int | bytes
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, rows: slice, /) -> Rows:
        first, last = bounds_of(rows, self.length)
        if isinstance(self.value, int):
            return np.full(last - first, self.value, dtype=np.int64)
        one = np.frombuffer(self.value, dtype=np.uint8)
        return np.broadcast_to(one, (last - first, len(one)))


@dataclass(frozen=True)
class Counting:
    """Integers one after the other, as a list's `position`."""

    first: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, rows: slice, /) -> Rows:
        first, last = bounds_of(rows, self.length)
        return np.arange(self.first + first, self.first + last, dtype=np.int64)


@dataclass(frozen=True)
class Coded:
    """Few values in many leaves, as PoDs: `table` has each value once, `codes` says where in it a leaf's stands."""

    table: Rows
    codes: Column

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: slice, /) -> Rows:
        return self.table[self.codes[rows]]


@dataclass(frozen=True)
class Runs:
    """Values that stay for many leaves, as commitments in the book: value k stands in `lengths[k]` leaves."""

    values: Rows
    lengths: Sequence[int]

    def __post_init__(self) -> None:
        if len(self.values) != len(self.lengths):
            raise InvalidInput(
                "lengths", len(self.lengths), f"must be {len(self.values)}, one for each value"
            )

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        return np.cumsum(np.asarray(self.lengths, dtype=np.int64))

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, rows: slice, /) -> Rows:
        first, last = bounds_of(rows, len(self))
        if first == last:
            return self.values[:0]
        first_run, last_run = np.searchsorted(self._ends, [first, last - 1], side="right")
        runs = slice(first_run, last_run + 1)
        cuts = np.concatenate([[first], self._ends[runs][:-1], [last]])
        return np.repeat(self.values[runs], np.diff(cuts), axis=0)


def bounds_of(rows: slice, length: int) -> tuple[int, int]:
    """First row of a slice of step 1, and the row after its last."""
    first, last, step = rows.indices(length)
    if step != 1:
        raise InvalidInput("step", step, "must be 1")
    return first, max(first, last)
