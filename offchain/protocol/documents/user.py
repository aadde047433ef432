"""Users of the market platform (D2.3 Table 1)."""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, SecretStr

from offchain.protocol.documents.base import Document, Identifier, broken_rule

_LONGEST_PASSWORD = 1024


class Role(StrEnum):
    """What a user may be."""

    DSO = "DSO"
    TSO = "TSO"
    AGGREGATOR = "aggregator"
    ADMIN = "admin"


def _password(value: object) -> object:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    # A password never goes into an error's message.
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_PASSWORD:
        raise broken_rule("", "hidden", f"must be a text of 1 to {_LONGEST_PASSWORD} characters")
    return text


class User(Document):
    """Table 1. The password is taken in, and never written out."""

    username: Identifier
    password: Annotated[SecretStr, BeforeValidator(_password)]
    role: Role | None = None
