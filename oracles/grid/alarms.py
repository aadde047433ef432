"""Alarms of a session's forecast, told to the DSO's control room with who can help."""

import logging
from collections.abc import Sequence
from typing import Protocol

from offchain.protocol.documents.alarm import GridAlarm, SessionAlarms
from offchain.protocol.documents.base import build
from offchain.protocol.terms import SessionTerms
from oracles.grid.core.power_flow import PowerFlow
from oracles.grid.core.violations import AlarmLevel, AlarmSettings, Watch, find_alarms
from oracles.grid.facts import AnchoredGrid
from oracles.grid.helping import CouldGive, Helpers

logger = logging.getLogger(__name__)


class AlarmDesk(Protocol):
    """Where the DSO's operator sees alarms."""

    def alarm(self, alarms: SessionAlarms) -> None:
        """Take a session's alarms; those told before are replaced."""


def session_alarms(
    terms: SessionTerms,
    grid: AnchoredGrid,
    flow: PowerFlow,
    settings: AlarmSettings,
    could: Sequence[CouldGive] = (),
) -> SessionAlarms:
    """Alarms of the delivery window's power flow on what is anchored, and of `could` who can help where a limit is passed.
    Thresholds of elements that aren't in this model, perhaps because they are switched off, are left aside.
    """
    known = {element.key for element in Watch(grid.model).elements}
    there = {key: each for key, each in settings.of_elements.items() if key in known}
    if len(there) < len(settings.of_elements):
        logger.warning("no such elements: %s", ", ".join(sorted(settings.of_elements.keys() - known)))
    settings = AlarmSettings(settings.of_grid, there)
    helpers = Helpers(flow, could)
    alarms = []
    for alarm in find_alarms(flow, settings):
        helping, totals = ((), ()) if alarm.level < AlarmLevel.ALARM else helpers.of(alarm)
        told = build(
            GridAlarm,
            level=alarm.level.name.lower(),
            type="voltage" if alarm.element.kind == "bus" else "congestion",
            element=alarm.element.key,
            side=alarm.element.side.value,
            unit=int(alarm.element.unit),
            first_slot=alarm.first_slot,
            slots=alarm.slots,
            worst_slot=alarm.worst_slot,
            value=alarm.value,
            limit=alarm.limit,
            helping=helping,
            helping_totals=totals,
        )
        alarms.append(told)
    return build(
        SessionAlarms,
        session=terms.session,
        delivery_start=terms.deliveryStart,
        delivery_end=terms.delivery_end_s,
        grid_model="0x" + grid.model_hash.hex(),
        alarms=tuple(alarms),
    )
