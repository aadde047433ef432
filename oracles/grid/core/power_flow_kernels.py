"""The fixed point of the power flow, for many states at once: numba kernels that `power_flow.py` calls.

States lie side by side in blocks of `LANES`, real and imaginary parts apart, so that each entry of the factors is used for
a whole block at a time. A state's result doesn't depend on the others: it is taken when the state itself has converged.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit

if TYPE_CHECKING:
    Array = npt.NDArray[Any]

LANES = 32


@njit(nogil=True, cache=True, error_model="numpy")
def iterate(
    lower: "tuple[Array, Array, Array, Array]",
    upper: "tuple[Array, Array, Array, Array]",
    inverse_diagonal: "Array",
    rows_in: "Array",
    rows_out: "Array",
    no_load: "Array",
    power: "Array",
    voltage: "Array",
    converged: "Array",
    tolerance: float,
    iterations: int,
) -> None:
    """V = V_no_load - A^-1 conj(S / V) from V = V_no_load on, until no voltage moves by more than `tolerance`.

    `lower` and `upper`: the `Triangle`s of A's factors. `power` (loads, states): absorbed, per unit. Writes `voltage` (loads,
    states) and `converged` (states,).
    """
    loads, states = power.shape
    re, im = np.empty((loads, LANES)), np.empty((loads, LANES))
    x, y = np.empty((loads, LANES)), np.empty((loads, LANES))
    p, q = np.empty((loads, LANES)), np.empty((loads, LANES))
    moved = np.empty(LANES)
    for first in range(0, states, LANES):
        lanes = min(LANES, states - first)
        for row in range(loads):
            for lane in range(lanes):
                re[row, lane], im[row, lane] = no_load[row].real, no_load[row].imag
                p[row, lane], q[row, lane] = power[row, first + lane].real, power[row, first + lane].imag
        left = lanes
        for _ in range(iterations):
            for place in range(loads):
                row = rows_in[place]
                for lane in range(lanes):
                    a, b = re[row, lane], im[row, lane]
                    inverse = 1.0 / (a * a + b * b)
                    x[place, lane] = (p[row, lane] * a + q[row, lane] * b) * inverse
                    y[place, lane] = (p[row, lane] * b - q[row, lane] * a) * inverse
            _eliminate_down(lower, x, y, lanes)
            _eliminate_up(upper, inverse_diagonal, x, y, lanes)
            for lane in range(lanes):
                moved[lane] = 0.0
            for place in range(loads):
                row = rows_out[place]
                for lane in range(lanes):
                    a, b = no_load[row].real - x[place, lane], no_load[row].imag - y[place, lane]
                    step = (a - re[row, lane]) ** 2 + (b - im[row, lane]) ** 2
                    moved[lane] = max(moved[lane], step)
                    re[row, lane], im[row, lane] = a, b
            for lane in range(lanes):
                if not converged[first + lane] and moved[lane] <= tolerance * tolerance:
                    converged[first + lane] = True
                    left -= 1
                    for row in range(loads):
                        voltage[row, first + lane] = complex(re[row, lane], im[row, lane])
            if left == 0:
                break


@njit(inline="always", error_model="numpy")
def _eliminate_down(
    triangle: "tuple[Array, Array, Array, Array]", x: "Array", y: "Array", lanes: int
) -> None:
    first, rows, real, imaginary = triangle
    for column in range(len(first) - 1):
        for entry in range(first[column], first[column + 1]):
            row, a, b = rows[entry], real[entry], imaginary[entry]
            for lane in range(lanes):
                x[row, lane] -= a * x[column, lane] - b * y[column, lane]
                y[row, lane] -= a * y[column, lane] + b * x[column, lane]


@njit(inline="always", error_model="numpy")
def _eliminate_up(
    triangle: "tuple[Array, Array, Array, Array]",
    inverse_diagonal: "Array",
    x: "Array",
    y: "Array",
    lanes: int,
) -> None:
    first, rows, real, imaginary = triangle
    for column in range(len(first) - 2, -1, -1):
        a, b = inverse_diagonal[column].real, inverse_diagonal[column].imag
        for lane in range(lanes):
            turned = x[column, lane] * a - y[column, lane] * b
            y[column, lane] = x[column, lane] * b + y[column, lane] * a
            x[column, lane] = turned
        for entry in range(first[column], first[column + 1]):
            row, a, b = rows[entry], real[entry], imaginary[entry]
            for lane in range(lanes):
                x[row, lane] -= a * x[column, lane] - b * y[column, lane]
                y[row, lane] -= a * y[column, lane] + b * x[column, lane]
