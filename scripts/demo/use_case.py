"""The two use cases of the Italian demo (acceptance.md), each on a grid of its own: what is wrong there day ahead, and what happens
during the day."""

from dataclasses import dataclass
from enum import StrEnum

from oracles.grid.core.from_pandapower import LimitSettings
from oracles.grid.core.network import Document

HOT_PERMILLE = 900
RISE_PU = 0.002


class UseCase(StrEnum):
    """UC-IT-2 and UC-IT-1."""

    CONGESTION = "congestion"
    VOLTAGE = "voltage"


@dataclass(frozen=True)
class Scenario:
    """A use case's grid (SimBench code) and limits. `event`: what happens before the real-time session."""

    grid: str
    limits: LimitSettings
    event: str


SCENARIOS = {
    UseCase.CONGESTION: Scenario(
        "1-LV-rural1--2-no_sw", LimitSettings(), "a fan fails: the transformers may carry a tenth less"
    ),
    UseCase.VOLTAGE: Scenario(
        "1-LV-rural3--2-no_sw", LimitSettings(max_vm_pu=1.06), "medium voltage rises by 0.2 %"
    ),
}


def after_event(use_case: UseCase, document: Document) -> Document:
    """The grid model's document once the use case's event has happened."""
    if use_case is UseCase.VOLTAGE:
        slacks = [{**slack, "vm_pu": slack["vm_pu"] + RISE_PU} for slack in document["slacks"]]
        return {**document, "slacks": slacks}
    hot = [
        {**each, "max_loading_percent": each["max_loading_percent"] * HOT_PERMILLE / 1000}
        for each in document["transformers"]
    ]
    return {**document, "transformers": hot}
