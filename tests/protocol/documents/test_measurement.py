"""Measurements: to integers and back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.measurement import (
    MeasuredEnergies,
    MeasurementRow,
    Measurements,
    measured_power,
    measurement_row,
    measurements,
)
from offchain.protocol.errors import InvalidInput
from offchain.protocol.units import MAX_ENERGY_WH, MAX_POWER_W
from tests.protocol.documents.strategies import players, pods

ROW = MeasurementRow(
    "agg1", "IT001E00000042", 1_774_746_000, MeasuredEnergies(250, 0, 1, 2, 3, 4), "vo1", -1500, 7, None
)


def content() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(dump(measurements(ROW)))
    return loaded


def test_names_and_units_are_the_tables() -> None:
    def certified(value: float) -> dict[str, object]:
        return {"value": value, "quality": "certified"}

    assert content() == {
        "aggregatorId": "agg1",
        "pod": "IT001E00000042",
        "dateTime": "2026-03-29T01:00:00Z",
        "measures": {
            "absorbedActiveEnergy": certified(0.25),
            "InjectedActiveEnergy": certified(0),
            "absorbedInductiveReactiveEnergy": certified(0.001),
            "injectedInductiveReactiveEnergy": certified(0.002),
            "absorbedCapacitiveReactiveEnergy": certified(0.003),
            "injectedCapacitiveReactiveEnergy": certified(0.004),
        },
        "setPoint": {"marketOutcomeId": "vo1", "activePower": -1.5, "reactivePower": 0.007},
    }


energies = st.integers(0, MAX_ENERGY_WH)
net_powers = st.integers(-MAX_POWER_W, MAX_POWER_W)


@given(
    st.builds(
        MeasurementRow,
        st.one_of(st.none(), players),
        pods,
        st.integers(0, 2**33),
        st.builds(MeasuredEnergies, energies, energies, energies, energies, energies, energies),
        st.just("vo1"),
        net_powers,
        net_powers,
        st.one_of(st.none(), st.just("METER_UNREACHABLE")),
    )
)
def test_rows_come_back(row: MeasurementRow) -> None:
    document = measurements(row)
    again = parse(Measurements, dump(document))
    assert again == document
    assert measurement_row(again) == row


def test_measured_power() -> None:
    assert dump(measured_power(-1500, 1)) == b'{"p":-1.5,"q":0.001}'


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        (("measures", "InjectedActiveEnergy", "value"), -0.001, "must not be negative"),
        (("measures", "InjectedActiveEnergy", "value"), 0.0001, "exactly"),
        (("measures", "InjectedActiveEnergy", "value"), float("inf"), "must be finite"),
        (("measures", "absorbedActiveEnergy", "value"), 4294967.296, "must be 0.000 to 4294967.295"),
        (("measures", "absorbedActiveEnergy", "quality"), "", "at least 1 character"),
        (("setPoint", "activePower"), "1", "must be a number"),
        (("dateTime",), 1774746000, "ISO-8601"),
        (("pod",), "IT", "PoD id"),
        (("measures", "injectedActiveEnergy"), {}, "is no field"),
    ],
)
def test_refusals(path: tuple[str, ...], value: object, rule: str) -> None:
    document = content()
    place = document
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(InvalidInput) as refusal:
        parse(Measurements, json.dumps(document).encode())
    assert refusal.value.field == ".".join(path)
    assert rule in refusal.value.rule


def test_negative_energies_make_no_document() -> None:
    row = MeasurementRow("agg1", "IT001E00000042", 0, MeasuredEnergies(-1, 0, 0, 0, 0, 0), "vo1", 0, 0, None)
    with pytest.raises(InvalidInput, match=r"value = Decimal\('-0.001'\): must not be negative"):
        measurements(row)
