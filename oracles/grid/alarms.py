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
from oracles.grid.core.network import Floats
from oracles.grid.core.switched_grid import States, SwitchedGrid, watch_of
from oracles.grid.core.violations import Alarm, AlarmLevel, AlarmSettings
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
    states: States,
    settings: AlarmSettings,
    could: Sequence[CouldGive] = (),
) -> SessionAlarms:
    """Alarms of the delivery window's power flow on what is anchored, and of `could` who can help where a limit is passed.
    Thresholds of elements that aren't in this model, perhaps because they are switched off, are left aside.
    """
    watch = watch_of(grid.model)
    known = {element.key for element in watch.elements}
    there = {key: each for key, each in settings.of_elements.items() if key in known}
    if len(there) < len(settings.of_elements):
        logger.warning("no such elements: %s", ", ".join(sorted(settings.of_elements.keys() - known)))
    settings = AlarmSettings(settings.of_grid, there)
    helpers = Helpers(watch, states, could)
    alarms = []
    for alarm in watch.alarms(states.values, settings):
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
    grid: AnchoredGrid,
    states: States,
    watched: WatchedGrids,
    settings: AlarmSettings,
) -> SessionAlarms:
    """A session's alarms with those of the grids below the anchored grid, whose solved window is `states`, and what else is told
    of these."""
    results, alarms = [], list(told.alarms)
    for name, result in watched.results(grid.model, _vm_pu(grid, states), terms, settings):
        results.append(_told_results(name, result))
        alarms += [_told(alarm, joined_name(name, alarm.element.name)) for alarm in result.alarms]
    alarms.sort(key=lambda alarm: -AlarmLevel[alarm.level.upper()])
    return told.model_copy(update={"alarms": tuple(alarms), "watched": tuple(results)})


def _vm_pu(grid: AnchoredGrid, states: States) -> Floats:
    """Voltage magnitudes at each node, or place of a switched grid: (slots, nodes)."""
    vm_pu = np.zeros((len(states.values), grid.model.nodes))
    for slots, flow in states.flows:
        model = grid.model
        if isinstance(model, SwitchedGrid):
            vm_pu[slots] = flow.vm_pu[:, model.places[:, model.model_of_slot[slots[0]]]]
        else:
            vm_pu[slots] = flow.vm_pu
    return vm_pu


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
