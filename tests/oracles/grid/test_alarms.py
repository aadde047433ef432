"""What a session's forecast brings near a limit or beyond it, as the DSO's operator is told."""

import numpy as np

from offchain.protocol.documents.alarm import SessionAlarms
from offchain.protocol.products import MarginUnit
from oracles.grid.alarms import session_alarms
from oracles.grid.core.documents import Forecast
from oracles.grid.core.network import GridModel, Integers, grid_model_from_document
from oracles.grid.core.violations import AlarmSettings, AlarmThresholds
from oracles.grid.facts import AnchoredGrid
from oracles.grid.flows import window_states
from tests.chain.small_market import TERMS
from tests.oracles.grid.small_grids import radial_document

LINE = "line:line 1"


def anchored(model: GridModel, p_w: Integers, q_var: Integers) -> AnchoredGrid:
    return AnchoredGrid(model, b"\x11" * 32, Forecast(TERMS.session, b"\x11" * 32, p_w, q_var, {}))


def alarms_of(grid: AnchoredGrid, settings: AlarmSettings) -> SessionAlarms:
    return session_alarms(TERMS, grid, window_states(TERMS, grid), settings)


def test_alarms_are_of_the_delivery_window_only_the_worst_first() -> None:
    model = grid_model_from_document(radial_document([1], [0.02]))
    p_w = np.zeros((TERMS.slots + 8, model.nodes), dtype=np.int64)
    p_w[3:5, -1] = 110_000
    p_w[7, -1] = 92_000
    p_w[TERMS.slots :, -1] = 200_000
    q_var = np.zeros_like(p_w)
    told = alarms_of(anchored(model, p_w, q_var), AlarmSettings())
    of_lines = [each for each in told.alarms if each.element.startswith("line:")]
    assert [(each.level, each.first_slot, each.slots) for each in of_lines] == [
        ("alarm", 3, 2),
        ("warning", 7, 1),
    ]
    assert all(each.unit == MarginUnit.LOADING_MILLIPERCENT and each.limit == 100_000 for each in of_lines)
    assert (told.session, told.delivery_start, told.grid_model) == (
        TERMS.session,
        TERMS.deliveryStart,
        "0x" + "11" * 32,
    )


def test_the_operators_thresholds_decide() -> None:
    model = grid_model_from_document(radial_document([1], [0.02]))
    p_w = np.zeros((TERMS.slots, model.nodes), dtype=np.int64)
    p_w[3, -1] = 110_000
    switched_off = {"line:an open one": AlarmThresholds()}
    strict = AlarmSettings(AlarmThresholds(critical_percent=105.0), switched_off)
    told = alarms_of(anchored(model, p_w, np.zeros_like(p_w)), strict)
    assert [each.level for each in told.alarms if each.element.startswith("line:")] == ["critical"]
