"""One Modbus TCP device, as the meter and the EMS are: registers read and written, words high first."""

import socket
from collections.abc import Sequence
from typing import Literal, NoReturn

from pymodbus import ModbusException
from pymodbus.client import ModbusTcpClient

from offchain.protocol.errors import FlexledgerError


class DeviceUnreachable(FlexledgerError):
    """A device on Modbus doesn't answer, or answers with an exception."""


class ModbusDevice:
    """A unit behind a Modbus TCP address; connects when first used, and again after every failure."""

    def __init__(self, host: str, port: int, unit: int, timeout_s: float) -> None:
        self._where = f"{host}:{port} unit {unit}"
        self._unit = unit
        self._client = ModbusTcpClient(host, port=port, timeout=timeout_s, retries=1)

    def read(self, function: Literal["holding", "input"], first: int, count: int) -> list[int]:
        """`count` 16-bit registers from `first`. Raises DeviceUnreachable."""
        self._connect()
        read = (
            self._client.read_holding_registers
            if function == "holding"
            else self._client.read_input_registers
        )
        try:
            response = read(first, count=count, device_id=self._unit)
        except (ModbusException, OSError) as problem:
            self._fail(problem)
        if response.isError() or len(response.registers) != count:
            self._fail(response)
        return list(response.registers)

    def write(self, first: int, values: Sequence[int]) -> None:
        """Write 16-bit holding registers from `first`. Raises DeviceUnreachable."""
        self._connect()
        try:
            response = self._client.write_registers(first, list(values), device_id=self._unit)
        except (ModbusException, OSError) as problem:
            self._fail(problem)
        if response.isError():
            self._fail(response)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _connect(self) -> None:
        if self._client.connected:
            return
        self._client.connect()
        connection = self._client.socket
        if connection is None:
            raise DeviceUnreachable(f"{self._where}: no connection")
        # Requests are far smaller than a segment: waiting to fill one costs 40 ms each.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _fail(self, problem: object) -> NoReturn:
        self._client.close()
        raise DeviceUnreachable(f"{self._where}: {problem}")


def unsigned(words: Sequence[int]) -> int:
    """The integer of 16-bit words, high word first."""
    value = 0
    for word in words:
        value = value << 16 | word
    return value


def signed_words(value: int) -> list[int]:
    """An int32 as two 16-bit words, high word first."""
    raw = value.to_bytes(4, "big", signed=True)
    return [int.from_bytes(raw[:2], "big"), int.from_bytes(raw[2:], "big")]


def signed(words: Sequence[int]) -> int:
    """The int32 of two 16-bit words, high word first."""
    value = unsigned(words)
    return value - (1 << 32) if value >> 31 else value
