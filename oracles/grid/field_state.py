"""What is measured in the field moves the forecast of real time: the state of the quarter-hours that have ended is estimated from it,
and where that can't be done the operator is told why, and nothing changes."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Protocol

from offchain.protocol.documents.base import build
from offchain.protocol.documents.field import FieldReport, Sensor, SensorAlarm, SensorMean
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.metering import Net, PodSlot
from offchain.protocol.terms import SLOT_S, SessionTerms
from oracles.grid.core.own_means import BusForecast
from oracles.grid.core.pandapower_elements import unique_names
from oracles.grid.estimated_readings import EstimatedReadings
from oracles.grid.state_estimation import (
    EstimationSettings,
    Measurement,
    Quantity,
    estimate_state,
    supplied_buses,
)
from oracles.grid.switched_network import SwitchedNetwork

logger = logging.getLogger(__name__)

GRACE_S = 60
"""After a real-time session's baseline gate, for readings that are still on their way."""
SLOTS = 8
"""Quarter-hours before the forecast of which the state is estimated."""
REMEMBERED_S = 24 * 3600
"""A sensor that was heard of in this time is missed where it says nothing."""
PLAUSIBLE_PU = (0.5, 1.5)
PLAUSIBLE_RATINGS = 10
"""A voltage, and a power in ratings of the grid, beyond which an instrument is broken: the estimator finds no state with it."""
NO_STATE = (FlexledgerError, ArithmeticError, LookupError, TypeError, UserWarning, ValueError)
"""What the estimator's library raises, too, where a net or measurements are none that it can do with."""
_QUANTITIES = {
    "voltage": Quantity.VOLTAGE,
    "activePower": Quantity.ACTIVE,
    "reactivePower": Quantity.REACTIVE,
    "current": Quantity.CURRENT,
}
_ENDS = {"line": ("from_bus", "to_bus"), "trafo": ("hv_bus", "lv_bus")}


class FieldDesk(Protocol):
    """Where measurements come in, and the operator sees what became of them."""

    def sensors(self) -> Sequence[Sensor]:
        """Every sensor, by name."""

    def means(self, from_s: int, to_s: int) -> Sequence[SensorMean]:
        """Of the sensors that read anything in [from_s, to_s), by name."""

    def report(self, report: FieldReport) -> None:
        """Take a report on a quarter-hour; the last one of a session stands."""


@dataclass(frozen=True, eq=False)
class Usual:
    """What is known of a day without measurements: its day-ahead session, what the market's PoDs are expected to do in its slots, and
    with that what everybody is at each bus."""

    terms: SessionTerms
    nets: Mapping[PodSlot, Net]
    forecast: BusForecast


@dataclass(frozen=True)
class FieldState:
    """Estimates the state from what `desk` has, into `readings`, which the forecast of `network` reads."""

    network: SwitchedNetwork
    readings: EstimatedReadings
    desk: FieldDesk
    settings: EstimationSettings = EstimationSettings()

    def quarter_hours(self, terms: SessionTerms) -> list[int]:
        """Starts of the quarter-hours before a session's forecast."""
        last_s = terms.baselineGate // SLOT_S * SLOT_S
        return [last_s - SLOT_S * ago for ago in range(SLOTS, 0, -1)]

    def look(self, session: int, start_s: int, usual: Usual | None, network: SwitchedNetwork) -> None:
        """Estimate a quarter-hour's state on `network`, which is as it was switched then, and report it."""
        fresh = self.desk.means(start_s, start_s + SLOT_S)
        measurements, alarms = self._measurements(fresh, network)
        alarms += self._stale({each.sensor.sensor for each in fresh}, start_s)
        report: dict[str, object] = {
            "session": session,
            "quarter_hour": start_s,
            "sensors": len(measurements),
            "estimated": False,
        }
        if usual is None:
            self._tell(
                report,
                "what is usual isn't known: there is no day-ahead session, or it can't be read",
                alarms,
            )
            return
        if not measurements:
            self._tell(report, "nothing was measured", alarms)
            return
        slot, known = usual.terms.slot_at(start_s), self.readings.buses
        forecast = BusForecast(
            usual.forecast.buses, usual.forecast.p_w[slot : slot + 1], usual.forecast.q_var[slot : slot + 1]
        )
        of_market = network.of_market(usual.nets, slot)
        try:
            state = estimate_state(network.net, measurements, forecast, self.settings)
            self.readings.take(
                start_s, state.at(known), {bus: net for bus, net in of_market.items() if bus in known}
            )
        except NO_STATE as problem:
            self._tell(report, f"no state: {problem!r}", alarms)
            return
        element_of = {each.sensor.sensor: each.sensor.element for each in fresh}
        alarms += [
            build(
                SensorAlarm,
                sensor=bad.measurement.name,
                element=element_of[bad.measurement.name],
                kind="badData",
                value=_raw(bad.measurement, network),
                residual=round(1000 * bad.residual),
            )
            for bad in state.bad
        ]
        names = _names(network.net, "bus")
        report |= {
            "estimated": True,
            "contradicted": tuple(f"bus:{names[bus]}" for bus in state.contradicted),
            "consistent": state.is_consistent,
        }
        self._tell(report, f"estimated from {len(measurements) - len(state.bad)} sensors", alarms)

    def _tell(self, report: dict[str, object], says: str, alarms: Sequence[SensorAlarm]) -> None:
        told = build(FieldReport, **report, says=says, alarms=tuple(alarms))
        for alarm in alarms:
            logger.warning("quarter-hour %d: sensor %s: %s", told.quarter_hour, alarm.sensor, alarm.kind)
        logger.info("session %d: quarter-hour %d: %s", told.session, told.quarter_hour, says)
        self.desk.report(told)

    def _measurements(
        self, fresh: Sequence[SensorMean], network: SwitchedNetwork
    ) -> tuple[list[Measurement], list[SensorAlarm]]:
        """What the estimator gets, and the sensors that can't be used."""
        net, supplied = network.net, supplied_buses(network.net)
        index_of = {
            f"{table}:{name}": (table, index)
            for table in ("bus", "line", "trafo")
            for index, name in _names(net, table).items()
        }
        measurements, alarms = [], []
        for mean in fresh:
            sensor = mean.sensor
            table, index = index_of.get(sensor.element, ("", -1))
            wrong = "unknownElement" if not table else None
            if table and not _is_supplied(net, supplied, table, index):
                wrong = "notSupplied"
            if wrong is not None:
                alarms.append(_alarm(sensor, wrong))
                continue
            quantity = _QUANTITIES[sensor.quantity]
            unit = _unit(net, quantity, index)
            measurement = Measurement(
                name=sensor.sensor,
                quantity=quantity,
                table=table,
                index=index,
                value=mean.value * unit,
                std_dev=mean.std_dev * unit,
                side=sensor.side,
            )
            if _is_plausible(measurement, network):
                measurements.append(measurement)
            else:
                alarms.append(_alarm(sensor, "implausible", round(mean.value)))
        return measurements, alarms

    def _stale(self, heard: set[str], start_s: int) -> list[SensorAlarm]:
        """Sensors that had been heard of not long before, and weren't in this quarter-hour."""
        return [
            _alarm(sensor, "stale")
            for sensor in self.desk.sensors()
            if sensor.first_s < start_s <= sensor.last_s + REMEMBERED_S and sensor.sensor not in heard
        ]


def _alarm(sensor: Sensor, kind: str, value: int | None = None) -> SensorAlarm:
    known = {} if value is None else {"value": value}
    return build(
        SensorAlarm, sensor=sensor.sensor, element=sensor.element, kind=kind, last_time=sensor.last_s, **known
    )


def _is_plausible(measurement: Measurement, network: SwitchedNetwork) -> bool:
    value = measurement.value
    if measurement.quantity is Quantity.VOLTAGE:
        lowest, highest = PLAUSIBLE_PU
        return lowest <= value <= highest
    if measurement.quantity is Quantity.CURRENT:
        net, table = network.net, measurement.table
        end = _ENDS[table][0 if measurement.side in ("from", "hv") else 1]
        value *= float(net.bus.vn_kv.at[net[table][end].at[measurement.index]]) * 1000 * sqrt(3)
    return abs(value) <= PLAUSIBLE_RATINGS * network.rating_w


def _names(net: Any, table: str) -> dict[int, str]:
    """Names of a table's elements as the grid model has them, by index."""
    return unique_names(table, list(zip(net[table].index, net[table].name, strict=True)))


def _is_supplied(net: Any, supplied: set[int], table: str, index: int) -> bool:
    if table == "bus":
        return index in supplied
    row = net[table].loc[index]
    return bool(row.in_service) and all(int(row[end]) in supplied for end in _ENDS[table])


def _unit(net: Any, quantity: Quantity, index: int) -> float:
    """The estimator's unit (pu, W, var, A) of one of ours (mV, W, var, mA)."""
    if quantity is Quantity.VOLTAGE:
        return 1e-6 / float(net.bus.vn_kv.at[index])
    return 1e-3 if quantity is Quantity.CURRENT else 1.0


def _raw(measurement: Measurement, network: SwitchedNetwork) -> int:
    """A measurement's value in our unit."""
    return round(measurement.value / _unit(network.net, measurement.quantity, measurement.index))
