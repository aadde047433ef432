"""Set points: taken over real HTTP, sent to the Light Nodes, acknowledged, and sent again where they weren't."""

import json
import threading
from pathlib import Path

import httpx
import pytest

from lightnode.identity import Identity
from lightnode.packets import PacketSigner
from offchain.dso.service import ACK_GRACE_S, LEAD_TIME_S, RESEND_AFTER_S, DsoService
from offchain.messaging.broker import MosquittoBroker
from offchain.messaging.mqtt import Message, MessagingRefused, MqttClient
from offchain.messaging.topics import NodeTopic, set_points
from offchain.protocol.documents.base import parse
from offchain.protocol.documents.light_node import ActivationService
from tests.dso.conftest import (
    DEPLOYMENT,
    NOW_S,
    POMS,
    Dso,
    activation,
    node_key,
    pod_id,
    pseudonym,
    signer,
)
from tests.messaging.waiting import WAIT_S

FIRST_S = NOW_S + LEAD_TIME_S


def refused(response: httpx.Response, status: int) -> dict[str, str]:
    assert response.status_code == status, response.text
    assert "Traceback" not in response.text
    content = response.json()
    assert isinstance(content, dict)
    return content


def take(dso: Dso, *bodies: dict[str, object], aggregator: str = "acme") -> None:
    dso.service.take(aggregator, [parse(ActivationService, json.dumps(body).encode()) for body in bodies])


def acknowledge(sent: Message, number: int, ems_s: int = FIRST_S + 5) -> bytes:
    return signer(number).acknowledgement(parse(ActivationService, sent.payload), NOW_S + 1, ems_s)


def test_set_points_reach_their_light_nodes(dso: Dso, api: dict[str, httpx.Client]) -> None:
    bodies = [activation(1, FIRST_S), activation(2, FIRST_S, count=3)]
    assert api["acme"].post("/setPoints", json=bodies).json() == {"taken": 2}
    dso.now_s += 7
    assert dso.statuses() == ["waiting", "waiting"]
    dso.service.step()
    assert [message.topic for message in dso.broker.messages] == [set_points("node-1"), set_points("node-2")]
    first, second = dso.broker.activations()
    assert (first.pod, first.timestamp, len(first.set_points)) == (pseudonym(1), NOW_S, 16)
    assert [point.active_power for point in second.set_points] == [500, 499, 498]
    shown = api["acme"].get("/setPoints").json()
    assert [(entry["podId"], entry["status"], entry["timesSent"]) for entry in shown] == [
        (pod_id(1), "sent", 1),
        (pod_id(2), "sent", 1),
    ]
    assert api["bolt"].get("/setPoints").json() == []
    assert len(api["dso"].get("/setPoints").json()) == 2
    assert api["dso"].get("/setPoints", params={"fromTime": FIRST_S + 1}).json() == []


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"Set-Point": activation(1, FIRST_S, count=17)["Set-Point"]}, 422, "[1].Set-Point"),
        ({"Set-Point": []}, 422, "[1].Set-Point"),
        ({"Set-Point": activation(1, FIRST_S + 1)["Set-Point"]}, 422, "[1].Set-Point[0].quarterHour"),
        ({"Set-Point": activation(1, FIRST_S - 900)["Set-Point"]}, 422, "[1].Set-Point[0].quarterHour"),
        ({"Set-Point": activation(1, FIRST_S, power_w=2**31)["Set-Point"]}, 422, "activePower"),
        ({"PoD": "0x" + pseudonym(3).hex()}, 404, "[1].PoD"),
        ({"PoD": "0x" + pseudonym(9).hex()}, 404, "[1].PoD"),
        ({"PoD": pod_id(1)}, 422, "[1].PoD"),
        ({"ActivationId": "1"}, 422, "[1].ActivationId"),
        ({"Timestamp": -1}, 422, "[1].Timestamp"),
        ({"Priority": 1}, 422, "[1].Priority"),
    ],
)
def test_bad_activation_is_named_and_none_is_taken(
    dso: Dso, api: dict[str, httpx.Client], change: dict[str, object], status: int, told: str
) -> None:
    bad = activation(1, FIRST_S, key=2) | change
    response = api["acme"].post("/setPoints", json=[activation(2, FIRST_S), bad])
    assert told in refused(response, status)["error"]
    assert dso.statuses() == []
    assert api["acme"].post("/setPoints", json=[activation(2, FIRST_S)]).status_code == 200


def test_nan_float_and_missing_powers_are_refused(dso: Dso, api: dict[str, httpx.Client]) -> None:
    text = json.dumps([activation(1, FIRST_S)])
    for wrong in ("NaN", "500.5", '"500"', "null", "true"):
        body = text.replace('"activePower": 500', f'"activePower": {wrong}')
        assert body != text
        refused(api["acme"].post("/setPoints", content=body), 422)
    assert dso.statuses() == []


def test_last_moment_is_fifteen_minutes_ahead(dso: Dso, api: dict[str, httpx.Client]) -> None:
    dso.now_s += 1
    late = refused(api["acme"].post("/setPoints", json=[activation(1, FIRST_S)]), 422)
    assert late["field"] == "[0].Set-Point[0].quarterHour"
    assert "at least 900 s ahead" in late["rule"]
    dso.now_s -= 1
    assert api["acme"].post("/setPoints", json=[activation(1, FIRST_S)]).status_code == 200


def test_callers_without_the_right_are_refused(dso: Dso, api: dict[str, httpx.Client]) -> None:
    body = [activation(1, FIRST_S)]
    for name, status in (("nobody", 401), ("stranger", 401), ("dso", 403), ("scd", 403), ("bolt", 404)):
        refused(api[name].post("/setPoints", json=body), status)
    for name, status in (("nobody", 401), ("acme", 403), ("dso", 403)):
        refused(api[name].post("/pods", json=[]), status)
    refused(api["acme"].get("/pods"), 403)
    refused(api["scd"].get("/setPoints"), 403)
    assert dso.statuses() == []


def test_same_activation_again_is_taken_once_another_under_its_id_refused(
    dso: Dso, api: dict[str, httpx.Client]
) -> None:
    body = [activation(1, FIRST_S)]
    assert api["acme"].post("/setPoints", json=[*body, *body]).status_code == 200
    dso.service.step()
    dso.now_s = FIRST_S
    assert api["acme"].post("/setPoints", json=body).status_code == 200
    other = refused(api["acme"].post("/setPoints", json=[activation(1, FIRST_S, power_w=1)]), 409)
    assert other["error"].startswith("[0].ActivationId")
    dso.service.step()
    assert len(dso.broker.messages) == 1


def test_acknowledged_set_points_are_not_sent_again_the_missing_ones_are(dso: Dso) -> None:
    take(dso, activation(1, FIRST_S), activation(2, FIRST_S))
    dso.service.step()
    first, second = dso.broker.messages
    dso.service.on_acknowledgement(acknowledge(first, 1))
    assert dso.statuses() == ["acknowledged", "sent"]
    dso.now_s = FIRST_S + ACK_GRACE_S - 1
    dso.service.step()
    assert len(dso.broker.messages) == 2
    dso.now_s += 1
    assert dso.statuses() == ["acknowledged", "missing"]
    dso.service.step()
    dso.service.step()
    assert dso.broker.messages[2:] == [second]
    dso.now_s += RESEND_AFTER_S
    dso.service.step()
    assert dso.broker.messages[3:] == [second]
    dso.service.on_acknowledgement(acknowledge(second, 2))
    dso.now_s += RESEND_AFTER_S
    dso.service.step()
    assert len(dso.broker.messages) == 4
    assert dso.statuses() == ["acknowledged", "acknowledged"]


def test_what_is_over_is_not_sent_any_more(dso: Dso) -> None:
    take(dso, activation(1, FIRST_S, count=2), activation(2, FIRST_S, count=3))
    dso.now_s = FIRST_S + 2 * 900
    dso.service.step()
    assert [entry.pod for entry in dso.broker.activations()] == [pseudonym(2)]
    assert dso.statuses() == ["missing", "missing"]


def test_killed_platform_sends_exactly_what_was_not_acknowledged(dso: Dso) -> None:
    take(dso, *(activation(1, FIRST_S, key=key) for key in range(1, 4)), activation(2, FIRST_S))
    dso.broker.takes = 2
    dso.service.step()
    dso.broker.takes = None
    dso.restart()
    assert dso.statuses() == ["waiting"] * 4
    dso.service.step()
    sent = dso.broker.activations()[2:]
    assert [entry.activation_id[-1] for entry in sent] == [1, 2, 3, 1]
    dso.service.on_acknowledgement(acknowledge(dso.broker.messages[2], 1))
    dso.service.on_acknowledgement(acknowledge(dso.broker.messages[5], 2))
    dso.restart()
    dso.now_s = FIRST_S + ACK_GRACE_S + RESEND_AFTER_S
    dso.service.step()
    assert dso.broker.messages[6:] == dso.broker.messages[3:5]
    assert dso.statuses() == ["acknowledged", "missing", "missing", "acknowledged"]


def test_topic_that_the_broker_refuses_keeps_no_other_waiting(
    dso: Dso, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(dso, activation(1, FIRST_S), activation(2, FIRST_S))
    taken: list[Message] = []

    def publish(messages: list[Message]) -> None:
        taken.extend(messages[1:])
        raise MessagingRefused("not for you")

    monkeypatch.setattr(dso.broker, "publish", publish)
    dso.service.step()
    assert [message.topic for message in taken] == [set_points("node-2")]


@pytest.mark.parametrize("field", ["Hash", "SignedHash", "PoD", "Status", "Set-Point", "ActivationId"])
def test_changed_acknowledgement_is_refused_and_kept_as_evidence(dso: Dso, field: str) -> None:
    take(dso, activation(1, FIRST_S))
    dso.service.step()
    packet = json.loads(acknowledge(dso.broker.messages[0], 1))
    other = json.loads(acknowledge(dso.broker.messages[0], 1, ems_s=FIRST_S + 9))
    match field:
        case "PoD":
            packet["PoD"] = "0x" + pseudonym(2).hex()
        case "Status":
            packet["InputData"]["Status"][2] += 1
        case "Set-Point":
            packet["InputData"]["Set-Point"][0]["activePower"] -= 1
        case "ActivationId":
            packet["InputData"]["ActivationId"] = "0x" + "02" * 32
        case _:
            packet[field] = other[field]
    dso.service.on_acknowledgement(json.dumps(packet).encode())
    assert dso.statuses() == ["sent"]
    (kept,) = dso.store.refused_acknowledgements()
    assert json.loads(kept.payload) == packet
    assert field in kept.reason or field in ("PoD", "Status", "Set-Point")


def test_acknowledgement_by_another_key_or_for_another_deployment_is_refused(dso: Dso) -> None:
    take(dso, activation(1, FIRST_S))
    dso.service.step()
    sent = parse(ActivationService, dso.broker.messages[0].payload)
    stranger = PacketSigner(
        Identity(node_key(2)), pseudonym(1), DEPLOYMENT.chain_id, DEPLOYMENT.reading_anchor
    )
    elsewhere = PacketSigner(
        Identity(node_key(1)), pseudonym(1), DEPLOYMENT.chain_id + 1, DEPLOYMENT.reading_anchor
    )
    for wrong in (stranger, elsewhere):
        dso.service.on_acknowledgement(wrong.acknowledgement(sent, NOW_S, FIRST_S))
    dso.service.on_acknowledgement(b"\xff")
    assert dso.statuses() == ["sent"]
    reasons = [entry.reason for entry in dso.store.refused_acknowledgements()]
    assert [reason.split(" = ")[0] for reason in reasons] == ["SignedHash", "Hash", "document"]


def test_over_a_real_broker(dso: Dso, tmp_path: Path) -> None:
    """Set points go out, the node's acknowledgement comes back, each through mosquitto."""
    nodes, platforms = {"node-1": "node's password"}, {"dso": "password of the DSO"}
    answered = threading.Event()
    with MosquittoBroker(tmp_path / "broker", nodes, platforms) as broker:
        topics = [NodeTopic.SET_POINT_ACKS.of_all]

        def heard(message: Message) -> None:
            service.on_acknowledgement(message.payload)
            answered.set()

        client = MqttClient(broker.address("dso"), "dso", topics, heard)
        service = DsoService(dso.store, client, dso.pom_desk, POMS.get, lambda: dso.now_s, DEPLOYMENT)
        arrived: list[Message] = []
        come = threading.Event()

        def node_heard(message: Message) -> None:
            arrived.append(message)
            come.set()

        with (
            client,
            MqttClient(broker.address("node-1"), "node-1", [set_points("node-1")], node_heard) as node,
        ):
            take(dso, activation(1, FIRST_S))
            service.step()
            assert come.wait(WAIT_S)
            answer = acknowledge(arrived[0], 1)
            node.publish([Message(NodeTopic.SET_POINT_ACKS.of("node-1"), answer)])
            assert answered.wait(WAIT_S)
    assert dso.statuses() == ["acknowledged"]
