"""Canonical JSON (RFC 8785): one value, one sequence of bytes, so that documents can be hashed and compared.

Our documents carry integers only. Floats are refused unless the caller allows them (a grid model, say);
NaN, infinities, doubled keys and integers beyond 2**53 - 1 always are.
"""

import json
import math
from dataclasses import dataclass
from typing import cast

import rfc8785

from offchain.protocol.errors import InvalidInput

MAX_INTEGER = 2**53 - 1


def dumps(value: object, *, allow_floats: bool = False) -> bytes:
    """Canonical bytes of a value.

    Raises InvalidInput naming the field of whatever RFC 8785 or we don't allow.
    """
    _check(value, allow_floats)
    return rfc8785.dumps(cast("dict[str, None]", value))


def loads(data: bytes, *, allow_floats: bool = False) -> object:
    """The value whose canonical bytes these are; objects are dicts, arrays lists.

    Raises InvalidInput, naming the field where there is one, for bytes that aren't JSON, or aren't canonical
    (other order, spaces, spelling of numbers or escapes), and for what `dumps` refuses.
    """
    try:
        value: object = json.loads(data.decode("utf-8"), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("document", data, f"must be JSON in UTF-8: {error}") from error
    canonical = dumps(value, allow_floats=allow_floats)
    if canonical != data:
        at = next(
            (i for i, (a, b) in enumerate(zip(canonical, data, strict=False)) if a != b), len(canonical)
        )
        raise InvalidInput(f"document at byte {at}", data[at : at + 40], "must be canonical JSON (RFC 8785)")
    return value


@dataclass(frozen=True)
class _Doubled:
    """Stands for the value of a key that an object has twice, until _check finds it by its whole path."""

    values: tuple[object, object]


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in pairs:
        result[key] = _Doubled((result[key], value)) if key in result else value
    return result


def _check(value: object, allow_floats: bool) -> None:
    try:
        fault = _first_fault(value, allow_floats)
    except RecursionError as error:
        raise InvalidInput("document", type(value).__name__, "must not be nested this deeply") from error
    if fault is not None:
        raise InvalidInput("document" + fault.path, fault.value, fault.rule)


@dataclass(frozen=True)
class _Fault:
    path: str
    value: object
    rule: str


def _first_fault(value: object, allow_floats: bool) -> _Fault | None:
    """The first part of the value that may not stand in a document; its path is built on the way back up."""
    match value:
        case None | bool():
            return None
        case int():
            return None if abs(value) <= MAX_INTEGER else _Fault("", value, f"must be within ±{MAX_INTEGER}")
        case str():
            return None if _is_unicode(value) else _Fault("", value, "must not hold half a surrogate pair")
        case float():
            if not math.isfinite(value):
                return _Fault("", value, "must be finite")
            if not allow_floats:
                return _Fault("", value, "must be an integer, not a float")
            # Canonical JSON writes these in digits, so that loads would read them as integers and refuse
            # them.
            in_digits = MAX_INTEGER < abs(value) < 1e21
            return _Fault("", value, f"must be within ±{MAX_INTEGER} or from 1e21 on") if in_digits else None
        case _Doubled():
            return _Fault("", value.values, "must stand in its object once")
        case dict():
            for key, item in value.items():
                if not isinstance(key, str) or not _is_unicode(key):
                    return _Fault("", key, "must be a string, as every key")
                fault = _first_fault(item, allow_floats)
                if fault is not None:
                    return _Fault(f".{key}{fault.path}", fault.value, fault.rule)
            return None
        case list() | tuple():
            for index, item in enumerate(value):
                fault = _first_fault(item, allow_floats)
                if fault is not None:
                    return _Fault(f"[{index}]{fault.path}", fault.value, fault.rule)
            return None
    return _Fault("", value, "must be a JSON value: null, boolean, integer, string, array or object")


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
