"""Networks from files: read as they were saved, whatever format; and what a file may not do to its reader."""

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandapower
import pandapower.networks
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandapower.converter.matpower import to_mpc

from offchain.protocol.errors import FlexledgerError, InvalidInput
from oracles.grid.core.from_pandapower import model_document
from oracles.grid.loading import tables
from oracles.grid.loading.checks import load_checked_net
from oracles.grid.loading.files import load_net
from oracles.grid.loading.problems import UnusableNetwork
from tests.examples import examples
from tests.oracles.grid.loading.cgmes import write_cgmes

CASE9 = Path(__file__).parents[3] / "data" / "networks" / "case9.m"


def voltages(net: Any) -> Any:
    pandapower.runpp(net, numba=False)
    return net.res_bus.vm_pu.to_numpy()


def switched_net() -> Any:
    """CIGRE's MV grid, with a switch open and a tap off neutral."""
    net = pandapower.networks.create_cigre_network_mv(with_der="pv_wind")
    net.switch.loc[4, "closed"] = False
    net.trafo["tap_side"], net.trafo["tap_changer_type"] = "hv", "Ratio"
    net.trafo["tap_neutral"], net.trafo["tap_pos"], net.trafo["tap_step_percent"] = 0, -1, 1.25
    net.trafo["tap_min"], net.trafo["tap_max"] = -4, 4
    return net


@pytest.mark.parametrize("suffix", ["json", "xlsx"])
def test_what_pandapower_saves_is_read_back(tmp_path: Path, suffix: str) -> None:
    net = switched_net()
    path = tmp_path / f"net.{suffix}"
    (pandapower.to_json if suffix == "json" else pandapower.to_excel)(net, str(path))
    read = load_checked_net(str(path))
    assert np.abs(voltages(read) - voltages(net)).max() < 1e-12
    assert np.abs(voltages(read) - voltages(pandapower.networks.create_cigre_network_mv())).max() > 1e-3
    ours, theirs = model_document(read), model_document(net)
    for part in ("nodes", "lines", "transformers", "open_lines"):
        assert [entry["name"] for entry in ours[part]] == [entry["name"] for entry in theirs[part]]
    assert ours["name"] == theirs["name"]


def test_net_of_an_older_pandapower_is_brought_up_to_date(tmp_path: Path) -> None:
    net = switched_net()
    net.trafo = net.trafo.drop(columns=["tap_changer_type", "tap_dependency_table"])
    net.trafo["tap_phase_shifter"] = False
    net.format_version = net.version = "2.14.0"
    pandapower.to_json(net, str(tmp_path / "net.json"))
    read = load_checked_net(str(tmp_path / "net.json"))
    assert np.abs(voltages(read) - voltages(switched_net())).max() < 1e-12


def test_matpower_case_has_its_published_solution(tmp_path: Path) -> None:
    net = load_checked_net(str(CASE9))
    assert voltages(net)[[3, 4, 6, 8]] == pytest.approx([0.987, 0.975, 0.986, 0.958], abs=5e-4)
    to_mpc(net, str(tmp_path / "case9.mat"))
    assert np.abs(voltages(load_net(str(tmp_path / "case9.mat")).net) - voltages(net)).max() < 1e-12


def equal_to_the_cgmes_sample() -> Any:
    net = pandapower.create_empty_network()
    mv, busbar, end = (pandapower.create_bus(net, kv) for kv in (20.0, 0.4, 0.4))
    pandapower.create_ext_grid(net, mv, vm_pu=1.01)
    pandapower.create_transformer_from_parameters(
        net, mv, busbar, sn_mva=0.4, vn_hv_kv=20, vn_lv_kv=0.4, vkr_percent=0.588,
        vk_percent=float(np.hypot(5.88, 23.28) * 0.4 * 100 / 20**2), pfe_kw=0.4, i0_percent=float(np.hypot(0.1, 0.2)),
        tap_side="hv", tap_neutral=0, tap_pos=1, tap_step_percent=2.5, tap_changer_type="Ratio",
    )  # fmt: skip
    capacitance_nf = 1.3e-5 / (2 * np.pi * 50) * 1e9
    pandapower.create_line_from_parameters(net, busbar, end, 1, 0.0642, 0.0166, capacitance_nf, 0.142)
    pandapower.create_load(net, end, 0.03, 0.01)
    return net


@pytest.mark.parametrize("packed", [False, True])
def test_cgmes_is_read_with_switches_and_taps(tmp_path: Path, packed: bool) -> None:
    write_cgmes(tmp_path)
    source = tmp_path
    if packed:
        source = tmp_path / "grid.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for name in ("EQ.xml", "SSH.xml"):
                archive.write(tmp_path / name, name)
    net = load_checked_net(str(source))
    assert net.switch.closed.tolist() == [True, False]
    expected = voltages(equal_to_the_cgmes_sample())
    found = dict(zip(net.bus.name, voltages(net), strict=True))
    assert [found[f"bus {bus}"] for bus in ("mv", "busbar", "end_a")] == pytest.approx(expected, abs=1e-9)
    assert np.isnan(found["bus end_b"])


def test_what_the_cim_converter_leaves_out_makes_the_net_unusable(tmp_path: Path) -> None:
    write_cgmes(tmp_path, without="t_line_a_2")
    with pytest.raises(UnusableNetwork, match="problem with Terminals") as caught:
        load_checked_net(str(tmp_path))
    assert any(
        problem.table == "load" and "nothing feeds it" in problem.rule for problem in caught.value.errors
    )


def test_simbench_code_is_a_source() -> None:
    assert len(load_checked_net("1-LV-rural1--2-sw").trafo) == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("grid.pfd", "export CIM"),
        ("grid.dgs", "export CIM"),
        ("grid.p", "pickle"),
        ("grid.pkl", "pickle"),
        ("grid.csv", "must be one of .json, .xlsx, .m, .mat, .zip, .xml, a folder"),
    ],
)
def test_format_that_is_not_read_is_refused_with_what_to_do(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InvalidInput, match=told):
        load_net(str(tmp_path / name))


def test_what_is_neither_file_nor_code_is_refused(tmp_path: Path) -> None:
    for source in ("no such thing", str(tmp_path / "missing.json"), str(tmp_path)):
        with pytest.raises(InvalidInput):
            load_net(source)


@pytest.mark.parametrize("suffix", ["json", "xlsx", "m", "mat", "zip", "xml"])
@examples(8)
@given(
    content=st.one_of(
        st.binary(max_size=200), st.sampled_from([b"{}", b"[" * 100_000, b"PK\x03\x04", b"<a/>"])
    )
)
def test_nonsense_is_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("file") / f"nonsense.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="nonsense"):
        load_net(str(path))


class TestHostileFile:
    """A file whose author wants to run code at the DSO."""

    @pytest.fixture
    def canary(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Gives an entry that makes pandapower's own reader import a module, and says whether it was imported."""
        (tmp_path / "canary_module.py").write_text("class Bird:\n    pass\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "canary_module", raising=False)
        yield {"_module": "canary_module", "_class": "Bird", "_object": "{}"}
        sys.modules.pop("canary_module", None)

    def saved(self, tmp_path: Path, change: Any) -> str:
        content = json.loads(pandapower.to_json(switched_net()))
        change(content["_object"])
        path = tmp_path / "net.json"
        path.write_text(json.dumps(content))
        return str(path)

    def test_module_named_beside_the_tables_is_not_imported(self, tmp_path: Path, canary: Any) -> None:
        path = self.saved(tmp_path, lambda net: net.update(extra=canary))
        loaded = load_net(path)
        assert "canary_module" not in sys.modules
        assert [note.table for note in loaded.notes] == ["extra"]
        pandapower.from_json(path)
        assert "canary_module" in sys.modules, "pandapower doesn't do what is defended against here any more"

    def test_module_named_in_a_cell_is_not_imported(self, tmp_path: Path, canary: Any) -> None:
        def change(net: Any) -> None:
            for table in ("bus", "controller"):
                content = json.loads(net[table]["_object"])
                content["columns"].append("object2")
                content["index"] = content["index"] or [0]
                content["data"] = [
                    [*row, canary] for row in content["data"] or [[None] * (len(content["columns"]) - 1)]
                ]
                net[table]["_object"] = json.dumps(content)
            net["std_types"]["line"] = canary

        loaded = load_net(self.saved(tmp_path, change))
        assert "canary_module" not in sys.modules
        assert [note.table for note in loaded.notes] == ["controller"]

    def test_object_in_a_sheet_is_not_made(self, tmp_path: Path, canary: Any) -> None:
        path = tmp_path / "net.xlsx"
        pandapower.to_excel(switched_net(), str(path))
        sheets = pd.read_excel(path, sheet_name=None, index_col=0)
        sheets["controller"] = pd.DataFrame({"object": [json.dumps(canary)], "in_service": [True]})
        sheets["bus"]["object"] = json.dumps(canary)
        with pd.ExcelWriter(path) as writer:
            for name, sheet in sheets.items():
                sheet.to_excel(writer, sheet_name=name)
        load_net(str(path))
        assert "canary_module" not in sys.modules

    @pytest.mark.parametrize("stolen", ['"secret.json"', '"/etc/hostname"', "null", '{"a": 1}'])
    def test_table_that_is_a_path_is_not_opened(self, tmp_path: Path, stolen: str) -> None:
        (tmp_path / "secret.json").write_text('{"columns": ["a"], "index": [0], "data": [[1]]}')
        value = json.loads(stolen.replace("secret.json", str(tmp_path / "secret.json")))
        path = self.saved(tmp_path, lambda net: net["bus"].update(_object=value))
        with pytest.raises(InvalidInput, match=r"net\.json"):
            load_net(path)

    def test_lists_in_cells_and_columns_there_twice_do_no_harm(self, tmp_path: Path) -> None:
        def cells(net: Any) -> None:
            content = json.loads(net["switch"]["_object"])
            content["data"][0][content["columns"].index("et")] = ["b"]
            net["switch"]["_object"] = json.dumps(content)

        with pytest.raises(UnusableNetwork, match=r"\.et = None: must be one of"):
            load_checked_net(self.saved(tmp_path, cells))

        def columns(net: Any) -> None:
            content = json.loads(net["line"]["_object"])
            content["columns"][-1] = "length_km"
            net["line"]["_object"] = json.dumps(content)

        with pytest.raises(InvalidInput, match=r"net\.json\.line\.columns"):
            load_net(self.saved(tmp_path, columns))

    def test_archive_of_other_files_or_too_large_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "grid.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inner.zip", b"PK")
        with pytest.raises(InvalidInput, match="nothing but CGMES"):
            load_net(str(path))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("EQ.xml", b"0" * 100_000)
        monkeypatch.setattr(tables, "MOST_BYTES", 99_999)
        with pytest.raises(InvalidInput, match="at most 99999 bytes, unpacked"):
            load_net(str(path))


def test_text_is_no_truth(tmp_path: Path) -> None:
    """In Python any text counts as true, and 1.5 systems in parallel as one."""
    path = tmp_path / "net.xlsx"
    pandapower.to_excel(switched_net(), str(path))
    sheets = pd.read_excel(path, sheet_name=None, index_col=0)
    sheets["switch"] = sheets["switch"].astype({"closed": object})
    sheets["switch"].loc[0, "closed"] = "no"
    sheets["line"] = sheets["line"].astype({"from_bus": object, "parallel": float})
    sheets["line"].loc[1, "from_bus"] = "two"
    sheets["line"].loc[2, "parallel"] = 1.5
    with pd.ExcelWriter(path) as writer:
        for name, sheet in sheets.items():
            sheet.to_excel(writer, sheet_name=name)
    with pytest.raises(UnusableNetwork) as caught:
        load_checked_net(str(path))
    assert {(problem.table, problem.column) for problem in caught.value.errors} == {
        ("switch", "closed"),
        ("line", "from_bus"),
        ("line", "parallel"),
    }
    assert isinstance(caught.value, FlexledgerError)
