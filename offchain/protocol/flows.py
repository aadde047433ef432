"""Power flows of a session as the grid oracle shows them to the DSO's operator: every element in every slot, in whole units."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offchain.protocol.errors import InvalidInput

Integers = npt.NDArray[np.int64]
NODE_QUANTITIES = ("voltage",)
"""Micro-pu."""
BRANCH_QUANTITIES = ("loading", "fromW", "fromVar", "lossesW")
"""Milli-percent of the rating by current, W and var into the branch at its from end, W."""


@dataclass(frozen=True, eq=False)
class ElementFlows:
    """n elements of one sort by their keys, such as `bus:LV1.101 Bus 4`; `values` (quantities, slots, n). Limits (n,), in the unit of
    the first quantity; `lowest` is None where there is only an upper one."""

    keys: tuple[str, ...]
    values: Integers
    highest: Integers
    lowest: Integers | None = None


@dataclass(frozen=True, eq=False)
class SessionFlows:
    """A session's delivery window on the grid model (its hash in hex) that is anchored for it. Times in Unix seconds."""

    session: int
    delivery_start: int
    delivery_end: int
    grid_model: str
    nodes: ElementFlows
    branches: ElementFlows

    def __post_init__(self) -> None:
        for name, flows, quantities in (
            ("nodes", self.nodes, NODE_QUANTITIES),
            ("branches", self.branches, BRANCH_QUANTITIES),
        ):
            shape = len(quantities), self.slots, len(flows.keys)
            if flows.values.shape != shape:
                raise InvalidInput(f"{name}.values", flows.values.shape, f"must be of shape {shape}")

    @property
    def slots(self) -> int:
        """Quarter-hours of the window."""
        return int(self.nodes.values.shape[1])
