"""The electricity meter: six cumulative counters, and the energies between two of their readings."""

from dataclasses import astuple, dataclass
from typing import Literal, Protocol

from lightnode.modbus import ModbusDevice, unsigned
from offchain.protocol.errors import FlexledgerError

ENERGIES = (
    "absorbed_active",
    "injected_active",
    "absorbed_inductive",
    "injected_inductive",
    "absorbed_capacitive",
    "injected_capacitive",
)
"""The six energies of a reading, in the order of its fields: active in Wh, reactive in varh."""

MOST_REGISTERS_A_READ = 125
"""Modbus allows no more in one request; one request makes all six counters of the same instant."""

_MOST_PER_SLOT = 2**32 - 1


class CounterFault(FlexledgerError):
    """A counter doesn't say how much energy flowed: it went back (replaced, reset, rolled over) or jumped."""


@dataclass(frozen=True)
class Counters:
    """What the meter has counted since it was made, in Wh and varh; or the differences of two such readings."""

    absorbed_active_wh: int
    injected_active_wh: int
    absorbed_inductive_varh: int
    injected_inductive_varh: int
    absorbed_capacitive_varh: int
    injected_capacitive_varh: int


class Meter(Protocol):
    """What the node needs of a meter."""

    def read(self) -> Counters:
        """The counters now. Raises DeviceUnreachable."""

    def close(self) -> None:
        """Let go of the connection."""


class ModbusMeter:
    """A meter on Modbus TCP whose counters stand in `registers` (in the order of ENERGIES)."""

    def __init__(
        self,
        device: ModbusDevice,
        function: Literal["holding", "input"],
        registers: tuple[int, ...],
        width_bits: Literal[32, 64],
    ) -> None:
        self._device = device
        self._function = function
        self._registers = registers
        self._words = width_bits // 16

    def read(self) -> Counters:
        """All counters, in one request. Raises DeviceUnreachable."""
        first = min(self._registers)
        words = self._device.read(self._function, first, max(self._registers) + self._words - first)
        starts = [register - first for register in self._registers]
        return Counters(*(unsigned(words[start : start + self._words]) for start in starts))

    def close(self) -> None:
        """Close the connection."""
        self._device.close()


def energies_between(earlier: Counters, later: Counters) -> Counters:
    """The six energies that flowed between two readings, in Wh and varh.

    Raises CounterFault if a counter went back, or moved by more than a reading can say (uint32): a roll-over can't be
    told from a meter that was replaced, and energy is never guessed.
    """
    moved = [after - before for before, after in zip(astuple(earlier), astuple(later), strict=True)]
    for name, before, difference in zip(ENERGIES, astuple(earlier), moved, strict=True):
        if not 0 <= difference <= _MOST_PER_SLOT:
            raise CounterFault(f"counter {name} moved by {difference} from {before}: must be 0 to 2**32 - 1")
    return Counters(*moved)
