"""Alarms of a session's forecast, told to the DSO's control room with who can help."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from offchain.protocol.documents.alarm import (
    GridAlarm,
    HelpingPod,
    HelpingTotal,
    SessionAlarms,
    WatchedGridResults,
)
from offchain.protocol.documents.base import build
from offchain.protocol.terms import SLOT_S, SessionTerms
from oracles.grid.core.power_flow import PowerFlow
from oracles.grid.core.violations import Alarm, AlarmLevel, AlarmSettings, Watch, find_alarms
from oracles.grid.facts import AnchoredGrid
from oracles.grid.helping import CouldGive, Helpers
from oracles.grid.loading.joined import joined_name
from oracles.grid.many_grids import GridResults
from oracles.grid.watched_grids import WatchedGrids

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
        helping = ((), ()) if alarm.level < AlarmLevel.ALARM else helpers.of(alarm)
        alarms.append(_told(alarm, alarm.element.name, *helping))
    return build(
        SessionAlarms,
        session=terms.session,
        delivery_start=terms.deliveryStart,
        delivery_end=terms.delivery_end_s,
        grid_model="0x" + grid.model_hash.hex(),
        alarms=tuple(alarms),
    )


def with_watched(
    told: SessionAlarms,
    terms: SessionTerms,
    flow: PowerFlow,
    watched: WatchedGrids,
    settings: AlarmSettings,
) -> SessionAlarms:
    """A session's alarms with those of the grids below the anchored model, whose power flow is `flow`, and what else is told of
    these."""
    results, alarms = [], list(told.alarms)
    for name, result in watched.results(flow.model, flow.vm_pu, terms, settings):
        results.append(_told_results(name, result))
        alarms += [_told(alarm, joined_name(name, alarm.element.name)) for alarm in result.alarms]
    alarms.sort(key=lambda alarm: -AlarmLevel[alarm.level.upper()])
    return told.model_copy(update={"alarms": tuple(alarms), "watched": tuple(results)})


def _told(
    alarm: Alarm,
    name: str,
    helping: tuple[HelpingPod, ...] = (),
    totals: tuple[HelpingTotal, ...] = (),
) -> GridAlarm:
    """An alarm as the operator gets it, of an element by its name there."""
    return build(
        GridAlarm,
        level=alarm.level.name.lower(),
        type="voltage" if alarm.element.kind == "bus" else "congestion",
        element=replace(alarm.element, name=name).key,
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


def _told_results(name: str, result: GridResults) -> WatchedGridResults:
    solved = result.converged
    return build(
        WatchedGridResults,
        name=name,
        drawn_wh=round(result.supply_va.real[solved].sum() * SLOT_S / 3600),
        losses_wh=round(result.losses_w[solved].sum() * SLOT_S / 3600),
        highest_millipercent=round(1000 * result.highest_percent[solved].max(initial=0.0)),
        lowest_micro_pu=round(1e6 * result.lowest_vm_pu[solved].min()) if solved.any() else 0,
        highest_micro_pu=round(1e6 * result.highest_vm_pu[solved].max(initial=0.0)),
        unsolved_slots=tuple(np.flatnonzero(~solved).tolist()),
    )
