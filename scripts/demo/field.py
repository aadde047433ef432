"""The field: meters and EMSs of many PoDs as real Modbus TCP servers, whose power follows the set points they get.

Each PoD has a port of its own with two units: 1 is the meter (six cumulative uint64 counters, Wh and varh, from
register 0 on, as holding and input registers), 2 the EMS (registers as `lightnode.ems` says). Time is what `advance`
says it is; nothing here reads a clock.
"""

import asyncio
import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from lightnode.ems import CONTROL, FOLLOW, FREE, REGISTERS, STATUS
from lightnode.meter import ENERGIES
from lightnode.modbus import signed, signed_words
from offchain.protocol.errors import FlexledgerError, InvalidInput
from offchain.protocol.terms import SLOT_S

HOST = "127.0.0.1"
METER_UNIT, EMS_UNIT = 1, 2
METER_WORDS = 4
METER_REGISTERS = {name: METER_WORDS * place for place, name in enumerate(ENERGIES)}
"""First register of each energy: what a Light Node's configuration says of this meter."""

WEAK_PERMILLE = 500
NOISE_PERMILLE = 10
SECONDS_PER_HOUR = 3600

_SCHEMA = """
CREATE TABLE IF NOT EXISTS field (id INTEGER PRIMARY KEY CHECK (id = 1), now_s INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS pods (
    name TEXT PRIMARY KEY,
    port INTEGER NOT NULL,
    counters TEXT NOT NULL,
    control INTEGER NOT NULL,
    active_w INTEGER NOT NULL,
    reactive_var INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Behaviour(StrEnum):
    """What a customer's plant makes of a set point."""

    GOOD = "good"
    """Follows it, to within 1 % of the change asked for."""
    WEAK = "weak"
    """Goes half the way."""
    DEAD = "dead"
    """Acknowledges it and does nothing."""


@dataclass(frozen=True)
class FieldPod:
    """A PoD of the field: its net power (absorbed minus injected, W and var) slot by slot, and how it behaves."""

    name: str
    power_w: Sequence[int]
    reactive_var: Sequence[int]
    behaviour: Behaviour = Behaviour.GOOD


@dataclass(frozen=True)
class EmsState:
    """What an EMS was told last."""

    control: int = FREE
    active_w: int = 0
    reactive_var: int = 0


class _Plant:
    """One PoD: its profile, its counters in Ws and vars (so that nothing is rounded away) and its EMS."""

    def __init__(self, pod: FieldPod, seed: int) -> None:
        self.pod = pod
        self._seed = seed
        self.counters_ws = [0] * len(ENERGIES)
        self.ems = EmsState()

    def run(self, slot: int, seconds: int) -> None:
        """Let some seconds of a slot pass."""
        active_w, reactive_var = self.power(slot)
        # Quadrants: while active power is absorbed var absorbed is inductive, var injected capacitive; else the reverse.
        absorbing = active_w >= 0
        self.counters_ws[0 if absorbing else 1] += abs(active_w) * seconds
        inductive = absorbing == (reactive_var >= 0)
        place = (2 if absorbing else 3) if inductive else (4 if absorbing else 5)
        self.counters_ws[place] += abs(reactive_var) * seconds

    def power(self, slot: int) -> tuple[int, int]:
        """Net power in a slot under the present set point: W, var."""
        free = (self.pod.power_w[slot], self.pod.reactive_var[slot])
        if self.ems.control != FOLLOW:
            return free
        told = (self.ems.active_w, self.ems.reactive_var)
        return self._moved(slot, free[0], told[0]), self._moved(slot, free[1], told[1])

    def _moved(self, slot: int, free: int, told: int) -> int:
        match self.pod.behaviour:
            case Behaviour.GOOD:
                most = abs(told - free) * NOISE_PERMILLE // 1000
                return told + self._draw(slot) % (2 * most + 1) - most
            case Behaviour.WEAK:
                return free + (told - free) * WEAK_PERMILLE // 1000
            case Behaviour.DEAD:
                return free

    def _draw(self, slot: int) -> int:
        drawn = hashlib.blake2b(f"{self._seed}/{self.pod.name}/{slot}".encode(), digest_size=8)
        return int.from_bytes(drawn.digest(), "big")

    def meter_words(self) -> list[int]:
        """The meter's registers: six uint64."""
        words: list[int] = []
        for counter_ws in self.counters_ws:
            energy_wh = counter_ws // SECONDS_PER_HOUR
            words.extend(energy_wh >> shift & 0xFFFF for shift in (48, 32, 16, 0))
        return words

    def ems_words(self) -> list[int]:
        """The EMS's registers: what it was told, and its answer."""
        told = [*signed_words(self.ems.active_w), *signed_words(self.ems.reactive_var)]
        return [*told, self.ems.control, self.ems.control, *told]

    def tell_ems(self, words: Sequence[int]) -> None:
        """Take over the registers as they stand after a write."""
        self.ems = EmsState(words[CONTROL], signed(words[0:2]), signed(words[2:4]))


class Field:
    """Runs the PoDs' devices on loopback ports, from `start_s` for as many slots as the profiles have.

    Its state is in one file and is kept with every `advance` and every set point: killed and started again with the
    same arguments, it goes on where it was, on the same ports where they are free.
    """

    def __init__(self, state_file: Path, pods: Sequence[FieldPod], start_s: int, seed: int) -> None:
        if start_s % SLOT_S:
            raise InvalidInput("start_s", start_s, f"must be a multiple of {SLOT_S}")
        lengths = {len(profile) for pod in pods for profile in (pod.power_w, pod.reactive_var)}
        if len(lengths) != 1:
            raise InvalidInput("pods", sorted(lengths), "must all have profiles of one length")
        self._start_s = start_s
        self._end_s = start_s + lengths.pop() * SLOT_S
        self._plants = {pod.name: _Plant(pod, seed) for pod in pods}
        if len(self._plants) != len(pods):
            raise InvalidInput("pods", len(pods), "must have names of their own")
        self._lock = threading.Lock()
        self._servers: list[ModbusTcpServer] = []
        self._ports: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="field", daemon=True)
        state_file.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(state_file, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._db.execute("INSERT OR IGNORE INTO field VALUES (1, ?)", (start_s,))
        self._now_s = int(self._db.execute("SELECT now_s FROM field").fetchone()[0])
        self._ports_before = self._load()

    @property
    def now_s(self) -> int:
        """Up to when energy has flowed."""
        return self._now_s

    @property
    def ports(self) -> Mapping[str, int]:
        """Port of each PoD's devices."""
        return self._ports

    def start(self) -> None:
        """Start the servers. Raises FlexledgerError if one can't listen."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def stop(self) -> None:
        """Stop the servers."""
        asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._db.close()

    def __enter__(self) -> "Field":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def advance(self, to_s: int) -> None:
        """Let time pass, slot by slot, under the set points that the EMSs hold; a past instant changes nothing.

        Raises InvalidInput beyond the end of the profiles.
        """
        if to_s > self._end_s:
            raise InvalidInput("to_s", to_s, f"must be at most the profiles' end, {self._end_s}")
        with self._lock:
            while self._now_s < to_s:
                slot = (self._now_s - self._start_s) // SLOT_S
                until_s = min(to_s, self._start_s + (slot + 1) * SLOT_S)
                for plant in self._plants.values():
                    plant.run(slot, until_s - self._now_s)
                self._now_s = until_s
            self._save(self._plants.values())

    def power(self, name: str) -> tuple[int, int]:
        """Net power of a PoD now: W, var."""
        with self._lock:
            return self._plants[name].power((self._now_s - self._start_s) // SLOT_S)

    def _load(self) -> dict[str, int]:
        """Take over the kept state; gives the ports that were used."""
        ports = {}
        for name, port, counters, *ems in self._db.execute("SELECT * FROM pods"):
            if name not in self._plants:
                raise InvalidInput("pods", name, "is in the state file and must be among the PoDs")
            ports[name] = port
            self._plants[name].counters_ws = json.loads(counters)
            self._plants[name].ems = EmsState(*ems)
        return ports

    def _save(self, plants: Iterable[_Plant]) -> None:
        rows = [
            (
                plant.pod.name,
                self._ports[plant.pod.name],
                json.dumps(plant.counters_ws),
                plant.ems.control,
                plant.ems.active_w,
                plant.ems.reactive_var,
            )
            for plant in plants
        ]
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR REPLACE INTO pods VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._db.execute("UPDATE field SET now_s = ?", (self._now_s,))
        self._db.execute("COMMIT")

    async def _listen(self) -> None:
        for name, plant in self._plants.items():
            self._ports[name] = await self._serve(plant, self._ports_before.get(name, 0))
        with self._lock:
            self._save(self._plants.values())

    async def _serve(self, plant: _Plant, wanted_port: int) -> int:
        """Serve a PoD's two devices, on the wanted port if it is free."""
        for port in dict.fromkeys((wanted_port, 0)):
            server = ModbusTcpServer(self._devices(plant), address=(HOST, port))
            try:
                await server.serve_forever(background=True)
            except RuntimeError:
                continue
            self._servers.append(server)
            listening = server.transport
            if isinstance(listening, asyncio.Server):
                return int(listening.sockets[0].getsockname()[1])
        raise FlexledgerError(f"{plant.pod.name}: no free port on {HOST}")

    async def _shut_down(self) -> None:
        for server in self._servers:
            await server.shutdown()

    def _devices(self, plant: _Plant) -> list[SimDevice]:
        async def meter(
            _function: int, _start: int, _address: int, _count: int, registers: list[int], values: object
        ) -> ExcCodes | None:
            if values is not None:
                return ExcCodes.ILLEGAL_FUNCTION
            with self._lock:
                registers[:] = plant.meter_words()
            return None

        async def ems(
            _function: int,
            _start: int,
            address: int,
            _count: int,
            registers: list[int],
            values: list[int] | list[bool] | None,
        ) -> ExcCodes | None:
            with self._lock:
                if values is not None:
                    if address + len(values) > STATUS:
                        return ExcCodes.ILLEGAL_ADDRESS
                    told = [*registers]
                    told[address : address + len(values)] = map(int, values)
                    if told[CONTROL] not in (FREE, FOLLOW):
                        return ExcCodes.ILLEGAL_VALUE
                    plant.tell_ems(told)
                    self._save([plant])
                registers[:] = plant.ems_words()
            return None

        def registers(count: int) -> list[SimData]:
            return [SimData(0, count=count, values=0, datatype=DataType.REGISTERS)]

        return [
            SimDevice(METER_UNIT, simdata=registers(METER_WORDS * len(ENERGIES)), action=meter),
            SimDevice(EMS_UNIT, simdata=registers(REGISTERS), action=ems),
        ]
