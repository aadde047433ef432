"""From good readings to a batch: a list of reading leaves in a fixed order, its tree, and the proof of every leaf."""

from collections.abc import Sequence
from dataclasses import dataclass

from offchain.protocol.documents.base import build, dump
from offchain.protocol.documents.light_node import (
    ActivationData,
    AnomalyData,
    CertifiedPacket,
    IdentifiedPacket,
    Packet,
    ReadingData,
    merkle_structure,
)
from offchain.protocol.leaves import READING, Value
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.merkle import ListTree
from offchain.protocol.signatures import to_compact
from oracles.anchoring.core.verify import AnyPacket

NO_SESSION = 0


@dataclass(frozen=True)
class Batch:
    """A batch of readings. `order`: for each leaf, the index of its packet among those given."""

    document: ListDocument
    order: tuple[int, ...]
    tree: ListTree

    @property
    def root(self) -> bytes:
        """What is anchored."""
        return self.tree.root


def make_batch(packets: Sequence[Packet[ReadingData]], author: str) -> Batch:
    """The batch of verified readings, in order of PoD, start and sequence, whatever the order they came in.

    `author`: address of the anchoring oracle.
    """

    def key(index: int) -> tuple[bytes, int, int]:
        data = packets[index].input_data
        return packets[index].pod, data.start_time, data.sequence

    order = tuple(sorted(range(len(packets)), key=key))
    rows = [_leaf(packets[index], position, len(packets)) for position, index in enumerate(order)]
    leaves = LeafList.of_rows(READING, rows)
    return Batch(ListDocument(NO_SESSION, author, (leaves,)), order, leaves.tree)


def certified_reading(packet: Packet[ReadingData], transaction: bytes, batch: Batch, position: int) -> bytes:
    """A reading's packet with its proof (D3.3 Table 23); its unique id is its Hash."""
    tree = batch.tree
    leaf = batch.document.list_of(READING).hashes(position, position + 1).tobytes()
    certified = build(
        CertifiedPacket[ReadingData],
        **_content(packet),
        transaction_id=transaction,
        merkle_tree_structure=merkle_structure(leaf, position, len(tree), tree.proof(position)),
    )
    return dump(certified)


def identified_packet(packet: AnyPacket) -> bytes:
    """A packet as it is forwarded without a proof (D3.3 Table 22); its unique id is its Hash."""
    match packet.input_data:
        case ReadingData():
            return dump(build(IdentifiedPacket[ReadingData], **_content(packet)))
        case ActivationData():
            return dump(build(IdentifiedPacket[ActivationData], **_content(packet)))
        case AnomalyData():
            return dump(build(IdentifiedPacket[AnomalyData], **_content(packet)))


def _content(packet: AnyPacket) -> dict[str, object]:
    return {
        "pod": packet.pod,
        "hash": packet.hash,
        "signed_hash": packet.signed_hash,
        "public_key": packet.public_key,
        "input_data": packet.input_data,
        "unique_id": "0x" + packet.hash.hex(),
    }


def _leaf(packet: Packet[ReadingData], position: int, length: int) -> list[Value]:
    data = packet.input_data
    r, vs = to_compact(packet.signed_hash)
    return [
        position,
        length,
        packet.pod,
        packet.claimed_signer,
        data.start_time,
        data.period,
        data.absorbed_active_energy,
        data.injected_active_energy,
        data.absorbed_inductive_reactive_energy,
        data.injected_inductive_reactive_energy,
        data.absorbed_capacitive_reactive_energy,
        data.injected_capacitive_reactive_energy,
        data.sequence,
        r,
        vs,
    ]
