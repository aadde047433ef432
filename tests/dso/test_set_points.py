"""Set points: taken over real HTTP, sent to the Light Nodes, acknowledged, and sent again where they weren't."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from queue import Queue

import httpx
import pytest

from lightnode.identity import Identity
from lightnode.packets import PacketSigner
from offchain.dso.records import PodChange
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
    known_pod,
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
        raise MessagingRefused("not for you", [messages[0].topic])

    monkeypatch.setattr(dso.broker, "publish", publish)
    dso.service.step()
    dso.service.step()
    assert [message.topic for message in taken] == [set_points("node-2")]
    assert dso.statuses() == ["waiting", "sent"]
    monkeypatch.undo()
    dso.now_s += RESEND_AFTER_S
    dso.service.step()
    assert [message.topic for message in dso.broker.messages] == [set_points("node-1")]


def alarms(dso: Dso) -> list[tuple[str, str, str]]:
    return [
        (alarm.level, alarm.fault, alarm.activation.pod_id)
        for alarm, _ in dso.service.set_point_alarms(0, 2**40)
    ]


def test_what_isnt_with_the_broker_in_time_is_alarmed(dso: Dso) -> None:
    take(dso, activation(1, FIRST_S + 900, count=1))
    dso.broker.takes = 0
    dso.service.step()
    assert alarms(dso) == []
    dso.now_s = FIRST_S + 900 - LEAD_TIME_S
    assert alarms(dso) == [("alarm", "unsent", pod_id(1))]
    dso.restart()
    dso.now_s = FIRST_S + 900 + 900
    dso.service.step()
    assert alarms(dso) == [("critical", "unsent", pod_id(1))]
    assert dso.broker.messages == []


def test_missing_acknowledgements_are_alarmed_to_the_operator(dso: Dso, api: dict[str, httpx.Client]) -> None:
    """A warning, an alarm once it was sent again, critical when it is over; one that comes late stays known as that."""
    take(dso, activation(1, FIRST_S, count=1), activation(2, FIRST_S, count=2))
    dso.service.step()
    first, second = dso.broker.messages
    dso.service.on_acknowledgement(acknowledge(first, 1))
    dso.now_s = FIRST_S + ACK_GRACE_S - 1
    assert alarms(dso) == []
    dso.now_s += 1
    assert alarms(dso) == [("warning", "missing", pod_id(2))]
    dso.service.step()
    assert alarms(dso) == [("alarm", "missing", pod_id(2))]
    shown = api["dso"].get("/alarms").json()
    assert shown["sessions"] == []
    (alarm,) = shown["setPoints"]
    assert {name: alarm[name] for name in ("level", "fault", "podId", "aggregatorId", "timesSent")} == {
        "level": "alarm",
        "fault": "missing",
        "podId": pod_id(2),
        "aggregatorId": "acme",
        "timesSent": 2,
    }
    assert api["dso"].get("/alarms", params={"toTime": FIRST_S}).json()["setPoints"] == []
    assert api["dso"].get("/alarms", params={"fromTime": FIRST_S + 1799}).json()["setPoints"] == [alarm]
    assert api["dso"].get("/alarms", params={"fromTime": FIRST_S + 1800}).json()["setPoints"] == []
    dso.now_s = FIRST_S + 1800
    assert alarms(dso) == [("critical", "missing", pod_id(2))]
    dso.service.on_acknowledgement(acknowledge(second, 2, ems_s=FIRST_S + 1500))
    assert alarms(dso) == [("warning", "late", pod_id(2))]
    dso.restart()
    assert alarms(dso) == [("warning", "late", pod_id(2))]


def test_of_two_acknowledgements_the_first_stays(dso: Dso) -> None:
    """Also where the second one says otherwise, and comes when it would be late."""
    take(dso, activation(1, FIRST_S))
    dso.service.step()
    for ems_s in (FIRST_S + 5, FIRST_S + 5, FIRST_S + 70):
        dso.now_s = ems_s
        dso.service.on_acknowledgement(acknowledge(dso.broker.messages[0], 1, ems_s))
    ((tracked, _),) = dso.service.activations(None, 0, 2**40)
    assert tracked.acknowledged_s == FIRST_S + 5
    assert alarms(dso) == []
    assert dso.store.refused_acknowledgements() == []


def test_a_pods_new_light_node_gets_what_isnt_over(dso: Dso) -> None:
    take(
        dso,
        activation(1, FIRST_S, key=1, count=1),
        activation(1, FIRST_S + 900, key=2),
        activation(2, FIRST_S),
    )
    dso.service.step()
    dso.now_s = FIRST_S + 900
    replaced = replace(known_pod(1), node_user="node-9", node_address=known_pod(9).node_address)
    dso.service.announce([PodChange(replaced, removed=False)])
    dso.service.announce([PodChange(replaced, removed=False)])
    dso.service.step()
    missing, moved = dso.broker.messages[3:]
    assert (moved.topic, moved.payload) == (set_points("node-9"), dso.broker.messages[2].payload)
    assert missing == dso.broker.messages[1]
    sent = parse(ActivationService, moved.payload)
    dso.service.on_acknowledgement(acknowledge(moved, 1))
    by_new = PacketSigner(Identity(node_key(9)), pseudonym(1), DEPLOYMENT.chain_id, DEPLOYMENT.reading_anchor)
    assert dso.statuses()[1] == "sent"
    dso.service.on_acknowledgement(by_new.acknowledgement(sent, NOW_S + 1, FIRST_S + 905))
    assert dso.statuses()[1] == "acknowledged"


def test_a_node_that_changes_while_the_broker_takes_them_gets_them_at_once(dso: Dso) -> None:
    take(dso, activation(1, FIRST_S))
    replaced = replace(known_pod(1), node_user="node-9", node_address=known_pod(9).node_address)
    publish = dso.broker.publish

    def meanwhile(messages: Sequence[Message]) -> None:
        publish(messages)
        dso.service.announce([PodChange(replaced, removed=False)])

    dso.broker.publish = meanwhile  # type: ignore[method-assign]
    dso.service.step()
    assert [message.topic for message in dso.broker.messages] == [set_points("node-1"), set_points("node-9")]


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


def test_over_a_real_broker_with_the_platform_away_between(dso: Dso, tmp_path: Path) -> None:
    """One message to each node. While the platform is down one acknowledges twice, the other in its name; what is missing
    then is sent again, alarmed, and acknowledged late."""
    nodes = {"node-1": "node 1's password", "node-2": "node 2's password"}
    got: dict[str, Queue[Message]] = {node: Queue() for node in nodes}
    handled: Queue[Message] = Queue()
    acks = [NodeTopic.SET_POINT_ACKS.of_all]
    with (
        MosquittoBroker(tmp_path / "broker", nodes, {"dso": "password of the DSO"}) as broker,
        ExitStack() as exits,
    ):

        def platform() -> tuple[DsoService, MqttClient]:
            dso.restart()

            def heard(message: Message) -> None:
                service.on_acknowledgement(message.payload)
                handled.put(message)

            client = MqttClient(broker.address("dso"), "dso", acks, heard)
            service = DsoService(dso.store, client, dso.pom_desk, POMS.get, lambda: dso.now_s, DEPLOYMENT)
            client.start()
            dso.service = service
            return service, client

        node = {
            name: exits.enter_context(
                MqttClient(broker.address(name), name, [set_points(name)], got[name].put)
            )
            for name in nodes
        }

        def answer(name: str, *payloads: bytes) -> None:
            topic = NodeTopic.SET_POINT_ACKS.of(name)
            node[name].publish([Message(topic, payload) for payload in payloads])

        service, client = platform()
        take(dso, activation(1, FIRST_S), activation(2, FIRST_S))
        service.step()
        sent = {name: got[name].get(timeout=WAIT_S) for name in nodes}
        client.stop()
        dso.now_s = FIRST_S + 10
        right = acknowledge(sent["node-1"], 1)
        of_first = parse(ActivationService, sent["node-1"].payload)
        forged = PacketSigner(
            Identity(node_key(2)), pseudonym(1), DEPLOYMENT.chain_id, DEPLOYMENT.reading_anchor
        )
        answer("node-2", forged.acknowledgement(of_first, NOW_S + 1, FIRST_S + 5))
        answer("node-1", right, right)
        service, client = platform()
        exits.callback(client.stop)
        for _ in range(3):
            handled.get(timeout=WAIT_S)
        assert dso.statuses() == ["acknowledged", "sent"]
        assert [each.reason.split(" = ")[0] for each in dso.store.refused_acknowledgements()] == [
            "SignedHash"
        ]
        dso.now_s = FIRST_S + ACK_GRACE_S
        service.step()
        assert got["node-2"].get(timeout=WAIT_S) == sent["node-2"]
        assert alarms(dso) == [("alarm", "missing", pod_id(2))]
        answer("node-2", acknowledge(sent["node-2"], 2, FIRST_S + 70))
        handled.get(timeout=WAIT_S)
        assert alarms(dso) == [("warning", "late", pod_id(2))]
        assert dso.statuses() == ["acknowledged", "acknowledged"]
        assert all(waiting.empty() for waiting in got.values())
