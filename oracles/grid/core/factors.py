"""The admittance between nodes as sparse triangular factors, laid out for the power flow's loops."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Complexes = npt.NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class Triangle:
    """A triangular matrix without its diagonal, column by column: entries of column j from `first[j]` to `first[j + 1]`."""

    first: Integers
    rows: Integers
    real: Floats
    imaginary: Floats

    @property
    def arrays(self) -> tuple[Integers, Integers, Floats, Floats]:
        """All four, as the kernels take them."""
        return self.first, self.rows, self.real, self.imaginary


@dataclass(frozen=True, eq=False)
class Factors:
    """L U = A with its rows in the order `rows_in` and its columns in the order `rows_out`; `inverse_diagonal` is U's."""

    lower: Triangle
    upper: Triangle
    inverse_diagonal: Complexes
    rows_in: Integers
    rows_out: Integers


def factorise(matrix: csc_array, right: Complexes) -> tuple[Factors, Complexes]:
    """Factors of a square complex matrix, ordered so that little fills in, and the solution for one right-hand side.

    Raises ValueError where the matrix is singular.
    """
    if not matrix.shape[0]:
        none = np.zeros(0, dtype=np.int64)
        empty = Triangle(np.zeros(1, dtype=np.int64), none, np.zeros(0), np.zeros(0))
        return Factors(empty, empty, right, none, none), right
    try:
        found = splu(
            matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.01, options={"SymmetricMode": True}
        )
    except RuntimeError as singular:
        raise ValueError(str(singular)) from singular
    factors = Factors(
        lower=_triangle(found.L),
        upper=_triangle(found.U),
        inverse_diagonal=1 / found.U.diagonal(),
        rows_in=np.argsort(found.perm_r),
        rows_out=np.argsort(found.perm_c),
    )
    return factors, found.solve(right)


def _triangle(matrix: csc_array) -> Triangle:
    entries = matrix.tocoo()
    kept = entries.row != entries.col
    rows, columns, values = entries.row[kept], entries.col[kept], entries.data[kept]
    order = np.lexsort((rows, columns))
    first = np.zeros(matrix.shape[1] + 1, dtype=np.int64)
    np.cumsum(np.bincount(columns, minlength=matrix.shape[1]), out=first[1:])
    return Triangle(
        first=first,
        rows=rows[order].astype(np.int64),
        real=np.ascontiguousarray(values[order].real),
        imaginary=np.ascontiguousarray(values[order].imag),
    )
