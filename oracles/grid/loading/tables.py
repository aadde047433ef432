"""pandapower's own files, JSON and Excel, read as plain tables.

pandapower's reader imports the modules and calls the classes that a JSON file (or a cell of an Excel file) names, and
opens files that it names: whoever writes the file runs code. Here nothing but tables of plain values is taken from a
file, and nothing that it names is imported or called; what else stands in it is left out, with a warning.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandapower
import pandas as pd

from offchain.protocol.errors import InvalidInput
from oracles.grid.loading.problems import Problem, Severity

MOST_BYTES = 2**31
"""Of a file, unpacked."""
NET_CLASS = ("pandapower.auxiliary", "pandapowerNet")
TABLE_CLASS = ("pandas.core.frame", "DataFrame")

_PARAMETERS = ("name", "f_hz", "sn_mva", "version", "format_version")
_NOT_READ = ("controller", "characteristic", "group", "pwl_cost", "poly_cost")
"""Tables of pandapower's that hold objects, or nothing of the grid."""
_INTEGERS = ("int64", "int32", "uint32", "uint8")
_NOT_TABLES = ("std_types", "user_pf_options", "dtypes", "parameters")


@dataclass(frozen=True, eq=False)
class LoadedNet:
    """A pandapower net, and what was left out of it or assumed when it was read."""

    net: Any
    notes: tuple[Problem, ...] = ()


def read_json(path: Path) -> LoadedNet:
    """A net that pandapower 2 or newer saved as JSON. Raises InvalidInput, or what the file's nonsense leads to."""
    refuse_huge(path, path.stat().st_size)
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or (content.get("_module"), content.get("_class")) != NET_CLASS:
        raise InvalidInput(path.name, type(content).__name__, "must be a net saved by pandapower 2 or newer")
    net = content.get("_object")
    entries = json.loads(net) if isinstance(net, str) else net
    if not isinstance(entries, dict):
        raise InvalidInput(f"{path.name}._object", type(entries).__name__, "must be an object")
    tables: dict[str, pd.DataFrame] = {}
    notes = []
    for name, entry in entries.items():
        if not isinstance(entry, dict) or name in _NOT_TABLES:
            continue
        if (entry.get("_module"), entry.get("_class")) == TABLE_CLASS:
            tables[name] = _table(f"{path.name}.{name}", entry)
        elif entry:
            notes.append(_left_out(name, entry.get("_class", "object")))
    return _net_of(tables, entries, notes)


def read_excel(path: Path) -> LoadedNet:
    """A net that pandapower saved as Excel. Raises InvalidInput, or what the file's nonsense leads to."""
    refuse_huge_archive(path)
    sheets = pd.read_excel(path, sheet_name=None, index_col=0, engine="openpyxl")
    if "bus" not in sheets:
        raise InvalidInput(f"{path.name}.bus", None, "this sheet is missing")
    parameters = sheets["parameters"].iloc[0].to_dict() if "parameters" in sheets else {}
    tables = {
        name: sheet
        for name, sheet in sheets.items()
        if name not in _NOT_TABLES and not name.endswith(("_std_types", "_profiles"))
    }
    for row in sheets["dtypes"].itertuples() if "dtypes" in sheets else ():
        if row.element in tables and row.column in tables[row.element]:
            _cast(tables[row.element], row.column, row.dtype)
    return _net_of(tables, parameters, [])


def refuse_huge(path: Path, size: int) -> None:
    """Raises InvalidInput for what is too large to be a network."""
    if size > MOST_BYTES:
        raise InvalidInput(path.name, size, f"must be at most {MOST_BYTES} bytes, unpacked")


def refuse_huge_archive(path: Path) -> list[str]:
    """Names of an archive's members, of which nothing is unpacked. Raises InvalidInput where they are too large."""
    with zipfile.ZipFile(path) as archive:
        refuse_huge(path, sum(member.file_size for member in archive.infolist()))
        return archive.namelist()


def _table(where: str, entry: Mapping[str, Any]) -> pd.DataFrame:
    text = entry.get("_object")
    if entry.get("orient") != "split" or not isinstance(text, str):
        raise InvalidInput(
            f"{where}.orient", entry.get("orient"), "must be a table as pandapower saves it: 'split'"
        )
    content = json.loads(text)
    if len(set(content["columns"])) != len(content["columns"]):
        raise InvalidInput(f"{where}.columns", content["columns"], "must each be there once")
    rows = [[None if isinstance(cell, dict | list) else cell for cell in row] for row in content["data"]]
    table = pd.DataFrame(rows, index=content["index"], columns=content["columns"])
    for column, kind in (entry.get("dtype") or {}).items():
        if column in table:
            _cast(table, column, kind)
    return table


def _cast(table: pd.DataFrame, column: str, kind: object) -> None:
    """Give a column its type, unless a value is missing, of another kind or would change: the checks tell of those."""
    values = table[column]
    if kind == "object":
        table[column] = values.astype(object).where(values.notna(), None)
        return
    if kind == "bool":
        if values.isin((True, False)).all():
            table[column] = values.astype(bool)
        return
    numbers = pd.to_numeric(values, errors="coerce")
    if (numbers.isna() != values.isna()).any():
        return
    if kind == "float64":
        table[column] = numbers.astype(np.float64)
    elif kind == "Int64":
        table[column] = numbers.astype("Int64")
    elif kind in _INTEGERS and numbers.notna().all() and (numbers % 1 == 0).all():
        table[column] = numbers.astype(np.int64)


def _net_of(
    tables: Mapping[str, pd.DataFrame], parameters: Mapping[str, Any], notes: list[Problem]
) -> LoadedNet:
    net = pandapower.create_empty_network()
    templates = {
        name: value
        for name, value in net.items()
        if isinstance(value, pd.DataFrame) and not name.startswith(("_", "res_"))
    }
    for name in _PARAMETERS:
        value = parameters.get(name)
        if isinstance(value, str | int | float | np.number) and not pd.isna(value):
            net[name] = value
    for name, table in tables.items():
        if not len(table):
            continue
        if name in templates and name not in _NOT_READ:
            net[name] = table
        elif not name.startswith(("res_", "_")):
            notes.append(_left_out(name, f"{len(table)} rows"))
    pandapower.convert_format(net)
    for name, template in templates.items():
        for column, kind in template.dtypes.items():
            if column not in net[name]:
                # Without a value where it is needed, so that the checks name it.
                optional = kind == np.bool_ and column not in ("in_service", "closed")
                net[name][column] = False if optional else None
            _cast(net[name], column, str(kind))
    return LoadedNet(net, tuple(notes))


def _left_out(table: str, what: object) -> Problem:
    return Problem(
        Severity.WARNING, table, "", "", what, "isn't read: only tables of the grid's elements are"
    )
