"""Measurements of a PoD in an interval (D2.3 Tables 18 to 21).

The text of Table 18 gives `dateTime` the type Number and the format of a date: it is a date here, the
interval's start. Tables 21 and 24 spell the outcome's id with an l for the I of `marketOutcomeId`, which is
meant.
"""

from dataclasses import dataclass

from pydantic import Field

from offchain.protocol.documents.base import Document, Identifier, Kw, Kwh, Moment, PodReference, build
from offchain.protocol.units import (
    datetime_to_unix_s,
    kw_to_w,
    kwh_to_wh,
    unix_s_to_datetime,
    w_to_kw,
    wh_to_kwh,
)

CERTIFIED = "certified"
"""Quality of an energy that was signed by its Light Node and anchored."""


@dataclass(frozen=True)
class MeasuredEnergies:
    """Energies of an interval in Wh and varh, in the order of Table 19."""

    absorbed_active_wh: int
    injected_active_wh: int
    absorbed_inductive_varh: int
    injected_inductive_varh: int
    absorbed_capacitive_varh: int
    injected_capacitive_varh: int


@dataclass(frozen=True)
class MeasurementRow:
    """What a PoD's meter measured in the interval that starts then (UTC Unix seconds), and what it was to do.

    Set point: net power (absorbed minus injected), W and var.
    """

    aggregator_id: str | None
    pod: str
    start_s: int
    energies: MeasuredEnergies
    market_outcome_id: str
    set_point_w: int
    set_point_var: int
    anomaly: str | None = None


class EnergyValue(Document):
    """An energy and how far it can be relied on."""

    value: Kwh
    quality: Identifier


class Energy(Document):
    """Table 19: kWh and kvarh."""

    absorbed_active_energy: EnergyValue
    injected_active_energy: EnergyValue = Field(alias="InjectedActiveEnergy")
    absorbed_inductive_reactive_energy: EnergyValue
    injected_inductive_reactive_energy: EnergyValue
    absorbed_capacitive_reactive_energy: EnergyValue
    injected_capacitive_reactive_energy: EnergyValue


class Power(Document):
    """Table 20: measured power of an interval."""

    p: Kw
    q: Kw


class SetPoint(Document):
    """Table 21: what the PoD was to do in the interval."""

    market_outcome_id: Identifier
    active_power: Kw
    reactive_power: Kw


class Measurements(Document):
    """Table 18."""

    aggregator_id: Identifier | None = None
    pod: PodReference
    date_time: Moment
    anomaly: Identifier | None = None
    measures: Energy
    set_point: SetPoint


def measurements(row: MeasurementRow) -> Measurements:
    """Table 18 from integers. Raises InvalidInput."""
    energies = row.energies
    optional = {"aggregator_id": row.aggregator_id, "anomaly": row.anomaly}
    return build(
        Measurements,
        pod=row.pod,
        date_time=unix_s_to_datetime(row.start_s),
        measures=build(
            Energy,
            absorbed_active_energy=_value(energies.absorbed_active_wh),
            injected_active_energy=_value(energies.injected_active_wh),
            absorbed_inductive_reactive_energy=_value(energies.absorbed_inductive_varh),
            injected_inductive_reactive_energy=_value(energies.injected_inductive_varh),
            absorbed_capacitive_reactive_energy=_value(energies.absorbed_capacitive_varh),
            injected_capacitive_reactive_energy=_value(energies.injected_capacitive_varh),
        ),
        set_point=build(
            SetPoint,
            market_outcome_id=row.market_outcome_id,
            active_power=w_to_kw(row.set_point_w),
            reactive_power=w_to_kw(row.set_point_var),
        ),
        **{name: value for name, value in optional.items() if value is not None},
    )


def measurement_row(document: Measurements) -> MeasurementRow:
    """Table 18 as integers. Raises InvalidInput for a date before 1970 or with a part of a second."""
    measures, point = document.measures, document.set_point

    def wh(name: str, energy: EnergyValue) -> int:
        return kwh_to_wh(f"measures.{name}.value", energy.value)

    energies = MeasuredEnergies(
        wh("absorbedActiveEnergy", measures.absorbed_active_energy),
        wh("InjectedActiveEnergy", measures.injected_active_energy),
        wh("absorbedInductiveReactiveEnergy", measures.absorbed_inductive_reactive_energy),
        wh("injectedInductiveReactiveEnergy", measures.injected_inductive_reactive_energy),
        wh("absorbedCapacitiveReactiveEnergy", measures.absorbed_capacitive_reactive_energy),
        wh("injectedCapacitiveReactiveEnergy", measures.injected_capacitive_reactive_energy),
    )
    return MeasurementRow(
        document.aggregator_id,
        document.pod,
        datetime_to_unix_s("dateTime", document.date_time),
        energies,
        point.market_outcome_id,
        kw_to_w("setPoint.activePower", point.active_power),
        kw_to_w("setPoint.reactivePower", point.reactive_power),
        document.anomaly,
    )


def measured_power(power_w: int, reactive_var: int) -> Power:
    """Table 20 from integers."""
    return build(Power, p=w_to_kw(power_w), q=w_to_kw(reactive_var))


def _value(energy_wh: int) -> EnergyValue:
    return build(EnergyValue, value=wh_to_kwh(energy_wh), quality=CERTIFIED)
