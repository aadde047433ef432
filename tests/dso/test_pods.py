"""PoDs at the DSO: announced by the Shared Customer Database, their PoMs reported back; both platforms over real HTTP."""

import secrets
from pathlib import Path

import httpx

from offchain.customer_database.api import create_app as create_scd_app
from offchain.customer_database.pod_listener import PlatformPodListener
from offchain.customer_database.service import CustomerDatabase, Subscription
from offchain.customer_database.store import CustomerStore
from offchain.dso.api import create_app
from offchain.dso.customer_database_client import CustomerDatabaseClient
from offchain.dso.pom_mapping import PomsOfPods
from offchain.dso.service import DsoService
from offchain.dso.store import DsoStore
from offchain.rest.client import PlatformClient
from offchain.rest.server import serve
from offchain.rest.settings import Role
from tests.customer_database.conftest import registration
from tests.dso.conftest import DEPLOYMENT, NOW_S, Broker, Dso, desks_of, pod_id, pseudonym
from tests.rest.callers import client_of, settings_of


def entry(number: int, action: str = "activate", key: int | None = None) -> dict[str, object]:
    pod = registration(number, actionType=action)
    return pod | {"pseudonym": "0x" + pseudonym(number if key is None else key).hex()}


def shown(client: httpx.Client) -> dict[str, tuple[str, str | None]]:
    return {pod["podId"]: (pod["pseudonym"], pod["poMId"]) for pod in client.get("/pods").json()}


def test_announcements_hold_in_their_order(dso: Dso, api: dict[str, httpx.Client]) -> None:
    entries = [
        entry(1, "delete"),
        entry(1, "activate", key=7),
        entry(5),
        entry(5, "delete"),
        entry(2, "delete"),
    ]
    assert api["scd"].post("/pods", json=entries).json() == {"taken": 5}
    assert set(shown(api["dso"])) == {pod_id(1), pod_id(3)}
    assert shown(api["dso"])[pod_id(1)] == ("0x" + pseudonym(7).hex(), "POM-1")
    dso.restart()
    assert [pod.pseudonym for pod in dso.service.pods()] == [pseudonym(7), pseudonym(3)]


def test_bad_announcement_is_refused_whole(dso: Dso, api: dict[str, httpx.Client]) -> None:
    response = api["scd"].post("/pods", json=[entry(5), entry(6) | {"nodeUser": "a/b"}])
    assert response.status_code == 422
    assert response.json()["field"] == "[1].nodeUser"
    assert pod_id(5) not in shown(api["dso"])


def test_poms_are_reported_once_also_when_the_database_was_away(dso: Dso) -> None:
    dso.pom_desk.away = True
    dso.service.step()
    dso.pom_desk.away = False
    dso.restart()
    dso.service.step()
    dso.service.step()
    assert dso.pom_desk.told == [(pod_id(1), "POM-1"), (pod_id(3), "POM-2")]


def test_both_platforms_agree_on_pods_and_poms(tmp_path: Path) -> None:
    """Register at the database, announce to the DSO, report the PoM back: by two real servers."""
    scd_settings, scd_tokens = settings_of({"acme": Role.AGGREGATOR, "dso": Role.DSO})
    dso_settings, dso_tokens = settings_of({"scd": Role.CUSTOMER_DATABASE, "dso": Role.DSO})
    store, dso_store = CustomerStore(tmp_path / "scd.duckdb"), DsoStore(tmp_path / "dso.sqlite")
    subscriptions: dict[str, Subscription] = {}
    database = CustomerDatabase(store, subscriptions, lambda: NOW_S, lambda: secrets.token_bytes(32))
    with serve(create_scd_app(database, scd_settings)) as scd_url:
        to_scd = PlatformClient(scd_url, scd_tokens["dso"])
        poms = PomsOfPods({pod_id(1): "end"}, {"end": "POM-1"})
        platform = DsoService(
            dso_store, Broker(), CustomerDatabaseClient(to_scd), poms, lambda: NOW_S, DEPLOYMENT
        )
        with serve(create_app(desks_of(platform, tmp_path), dso_settings)) as dso_url:
            to_dso = PlatformClient(dso_url, dso_tokens["scd"])
            subscriptions["dso"] = Subscription(PlatformPodListener(to_dso), may_link=True)
            with client_of(scd_url, scd_tokens["acme"]) as acme, client_of(dso_url, dso_tokens["dso"]) as dso:
                (registered,) = acme.post("/pods", json=[registration(1)]).json()
                database.step()
                assert shown(dso) == {pod_id(1): (registered["pseudonym"], "POM-1")}
                platform.step()
                assert acme.get("/pods").json()[0]["pod"]["poMId"] == "POM-1"
                poms.switched({"end": "POM-2"})
                assert platform.map_again() == [pod_id(1)]
                platform.step()
                assert acme.get("/pods").json()[0]["pod"]["poMId"] == "POM-2"
                database.step()
                assert shown(dso) == {pod_id(1): (registered["pseudonym"], "POM-2")}
                acme.delete(f"/pods/{pod_id(1)}")
                database.step()
                assert shown(dso) == {}
        to_scd.close()
        to_dso.close()
    store.close()
    dso_store.close()
