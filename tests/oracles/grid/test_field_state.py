"""From sensors in the field to what is anchored for a real-time session: REST of the DSO's platform, daemon, real chain and store."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView
from offchain.dso.api import create_app
from offchain.dso.field import FieldDesk
from offchain.dso.service import DsoService
from offchain.dso.store import DsoStore
from offchain.market.timetable import MarketRules, SessionKind, sessions_of_day
from offchain.protocol.book_documents import BaselineEntry, baseline_document
from offchain.protocol.documents.base import parse
from offchain.protocol.documents.field import FieldMeasurement
from offchain.protocol.metering import Net
from offchain.protocol.terms import SLOT_S, SessionTerms
from offchain.protocol.typed_data import NoticeKind
from offchain.rest.server import serve
from offchain.rest.settings import Role
from offchain.store.receipts import Stores
from oracles.grid import field_state
from oracles.grid.core.documents import FORECAST_BEYOND_SLOTS, Forecast
from oracles.grid.core.forecast.history import History
from oracles.grid.core.network import Integers, grid_model_from_document
from oracles.grid.core.own_means import BusForecast
from oracles.grid.daemon import GridDaemon, GridDaemonSettings
from oracles.grid.estimated_readings import EstimatedReadings
from oracles.grid.facts import anchored_grid
from oracles.grid.field_state import GRACE_S, SLOTS, FieldState, Usual
from oracles.grid.state_estimation import Quantity
from oracles.grid.switched_network import SwitchedNetwork
from tests.chain.real_time_day import NoRequests
from tests.chain.small_market import CAST, FIRST, TERMS, SmallMarket, pod, prepared, small_market
from tests.chain.workers import shared_folder
from tests.dso.conftest import DEPLOYMENT, Broker, PomDesk, desks_of
from tests.market.desk import leaf_salt
from tests.oracles.grid.switched_grids import loads, two_feeders
from tests.oracles.grid.test_state_estimation import Field
from tests.rest.callers import client_of, settings_of

BUSES = (2, 3, 4, 5, 6)
USUAL_MW, TRUE_MW = (1.0, 0.8, 0.6, 0.7, 0.5), (1.5, 0.5, 0.9, 0.3, 0.8)
POD_W = 300_000
"""What PoD 0 nominates, at bus 2; PoD 1, of which nobody says anything, is at bus 3."""
BUS_OF_POD = {pod(0): 2, pod(1): 3}
UNITS = {
    Quantity.VOLTAGE: ("voltage", 1e6),
    Quantity.ACTIVE: ("activePower", 1.0),
    Quantity.REACTIVE: ("reactivePower", 1.0),
    Quantity.CURRENT: ("current", 1000.0),
}
REAL_TIME = replace(
    sessions_of_day(date(2026, 9, 10), MarketRules(settlement_s=72 * 3600))[SessionKind.REAL_TIME_3],
    session=2,
)
GATE_S = REAL_TIME.baselineGate
MEASURED_SLOTS = 2
WRONG, LOST, STRANGE = "ACTIVE bus 5 ", "REACTIVE bus 6 ", "a sensor of another grid"
Content = dict[str, Any]


class UsualReadings:
    """Two days of the same at every bus."""

    def until(self, instant_s: int) -> tuple[History, History]:
        start_s = TERMS.deliveryStart - 48 * 3600
        others_w = np.array(USUAL_MW) * 1e6 - np.array([POD_W, 0, 0, 0, 0])
        p = History(start_s, np.tile(others_w, ((instant_s - start_s) // SLOT_S, 1)))
        return p, History(start_s, p.power_w / 5)


def persistent(readings: EstimatedReadings) -> Any:
    """A forecast that the last quarter-hour read goes on."""

    def background(terms: SessionTerms) -> tuple[Integers, Integers]:
        last = [series.power_w[-1] for series in readings.until(terms.baselineGate // SLOT_S * SLOT_S)]
        slots = terms.slots + FORECAST_BEYOND_SLOTS
        p_w, q_var = (np.tile(np.rint(each).astype(np.int64), (slots, 1)) for each in last)
        return p_w, q_var

    return background


def posted(measurement: Any, net: Any, time_s: int, **changed: object) -> Content:
    """A measurement as a gateway posts it."""
    quantity, unit = UNITS[measurement.quantity]
    if measurement.quantity is Quantity.VOLTAGE:
        unit *= float(net.bus.vn_kv.at[measurement.index])
    content = {
        "sensor": measurement.name,
        "quantity": quantity,
        "element": f"{measurement.table}:{net[measurement.table].name.at[measurement.index]}",
        "value": round(measurement.value * unit),
        "stdDev": round(measurement.std_dev * unit),
        "time": time_s,
    }
    return content | ({} if measurement.side is None else {"side": measurement.side}) | changed


def field_readings() -> list[Content]:
    """The true state, by sensors at every bus, line and transformer, two samples in each of the last quarter-hours: one is
    grossly wrong, one falls silent after the first, and one is of no element of this grid."""
    out = []
    for ago in range(MEASURED_SLOTS, 0, -1):
        field = Field(two_feeders(), loads(*TRUE_MW), seed=ago)
        start_s = GATE_S - ago * SLOT_S
        for each in field.everything():
            if each.name == WRONG:
                each = replace(each, value=each.value + 500_000)
            if each.name != LOST or ago == MEASURED_SLOTS:
                out += [posted(each, field.net, start_s + second) for second in (0, SLOT_S - 1)]
        out.append(posted(each, field.net, start_s, sensor=STRANGE, element="line:somewhere else"))
    return out


@dataclass
class Day:
    """The market, the DSO's platform over HTTP, and its grid oracle's daemon."""

    market: SmallMarket
    chain: ChainClient
    stores: Stores
    desk: FieldDesk
    http: dict[str, httpx.Client]

    def daemon(self, *, with_field: bool = True) -> GridDaemon:
        """A daemon that was just started."""
        readings = EstimatedReadings(UsualReadings(), BUSES)
        network = SwitchedNetwork(two_feeders(), BUS_OF_POD, BUSES, persistent(readings))
        return GridDaemon(
            self.chain,
            self.market.documents,
            self.stores,
            network,
            NoRequests(),
            GridDaemonSettings(90_000),
            field=FieldState(network, readings, self.desk) if with_field else None,
        )

    def anchored_mw(self) -> Mapping[int, float]:
        """What is anchored for the real-time session's first slot, MW by bus."""
        forecast = self.anchored()
        node_of_bus = grid_model_from_document(
            SwitchedNetwork(two_feeders(), {}, (), lambda _: loads()).document()
        ).node_of_bus
        return {bus: forecast.p_w[0, node_of_bus[bus]] / 1e6 for bus in BUSES}

    def anchored(self) -> Forecast:
        view = MarketView(self.chain)
        return anchored_grid(view, self.market.documents, REAL_TIME, self.chain.address).forecast

    def is_anchored(self) -> bool:
        return bool(MarketView(self.chain).notices(NoticeKind.FORECAST, REAL_TIME.session))

    def reports(self) -> list[Content]:
        """What the operator sees."""
        return list(self.http["dso"].get("/fieldReports").json())


@contextmanager
def playing(original: Path, folder: Path) -> Iterator[Day]:
    """A day-ahead session that ended empty, but for the first aggregator's baseline; a real-time session of the morning."""
    settings, tokens = settings_of({"dso": Role.DSO, "gateway": Role.FIELD_GATEWAY})
    with small_market(original, folder) as market:
        values = [getattr(REAL_TIME, name) for name in SessionTerms.__dataclass_fields__ if name != "session"]
        operator = market.operator
        operator.send("MarketSessions", "create", tuple(values))
        entries = [BaselineEntry(pod(0), slot, POD_W, POD_W // 5) for slot in range(TERMS.slots)]
        document = baseline_document(TERMS.session, FIRST.address, entries, leaf_salt)
        cid = market.documents.put(document.to_bytes())
        notice = (NoticeKind.BASELINE, TERMS.session, document.lists[0].root, cid.digest, cid.codec)
        market.speaking_as(FIRST).send("DataNotary", "notarise", *notice)
        market.chain.advance_to(GATE_S)
        store = DsoStore(folder / "dso.sqlite")
        service = DsoService(store, Broker(), PomDesk(), {}.get, operator.now_s, DEPLOYMENT)
        desk = FieldDesk(folder / "dso.sqlite", operator.now_s)
        chain = market.speaking_as(CAST.oracles["grid"])
        desks = replace(desks_of(service, folder), field=desk)
        with serve(create_app(desks, settings)) as url:
            http = {name: client_of(url, token) for name, token in tokens.items()}
            yield Day(market, chain, Stores([], operator), desk, http)
            for client in http.values():
                client.close()
        desk.close()
        store.close()


@pytest.fixture
def day(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Iterator[Day]:
    with playing(prepared(shared_folder(tmp_path_factory) / "small-market"), tmp_path) as opened:
        yield opened


def test_what_is_measured_is_what_real_time_rests_on(day: Day) -> None:
    answer = day.http["gateway"].post("/measurements", json=field_readings())
    assert answer.status_code == 200, answer.text
    day.daemon().step()
    assert not day.is_anchored(), "readings may still be on their way"
    day.market.chain.advance_to(GATE_S + GRACE_S)
    day.daemon().step()
    assert day.anchored_mw() == pytest.approx(dict(zip(BUSES, TRUE_MW, strict=True)), abs=0.03)
    reports = day.reports()
    starts = [GATE_S // SLOT_S * SLOT_S - SLOT_S * ago for ago in range(SLOTS, 0, -1)]
    assert [each["quarterHour"] for each in reports] == starts
    unmeasured = SLOTS - MEASURED_SLOTS
    assert [each["estimated"] for each in reports] == [False] * unmeasured + [True] * MEASURED_SLOTS
    assert all(each["says"] == "nothing was measured" for each in reports[:unmeasured])
    for number, report in enumerate(reports[unmeasured:]):
        kinds = {(each["kind"], each["sensor"], each["element"]) for each in report["alarms"]}
        wanted = {
            ("badData", WRONG, "bus:bus 5"),
            ("unknownElement", STRANGE, "line:somewhere else"),
        }
        assert kinds == wanted | ({("stale", LOST, "bus:bus 6")} if number else set()), report
        (bad,) = [each for each in report["alarms"] if each["kind"] == "badData"]
        assert bad["residual"] > 4_000
        assert abs(bad["value"] - 800_000) < 2_000
        assert report["consistent"]


def test_without_measurements_it_rests_on_what_it_did_and_says_so(day: Day) -> None:
    day.market.chain.advance_to(GATE_S + GRACE_S)
    day.daemon().step()
    assert day.anchored_mw() == pytest.approx(dict(zip(BUSES, USUAL_MW, strict=True)), abs=1e-6)
    assert {(each["estimated"], each["says"]) for each in day.reports()} == {(False, "nothing was measured")}


class Told:
    """A desk on which one report lies."""

    def __init__(self, desk: FieldDesk) -> None:
        self._desk = desk
        self.sensors, self.means = desk.sensors, desk.means

    def report(self, report: Any) -> None:
        self.last = report
        self._desk.report(report)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[FieldDesk]:
    opened = FieldDesk(tmp_path / "field.sqlite", lambda: GATE_S + GRACE_S)
    yield opened
    opened.close()


def looked(desk: FieldDesk, few: list[Content], usual: bool = True) -> Any:
    """The report on the last quarter-hour before the gate."""
    told, start_s = Told(desk), GATE_S // SLOT_S * SLOT_S - SLOT_S
    readings = EstimatedReadings(UsualReadings(), BUSES)
    network = SwitchedNetwork(two_feeders(), BUS_OF_POD, BUSES, persistent(readings))
    desk.take("gateway", [parse(FieldMeasurement, each) for each in few])
    day = np.tile(np.rint(np.array(USUAL_MW) * 1e6).astype(np.int64), (TERMS.slots, 1))
    nets = {(pod(0), TERMS.slot_at(start_s)): Net(POD_W, POD_W // 5)}
    known = Usual(TERMS, nets, BusForecast(BUSES, day, day // 5)) if usual else None
    before = readings.until(GATE_S)[0].power_w[-1].tolist()
    FieldState(network, readings, told).look(2, start_s, known, network)
    if not told.last.estimated:
        assert readings.until(GATE_S)[0].power_w[-1].tolist() == before
    return told.last


def voltage(**changed: object) -> Content:
    return {
        "sensor": "v",
        "quantity": "voltage",
        "element": "bus:bus 1",
        "value": 20_000_000,
        "stdDev": 20_000,
        "time": GATE_S - 10,
    } | changed


def test_what_cant_be_estimated_is_said(desk: FieldDesk) -> None:
    power = voltage(sensor="p", quantity="activePower", element="bus:bus 2", value=1_500_000, stdDev=200)
    told = looked(desk, [power])
    assert not told.estimated
    assert "no voltage is measured anywhere" in told.says
    told = looked(desk, [voltage()], usual=False)
    assert told.says.startswith("what is usual isn't known")
    told = looked(desk, [])
    assert told.estimated, "voltage, one power and forecasts elsewhere"
    assert told.says == "estimated from 2 sensors"


def test_a_broken_instrument_is_named_and_the_state_told_by_the_others(desk: FieldDesk) -> None:
    line = {"element": "line:line 0", "side": "from"}
    broken = [
        voltage(sensor="dead", element="bus:bus 2", value=0),
        voltage(sensor="doubled", element="bus:bus 3", value=40_000_000),
        voltage(sensor="stuck", quantity="activePower", element="bus:bus 4", value=-(10**12)),
        voltage(sensor="wild", quantity="current", value=10**10, **line),
    ]
    told = looked(desk, [voltage(), voltage(sensor="i", quantity="current", value=60_000, **line), *broken])
    assert told.estimated, told.says
    assert told.sensors == 2
    assert [(each.sensor, each.kind, each.value) for each in told.alarms] == [
        (each["sensor"], "implausible", each["value"]) for each in broken
    ]


@pytest.mark.parametrize("problem", [UserWarning("odd"), np.linalg.LinAlgError("singular"), KeyError("x")])
def test_what_the_estimator_cant_do_with_stops_nothing(
    desk: FieldDesk, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def fails(*_: object) -> None:
        raise problem

    monkeypatch.setattr(field_state, "estimate_state", fails)
    told = looked(desk, [voltage()])
    assert (told.estimated, told.says) == (False, f"no state: {problem!r}")


def test_a_sensor_at_what_isnt_supplied_is_named_and_left_out(desk: FieldDesk) -> None:
    net = two_feeders()
    net.bus.loc[net.bus.name == "bus 4", "in_service"] = False
    told, start_s = Told(desk), GATE_S // SLOT_S * SLOT_S - SLOT_S
    for each in (voltage(), voltage(sensor="dead", element="bus:bus 4")):
        desk.take("gateway", [parse(FieldMeasurement, each)])
    buses = (2, 3, 5, 6)
    readings = EstimatedReadings(UsualReadings(), BUSES)
    network = SwitchedNetwork(net, {}, buses, lambda _: loads())
    day = np.full((TERMS.slots, 4), 500_000, dtype=np.int64)
    FieldState(network, readings, told).look(
        2, start_s, Usual(TERMS, {}, BusForecast(buses, day, day // 5)), network
    )
    assert [(each.sensor, each.kind) for each in told.last.alarms] == [("dead", "notSupplied")]
    assert told.last.estimated
