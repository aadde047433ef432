"""Baselines, set points, readings and a day's measurements over real HTTP."""

import json
from datetime import date

import pytest

from offchain.protocol.documents.base import parse, read_json
from offchain.protocol.documents.measurement import Measurements
from offchain.protocol.market_time import day_start_s, slots_of_day
from tests.customer_database.conftest import Api, pod_id, registration
from tests.customer_database.test_certified import START_S, certify, deliver, signed
from tests.customer_database.test_registry import refusal

DAY = date(2026, 11, 23)
OUTCOME = "0x" + "0c" * 32


@pytest.fixture
def pods(api: Api) -> list[str]:
    """Pseudonyms of two PoDs of acme's and one of bolt's."""
    taken = api["acme"].post("/pods", json=[registration(1, **REGISTERED), registration(2, **REGISTERED)])
    taken = taken.json()
    taken += api["bolt"].post("/pods", json=[registration(3, "bolt")]).json()
    return [entry["pseudonym"] for entry in taken]


REGISTERED = {"pnp": 25, "inp": 3, "inq": 1, "cinq": 2}
"""Active power absorbed and injected, reactive power inductive and capacitive, for which the first two are registered."""


def nomination(number: int, day: date = DAY, slots: int | None = None, **first: object) -> dict[str, object]:
    count = slots_of_day(day) if slots is None else slots
    curve = [{"index": index, "p": index / 4, "q": -0.5} for index in range(count)]
    curve[0] |= first
    return {"podId": pod_id(number), "day": day.isoformat(), "curve": curve}


def activation(
    pod: str, first_s: int, *points: tuple[int, int], number: int = 1, sent_s: int = 1
) -> dict[str, object]:
    return {
        "marketOutcomeId": OUTCOME,
        "activation": {
            "PoD": pod,
            "ActivationId": f"0x{number:064x}",
            "Set-Point": [
                {"activePower": active_w, "reactivePower": reactive_var, "quarterHour": first_s + 900 * index}
                for index, (active_w, reactive_var) in enumerate(points)
            ],
            "Timestamp": sent_s,
        },
    }


@pytest.mark.parametrize("day", [DAY, date(2026, 3, 29), date(2026, 10, 25)])
def test_baseline_of_any_local_day_is_kept_and_replaced(api: Api, pods: list[str], day: date) -> None:
    start_s, slots = day_start_s(day), slots_of_day(day)
    assert api["acme"].post("/baselines", json=[nomination(1, day), nomination(2, day)]).status_code == 200
    assert api["acme"].post("/baselines", json=[nomination(1, day, p=9.5, q=0.001)]).status_code == 200
    shown = api["dso"].get(
        "/baselines", params={"podId": pod_id(1), "fromTime": start_s, "toTime": start_s + 1}
    )
    assert shown.json() == [{"pseudonym": pods[0], "startTime": start_s, "activeW": 9500, "reactiveVar": 1}]
    api.scd.restart()
    rows = api.scd.service.baselines("acme", pod_id(1), start_s, start_s + 900 * slots)
    assert [row.start_s for row in rows] == [start_s + 900 * slot for slot in range(slots)]
    assert (rows[0].power_w, rows[0].reactive_var) == (9500, 1)
    assert (rows[-1].power_w, rows[-1].reactive_var) == (250 * (slots - 1), -500)
    others = api.scd.service.baselines(None, pod_id(2), start_s, start_s + 900 * slots)
    assert (len(others), others[0].power_w) == (slots, 0)


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        ([nomination(1, slots=97)], "[0].curve", "must have 96 quarter-hours"),
        ([nomination(1, slots=95)], "[0].curve", "must have 96 quarter-hours"),
        ([nomination(1, date(2026, 3, 29), slots=96)], "[0].curve", "must have 92 quarter-hours"),
        ([nomination(1, index=1)], "[0].curve[0].index", "must be 0"),
        ([nomination(1, p=0.0001)], "[0].curve[0].p", "whole W"),
        ([nomination(1, p=True)], "[0].curve[0].p", "must be a number"),
        ([nomination(1) | {"day": "2026-02-30"}], "[0].day", "must be a day that exists"),
        ([nomination(2), nomination(1), nomination(1)], "[2].podId", "must stand there once"),
        ({"podId": "x"}, "body", "must be an array"),
        ([nomination(2), nomination(1, p=25.001)], "[1].curve[0].p", "must be at most 25"),
        ([nomination(2), nomination(1, p=-3.001)], "[1].curve[0].p", "must be at least -3"),
        ([nomination(2), nomination(1, p=2_000_000)], "[1].curve[0].p", "for which the PoD is registered"),
        ([nomination(2), nomination(1, q=1.001)], "[1].curve[0].q", "must be at most 1"),
        ([nomination(2), nomination(1, q=-2_001)], "[1].curve[0].q", "must be at least -2"),
    ],
)
def test_bad_baseline_is_refused_whole(
    api: Api, pods: list[str], body: object, field: str, rule: str
) -> None:
    told = refusal(api["acme"].post("/baselines", json=body), 422)
    assert told["field"] == field
    assert rule in told["rule"]
    assert api.scd.service.baselines(None, pod_id(2), 0, 2**40) == []


def test_baseline_of_another_aggregators_pod_is_refused(api: Api, pods: list[str]) -> None:
    refusal(api["acme"].post("/baselines", json=[nomination(1), nomination(3)]), 404)
    refusal(api["acme"].post("/baselines", json=[nomination(9)]), 404)
    refusal(api["dso"].post("/baselines", json=[nomination(1)]), 403)
    assert api.scd.service.baselines(None, pod_id(1), 0, 2**40) == []


def test_readings_are_told_to_dso_and_own_aggregator(api: Api, pods: list[str]) -> None:
    pod = bytes.fromhex(pods[0][2:])
    deliver(api.scd, *certify(api.scd, [signed(1, pod, slot, 100 + slot) for slot in range(4)]))
    asked = {"podId": pod_id(1), "fromTime": START_S + 900, "toTime": START_S + 2700}
    for name in ("acme", "dso"):
        rows = api[name].get("/readings", params=asked).json()
        assert [(row["startTime"], row["absorbedActiveWh"], row["sequence"]) for row in rows] == [
            (START_S + 900, 101, 2),
            (START_S + 1800, 102, 3),
        ]
        assert bytes.fromhex(rows[0]["batchRoot"][2:]) in api.scd.anchored
        assert (rows[0]["podId"], rows[0]["pseudonym"]) == (pod_id(1), pods[0])
    refusal(api["bolt"].get("/readings", params=asked), 404)
    refusal(api["market"].get("/readings", params=asked), 403)
    refusal(api["dso"].get("/readings", params=asked | {"podId": pod_id(9)}), 404)
    assert (
        refusal(api["dso"].get("/readings", params=asked | {"fromTime": "now"}), 422)["field"] == "fromTime"
    )
    assert refusal(api["dso"].get("/readings", params={}), 422)["field"] == "podId"


def test_readings_of_a_removed_pod_stay_with_the_aggregator_of_then(api: Api, pods: list[str]) -> None:
    deliver(api.scd, *certify(api.scd, [signed(1, bytes.fromhex(pods[0][2:]), 0)]))
    api["acme"].delete(f"/pods/{pod_id(1)}")
    (entry,) = api["bolt"].post("/pods", json=[registration(1, "bolt")]).json()
    deliver(api.scd, *certify(api.scd, [signed(1, bytes.fromhex(entry["pseudonym"][2:]), 1)]))
    shares = {
        name: [row["startTime"] for row in api[name].get("/readings", params={"podId": pod_id(1)}).json()]
        for name in ("acme", "bolt", "dso")
    }
    assert shares == {"acme": [START_S], "bolt": [START_S + 900], "dso": [START_S, START_S + 900]}


def test_set_points_are_attributed_once(api: Api, pods: list[str]) -> None:
    first_s = day_start_s(DAY)
    body = [activation(pods[0], first_s, (100, -5), (200, 6))]
    for _ in range(2):
        assert api["acme"].post("/setPoints", json=body).status_code == 200
    refusal(api["acme"].post("/setPoints", json=[activation(pods[0], first_s, (101, -5), (200, 6))]), 409)
    twice = [activation(pods[1], first_s, (1, 1)), activation(pods[1], first_s, (2, 2))]
    refusal(api["acme"].post("/setPoints", json=twice), 409)
    api.scd.restart()
    rows = api.scd.store.set_points([bytes.fromhex(pod[2:]) for pod in pods], 0, 2**40)
    assert [(row.start_s, row.active_w, row.reactive_var, row.market_outcome) for row in rows] == [
        (first_s, 100, -5, OUTCOME),
        (first_s + 900, 200, 6, OUTCOME),
    ]


def test_bad_set_points_are_refused_whole(api: Api, pods: list[str]) -> None:
    first_s = day_start_s(DAY)
    good = activation(pods[0], first_s, (1, 1))
    post = api["acme"].post
    refusal(post("/setPoints", json=[good, activation(pods[2], first_s, (1, 1))]), 404)
    refusal(post("/setPoints", json=[good, activation("0x" + "11" * 32, first_s, (1, 1))]), 404)
    told = refusal(
        post("/setPoints", json=[good, activation(pods[0], first_s, *[(1, 1)] * 17, number=2)]), 422
    )
    assert told["field"] == "[1].activation.Set-Point"
    refusal(post("/setPoints", json=[good, activation(pods[0], first_s + 1, (1, 1), number=2)]), 422)
    refusal(post("/setPoints", json=[good, activation(pods[0], first_s, (2**31, 1), number=2)]), 422)
    refusal(post("/setPoints", content=json.dumps([good]).replace(": 1,", ": NaN,")), 422)
    refusal(api["bolt"].post("/setPoints", json=[good]), 404)
    refusal(api["dso"].post("/setPoints", json=[good]), 403)
    assert api.scd.store.pods_with_set_points(0, 2**40) == []


def test_days_measurements_join_set_points_and_readings(api: Api, pods: list[str]) -> None:
    first_s = START_S
    day = date.fromtimestamp(first_s)
    one, three = (bytes.fromhex(pods[index][2:]) for index in (0, 2))
    api["acme"].post("/setPoints", json=[activation(pods[0], first_s, (4000, 0), (4000, 0), (4000, 0))])
    later = activation(pods[0], first_s + 900, (-3000, 250), number=2, sent_s=2)
    api["acme"].post("/setPoints", json=[later])
    api["bolt"].post("/setPoints", json=[activation(pods[2], first_s, (1, 2))])
    readings = [
        signed(1, one, 0, 1234),
        signed(1, one, 1, 5),
        signed(1, one, 1, 4, sequence=9),
        signed(3, three, 0),
    ]
    deliver(api.scd, *certify(api.scd, readings))

    def asked(name: str) -> list[Measurements]:
        content = read_json(api[name].get("/measurements", params={"day": day.isoformat()}).content)
        assert isinstance(content, list)
        return [parse(Measurements, entry) for entry in content]

    mine = asked("acme")
    assert [entry.pod for entry in mine] == [pod_id(1)] * 3
    assert [entry.anomaly for entry in mine] == [None, "CONTRADICTING_READINGS", "NO_READING"]
    energies = [entry.measures.absorbed_active_energy for entry in mine]
    assert [(str(energy.value), energy.quality) for energy in energies] == [
        ("1.234", "certified"),
        ("0.005", "certified"),
        ("0", "missing"),
    ]
    assert [(entry.set_point.active_power, entry.set_point.reactive_power) for entry in mine] == [
        (4, 0),
        (-3, mine[1].set_point.reactive_power),
        (4, 0),
    ]
    assert str(mine[1].set_point.reactive_power) == "0.25"
    assert {entry.set_point.market_outcome_id for entry in mine} == {OUTCOME}
    assert {entry.pod for entry in asked("market")} == {pods[0], pods[2]}
    assert {entry.pod for entry in asked("dso")} == {pod_id(1), pod_id(3)}
    before = api["market"].get("/measurements", params={"day": "2026-01-01"})
    assert before.json() == []
    assert refusal(api["market"].get("/measurements", params={"day": "yesterday"}), 422)["field"] == "day"


def test_anomalies_are_told_to_those_concerned(api: Api, pods: list[str]) -> None:
    one = bytes.fromhex(pods[0][2:])
    deliver(api.scd, *certify(api.scd, [signed(1, one, 0, 1), signed(1, one, 0, 2, sequence=5)]))
    assert [entry["code"] for entry in api["acme"].get("/anomalies").json()] == ["CONTRADICTING_READINGS"]
    assert [entry["pod"] for entry in api["dso"].get("/anomalies").json()] == [pods[0]]
    assert api["bolt"].get("/anomalies").json() == []
    assert api["dso"].get("/anomalies", params={"fromTime": START_S + 1}).json() == []
