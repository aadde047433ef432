"""The Light Node's work: measure every quarter-hour, sign, publish; take set points, carry them out, acknowledge.

Nothing is published that isn't journaled first, and nothing is forgotten before the broker has it, so that a node may
be killed at any instant. What the node doesn't know it doesn't invent: a slot whose two boundaries weren't both read
in time has no reading, only an anomaly that says so.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from lightnode.ems import Ems, SetPointRefused
from lightnode.journal import Activation, Arrival, Journal, MeterBase, SetPoint
from lightnode.meter import CounterFault, Counters, Meter, energies_between
from lightnode.modbus import DeviceUnreachable
from lightnode.packets import PacketSigner, read_activation
from offchain.messaging.mqtt import Message, MessagingRefused, MessagingUnavailable
from offchain.messaging.topics import NodeTopic
from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.light_node import ActivationService, AnomalyCode
from offchain.protocol.errors import InvalidInput
from offchain.protocol.terms import SLOT_S

logger = logging.getLogger(__name__)

MOST_PER_PUBLISH = 200


class Uplink(Protocol):
    """What the node needs of its connection to the broker."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish and wait until the broker has them all. Raises MessagingUnavailable or MessagingRefused."""


class LightNode:
    """One PoD's node. `step` is called again and again, `receive` whenever the DSO has sent something.

    `now_s`: UTC Unix seconds. `late_reading_s`: how long after a boundary the meter may still be read for it.
    """

    def __init__(
        self,
        user: str,
        signer: PacketSigner,
        meter: Meter,
        ems: Ems,
        journal: Journal,
        uplink: Uplink,
        now_s: Callable[[], int],
        late_reading_s: int,
    ) -> None:
        self._user = user
        self._signer = signer
        self._meter = meter
        self._ems = ems
        self._journal = journal
        self._uplink = uplink
        self._now_s = now_s
        self._late_reading_s = late_reading_s

    def step(self) -> None:
        """Do what is due: read the meter at a boundary, set or release the EMS, publish what waits."""
        now_s = self._now_s()
        slot_s = now_s - now_s % SLOT_S
        self._measure(now_s, slot_s)
        self._carry_out(now_s, slot_s)
        self._publish()

    def receive(self, message: Message) -> None:
        """Take a set point message (D3.3 Table 18); once this returns the broker may forget it.

        The same activation again changes nothing. One that is malformed, another PoD's, or contradicts an activation
        of the same id isn't carried out, and an anomaly says so.
        """
        try:
            received = read_activation(message.payload, self._signer.pod)
        except InvalidInput as refusal:
            self._report(AnomalyCode.SET_POINT_REFUSED, f"set point message refused: {refusal}")
            return
        if self._keep(received) is Arrival.CONTRADICTING:
            what = f"activation 0x{received.activation_id.hex()} was sent before with other content"
            self._report(AnomalyCode.SET_POINT_REFUSED, what)

    def _keep(self, received: ActivationService) -> Arrival:
        activation = Activation(received.activation_id, dump(received), received.timestamp, self._now_s())
        points = [
            SetPoint(point.quarter_hour, received.activation_id, point.active_power, point.reactive_power)
            for point in received.set_points
        ]
        with self._journal.transaction():
            return self._journal.add_activation(activation, points)

    def _measure(self, now_s: int, slot_s: int) -> None:
        base = self._journal.base()
        if base is not None and base.boundary_s >= slot_s:
            return
        if now_s - slot_s > self._late_reading_s:
            # What the meter counts now belongs to two slots; the next boundary reports what is missing.
            return
        try:
            counters = self._meter.read()
        except DeviceUnreachable as problem:
            self._begin_fault(AnomalyCode.METER_UNREACHABLE, now_s, str(problem))
            return
        with self._journal.transaction():
            self._end_fault(AnomalyCode.METER_UNREACHABLE, now_s)
            self._journal.set_base(MeterBase(slot_s, counters))
            if base is not None:
                self._queue_slots(base, slot_s, counters)

    def _queue_slots(self, base: MeterBase, slot_s: int, counters: Counters) -> None:
        """Queue the reading of the slot that has ended, or the anomaly that says why there is none."""
        missed = (slot_s - base.boundary_s) // SLOT_S
        if missed > 1:
            what = (
                f"no readings of the {missed} slots from {base.boundary_s} to {slot_s}: the meter was read at neither "
                "boundary between, and one difference of counters can't be split"
            )
            self._queue_anomaly(AnomalyCode.SLOTS_MISSED, what, base.boundary_s, slot_s)
            return
        try:
            energies = energies_between(base.counters, counters)
        except CounterFault as fault:
            what = f"no reading of the slot from {base.boundary_s}: {fault}"
            self._queue_anomaly(AnomalyCode.COUNTER_FAULT, what, base.boundary_s, slot_s)
            return
        packet = self._signer.reading(base.boundary_s, energies, self._journal.take_sequence())
        self._journal.queue(Message(NodeTopic.READINGS.of(self._user), packet))

    def _carry_out(self, now_s: int, slot_s: int) -> None:
        point, applied = self._journal.set_point(slot_s), self._journal.applied()
        wanted = None if point is None else (point.slot_s, point.activation)
        if wanted == applied:
            return
        try:
            if point is None:
                self._ems.release()
            else:
                self._ems.follow(point.active_w, point.reactive_var)
        except DeviceUnreachable as problem:
            self._begin_fault(AnomalyCode.EMS_UNREACHABLE, now_s, str(problem))
            return
        except SetPointRefused as problem:
            self._begin_fault(AnomalyCode.EMS_REFUSED, now_s, str(problem))
            return
        with self._journal.transaction():
            self._end_fault(AnomalyCode.EMS_UNREACHABLE, now_s)
            self._end_fault(AnomalyCode.EMS_REFUSED, now_s)
            self._journal.set_applied(wanted)
            if point is not None:
                self._acknowledge(point.activation, now_s)

    def _acknowledge(self, activation: bytes, now_s: int) -> None:
        """Queue the signed acknowledgement, once an activation, when its first set point has reached the EMS."""
        known = self._journal.activation(activation)
        if known.ems_s is not None:
            return
        # A clock set back between the two must not make the EMS earlier than the node.
        ems_s = max(now_s, known.received_s)
        self._journal.set_ems_time(activation, ems_s)
        received = parse(ActivationService, known.payload)
        packet = self._signer.acknowledgement(received, known.received_s, ems_s)
        self._journal.queue(Message(NodeTopic.SET_POINT_ACKS.of(self._user), packet))

    def _publish(self) -> None:
        while waiting := self._journal.outbox(MOST_PER_PUBLISH):
            try:
                self._uplink.publish([message for _, message in waiting])
            except (MessagingUnavailable, MessagingRefused) as problem:
                logger.warning("%s: %d packets wait for the broker: %s", self._user, len(waiting), problem)
                return
            self._journal.delivered(waiting[-1][0])

    def _begin_fault(self, code: AnomalyCode, now_s: int, what: str) -> None:
        """Report a fault when it begins; while it lasts it isn't reported again."""
        with self._journal.transaction():
            if self._journal.begin_fault(code, now_s):
                self._queue_anomaly(code, what, now_s)

    def _end_fault(self, code: AnomalyCode, now_s: int) -> None:
        """Report how long a fault lasted, if there was one."""
        since_s = self._journal.end_fault(code)
        if since_s is not None:
            self._queue_anomaly(code, "over", since_s, max(since_s, now_s))

    def _report(self, code: AnomalyCode, what: str) -> None:
        with self._journal.transaction():
            self._queue_anomaly(code, what)

    def _queue_anomaly(
        self, code: AnomalyCode, what: str, start_s: int | None = None, end_s: int | None = None
    ) -> None:
        logger.warning("%s: %s: %s", self._user, code.value, what)
        packet = self._signer.anomaly(code, what, start_s, end_s)
        self._journal.queue(Message(NodeTopic.ANOMALIES.of(self._user), packet))
