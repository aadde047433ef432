"""Which packets are what they say: form, hash, and the signature of the PoD's own Light Node."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from offchain.protocol.documents.base import dump, parse
from offchain.protocol.documents.light_node import (
    ActivationData,
    AnomalyData,
    Packet,
    ReadingData,
    anomaly_hash,
    set_points_hash,
)
from offchain.protocol.errors import InvalidInput
from offchain.protocol.signatures import checksum_address, recover_addresses
from offchain.protocol.typed_data import Reading, SetPoints

AnyPacket = Packet[ReadingData] | Packet[ActivationData] | Packet[AnomalyData]


@dataclass(frozen=True)
class Domain:
    """The deployment that nodes sign for: chain id and address of ReadingAnchor."""

    chain_id: int
    reading_anchor: str


class PacketKind(Enum):
    """What a packet's InputData is."""

    READING = "reading"
    ACTIVATION = "activation"
    ANOMALY = "anomaly"


@dataclass(frozen=True)
class PacketBytes:
    """A packet as it was published, and what its topic says that it is."""

    kind: PacketKind
    payload: bytes


@dataclass(frozen=True)
class Good:
    """A packet that holds: its index among those given."""

    index: int
    packet: AnyPacket


@dataclass(frozen=True)
class Bad:
    """A packet that doesn't: its index among those given, and why."""

    index: int
    reason: str


def verify_packets(
    packets: Sequence[PacketBytes], node_of: Callable[[bytes], str | None], domain: Domain
) -> tuple[list[Good], list[Bad]]:
    """Judge packets. `node_of`: checksummed address of a PoD's Light Node, None for an unknown PoD.

    A packet is good if it is canonical JSON of its topic's kind, its Hash is the digest of what it says, PublicKey is
    the key of the node that the registry names for the PoD, and SignedHash is that node's signature of the digest.
    """
    read: list[Good] = []
    bad: list[Bad] = []
    for index, packet in enumerate(packets):
        try:
            read.append(Good(index, _checked(read_packet(packet), node_of, domain)))
        except InvalidInput as refusal:
            bad.append(Bad(index, str(refusal)))
    signers = recover_addresses(
        _rows([good.packet.hash for good in read], 32), _rows([good.packet.signed_hash for good in read], 65)
    )
    good = []
    for entry, signer in zip(read, signers, strict=True):
        if signer == _claimed(entry.packet):
            good.append(entry)
        else:
            bad.append(
                Bad(
                    entry.index,
                    f"SignedHash: must be the signature of {_claimed(entry.packet)}, is by {signer}",
                )
            )
    return good, bad


def read_packet(packet: PacketBytes) -> AnyPacket:
    """A packet's content, unverified. Raises InvalidInput unless it is canonical JSON of its topic's kind."""
    parsed: AnyPacket
    match packet.kind:
        case PacketKind.READING:
            parsed = parse(Packet[ReadingData], packet.payload)
        case PacketKind.ACTIVATION:
            parsed = parse(Packet[ActivationData], packet.payload)
        case PacketKind.ANOMALY:
            parsed = parse(Packet[AnomalyData], packet.payload)
    if dump(parsed) != packet.payload:
        # Else one packet could be sent again and again, spelled differently each time.
        raise InvalidInput("packet", packet.payload, "must be canonical JSON (RFC 8785)")
    return parsed


def typed_reading(pod: bytes, data: ReadingData) -> Reading:
    """A PoD's reading as the typed data that its node signs."""
    return Reading(
        pod=pod,
        startTime=data.start_time,
        periodS=data.period,
        absorbedActiveWh=data.absorbed_active_energy,
        injectedActiveWh=data.injected_active_energy,
        absorbedInductiveVarh=data.absorbed_inductive_reactive_energy,
        injectedInductiveVarh=data.injected_inductive_reactive_energy,
        absorbedCapacitiveVarh=data.absorbed_capacitive_reactive_energy,
        injectedCapacitiveVarh=data.injected_capacitive_reactive_energy,
        sequence=data.sequence,
    )


def _checked(packet: AnyPacket, node_of: Callable[[bytes], str | None], domain: Domain) -> AnyPacket:
    node = node_of(packet.pod)
    if node is None:
        raise InvalidInput("PoD", _hex(packet.pod), "must be in the PoD registry")
    if _claimed(packet) != node:
        raise InvalidInput("PublicKey", _claimed(packet), f"must be of the PoD's Light Node, {node}")
    digest = _digest(packet, domain)
    if packet.hash != digest:
        raise InvalidInput("Hash", _hex(packet.hash), f"must be the digest of InputData, {_hex(digest)}")
    return packet


def _digest(packet: AnyPacket, domain: Domain) -> bytes:
    data = packet.input_data
    match data:
        case ReadingData():
            return typed_reading(packet.pod, data).digest(domain.chain_id, domain.reading_anchor)
        case ActivationData():
            sent_s, received_s, ems_s = data.status
            typed = SetPoints(
                pod=packet.pod,
                activationId=data.activation_id,
                startTime=data.set_points[0].quarter_hour,
                setPointsHash=set_points_hash(data.set_points),
                sentAt=sent_s,
                receivedAt=received_s,
                emsAt=ems_s,
            )
            return typed.digest(domain.chain_id, domain.reading_anchor)
        case AnomalyData():
            return anomaly_hash(packet.pod, data)


def _claimed(packet: AnyPacket) -> str:
    return checksum_address(packet.claimed_signer)


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _rows(values: Sequence[bytes], width: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(values), dtype=np.uint8).reshape(len(values), width)
