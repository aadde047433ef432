"""Routes of the DSO's platform for measurements from the field."""

from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import Response
from pydantic import BaseModel

from offchain.dso.field import FieldDesk
from offchain.protocol.documents.field import FieldMeasurement
from offchain.protocol.units import MAX_UNIX_S
from offchain.rest.app import Authenticator, Caller, FromTime, RawBody, ToTime, documents_response, read_each
from offchain.rest.settings import ApiSettings, Role

MOST_MEASUREMENTS = 10_000


class SensorView(BaseModel):
    """What a sensor measures, and where, and when it was heard of first and last."""

    sensor: str
    quantity: str
    element: str
    side: str | None
    firstTime: int
    lastTime: int


class MeasurementsTaken(BaseModel):
    """How many measurements were taken."""

    taken: int


def add_field(app: FastAPI, desk: FieldDesk, settings: ApiSettings) -> None:
    """POST /measurements: array of `FieldMeasurement` from a gateway of the DSO's sensors; all are taken, or none.

    GET /sensors: all that were heard of. GET /fieldReports: by quarter-hour, what the grid oracle made of them, bad data named.
    """
    authenticated = Annotated[Caller, Depends(Authenticator(settings))]

    @app.post("/measurements")
    def take(caller: authenticated, raw: RawBody) -> MeasurementsTaken:
        caller.require(Role.FIELD_GATEWAY)
        measurements = read_each(FieldMeasurement, raw, MOST_MEASUREMENTS)
        desk.take(caller.name, measurements)
        return MeasurementsTaken(taken=len(measurements))

    @app.get("/sensors")
    def sensors(caller: authenticated) -> list[SensorView]:
        caller.require(Role.DSO)
        return [
            SensorView(
                sensor=each.sensor,
                quantity=each.quantity,
                element=each.element,
                side=each.side,
                firstTime=each.first_s,
                lastTime=each.last_s,
            )
            for each in desk.sensors()
        ]

    @app.get("/fieldReports")
    def reports(caller: authenticated, from_s: FromTime = 0, to_s: ToTime = MAX_UNIX_S) -> Response:
        caller.require(Role.DSO)
        return documents_response(desk.reports(from_s, to_s))
