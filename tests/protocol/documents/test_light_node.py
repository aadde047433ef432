"""Light Node packets: names of D3.3's tables, integers only, and what is signed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from coincurve import PrivateKey
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.documents.base import build, dump, parse
from offchain.protocol.documents.light_node import (
    ActivationData,
    ActivationService,
    AnomalyCode,
    AnomalyData,
    CertifiedPacket,
    IdentifiedPacket,
    Packet,
    ReadingData,
    SetPoint,
    anomaly_hash,
    merkle_structure,
    set_points_hash,
)
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.signatures import address_of
from offchain.protocol.units import MAX_POWER_W

START = 1_774_746_000
KEY = bytes([7]) * 32
PUBLIC_KEY = PrivateKey(KEY).public_key.format(compressed=False)
Change = Callable[[dict[str, Any]], object]


def set_points(count: int) -> list[dict[str, int]]:
    return [
        {"activePower": -100 * place, "reactivePower": place, "quarterHour": START + 900 * place}
        for place in range(count)
    ]


def activation() -> dict[str, Any]:
    return {
        "PoD": "0x" + "01" * 32,
        "ActivationId": "0x" + "02" * 32,
        "Set-Point": set_points(16),
        "Timestamp": START - 900,
    }


def reading() -> dict[str, Any]:
    return {
        "PoD": "0x" + "01" * 32,
        "Hash": "0x" + "02" * 32,
        "SignedHash": "0x" + "03" * 65,
        "PublicKey": "0x" + PUBLIC_KEY.hex(),
        "InputData": {
            "startTime": START,
            "period": 900,
            "absorbedActiveEnergy": 250,
            "InjectedActiveEnergy": 0,
            "absorbedInductiveReactiveEnergy": 1,
            "injectedInductiveReactiveEnergy": 2,
            "absorbedCapacitiveReactiveEnergy": 3,
            "injectedCapacitiveReactiveEnergy": 4,
            "sequence": 9,
        },
    }


def data(**values: object) -> Change:
    return lambda packet: packet["InputData"].update(values)


def read_reading(content: dict[str, Any]) -> Packet[ReadingData]:
    return parse(Packet[ReadingData], json.dumps(content).encode())


def test_an_activation_reads_back() -> None:
    service = parse(ActivationService, json.dumps(activation()).encode())
    assert service.pod == bytes([1]) * 32
    assert service.set_points[1] == build(
        SetPoint, active_power=-100, reactive_power=1, quarter_hour=START + 900
    )
    assert json.loads(dump(service)) == activation()


def test_a_reading_packet_reads_back() -> None:
    packet = read_reading(reading())
    assert packet.input_data.injected_active_energy == 0
    assert json.loads(dump(packet)) == reading()


def test_a_packet_says_whose_it_is() -> None:
    assert "0x" + read_reading(reading()).claimed_signer.hex() == address_of(KEY).lower()


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        (data(absorbedActiveEnergy=-1), "InputData.absorbedActiveEnergy", "integer from 0 to 4294967295"),
        (data(absorbedActiveEnergy=2**32), "InputData.absorbedActiveEnergy", "integer from 0"),
        (data(absorbedActiveEnergy=1.0), "InputData.absorbedActiveEnergy", "integer from 0"),
        (data(absorbedActiveEnergy=float("nan")), "InputData.absorbedActiveEnergy", "integer from 0"),
        (data(absorbedActiveEnergy=True), "InputData.absorbedActiveEnergy", "integer from 0"),
        (data(absorbedActiveEnergy="1"), "InputData.absorbedActiveEnergy", "integer from 0"),
        (data(injectedActiveEnergy=1), "InputData.injectedActiveEnergy", "is no field"),
        (data(startTime=START + 1), "InputData.startTime", "multiple of 900"),
        (data(startTime=-900), "InputData.startTime", "integer from 0"),
        (data(period=3600), "InputData.period", "900"),
        (data(sequence=2**53), "InputData.sequence", "integer from 0"),
        (lambda packet: packet["InputData"].pop("sequence"), "InputData.sequence", "is required"),
        (lambda packet: packet.update(PoD="IT001E00000042"), "PoD", "32 bytes as lower-case 0x-hex"),
        (lambda packet: packet.update(PoD="0x" + "AB" * 32), "PoD", "32 bytes as lower-case"),
        (lambda packet: packet.update(Hash="0x" + "01" * 31), "Hash", "32 bytes"),
        (lambda packet: packet.update(SignedHash="0x" + "01" * 64), "SignedHash", "65 bytes"),
        (lambda packet: packet.update(PublicKey="0x05" + "01" * 64), "PublicKey", "first byte is 04"),
        (lambda packet: packet.update(UniqueID="7"), "UniqueID", "is no field"),
    ],
)
def test_bad_readings(change: Change, field: str, rule: str) -> None:
    content = reading()
    change(content)
    with pytest.raises(InvalidInput) as refusal:
        read_reading(content)
    assert refusal.value.field == field
    assert rule in refusal.value.rule


@pytest.mark.parametrize(
    ("points", "field", "rule"),
    [
        ([], "Set-Point", "at least 1 item"),
        (set_points(17), "Set-Point", "at most 16 items"),
        (list(reversed(set_points(2))), "Set-Point[1].quarterHour", "later than the one before"),
        (set_points(1) * 2, "Set-Point[1].quarterHour", "later than the one before"),
        ([set_points(17)[0], set_points(17)[16]], "Set-Point[1].quarterHour", "within 16 quarter-hours"),
        ([set_points(1)[0] | {"quarterHour": START + 60}], "Set-Point[0].quarterHour", "multiple of 900"),
        ([set_points(1)[0] | {"activePower": MAX_POWER_W + 1}], "Set-Point[0].activePower", "integer from"),
        ([set_points(1)[0] | {"activePower": 1.5}], "Set-Point[0].activePower", "integer from"),
    ],
)
def test_bad_set_points(points: list[dict[str, Any]], field: str, rule: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse(ActivationService, json.dumps(activation() | {"Set-Point": points}).encode())
    assert refusal.value.field == field
    assert rule in refusal.value.rule


def test_an_activation_has_three_times() -> None:
    content = {"ActivationId": "0x" + "02" * 32, "Set-Point": set_points(1), "Status": [30, 10, 20]}
    assert parse(ActivationData, content).status == (30, 10, 20)
    for status, field in (([1, 2], "Status"), ([1, 2, 3, 4], "Status"), ([1, 3, 2], "Status[2]")):
        with pytest.raises(InvalidInput) as refusal:
            parse(ActivationData, content | {"Status": status})
        assert refusal.value.field.startswith(field)


def test_codes_of_the_anomalies_of_the_source_come_first() -> None:
    assert list(AnomalyCode)[:5] == [
        AnomalyCode.LIGHT_NODE_OFFLINE,
        AnomalyCode.METER_UNREACHABLE,
        AnomalyCode.DSOTP_UNREACHABLE,
        AnomalyCode.EMS_UNREACHABLE,
        AnomalyCode.OTHER_METER_UNREACHABLE,
    ]


def test_an_anomaly() -> None:
    content = {"code": "METER_UNREACHABLE", "description": "no answer", "startTime": START}
    anomaly = parse(AnomalyData, content)
    assert json.loads(dump(anomaly)) == content
    pod = bytes([1]) * 32
    canonical = b'{"code":"METER_UNREACHABLE","description":"no answer","startTime":1774746000}'
    assert anomaly_hash(pod, anomaly) == keccak256(pod + canonical)
    with pytest.raises(InvalidInput, match="pod = "):
        anomaly_hash(b"", anomaly)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"code": "FIRE"}, "code"),
        ({"description": ""}, "description"),
        ({"endTime": START - 1}, "endTime"),
        ({"startTime": None, "endTime": START}, "endTime"),
    ],
)
def test_bad_anomalies(change: dict[str, Any], field: str) -> None:
    content = {"code": "METER_UNREACHABLE", "description": "no answer", "startTime": START}
    with pytest.raises(InvalidInput, match=f"^{field} = "):
        parse(AnomalyData, content | change)


int32s = st.integers(-MAX_POWER_W, MAX_POWER_W)


@given(st.lists(st.tuples(int32s, int32s), min_size=1, max_size=16))
def test_the_hash_of_set_points_is_of_their_words(powers: list[tuple[int, int]]) -> None:
    points = [
        build(SetPoint, active_power=power_w, reactive_power=reactive_var, quarter_hour=START + 900 * place)
        for place, (power_w, reactive_var) in enumerate(powers)
    ]
    encoded = b"".join(
        encode(["uint64", "int32", "int32"], [START + 900 * place, *entry])
        for place, entry in enumerate(powers)
    )
    assert set_points_hash(points) == keccak256(encoded)


def test_a_packet_grows_on_its_way() -> None:
    packet = read_reading(reading())
    identified = build(IdentifiedPacket[ReadingData], **dict(packet), unique_id="77")
    assert json.loads(dump(identified)) == reading() | {"UniqueID": "77"}
    siblings = [bytes([5]) * 32, bytes([6]) * 32]
    certified = build(
        CertifiedPacket[ReadingData],
        **dict(identified),
        transaction_id=bytes([8]) * 32,
        merkle_tree_structure=merkle_structure(bytes([4]) * 32, 2, 3, siblings),
    )
    assert json.loads(dump(certified)) == reading() | {
        "UniqueID": "77",
        "TransactionID": "0x" + "08" * 32,
        "MerkleTreeStructure": [
            {"leaf": "0x" + "04" * 32, "position": 2, "length": 3},
            {"sibling": "0x" + "05" * 32},
            {"sibling": "0x" + "06" * 32},
        ],
    }
    again = parse(CertifiedPacket[ReadingData], dump(certified))
    assert again == certified
    assert again.proof == tuple(siblings)


@pytest.mark.parametrize(
    ("structure", "field"),
    [
        ([], "MerkleTreeStructure"),
        ([{"sibling": "0x" + "05" * 32}], "MerkleTreeStructure[0]"),
        ([{"leaf": "0x" + "05" * 32, "position": 0}], "MerkleTreeStructure[0]"),
        ([{"leaf": "0x" + "05" * 32, "position": 0, "length": 1}] * 2, "MerkleTreeStructure[1]"),
    ],
)
def test_bad_structures(structure: list[dict[str, Any]], field: str) -> None:
    content = reading() | {
        "UniqueID": "77",
        "TransactionID": "0x" + "08" * 32,
        "MerkleTreeStructure": structure,
    }
    with pytest.raises(InvalidInput) as refusal:
        parse(CertifiedPacket[ReadingData], content)
    assert refusal.value.field == field
