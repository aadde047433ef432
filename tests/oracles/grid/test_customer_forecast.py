"""Customers without a baseline are forecast from their readings: learnt where there are enough, else typical, else not at all."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offchain.market.timetable import MarketRules, SessionKind, sessions_of_day
from offchain.protocol.keccak import keccak256
from offchain.protocol.metering import Net
from offchain.protocol.terms import SLOT_S, SessionTerms
from oracles.grid import trained
from oracles.grid.core.documents import FORECAST_BEYOND_SLOTS
from oracles.grid.core.forecast.forecaster import Forecaster, Unit, train_forecaster
from oracles.grid.core.forecast.history import History
from oracles.grid.customer_forecast import CustomerForecast
from oracles.grid.forecast_network import OutsideTheMarket
from oracles.grid.reading_store import ReadingStore
from tests.oracles.grid.forecast.towns import START_S, instant_s, readings

HOME, SHOP, NEW, UNREAD = (bytes([number]) * 32 for number in range(1, 5))
PODS = [HOME, SHOP, NEW, UNREAD]
TOWN = readings(75)
NEW_FROM = 50 * 96
"""The newcomer is like the shop, and was read from the end of March on."""


def fill(store: ReadingStore, until_s: int) -> None:
    for pod, series, first in ((HOME, 0, 0), (SHOP, 1, 0), (NEW, 1, NEW_FROM)):
        nets = [
            (START_S + slot * SLOT_S, Net(int(power_w), int(power_w) // 4))
            for slot, power_w in enumerate(TOWN.power_w[:, series])
            if slot >= first and START_S + slot * SLOT_S < until_s
        ]
        store.add(pod, nets, until_s)


def session(day: date, kind: SessionKind = SessionKind.DAY_AHEAD) -> SessionTerms:
    return sessions_of_day(day, MarketRules())[kind]


MARCH, APRIL = session(date(2026, 3, 27)), session(date(2026, 4, 10))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grid") / "readings.sqlite"
    store = ReadingStore(path)
    fill(store, TOWN.end_s)
    store.close()
    return path


@pytest.fixture
def store(file: Path, tmp_path: Path) -> Iterator[ReadingStore]:
    opened = ReadingStore(Path(shutil.copy(file, tmp_path)))
    yield opened
    opened.close()


def test_by_the_model_that_learns_by_typical_profiles_or_not_at_all(store: ReadingStore) -> None:
    found = CustomerForecast(store).expected(MARCH, PODS)
    assert found.basis is not None
    assert (found.basis.learnt, found.basis.typical) == ((HOME, SHOP), (NEW,))
    assert {pod for pod, _ in found.nets} == {HOME, SHOP, NEW}
    assert len(found.nets) == 3 * (96 + FORECAST_BEYOND_SLOTS), (
        "paybacks come on top of what is absorbed then, too"
    )
    noon = {pod: found.nets[pod, 48] for pod in (SHOP, NEW)}
    assert noon[SHOP].power_w == pytest.approx(10_000, rel=0.1)
    assert noon[SHOP].reactive_var == pytest.approx(2500, rel=0.1)
    # A few days of which some were at the weekend: its own mean, not the model's.
    assert noon[NEW].power_w == pytest.approx(9_000, rel=0.25)
    assert CustomerForecast(store).expected(MARCH, [UNREAD]).basis is None


def test_in_real_time_sessions_too(store: ReadingStore) -> None:
    found = CustomerForecast(store).expected(session(date(2026, 3, 27), SessionKind.REAL_TIME_4), [SHOP])
    assert {slot for _, slot in found.nets} == set(range(16 + FORECAST_BEYOND_SLOTS))
    assert found.nets[SHOP, 4].power_w == pytest.approx(10_000, rel=0.1)


def test_is_the_same_from_the_same_readings_and_says_from_which(store: ReadingStore, tmp_path: Path) -> None:
    found = CustomerForecast(store).expected(MARCH, PODS)
    other = ReadingStore(tmp_path / "other.sqlite")
    # Readings after the baseline gate change nothing.
    fill(other, MARCH.baselineGate)
    assert CustomerForecast(other).expected(MARCH, PODS) == found
    other.add(HOME, [(MARCH.baselineGate - SLOT_S, Net(1, 1))], MARCH.baselineGate)
    changed = CustomerForecast(other).expected(MARCH, PODS)
    assert changed.basis is not None
    assert found.basis is not None
    assert changed.basis.readings != found.basis.readings
    assert changed.basis.forecaster == found.basis.forecaster
    assert MARCH.baselineGate % SLOT_S == 0
    other.close()


def test_a_forecaster_is_trained_once_a_month_and_outlives_a_restart(
    store: ReadingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = CustomerForecast(store).expected(APRIL, PODS)
    assert first.basis is not None
    assert first.basis.learnt == (HOME, SHOP)
    trainings = []

    def counted(units: Sequence[Unit], past: History, until_s: int, *rest: Any) -> Forecaster:
        trainings.append(until_s)
        return train_forecaster(units, past, until_s, *rest)

    monkeypatch.setattr(trained, "train_forecaster", counted)
    # Readings of March that come late change no forecaster that there is.
    again = ReadingStore(tmp_path / "readings.sqlite")
    again.add(HOME, [(instant_s(30), Net(9999, 9999))], TOWN.end_s)
    restarted = CustomerForecast(again).expected(APRIL, PODS)
    assert restarted.basis is not None
    assert restarted.basis.forecaster == first.basis.forecaster
    assert restarted.basis.readings != first.basis.readings
    assert trainings == []
    document = again.forecaster("customers", "24h", 56, instant_s(58))
    assert document is not None
    assert keccak256(document) == first.basis.forecaster
    # It is the same whoever is forecast, and who has enough readings later waits for the next month's.
    home = CustomerForecast(again).expected(APRIL, [HOME])
    assert home.basis is not None
    assert (home.basis.forecaster, home.basis.learnt) == (first.basis.forecaster, (HOME,))
    assert all(home.nets[HOME, slot] == restarted.nets[HOME, slot] for slot in range(96))
    late = [(START_S + slot * SLOT_S, Net(5, 0)) for slot in range(20 * 96)]
    again.add(UNREAD, late, TOWN.end_s)
    newcomer = CustomerForecast(again).expected(APRIL, [UNREAD])
    assert newcomer.basis is not None
    assert (newcomer.basis.forecaster, newcomer.basis.typical) == (b"", (UNREAD,))
    assert trainings == []
    # What is kept but is no forecaster is trained anew.
    again.put_forecaster("customers", "24h", 56, instant_s(58), b"{}")
    assert CustomerForecast(again).expected(APRIL, PODS).basis is not None
    assert trainings == [instant_s(58)]
    in_may = replace(APRIL, deliveryStart=instant_s(90), baselineGate=instant_s(90) - 56 * SLOT_S)
    later = CustomerForecast(again).expected(in_may, PODS).basis
    assert later is not None
    assert trainings[-1] == instant_s(88)
    assert later.learnt == (HOME, SHOP, NEW, UNREAD)
    again.close()


class Totals:
    """Sensors at two nodes that read the market's PoDs as well."""

    def until(self, instant_s: int) -> tuple[History, History]:
        p = TOWN.power_w[:, :2].copy()
        p[:, 1] += TOWN.power_w[:, 0]
        return History(START_S, p), History(START_S, p / 4)


def test_what_sensors_read_is_less_what_the_markets_pods_absorbed(store: ReadingStore) -> None:
    others = OutsideTheMarket(Totals(), CustomerForecast(store), {HOME: 1, NEW: 1, UNREAD: 0})
    p, q = others.until(instant_s(52) + 1)
    assert p.end_s == instant_s(52)
    assert np.array_equal(p.power_w[:, 0], TOWN.power_w[: len(p.power_w), 0])
    read = slice(NEW_FROM, None)
    assert np.abs(p.power_w[read, 1]).max() == 0
    assert np.abs(q.power_w[read, 1]).max() < 2
    # Before it was read, the newcomer counts with its typical profile.
    assert np.abs(p.power_w[: 14 * 96, 1]).mean() < 0.3 * TOWN.power_w[: 14 * 96, 1].mean()


def test_a_reading_that_cant_be_meant_takes_nothing_off_what_sensors_read(store: ReadingStore) -> None:
    """17 GW, which a meter reading can say: a gap, as which it is filled with the PoD's typical profile."""
    absurd = [(START_S + slot * SLOT_S, Net(17_000_000_000, 0)) for slot in range(96)]
    store.add(UNREAD, absurd, TOWN.end_s)
    most_va = np.array([1e6, 1e6])
    others = OutsideTheMarket(Totals(), CustomerForecast(store), {HOME: 1, UNREAD: 0}, most_va)
    p, _ = others.until(instant_s(52) + 1)
    assert np.array_equal(p.power_w[:, 0], TOWN.power_w[: len(p.power_w), 0])
