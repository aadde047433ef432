"""The rows of the Shared Customer Database. Power is net (absorbed minus injected), times are UTC Unix seconds."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Pod:
    """A PoD under one flexibility contract. `document`: D2.3's PoD model, canonical JSON, as the aggregator sent it.

    `removed_s`: when it was removed; its readings stay until they are erased.
    """

    pod_id: str
    pseudonym: bytes
    salt: bytes
    aggregator: str
    customer_wallet: str
    node_address: str
    node_user: str
    max_up_w: int
    max_down_w: int
    max_up_var: int
    max_down_var: int
    validity_start_s: int
    document: str
    pom_id: str | None = None
    removed_s: int | None = None


@dataclass(frozen=True)
class Baseline:
    """Net power that a PoD would have without activation, in the quarter-hour that starts at `start_s`."""

    pseudonym: bytes
    start_s: int
    power_w: int
    reactive_var: int


@dataclass(frozen=True)
class Reading:
    """A certified reading: what the meter said, and where the proof is (the anchored root, the leaf's position)."""

    pseudonym: bytes
    start_s: int
    period_s: int
    absorbed_active_wh: int
    injected_active_wh: int
    absorbed_inductive_varh: int
    injected_inductive_varh: int
    absorbed_capacitive_varh: int
    injected_capacitive_varh: int
    sequence: int
    batch_root: bytes
    position: int
    transaction: bytes


@dataclass(frozen=True)
class SetPoint:
    """What a PoD was told to do in the quarter-hour that starts at `start_s`, for which market outcome."""

    pseudonym: bytes
    start_s: int
    activation: bytes
    market_outcome: str
    active_w: int
    reactive_var: int
    timestamp_s: int


class AnomalySource(StrEnum):
    """Who has noticed an anomaly."""

    FIELD = "field"
    DATABASE = "database"


@dataclass(frozen=True)
class Anomaly:
    """Something wrong with a PoD's data. `pod`: as the packet names it, which may be nobody's; "" where it names none.

    `at_s`: the time that it concerns, or where that isn't known, when it arrived.
    """

    pod: str
    code: str
    description: str
    source: str
    at_s: int


@dataclass(frozen=True)
class Acknowledgement:
    """When an activation was sent, and when the Light Node and the EMS received it."""

    pseudonym: bytes
    activation: bytes
    sent_s: int
    received_s: int
    ems_s: int


@dataclass(frozen=True)
class PodEvent:
    """A change of a PoD that a listener is to be told of; `action` as in D2.3: activate, modify or delete."""

    number: int
    listener: str
    pseudonym: bytes
    action: str
