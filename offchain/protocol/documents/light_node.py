"""Packets of the Light Node (D3.3 Tables 18 to 25). They are ours, so their values are integers: W, var, Wh,
varh.

Times are UTC Unix seconds. Bytes are lower-case 0x-hex on the wire and bytes in Python. PoDs are pseudonyms:
no packet says whose it is. What is signed (`Hash`) is the EIP-712 digest of the reading's or set points'
integers; of an anomaly, of which no contract knows, it is `anomaly_hash`.

A packet grows on its way: `Packet` is what the node publishes (Tables 19, 21, 25), `IdentifiedPacket` has the
unique id of the Shared Customer Database (Table 22), `CertifiedPacket` the proof that it was anchored (Table
23).
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Generic, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from offchain.protocol.canonical_json import MAX_INTEGER
from offchain.protocol.documents.base import Document, Identifier, broken_rule, build, dump
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import HASH_BYTES, keccak256
from offchain.protocol.signatures import ADDRESS_BYTES, SIGNATURE_BYTES, WORD_BYTES
from offchain.protocol.terms import SLOT_S
from offchain.protocol.units import MAX_ENERGY_WH, MAX_POWER_W, MAX_UNIX_S

SET_POINTS_PER_ACTIVATION = 16
"""Most quarter-hours of one activation: four hours."""
_PUBLIC_KEY_BYTES = 65
_UNCOMPRESSED_KEY = 4
_LOWER_HEX = frozenset("0123456789abcdef")


class AnomalyCode(StrEnum):
    """What a Light Node or the access layer may report. The first five are D3.3's, the others ours."""

    LIGHT_NODE_OFFLINE = "LIGHT_NODE_OFFLINE"
    """The Light Node had no internet connection."""
    METER_UNREACHABLE = "METER_UNREACHABLE"
    DSOTP_UNREACHABLE = "DSOTP_UNREACHABLE"
    """The Light Node had no connection to the DSO's technical platform."""
    EMS_UNREACHABLE = "EMS_UNREACHABLE"
    OTHER_METER_UNREACHABLE = "OTHER_METER_UNREACHABLE"
    """No connection to another metering device."""
    EMS_REFUSED = "EMS_REFUSED"
    """The EMS answered, but not with what it was told."""
    SET_POINT_REFUSED = "SET_POINT_REFUSED"
    """A set point message was malformed, another PoD's, or contradicted an earlier one."""
    COUNTER_FAULT = "COUNTER_FAULT"
    """A meter's counter went back or jumped: there is no reading of the slot."""
    SLOTS_MISSED = "SLOTS_MISSED"
    """The meter wasn't read at a slot's boundary: there is no reading of the slots on both sides."""


def _hex(width_bytes: int) -> tuple[BeforeValidator, PlainSerializer, WithJsonSchema]:
    """Bytes of one length."""

    def read(value: object) -> bytes:
        if isinstance(value, bytes) and len(value) == width_bytes:
            return value
        if isinstance(value, str) and value.startswith("0x") and len(value) == 2 + 2 * width_bytes:
            digits = value[2:]
            if _LOWER_HEX.issuperset(digits):
                return bytes.fromhex(digits)
        raise broken_rule("", value, f"must be {width_bytes} bytes as lower-case 0x-hex")

    return (
        BeforeValidator(read),
        PlainSerializer(_to_hex, when_used="json"),
        WithJsonSchema({"type": "string", "pattern": f"^0x[0-9a-f]{{{2 * width_bytes}}}$"}),
    )


def _to_hex(value: bytes) -> str:
    return "0x" + value.hex()


def _integer(low: int, high: int) -> BeforeValidator:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise broken_rule("", value, f"must be an integer from {low} to {high}")
        return value

    return BeforeValidator(read)


def _uncompressed(key: bytes) -> bytes:
    if key[0] != _UNCOMPRESSED_KEY:
        raise broken_rule("", key, "must be an uncompressed public key: its first byte is 04")
    return key


def _quarter_hour(start_s: int) -> int:
    if start_s % SLOT_S:
        raise broken_rule("", start_s, f"must be a multiple of {SLOT_S}: the start of a quarter-hour")
    return start_s


Word = Annotated[bytes, *_hex(WORD_BYTES)]
Signature = Annotated[bytes, *_hex(SIGNATURE_BYTES)]
"""r || s || v, as `offchain.protocol.signatures` makes it."""
PublicKey = Annotated[bytes, *_hex(_PUBLIC_KEY_BYTES), AfterValidator(_uncompressed)]
"""A secp256k1 public key: 04, x, y."""
UnixS = Annotated[int, _integer(0, MAX_UNIX_S)]
QuarterHourS = Annotated[UnixS, AfterValidator(_quarter_hour)]
Energy = Annotated[int, _integer(0, MAX_ENERGY_WH)]
Power = Annotated[int, _integer(-MAX_POWER_W, MAX_POWER_W)]
Count = Annotated[int, _integer(0, MAX_INTEGER)]


class SetPoint(Document):
    """Net power (absorbed minus injected, W and var) that a PoD shall have in a quarter-hour."""

    active_power: Power
    reactive_power: Power
    quarter_hour: QuarterHourS


def _in_order(points: tuple[SetPoint, ...]) -> tuple[SetPoint, ...]:
    end_s = points[0].quarter_hour + SET_POINTS_PER_ACTIVATION * SLOT_S
    for place, point in enumerate(points):
        if place and point.quarter_hour <= points[place - 1].quarter_hour:
            raise broken_rule(
                f"[{place}].quarterHour", point.quarter_hour, "must be later than the one before"
            )
        if point.quarter_hour >= end_s:
            rule = f"must be within {SET_POINTS_PER_ACTIVATION} quarter-hours of the first"
            raise broken_rule(f"[{place}].quarterHour", point.quarter_hour, rule)
    return points


SetPoints = Annotated[
    tuple[SetPoint, ...],
    Field(min_length=1, max_length=SET_POINTS_PER_ACTIVATION),
    AfterValidator(_in_order),
]
"""Set points of an activation in order of time. Of quarter-hours that aren't among them it says nothing."""


class ActivationService(Document):
    """Table 18: what the DSO's technical platform sends to a Light Node, and when it sent it."""

    pod: Word = Field(alias="PoD")
    activation_id: Word = Field(alias="ActivationId")
    set_points: SetPoints = Field(alias="Set-Point")
    timestamp: UnixS = Field(alias="Timestamp")


class ReadingData(Document):
    """InputData of a reading: the energies of D2.3 Table 19 in Wh and varh that flowed in a quarter-hour.

    `sequence` is the node's: one higher with each reading.
    """

    start_time: QuarterHourS
    period: Annotated[int, _integer(SLOT_S, SLOT_S)]
    absorbed_active_energy: Energy
    injected_active_energy: Energy = Field(alias="InjectedActiveEnergy")
    absorbed_inductive_reactive_energy: Energy
    injected_inductive_reactive_energy: Energy
    absorbed_capacitive_reactive_energy: Energy
    injected_capacitive_reactive_energy: Energy
    sequence: Count


class ActivationData(Document):
    """InputData of an activation (Table 19): what was to be done, and when each of three saw it.

    `status`: the DSO's platform sent the set points, the Light Node received them, the customer's EMS did.
    """

    activation_id: Word = Field(alias="ActivationId")
    set_points: SetPoints = Field(alias="Set-Point")
    status: tuple[UnixS, UnixS, UnixS] = Field(alias="Status")

    @model_validator(mode="after")
    def _check_status(self) -> Self:
        _, received_s, ems_s = self.status
        # Sent is by the DSO's clock; the other two are by the node's own.
        if ems_s < received_s:
            raise broken_rule("Status[2]", ems_s, "the EMS can't receive before the Light Node did")
        return self


class AnomalyData(Document):
    """InputData of an anomaly (Table 25), with the time that it lasted where it is known."""

    code: AnomalyCode
    description: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    start_time: UnixS | None = None
    end_time: UnixS | None = None

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        if self.end_time is not None and (self.start_time is None or self.end_time < self.start_time):
            raise broken_rule("endTime", self.end_time, "must not be before startTime")
        return self


InputT = TypeVar("InputT", ReadingData, ActivationData, AnomalyData)


class Packet(Document, Generic[InputT]):
    """Tables 19, 21 and 25: what a Light Node publishes, signed."""

    pod: Word = Field(alias="PoD")
    hash: Word = Field(alias="Hash")
    signed_hash: Signature = Field(alias="SignedHash")
    public_key: PublicKey = Field(alias="PublicKey")
    input_data: InputT = Field(alias="InputData")

    @property
    def claimed_signer(self) -> bytes:
        """The address (20 bytes) of `public_key`: whose packet it says it is. The signature proves it."""
        return keccak256(self.public_key[1:])[HASH_BYTES - ADDRESS_BYTES :]


class IdentifiedPacket(Packet[InputT], Generic[InputT]):
    """Table 22: a packet with the unique id that the Shared Customer Database gave it."""

    unique_id: Identifier = Field(alias="UniqueID")


class MerkleElement(Document):
    """One element of MerkleTreeStructure: the leaf with its place in its list, or a sibling on the way up."""

    leaf: Word | None = None
    position: Count | None = None
    length: Count | None = None
    sibling: Word | None = None


class CertifiedPacket(IdentifiedPacket[InputT], Generic[InputT]):
    """Table 23: a packet with the transaction that anchored its batch, and the way from leaf to root."""

    transaction_id: Word = Field(alias="TransactionID")
    merkle_tree_structure: tuple[MerkleElement, ...] = Field(
        alias="MerkleTreeStructure", min_length=1, max_length=64
    )

    @model_validator(mode="after")
    def _check_structure(self) -> Self:
        for place, element in enumerate(self.merkle_tree_structure):
            wanted = {"leaf", "position", "length"} if place == 0 else {"sibling"}
            given = {name for name, value in element if value is not None}
            if given != wanted:
                where = f"MerkleTreeStructure[{place}]"
                raise broken_rule(where, sorted(given), f"must have exactly {', '.join(sorted(wanted))}")
        return self

    @property
    def proof(self) -> tuple[bytes, ...]:
        """Siblings from the leaf to the root, as OpenZeppelin's MerkleProof takes them."""
        return tuple(element.sibling for element in self.merkle_tree_structure if element.sibling is not None)


def merkle_structure(
    leaf: bytes, position: int, length: int, proof: Sequence[bytes]
) -> tuple[MerkleElement, ...]:
    """MerkleTreeStructure of a proof: first the leaf and its place, then the siblings up to the root."""
    first = build(MerkleElement, leaf=leaf, position=position, length=length)
    return (first, *(build(MerkleElement, sibling=sibling) for sibling in proof))


def set_points_hash(points: Sequence[SetPoint]) -> bytes:
    """keccak256 over all set points of abi.encode(uint64 quarterHour, int32 W, int32 var)."""
    words = b"".join(
        value.to_bytes(WORD_BYTES, "big", signed=True)
        for point in points
        for value in (point.quarter_hour, point.active_power, point.reactive_power)
    )
    return keccak256(words)


def anomaly_hash(pod: bytes, anomaly: AnomalyData) -> bytes:
    """What a node signs of an anomaly: keccak256 of its PoD's pseudonym and InputData's canonical JSON."""
    if len(pod) != WORD_BYTES:
        raise InvalidInput("pod", pod, f"must be {WORD_BYTES} bytes")
    return keccak256(pod + dump(anomaly))
