"""Routes of the DSO's platform for power flows: summaries by session, elements by the page, values by slot."""

from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Path, Query
from pydantic import BaseModel

from offchain.dso.flow_store import ElementFlow, Extreme, FlowStore
from offchain.protocol.errors import InvalidInput
from offchain.protocol.units import MAX_UNIX_S
from offchain.rest.app import Authenticator, Caller, FromTime, ToTime
from offchain.rest.refusals import NotFound
from offchain.rest.settings import ApiSettings, Role

MOST_A_PAGE = 1000
"""Elements of a page."""
MOST_VALUES = 100_000
"""Elements times slots of a page."""
SessionNumber = Annotated[int, Path(ge=0, lt=2**63)]
Kind = Literal["bus", "trafo", "line", "impedance"]


class ExtremeView(BaseModel):
    """Where a quantity is highest or lowest over all slots."""

    element: str
    value: int


class FlowSummaryView(BaseModel):
    """A session's power flows in short: loading in milli-percent, voltages in micro-pu."""

    session: int
    deliveryStart: int
    deliveryEnd: int
    gridModel: str
    slots: int
    nodes: int
    branches: int
    lossesWh: int
    highestLoading: ExtremeView | None
    highestVoltage: ExtremeView | None
    lowestVoltage: ExtremeView | None


class ElementView(BaseModel):
    """An element over the session: the limits of its voltage (micro-pu) or loading (milli-percent), and the highest and lowest of it
    with their first slots. `values`: by quantity, for the slots asked for."""

    element: str
    highestAllowed: int
    lowestAllowed: int | None
    highest: int
    highestSlot: int
    lowest: int
    lowestSlot: int
    values: dict[str, list[int]]


class ElementPage(BaseModel):
    """Elements in the grid model's order, and what to give as `after` for the next page, null where there is none."""

    firstSlot: int
    elements: list[ElementView]
    next: int | None


def add_flows(app: FastAPI, flows: FlowStore, settings: ApiSettings) -> None:
    """GET /powerFlows: of deliveries in a time. GET /powerFlows/{session}: its elements, `most` a page, of a `kind` or one `element`;
    with `firstSlot` and `slots` their values there."""
    authenticated = Annotated[Caller, Depends(Authenticator(settings))]

    @app.get("/powerFlows")
    def summaries(
        caller: authenticated, from_s: FromTime = 0, to_s: ToTime = MAX_UNIX_S
    ) -> list[FlowSummaryView]:
        caller.require(Role.DSO)
        return [
            FlowSummaryView(
                session=each.session,
                deliveryStart=each.delivery_start,
                deliveryEnd=each.delivery_end,
                gridModel=each.grid_model,
                slots=each.slots,
                nodes=each.nodes,
                branches=each.branches,
                lossesWh=each.losses_wh,
                highestLoading=_extreme(each.highest_loading),
                highestVoltage=_extreme(each.highest_voltage),
                lowestVoltage=_extreme(each.lowest_voltage),
            )
            for each in flows.summaries(from_s, to_s)
        ]

    @app.get("/powerFlows/{session}")
    def elements(
        caller: authenticated,
        session: SessionNumber,
        kind: Kind | None = None,
        element: str | None = None,
        first_slot: Annotated[int, Query(alias="firstSlot", ge=0, le=100)] = 0,
        slots: Annotated[int, Query(ge=0, le=100)] = 0,
        after: Annotated[int, Query(ge=-1, lt=2**63)] = -1,
        most: Annotated[int, Query(ge=1, le=MOST_A_PAGE)] = 100,
    ) -> ElementPage:
        caller.require(Role.DSO)
        known = flows.slots(session)
        if known is None:
            raise NotFound(f"session = {session}: there are no power flows of it")
        if first_slot + slots > known:
            raise InvalidInput("slots", slots, f"must end at slot {known}, beginning with slot {first_slot}")
        if most * slots > MOST_VALUES:
            raise InvalidInput("most", most, f"must be at most {MOST_VALUES // slots} for {slots} slots")
        found = flows.elements(session, after, most + 1, kind, element)
        shown = found[:most]
        return ElementPage(
            firstSlot=first_slot,
            elements=[_element(each, slice(first_slot, first_slot + slots)) for each in shown],
            next=shown[-1].number if len(found) > most else None,
        )


def _extreme(extreme: Extreme | None) -> ExtremeView | None:
    return None if extreme is None else ExtremeView(element=extreme.element, value=extreme.value)


def _element(flow: ElementFlow, slots: slice) -> ElementView:
    held = next(iter(flow.values.values()))
    highest, lowest = int(held.argmax()), int(held.argmin())
    return ElementView(
        element=flow.element,
        highestAllowed=flow.highest_allowed,
        lowestAllowed=flow.lowest_allowed,
        highest=int(held[highest]),
        highestSlot=highest,
        lowest=int(held[lowest]),
        lowestSlot=lowest,
        values={name: values[slots].tolist() for name, values in flow.values.items()}
        if slots.stop > slots.start
        else {},
    )
