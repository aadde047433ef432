"""The configuration file that an installer writes: TOML, refused as a whole if anything in it is wrong."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from lightnode.meter import ENERGIES, MOST_REGISTERS_A_READ
from offchain.messaging.topics import check_user
from offchain.protocol.errors import InvalidInput
from offchain.protocol.signatures import checksum_address, parse_address


def _pod(text: str) -> str:
    if not re.fullmatch(r"0x[0-9a-f]{64}", text):
        raise ValueError("must be the PoD's pseudonym: 0x and 64 lower-case hex digits")
    return text


def _address(text: str) -> str:
    try:
        return checksum_address(parse_address("reading_anchor", text))
    except InvalidInput as problem:
        raise ValueError(problem.rule) from None


def _user(text: str) -> str:
    try:
        return check_user(text)
    except InvalidInput as problem:
        raise ValueError(problem.rule) from None


Port = Annotated[int, Field(ge=1, le=65535)]
Register = Annotated[int, Field(ge=0, le=65535)]
Host = Annotated[str, Field(min_length=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ChainSettings(_Settings):
    """Which deployment the signatures are for: the EIP-712 domain."""

    id: Annotated[int, Field(ge=1)]
    reading_anchor: Annotated[str, AfterValidator(_address)]


class BrokerSettings(_Settings):
    """The access layer's broker. `password_file` must be open to its owner only."""

    host: Host
    port: Port
    user: Annotated[str, AfterValidator(_user)]
    password_file: str


class ModbusSettings(_Settings):
    """A device on Modbus TCP."""

    host: Host
    port: Port = 502
    unit: Annotated[int, Field(ge=0, le=247)] = 1
    timeout_s: Annotated[float, Field(gt=0, le=60, strict=False)] = 3.0


class MeterSettings(ModbusSettings):
    """The meter: first register of each cumulative energy, in Wh or varh, high word first."""

    function: Literal["holding", "input"] = "holding"
    width_bits: Literal[32, 64] = 64
    absorbed_active: Register
    injected_active: Register
    absorbed_inductive: Register
    injected_inductive: Register
    absorbed_capacitive: Register
    injected_capacitive: Register

    @property
    def registers(self) -> tuple[int, ...]:
        """First registers in the order of ENERGIES."""
        return tuple(getattr(self, name) for name in ENERGIES)

    @model_validator(mode="after")
    def _check_registers(self) -> "MeterSettings":
        words = self.width_bits // 16
        taken = sorted(self.registers)
        if any(second - first < words for first, second in pairwise(taken)):
            raise ValueError(f"energies of {words} registers each must not overlap: {taken}")
        if taken[-1] + words - taken[0] > MOST_REGISTERS_A_READ:
            raise ValueError(f"all energies must lie within {MOST_REGISTERS_A_READ} registers: {taken}")
        return self


class EmsSettings(ModbusSettings):
    """The customer's energy management system: first of its ten registers (see ems.py)."""

    first_register: Register = 0


class NodeConfig(_Settings):
    """All of a Light Node's settings; paths are relative to the configuration file."""

    pod: Annotated[str, AfterValidator(_pod)]
    key_file: str
    journal: str
    late_reading_s: Annotated[int, Field(ge=0, le=300)] = 60
    """How long after a quarter-hour's end the meter may still be read for it."""
    journal_survives_power_cut: bool = True
    """Flush the disk at every change; false only where many nodes are simulated on one machine."""
    chain: ChainSettings
    broker: BrokerSettings
    meter: MeterSettings
    ems: EmsSettings

    @property
    def pod_bytes(self) -> bytes:
        """The PoD's pseudonym, 32 bytes."""
        return bytes.fromhex(self.pod[2:])

    @classmethod
    def load(cls, path: Path) -> "NodeConfig":
        """Read a configuration file. Raises InvalidInput naming the setting, its value and the rule it breaks."""
        try:
            content = tomllib.loads(path.read_text())
        except OSError as problem:
            raise InvalidInput("config", str(path), f"must be a readable file: {problem.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
            raise InvalidInput("config", str(path), f"must be TOML: {problem}") from None
        for name in ("key_file", "journal"):
            if isinstance(content.get(name), str):
                content[name] = str(path.parent / content[name])
        broker = content.get("broker")
        if isinstance(broker, dict) and isinstance(broker.get("password_file"), str):
            broker["password_file"] = str(path.parent / broker["password_file"])
        try:
            return cls.model_validate(content)
        except ValidationError as problem:
            first = problem.errors()[0]
            field = ".".join(map(str, first["loc"])) or "config"
            raise InvalidInput(field, first["input"], first["msg"]) from None
