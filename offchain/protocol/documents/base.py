"""What all documents share: strict reading, errors that name field, value and rule, exact numbers, writing.

On the wire fields have exactly the names of the source's tables; in Python they are snake_case. Numbers are
read as decimals, never as floats, so that nothing is lost before it can be refused.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError, PydanticSerializationError

from offchain.protocol import canonical_json
from offchain.protocol.errors import InvalidInput
from offchain.protocol.pods import check_pod_reference
from offchain.protocol.units import (
    datetime_to_iso,
    eur_to_ueur,
    iso_to_datetime,
    kw_to_w,
    kwh_to_wh,
    percent_to_basis_points,
)

_CUSTOM = "flexledger"


class Document(BaseModel):
    """A document or a part of one: unknown fields are refused, and nothing changes after it was read."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        alias_generator=to_camel,
        hide_input_in_errors=True,
    )


DocumentT = TypeVar("DocumentT", bound=Document)


def parse(model: type[DocumentT], raw: bytes | Mapping[str, object]) -> DocumentT:
    """Read a document from JSON, or from an object as `read_json` gives it.

    Raises InvalidInput that names the first field that is wrong by its path, its value and the rule it
    breaks.
    """
    content = read_json(raw) if isinstance(raw, bytes) else raw
    return _validated(lambda: model.model_validate(content, by_alias=True, by_name=False))


def build(model: type[DocumentT], **values: object) -> DocumentT:
    """Make a document from values by their Python names; raises InvalidInput as `parse` does."""
    return _validated(lambda: model.model_validate(values, by_alias=False, by_name=True))


def dump(document: Document) -> bytes:
    """A document's canonical JSON (RFC 8785): the fields that were given, null where null was given.

    Raises InvalidInput for a number that JSON's readers wouldn't all read back as it is.
    """
    try:
        content = document.model_dump(mode="json", by_alias=True, exclude_unset=True)
    except PydanticSerializationError as error:
        raise InvalidInput(type(document).__name__, "a number", str(error)) from None
    return canonical_json.dumps(content, allow_floats=True)


def read_json(raw: bytes) -> object:
    """The value of JSON bytes, integers as int and all other numbers as Decimal.

    NaN and infinities too, which every field refuses by its name. Raises InvalidInput for what isn't JSON in
    UTF-8, and for a key that an object has twice.
    """
    try:
        return cast(
            object,
            json.loads(
                raw.decode("utf-8"),
                parse_float=Decimal,
                parse_constant=Decimal,
                object_pairs_hook=_object,
            ),
        )
    except (
        ValueError,
        RecursionError,
        ArithmeticError,
    ) as error:  # the last: an exponent that no Decimal has
        raise InvalidInput("document", raw, f"must be JSON in UTF-8: {error}") from None


def broken_rule(field: str, value: object, rule: str) -> PydanticCustomError:
    """The error for a validator to raise where a field inside the checked object breaks a rule."""
    context: dict[str, object] = {"field": field, "value": value, "rule": rule}
    return PydanticCustomError(_CUSTOM, "{rule}", context)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    if len(content) < len(pairs):
        times = Counter(name for name, _ in pairs)
        doubled = next(name for name, count in times.items() if count > 1)
        raise InvalidInput(doubled, times[doubled], "must stand once in its object")
    return content


def _validated(read: Callable[[], DocumentT]) -> DocumentT:
    try:
        return read()
    except ValidationError as error:
        raise _refusal(error.title, error.errors(include_url=False)[0]) from None


def _refusal(title: str, error: ErrorDetails) -> InvalidInput:
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    value, rule = error["input"], error["msg"]
    match error["type"]:
        case "extra_forbidden":
            rule = "is no field of this object"
        case "missing":
            value, rule = None, "is required"
        case kind if kind == _CUSTOM:
            context = error["ctx"]
            inner, value, rule = context["field"], context["value"], context["rule"]
            path += f".{inner}" if path and inner and not inner.startswith("[") else inner
    return InvalidInput(path or title, value, rule)


def _by_rule(check: Callable[[str, Decimal], object]) -> AfterValidator:
    """A validator from a conversion of `units`: what doesn't convert is refused, what does stays as it is."""

    def validate(value: Decimal) -> Decimal:
        try:
            check("", value)
        except InvalidInput as refusal:
            raise broken_rule("", refusal.value, refusal.rule) from None
        return value

    return AfterValidator(validate)


def _decimal(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise broken_rule("", value, "must be a number")
    number = Decimal(value)
    if not number.is_finite():
        raise broken_rule("", value, "must be finite")
    return number


def _json_number(value: Decimal) -> int | float:
    if value == value.to_integral_value():
        return int(value)
    shown = float(value)
    if Decimal(repr(shown)) != value:
        raise ValueError(f"{value} has more digits than JSON numbers carry")
    return shown


_NUMBER = (
    BeforeValidator(_decimal),
    PlainSerializer(_json_number, when_used="json"),
    WithJsonSchema({"type": "number"}),
)

Kw = Annotated[Decimal, *_NUMBER, _by_rule(kw_to_w)]
"""kW or kvar of either sign that are whole W or var."""


def _not_negative_kw(field: str, value: Decimal) -> int:
    if value < 0:
        raise InvalidInput(field, value, "must not be negative")
    return kw_to_w(field, value)


PositiveKw = Annotated[Decimal, *_NUMBER, _by_rule(_not_negative_kw)]
"""kW or kvar, not negative, that are whole W or var."""
Kwh = Annotated[Decimal, *_NUMBER, _by_rule(kwh_to_wh)]
"""kWh or kvarh, not negative, that are whole Wh or varh."""
Eur = Annotated[Decimal, *_NUMBER, _by_rule(eur_to_ueur)]
"""€, or € per kW (kvar) and interval, not negative, that are whole µ€."""
Percent = Annotated[Decimal, *_NUMBER, _by_rule(percent_to_basis_points)]
"""Per cent, not negative, that are whole basis points."""


def _whole(value: object) -> int:
    number = _decimal(value)
    # Compared first: an exponent of a million must not become an integer of a million digits. abs() would reckon, and overflow.
    if number.copy_abs() > canonical_json.MAX_INTEGER or number != int(number):
        raise broken_rule("", value, "must be a whole number")
    return int(number)


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number, also where it is written 24.0."""


def _index(value: object) -> int:
    if isinstance(value, str) and re.fullmatch(r"0|[1-9][0-9]{0,2}", value, re.ASCII):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1000:
        return value
    raise broken_rule("", value, "must be an index of the time frame, counted from 0")


Index = Annotated[
    int, BeforeValidator(_index), PlainSerializer(str, when_used="json"), WithJsonSchema({"type": "string"})
]
"""Index of an interval in the time frame: a string on the wire, as the tables say; a number is taken too."""

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""An id that some platform has given."""


def _pod(value: str) -> str:
    try:
        return check_pod_reference("", value)
    except InvalidInput as refusal:
        raise broken_rule("", refusal.value, refusal.rule) from None


PodReference = Annotated[str, AfterValidator(_pod)]
"""Id or pseudonym of a PoD."""


def _moment(value: object) -> object:
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value
    try:
        return iso_to_datetime("", value if isinstance(value, str) else repr(value))
    except InvalidInput as refusal:
        raise broken_rule("", value, refusal.rule) from None


Moment = Annotated[
    datetime, BeforeValidator(_moment), PlainSerializer(datetime_to_iso, when_used="json", return_type=str)
]
"""A date of D2.3: ISO-8601 with its zone."""
