"""The simulated field: exact energy, behaviours, and going on after a kill."""

import sqlite3
from pathlib import Path

import pytest

from lightnode.ems import ModbusEms
from lightnode.meter import Counters, ModbusMeter, energies_between
from lightnode.modbus import DeviceUnreachable, ModbusDevice
from offchain.protocol.errors import InvalidInput
from offchain.protocol.terms import SLOT_S
from scripts.demo.field import EMS_UNIT, HOST, METER_REGISTERS, METER_UNIT, Behaviour, Field, FieldPod

START_S = 1_800_000_000


def meter_of(field: Field, name: str) -> ModbusMeter:
    device = ModbusDevice(HOST, field.ports[name], METER_UNIT, 1.0)
    return ModbusMeter(device, "holding", tuple(METER_REGISTERS.values()), 64)


def ems_of(field: Field, name: str) -> ModbusEms:
    return ModbusEms(ModbusDevice(HOST, field.ports[name], EMS_UNIT, 1.0), 0)


def read(field: Field, name: str) -> Counters:
    meter = meter_of(field, name)
    try:
        return meter.read()
    finally:
        meter.close()


def follow(field: Field, name: str, active_w: int, reactive_var: int) -> None:
    ems = ems_of(field, name)
    ems.follow(active_w, reactive_var)
    ems.close()


def test_remainders_are_carried(tmp_path: Path) -> None:
    """999 W is 249.75 Wh a slot: after four slots not one Wh is missing."""
    with Field(tmp_path / "state", [FieldPod("a", [999] * 4, [-2] * 4)], START_S, seed=1) as field:
        seen = []
        for slot in range(1, 5):
            field.advance(START_S + slot * SLOT_S)
            seen.append(read(field, "a"))
    assert [counters.absorbed_active_wh for counters in seen] == [249, 499, 749, 999]
    assert [counters.absorbed_capacitive_varh for counters in seen] == [0, 1, 1, 2]


def test_quadrants(tmp_path: Path) -> None:
    """Reactive energy is booked so that inductive in, capacitive out count as absorbed, the others as injected."""
    power_w, reactive_var = [400, 400, -400, -400], [40, -40, 40, -40]
    with Field(tmp_path / "state", [FieldPod("a", power_w, reactive_var)], START_S, seed=1) as field:
        before, seen = read(field, "a"), []
        for slot in range(1, 5):
            field.advance(START_S + slot * SLOT_S)
            after = read(field, "a")
            seen.append(energies_between(before, after))
            before = after
    assert seen == [
        Counters(100, 0, 10, 0, 0, 0),
        Counters(100, 0, 0, 0, 10, 0),
        Counters(0, 100, 0, 0, 0, 10),
        Counters(0, 100, 0, 10, 0, 0),
    ]


@pytest.mark.parametrize(
    ("behaviour", "least_wh", "most_wh"),
    [(Behaviour.GOOD, 495, 505), (Behaviour.WEAK, 750, 750), (Behaviour.DEAD, 1_000, 1_000)],
)
def test_power_follows_the_set_point_as_the_customer_behaves(
    tmp_path: Path, behaviour: Behaviour, least_wh: int, most_wh: int
) -> None:
    with Field(
        tmp_path / "state", [FieldPod("a", [4_000] * 3, [0] * 3, behaviour)], START_S, seed=1
    ) as field:
        follow(field, "a", 2_000, 0)
        field.advance(START_S + SLOT_S)
        first = read(field, "a")
        assert least_wh <= first.absorbed_active_wh <= most_wh
        ems = ems_of(field, "a")
        ems.release()
        ems.close()
        field.advance(START_S + 2 * SLOT_S)
        assert read(field, "a").absorbed_active_wh - first.absorbed_active_wh in (1_000, 1_001)


def test_set_point_within_a_slot_counts_from_then_on(tmp_path: Path) -> None:
    with Field(tmp_path / "state", [FieldPod("a", [3_600], [0], Behaviour.WEAK)], START_S, seed=1) as field:
        field.advance(START_S + 300)
        follow(field, "a", -3_600, 0)
        field.advance(START_S + SLOT_S)
        assert read(field, "a") == Counters(300, 0, 0, 0, 0, 0)


def test_goes_on_after_a_kill(tmp_path: Path) -> None:
    """The state file as a killed process leaves it: same counters, set points and ports, and the same noise."""
    pods = [FieldPod("a", [4_001] * 3, [7] * 3)]

    def last_counters(folder: Path, kill: bool) -> Counters:
        field = Field(folder / "state", pods, START_S, seed=5)
        field.start()
        field.advance(START_S + SLOT_S + 100)
        follow(field, "a", 1_000, 0)
        if kill:
            kept = folder / "kept"
            with sqlite3.connect(folder / "state") as source, sqlite3.connect(kept) as target:
                source.backup(target)
            port = field.ports["a"]
            field.stop()
            field = Field(kept, pods, START_S, seed=5)
            field.start()
            assert field.ports["a"] == port
            assert field.now_s == START_S + SLOT_S + 100
        field.advance(START_S + 3 * SLOT_S)
        field.advance(START_S)
        counters = read(field, "a")
        field.stop()
        return counters

    (tmp_path / "killed").mkdir()
    assert last_counters(tmp_path / "killed", kill=True) == last_counters(tmp_path / "whole", kill=False)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="start_s"):
        Field(tmp_path / "1", [FieldPod("a", [1], [1])], START_S + 1, seed=1)
    with pytest.raises(InvalidInput, match="one length"):
        Field(tmp_path / "2", [FieldPod("a", [1], [1, 2])], START_S, seed=1)
    with pytest.raises(InvalidInput, match="names of their own"):
        Field(tmp_path / "3", [FieldPod("a", [1], [1]), FieldPod("a", [1], [1])], START_S, seed=1)
    with Field(tmp_path / "4", [FieldPod("a", [1], [1])], START_S, seed=1) as field:
        with pytest.raises(InvalidInput, match="to_s"):
            field.advance(START_S + SLOT_S + 1)
        meter = ModbusDevice(HOST, field.ports["a"], METER_UNIT, 1.0)
        with pytest.raises(DeviceUnreachable):
            meter.write(0, [1])
        ems = ModbusDevice(HOST, field.ports["a"], EMS_UNIT, 1.0)
        with pytest.raises(DeviceUnreachable):
            ems.write(4, [7])
        with pytest.raises(DeviceUnreachable):
            ems.write(5, [1])
        ems.close()
        meter.close()
