"""What the grid's limits are held against: loading of branches, and voltage at every node but the slacks.

A limit passed is a violation. Alarms tell the operator more: also what comes near a limit, how bad it is, and how long.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import cached_property

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.products import MarginUnit
from oracles.grid.core.errors import PowerFlowDiverged
from oracles.grid.core.network import Floats, GridModel, Integers
from oracles.grid.core.newton import MAX_ITERATIONS
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
    """One limit of one element: kind (`trafo`, `line`, `impedance` or `bus`), name in the model, and the side of the limit."""

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


class AlarmLevel(IntEnum):
    """How much an alarm asks of the operator: a limit comes near, is passed, or is passed by far."""

    WARNING = 1
    ALARM = 2
    CRITICAL = 3


@dataclass(frozen=True)
class AlarmThresholds:
    """Where levels begin. Loading in percent of its limit; voltage as a distance from its limit, inside and beyond it.

    Raises InvalidInput where a warning would begin beyond the limit, or what is critical before it.
    """

    warning_percent: float = 90.0
    critical_percent: float = 120.0
    warning_within_pu: float = 0.01
    critical_beyond_pu: float = 0.03

    def __post_init__(self) -> None:
        for name, allowed in (
            ("warning_percent", 0 < self.warning_percent <= 100),
            ("critical_percent", self.critical_percent >= 100),
            ("warning_within_pu", self.warning_within_pu >= 0),
            ("critical_beyond_pu", self.critical_beyond_pu >= 0),
        ):
            if not allowed:
                rule = "a warning may begin at the limit at the latest, what is critical no sooner"
                raise InvalidInput(f"thresholds.{name}", getattr(self, name), rule)


@dataclass(frozen=True)
class AlarmSettings:
    """Thresholds of the grid, and by key those of elements that have their own, such as `line:LV1.101 Line 3`."""

    of_grid: AlarmThresholds = AlarmThresholds()
    of_elements: Mapping[str, AlarmThresholds] = field(default_factory=dict)


@dataclass(frozen=True)
class Alarm:
    """An element near its limit or beyond it in `slots` slots one after the other, from `first_slot` on.

    `level`: the highest that it reaches. `value`, in `worst_slot`, and `limit`: in the element's unit, as a violation's.
    """

    level: AlarmLevel
    element: Element
    first_slot: int
    slots: int
    worst_slot: int
    value: int
    limit: int


class Watching(ABC):
    """Limits of a grid as k columns.

    Values and limits are turned so that more is always worse: voltages count negative where the lower limit is held.
    """

    @property
    @abstractmethod
    def nodes(self) -> int:
        """Number of places at which power is absorbed."""

    @property
    @abstractmethod
    def rating_w(self) -> int:
        """Apparent power (VA) that the grid is made for."""

    @property
    @abstractmethod
    def elements(self) -> tuple[Element, ...]:
        """The k elements, in the order in which violations are listed."""

    @property
    @abstractmethod
    def limits(self) -> Floats:
        """Limits (k,): loading with 1 for the rating, and pu."""

    @cached_property
    def weights(self) -> Floats:
        """What makes loading and voltage comparable (k,): shares of the rating, and of half a 0.9 to 1.1 band."""
        return np.array([1 / _HALF_BAND_PU if each.kind == "bus" else 1.0 for each in self.elements])

    def levels(self, values: Floats, settings: AlarmSettings) -> Integers:
        """Alarm levels (s, k), 0 where there is nothing to tell.

        Raises InvalidInput where the settings name an element that isn't there.
        """
        unknown = set(settings.of_elements) - {element.key for element in self.elements}
        if unknown:
            raise InvalidInput("alarms.of_elements", min(unknown), "must be an element of the grid")
        near, far = [], []
        for element, limit in zip(self.elements, self.limits.tolist(), strict=True):
            thresholds = settings.of_elements.get(element.key, settings.of_grid)
            if element.kind == "bus":
                near.append(limit - thresholds.warning_within_pu)
                far.append(limit + thresholds.critical_beyond_pu)
            else:
                near.append(limit * thresholds.warning_percent / 100)
                far.append(limit * thresholds.critical_percent / 100)
        passed = values > self.limits + TOLERANCE
        levels: Integers = np.zeros(values.shape, dtype=np.int64)
        levels[values >= np.array(near)] = AlarmLevel.WARNING
        levels[passed] = AlarmLevel.ALARM
        levels[passed & (values >= np.array(far))] = AlarmLevel.CRITICAL
        return levels

    def alarms(self, values: Floats, settings: AlarmSettings) -> tuple[Alarm, ...]:
        """Alarms of values (s, k), as `find_alarms` orders them. Raises InvalidInput as `levels` does."""
        levels = self.levels(values, settings)
        told = np.zeros((len(levels) + 2, levels.shape[1]), dtype=np.int8)
        told[1:-1] = levels > 0
        steps = np.diff(told, axis=0).T
        starts, ends = np.argwhere(steps == 1), np.argwhere(steps == -1)
        found = []
        for (column, first), (_, end) in zip(starts.tolist(), ends.tolist(), strict=True):
            worst = first + int(np.argmax(values[first:end, column]))
            element = self.elements[column]
            alarm = Alarm(
                level=AlarmLevel(int(levels[worst, column])),
                element=element,
                first_slot=first,
                slots=end - first,
                worst_slot=worst,
                value=element.in_units(abs(values[worst, column])),
                limit=element.in_units(abs(self.limits[column])),
            )
            found.append((-alarm.level, first, column, alarm))
        return tuple(alarm for *_, alarm in sorted(found, key=lambda each: each[:3]))

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


@dataclass(frozen=True, eq=False)
class Watch(Watching):
    """All limits of a grid model: loading of all branches, highest voltages, lowest voltages, as the model orders."""

    model: GridModel

    @property
    def nodes(self) -> int:
        """Nodes of the model."""
        return self.model.nodes

    @property
    def rating_w(self) -> int:
        """The model's."""
        return self.model.rating_w

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """The k elements, in the order in which violations are listed."""
        names = [self.model.node_names[node] for node in self.model.loads]
        return (
            *(Element("trafo", name, Side.ABOVE) for name in self.model.transformer_names),
            *(Element("line", name, Side.ABOVE) for name in self.model.line_names),
            *(Element("impedance", name, Side.ABOVE) for name in self.model.impedance_names),
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

    def values(self, flow: PowerFlow) -> Floats:
        """Values (s, k) to hold against `limits`; infinite in states without a solution."""
        vm_pu = flow.vm_pu[:, self.model.loads]
        values = np.concatenate((flow.loading_percent / 100, vm_pu, -vm_pu), axis=1)
        values[~flow.converged] = np.inf
        return values


def find_violations(flow: PowerFlow) -> tuple[Violation, ...]:
    """Violations of a solved power flow, by slot and then transformers, lines, buses above, buses below."""
    watch = Watch(flow.model)
    return watch.violations(watch.values(flow))


def find_alarms(flow: PowerFlow, settings: AlarmSettings = AlarmSettings()) -> tuple[Alarm, ...]:
    """Alarms of a solved power flow, the highest level first, then by first slot and the order of elements.

    Raises InvalidInput where the settings name an element that isn't there, PowerFlowDiverged where a slot has no solution.
    """
    if not flow.converged.all():
        raise PowerFlowDiverged(tuple(np.flatnonzero(~flow.converged).tolist()), MAX_ITERATIONS)
    watch = Watch(flow.model)
    return watch.alarms(watch.values(flow), settings)
