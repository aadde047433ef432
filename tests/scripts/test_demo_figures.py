"""What the demo's table says of the grid after the day."""

from dataclasses import replace

import numpy as np

from oracles.grid.core.network import grid_model_from_document
from oracles.grid.core.own_means import BusForecast
from scripts.demo.collect import measured_day
from tests.oracles.grid.small_grids import radial_document


def test_the_day_as_measured_is_on_each_sessions_own_grid_model() -> None:
    """The line may carry half as much from the real-time session's event on: what passes that counts in its window only."""
    day_ahead = grid_model_from_document(radial_document([1], [0.02]))
    real_time = replace(day_ahead, max_loading_percent=day_ahead.max_loading_percent / 2)
    p_w = np.zeros((6, day_ahead.nodes), dtype=np.int64)
    p_w[:, 2] = [110_000, 70_000, 110_000, 70_000, 10_000, 70_000]
    bus_of_node = {node: bus for bus, node in day_ahead.node_of_bus.items()}
    measured = BusForecast((bus_of_node[2],), p_w[:, [2]], np.zeros_like(p_w[:, [2]]))
    day, violations = measured_day(day_ahead, real_time, slice(2, 5), measured)
    lines = sorted(each.slot for each in violations if each.element.kind == "line")
    assert lines == [0, 2, 3]
    assert day.violations == len(violations)
    assert day.loading_percent[0] == day.loading_percent[2]
