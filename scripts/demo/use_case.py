"""The two use cases of the Italian demo (acceptance.md), each on a grid of its own: what is wrong there day ahead, and what happens
during the day."""

from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from oracles.grid.core.from_pandapower import DEFAULT_MAX_LOADING_PERCENT, LimitSettings

HOT_PERMILLE = 900
RISE_PU = 0.002


class UseCase(StrEnum):
    """UC-IT-2 and UC-IT-1."""

    CONGESTION = "congestion"
    VOLTAGE = "voltage"


@dataclass(frozen=True)
class Scenario:
    """A use case's grid (SimBench code) and limits. `taps_under_load`: whether transformers' taps can be moved in operation.
    `event`: what happens before the real-time session."""

    grid: str
    limits: LimitSettings
    taps_under_load: bool
    event: str


SCENARIOS = {
    UseCase.CONGESTION: Scenario(
        "1-LV-rural1--2-no_sw",
        LimitSettings(),
        True,
        "a fan fails: the transformers may carry a tenth less",
    ),
    UseCase.VOLTAGE: Scenario(
        "1-LV-rural3--2-no_sw", LimitSettings(max_vm_pu=1.06), False, "medium voltage rises by 0.2 %"
    ),
}


def after_event(use_case: UseCase, net: Any) -> Any:
    """The net once the use case's event has happened; the given one stays as it is."""
    changed = copy(net)
    if use_case is UseCase.VOLTAGE:
        changed["ext_grid"] = net.ext_grid.assign(vm_pu=net.ext_grid.vm_pu + RISE_PU)
    else:
        rated = net.trafo.max_loading_percent.fillna(DEFAULT_MAX_LOADING_PERCENT)
        changed["trafo"] = net.trafo.assign(max_loading_percent=rated * HOT_PERMILLE / 1000)
    return changed
