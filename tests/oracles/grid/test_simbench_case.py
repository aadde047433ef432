"""SimBench cases: market days on the profile year, PoDs and their net power."""

from datetime import UTC, date, datetime
from itertools import pairwise

import numpy as np
import pytest

from offchain.protocol.errors import InvalidInput
from oracles.grid.simbench_case import (
    load_simbench_case,
    load_simbench_net,
    market_day_slots,
    profile_position,
)


@pytest.mark.parametrize(
    ("day", "slots"), [(date(2026, 6, 1), 96), (date(2026, 3, 29), 92), (date(2026, 10, 25), 100)]
)
def test_market_days_follow_the_clock_of_rome(day: date, slots: int) -> None:
    starts = market_day_slots(day)
    assert len(starts) == slots
    assert {(late - early).seconds for early, late in pairwise(starts)} == {900}


def test_profiles_are_read_by_the_instant_in_winter_time() -> None:
    assert profile_position(datetime(2026, 1, 1, 11, 30, tzinfo=UTC)) == 50
    # Local midnight of a summer day is 23:00 of the day before in the profiles.
    assert profile_position(market_day_slots(date(2026, 6, 1))[0]) == 152 * 96 - 4
    assert profile_position(datetime(2026, 12, 31, 22, 45, tzinfo=UTC)) == 366 * 96 - 1
    assert profile_position(datetime(2026, 12, 31, 23, 0, tzinfo=UTC)) == 0


def test_case_holds_the_real_elements_with_absorbed_counted_positive() -> None:
    case = load_simbench_case("1-LV-rural1--2-no_sw", date(2026, 6, 1))
    net = load_simbench_net("1-LV-rural1--2-no_sw")
    assert [pod.name for pod in case.pods] == [*net.load.name, *net.sgen.name, *net.storage.name]
    assert case.p_w.shape == case.q_var.shape == (case.slots, len(case.pods)) == (96, 41)
    generators = [index for index, pod in enumerate(case.pods) if pod.label == "pv"]
    assert len(generators) == 8
    assert (case.p_w[:, generators] <= 0).all()
    noon = int(np.argmin(case.p_w[:, generators].sum(axis=1)))
    assert 44 <= noon <= 60
    assert (case.at_nodes(case.p_w).sum(axis=1) == case.p_w.sum(axis=1)).all()
    assert {pod.label for pod in case.pods} == {"household", "farm", "ev", "heat_pump", "pv", "storage"}


def test_unknown_grid_is_refused() -> None:
    with pytest.raises(InvalidInput, match="grid = '1-XX'"):
        load_simbench_case("1-XX", date(2026, 6, 1))
