"""What is known by an instant, sums over nodes, and measurements of the customer database as a history."""

import numpy as np
import pytest

from offchain.protocol.documents.base import build
from offchain.protocol.documents.measurement import (
    EnergyValue,
    MeasuredEnergies,
    MeasurementRow,
    Measurements,
    measurements,
)
from offchain.protocol.errors import InvalidInput
from offchain.protocol.terms import SLOT_S
from oracles.grid.core.forecast.history import History
from oracles.grid.core.forecast.readings import history_of_measurements

START_S = 1_767_222_000


def test_only_quarter_hours_that_have_ended_are_known() -> None:
    history = History(START_S, np.arange(8.0).reshape(8, 1))
    assert len(history.until(START_S + 3 * SLOT_S).power_w) == 3
    assert len(history.until(START_S + 3 * SLOT_S + 899).power_w) == 3
    assert len(history.until(START_S - 1).power_w) == 0
    assert len(history.until(START_S + 99 * SLOT_S).power_w) == 8


def test_what_started_before_an_instant_is_cut_off() -> None:
    history = History(START_S, np.arange(8.0).reshape(8, 1))
    late = history.since(START_S + 2 * SLOT_S)
    assert (late.start_s, late.power_w[0, 0]) == (START_S + 2 * SLOT_S, 2.0)
    assert history.since(START_S + 2 * SLOT_S - 1).start_s == START_S + 2 * SLOT_S
    assert history.since(START_S - 5 * SLOT_S).start_s == START_S


def test_a_window_beyond_the_history_is_gaps() -> None:
    history = History(START_S, np.arange(4.0).reshape(4, 1))
    window = history.at(START_S - SLOT_S, 6)[:, 0]
    assert np.isnan(window[[0, 5]]).all()
    assert window[1:5].tolist() == [0, 1, 2, 3]


def test_a_node_is_the_sum_of_its_customers_and_their_gaps() -> None:
    history = History(START_S, np.array([[1.0, 2.0, 4.0], [1.0, np.nan, 4.0]]))
    summed = history.summed([0, 1, 0], 3).power_w
    assert summed[0].tolist() == [5, 2, 0]
    assert summed[1, 0] == 5
    assert np.isnan(summed[1, 1])


def test_its_hash_tells_readings_apart() -> None:
    values = np.arange(6.0).reshape(3, 2)
    other = values.copy()
    other[2, 1] = np.nan
    hashes = {
        History(START_S, values).digest(),
        History(START_S + SLOT_S, values).digest(),
        History(START_S, values.reshape(2, 3)).digest(),
        History(START_S, other).digest(),
    }
    assert len(hashes) == 4
    assert History(START_S, values.copy()).digest() in hashes


@pytest.mark.parametrize(
    ("start_s", "power_w", "message"),
    [
        (START_S + 1, np.zeros((2, 1)), "must be a multiple of 900"),
        (START_S, np.zeros(2), "must be of shape"),
        (START_S, np.full((2, 1), np.inf), "must be finite, or NaN"),
    ],
)
def test_what_is_no_history_is_refused(start_s: int, power_w: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        History(start_s, power_w)


def _measured(pod: str, slot: int, absorbed_wh: int, injected_wh: int = 0) -> Measurements:
    energies = MeasuredEnergies(absorbed_wh, injected_wh, 0, 0, 0, 0)
    return measurements(MeasurementRow(None, pod, START_S + slot * SLOT_S, energies, "outcome", 0, 0))


def _history(*documents: Measurements) -> History:
    return history_of_measurements(
        documents, ["IT001E00000001", "IT001E00000002"], START_S, START_S + 3 * SLOT_S
    )


def test_measurements_become_net_power_and_gaps() -> None:
    power_w = _history(_measured("IT001E00000001", 0, 250), _measured("IT001E00000002", 2, 0, 100)).power_w
    assert power_w.shape == (3, 2)
    assert power_w[0, 0] == 1000
    assert power_w[2, 1] == -400
    assert np.isnan(power_w).sum() == 4


def test_an_energy_that_isnt_certified_is_a_gap() -> None:
    document = _measured("IT001E00000001", 0, 250)
    missing = build(EnergyValue, value=0, quality="missing")
    measures = document.measures.model_copy(update={"absorbed_active_energy": missing})
    assert np.isnan(_history(document.model_copy(update={"measures": measures})).power_w).all()


def test_measurements_of_others_of_other_times_and_contradictions_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"measurement.pod = 'IT001E00000003'"):
        _history(_measured("IT001E00000003", 0, 1))
    with pytest.raises(InvalidInput, match=r"measurement.dateTime"):
        _history(_measured("IT001E00000001", 3, 1))
    with pytest.raises(InvalidInput, match="contradicts the 4 W told before"):
        _history(_measured("IT001E00000001", 0, 1), _measured("IT001E00000001", 0, 2))
    assert _history(_measured("IT001E00000001", 0, 1), _measured("IT001E00000001", 0, 1)).power_w[0, 0] == 4
