"""`flexledger network check`: what is told of a network before it is used."""

from pathlib import Path
from typing import Any

import pandapower
import pytest
from typer.testing import CliRunner

from offchain.cli import app
from tests.dso.test_pom_mapping import two_substations
from tests.oracles.grid.composed_case import COMPOSITION, written
from tests.oracles.grid.loading.test_checks import sound_net

CASE9 = Path(__file__).parents[1] / "data" / "networks" / "case9.m"


def check(*arguments: object) -> tuple[int, list[str]]:
    result = CliRunner().invoke(app, ["network", "check", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output.splitlines()


def saved(folder: Path, net: Any) -> Path:
    pandapower.to_json(net, str(folder / "net.json"))
    return folder / "net.json"


def test_usable_network_is_told_with_its_points(tmp_path: Path) -> None:
    path = saved(tmp_path, sound_net())
    pods = tmp_path / "pods.csv"
    pods.write_text("podId,bus\nIT1,end\nIT2,end\nIT3,other\n")
    assert check(path, "--pods", pods) == (
        0,
        [
            f"{path}: 5 buses, 2 lines, 1 transformers, 3 switches, 1 slacks, 1 loads, 1 static generators;"
            " at 20, 0.4 kV",
            "PoM PoM 1: 5 buses, 3 PoDs",
        ],
    )
    assert check(path)[1][-1] == "PoM PoM 1: 5 buses"


def test_unusable_network_is_told_with_all_its_errors(tmp_path: Path) -> None:
    net = sound_net()
    net.line.loc[0, "length_km"] = -1.0
    net.trafo.loc[0, "sn_mva"] = float("nan")
    path = saved(tmp_path, net)
    assert check(path) == (
        1,
        [
            "error: line line 1 #0.length_km = -1.0: must be a positive number",
            "error: trafo trafo #0.sn_mva = nan: must be a positive number",
            f"{path} can't be used: 2 errors, 0 warnings",
        ],
    )


def test_warnings_alone_leave_it_usable(tmp_path: Path) -> None:
    net = sound_net()
    net.line = net.line.drop(columns=["max_loading_percent"])
    code, lines = check(saved(tmp_path, net))
    assert code == 0
    assert lines[0].startswith("warning: line.max_loading_percent")


def test_what_can_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "grid.pfd").touch()
    for source, told in ((tmp_path / "grid.pfd", "export CIM"), ("1-LV-moon--0-sw", "SimBench code")):
        code, (line,) = check(source)
        assert code == 1
        assert line.startswith("error: ")
        assert told in line


def test_composition_is_told_with_what_is_joined_and_its_points(tmp_path: Path) -> None:
    source, pods = written(tmp_path), tmp_path / "pods.csv"
    pods.write_text("podId,grid,bus\nIT1,CS A,end\nIT2,,MV 2\n")
    made_of = "4 buses, 2 lines, 1 transformers, 1 slacks; at 20, 0.4 kV"
    assert check(source, "--pods", pods) == (
        0,
        [
            f"{source}: 4 buses, 3 lines, 1 slacks; at 20 kV",
            f"CS A, joined: {made_of}",
            f"CS B, watched by itself: {made_of}",
            f"CS C, watched by itself: {made_of}",
            "PoM PoM 1: 8 buses, 2 PoDs",
        ],
    )


def test_pod_in_two_grids_is_refused(tmp_path: Path) -> None:
    source, pods = written(tmp_path), tmp_path / "pods.csv"
    for again, told in (
        ("CS B,end", "pods.csv:3.grid = 'CS B': contradicts 'CS A'"),
        ("CS A,near", "contradicts 'end'"),
    ):
        pods.write_text(f"podId,grid,bus\nIT1,CS A,end\nIT1,{again}\n")
        code, (line,) = check(source, "--pods", pods)
        assert code == 1
        assert told in line


def test_unusable_composition_is_told(tmp_path: Path) -> None:
    source = written(tmp_path, COMPOSITION.replace("MV 2", "MV 9"))
    assert check(source) == (
        1,
        [
            "error: low CS B.bus = 'MV 9': must be a bus of the medium-voltage network",
            f"{source} can't be used: 1 errors, 0 warnings",
        ],
    )


def test_ring_of_two_points_of_measure_is_told(tmp_path: Path) -> None:
    net = two_substations()
    net.switch["closed"] = True
    code, lines = check(saved(tmp_path, net))
    assert code == 1
    assert any("one PoM" in line or "slack" in line for line in lines)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("pod,bus\nIT1,end\n", "must have the columns podId and bus"),
        ("podId,bus\nIT1,\n", "must have the columns podId and bus"),
        ("podId,bus\nIT1,end\nIT1,other\n", "contradicts 'end'"),
        ("podId,bus\nIT1,nowhere\n", "PoD IT1.bus = 'nowhere': must be a bus of the net"),
    ],
)
def test_list_of_pods_is_held_to_its_form_and_to_the_network(tmp_path: Path, content: str, told: str) -> None:
    pods = tmp_path / "pods.csv"
    pods.write_text(content)
    code, lines = check(saved(tmp_path, sound_net()), "--pods", pods)
    assert code == 1
    assert told in lines[0]
