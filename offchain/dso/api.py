"""The DSO technical platform's REST API. It only translates HTTP; `DsoService` does the work."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path
from pydantic import BaseModel

from offchain.dso.field import FieldDesk
from offchain.dso.field_api import add_field
from offchain.dso.flow_api import add_flows
from offchain.dso.flow_store import FlowStore
from offchain.dso.records import (
    ActivationStatus,
    KnownPod,
    PodChange,
    ProposedMeans,
    SetPointFault,
    TrackedActivation,
)
from offchain.dso.service import DsoService
from offchain.dso.validation import ValidationDesk
from offchain.dso.validation_api import UNCHECKABLE, add_validation
from offchain.protocol.documents.alarm import SessionAlarms
from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.light_node import ActivationService
from offchain.protocol.documents.own_means import MeansDecision, MeansProposal
from offchain.protocol.documents.pod import ActionType
from offchain.protocol.units import MAX_UNIX_S
from offchain.rest.app import Authenticator, Caller, FromTime, RawBody, ToTime, new_app, read_each
from offchain.rest.registry import RegistryEntry
from offchain.rest.settings import ApiSettings, Role

MOST_A_CALL = 10_000
"""PoDs or activations in one request."""
SessionNumber = Annotated[int, Path(ge=0, lt=2**63)]


class PodView(BaseModel):
    """A PoD as the DSO knows it."""

    podId: str
    pseudonym: str
    aggregatorId: str
    nodeUser: str
    poMId: str | None


class ActivationView(BaseModel):
    """Where an activation is. Times in Unix seconds, null until it has happened."""

    podId: str
    PoD: str
    ActivationId: str
    status: ActivationStatus
    firstQuarterHour: int
    sentTime: int | None
    timesSent: int
    acknowledgedTime: int | None


class SetPointAlarmView(ActivationView):
    """An activation of which the operator must know, and why."""

    level: str
    fault: SetPointFault
    aggregatorId: str


class AlarmsView(BaseModel):
    """`sessions`: of what the grid oracle forecasts. `setPoints`: of activations on their way to the Light Nodes."""

    sessions: list[SessionAlarms]
    setPoints: list[SetPointAlarmView]


class OwnMeansView(BaseModel):
    """Own means for a session and what the operator decided: a plan's number from 1, 0 for none, null until then. `open`:
    whether it may still decide otherwise."""

    proposal: MeansProposal
    plan: int | None
    decidedBy: str | None
    decidedTime: int | None
    open: bool


class Taken(BaseModel):
    """How many items were taken."""

    taken: int


@dataclass(frozen=True)
class Desks:
    """What the platform is made of, a desk a subject."""

    service: DsoService
    validation: ValidationDesk
    flows: FlowStore
    field: FieldDesk


def create_app(desks: Desks, settings: ApiSettings) -> FastAPI:
    """The API: PoDs from the Shared Customer Database, set points from aggregators, and where they are; own means and alarms for the
    operator. `validation_api`, `flow_api` and `field_api` say what else there is.

    POST /pods: array of `RegistryEntry`, in order; `pod.actionType` says what has happened to each.
    POST /setPoints: array of `ActivationService` (D3.3 Table 18), PoDs by pseudonym; all are taken, or none.
    GET /alarms: what the grid oracle's forecasts bring near a limit or beyond it, by session, and set points that aren't with the
    broker in time or that no Light Node acknowledges.
    GET /ownMeans: what the grid oracle proposes before it asks the market; POST /ownMeans/{session}: a `MeansDecision`.
    """
    app, service = new_app("DSO technical platform", UNCHECKABLE), desks.service
    add_validation(app, desks.validation, settings)
    add_flows(app, desks.flows, settings)
    add_field(app, desks.field, settings)
    authenticated = Annotated[Caller, Depends(Authenticator(settings))]

    @app.post("/pods")
    def announce_pods(caller: authenticated, raw: RawBody) -> Taken:
        caller.require(Role.CUSTOMER_DATABASE)
        entries = read_each(RegistryEntry, raw, MOST_A_CALL)
        service.announce([_change(entry) for entry in entries])
        return Taken(taken=len(entries))

    @app.get("/pods")
    def pods(caller: authenticated) -> list[PodView]:
        caller.require(Role.DSO, Role.CUSTOMER_DATABASE)
        return [
            PodView(
                podId=pod.pod_id,
                pseudonym="0x" + pod.pseudonym.hex(),
                aggregatorId=pod.aggregator,
                nodeUser=pod.node_user,
                poMId=pod.pom_id,
            )
            for pod in service.pods()
        ]

    @app.post("/setPoints")
    def take_set_points(caller: authenticated, raw: RawBody) -> Taken:
        caller.require(Role.AGGREGATOR)
        activations = read_each(ActivationService, raw, MOST_A_CALL)
        service.take(caller.name, activations)
        return Taken(taken=len(activations))

    @app.get("/setPoints")
    def set_points(
        caller: authenticated, from_s: FromTime = 0, to_s: ToTime = MAX_UNIX_S
    ) -> list[ActivationView]:
        caller.require(Role.AGGREGATOR, Role.DSO)
        own = caller.name if caller.role is Role.AGGREGATOR else None
        return [
            ActivationView(**_activation(tracked, status))
            for tracked, status in service.activations(own, from_s, to_s)
        ]

    @app.get("/alarms")
    def alarms(caller: authenticated, from_s: FromTime = 0, to_s: ToTime = MAX_UNIX_S) -> AlarmsView:
        caller.require(Role.DSO)
        return AlarmsView(
            sessions=service.alarms(from_s, to_s),
            setPoints=[
                SetPointAlarmView(
                    level=alarm.level,
                    fault=alarm.fault,
                    aggregatorId=alarm.activation.aggregator,
                    **_activation(alarm.activation, status),
                )
                for alarm, status in service.set_point_alarms(from_s, to_s)
            ],
        )

    @app.get("/ownMeans")
    def own_means(
        caller: authenticated, from_s: FromTime = 0, to_s: ToTime = MAX_UNIX_S
    ) -> list[OwnMeansView]:
        caller.require(Role.DSO)
        return [_view(known) for known in service.own_means(from_s, to_s)]

    @app.post("/ownMeans/{session}")
    def decide(caller: authenticated, session: SessionNumber, raw: RawBody) -> Taken:
        caller.require(Role.DSO)
        service.decide(session, parse(MeansDecision, raw).plan, caller.name)
        return Taken(taken=1)

    return app


def _activation(tracked: TrackedActivation, status: ActivationStatus) -> dict[str, Any]:
    return {
        "podId": tracked.pod_id,
        "PoD": "0x" + tracked.sent.pod.hex(),
        "ActivationId": "0x" + tracked.sent.activation_id.hex(),
        "status": status,
        "firstQuarterHour": tracked.first_s,
        "sentTime": tracked.sent_s,
        "timesSent": tracked.times_sent,
        "acknowledgedTime": tracked.acknowledged_s,
    }


def _view(known: ProposedMeans) -> OwnMeansView:
    return OwnMeansView(
        proposal=known.proposal,
        plan=known.plan,
        decidedBy=known.decided_by,
        decidedTime=known.decided_s,
        open=not known.closed,
    )


def _change(entry: RegistryEntry) -> PodChange:
    known = KnownPod(
        pod_id=entry.pod.pod_id,
        pseudonym=entry.pseudonym,
        aggregator=entry.pod.aggregator_id,
        node_user=entry.node_user,
        node_address=entry.node_address,
        document=dump(entry.pod).decode(),
    )
    return PodChange(known, removed=entry.pod.action_type is ActionType.DELETE)
