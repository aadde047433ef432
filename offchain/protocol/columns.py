"""Columns: one field of all leaves of a list, kept as small as the field allows.

A column has a length, and what is taken of it by a slice or by an array of positions is an array with one row per leaf:
integers of any width of shape (n,), bytes32 as uint8 (n, 32), addresses as uint8 (n, 20). A numpy array is a column. The
kinds here stand for arrays that would be large and say little: nothing that reads a whole list asks for more than a part of
it at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from offchain.protocol.errors import InvalidInput

Rows = npt.NDArray[Any]


Positions = npt.NDArray[np.integer[Any]]


class Column(Protocol):
    """What a list needs of a column. All that is taken of it is of one dtype; several threads may do so at once."""

    def __len__(self) -> int:
        """Leaves."""

    def __getitem__(self, rows: slice | Positions, /) -> Rows:
        """The values of some leaves."""


@dataclass(frozen=True)
class Constant:
    """One value in every leaf, as a list's `length`: an integer, or bytes."""

    value: int | bytes
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, rows: slice | Positions, /) -> Rows:
        count = len(positions_of(rows, self.length))
        if isinstance(self.value, int):
            return np.full(count, self.value, dtype=np.int64)
        one = np.frombuffer(self.value, dtype=np.uint8)
        return np.broadcast_to(one, (count, len(one)))


@dataclass(frozen=True)
class Counting:
    """Integers one after the other, as a list's `position`."""

    first: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, rows: slice | Positions, /) -> Rows:
        return self.first + positions_of(rows, self.length)


@dataclass(frozen=True)
class Coded:
    """Few values in many leaves, as PoDs: `table` has each value once, `codes` says where in it a leaf's stands."""

    table: Column
    codes: Column

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: slice | Positions, /) -> Rows:
        values: Rows = self.table[self.codes[rows]]
        return values


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

    def __getitem__(self, rows: slice | Positions, /) -> Rows:
        values: Rows = self.values[np.searchsorted(self._ends, positions_of(rows, len(self)), side="right")]
        return values


def positions_of(rows: slice | Positions, length: int) -> npt.NDArray[np.int64]:
    """The positions of a slice, or those of an array. Raises IndexError where one is outside, also below 0."""
    if isinstance(rows, slice):
        return np.arange(*rows.indices(length), dtype=np.int64)
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < length:
        raise IndexError(f"positions {rows.min()} to {rows.max()} of {length}")
    return rows.astype(np.int64)
