"""Alarms of a session's forecast, told to the DSO's control room."""

from typing import Protocol

from offchain.protocol.documents.alarm import GridAlarm, SessionAlarms
from offchain.protocol.documents.base import build
from offchain.protocol.terms import SessionTerms
from oracles.grid.core.network import GridModel, Integers
from oracles.grid.core.power_flow import solve_power_flow
from oracles.grid.core.violations import AlarmSettings, find_alarms


class AlarmDesk(Protocol):
    """Where the DSO's operator sees alarms."""

    def alarm(self, alarms: SessionAlarms) -> None:
        """Take a session's alarms; those told before are replaced."""


def session_alarms(
    terms: SessionTerms,
    model: GridModel,
    model_hash: bytes,
    p_w: Integers,
    q_var: Integers,
    settings: AlarmSettings,
) -> SessionAlarms:
    """Alarms of the delivery window. `p_w`, `q_var` (slots or more, nodes): the forecast.

    Raises InvalidInput where the settings name an element that isn't there, PowerFlowDiverged where a slot has no solution.
    """
    flow = solve_power_flow(model, p_w[: terms.slots], q_var[: terms.slots])
    alarms = [
        build(
            GridAlarm,
            level=alarm.level.name.lower(),
            element=alarm.element.key,
            side=alarm.element.side.value,
            unit=int(alarm.element.unit),
            first_slot=alarm.first_slot,
            slots=alarm.slots,
            worst_slot=alarm.worst_slot,
            value=alarm.value,
            limit=alarm.limit,
        )
        for alarm in find_alarms(flow, settings)
    ]
    return build(
        SessionAlarms,
        session=terms.session,
        delivery_start=terms.deliveryStart,
        delivery_end=terms.delivery_end_s,
        grid_model="0x" + model_hash.hex(),
        alarms=tuple(alarms),
    )
