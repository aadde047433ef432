"""The Shared Customer Database's REST API. It only translates HTTP; `CustomerDatabase` does the work."""

from datetime import date
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Response
from pydantic import BaseModel

from offchain.customer_database.certified import FieldError
from offchain.customer_database.documents import AttributedActivation, BaselineNomination
from offchain.customer_database.records import Pod, Reading
from offchain.customer_database.service import CustomerDatabase, Measurement, entry_of, pseudonymous_entry_of
from offchain.protocol.documents.base import build, parse
from offchain.protocol.documents.certified_reading import CertifiedReading
from offchain.protocol.documents.measurement import (
    Energy,
    EnergyValue,
    MeasuredEnergies,
    MeasurementRow,
    Measurements,
    measurements,
)
from offchain.protocol.units import MAX_UNIX_S
from offchain.rest.app import (
    Authenticator,
    Caller,
    FromTime,
    RawBody,
    ToTime,
    documents_response,
    new_app,
    read_each,
)
from offchain.rest.registry import PodRegistration, PomAssociation
from offchain.rest.settings import ApiSettings, Role

MOST_A_CALL = 10_000
"""PoDs, baselines or activations in one request."""
MISSING = "missing"
"""Quality of an energy of which no reading came."""
NO_READING = "NO_READING"


class Taken(BaseModel):
    """How many items were taken."""

    taken: int


class BaselineView(BaseModel):
    """A quarter-hour of a baseline: W and var, absorbed minus injected."""

    pseudonym: str
    startTime: int
    activeW: int
    reactiveVar: int


class AnomalyView(BaseModel):
    """Something wrong with a PoD's data; `time`: what it concerns."""

    pod: str
    code: str
    description: str
    source: str
    time: int


def create_app(service: CustomerDatabase, settings: ApiSettings) -> FastAPI:
    """The API.

    POST /pods takes an array of `PodRegistration`, PUT /pods/{podId} one; POST /baselines an array of
    `BaselineNomination`, POST /setPoints of `AttributedActivation`. What comes in an array is taken whole, or not at
    all. An aggregator sees its own PoDs, the DSO all; market and TSO see pseudonyms.
    """
    app = new_app("Shared Customer Database")
    authenticated = Annotated[Caller, Depends(Authenticator(settings))]

    @app.post("/pods", status_code=201)
    def register(caller: authenticated, raw: RawBody) -> Response:
        caller.require(Role.AGGREGATOR)
        pods = service.register(caller.name, read_each(PodRegistration, raw, MOST_A_CALL))
        return documents_response([entry_of(pod) for pod in pods], 201)

    @app.put("/pods/{pod_id}")
    def modify(caller: authenticated, pod_id: str, raw: RawBody) -> Taken:
        caller.require(Role.AGGREGATOR)
        service.modify(caller.name, pod_id, parse(PodRegistration, raw))
        return Taken(taken=1)

    @app.delete("/pods/{pod_id}")
    def remove(caller: authenticated, pod_id: str) -> Taken:
        caller.require(Role.AGGREGATOR)
        service.remove(caller.name, pod_id)
        return Taken(taken=1)

    @app.get("/pods")
    def pods(caller: authenticated) -> Response:
        found = service.pods(_own(caller))
        if _may_link(caller):
            return documents_response([entry_of(pod) for pod in found])
        return documents_response([pseudonymous_entry_of(pod) for pod in found])

    @app.post("/pods/{pod_id}/pom")
    def associate(caller: authenticated, pod_id: str, raw: RawBody) -> Taken:
        caller.require(Role.DSO)
        service.associate(pod_id, parse(PomAssociation, raw).po_m_id)
        return Taken(taken=1)

    @app.post("/baselines")
    def nominate(caller: authenticated, raw: RawBody) -> Taken:
        caller.require(Role.AGGREGATOR)
        nominations = read_each(BaselineNomination, raw, MOST_A_CALL)
        service.nominate(caller.name, nominations)
        return Taken(taken=len(nominations))

    @app.get("/baselines")
    def baselines(
        caller: authenticated,
        pod_id: Annotated[str, Query(alias="podId")],
        from_s: FromTime = 0,
        to_s: ToTime = MAX_UNIX_S,
    ) -> list[BaselineView]:
        caller.require(Role.AGGREGATOR, Role.DSO)
        return [
            BaselineView(
                pseudonym="0x" + row.pseudonym.hex(),
                startTime=row.start_s,
                activeW=row.power_w,
                reactiveVar=row.reactive_var,
            )
            for row in service.baselines(_own(caller), pod_id, from_s, to_s)
        ]

    @app.get("/readings")
    def readings(
        caller: authenticated,
        pod_id: Annotated[str, Query(alias="podId")],
        from_s: FromTime = 0,
        to_s: ToTime = MAX_UNIX_S,
    ) -> Response:
        caller.require(Role.AGGREGATOR, Role.DSO)
        found = service.readings(_own(caller), pod_id, from_s, to_s)
        return documents_response([_certified_reading(pod_id, reading) for reading in found])

    @app.post("/setPoints")
    def attribute(caller: authenticated, raw: RawBody) -> Taken:
        caller.require(Role.AGGREGATOR)
        activations = read_each(AttributedActivation, raw, MOST_A_CALL)
        service.attribute(caller.name, activations)
        return Taken(taken=len(activations))

    @app.get("/measurements")
    def day_measurements(caller: authenticated, day: date) -> Response:
        link = _may_link(caller)
        found = service.measurements(_own(caller), day)
        return documents_response([_measurement(measurement, link) for measurement in found])

    @app.get("/anomalies")
    def anomalies(
        caller: authenticated, from_s: FromTime = 0, to_s: ToTime = MAX_UNIX_S
    ) -> list[AnomalyView]:
        own = _own(caller)
        visible = None if own is None else {"0x" + pod.pseudonym.hex() for pod in service.pods(own)}
        return [
            AnomalyView(
                pod=anomaly.pod,
                code=anomaly.code,
                description=anomaly.description,
                source=anomaly.source,
                time=anomaly.at_s,
            )
            for anomaly in service.anomalies(from_s, to_s)
            if visible is None or anomaly.pod in visible
        ]

    return app


def _own(caller: Caller) -> str | None:
    """An aggregator's own name: it sees nothing else. None for those who see all."""
    return caller.name if caller.role is Role.AGGREGATOR else None


def _may_link(caller: Caller) -> bool:
    """Whether the caller may know which PoD is behind a pseudonym."""
    return caller.role in (Role.AGGREGATOR, Role.DSO)


def _certified_reading(pod_id: str, reading: Reading) -> CertifiedReading:
    return build(
        CertifiedReading,
        pod_id=pod_id,
        pseudonym=reading.pseudonym,
        start_time=reading.start_s,
        absorbed_active_wh=reading.absorbed_active_wh,
        injected_active_wh=reading.injected_active_wh,
        absorbed_inductive_varh=reading.absorbed_inductive_varh,
        injected_inductive_varh=reading.injected_inductive_varh,
        absorbed_capacitive_varh=reading.absorbed_capacitive_varh,
        injected_capacitive_varh=reading.injected_capacitive_varh,
        sequence=reading.sequence,
        batch_root=reading.batch_root,
        position=reading.position,
        transaction_id=reading.transaction,
    )


def _measurement(measurement: Measurement, link: bool) -> Measurements:
    """D2.3 Table 18 of a quarter-hour; where no reading came, energies of 0 whose quality says that they are missing.

    Of readings that differ the one with the lowest sequence number is told, and the anomaly says that there are more.
    """
    pod: Pod = measurement.pod
    point = measurement.set_point
    found = sorted(measurement.readings, key=lambda reading: reading.sequence)
    energies = _energies(found[0]) if found else MeasuredEnergies(0, 0, 0, 0, 0, 0)
    anomaly = NO_READING if not found else FieldError.CONTRADICTING if len(found) > 1 else None
    document = measurements(
        MeasurementRow(
            aggregator_id=pod.aggregator,
            pod=pod.pod_id if link else "0x" + pod.pseudonym.hex(),
            start_s=point.start_s,
            energies=energies,
            market_outcome_id=point.market_outcome,
            set_point_w=point.active_w,
            set_point_var=point.reactive_var,
            anomaly=anomaly,
        )
    )
    if found:
        return document
    nothing = build(EnergyValue, value=0, quality=MISSING)
    return document.model_copy(
        update={"measures": build(Energy, **dict.fromkeys(Energy.model_fields, nothing))}
    )


def _energies(reading: Reading) -> MeasuredEnergies:
    return MeasuredEnergies(
        reading.absorbed_active_wh,
        reading.injected_active_wh,
        reading.absorbed_inductive_varh,
        reading.injected_inductive_varh,
        reading.absorbed_capacitive_varh,
        reading.injected_capacitive_varh,
    )
