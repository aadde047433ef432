"""Measurements from the field over the API: whose they are, when they were, and what is refused."""

from typing import Any

import httpx

from offchain.dso.field import KEPT_S, MOST_AHEAD_S, OLDEST_S, FieldDesk
from offchain.protocol.documents.base import build, parse
from offchain.protocol.documents.field import FieldMeasurement, FieldReport
from tests.dso.conftest import NOW_S, Dso

Content = dict[str, Any]


def reading(**changed: object) -> Content:
    """20 kV at a bus."""
    content = {
        "sensor": "tr-7.v",
        "quantity": "voltage",
        "element": "bus:bus 2",
        "value": 20_010_000,
        "stdDev": 20_000,
        "time": NOW_S - 60,
    }
    return content | changed


def flow(**changed: object) -> Content:
    """What flows into a line."""
    place = {"sensor": "feeder.p", "quantity": "activePower", "element": "line:line 0", "side": "from"}
    return reading(**place, value=-1_200_000, stdDev=500) | changed


def test_they_are_taken_and_their_sensors_known(dso: Dso, api: dict[str, httpx.Client]) -> None:
    batch = [reading(), reading(time=NOW_S - 30, value=20_030_000, stdDev=30_000), flow()]
    for _ in range(2):
        assert api["gateway"].post("/measurements", json=batch).json() == {"taken": 3}
    assert api["dso"].get("/sensors").json() == [
        {
            "sensor": "feeder.p",
            "quantity": "activePower",
            "element": "line:line 0",
            "side": "from",
            "firstTime": NOW_S - 60,
            "lastTime": NOW_S - 60,
        },
        {
            "sensor": "tr-7.v",
            "quantity": "voltage",
            "element": "bus:bus 2",
            "side": None,
            "firstTime": NOW_S - 60,
            "lastTime": NOW_S - 30,
        },
    ]
    means = {each.sensor.sensor: (each.value, each.std_dev) for each in dso.desks.field.means(0, NOW_S)}
    assert means == {"tr-7.v": (20_020_000, 30_000), "feeder.p": (-1_200_000, 500)}
    assert [each.value for each in dso.desks.field.means(NOW_S - 30, NOW_S)] == [20_030_000]


REFUSED: dict[str, tuple[Content, str]] = {
    "of the future": (reading(time=NOW_S + MOST_AHEAD_S + 1), "[1].time"),
    "stale": (reading(time=NOW_S - OLDEST_S - 1), "[1].time"),
    "milliseconds": (reading(time=NOW_S * 1000), "[1].time"),
    "at no element": (reading(element="pole:7"), "[1].element"),
    "at an element without a name": (reading(element="bus:"), "[1].element"),
    "a line's voltage": (flow(quantity="voltage"), "[1].quantity"),
    "a bus's current": (reading(quantity="current"), "[1].quantity"),
    "a bus with a side": (reading(side="from"), "[1].side"),
    "a line without a side": (flow(side=None), "[1].side"),
    "a line's high-voltage side": (flow(side="hv"), "[1].side"),
    "a negative voltage": (reading(value=-1), "[1].value"),
    "half a millivolt": (reading(value=0.5), "[1].value"),
    "a huge value": (reading(value=10**13), "[1].value"),
    "no scatter": (reading(stdDev=0), "[1].stdDev"),
    "no time": ({name: value for name, value in reading().items() if name != "time"}, "[1].time"),
    "another field": (reading(unit="kV"), "[1].unit"),
}


def test_bad_ones_are_refused_with_all_beside_them(dso: Dso, api: dict[str, httpx.Client]) -> None:
    for name, (content, field) in REFUSED.items():
        answer = api["gateway"].post("/measurements", json=[flow(), content])
        assert (answer.status_code, answer.json()["field"]) == (422, field), name
        assert dso.desks.field.means(0, 2**40) == [], name
    assert api["dso"].get("/sensors").json() == []


def test_nobody_speaks_for_anothers_sensor_or_takes_a_reading_back(
    dso: Dso, api: dict[str, httpx.Client]
) -> None:
    api["gateway"].post("/measurements", json=[reading()])
    for who, content in (
        ("another", reading(time=NOW_S - 20)),
        ("gateway", reading(element="bus:bus 3", time=NOW_S - 20)),
        ("gateway", reading(value=20_500_000)),
    ):
        assert api[who].post("/measurements", json=[content]).status_code == 409, content
    assert [each.value for each in dso.desks.field.means(0, 2**40)] == [20_010_000]


def test_only_gateways_send_and_only_the_operator_sees(api: dict[str, httpx.Client]) -> None:
    for name in ("dso", "acme", "scd"):
        assert api[name].post("/measurements", json=[reading()]).status_code == 403
    assert api["stranger"].post("/measurements", json=[reading()]).status_code == 401
    for path in ("/sensors", "/fieldReports"):
        assert api["gateway"].get(path).status_code == 403


def test_the_last_report_of_a_session_on_a_quarter_hour_stands(
    dso: Dso, api: dict[str, httpx.Client]
) -> None:
    for says, session in (("one", 3), ("two", 3), ("three", 4)):
        dso.desks.field.report(
            build(FieldReport, session=session, quarter_hour=900, estimated=False, says=says, sensors=0)
        )
    shown = api["dso"].get("/fieldReports", params={"fromTime": 900, "toTime": 901}).json()
    assert [(each["session"], each["says"]) for each in shown] == [(3, "two"), (4, "three")]
    assert api["dso"].get("/fieldReports", params={"toTime": 900}).json() == []


def test_old_ones_are_forgotten(dso: Dso) -> None:
    later = {"now": NOW_S}
    desk = FieldDesk(dso.folder / "other.sqlite", lambda: later["now"])
    first, last = (parse(FieldMeasurement, reading(time=time)) for time in (NOW_S, NOW_S + KEPT_S + 1))
    desk.take("gateway", [first])
    later["now"] += KEPT_S + 1
    desk.take("gateway", [last])
    assert [each.sensor.last_s for each in desk.means(0, 2**40)] == [NOW_S + KEPT_S + 1]
    assert desk.means(0, NOW_S + 1) == []
    desk.close()
