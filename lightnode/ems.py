"""The customer's energy management system on Modbus TCP: takes a set point, and says what it made of it.

Ten holding registers from the first one on:

    0-1   set point, active power, int32 W        (net at the PoD: absorbed minus injected)
    2-3   set point, reactive power, int32 var    (alike)
    4     control: 1 follow the set point, 0 run free
    5     status: 1 following, 0 free, anything else: refused
    6-7   active power that the EMS has taken over, int32 W
    8-9   reactive power that it has taken over, int32 var
"""

from dataclasses import dataclass
from typing import Protocol

from lightnode.modbus import ModbusDevice, signed, signed_words
from offchain.protocol.errors import FlexledgerError

FREE, FOLLOW = 0, 1
REGISTERS = 10
CONTROL, STATUS = 4, 5


class SetPointRefused(FlexledgerError):
    """The EMS answered, but not with what it was told."""


@dataclass(frozen=True)
class EmsResponse:
    """What the EMS says it does: its status, and the set point that it has taken over (W, var)."""

    status: int
    active_w: int
    reactive_var: int


class Ems(Protocol):
    """What the node needs of an EMS."""

    def follow(self, active_w: int, reactive_var: int) -> None:
        """Give it a set point: net power at the PoD. Raises DeviceUnreachable or SetPointRefused."""

    def release(self) -> None:
        """Let it run free again. Raises DeviceUnreachable or SetPointRefused."""

    def close(self) -> None:
        """Let go of the connection."""


class ModbusEms:
    """An EMS on Modbus TCP with the registers above."""

    def __init__(self, device: ModbusDevice, first_register: int) -> None:
        self._device = device
        self._first = first_register

    def follow(self, active_w: int, reactive_var: int) -> None:
        """Write the set point and check the answer. Raises DeviceUnreachable or SetPointRefused."""
        words = [*signed_words(active_w), *signed_words(reactive_var), FOLLOW]
        self._device.write(self._first, words)
        answer = self.response()
        if answer != EmsResponse(FOLLOW, active_w, reactive_var):
            raise SetPointRefused(
                f"told to follow {active_w} W, {reactive_var} var, the EMS answered {answer}"
            )

    def release(self) -> None:
        """Clear the control register and check the answer. Raises DeviceUnreachable or SetPointRefused."""
        self._device.write(self._first + CONTROL, [FREE])
        answer = self.response()
        if answer.status != FREE:
            raise SetPointRefused(f"told to run free, the EMS answered {answer}")

    def response(self) -> EmsResponse:
        """What the EMS says it does. Raises DeviceUnreachable."""
        words = self._device.read("holding", self._first + STATUS, REGISTERS - STATUS)
        return EmsResponse(words[0], signed(words[1:3]), signed(words[3:5]))

    def close(self) -> None:
        """Close the connection."""
        self._device.close()
