"""Every MQTT topic of flexledger, and who may read and write which."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from offchain.protocol.errors import InvalidInput

_USER = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


class NodeTopic(StrEnum):
    """What a Light Node publishes, each kind on a topic of its own."""

    READINGS = "readings"
    SET_POINT_ACKS = "setpoint-acks"
    ANOMALIES = "anomalies"

    def of(self, user: str) -> str:
        """The topic on which a node's broker user publishes this kind."""
        return f"lightnode/{check_user(user)}/{self}"

    @property
    def of_all(self) -> str:
        """The subscription to this kind from every node."""
        return f"lightnode/+/{self}"

    @classmethod
    def parse(cls, topic: str) -> "tuple[str, NodeTopic]":
        """The user and kind of a node's topic. Raises InvalidInput for another topic."""
        parts = topic.split("/")
        if len(parts) != 3 or parts[0] != "lightnode" or parts[2] not in set(cls):
            raise InvalidInput("topic", topic, f"must be lightnode/<user>/{'|'.join(cls)}")
        return check_user(parts[1]), cls(parts[2])


CERTIFIED_PACKETS = "scd/packets"
"""Where the access layer forwards certified packets to the Shared Customer Database."""

DSO_OUTCOME = "market/DSOOutcome"
TSO_OUTCOME = "market/TSOOutcome"
"""The DSO's and the TSO's part of each validated outcome (D2.3, Table 28)."""


def aggregator_outcome(user: str) -> str:
    """An aggregator's part of each validated outcome (D2.3, Table 28: AggOutcome(id))."""
    return f"market/AggOutcome/{check_user(user)}"


def set_points(user: str) -> str:
    """The topic on which one Light Node receives its set points from the DSO."""
    return f"dso/setpoints/{check_user(user)}"


def check_user(user: str) -> str:
    """A broker user that may stand in a topic. Raises InvalidInput for one with wildcards or separators."""
    if not _USER.fullmatch(user):
        raise InvalidInput("user", user, "must be 1 to 64 letters, digits, '_', '.' or '-'")
    return user


@dataclass(frozen=True)
class Grant:
    """Topics (wildcards allowed) that a platform's user may read and write."""

    read: Sequence[str] = ()
    write: Sequence[str] = ()


PLATFORM_GRANTS: Mapping[str, Grant] = {
    "access_layer": Grant(read=[kind.of_all for kind in NodeTopic], write=[CERTIFIED_PACKETS]),
    "market": Grant(write=[DSO_OUTCOME, TSO_OUTCOME, "market/AggOutcome/+"]),
    "tso": Grant(read=[TSO_OUTCOME]),
    "dso": Grant(read=[NodeTopic.SET_POINT_ACKS.of_all, DSO_OUTCOME], write=["dso/setpoints/+"]),
    "customer_database": Grant(read=[CERTIFIED_PACKETS]),
}
"""The platforms that use the broker, by user name. A Light Node's own rights follow from its user: see broker.py."""


def aggregator_grant(user: str) -> Grant:
    """What an aggregator's user may: read its own outcomes."""
    return Grant(read=[aggregator_outcome(user)])
