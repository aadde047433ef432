"""What the DSO's platform knows: PoDs, activations and their way to the Light Nodes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from offchain.protocol.documents.light_node import ActivationService
from offchain.protocol.documents.own_means import MeansProposal
from offchain.protocol.terms import SLOT_S


@dataclass(frozen=True)
class Deployment:
    """What Light Nodes sign for: the chain, and the address of its ReadingAnchor."""

    chain_id: int
    reading_anchor: str


@dataclass(frozen=True)
class KnownPod:
    """A PoD as the Shared Customer Database announced it. `document`: D2.3's PoD model, canonical JSON."""

    pod_id: str
    pseudonym: bytes
    aggregator: str
    node_user: str
    node_address: str
    document: str
    pom_id: str | None = None


@dataclass(frozen=True)
class PodChange:
    """A PoD that is new or changed, or removed."""

    pod: KnownPod
    removed: bool


class ActivationStatus(StrEnum):
    """How far an activation has come."""

    WAITING = "waiting"
    """Kept, not yet with the broker."""
    SENT = "sent"
    """With the broker; its first quarter-hour hasn't begun, so that no acknowledgement is due."""
    ACKNOWLEDGED = "acknowledged"
    MISSING = "missing"
    """Its first quarter-hour has begun and there is no acknowledgement."""


class SetPointFault(StrEnum):
    """What is wrong with an activation on its way."""

    UNSENT = "unsent"
    """The broker doesn't have it, and less than the lead time is left."""
    MISSING = "missing"
    """No acknowledgement came though it is due."""
    LATE = "late"
    """The acknowledgement came after it was due."""


@dataclass(frozen=True)
class SetPointAlarm:
    """`level`: as alarms of the grid have it. Missing: a warning until it was sent again, critical when it is over."""

    level: Literal["warning", "alarm", "critical"]
    fault: SetPointFault
    activation: "TrackedActivation"


@dataclass(frozen=True)
class Patience:
    """When a Light Node is given up on. `lead_s`: how long before the first quarter-hour an activation must be with the broker.
    `ack_grace_s`: how long after its start the acknowledgement is due."""

    lead_s: int
    ack_grace_s: int


@dataclass(frozen=True)
class TrackedActivation:
    """An activation on its way. `asked`: as the aggregator sent it; `sent`: as the node gets it, Timestamp and all.

    Times in Unix seconds, None until it has happened; `sent_s`: the last time that the broker took it.
    """

    number: int
    pod_id: str
    aggregator: str
    node_address: str
    topic: str
    asked: ActivationService
    sent: ActivationService
    sent_s: int | None
    times_sent: int
    acknowledged_s: int | None

    @property
    def first_s(self) -> int:
        """When its first quarter-hour begins."""
        return self.sent.set_points[0].quarter_hour

    @property
    def end_s(self) -> int:
        """When its last quarter-hour ends."""
        return self.sent.set_points[-1].quarter_hour + SLOT_S

    def status(self, now_s: int, patience: Patience) -> ActivationStatus:
        """Where it is now."""
        if self.acknowledged_s is not None:
            return ActivationStatus.ACKNOWLEDGED
        if self.first_s + patience.ack_grace_s <= now_s:
            return ActivationStatus.MISSING
        return ActivationStatus.WAITING if self.sent_s is None else ActivationStatus.SENT

    def alarm(self, now_s: int, patience: Patience) -> SetPointAlarm | None:
        """What the operator must know of it now, if anything."""
        due_s = self.first_s + patience.ack_grace_s
        if self.acknowledged_s is not None:
            late = self.acknowledged_s >= due_s
            return SetPointAlarm("warning", SetPointFault.LATE, self) if late else None
        if self.sent_s is None and self.first_s - patience.lead_s <= now_s:
            fault = SetPointFault.UNSENT
        elif due_s <= now_s:
            fault = SetPointFault.MISSING
        else:
            return None
        if self.end_s <= now_s:
            return SetPointAlarm("critical", fault, self)
        return SetPointAlarm("warning" if self.times_sent == 1 else "alarm", fault, self)


@dataclass(frozen=True)
class RefusedAcknowledgement:
    """An acknowledgement that wasn't believed, and why."""

    payload: bytes
    reason: str
    received_s: int


@dataclass(frozen=True)
class ProposedMeans:
    """Own means proposed for a session and the operator's decision: the number of the plan taken, 0 for none of them, None
    until it is made. `closed`: the grid is anchored as decided, and nothing changes any more."""

    proposal: MeansProposal
    plan: int | None
    decided_by: str | None
    decided_s: int | None
    closed: bool
