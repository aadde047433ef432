"""Which packets hold, and what a batch of them is."""

import json
import random
from collections.abc import Callable

import pytest

from lightnode.meter import Counters
from offchain.protocol.documents.base import parse
from offchain.protocol.documents.light_node import AnomalyCode, CertifiedPacket, Packet, ReadingData
from offchain.protocol.leaves import READING
from offchain.protocol.lists import ListDocument
from offchain.protocol.merkle import verify
from offchain.protocol.signatures import from_compact, recover_address
from oracles.anchoring.core.batch import certified_reading, make_batch
from oracles.anchoring.core.verify import Bad, Domain, Good, PacketBytes, PacketKind, verify_packets
from tests.oracles.anchoring.conftest import (
    DOMAIN,
    ENERGIES,
    NODE_A,
    NODE_B,
    NODES,
    ORACLE,
    POD_A,
    POD_B,
    START_S,
    reading,
    signer,
)

UNKNOWN_POD = bytes([0xCC] * 32)


def judge(*payloads: bytes, kind: PacketKind = PacketKind.READING) -> tuple[list[Good], list[Bad]]:
    return verify_packets([PacketBytes(kind, payload) for payload in payloads], NODES.get, DOMAIN)


def changed(payload: bytes, change: Callable[[dict[str, object]], None]) -> bytes:
    """A packet changed after it was signed, still canonical."""
    content = json.loads(payload)
    change(content)
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def with_data(name: str, value: object) -> bytes:
    def change(content: dict[str, object]) -> None:
        data = content["InputData"]
        assert isinstance(data, dict)
        assert name in data
        data[name] = value

    return changed(reading(0, 1), change)


def with_field(name: str, value: object) -> bytes:
    def change(content: dict[str, object]) -> None:
        assert name in content
        content[name] = value

    return changed(reading(0, 1), change)


def test_true_packets_hold() -> None:
    good, bad = judge(reading(0, 1), reading(1, 2, POD_B))
    assert [entry.index for entry in good] == [0, 1]
    assert bad == []


def test_true_anomaly_holds() -> None:
    anomaly = signer(NODE_A, POD_A).anomaly(AnomalyCode.SLOTS_MISSED, "two slots", START_S, START_S + 1_800)
    assert judge(anomaly, kind=PacketKind.ANOMALY)[1] == []
    forged = anomaly.replace(b"two slots", b"ten slots")
    assert "Hash" in judge(forged, kind=PacketKind.ANOMALY)[1][0].reason


FORGERIES = {
    "energy changed": (with_data("absorbedActiveEnergy", 1), "Hash"),
    "start changed": (with_data("startTime", START_S + 900), "Hash"),
    "sequence changed": (with_data("sequence", 2), "Hash"),
    "hash changed": (with_field("Hash", "0x" + "00" * 32), "Hash"),
    "other PoD": (with_field("PoD", "0x" + POD_B.hex()), "PublicKey"),
    "unknown PoD": (signer(NODE_A, UNKNOWN_POD).reading(START_S, ENERGIES, 1), "PoD"),
    "other node": (signer(NODE_B, POD_A).reading(START_S, ENERGIES, 1), "PublicKey"),
    "other key claimed": (with_field("PublicKey", "0x" + NODE_B.public_key.hex()), "PublicKey"),
    "other node's signature": (
        with_field("SignedHash", "0x" + NODE_B.sign(parse(Packet[ReadingData], reading(0, 1)).hash).hex()),
        "SignedHash",
    ),
    "signature of zeros": (with_field("SignedHash", "0x" + "00" * 65), "SignedHash"),
    "other chain": (
        signer(NODE_A, POD_A, Domain(1, DOMAIN.reading_anchor)).reading(START_S, ENERGIES, 1),
        "Hash",
    ),
    "other contract": (signer(NODE_A, POD_A, Domain(31337, ORACLE)).reading(START_S, ENERGIES, 1), "Hash"),
    "not a quarter-hour": (with_data("startTime", START_S + 1), "startTime"),
    "other period": (with_data("period", 1_800), "period"),
    "negative energy": (with_data("absorbedActiveEnergy", -1), "absorbedActiveEnergy"),
    "energy too large": (with_data("absorbedActiveEnergy", 2**32), "absorbedActiveEnergy"),
    "energy with a fraction": (with_data("absorbedActiveEnergy", 1.5), "absorbedActiveEnergy"),
    "NaN": (with_data("absorbedActiveEnergy", float("nan")), "NaN"),
    "no JSON": (b"\x00", "JSON"),
    "an anomaly": (signer(NODE_A, POD_A).anomaly(AnomalyCode.SLOTS_MISSED, "x"), "InputData"),
    "spelled differently": (reading(0, 1).replace(b":", b": "), "canonical"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgery_is_refused_and_others_pass(forgery: str) -> None:
    payload, named = FORGERIES[forgery]
    good, bad = judge(reading(0, 1), payload, reading(0, 1, POD_B))
    assert [entry.index for entry in good] == [0, 2]
    assert [entry.index for entry in bad] == [1]
    assert named in bad[0].reason


def packets(count: int) -> list[Packet[ReadingData]]:
    return [
        parse(Packet[ReadingData], reading(slot, slot + 1, pod, Counters(slot, 0, 0, 0, 0, 0)))
        for pod in (POD_A, POD_B)
        for slot in range(count)
    ]


def test_batch_is_the_same_in_any_order() -> None:
    given = packets(5)
    shuffled = given[:]
    random.Random(1).shuffle(shuffled)
    one, other = make_batch(given, ORACLE), make_batch(shuffled, ORACLE)
    assert one.document.to_bytes() == other.document.to_bytes()
    assert one.root == other.root
    assert [given[index] for index in one.order] == [shuffled[index] for index in other.order]


def test_batch_document_gives_the_root_and_the_signatures() -> None:
    """Whoever reads the document alone can recompute the root and check every signature."""
    batch = make_batch(packets(3), ORACLE)
    document = ListDocument.from_bytes(batch.document.to_bytes(), joint=False)
    leaves = document.list_of(READING)
    assert leaves.root == batch.root
    good, _ = judge(
        *(reading(slot, slot + 1, pod, Counters(slot, 0, 0, 0, 0, 0)) for pod in NODES for slot in range(3))
    )
    for record, entry in zip(leaves.records(), good, strict=True):
        signature = from_compact(record.word("r"), record.word("vs"))
        node = recover_address(entry.packet.hash, signature)
        assert node == NODES[record.word("pod")]
        assert bytes.fromhex(node[2:]) == record.word("node")


@pytest.mark.parametrize("count", [1, 2, 7])
def test_certified_packet_proves_its_leaf(count: int) -> None:
    given = packets(count)
    batch = make_batch(given, ORACLE)
    for position, index in enumerate(batch.order):
        raw = certified_reading(given[index], bytes([9] * 32), batch, position)
        certified = parse(CertifiedPacket[ReadingData], raw)
        first = certified.merkle_tree_structure[0]
        assert certified.transaction_id == bytes([9] * 32)
        assert certified.input_data == given[index].input_data
        assert (first.position, first.length) == (position, 2 * count)
        assert first.leaf == batch.document.list_of(READING).leaf_hashes[position].tobytes()
        assert verify(batch.root, first.leaf, list(certified.proof))
        assert not verify(bytes(32), first.leaf, list(certified.proof))
