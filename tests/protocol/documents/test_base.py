"""Reading and writing documents: exact numbers, and refusals that name field, value and rule."""

from decimal import Decimal
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from offchain.protocol.documents.base import (
    Document,
    Eur,
    Identifier,
    Index,
    Kw,
    Kwh,
    Moment,
    Percent,
    PodReference,
    PositiveKw,
    Whole,
    build,
    dump,
    parse,
    read_json,
)
from offchain.protocol.errors import InvalidInput


class Inner(Document):
    """A part of a document."""

    index: Index = Field(alias="Index")
    p: Kw | None = None


class Sample(Document):
    """One field of every type."""

    name: Identifier | None = None
    pod: PodReference | None = None
    when: Moment | None = None
    hours: Whole = 24
    price: Eur | None = None
    energy: Kwh | None = None
    limit_p: PositiveKw | None = None
    share: Percent | None = None
    powers: Annotated[tuple[Inner, ...], Field(max_length=3)] = ()


@pytest.mark.parametrize(
    ("raw", "field", "value", "rule"),
    [
        (b'{"price":-1}', "price", Decimal(-1), "must not be negative"),
        (b'{"price":-0.000001}', "price", Decimal("-0.000001"), "must not be negative"),
        (b'{"price":0.0000001}', "price", Decimal("1E-7"), "must convert exactly to whole"),
        (b'{"limitP":NaN}', "limitP", None, "must be finite"),
        (b'{"price":-Infinity}', "price", Decimal("-Infinity"), "must be finite"),
        (b'{"hours":Infinity}', "hours", Decimal("Infinity"), "must be finite"),
        (b'{"name":NaN}', "name", None, "valid string"),
        (b'{"price":1e999999999}', "price", Decimal("1e999999999"), "must be 0"),
        (b'{"price":"1"}', "price", "1", "must be a number"),
        (b'{"price":true}', "price", True, "must be a number"),
        (b'{"limitP":-1}', "limitP", Decimal(-1), "must not be negative"),
        (b'{"energy":-1}', "energy", Decimal(-1), "must not be negative"),
        (b'{"share":100.01}', "share", Decimal("100.01"), "must be 0.00 to 100.00"),
        (b'{"hours":24.5}', "hours", Decimal("24.5"), "must be a whole number"),
        (b'{"hours":1e999999}', "hours", Decimal("1e999999"), "must be a whole number"),
        (b'{"hours":-1e999999999}', "hours", Decimal("-1e999999999"), "must be a whole number"),
        (b'{"powers":[{"Index":"0"},{"Index":"1","p":0.0001}]}', "powers[1].p", Decimal("0.0001"), "exactly"),
        (b'{"powers":[{"Index":"01"}]}', "powers[0].Index", "01", "must be an index"),
        (b'{"powers":[{"Index":-1}]}', "powers[0].Index", -1, "must be an index"),
        (b'{"powers":[{"Index":"\xd9\xa1"}]}', "powers[0].Index", "١", "must be an index"),
        (b'{"powers":[{"p":1}]}', "powers[0].Index", None, "is required"),
        (b'{"powers":[{"index":"1","Index":"1"}]}', "powers[0].index", "1", "is no field"),
        (b'{"unknown":1}', "unknown", 1, "is no field of this object"),
        (b'{"limit_p":1}', "limit_p", 1, "is no field of this object"),
        (b'{"pod":"IT1"}', "pod", "IT1", "must be a PoD id"),
        (b'{"when":"2026-03-29T00:00:00"}', "when", "2026-03-29T00:00:00", "ISO-8601"),
        (b'{"when":1774746000}', "when", 1774746000, "ISO-8601"),
        (b'{"name":""}', "name", "", "at least 1 character"),
        (b'{"name":"a","name":"b"}', "name", 2, "must stand once"),
        (b"[]", "Sample", [], "valid dictionary"),
    ],
)
def test_refusals_name_field_value_and_rule(raw: bytes, field: str, value: object, rule: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse(Sample, raw)
    assert refusal.value.field == field
    assert rule in refusal.value.rule
    if b"NaN" in raw:
        # NaN is equal to nothing, itself included.
        assert str(refusal.value.value) == "NaN"
    else:
        assert refusal.value.value == value


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff", b"{'a':1}", b"[" * 100_000, b"1" * 10_000, b"1e" + b"9" * 20]
)
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"document = .*must be JSON"):
        read_json(raw)


def test_floats_are_refused_because_their_decimals_are_lost() -> None:
    with pytest.raises(InvalidInput, match=r"price = 0.1: must be a number"):
        parse(Sample, {"price": 0.1})


def test_values_by_python_names_are_checked_alike() -> None:
    with pytest.raises(InvalidInput, match=r"limit_p = Decimal\('-1'\): must not be negative"):
        build(Sample, limit_p=Decimal(-1))
    with pytest.raises(InvalidInput, match="limitP = 1: is no field"):
        build(Sample, limitP=1)


def test_writing_is_canonical_and_exact() -> None:
    document = parse(
        Sample, b'{"share":33.30, "price":0.1, "limitP":1.0, "powers":[{"p":null,"Index":7}], "hours":24.0}'
    )
    assert dump(document) == (
        b'{"hours":24,"limitP":1,"powers":[{"Index":"7","p":null}],"price":0.1,"share":33.3}'
    )


def test_amounts_beyond_the_digits_of_json_numbers_are_not_written() -> None:
    document = build(Sample, price=Decimal("9007199254.740991"))
    with pytest.raises(InvalidInput, match="more digits than JSON numbers carry"):
        dump(document)


def test_dates_keep_their_zone() -> None:
    raw = b'{"when":"2026-03-29T00:00:00.500+01:00"}'
    assert dump(parse(Sample, raw)) == raw


@given(
    st.integers(0, 2**51), st.integers(-(2**31) + 1, 2**31 - 1), st.integers(0, 10_000), st.integers(0, 99)
)
def test_what_is_written_reads_back(price: int, power: int, share: int, index: int) -> None:
    document = build(
        Sample,
        price=Decimal(price).scaleb(-6),
        share=Decimal(share).scaleb(-2),
        powers=(build(Inner, index=index, p=Decimal(power).scaleb(-3)),),
    )
    assert parse(Sample, dump(document)) == document


def test_documents_do_not_change() -> None:
    document = build(Sample, name="a")
    with pytest.raises(ValueError, match="frozen"):
        document.name = "b"


def test_a_doubled_key_among_many_is_found_at_once() -> None:
    """Counted name by name two hundred thousand would take an hour."""
    names = [*(f'"{number}":1' for number in range(200_000)), '"199999":1']
    with pytest.raises(InvalidInput, match="199999 = 2: must stand once"):
        read_json(("{" + ",".join(names) + "}").encode())
