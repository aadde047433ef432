"""Every test that a document names is there: a rule whose test is gone is no rule."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCUMENTS = ("SPECIFICATION.md", "tests/contracts/PROPERTIES.md", "tests/contracts/ATTACKS.md")
REFERENCE = re.compile(r"`([\w/]+\.py)?(?:::(\w+))?`")


def references(text: str) -> Iterator[tuple[str, str | None]]:
    """(file, test) of each reference; one that begins with :: is of the file named last."""
    file = ""
    for found in REFERENCE.finditer(text):
        if not any(found.groups()) or (found[1] and not Path(found[1]).name.startswith("test_")):
            continue
        file = found[1] or file
        yield file, found[2]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_a_document_refers_to_is_there(name: str) -> None:
    missing = []
    for file, test in references((TESTS.parent / name).read_text()):
        places = [TESTS.parent / file, TESTS / file, TESTS / "contracts" / file]
        path = next((place for place in places if place.is_file()), None)
        if path is None or (test and f"def {test}(" not in path.read_text()):
            missing.append(f"{file}::{test}")
    assert missing == []


def test_forge_tests_that_the_properties_name_are_there() -> None:
    written = "".join(path.read_text() for path in (TESTS / "forge").glob("*.t.sol"))
    named = re.findall(r"`((?:invariant|testFuzz)_\w+)`", (TESTS / "contracts/PROPERTIES.md").read_text())
    assert named
    assert [name for name in named if f"function {name}(" not in written] == []


def test_at_least_forty_attacks_have_a_test_each() -> None:
    rows = [
        line for line in (TESTS / "contracts/ATTACKS.md").read_text().splitlines() if line.startswith("| A")
    ]
    tests = [next(references(row), None) for row in rows]
    assert None not in tests
    assert len(rows) >= 40
    numbers = [row.split("|")[1].strip() for row in rows]
    assert numbers == [f"A{number}" for number in range(1, len(rows) + 1)]
