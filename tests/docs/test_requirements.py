"""docs/requirements.md is held to the list of requirements and to the tests that it names."""

import ast
import csv
from collections import Counter
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
STATES = ("done", "partly", "not yet")


def rows() -> list[dict[str, str]]:
    names = ("id", "system", "what", "state", "missing", "test")
    lines = (PROJECT / "docs" / "requirements.md").read_text().splitlines()
    table = [
        line.strip("|").split("|") for line in lines if line.startswith("| ") and not line.startswith("| id ")
    ]
    return [dict(zip(names, (cell.strip() for cell in cells), strict=True)) for cells in table]


def wanted() -> dict[str, str]:
    with (PROJECT / "tests" / "data" / "requirements.tsv").open() as file:
        return {row["id"]: row["what must work"] for row in csv.DictReader(file, delimiter="\t")}


def functions_of(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_requirement_is_there_once_with_its_text() -> None:
    listed = [(row["id"], row["what"]) for row in rows()]
    assert sorted(listed) == sorted(wanted().items())


def test_the_counts_are_those_of_the_table() -> None:
    counts = Counter(row["state"] for row in rows())
    said = ", ".join(f"{counts[state]} {state}" for state in STATES)
    assert f"{said}." in (PROJECT / "docs" / "requirements.md").read_text()


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["id"])
def test_a_state_is_backed(row: dict[str, str]) -> None:
    assert row["state"] in STATES
    assert bool(row["missing"]) == (row["state"] == "partly")
    if row["state"] == "not yet":
        assert row["test"] == ""
        return
    path, _, name = row["test"].strip("`").partition("::")
    assert name in functions_of(PROJECT / path)
