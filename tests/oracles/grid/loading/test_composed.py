"""A medium-voltage network and those at its substations, as a DSO's file names them, and what is refused of it."""

from pathlib import Path
from typing import Any

import pandapower
import pytest

from offchain.protocol.errors import InvalidInput
from oracles.grid.loading.composed import MEDIUM, Place, load_composed, read_composed
from oracles.grid.loading.joined import by_grid
from oracles.grid.loading.problems import UnusableNetwork
from tests.oracles.grid.composed_case import COMPOSITION, low_net, medium_net, written


def errors(source: str) -> str:
    with pytest.raises(UnusableNetwork) as caught:
        load_composed(source)
    return str(caught.value)


def test_the_file_names_networks_beside_it_and_one_may_serve_at_several_substations(tmp_path: Path) -> None:
    nets = load_composed(written(tmp_path, COMPOSITION + "joined = true\n"))
    assert {name: low.bus for name, low in nets.low.items()} == {"CS A": 10, "CS B": 20, "CS C": 30}
    assert nets.low["CS A"].net is nets.low["CS C"].net
    assert len(nets.medium.bus) == 4
    joined = nets.join([Place("CS A", "end"), Place(MEDIUM, "MV 1")])
    assert set(joined.bus_of) == {"CS A", "CS C"}, "whose limits bind anyway is joined without participants"


def test_a_network_that_is_no_composition_has_nothing_below_it(tmp_path: Path) -> None:
    written(tmp_path)
    nets = load_composed(str(tmp_path / "medium.json"))
    assert (len(nets.medium.bus), nets.low, nets.joined) == (4, {}, frozenset())
    assert len(nets.join([]).net.bus) == 4


def changed(net: Any, table: str, column: str, value: object) -> Any:
    net[table].loc[net[table].index[0], column] = value
    return net


@pytest.mark.parametrize(
    ("composition", "medium", "low", "told"),
    [
        (COMPOSITION.replace("MV 2", "MV 9"), None, None, "low CS B.bus = 'MV 9': must be a bus of the medium-voltage"),
        (COMPOSITION.replace("MV 2", "MV 1"), None, None, "low CS B.network = 'low.json': the same network hangs twice at MV 1"),
        (COMPOSITION, None, changed(changed(low_net(), "bus", "vn_kv", 15.0), "trafo", "vn_hv_kv", 15.0), "low CS C.bus = (20.0, 15.0): the MV bus and the slack"),
        (COMPOSITION, None, changed(low_net(), "ext_grid", "in_service", False), "CS A: ext_grid.in_service"),
        (COMPOSITION, None, changed(low_net(), "line", "length_km", -1.0), "CS A: line line 1 #0.length_km = -1.0"),
        (COMPOSITION, changed(medium_net(), "line", "length_km", -1.0), None, "error: line MV line 1 #0.length_km"),
    ],
    ids=["no such bus", "hangs twice", "voltages", "no slack", "low-voltage net", "medium-voltage net"],
)  # fmt: skip
def test_what_does_not_fit_is_told(
    tmp_path: Path, composition: str, medium: Any, low: Any, told: str
) -> None:
    assert told in errors(written(tmp_path, composition, medium, low))


def test_a_slack_that_two_sources_feed_and_another_frequency_are_told(tmp_path: Path) -> None:
    two, fast = low_net(), low_net()
    pandapower.create_ext_grid(two, 3)
    fast.f_hz = 60.0
    assert "low CS A.ext_grid = 2" in errors(written(tmp_path / "two", low=two))
    assert "low CS A.f_hz = 60" in errors(written(tmp_path / "fast", low=fast))


@pytest.mark.parametrize(
    ("composition", "told"),
    [
        (COMPOSITION + COMPOSITION.partition("\n\n")[2], "can't be read"),
        ("medium =", "can't be read"),
        ('medium = "medium.json"\nhigh = 1', "grid.toml: high"),
        (COMPOSITION.replace("CS A", "CS: A"), "grid.toml: low.CS: A"),
        (COMPOSITION.replace('bus = "MV 1"', ""), "grid.toml: low.CS A.bus"),
        (COMPOSITION.replace("low.json", "absent.json"), "absent.json"),
    ],
    ids=["named twice", "no TOML", "unknown field", "colon", "no bus", "no file"],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, composition: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_composed(written(tmp_path, composition))
    assert told in str(caught.value)


def test_pods_are_held_to_the_networks(tmp_path: Path) -> None:
    source = written(tmp_path)
    assert read_composed(source, {"IT1": Place("CS B", "end"), "IT2": Place(MEDIUM, "MV 3")}).nets is not None
    found = read_composed(source, {"IT1": Place("CS B", "MV 3")})
    assert found.nets is None
    assert str(found.problems["CS B"][0]) == ("error: CS B: PoD IT1.bus = 'MV 3': must be a bus of the net")
    with pytest.raises(InvalidInput, match=r"PoD IT1\.grid = 'CS Z': must be a substation"):
        read_composed(source, {"IT1": Place("CS Z", "end")})
    nets = load_composed(source)
    for place in (Place("CS Z", "end"), Place("CS B", "MV 3"), Place(MEDIUM, "end")):
        with pytest.raises(InvalidInput):
            nets.bus_at(place)


def test_what_is_set_for_elements_goes_by_the_network_that_they_are_in() -> None:
    keys = ("line:CS A: line 1", "bus:CS A: a: b", "line:CS B: line 1", "line:MV line 1", "bus:odd: name")
    found = by_grid({key: number for number, key in enumerate(keys)}, ["CS A", "CS C"])
    assert found == {
        "CS A": {"line:line 1": 0, "bus:a: b": 1},
        "": {"line:CS B: line 1": 2, "line:MV line 1": 3, "bus:odd: name": 4},
    }
