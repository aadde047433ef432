"""The meter's counters and the EMS's answers, over real Modbus TCP."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from lightnode.ems import EmsResponse, ModbusEms, SetPointRefused
from lightnode.meter import CounterFault, Counters, ModbusMeter, energies_between
from lightnode.modbus import DeviceUnreachable, ModbusDevice, signed, signed_words, unsigned
from scripts.demo.field import HOST

EARLIER = Counters(1_000, 2_000, 300, 400, 50, 60)


@pytest.fixture
def registers() -> Iterator[tuple[int, list[int]]]:
    """A device whose 40 registers are a list that the test may set: its port, and the list."""
    values = [0] * 40
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def show(
        _function: int, _start: int, _address: int, _count: int, current: list[int], _values: object
    ) -> None:
        current[:] = values

    async def serve() -> ModbusTcpServer:
        data = [SimData(0, count=len(values), values=0, datatype=DataType.REGISTERS)]
        server = ModbusTcpServer(SimDevice(1, simdata=data, action=show), address=(HOST, 0))
        await server.serve_forever(background=True)
        return server

    server = asyncio.run_coroutine_threadsafe(serve(), loop).result()
    yield server.transport.sockets[0].getsockname()[1], values
    asyncio.run_coroutine_threadsafe(server.shutdown(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_words_are_high_first() -> None:
    assert unsigned([0x0001, 0x0002, 0x0003, 0x0004]) == 0x0001000200030004
    assert signed_words(-2) == [0xFFFF, 0xFFFE]
    assert [signed(signed_words(value)) for value in (-(2**31), -1, 0, 2**31 - 1)] == [
        -(2**31),
        -1,
        0,
        2**31 - 1,
    ]


@pytest.mark.parametrize("function", ["holding", "input"])
def test_64_bit_counters_in_any_order(registers: tuple[int, list[int]], function: str) -> None:
    port, values = registers
    values[10:14] = [0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF]
    values[14:18] = [0, 0, 1, 2]
    kind = "holding" if function == "holding" else "input"
    meter = ModbusMeter(ModbusDevice(HOST, port, 1, 1.0), kind, (14, 10, 18, 22, 26, 30), 64)
    assert meter.read() == Counters(65_538, 2**64 - 1, 0, 0, 0, 0)
    meter.close()


def test_32_bit_counters(registers: tuple[int, list[int]]) -> None:
    port, values = registers
    values[0:12] = [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 1, 0]
    meter = ModbusMeter(ModbusDevice(HOST, port, 1, 1.0), "holding", (0, 2, 4, 6, 8, 10), 32)
    assert meter.read() == Counters(1, 2, 3, 4, 5, 65_536)
    meter.close()


def test_register_that_the_meter_lacks(registers: tuple[int, list[int]]) -> None:
    device = ModbusDevice(HOST, registers[0], 1, 1.0)
    with pytest.raises(DeviceUnreachable, match="unit 1"):
        device.read("holding", 39, 2)
    assert device.read("holding", 0, 2) == [0, 0]
    device.close()


def test_no_device() -> None:
    with pytest.raises(DeviceUnreachable, match="no connection"):
        ModbusDevice(HOST, 1, 1, 0.2).read("holding", 0, 1)


def test_energies_are_differences() -> None:
    later = Counters(1_250, 2_000, 301, 400, 50, 2**32 + 59)
    assert energies_between(EARLIER, later) == Counters(250, 0, 1, 0, 0, 2**32 - 1)


@pytest.mark.parametrize("wh", [999, 0, 1_000 + 2**32])
def test_counter_that_went_back_or_jumped(wh: int) -> None:
    with pytest.raises(CounterFault, match="counter absorbed_active moved by"):
        energies_between(EARLIER, replace(EARLIER, absorbed_active_wh=wh))


def test_ems_that_answers_otherwise(registers: tuple[int, list[int]]) -> None:
    port, values = registers
    ems = ModbusEms(ModbusDevice(HOST, port, 1, 1.0), 0)
    values[5:10] = [1, *signed_words(-1_499), *signed_words(20)]
    with pytest.raises(SetPointRefused, match="-1500 W, 20 var"):
        ems.follow(-1_500, 20)
    values[5:10] = [1, *signed_words(-1_500), *signed_words(20)]
    ems.follow(-1_500, 20)
    assert ems.response() == EmsResponse(1, -1_500, 20)
    with pytest.raises(SetPointRefused, match="run free"):
        ems.release()
    ems.close()
