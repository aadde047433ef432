"""Alarms over the API: the operator sees what the last forecast of each session brings near a limit or beyond it."""

import httpx

from offchain.protocol.documents.alarm import GridAlarm, HelpingPod, HelpingTotal, SessionAlarms
from offchain.protocol.documents.base import build
from tests.dso.conftest import NOW_S, Dso, pseudonym

HELPING = {
    "pod": pseudonym(1),
    "product": "activeUp",
    "available": 50_000,
    "sensitivity": 430,
    "effectiveness": 1000,
}


def alarms(session: int, value: int) -> SessionAlarms:
    one = build(
        GridAlarm,
        level="alarm",
        type="congestion",
        element="line:line 0",
        side="above",
        unit=0,
        first_slot=4,
        slots=2,
        worst_slot=5,
        value=value,
        limit=100_000,
        helping=(build(HelpingPod, **HELPING),),
        helping_totals=(build(HelpingTotal, product="activeUp", pods=3, available=90_000),),
    )
    return build(
        SessionAlarms,
        session=session,
        delivery_start=NOW_S + 1000 * session,
        delivery_end=NOW_S + 1000 * session + 1000,
        grid_model="0x" + "11" * 32,
        alarms=(one,),
    )


def test_the_operator_sees_the_last_alarms_of_each_session(dso: Dso, api: dict[str, httpx.Client]) -> None:
    for session, value in ((1, 110_000), (2, 120_000), (2, 130_000)):
        dso.service.alarm(alarms(session, value))
    shown = api["dso"].get("/alarms").json()["sessions"]
    assert [(each["session"], each["alarms"][0]["value"]) for each in shown] == [(1, 110_000), (2, 130_000)]
    (later,) = api["dso"].get("/alarms", params={"fromTime": NOW_S + 2000}).json()["sessions"]
    assert later["session"] == 2
    (alarm,) = later["alarms"]
    assert (alarm["type"], alarm["element"]) == ("congestion", "line:line 0")
    assert alarm["helping"] == [HELPING | {"pod": "0x" + pseudonym(1).hex()}]
    assert alarm["helpingTotals"] == [{"product": "activeUp", "pods": 3, "available": 90_000}]
    dso.restart()
    assert dso.service.alarms(0, NOW_S + 2001) == [alarms(1, 110_000), alarms(2, 130_000)]


def test_nobody_else_sees_them(dso: Dso, api: dict[str, httpx.Client]) -> None:
    dso.service.alarm(alarms(1, 110_000))
    for name in ("acme", "scd"):
        assert api[name].get("/alarms").status_code == 403
