"""What the grid's limits are held against: loading of transformers and lines, voltage at every node but the slack."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from offchain.protocol.products import MarginUnit
from oracles.grid.core.network import Floats, GridModel
from oracles.grid.core.power_flow import PowerFlow

TOLERANCE = 1e-7
"""How far (per unit of voltage, or of the rating) a value may pass its limit without counting: above the noise of the
power flow (1e-11 pu of voltage), below one unit of a refusal's margin."""

_UNITS_PER_PU = {MarginUnit.LOADING_MILLIPERCENT: 100_000, MarginUnit.VOLTAGE_MICRO_PU: 1_000_000}
_HALF_BAND_PU = 0.1


class Side(StrEnum):
    """Which limit of an element: loading has only an upper one, voltage both."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True)
class Element:
    """One limit of one element: kind (`trafo`, `line` or `bus`), name in the model, and the side of the limit."""

    kind: str
    name: str
    side: Side

    @property
    def key(self) -> str:
        """What documents call it, such as `line:LV1.101 Line 3`; a refusal's leaf carries this text's hash."""
        return f"{self.kind}:{self.name}"

    @property
    def unit(self) -> MarginUnit:
        """Unit of values, limits and margins given as integers."""
        return MarginUnit.VOLTAGE_MICRO_PU if self.kind == "bus" else MarginUnit.LOADING_MILLIPERCENT

    def in_units(self, value_pu: float) -> int:
        """A loading (1 is the rating) or voltage as an integer of `unit`."""
        return round(value_pu * _UNITS_PER_PU[self.unit])


@dataclass(frozen=True)
class Violation:
    """A limit passed in a slot. `value` and `limit` in the element's unit (milli-percent, or micro-pu)."""

    slot: int
    element: Element
    value: int
    limit: int

    @property
    def excess(self) -> int:
        """How far the limit is passed, at least 1."""
        return max(1, abs(self.value - self.limit))


@dataclass(frozen=True, eq=False)
class Watch:
    """All limits of a grid as k columns: transformers, lines, highest voltages, lowest voltages, as the model orders.

    Values and limits are turned so that more is always worse: voltages count negative where the lower limit is held.
    """

    model: GridModel

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """The k elements, in the order in which violations are listed."""
        names = [self.model.node_names[node] for node in self.model.loads]
        return (
            *(Element("trafo", name, Side.ABOVE) for name in self.model.transformer_names),
            *(Element("line", name, Side.ABOVE) for name in self.model.line_names),
            *(Element("bus", name, Side.ABOVE) for name in names),
            *(Element("bus", name, Side.BELOW) for name in names),
        )

    @cached_property
    def limits(self) -> Floats:
        """Limits (k,): loading with 1 for the rating, and pu."""
        loads = self.model.loads
        return np.concatenate(
            (self.model.max_loading_percent / 100, self.model.max_vm_pu[loads], -self.model.min_vm_pu[loads])
        )

    @cached_property
    def weights(self) -> Floats:
        """What makes loading and voltage comparable (k,): shares of the rating, and of half a 0.9 to 1.1 band."""
        return np.concatenate(
            (np.ones(self.model.branches), np.full(2 * len(self.model.loads), 1 / _HALF_BAND_PU))
        )

    def values(self, flow: PowerFlow) -> Floats:
        """Values (s, k) to hold against `limits`; infinite in states without a solution."""
        vm_pu = flow.vm_pu[:, self.model.loads]
        values = np.concatenate((flow.loading_percent / 100, vm_pu, -vm_pu), axis=1)
        values[~flow.converged] = np.inf
        return values

    def violations(self, values: Floats, slots: Sequence[int] | None = None) -> tuple[Violation, ...]:
        """Limits passed, by slot and then in the order of `elements`; `slots` names the rows where they aren't 0, 1..."""
        found = []
        for row, column in np.argwhere(values > self.limits + TOLERANCE).tolist():
            element = self.elements[column]
            found.append(
                Violation(
                    slot=row if slots is None else slots[row],
                    element=element,
                    value=element.in_units(abs(values[row, column])),
                    limit=element.in_units(abs(self.limits[column])),
                )
            )
        return tuple(found)


def find_violations(flow: PowerFlow) -> tuple[Violation, ...]:
    """Violations of a solved power flow, by slot and then transformers, lines, buses above, buses below."""
    watch = Watch(flow.model)
    return watch.violations(watch.values(flow))
