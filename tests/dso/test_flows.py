"""Power flows over the API: summaries by session, elements by the page, values by slot."""

import httpx
import numpy as np
import pytest

from offchain.dso.flow_store import FlowStore
from offchain.protocol.errors import InvalidInput
from offchain.protocol.flows import ElementFlows, SessionFlows
from tests.dso.conftest import NOW_S, Dso

SLOTS = 16


def flows(session: int, nodes: int = 3, branches: int = 2, raised: int = 0) -> SessionFlows:
    """Voltages and loadings that say which element and slot they are of; the last branch is the most loaded, in slot 5."""
    voltage = 1_000_000 + 100 * np.arange(nodes)[None, None, :] + np.arange(SLOTS)[None, :, None] + raised
    values = np.arange(4 * SLOTS * branches, dtype=np.int64).reshape(4, SLOTS, branches)
    values[0, 5, -1] = 110_000
    return SessionFlows(
        session=session,
        delivery_start=NOW_S + 1000 * session,
        delivery_end=NOW_S + 1000 * session + 1000,
        grid_model="0x" + "11" * 32,
        nodes=ElementFlows(
            tuple(f"bus:b/{number} ü" for number in range(nodes)),
            voltage.astype(np.int64),
            np.full(nodes, 1_100_000),
            np.full(nodes, 900_000),
        ),
        branches=ElementFlows(
            ("trafo:t", *(f"line:l{number}" for number in range(1, branches))),
            values,
            np.full(branches, 100_000),
        ),
    )


@pytest.fixture
def shown(dso: Dso, api: dict[str, httpx.Client]) -> httpx.Client:
    for each in (flows(1, raised=5), flows(1), flows(2, nodes=250)):
        dso.desks.flows.show_flows(each)
    return api["dso"]


def test_sessions_are_told_in_short_the_last_of_each(shown: httpx.Client) -> None:
    first, second = shown.get("/powerFlows").json()
    assert (first["session"], first["nodes"], first["branches"], first["slots"]) == (1, 3, 2, SLOTS)
    assert first["highestLoading"] == {"element": "line:l1", "value": 110_000}
    assert first["highestVoltage"] == {"element": "bus:b/2 ü", "value": 1_000_215}
    assert first["lowestVoltage"] == {"element": "bus:b/0 ü", "value": 1_000_000}
    assert first["lossesWh"] == int(flows(1).branches.values[3].sum()) // 4
    assert second["nodes"] == 250
    (later,) = shown.get("/powerFlows", params={"fromTime": NOW_S + 2000}).json()
    assert later["session"] == 2


def test_elements_come_by_the_page_each_once(shown: httpx.Client) -> None:
    seen: list[str] = []
    after: int | None = -1
    while after is not None:
        page = shown.get("/powerFlows/2", params={"after": after, "most": 100}).json()
        seen += [each["element"] for each in page["elements"]]
        after = page["next"]
    assert seen == [*flows(2, nodes=250).nodes.keys, *flows(2).branches.keys]
    line = shown.get("/powerFlows/1", params={"kind": "line"}).json()["elements"]
    assert [(each["element"], each["highest"], each["highestSlot"], each["values"]) for each in line] == [
        ("line:l1", 110_000, 5, {})
    ]


def test_an_element_in_some_slots(shown: httpx.Client) -> None:
    asked = {"element": "line:l1", "firstSlot": 4, "slots": 3}
    page = shown.get("/powerFlows/1", params=asked).json()
    (line,) = page["elements"]
    assert page["firstSlot"] == 4
    assert line["values"] == {
        name: flows(1).branches.values[place, 4:7, 1].tolist()
        for place, name in enumerate(("loading", "fromW", "fromVar", "lossesW"))
    }
    (bus,) = shown.get("/powerFlows/1", params={"element": "bus:b/1 ü", "slots": SLOTS}).json()["elements"]
    assert bus["values"] == {"voltage": flows(1).nodes.values[0, :, 1].tolist()}
    assert (bus["lowestAllowed"], bus["highestAllowed"]) == (900_000, 1_100_000)


def test_what_isnt_there_is_refused(shown: httpx.Client) -> None:
    cases: list[tuple[str, dict[str, str | int], int, str | None]] = [
        ("/powerFlows/9", {}, 404, None),
        ("/powerFlows/1", {"firstSlot": 10, "slots": 7}, 422, "slots"),
        ("/powerFlows/2", {"slots": 101}, 422, "slots"),
        ("/powerFlows/1", {"most": 1001}, 422, "most"),
        ("/powerFlows/1", {"kind": "pole"}, 422, "kind"),
        ("/powerFlows/1", {"after": "x"}, 422, "after"),
    ]
    for path, asked, status, field in cases:
        answer = shown.get(path, params=asked)
        assert (answer.status_code, answer.json().get("field")) == (status, field), asked


def test_only_the_operator_sees_them(shown: httpx.Client, api: dict[str, httpx.Client]) -> None:
    for name in ("acme", "scd", "gateway"):
        for path in ("/powerFlows", "/powerFlows/1"):
            assert api[name].get(path).status_code == 403


def test_they_outlive_the_process_and_must_be_whole(dso: Dso) -> None:
    dso.desks.flows.show_flows(flows(3))
    again = FlowStore(dso.folder / "flows.sqlite")
    assert [each.session for each in again.summaries(0, 2**40)] == [3]
    again.close()
    whole = flows(1)
    with pytest.raises(InvalidInput, match=r"branches\.values"):
        SessionFlows(1, 0, 1, "", whole.nodes, ElementFlows(("line:l",), whole.branches.values, np.ones(1)))


def test_a_node_that_isnt_there_in_some_slots_has_no_lowest_voltage_then(
    dso: Dso, api: dict[str, httpx.Client]
) -> None:
    """A busbar that a coupler splits off for a range of slots: zeros in the others."""
    given = flows(1)
    given.nodes.values[0, 4:, 2] = 0
    dso.desks.flows.show_flows(given)
    (told,) = api["dso"].get("/powerFlows").json()
    assert told["lowestVoltage"] == {"element": "bus:b/0 ü", "value": 1_000_000}
