"""The grid's state from what is measured now, by pandapower's weighted least squares; bad data flagged.

Where a bus isn't measured, its forecast stands in for the measurement, as uncertain as forecasts are; where nobody is connected,
nothing is absorbed. Every estimate is tested by its normalised residuals: the measurement with the largest one is taken out and
named, and its bus falls back to the forecast, until none is beyond the threshold. A forecast that the measurements contradict is
no bad datum: it is given less weight instead. A measurement without which the state couldn't be told has no residual, so that
nothing can be said against it.

Signs: what a bus absorbs is positive, as everywhere; P, Q and current of a branch flow into it at the side named.
"""

import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
from networkx import connected_components
from pandapower.estimation.algorithm import matrix_base
from pandapower.estimation.ppc_conversion import pp2eppci
from pandapower.estimation.state_estimation import StateEstimation
from pandapower.topology import create_nxgraph, unsupplied_buses
from scipy.sparse import csr_matrix
from scipy.stats import chi2

from offchain.protocol.errors import FlexledgerError, InvalidInput
from oracles.grid.core.network import Floats, Integers
from oracles.grid.core.own_means import BusForecast


class _NumpyWithIn1d:
    """numpy as pandapower 3.1's estimator expects it: numpy 2.4 has no `in1d` any more."""

    in1d = staticmethod(np.isin)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


matrix_base.np = _NumpyWithIn1d()
logging.getLogger("pandapower.estimation").setLevel(logging.ERROR)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keeps the estimator from setting up logging for the whole process, which it does where nobody has."""
    root, silent = logging.getLogger(), logging.NullHandler()
    root.addHandler(silent)
    try:
        yield
    finally:
        root.removeHandler(silent)


_IN_SI = {"v": 1.0, "p": 1e-6, "q": 1e-6, "i": 1e-3}
"""pandapower's unit (pu, MW, Mvar, kA) in ours (pu, W, var, A)."""
_SIDES = {"bus": (None,), "line": ("from", "to"), "trafo": ("hv", "lv")}
_NOTHING_STD_W = 10.0
"""Standard deviation of nothing where nobody is connected: what the estimator takes for exact on its base of 1 MVA."""
_RANK = 1e-10
"""Share of the largest singular value below which a direction of the state is one that no measurement sees."""
_UNSEEN = 1e-4
_TESTABLE = 1e-9
"""Share of a measurement's variance that its residual's must have for the residual to say anything."""
_WEAKENED = 10.0


class Quantity(StrEnum):
    """What is measured: voltage (pu), active power (W), reactive power (var), or current (A)."""

    VOLTAGE = "v"
    ACTIVE = "p"
    REACTIVE = "q"
    CURRENT = "i"


@dataclass(frozen=True)
class Measurement:
    """One measured value at an element of the net (`table`: bus, line or trafo; `side` of a branch: from, to, hv, lv).

    `value`, `std_dev`: in the quantity's unit.
    """

    name: str
    quantity: Quantity
    table: str
    index: int
    value: float
    std_dev: float
    side: str | None = None

    def __post_init__(self) -> None:
        if self.table not in _SIDES:
            raise InvalidInput(f"measurement[{self.name}].table", self.table, "must be bus, line or trafo")
        if self.side not in _SIDES[self.table]:
            rule = f"of a {self.table} must be {' or '.join(map(str, _SIDES[self.table]))}"
            raise InvalidInput(f"measurement[{self.name}].side", self.side, rule)
        allowed = set(Quantity) - {Quantity.CURRENT if self.table == "bus" else Quantity.VOLTAGE}
        if self.quantity not in allowed:
            rule = f"of a {self.table} must be {', '.join(sorted(allowed))}"
            raise InvalidInput(f"measurement[{self.name}].quantity", self.quantity, rule)
        if not np.isfinite(self.value):
            raise InvalidInput(f"measurement[{self.name}].value", self.value, "must be finite")
        if not (np.isfinite(self.std_dev) and self.std_dev > 0):
            raise InvalidInput(f"measurement[{self.name}].std_dev", self.std_dev, "must be above 0")


@dataclass(frozen=True)
class EstimationSettings:
    """`most_residual`: in standard deviations, beyond which a measurement is bad data. `false_alarm`: of the chi-squared test.
    A forecast's standard deviation: a share of its value, and at least so many W or var."""

    most_residual: float = 4.0
    false_alarm: float = 0.05
    forecast_share: float = 0.5
    forecast_least_w: float = 500.0


@dataclass(frozen=True)
class BadData:
    """A measurement that was taken out, and its residual in standard deviations when it was."""

    measurement: Measurement
    residual: float


@dataclass(frozen=True, eq=False)
class EstimatedState:
    """What the grid is taken to be in. `p_w`, `q_var` (buses,): net absorbed at the forecast's buses, whole W and var. `vm_pu`: by
    bus, those without supply left out. `bad`: in the order in which they were found. `contradicted`: buses whose forecast was given
    less weight. `is_consistent`: whether the weighted squared residuals `chi_squared` stay below the test's `threshold`.
    """

    buses: tuple[int, ...]
    p_w: Integers
    q_var: Integers
    vm_pu: Mapping[int, float]
    bad: tuple[BadData, ...]
    contradicted: tuple[int, ...]
    chi_squared: float
    threshold: float

    def at(self, buses: Set[int]) -> "EstimatedState":
        """The same, with what is absorbed at some of its buses only."""
        places = [place for place, bus in enumerate(self.buses) if bus in buses]
        kept = tuple(self.buses[place] for place in places)
        return replace(self, buses=kept, p_w=self.p_w[places], q_var=self.q_var[places])

    @property
    def is_consistent(self) -> bool:
        """Whether what was measured and the grid model fit each other."""
        return self.chi_squared <= self.threshold


class Unobservable(FlexledgerError):
    """The measurements, with the forecasts that stand in for them, don't tell the state: `buses` are those they don't tell."""

    def __init__(self, buses: Sequence[int], names: Sequence[str], missing: str) -> None:
        super().__init__(f"buses = {list(names)!r}: their state can't be told: {missing}")
        self.buses = tuple(buses)


class EstimationDiverged(FlexledgerError):
    """The estimator found no state, though the measurements would tell one."""


def estimate_state(
    net: Any,
    measurements: Sequence[Measurement],
    forecast: BusForecast,
    settings: EstimationSettings = EstimationSettings(),
) -> EstimatedState:
    """Estimate the state of a pandapower net. `forecast`: one slot, of the buses where somebody is connected and of which something
    is known beforehand; a bus that is neither there nor measured, with something connected in the net, isn't known.

    Raises InvalidInput for what doesn't fit the net, Unobservable naming the buses of which too little is known,
    EstimationDiverged.
    """
    if len(forecast.p_w) != 1:
        raise InvalidInput("forecast.p_w", forecast.p_w.shape, "must be of one slot")
    table_of = {"bus": supplied_buses(net)}
    for table in ("line", "trafo"):
        table_of[table] = {int(index) for index in net[table].index[net[table].in_service.astype(bool)]}
    for measurement in measurements:
        if measurement.index not in table_of[measurement.table]:
            rule = f"must be a {measurement.table} of the net that is in service and supplied"
            raise InvalidInput(f"measurement[{measurement.name}].index", measurement.index, rule)
    lost = sorted(set(forecast.buses) - table_of["bus"])
    if lost:
        raise InvalidInput("forecast.buses", lost[0], "must be supplied by the grid")
    names = [measurement.name for measurement in measurements]
    if len(set(names)) != len(names):
        raise InvalidInput("measurements", sorted(names), "must have a name each")
    return _Estimation(net, measurements, forecast, settings).run()


def supplied_buses(net: Any) -> set[int]:
    """Buses that are in service and joined to the network above."""
    in_service = {int(bus) for bus in net.bus.index[net.bus.in_service.astype(bool)]}
    return in_service - {int(bus) for bus in unsupplied_buses(net)}


def buses_by_node(net: Any) -> list[set[int]]:
    """Buses that closed bus-bus switches join."""
    graph = create_nxgraph(
        net,
        include_lines=False,
        include_impedances=False,
        include_dclines=False,
        include_trafos=False,
        include_trafo3ws=False,
        include_tcsc=False,
    )
    return [{int(bus) for bus in node} for node in connected_components(graph)]


@dataclass
class _Row:
    """A row of pandapower's measurement table. `of`: the measurement behind it, or the bus whose forecast it is; None: nobody is
    connected."""

    quantity: str
    table: str
    index: int
    side: str | None
    value: float
    std_dev: float
    of: Measurement | int | None


@dataclass
class _Estimation:
    net: Any
    measurements: Sequence[Measurement]
    forecast: BusForecast
    settings: EstimationSettings
    bad: list[BadData] = field(default_factory=list)
    weakening: dict[tuple[int, str], float] = field(default_factory=dict)

    def run(self) -> EstimatedState:
        while True:
            rows = self._rows()
            told = self._told(rows)
            net, solver = self._solve(told)
            worst = self._worst(told, solver)
            if worst is None:
                return self._state(rows, told, net, solver)
            row, residual = worst
            if isinstance(row.of, Measurement):
                self.bad.append(BadData(row.of, residual))
            elif row.of is not None:
                known = self.weakening.get((row.of, row.quantity), 1.0)
                self.weakening[row.of, row.quantity] = _WEAKENED * known

    def _rows(self) -> list[_Row]:
        """What is measured and not flagged, forecasts of the buses where that leaves something out, nothing elsewhere."""
        flagged = {bad.measurement for bad in self.bad}
        live = [each for each in self.measurements if each not in flagged]
        rows = [
            _Row(each.quantity.value, each.table, each.index, each.side, each.value, each.std_dev, each)
            for each in live
        ]
        measured = {(each.quantity.value, each.index) for each in live if each.table == "bus"}
        for quantity, values in (("p", self.forecast.p_w[0]), ("q", self.forecast.q_var[0])):
            for bus, value in zip(self.forecast.buses, values.tolist(), strict=True):
                if (quantity, bus) not in measured:
                    std_dev = self._forecast_std(value) * self.weakening.get((bus, quantity), 1.0)
                    rows.append(_Row(quantity, "bus", bus, None, value, std_dev, bus))
            taken = {*self.forecast.buses, *(bus for kind, bus in measured if kind == quantity)}
            for bus in self._empty_buses(taken):
                rows.append(_Row(quantity, "bus", bus, None, 0.0, _NOTHING_STD_W, None))
        return rows

    def _told(self, rows: Sequence[_Row]) -> list[_Row]:
        """Without the powers of buses whose node has another bus of unknown power, such as the network above: the estimator would
        take their sum for the node's."""
        own = {
            kind: {row.index for row in rows if (row.table, row.quantity) == ("bus", kind)}
            for kind in ("p", "q")
        }
        sources = {
            int(bus)
            for table in ("ext_grid", "gen")
            for bus in self.net[table].bus[self.net[table].in_service.astype(bool)]
        }
        measured = {
            kind: {
                row.index
                for row in rows
                if isinstance(row.of, Measurement) and (row.table, row.quantity) == ("bus", kind)
            }
            for kind in ("p", "q")
        }
        open_: set[tuple[str, int]] = set()
        for node in buses_by_node(self.net):
            for kind in ("p", "q"):
                if node & self._connected() - own[kind] or node & sources - measured[kind]:
                    open_.update((kind, bus) for bus in node)
        return [row for row in rows if row.table != "bus" or (row.quantity, row.index) not in open_]

    def _forecast_std(self, value: float) -> float:
        return max(self.settings.forecast_least_w, self.settings.forecast_share * abs(value))

    def _empty_buses(self, taken: Iterable[int]) -> list[int]:
        """Supplied buses where nobody is connected, as the net says."""
        return sorted(supplied_buses(self.net) - set(taken) - self._connected())

    def _connected(self) -> set[int]:
        """Buses where the net has somebody."""
        return {
            int(bus)
            for table in ("load", "sgen", "storage", "ext_grid", "gen")
            for bus in self.net[table].bus[self.net[table].in_service.astype(bool)]
        }

    def _solve(self, rows: Sequence[_Row]) -> tuple[Any, Any]:
        net = deepcopy(self.net)
        scale = np.array([_IN_SI[row.quantity] for row in rows])
        net["measurement"] = pd.DataFrame(
            {
                "name": [None] * len(rows),
                "measurement_type": [row.quantity for row in rows],
                "element_type": [row.table for row in rows],
                "element": np.array([row.index for row in rows], dtype=np.int64),
                "value": np.array([row.value for row in rows]) * scale,
                "std_dev": np.array([row.std_dev for row in rows]) * scale,
                "side": [row.side for row in rows],
            }
        )
        with warnings.catch_warnings(), _unlogged():
            warnings.simplefilter("ignore")
            self._require_observable(net)
            estimator = StateEstimation(net, tolerance=1e-8, maximum_iterations=50)
            estimator.estimate(zero_injection=None)
        if not estimator.solver.successful:
            raise EstimationDiverged(f"no state within {estimator.solver.max_iterations} iterations")
        return net, estimator.solver

    def _require_observable(self, net: Any) -> None:
        """Raises Unobservable for the buses that P, Q and V leave open in the state around 1 pu.

        Currents aren't counted: they say nothing of a direction, and the estimator leaves them out of its first step.
        """
        if not (net.measurement.measurement_type == "v").any():
            raise Unobservable((), (), "no voltage is measured anywhere")
        # On a copy: the conversion leaves its marks in the net.
        probe = deepcopy(net)
        probe, _, eppci = pp2eppci(probe, v_start=None, delta_start=None, zero_injection=None)
        derivatives = csr_matrix(matrix_base.BaseAlgebra(eppci).create_hx_jacobian(eppci.E))
        jacobian: Floats = derivatives.toarray()[eppci.idx_non_imeas]
        lengths = np.linalg.norm(jacobian, axis=1)
        jacobian = jacobian[lengths > 0] / lengths[lengths > 0, None]
        _, singular, directions = np.linalg.svd(jacobian, full_matrices=True)
        rank = int((singular > _RANK * singular.max(initial=0.0)).sum())
        if rank == jacobian.shape[1]:
            return
        open_ = (np.abs(directions[rank:]) > _UNSEEN).any(axis=0)
        turned = int(eppci.non_slack_bus_mask.sum())
        angles = np.flatnonzero(eppci.non_slack_bus_mask)[open_[:turned]]
        unseen = set(angles.tolist()) | set(np.flatnonzero(open_[turned:]).tolist())
        place = probe["_pd2ppc_lookups"]["bus"]
        buses = [int(bus) for bus in net.bus.index if int(place[bus]) in unseen]
        powers = net.measurement[net.measurement.measurement_type.isin(["p", "q"])]
        known = {
            kind: set(powers.element[(powers.element_type == "bus") & (powers.measurement_type == kind)])
            for kind in ("p", "q")
        }
        lacking = [
            f"{kind.upper()} of {net.bus.name.at[bus]!r}"
            for bus in buses
            for kind in ("p", "q")
            if bus not in known[kind] and bus not in set(net.ext_grid.bus)
        ]
        missing = (
            f"neither measured nor forecast are {', '.join(lacking)}" if lacking else "too little is measured"
        )
        raise Unobservable(buses, [str(net.bus.name.at[bus]) for bus in buses], missing)

    def _worst(self, rows: Sequence[_Row], solver: Any) -> tuple[_Row, float] | None:
        """The row with the largest normalised residual, if that is beyond the threshold."""
        variance = 1 / np.diag(solver.R_inv)
        covariance: Floats = np.einsum("ij,ji->i", solver.H, np.linalg.solve(solver.Gm, solver.H.T))
        remaining = variance - covariance
        testable = remaining > _TESTABLE * variance
        residual = np.where(
            testable, np.abs(solver.r.ravel()) / np.sqrt(np.where(testable, remaining, 1.0)), 0.0
        )
        for place in np.argsort(-residual):
            if residual[place] <= self.settings.most_residual:
                return None
            number = int(solver.pp_meas_indices[place])
            if 0 <= number < len(rows) and rows[number].of is not None:
                return rows[number], float(residual[place])
        return None

    def _state(self, rows: Sequence[_Row], told: Sequence[_Row], net: Any, solver: Any) -> EstimatedState:
        residual = solver.r.ravel()
        chi_squared = float(residual @ solver.R_inv @ residual)
        freedom = solver.H.shape[0] - solver.H.shape[1]
        threshold = float(chi2.ppf(1 - self.settings.false_alarm, freedom)) if freedom else 0.0
        vm_pu = net.res_bus_est.vm_pu
        p_w, q_var = (
            self._at_buses(rows, told, net, kind, net.res_bus_est[column] * 1e6)
            for kind, column in (("p", "p_mw"), ("q", "q_mvar"))
        )
        return EstimatedState(
            buses=self.forecast.buses,
            p_w=p_w,
            q_var=q_var,
            vm_pu={int(bus): float(value) for bus, value in vm_pu.items() if np.isfinite(value)},
            bad=tuple(self.bad),
            contradicted=tuple(sorted({bus for bus, _ in self.weakening})),
            chi_squared=chi_squared,
            threshold=threshold,
        )

    def _at_buses(
        self, rows: Sequence[_Row], told: Sequence[_Row], net: Any, kind: str, estimated: Any
    ) -> Integers:
        """Net power at the forecast's buses. The estimator knows nodes: what it finds at one beyond what its buses' rows say goes
        to them by their variances; where the node's whole power is unknown, what they say stands."""
        place = net["_pd2ppc_lookups"]["bus"]
        at_node: dict[int, float] = {}
        for bus, value in estimated.items():
            if np.isfinite(value):
                at_node[int(place[bus])] = at_node.get(int(place[bus]), 0.0) + float(value)
        said: dict[int, float] = {}
        precision: dict[int, float] = {}
        for row in rows:
            if (row.table, row.quantity) == ("bus", kind):
                weight = 1 / row.std_dev**2
                total = precision.get(row.index, 0.0) + weight
                said[row.index] = (said.get(row.index, 0.0) * (total - weight) + row.value * weight) / total
                precision[row.index] = total
        rest = dict(at_node)
        spread: dict[int, float] = {}
        for bus, value in said.items():
            node = int(place[bus])
            rest[node] = rest.get(node, 0.0) - value
            spread[node] = spread.get(node, 0.0) + 1 / precision[bus]
        is_told = {row.index for row in told if (row.table, row.quantity) == ("bus", kind)}
        found = [
            said[bus]
            + (rest[int(place[bus])] / precision[bus] / spread[int(place[bus])] if bus in is_told else 0.0)
            for bus in self.forecast.buses
        ]
        whole: Integers = np.rint(np.array(found)).astype(np.int64)
        return whole
