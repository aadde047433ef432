"""Alarms of a session's forecast, told to the DSO's control room."""

import logging
from typing import Protocol

from offchain.protocol.documents.alarm import GridAlarm, SessionAlarms
from offchain.protocol.documents.base import build
from offchain.protocol.terms import SessionTerms
from oracles.grid.core.power_flow import solve_power_flow
from oracles.grid.core.violations import AlarmSettings, Watch, find_alarms
from oracles.grid.facts import AnchoredGrid

logger = logging.getLogger(__name__)


class AlarmDesk(Protocol):
    """Where the DSO's operator sees alarms."""

    def alarm(self, alarms: SessionAlarms) -> None:
        """Take a session's alarms; those told before are replaced."""


def session_alarms(terms: SessionTerms, grid: AnchoredGrid, settings: AlarmSettings) -> SessionAlarms:
    """Alarms of the delivery window on what is anchored. Thresholds of elements that aren't in this model, perhaps because they
    are switched off, are left aside.

    Raises PowerFlowDiverged where a slot has no solution.
    """
    known = {element.key for element in Watch(grid.model).elements}
    there = {key: each for key, each in settings.of_elements.items() if key in known}
    if len(there) < len(settings.of_elements):
        logger.warning("no such elements: %s", ", ".join(sorted(settings.of_elements.keys() - known)))
    settings = AlarmSettings(settings.of_grid, there)
    forecast = grid.forecast
    flow = solve_power_flow(grid.model, forecast.p_w[: terms.slots], forecast.q_var[: terms.slots])
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
        grid_model="0x" + grid.model_hash.hex(),
        alarms=tuple(alarms),
    )
