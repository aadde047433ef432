"""What is known by an instant, sums over nodes, and certified readings of the customer database as a history."""

import numpy as np
import pytest

from offchain.protocol.documents.base import build
from offchain.protocol.documents.certified_reading import CertifiedReading
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import READING, Value
from offchain.protocol.lists import Record
from offchain.protocol.metering import Net
from offchain.protocol.terms import SLOT_S
from oracles.grid.core.forecast.history import History
from oracles.grid.core.forecast.readings import history_of_nets, is_borne_out, net_of_reading

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


PODS = [b"a" * 32, b"b" * 32]


def _reading(**said: int) -> CertifiedReading:
    energies = {name: 0 for name in CertifiedReading.model_fields if name.endswith(("_wh", "_varh"))}
    return build(
        CertifiedReading,
        pod_id="IT001E00000001",
        pseudonym=PODS[0],
        start_time=START_S,
        **{**energies, "sequence": 7, "position": 0, **said},
        batch_root=bytes(32),
        transaction_id=bytes(32),
    )


def test_readings_become_net_power_and_gaps() -> None:
    net = net_of_reading(
        _reading(absorbed_active_wh=250, injected_inductive_varh=5, absorbed_capacitive_varh=2)
    )
    assert net == Net(1000, -28)
    nets = [(PODS[0], START_S, net), (PODS[1], START_S + 2 * SLOT_S, Net(-400, 0))]
    p, q = history_of_nets(nets, PODS, START_S, START_S + 3 * SLOT_S)
    assert p.power_w.shape == q.power_w.shape == (3, 2)
    assert (p.power_w[0, 0], q.power_w[0, 0], p.power_w[2, 1]) == (1000, -28, -400)
    assert np.isnan(p.power_w).sum() == np.isnan(q.power_w).sum() == 4


@pytest.mark.parametrize(
    ("pod", "moment_s", "message"),
    [
        (b"c" * 32, START_S, "must be one of the PoDs asked for"),
        (PODS[0], START_S + 1, "must be a quarter-hour of the time asked for"),
        (PODS[0], START_S + 3 * SLOT_S, "must be a quarter-hour of the time asked for"),
    ],
)
def test_net_power_of_others_and_of_other_times_is_refused(pod: bytes, moment_s: int, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        history_of_nets([(pod, moment_s, Net(1, 1))], PODS, START_S, START_S + 3 * SLOT_S)


def _leaf(**changed: Value) -> Record:
    energies = {field.name: 0 for field in READING.fields if field.name.endswith(("Wh", "Varh"))}
    said = {"pod": PODS[0], "startTime": START_S, "periodS": SLOT_S, "sequence": 7}
    return Record({**energies, **said, **changed})


@pytest.mark.parametrize(
    "changed",
    [
        {"pod": PODS[1]},
        {"startTime": START_S + SLOT_S},
        {"periodS": 60},
        {"sequence": 8},
        {"absorbedActiveWh": 1},
        {"injectedCapacitiveVarh": 1},
    ],
)
def test_a_reading_is_borne_out_by_the_leaf_that_says_all_of_it(changed: dict[str, Value]) -> None:
    assert is_borne_out(_reading(), _leaf())
    assert not is_borne_out(_reading(), _leaf(**changed))
