"""PoDs as aggregators register them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.pod import (
    BaselinePoint,
    CurvePoint,
    FlexibilityLimits,
    MaxFlexibility,
    Pod,
    baseline_points,
    curve_of,
    flexibility_limits,
    max_flexibility_of,
)
from offchain.protocol.errors import InvalidInput
from offchain.protocol.units import MAX_POWER_W

Change = Callable[[dict[str, Any]], object]


def content() -> dict[str, Any]:
    return {
        "podId": "IT001E00000042",
        "aggregatorId": "agg1",
        "zone": "Roma",
        "poMId": "pom7",
        "pnp": 3.3,
        "inp": 6,
        "inq": 0,
        "cinq": 0.5,
        "sendTime": "2026-06-15T10:00:00+02:00",
        "validityStart": "2026-06-16T00:00:00.000Z",
        "flexibilityType": "continue",
        "actionType": "activate",
        "smartContractId": "m1",
        "powerBaselineCurves": {
            "Workday": [{"index": 0, "p": 1.5, "q": -0.1}, {"index": 95, "p": -2, "q": 0}],
            "Saturday": [],
        },
        "maxFlexibility": {"upperP": 3, "downP": 1.25, "upperQ": 0},
    }


def test_a_pod_reads_back() -> None:
    pod = parse(Pod, json.dumps(content()).encode())
    assert parse(Pod, dump(pod)) == pod
    assert (pod.power_curves_duration, pod.power_curve_interval) == (24, 15)
    curves, limits = pod.power_baseline_curves, pod.max_flexibility
    assert curves is not None
    assert curves.workday is not None
    assert limits is not None
    assert baseline_points(curves.workday) == (BaselinePoint(0, 1500, -100), BaselinePoint(95, -2000, 0))
    assert flexibility_limits(limits) == FlexibilityLimits(3000, 1250, 0, 0)


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        (lambda pod: pod.pop("aggregatorId"), "aggregatorId", "is required"),
        (lambda pod: pod.update(podId="IT001E0000004"), "podId", "must be a PoD id"),
        (lambda pod: pod.update(pnp=-1), "pnp", "must not be negative"),
        (lambda pod: pod.update(flexibilityType="both"), "flexibilityType", "'continue' or 'discrete'"),
        (lambda pod: pod.update(actionType="drop"), "actionType", "'activate', 'modify' or 'delete'"),
        (lambda pod: pod.update(powerCurvesDuration=12), "powerCurvesDuration", "must be 24"),
        (lambda pod: pod.update(powerCurveInterval=60), "powerCurveInterval", "must be 15"),
        (lambda pod: pod["maxFlexibility"].update(downP=-1), "maxFlexibility.downP", "not be negative"),
        (
            lambda pod: pod["powerBaselineCurves"]["Workday"].append({"index": 96, "p": 0, "q": 0}),
            "powerBaselineCurves.Workday[2].index",
            "less than 96",
        ),
        (
            lambda pod: pod["powerBaselineCurves"]["Workday"].append({"index": 0, "p": 0, "q": 0}),
            "powerBaselineCurves.Workday[2].index",
            "must stand once",
        ),
        (
            lambda pod: pod["powerBaselineCurves"].update(
                Sunday=[{"index": i, "p": 0, "q": 0} for i in range(97)]
            ),
            "powerBaselineCurves.Sunday",
            "96",
        ),
    ],
)
def test_refusals(change: Change, field: str, rule: str) -> None:
    pod = content()
    change(pod)
    with pytest.raises(InvalidInput) as refusal:
        parse(Pod, json.dumps(pod).encode())
    assert refusal.value.field.startswith(field)
    assert rule in refusal.value.rule


net_powers = st.integers(-MAX_POWER_W, MAX_POWER_W)
limits = st.integers(0, MAX_POWER_W)


@given(st.lists(st.builds(BaselinePoint, st.integers(0, 95), net_powers, net_powers), max_size=5))
def test_curves_come_back(points: list[BaselinePoint]) -> None:
    curve = curve_of(points)
    assert baseline_points(curve) == tuple(points)
    assert tuple(parse(CurvePoint, dump(point)) for point in curve) == curve


@given(st.builds(FlexibilityLimits, limits, limits, limits, limits))
def test_limits_come_back(given_limits: FlexibilityLimits) -> None:
    document = max_flexibility_of(given_limits)
    assert flexibility_limits(parse(MaxFlexibility, dump(document))) == given_limits
