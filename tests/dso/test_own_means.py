"""Own means over the API: the operator sees what the grid oracle proposes, and takes a plan or none."""

import httpx
import pytest

from offchain.protocol.documents.base import build
from offchain.protocol.documents.own_means import MeansAction, MeansPlan, MeansProposal, MeansViolation
from tests.dso.conftest import NOW_S, Dso

BEFORE = build(
    MeansViolation, element="line:line 0", side="above", unit=0, limit=100_000, worst=123_456, slots=(4, 5)
)


def plan(switch: int) -> MeansPlan:
    held = {"start": NOW_S + 1000, "end": NOW_S + 1900}
    action = build(MeansAction, kind="switch", index=switch, to=1, says=f"close switch {switch}", **held)
    return build(MeansPlan, moves=2, actions=(action,), removes=(BEFORE,), leaves=(), losses_wh=900)


def proposal(session: int, plans: int = 2) -> MeansProposal:
    return build(
        MeansProposal,
        session=session,
        delivery_start=NOW_S + 1000 * session,
        delivery_end=NOW_S + 1000 * session + 1000,
        before=(BEFORE,),
        losses_before_wh=1000,
        plans=tuple(plan(number) for number in range(plans)),
        checked=7,
        cut=(),
    )


def test_the_operator_sees_proposals_and_takes_one(dso: Dso, api: dict[str, httpx.Client]) -> None:
    dso.service.propose(proposal(1))
    dso.service.propose(proposal(2))
    shown = api["dso"].get("/ownMeans", params={"fromTime": NOW_S + 2000}).json()
    assert [(each["proposal"]["session"], each["plan"], each["open"]) for each in shown] == [(2, None, True)]
    assert shown[0]["proposal"]["plans"][1]["actions"][0]["says"] == "close switch 1"
    assert api["dso"].post("/ownMeans/2", json={"plan": 2}).json() == {"taken": 1}
    dso.restart()
    assert dso.service.close(2) == plan(1)
    assert dso.service.close(1) is None


def test_a_decision_is_kept_with_who_made_it_and_when(dso: Dso, api: dict[str, httpx.Client]) -> None:
    dso.service.propose(proposal(1))
    api["dso"].post("/ownMeans/1", json={"plan": 0})
    (shown,) = api["dso"].get("/ownMeans").json()
    assert (shown["plan"], shown["decidedBy"], shown["decidedTime"]) == (0, "dso", NOW_S)
    dso.service.close(1)
    (shown,) = api["dso"].get("/ownMeans").json()
    assert shown["open"] is False


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/ownMeans/9", {"plan": 1}, 404, "session = 9: no own means were proposed for it"),
        ("/ownMeans/1", {"plan": 3}, 422, "plan = 3: must be from 0 (none) to 2"),
        ("/ownMeans/1", {"plan": -1}, 422, "plan = -1: must be from 0 (none) to 2"),
        ("/ownMeans/1", {"plan": "1"}, 422, "must be a number"),
        ("/ownMeans/1", {}, 422, "plan = None: is required"),
        (f"/ownMeans/{2**70}", {"plan": 1}, 422, ""),
    ],
)
def test_what_wasnt_proposed_cant_be_taken(
    dso: Dso, api: dict[str, httpx.Client], path: str, body: object, status: int, says: str
) -> None:
    dso.service.propose(proposal(1))
    answer = api["dso"].post(path, json=body)
    assert answer.status_code == status
    assert says in answer.json()["error"]
    assert not dso.service.decided(1)


def test_after_the_grid_is_anchored_nothing_changes(dso: Dso, api: dict[str, httpx.Client]) -> None:
    dso.service.propose(proposal(1))
    assert api["dso"].post("/ownMeans/1", json={"plan": 1}).status_code == 200
    dso.service.propose(proposal(1, plans=1))
    assert dso.service.close(1) == plan(0)
    assert api["dso"].post("/ownMeans/1", json={"plan": 2}).status_code == 409
    assert dso.service.close(1) == plan(0)


@pytest.mark.parametrize("who", ["acme", "scd", "stranger", "nobody"])
def test_only_the_dso_sees_and_decides(dso: Dso, api: dict[str, httpx.Client], who: str) -> None:
    dso.service.propose(proposal(1))
    for answer in (api[who].get("/ownMeans"), api[who].post("/ownMeans/1", json={"plan": 1})):
        assert answer.status_code in (401, 403)
    assert not dso.service.decided(1)
