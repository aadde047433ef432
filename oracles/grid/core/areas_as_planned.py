"""Areas that a market fills with what is planned, and nothing else: the fewest PoDs kept apart.

In merit order an area takes PoDs whole up to the one that it takes in part, and none after that. So PoDs may share an area
where, in each slot, all of whom anything is planned come before all of whom not everything is, but for one that is both.
PoDs of whom nothing is planned are in every area where they come after all others: they are there if offers differ.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oracles.grid.core.market_filling import FULL_PERMILLE
from oracles.grid.core.network import Floats, Integers


@dataclass(eq=False)
class _Group:
    """Effectiveness (r,) of an area's members. By row: merit of the dearest of which anything is planned, and of the cheapest
    of which not all is."""

    permille: Integers
    dearest: Floats
    cheapest_left: Floats

    def fits(self, merit: float, taken: npt.NDArray[np.bool_], left: npt.NDArray[np.bool_]) -> bool:
        """Whether one more would leave all as planned."""
        return bool((merit < self.cheapest_left[taken]).all() and (merit > self.dearest[left]).all())

    def add(
        self,
        resource: int,
        permille: int,
        merit: float,
        taken: npt.NDArray[np.bool_],
        left: npt.NDArray[np.bool_],
    ) -> None:
        """One more member."""
        self.permille[resource] = permille
        self.dearest[taken] = np.maximum(self.dearest[taken], merit)
        self.cheapest_left[left] = np.minimum(self.cheapest_left[left], merit)


def areas_as_planned(
    prices: Floats, permille: Integers, used: npt.NDArray[np.bool_], planned: Integers, most_w: Integers
) -> Iterator[Integers]:
    """Effectiveness (r,) of the members of each area, which together have all that are `used` (r,), each in one.

    `prices`, `permille` (r,): of all that may be members; who is used and has no effectiveness is an area of its own.
    `planned`, `most_w` (rows, r): what is planned of each, and offered.
    """
    taken, left = planned > 0, planned < most_w
    rows = len(planned)
    for resource in np.flatnonzero(used & (permille == 0)).tolist():
        alone = np.zeros_like(permille)
        alone[resource] = FULL_PERMILLE
        yield alone
    merits = np.divide(prices, permille, out=np.zeros_like(prices), where=permille > 0)
    members = np.flatnonzero(permille)
    order = members[np.lexsort((members, merits[members]))]
    groups: list[_Group] = []
    for resource in order[used[order]].tolist():
        its = float(merits[resource]), taken[:, resource], left[:, resource]
        fitting = next((group for group in groups if group.fits(*its)), None)
        if fitting is None:
            fitting = _Group(np.zeros_like(permille), np.full(rows, -np.inf), np.full(rows, np.inf))
            groups.append(fitting)
        fitting.add(resource, int(permille[resource]), *its)
    for resource in order[~used[order]].tolist():
        its = float(merits[resource]), taken[:, resource], left[:, resource]
        for group in groups:
            if group.fits(*its):
                group.add(resource, int(permille[resource]), *its)
    for group in groups:
        yield group.permille
