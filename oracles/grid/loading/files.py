"""From a file, a folder or a SimBench code to a pandapower net.

Whoever made the file may mean harm: nothing that it names is imported or opened, and what can't be read is refused
with the reason, whatever the library behind raises.
"""

import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from offchain.protocol.errors import FlexledgerError, InvalidInput
from oracles.grid.loading.problems import Problem, Severity
from oracles.grid.loading.tables import LoadedNet, read_excel, read_json, refuse_huge, refuse_huge_archive

CGMES_3_MARK = b"CIM100#"
_HEAD_BYTES = 8192
_POWER_FACTORY = (
    "needs PowerFactory and its licence to be read: export CIM (CGMES) from it, or convert the project on a machine with"
    " PowerFactory by pandapower.converter.from_pfd and save it by pandapower.to_json"
)
_REFUSED = {
    ".pfd": _POWER_FACTORY,
    ".dgs": _POWER_FACTORY,
    ".p": "is a pickle, which runs what its author wants: save the net by pandapower.to_json",
    ".pkl": "is a pickle, which runs what its author wants: save the net by pandapower.to_json",
}


def load_net(source: str) -> LoadedNet:
    """The net of a file (.json or .xlsx of pandapower's, .m or .mat of MATPOWER's, .zip or .xml of CIM CGMES), of a folder of
    CGMES files, or of a SimBench code. It isn't checked.

    Raises InvalidInput where there is no such thing, it is of another format, or can't be read.
    """
    path = Path(source)
    if path.is_dir():
        return _guarded(path, _read_cim)
    if not path.is_file():
        return _simbench(source)
    if path.suffix.lower() in _REFUSED:
        raise InvalidInput("network", source, _REFUSED[path.suffix.lower()])
    if path.suffix.lower() not in _READERS:
        known = ", ".join((*_READERS, "a folder of CGMES files"))
        raise InvalidInput("network", source, f"must be one of {known}, or a SimBench code")
    return _guarded(path, _READERS[path.suffix.lower()])


def _guarded(path: Path, read: Callable[[Path], LoadedNet]) -> LoadedNet:
    try:
        with warnings.catch_warnings():
            # pandapower's converters join empty tables in a way that pandas will change.
            warnings.simplefilter("ignore")
            return read(path)
    except FlexledgerError:
        raise
    except Exception as problem:
        reason = f"can't be read: {type(problem).__name__}: {problem}"
        raise InvalidInput("network", str(path), reason) from problem


def _simbench(code: str) -> LoadedNet:
    from oracles.grid.simbench_case import load_simbench_net

    return LoadedNet(load_simbench_net(code))


def _read_matpower(path: Path) -> LoadedNet:
    from pandapower.converter.matpower import from_mpc

    refuse_huge(path, path.stat().st_size)
    return LoadedNet(from_mpc(str(path)))


def _read_cim(path: Path) -> LoadedNet:
    from pandapower.converter.cim.cim2pp import from_cim

    files = (
        sorted(each for each in path.iterdir() if each.suffix in (".xml", ".zip"))
        if path.is_dir()
        else [path]
    )
    if not files:
        raise InvalidInput("network", str(path), "must hold CGMES files, .xml or .zip")
    for file in files:
        inside = refuse_huge_archive(file) if file.suffix == ".zip" else []
        for name in inside:
            if not name.endswith((".xml", "/")):
                raise InvalidInput(file.name, name, "must hold nothing but CGMES files, .xml")
    net = from_cim.from_cim(
        [str(file) for file in files],
        cgmes_version="3.0" if any(_is_cgmes_3(file) for file in files) else "2.4.15",
        create_tap_controller=False,
        ignore_errors=False,
    )
    # Where a line misses an end, the converter leaves out all lines, and says so only here.
    severities = {"WARNING": Severity.WARNING, "ERROR": Severity.ERROR, "EXCEPTION": Severity.ERROR}
    notes = tuple(
        Problem(severities[log.level.value], path.name, "", "", log.code.name, " ".join(log.message.split()))
        for log in net.report_container.logs
        if log.level.value in severities
    )
    return LoadedNet(net, notes)


def _is_cgmes_3(file: Path) -> bool:
    if file.suffix != ".zip":
        with file.open("rb") as content:
            return CGMES_3_MARK in content.read(_HEAD_BYTES)
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            with archive.open(name) as content:
                if CGMES_3_MARK in content.read(_HEAD_BYTES):
                    return True
    return False


_READERS: Mapping[str, Callable[[Path], LoadedNet]] = {
    ".json": read_json,
    ".xlsx": read_excel,
    ".m": _read_matpower,
    ".mat": _read_matpower,
    ".zip": _read_cim,
    ".xml": _read_cim,
}
