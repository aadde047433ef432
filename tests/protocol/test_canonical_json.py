"""Canonical JSON against the npm package `canonicalize` (golden vectors), and what is refused."""

import json
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.canonical_json import MAX_INTEGER, dumps, loads
from offchain.protocol.errors import InvalidInput

GOLDEN = json.loads((Path(__file__).parents[1] / "data/golden/canonical_json.json").read_text())


@pytest.mark.parametrize("vector", GOLDEN["integers"], ids=lambda vector: ascii(vector["canonical"])[:40])
def test_golden_vectors(vector: dict[str, Any]) -> None:
    canonical = vector["canonical"].encode()
    assert dumps(vector["value"]) == canonical
    assert loads(canonical) == vector["value"]


@pytest.mark.parametrize("vector", GOLDEN["floats"], ids=lambda vector: vector["canonical"])
def test_golden_vectors_of_floats(vector: dict[str, Any]) -> None:
    canonical = vector["canonical"].encode()
    assert dumps({"x": vector["value"]}, allow_floats=True) == b'{"x":' + canonical + b"}"
    assert loads(canonical, allow_floats=True) == vector["value"]
    with pytest.raises(InvalidInput, match=r"document\.x = .*not a float"):
        dumps({"x": vector["value"]})
    with pytest.raises(InvalidInput, match=r"document\.x\[1\] = .*not a float"):
        loads(b'{"x":[0,' + canonical + b"]}")


characters = st.characters(blacklist_categories=("Cs",))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | st.text(characters),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(characters, max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(value=values)
def test_bytes_and_back(value: Any) -> None:
    assert loads(dumps(value)) == value


@given(value=values)
def test_the_order_of_keys_does_not_matter(value: Any) -> None:
    document = {"b": value, "a": value, "\U00010000": 1, "\uffff": 2}
    assert dumps(document) == dumps(dict(reversed(document.items())))


def test_enumerations_and_tuples_are_integers_and_arrays() -> None:
    class Side(IntEnum):
        OFFER = 1

    assert dumps({"sides": (Side.OFFER, True)}) == b'{"sides":[1,true]}'


@pytest.mark.parametrize("allow_floats", [False, True])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a":[1,NaN]}', r"document\.a\[1\] = nan: must be finite"),
        (b'{"a":Infinity}', r"document\.a = inf: must be finite"),
        (b'{"a":-Infinity}', r"document\.a = -inf: must be finite"),
        (b'{"a":1e400}', r"document\.a = inf: must be finite"),
        (b'[{"a":{"b":1,"b":2}}]', r"document\[0\]\.a\.b = \(1, 2\): must stand in its object once"),
        (b'{"b":1,"b":1,"b":1}', r"document\.b = .* must stand in its object once"),
        (b'{"a":9007199254740992}', r"document\.a = 9007199254740992: must be within"),
        (b'{"a":-9007199254740992}', r"document\.a = -9007199254740992: must be within"),
        (b'{"a":"\\ud800"}', r"document\.a = .*half a surrogate pair"),
        (b'{"\\ud800":1}', r"document = .*every key"),
        (b'{"b":1,"a":2}', r"document at byte 2 = .*canonical"),
        (b'{"a": 1}', r"document at byte 5 = .*canonical"),
        (b'{"a":1}\n', r"document at byte 7 = .*canonical"),
        (b'{"a":"\\u0041"}', r"document at byte 6 = .*canonical"),
        (b'{"a":-0}', r"document at byte 5 = .*canonical"),
        (b"", r"document = .*must be JSON in UTF-8"),
        (b"{", r"document = .*must be JSON in UTF-8"),
        (b'{"a":01}', r"document = .*must be JSON in UTF-8"),
        (b'"\xff"', r"document = .*must be JSON in UTF-8"),
        (b'\xef\xbb\xbf{"a":1}', r"document = .*must be JSON in UTF-8"),
        (b"[" * 100_000, r"document = .*must be JSON in UTF-8"),
        (b"1" * 5000, r"document = .*must be JSON in UTF-8"),
    ],
)
def test_bad_bytes_are_refused(data: bytes, message: str, allow_floats: bool) -> None:
    with pytest.raises(InvalidInput, match=message):
        loads(data, allow_floats=allow_floats)


def test_floats_that_spell_an_integer_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"document\.a = 1\.0: must be an integer"):
        loads(b'{"a":1.0}')
    with pytest.raises(InvalidInput, match=r"document at byte 6 .*canonical"):
        loads(b'{"a":1.0}', allow_floats=True)
    with pytest.raises(InvalidInput, match=r"document\.a = 1e\+17: must be within"):
        dumps({"a": 1e17}, allow_floats=True)


@pytest.mark.parametrize("value", [b"bytes", {1}, object(), 1j])
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"document\.a\[0\] = .*must be a JSON value"):
        dumps({"a": [value]})


def test_keys_that_are_not_strings_are_refused() -> None:
    document: Any = {"a": {1: 2}}
    with pytest.raises(InvalidInput, match=r"document\.a = 1: .*every key"):
        dumps(document)


def test_endless_nesting_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidInput, match="nested"):
        dumps(endless)
