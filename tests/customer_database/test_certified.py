"""Intake of certified packets: made by a Light Node's signer and the anchoring oracle's core, held against the chain."""

import json
from collections.abc import Sequence

import pytest

from lightnode.identity import Identity
from lightnode.meter import Counters
from lightnode.packets import PacketSigner
from offchain.customer_database.certified import PATIENCE_S, Inbox
from offchain.customer_database.records import Anomaly
from offchain.messaging.mqtt import Message
from offchain.messaging.topics import CERTIFIED_PACKETS
from offchain.protocol.documents.base import build, parse
from offchain.protocol.documents.light_node import (
    ActivationData,
    ActivationService,
    AnomalyCode,
    AnomalyData,
    Packet,
    ReadingData,
    SetPoint,
)
from offchain.protocol.documents.pod import ActionType
from offchain.rest.registry import PodRegistration
from oracles.anchoring.core.batch import certified_reading, identified_packet, make_batch
from tests.customer_database.conftest import NOW_S, WALLET, Scd, node_key, registration

CHAIN_ID = 31337
READING_ANCHOR = "0x00000000000000000000000000000000000000A1"
START_S = NOW_S - NOW_S % 900
TRANSACTION = b"\x77" * 32
ACTIVATION = b"\x0a" * 32


def register(scd: Scd, *numbers: int) -> list[bytes]:
    entries = [parse(PodRegistration, json.dumps(registration(number)).encode()) for number in numbers]
    assert all(entry.pod.action_type in (None, ActionType.ACTIVATE) for entry in entries)
    return [pod.pseudonym for pod in scd.service.register("acme", entries)]


def signer(number: int, pod: bytes) -> PacketSigner:
    return PacketSigner(Identity(node_key(number)), pod, CHAIN_ID, READING_ANCHOR)


def signed(number: int, pod: bytes, slot: int, absorbed_wh: int = 1000, sequence: int | None = None) -> bytes:
    counters = Counters(absorbed_wh, 7, 6, 5, 4, 3)
    return signer(number, pod).reading(
        START_S + 900 * slot, counters, slot + 1 if sequence is None else sequence
    )


def certify(scd: Scd, packets: Sequence[bytes], anchored: bool = True) -> list[bytes]:
    read = [parse(Packet[ReadingData], packet) for packet in packets]
    batch = make_batch(read, WALLET)
    if anchored:
        scd.anchored[batch.root] = NOW_S
    return [
        certified_reading(read[index], TRANSACTION, batch, place) for place, index in enumerate(batch.order)
    ]


def deliver(scd: Scd, *payloads: bytes) -> int:
    for payload in payloads:
        scd.intake.take(Message(CERTIFIED_PACKETS, payload))
    return scd.intake.step()


def errors(scd: Scd) -> list[tuple[str, str]]:
    return [(anomaly.pod, anomaly.code) for anomaly in scd.service.anomalies(0, 2**40)]


def waiting(inbox: Inbox) -> int:
    return len(inbox.waiting(0, 1000))


def test_certified_readings_are_kept_with_their_proofs(scd: Scd) -> None:
    one, two = register(scd, 1, 2)
    packets = certify(scd, [signed(1, one, 0), signed(2, two, 0, 500), signed(1, one, 1, 1100)])
    assert deliver(scd, *packets) == 3
    scd.restart()
    first, second = scd.store.readings([one], START_S, START_S + 1800)
    assert (first.start_s, first.absorbed_active_wh, first.injected_active_wh) == (START_S, 1000, 7)
    assert (first.absorbed_inductive_varh, first.injected_inductive_varh) == (6, 5)
    assert (first.absorbed_capacitive_varh, first.injected_capacitive_varh) == (4, 3)
    assert (second.absorbed_active_wh, second.sequence, second.period_s) == (1100, 2, 900)
    assert first.transaction == TRANSACTION
    assert {first.batch_root, second.batch_root} == set(scd.anchored)
    assert {first.position, second.position} | {scd.store.readings([two], 0, 2**40)[0].position} == {0, 1, 2}
    assert errors(scd) == []
    assert waiting(scd.inbox) == 0


def test_repeated_packets_are_kept_once(scd: Scd) -> None:
    (one,) = register(scd, 1)
    packets = certify(scd, [signed(1, one, 0), signed(1, one, 1)])
    assert deliver(scd, *packets, packets[0]) == 2
    assert deliver(scd, *packets) == 0
    again_in_another_batch = certify(scd, [signed(1, one, 1), signed(1, one, 2)])
    assert deliver(scd, *again_in_another_batch) == 1
    assert [reading.sequence for reading in scd.store.readings([one], 0, 2**40)] == [1, 2, 3]
    assert errors(scd) == []


def test_different_readings_of_a_quarter_hour_are_both_kept_and_reported_once(scd: Scd) -> None:
    (one,) = register(scd, 1)
    deliver(scd, *certify(scd, [signed(1, one, 0, 1000)]))
    other = certify(scd, [signed(1, one, 0, 900, sequence=2)])
    assert deliver(scd, *other) == 1
    assert deliver(scd, *other) == 0
    assert len(scd.store.readings([one], 0, 2**40)) == 2
    assert errors(scd) == [("0x" + one.hex(), "CONTRADICTING_READINGS")]


def test_reading_of_an_unknown_pod_is_refused_and_seen(scd: Scd) -> None:
    (one,) = register(scd, 1)
    stranger = b"\x05" * 32
    assert deliver(scd, *certify(scd, [signed(1, one, 0), signed(2, stranger, 0)])) == 1
    assert errors(scd) == [("0x" + stranger.hex(), "UNKNOWN_POD")]
    assert scd.store.readings([stranger], 0, 2**40) == []


@pytest.mark.parametrize("field", ["absorbedActiveEnergy", "startTime", "sequence"])
def test_changed_value_is_refused(scd: Scd, field: str) -> None:
    (one,) = register(scd, 1)
    packet = json.loads(certify(scd, [signed(1, one, 0)])[0])
    packet["InputData"][field] += 900
    assert deliver(scd, json.dumps(packet).encode()) == 0
    assert errors(scd) == [("0x" + one.hex(), "WRONG_PROOF")]


def test_changed_leaf_or_sibling_leads_to_no_anchored_root(scd: Scd) -> None:
    (one,) = register(scd, 1)
    packets = certify(scd, [signed(1, one, slot) for slot in range(4)])
    changed = json.loads(packets[2])
    changed["MerkleTreeStructure"][1]["sibling"] = "0x" + "11" * 32
    assert deliver(scd, json.dumps(changed).encode()) == 0
    scd.now_s += PATIENCE_S
    assert deliver(scd) == 0
    assert errors(scd) == [("0x" + one.hex(), "NOT_ANCHORED")]
    assert deliver(scd, packets[2]) == 1


def test_reading_waits_for_its_root_over_a_restart(scd: Scd) -> None:
    (one,) = register(scd, 1)
    packets = certify(scd, [signed(1, one, 0)], anchored=False)
    assert deliver(scd, *packets) == 0
    assert (errors(scd), waiting(scd.inbox)) == ([], 1)
    certify(scd, [signed(1, one, 0)])
    scd.restart()
    assert scd.intake.step() == 1
    assert waiting(scd.inbox) == 0


def test_what_arrived_before_a_kill_is_there_after_it(scd: Scd) -> None:
    (one,) = register(scd, 1)
    for packet in certify(scd, [signed(1, one, slot) for slot in range(3)]):
        scd.intake.take(Message(CERTIFIED_PACKETS, packet))
    scd.restart()
    assert scd.intake.step() == 3


def test_killed_between_storing_and_forgetting_stores_nothing_twice(
    scd: Scd, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = register(scd, 1)
    packets = [*certify(scd, [signed(1, one, slot) for slot in range(3)]), b"junk"]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Inbox, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            deliver(scd, *packets)
    scd.restart()
    assert waiting(scd.inbox) == 4
    assert scd.intake.step() == 0
    assert len(scd.store.readings([one], 0, 2**40)) == 3
    assert errors(scd) == [("", "MALFORMED_PACKET")]


@pytest.mark.parametrize(
    "payload",
    [b"", b"{}", b"[]", b"\xff", b'{"TransactionID":"0x"}', b'{"InputData":{"ActivationId":1}}', b"NaN"],
)
def test_junk_keeps_no_good_packet_waiting(scd: Scd, payload: bytes) -> None:
    (one,) = register(scd, 1)
    assert deliver(scd, payload, *certify(scd, [signed(1, one, 0)])) == 1
    assert errors(scd) == [("", "MALFORMED_PACKET")]
    assert waiting(scd.inbox) == 0


@pytest.mark.parametrize(("field", "value"), [("position", 2**32), ("length", 2**40)])
def test_place_that_no_leaf_can_have_is_refused_alone(scd: Scd, field: str, value: int) -> None:
    (one,) = register(scd, 1)
    good, bad = certify(scd, [signed(1, one, 0), signed(1, one, 1)])
    changed = json.loads(bad)
    changed["MerkleTreeStructure"][0][field] = value
    assert deliver(scd, json.dumps(changed).encode(), good) == 1
    assert errors(scd) == [("", "MALFORMED_PACKET")]


def test_anomalies_and_acknowledgements_of_the_field_are_kept_once(scd: Scd) -> None:
    (one,) = register(scd, 1)
    node = signer(1, one)
    anomaly = node.anomaly(AnomalyCode.METER_UNREACHABLE, "no answer", START_S, START_S + 60)
    point = build(SetPoint, active_power=-5, reactive_power=6, quarter_hour=START_S + 900)
    activation = build(
        ActivationService, pod=one, activation_id=ACTIVATION, set_points=(point,), timestamp=START_S
    )
    acknowledgement = node.acknowledgement(activation, START_S + 1, START_S + 901)
    payloads = [
        identified_packet(parse(Packet[AnomalyData], anomaly)),
        identified_packet(parse(Packet[ActivationData], acknowledgement)),
    ]
    deliver(scd, *payloads)
    deliver(scd, *payloads)
    assert scd.service.anomalies(0, 2**40) == [
        Anomaly("0x" + one.hex(), "METER_UNREACHABLE", "no answer", "field", START_S)
    ]
    (known,) = scd.store.acknowledgements([one])
    assert (known.activation, known.sent_s, known.received_s, known.ems_s) == (
        ACTIVATION,
        START_S,
        START_S + 1,
        START_S + 901,
    )
