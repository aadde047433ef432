"""What the DSO's technical platform does: keeps the PoDs, takes set points and sees them to the Light Nodes, and keeps what
the operator decides on the DSO's own means."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from offchain.dso.records import (
    ActivationStatus,
    Deployment,
    KnownPod,
    Patience,
    PodChange,
    ProposedMeans,
    RefusedAcknowledgement,
    SetPointAlarm,
    TrackedActivation,
)
from offchain.dso.store import DsoStore
from offchain.messaging.mqtt import Message, MessagingRefused, MessagingUnavailable
from offchain.messaging.topics import set_points
from offchain.protocol.documents.alarm import SessionAlarms
from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.light_node import ActivationData, ActivationService, Packet, set_points_hash
from offchain.protocol.documents.own_means import MeansPlan, MeansProposal
from offchain.protocol.errors import FlexledgerError, InvalidInput
from offchain.protocol.signatures import recover_address
from offchain.protocol.typed_data import SetPoints
from offchain.rest.refusals import Conflict, NotFound

logger = logging.getLogger(__name__)

LEAD_TIME_S = 900
"""Set points come at least this long before their first quarter-hour begins."""
ACK_GRACE_S = 60
"""A node acknowledges when its EMS has taken the first set point: at the start of its quarter-hour, or soon after."""
PATIENCE = Patience(LEAD_TIME_S, ACK_GRACE_S)
RESEND_AFTER_S = 300
MOST_PER_PUBLISH = 200


class Publisher(Protocol):
    """The way to the Light Nodes."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Returns once the broker has them all. Raises MessagingUnavailable or MessagingRefused."""


class PomListener(Protocol):
    """Who wants to know the PoM of each PoD: the Shared Customer Database."""

    def associate(self, pod_id: str, pom_id: str) -> None:
        """Take note of a PoD's PoM. Raises FlexledgerError if it can't; it is told again later."""


class DsoService:
    """The platform. `clock`: UTC Unix seconds. `pom_of_pod`: from the DSO's network, None where it knows no PoM.

    `deployment`: what Light Nodes sign for.
    """

    def __init__(
        self,
        store: DsoStore,
        publisher: Publisher,
        pom_listener: PomListener,
        pom_of_pod: Callable[[str], str | None],
        clock: Callable[[], int],
        deployment: Deployment,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._deployment = deployment
        self._pom_listener = pom_listener
        self._pom_of_pod = pom_of_pod
        self._clock = clock

    def announce(self, changes: Sequence[PodChange]) -> None:
        """Take note of new, changed and removed PoDs, in order, and find their PoMs. The same again is no harm.

        A PoD's new Light Node gets what isn't over of its set points.
        """
        with self._store.transaction():
            for change in changes:
                if change.removed:
                    self._store.remove_pod(change.pod.pod_id)
                else:
                    self._store.put_pod(replace(change.pod, pom_id=self._pom_of_pod(change.pod.pod_id)))
                    self._store.readdress(change.pod, set_points(change.pod.node_user), self._clock())

    def map_again(self) -> list[str]:
        """Find the PoMs anew after the network was switched; the next step reports those that changed.

        A PoD that nothing feeds now keeps the PoM that it had: it can give nothing meanwhile, and belongs there again
        when it is back. Gives the ids of the PoDs that moved.
        """
        moved = []
        with self._store.transaction():
            for pod in self._store.pods():
                pom_id = self._pom_of_pod(pod.pod_id)
                if pom_id is not None and pom_id != pod.pom_id:
                    self._store.put_pod(replace(pod, pom_id=pom_id))
                    moved.append(pod.pod_id)
        return moved

    def pods(self) -> list[KnownPod]:
        """All PoDs."""
        return self._store.pods()

    def take(self, aggregator: str, activations: Sequence[ActivationService]) -> None:
        """Take set points from an aggregator, all or none; they are in the outbox when this returns.

        The same activation again changes nothing. Raises NotFound for a PoD that isn't this aggregator's, Conflict
        for an activation id used before with other content, InvalidInput for one that comes too late.
        """
        now_s = self._clock()
        with self._store.transaction():
            for index, activation in enumerate(activations):
                self._take_one(aggregator, activation, f"[{index}]", now_s)

    def _take_one(self, aggregator: str, asked: ActivationService, where: str, now_s: int) -> None:
        pod = self._store.pod(asked.pod)
        if pod is None or pod.aggregator != aggregator:
            shown = "0x" + asked.pod.hex()
            raise NotFound(f"{where}.PoD = {shown!r}: must be a PoD of aggregator {aggregator!r}")
        known = self._store.activation(asked.pod, asked.activation_id)
        if known is not None:
            if known.asked != asked:
                shown = "0x" + asked.activation_id.hex()
                raise Conflict(f"{where}.ActivationId = {shown!r}: was sent before with other content")
            return
        first_s = asked.set_points[0].quarter_hour
        if first_s < now_s + LEAD_TIME_S:
            rule = f"must be at least {LEAD_TIME_S} s ahead: it is {now_s} now"
            raise InvalidInput(f"{where}.Set-Point[0].quarterHour", first_s, rule)
        sent = asked.model_copy(update={"timestamp": now_s})
        self._store.add_activation(pod, asked, sent, set_points(pod.node_user))

    def step(self) -> None:
        """Do what is due: send what is new or missing, report PoMs. What fails is tried again at the next step."""
        self._send()
        self._report_poms()

    def _send(self) -> None:
        now_s = self._clock()
        while due := self._store.due(now_s, ACK_GRACE_S, RESEND_AFTER_S, MOST_PER_PUBLISH):
            try:
                self._publish(due, now_s)
            except MessagingUnavailable as problem:
                logger.warning("set points wait for the broker: %s", problem)
                return

    def _publish(self, due: Sequence[TrackedActivation], now_s: int) -> None:
        for tracked in due:
            if tracked.times_sent:
                logger.warning("%s: not acknowledged, sent again: %s", tracked.pod_id, tracked.topic)
        refused: frozenset[str] = frozenset()
        try:
            self._publisher.publish([Message(tracked.topic, dump(tracked.sent)) for tracked in due])
        except MessagingRefused as problem:
            # Tried again after a while, as what isn't acknowledged is: others must not wait for it.
            logger.error("the broker refuses set points: %s", problem)
            refused = problem.topics
        self._store.mark_tried([tracked for tracked in due if tracked.topic in refused], now_s)
        self._store.mark_sent([tracked for tracked in due if tracked.topic not in refused], now_s)

    def _report_poms(self) -> None:
        for pod in self._store.unreported_poms():
            if pod.pom_id is None:
                continue
            try:
                self._pom_listener.associate(pod.pod_id, pod.pom_id)
            except FlexledgerError as problem:
                logger.warning("PoM of %s isn't reported yet: %s", pod.pod_id, problem)
                continue
            self._store.mark_pom_reported(pod)

    def on_acknowledgement(self, payload: bytes) -> None:
        """Take a Light Node's acknowledgement; one that isn't believed is kept with the reason, and changes nothing."""
        now_s = self._clock()
        try:
            tracked = self._acknowledged(payload)
        except InvalidInput as refusal:
            logger.warning("acknowledgement refused: %s", refusal)
            self._store.refuse_acknowledgement(RefusedAcknowledgement(payload, str(refusal), now_s))
            return
        self._store.mark_acknowledged(tracked, payload, now_s)

    def _acknowledged(self, payload: bytes) -> TrackedActivation:
        packet = parse(Packet[ActivationData], payload)
        data = packet.input_data
        tracked = self._store.activation(packet.pod, data.activation_id)
        if tracked is None:
            shown = "0x" + data.activation_id.hex()
            raise InvalidInput("ActivationId", shown, "must be an activation that was sent to this PoD")
        if data.set_points != tracked.sent.set_points or data.status[0] != tracked.sent.timestamp:
            raise InvalidInput("InputData", data, "must be the set points and the time that were sent")
        digest = acknowledgement_digest(packet, self._deployment)
        if packet.hash != digest:
            raise InvalidInput("Hash", "0x" + packet.hash.hex(), f"must be the digest 0x{digest.hex()}")
        signer = recover_address(digest, packet.signed_hash)
        if signer != tracked.node_address:
            raise InvalidInput(
                "SignedHash", signer, f"must be signed by the PoD's node, {tracked.node_address}"
            )
        return tracked

    def activations(
        self, aggregator: str | None, from_s: int, to_s: int
    ) -> list[tuple[TrackedActivation, ActivationStatus]]:
        """Activations that begin in [from_s, to_s) and where they are, of one aggregator or (None) all."""
        now_s = self._clock()
        found = self._store.activations(aggregator, from_s, to_s)
        return [(tracked, tracked.status(now_s, PATIENCE)) for tracked in found]

    def set_point_alarms(self, from_s: int, to_s: int) -> list[tuple[SetPointAlarm, ActivationStatus]]:
        """What is wrong now with activations that overlap [from_s, to_s), and where they are."""
        now_s = self._clock()
        unconfirmed = self._store.unconfirmed(from_s, to_s, ACK_GRACE_S)
        found = [(tracked.alarm(now_s, PATIENCE), tracked.status(now_s, PATIENCE)) for tracked in unconfirmed]
        return [(alarm, status) for alarm, status in found if alarm is not None]

    def alarm(self, alarms: SessionAlarms) -> None:
        """Take a session's alarms from the grid oracle; those told before are replaced."""
        self._store.put_alarms(alarms)

    def alarms(self, from_s: int, to_s: int) -> list[SessionAlarms]:
        """Alarms for deliveries that overlap [from_s, to_s)."""
        return self._store.alarms(from_s, to_s)

    def propose(self, proposal: MeansProposal) -> None:
        """Take own means that the grid oracle proposes for a session; the first proposal of a session stays."""
        self._store.add_proposal(proposal)

    def proposed(self, session: int) -> MeansProposal | None:
        """What was proposed for a session."""
        known = self._store.own_means(session)
        return known.proposal if known else None

    def own_means(self, from_s: int, to_s: int) -> list[ProposedMeans]:
        """Proposals for deliveries that overlap [from_s, to_s), and the decisions on them."""
        return self._store.own_means_between(from_s, to_s)

    def decide(self, session: int, plan: int, operator: str) -> None:
        """Take a plan by its number, or (0) none. It may be changed until the grid is anchored.

        Raises NotFound where nothing was proposed, InvalidInput for a plan that wasn't, Conflict where it is too late.
        """
        known = self._store.own_means(session)
        if known is None:
            raise NotFound(f"session = {session}: no own means were proposed for it")
        if not 0 <= plan <= len(known.proposal.plans):
            raise InvalidInput("plan", plan, f"must be from 0 (none) to {len(known.proposal.plans)}")
        if not self._store.decide_means(session, plan, operator, self._clock()):
            raise Conflict(f"session = {session}: the grid is anchored, as decided before")

    def decided(self, session: int) -> bool:
        """Whether the operator has decided on a session's own means."""
        known = self._store.own_means(session)
        return known is not None and known.plan is not None

    def close(self, session: int) -> MeansPlan | None:
        """The plan that is taken for a session, if any; from now on that stays."""
        self._store.close_means(session)
        known = self._store.own_means(session)
        return _taken(known) if known else None

    def standing(self, session: int, at_s: int) -> list[MeansPlan]:
        """Plans that were taken for other sessions, in whose delivery an instant lies."""
        known = self._store.own_means_between(at_s, at_s + 1)
        plans = [_taken(each) for each in known if each.closed and each.proposal.session != session]
        return [plan for plan in plans if plan is not None]


def _taken(known: ProposedMeans) -> MeansPlan | None:
    return known.proposal.plans[known.plan - 1] if known.plan else None


def acknowledgement_digest(packet: Packet[ActivationData], deployment: Deployment) -> bytes:
    """What a Light Node signs when its EMS has taken an activation: the EIP-712 digest of SetPoints."""
    data = packet.input_data
    points = data.set_points
    return SetPoints(
        packet.pod, data.activation_id, points[0].quarter_hour, set_points_hash(points), *data.status
    ).digest(deployment.chain_id, deployment.reading_anchor)
