"""Settings of a REST API: where it listens and which participants may call it, each with a token of its own."""

import json
import tomllib
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from offchain.protocol.errors import InvalidInput

LEAST_TOKEN_CHARACTERS = 32
LEAST_DISTINCT_CHARACTERS = 10


class Role(StrEnum):
    """What a caller of an API is."""

    AGGREGATOR = "aggregator"
    DSO = "dso"
    TSO = "tso"
    MARKET = "market"
    CUSTOMER_DATABASE = "customer_database"
    ORACLE = "oracle"
    FIELD_GATEWAY = "field_gateway"
    """Where the DSO's own sensors send their readings from."""


class Participant(BaseModel):
    """Who may call: its name (an aggregator's is its aggregatorId), its role, its secret token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
    role: Role
    token: SecretStr

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: SecretStr) -> SecretStr:
        text = token.get_secret_value()
        if len(text) < LEAST_TOKEN_CHARACTERS or len(set(text)) < LEAST_DISTINCT_CHARACTERS:
            raise ValueError(
                f"must be a random token of {LEAST_TOKEN_CHARACTERS} characters or more, "
                f"{LEAST_DISTINCT_CHARACTERS} of them distinct, such as secrets.token_urlsafe(32) gives"
            )
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("must be printable ASCII without spaces: it goes into an HTTP header")
        return token


class ApiSettings(BaseModel):
    """Settings of one API, read from a TOML or JSON file. It listens on the loopback address unless told otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    participants: Annotated[tuple[Participant, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check_participants(self) -> Self:
        names = Counter(participant.name for participant in self.participants)
        doubled = sorted(name for name, times in names.items() if times > 1)
        if doubled:
            raise ValueError(f"participants must have names of their own: {doubled} stand there twice")
        if len({participant.token.get_secret_value() for participant in self.participants}) < len(names):
            raise ValueError("participants must have tokens of their own: two share one")
        return self

    @classmethod
    def load(cls, path: Path) -> Self:
        """Settings of a .toml or .json file.

        Raises InvalidInput naming file, setting and rule; a token itself never stands in a message.
        """
        try:
            text = path.read_text()
            content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        except OSError as error:
            raise InvalidInput("settings", str(path), f"must be a readable file: {error.strerror}") from None
        except ValueError as error:
            raise InvalidInput("settings", str(path), f"must be TOML (.toml) or JSON: {error}") from None
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            field = ".".join(("settings", *map(str, first["loc"])))
            raise InvalidInput(field, str(path), first["msg"].removeprefix("Value error, ")) from None
