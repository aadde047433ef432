"""Points of measure: each PoD belongs to the one connection point that feeds its bus."""

import pytest

from offchain.dso.pom_mapping import fed_buses, poms_of_pods
from offchain.protocol.errors import InvalidInput

BUSES = ["HV1", "HV2", "MV1", "MV2", "MV3", "LV1"]
POINTS = {"HV1": "POM-1", "HV2": "POM-2"}
BRANCHES = [("HV1", "MV1"), ("MV1", "LV1"), ("HV2", "MV2"), ("MV3", "MV2")]


def test_pod_belongs_to_the_point_that_feeds_its_bus() -> None:
    pom_of_bus = fed_buses(POINTS, BRANCHES, BUSES)
    assert pom_of_bus == {
        "HV1": "POM-1",
        "MV1": "POM-1",
        "LV1": "POM-1",
        "HV2": "POM-2",
        "MV2": "POM-2",
        "MV3": "POM-2",
    }
    poms = poms_of_pods({"b": "LV1", "a": "MV1", "c": "MV3"}, pom_of_bus)
    assert poms == {"a": "POM-1", "b": "POM-1", "c": "POM-2"}


def test_ring_fed_from_one_point_is_fine() -> None:
    assert set(fed_buses({"HV1": "POM-1"}, [("HV1", "a"), ("a", "b"), ("b", "HV1")], ["HV1", "a", "b"])) == {
        "HV1",
        "a",
        "b",
    }


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ([*BRANCHES, ("LV1", "MV3")], "must be fed from one PoM"),
        (BRANCHES[1:], "bus = 'LV1': must be fed from a PoM: 2 are not"),
        ([*BRANCHES, ("LV1", "LV2")], r"branches\[4\] = 'LV2': must end at a bus"),
    ],
)
def test_grid_without_one_point_for_every_bus_is_refused(
    branches: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        fed_buses(POINTS, branches, BUSES)


def test_unknown_buses_are_refused() -> None:
    with pytest.raises(InvalidInput, match="connection_points = 'HV3'"):
        fed_buses({"HV3": "POM-3"}, BRANCHES, BUSES)
    with pytest.raises(InvalidInput, match="bus of a = 'LV9': must be a bus of the grid"):
        poms_of_pods({"a": "LV9"}, fed_buses(POINTS, BRANCHES, BUSES))
