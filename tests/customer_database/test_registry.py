"""The PoD registry over real HTTP: who may register, change, remove and see PoDs, and what is refused."""

import json

import httpx
import pytest

from offchain.protocol.pods import pod_pseudonym
from offchain.protocol.signatures import address_of
from tests.customer_database.conftest import NOW_S, Api, Scd, node_key, pod_id, registration


def refusal(response: httpx.Response, status: int) -> dict[str, str]:
    """The refusal in a response: an object with `error`, and no trace of our code."""
    assert response.status_code == status, response.text
    assert "Traceback" not in response.text
    content = response.json()
    assert isinstance(content, dict)
    return content


def test_registered_pod_is_kept_whole_and_exact(api: Api) -> None:
    response = api["acme"].post("/pods", json=[registration(1)])
    assert response.status_code == 201, response.text
    (entry,) = response.json()
    assert entry["pseudonym"] == "0x" + pod_pseudonym(pod_id(1), (1).to_bytes(32, "big")).hex()
    api.scd.restart()
    (pod,) = api.scd.service.pods("acme")
    assert (pod.max_up_w, pod.max_down_w, pod.max_up_var, pod.max_down_var) == (2500, 1001, 0, 300)
    assert pod.validity_start_s == NOW_S
    assert pod.salt.hex() not in response.text
    document = json.loads(pod.document)
    assert document == registration(1)["pod"]
    assert pod.node_address == address_of(node_key(1))


def test_registration_without_a_token_or_with_a_wrong_one_is_refused(api: Api) -> None:
    for name in ("nobody", "stranger"):
        for call in (
            lambda client: client.post("/pods", json=[registration(1)]),
            lambda client: client.get("/pods"),
            lambda client: client.get("/measurements", params={"day": "2026-11-23"}),
        ):
            response = call(api[name])
            assert response.headers["www-authenticate"] == "Bearer"
            assert refusal(response, 401)["error"].startswith("authorization: ")
    basic = api["acme"].get("/pods", headers={"Authorization": api["acme"].headers["Authorization"][7:]})
    refusal(basic, 401)
    assert api.scd.service.pods(None) == []


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"podId": "IT1"}, "[0].pod.podId", "must be a PoD id"),
        ({"podId": "0x" + "ab" * 32}, "[0].pod.podId", "must be a PoD id"),
        ({"pnp": -1}, "[0].pod.pnp", "must not be negative"),
        ({"pnp": 1.0001}, "[0].pod.pnp", "must convert exactly to whole W"),
        ({"pnp": "6"}, "[0].pod.pnp", "must be a number"),
        ({"maxFlexibility": {"upperP": -0.5}}, "[0].pod.maxFlexibility.upperP", "must not be negative"),
        ({"aggregatorId": "bolt"}, "[0].pod.aggregatorId", "must be the caller, acme"),
        ({"poMId": "POM-1"}, "[0].pod.poMId", "must be left out"),
        ({"actionType": "delete"}, "[0].pod.actionType", "must be activate"),
        ({"validityStart": "tomorrow"}, "[0].pod.validityStart", "must be YYYY-MM-DD"),
        ({"colour": "red"}, "[0].pod.colour", "is no field"),
    ],
)
def test_bad_field_is_named_with_value_and_rule(
    api: Api, change: dict[str, object], field: str, rule: str
) -> None:
    told = refusal(api["acme"].post("/pods", json=[registration(1, **change)]), 422)
    assert told["field"] == field
    assert rule in told["rule"]
    assert told["error"].startswith(f"{field} = {told['value'][:100]}")
    assert api.scd.service.pods(None) == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"pod": 1}', b"[1]", b"\xff", b'[{"pod": NaN}]', b"[" * 100_000]
)
def test_body_that_is_no_array_of_objects_is_refused(api: Api, body: bytes) -> None:
    refusal(api["acme"].post("/pods", content=body), 422)


def test_nan_and_infinity_are_refused(api: Api) -> None:
    for text in ("NaN", "Infinity", "-Infinity"):
        body = json.dumps([registration(1)]).replace("6.6", text)
        assert "must be finite" in refusal(api["acme"].post("/pods", content=body), 422)["rule"]


def test_array_with_one_bad_pod_registers_none(api: Api) -> None:
    told = refusal(api["acme"].post("/pods", json=[registration(1), registration(2, pnp=-1)]), 422)
    assert told["field"] == "[1].pod.pnp"
    assert api.scd.service.pods(None) == []
    assert api.scd.store.events("dso", 10) == []


def test_pod_node_and_broker_user_are_registered_once(api: Api) -> None:
    assert api["acme"].post("/pods", json=[registration(1)]).status_code == 201
    told = refusal(api["acme"].post("/pods", json=[registration(2), registration(1)]), 409)
    assert told["error"].startswith("[1].pod.podId = 'IT001E00000001'")
    refusal(api["bolt"].post("/pods", json=[registration(1, "bolt")]), 409)
    refusal(api["acme"].post("/pods", json=[registration(3), registration(3)]), 409)
    same_node = registration(4) | {"nodeAddress": address_of(node_key(1)).lower()}
    assert "nodeAddress" in refusal(api["acme"].post("/pods", json=[same_node]), 409)["error"]
    same_user = registration(4) | {"nodeUser": "node-1"}
    assert "nodeUser" in refusal(api["acme"].post("/pods", json=[same_user]), 409)["error"]
    assert [pod.pod_id for pod in api.scd.service.pods(None)] == [pod_id(1)]


def test_change_keeps_pseudonym_and_pom(api: Api) -> None:
    api["acme"].post("/pods", json=[registration(1)])
    (before,) = api.scd.service.pods("acme")
    assert api["dso"].post(f"/pods/{pod_id(1)}/pom", json={"poMId": "POM-7"}).status_code == 200
    assert api["acme"].put(f"/pods/{pod_id(1)}", json=registration(1, pnp=9)).status_code == 200
    (after,) = api.scd.service.pods("acme")
    assert (after.pseudonym, after.salt, after.pom_id) == (before.pseudonym, before.salt, "POM-7")
    assert json.loads(after.document)["pnp"] == 9
    assert api["dso"].get("/pods").json()[0]["pod"]["poMId"] == "POM-7"
    mixed = api["acme"].put(f"/pods/{pod_id(1)}", json=registration(2))
    assert refusal(mixed, 422)["field"] == "pod.podId"


def test_only_its_aggregator_changes_or_removes_a_pod(api: Api) -> None:
    api["acme"].post("/pods", json=[registration(1)])
    path = f"/pods/{pod_id(1)}"
    refusal(api["bolt"].put(path, json=registration(1, "bolt")), 404)
    refusal(api["bolt"].delete(path), 404)
    refusal(api["dso"].delete(path), 403)
    refusal(api["market"].post("/pods", json=[registration(2)]), 403)
    refusal(api["acme"].post(f"{path}/pom", json={"poMId": "POM-1"}), 403)
    refusal(api["dso"].post(f"/pods/{pod_id(2)}/pom", json={"poMId": "POM-1"}), 404)
    (pod,) = api.scd.service.pods(None)
    assert (pod.aggregator, pod.pom_id, pod.removed_s) == ("acme", None, None)


def test_removed_pod_comes_back_under_another_pseudonym(api: Api) -> None:
    api["acme"].post("/pods", json=[registration(1)])
    (before,) = api.scd.service.pods(None)
    assert api["acme"].delete(f"/pods/{pod_id(1)}").status_code == 200
    assert api["acme"].get("/pods").json() == []
    refusal(api["acme"].delete(f"/pods/{pod_id(1)}"), 404)
    assert api["bolt"].post("/pods", json=[registration(1, "bolt")]).status_code == 201
    (after,) = api.scd.service.pods(None)
    assert after.pseudonym != before.pseudonym
    assert api["acme"].get("/pods").json() == []


def test_each_role_sees_its_share(api: Api) -> None:
    api["acme"].post("/pods", json=[registration(1)])
    api["bolt"].post("/pods", json=[registration(2, "bolt")])
    assert [entry["pod"]["podId"] for entry in api["acme"].get("/pods").json()] == [pod_id(1)]
    assert [entry["pod"]["podId"] for entry in api["dso"].get("/pods").json()] == [pod_id(1), pod_id(2)]
    seen = api["market"].get("/pods")
    pseudonyms = ["0x" + pod.pseudonym.hex() for pod in api.scd.service.pods(None)]
    assert sorted(entry["pod"]["podId"] for entry in seen.json()) == sorted(pseudonyms)
    assert pod_id(1) not in seen.text
    assert set(seen.json()[0]) == {"pod", "nodeAddress"}


def test_listeners_are_told_after_saving_also_when_they_were_away(scd: Scd, api: Api) -> None:
    scd.dso.away = True
    api["acme"].post("/pods", json=[registration(1), registration(2)])
    scd.service.step()
    assert scd.dso.told == []
    assert [entry.pod.pod_id[:2] for entry in scd.market.told] == ["0x", "0x"]
    scd.dso.away = False
    scd.restart()
    scd.service.step()
    scd.service.step()
    assert [(entry.pod.pod_id, entry.pod.action_type) for entry in scd.dso.told] == [
        (pod_id(1), "activate"),
        (pod_id(2), "activate"),
    ]
    scd.service.associate(pod_id(1), "POM-1")
    scd.service.associate(pod_id(1), "POM-1")
    scd.service.remove("acme", pod_id(2))
    scd.service.step()
    assert [(entry.pod.pod_id, entry.pod.action_type) for entry in scd.dso.told[2:]] == [
        (pod_id(2), "delete")
    ]
    assert [(entry.pod.po_m_id, entry.pod.action_type) for entry in scd.market.told[2:]] == [
        ("POM-1", "modify"),
        (None, "delete"),
    ]


def test_pod_that_a_listener_refuses_keeps_no_other_waiting(scd: Scd, api: Api) -> None:
    scd.dso.refuses = pod_id(2)
    api["acme"].post("/pods", json=[registration(1), registration(2), registration(3)])
    scd.service.step()
    assert [entry.pod.pod_id for entry in scd.dso.told] == [pod_id(1), pod_id(3)]
    (anomaly,) = scd.service.anomalies(0, NOW_S + 1)
    assert (anomaly.pod, anomaly.code) == (pod_id(2), "POD_REFUSED")
    assert scd.store.events("dso", 10) == []
