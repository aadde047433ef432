"""The 13 basic SimBench grids, each loaded once: reading one takes seconds."""

from copy import deepcopy
from functools import cache
from typing import Any

from oracles.grid.simbench_case import load_simbench_net

BASIC_GRIDS = (
    "1-EHV-mixed", "1-HV-mixed", "1-HV-urban", "1-MV-rural", "1-MV-semiurb", "1-MV-urban", "1-MV-comm", "1-LV-rural1",
    "1-LV-rural2", "1-LV-rural3", "1-LV-semiurb4", "1-LV-semiurb5", "1-LV-urban6",
)  # fmt: skip


def basic_net(grid: str) -> Any:
    """A pandapower net of its own, today's scenario, with switches."""
    return deepcopy(_loaded(grid))


@cache
def _loaded(grid: str) -> Any:
    return load_simbench_net(f"{grid}--0-sw")
