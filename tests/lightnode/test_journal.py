"""The node's memory: kept together or not at all, and still there after a kill."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightnode.journal import Activation, Arrival, Journal, MeterBase, SetPoint
from lightnode.meter import Counters
from offchain.messaging.mqtt import Message

COUNTERS = Counters(2**64 - 1, 1, 2, 3, 4, 5)
FIRST, SECOND = bytes([1] * 32), bytes([2] * 32)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal.sqlite")
    yield opened
    opened.close()


def add(
    journal: Journal, activation: bytes, sent_s: int, points: list[SetPoint], payload: bytes = b"x"
) -> Arrival:
    with journal.transaction():
        return journal.add_activation(Activation(activation, payload, sent_s, sent_s + 1), points)


def test_all_or_nothing(journal: Journal) -> None:
    with contextlib.suppress(KeyboardInterrupt), journal.transaction():
        journal.set_base(MeterBase(900, COUNTERS))
        journal.queue(Message("topic", b"packet"))
        journal.take_sequence()
        raise KeyboardInterrupt
    assert journal.base() is None
    assert journal.outbox(9) == []
    assert journal.take_sequence() == 1


def test_what_a_second_life_finds(journal: Journal, tmp_path: Path) -> None:
    with journal.transaction():
        journal.set_base(MeterBase(900, COUNTERS))
        journal.queue(Message("topic", b"packet"))
        assert journal.take_sequence() == 1
        journal.set_applied((900, FIRST))
    second_life = Journal(tmp_path / "journal.sqlite")
    assert second_life.base() == MeterBase(900, COUNTERS)
    assert second_life.outbox(9) == [(1, Message("topic", b"packet"))]
    assert second_life.applied() == (900, FIRST)
    assert second_life.take_sequence() == 2
    second_life.close()


def test_outbox_forgets_only_what_was_delivered(journal: Journal) -> None:
    for number in range(3):
        journal.queue(Message("topic", bytes([number])))
    journal.delivered(journal.outbox(2)[-1][0])
    assert [message.payload for _, message in journal.outbox(9)] == [b"\2"]


def test_activation_counts_once(journal: Journal) -> None:
    point = SetPoint(900, FIRST, -5, 6)
    assert add(journal, FIRST, 1, [point]) is Arrival.NEW
    assert add(journal, FIRST, 1, [SetPoint(900, FIRST, 7, 8)]) is Arrival.REPEATED
    assert add(journal, FIRST, 1, [], payload=b"other") is Arrival.CONTRADICTING
    assert journal.set_point(900) == point
    assert journal.set_point(1_800) is None


def test_last_sent_activation_counts_for_a_slot(journal: Journal) -> None:
    add(journal, SECOND, 20, [SetPoint(900, SECOND, 2, 0)])
    add(journal, FIRST, 10, [SetPoint(900, FIRST, 1, 0)])
    found = journal.set_point(900)
    assert found is not None
    assert found.activation == SECOND


def test_fault_begins_and_ends_once(journal: Journal) -> None:
    assert [journal.begin_fault("f", 1), journal.begin_fault("f", 2)] == [True, False]
    assert [journal.end_fault("f"), journal.end_fault("f")] == [1, None]
    assert journal.begin_fault("f", 3)
