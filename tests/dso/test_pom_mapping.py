"""Points of measure: each PoD belongs to the one connection point that feeds its bus."""

from pathlib import Path
from typing import Any

import pandapower
import pytest

from offchain.dso.pom_mapping import PomsOfPods, fed_buses
from offchain.dso.records import PodChange
from offchain.dso.service import DsoService
from offchain.dso.store import DsoStore
from offchain.protocol.errors import InvalidInput
from oracles.grid.loading.files import load_net
from oracles.grid.loading.topology import topology
from tests.dso.conftest import DEPLOYMENT, NOW_S, Broker, Dso, PomDesk, known_pod, pod_id

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
    poms = PomsOfPods({"b": "LV1", "a": "MV1", "c": "MV3"}, pom_of_bus)
    assert [poms(pod) for pod in ("a", "b", "c", "d")] == ["POM-1", "POM-1", "POM-2", None]


def test_bus_that_nothing_feeds_has_no_point() -> None:
    pom_of_bus = fed_buses(POINTS, BRANCHES[1:], BUSES)
    assert [bus for bus, pom in pom_of_bus.items() if pom is None] == ["MV1", "LV1"]
    assert PomsOfPods({"b": "LV1"}, pom_of_bus)("b") is None


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
        ([*BRANCHES, ("LV1", "LV2")], r"branches\[4\] = 'LV2': must end at a bus"),
    ],
)
def test_grid_that_hangs_on_two_points_or_on_nothing_known_is_refused(
    branches: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        fed_buses(POINTS, branches, BUSES)


def test_unknown_buses_are_refused() -> None:
    with pytest.raises(InvalidInput, match="connection_points = 'HV3'"):
        fed_buses({"HV3": "POM-3"}, BRANCHES, BUSES)
    with pytest.raises(InvalidInput, match="bus of a = 'LV9': must be a bus of the grid"):
        PomsOfPods({"a": "LV9"}, fed_buses(POINTS, BRANCHES, BUSES))


def two_substations() -> Any:
    """Two HV/MV substations, a feeder at each, and a switch between the feeders' ends; loads at both ends."""
    net = pandapower.create_empty_network()
    for number in (1, 2):
        hv, mv, end = (
            pandapower.create_bus(net, kv, name=f"{name}{number}")
            for name, kv in (("HV", 110.0), ("MV", 20.0), ("end", 20.0))
        )
        pandapower.create_ext_grid(net, hv, name=f"PoM {number}")
        pandapower.create_transformer(net, hv, mv, "25 MVA 110/20 kV", name=f"trafo {number}")
        pandapower.create_line(net, mv, end, 5.0, "NA2XS2Y 1x95 RM/25 12/20 kV", name=f"line {number}")
        pandapower.create_switch(net, mv, number - 1, "l", name=f"feeder {number}")
        pandapower.create_load(net, end, 1.0)
    pandapower.create_line(net, 2, 5, 1.0, "NA2XS2Y 1x95 RM/25 12/20 kV", name="tie")
    pandapower.create_switch(net, 5, 2, "l", closed=False, name="tie")
    return net


def poms_now(net: Any) -> dict[str, str | None]:
    now = topology(net)
    return fed_buses(now.connection_points, now.branches, now.buses)


def test_points_come_from_the_loaded_network_and_its_switches(tmp_path: Path) -> None:
    pandapower.to_json(two_substations(), str(tmp_path / "net.json"))
    # Its two slacks are not for every power flow, but their PoMs are.
    net = load_net(str(tmp_path / "net.json")).net
    assert poms_now(net) == {
        "HV1": "PoM 1", "MV1": "PoM 1", "end1": "PoM 1", "HV2": "PoM 2", "MV2": "PoM 2", "end2": "PoM 2",
    }  # fmt: skip
    net.switch.loc[net.switch.name == "feeder 1", "closed"] = False
    assert poms_now(net)["end1"] is None
    net.switch.loc[net.switch.name == "tie", "closed"] = True
    assert poms_now(net)["end1"] == "PoM 2"
    net.trafo.loc[1, "in_service"] = False
    assert (poms_now(net)["HV2"], poms_now(net)["end2"]) == ("PoM 2", None)
    net.trafo.loc[1, "in_service"] = True
    net.switch["closed"] = True
    with pytest.raises(InvalidInput, match="must be fed from one PoM"):
        poms_now(net)


def test_switching_moves_pods_and_is_reported_again(dso: Dso) -> None:
    net = two_substations()
    poms = PomsOfPods({pod_id(1): "end1", pod_id(2): "end2"}, poms_now(net))
    desk = PomDesk()
    store = DsoStore(dso.folder / "switching.sqlite")
    service = DsoService(store, Broker(), desk, poms, lambda: NOW_S, DEPLOYMENT)
    service.announce([PodChange(known_pod(number), False) for number in (1, 2, 3)])
    service.step()
    assert desk.told == [(pod_id(1), "PoM 1"), (pod_id(2), "PoM 2")]
    net.switch.loc[net.switch.name == "feeder 1", "closed"] = False
    poms.switched(poms_now(net))
    assert service.map_again() == []
    net.switch.loc[net.switch.name == "tie", "closed"] = True
    poms.switched(poms_now(net))
    desk.away = True
    assert service.map_again() == [pod_id(1)]
    service.step()
    desk.away = False
    service.step()
    service.step()
    assert desk.told[2:] == [(pod_id(1), "PoM 2")]
    assert service.map_again() == []
    assert [pod.pom_id for pod in service.pods()] == ["PoM 2", "PoM 2", None]
    store.close()
