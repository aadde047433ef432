"""The loop over accepted quantities that prices them: a numba kernel that `pricing.py` calls."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit

if TYPE_CHECKING:
    Array = npt.NDArray[Any]


@njit(nogil=True, cache=True)
def price_as_cleared(
    request: "Array", offer: "Array", bid: "Array", permille: "Array", fee: "Array", out: "Array"
) -> None:
    """Write the price of each entry at its request's last one's delivered price per relief, less its own fee, rounded down.
    `bid`: by offer; all others by entry."""
    delivered = of_permille = np.int64(0)
    for entry in range(len(request) - 1, -1, -1):
        if entry + 1 == len(request) or request[entry] != request[entry + 1]:
            delivered, of_permille = np.int64(bid[offer[entry]]) + fee[entry], np.int64(permille[entry])
        mine = delivered
        if permille[entry] != of_permille:
            # delivered * permille // of_permille, which need not fit in between.
            mine = delivered // of_permille * permille[entry]
            mine += delivered % of_permille * permille[entry] // of_permille
        out[entry] = mine - fee[entry]
