"""The demo's operator: takes own means over the DSO's API where they remove everything, and else asks the market."""

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from offchain.dso.api import create_app
from offchain.protocol.documents.base import build
from offchain.protocol.documents.own_means import MeansPlan, MeansProposal
from offchain.rest.server import serve
from scripts.demo.control_room import NOTICE_S, Operator
from tests.dso.conftest import NOW_S, PARTICIPANTS, Dso
from tests.dso.test_own_means import BEFORE, plan
from tests.rest.callers import settings_of


def proposal(session: int, *plans: MeansPlan, ahead_s: int = NOTICE_S) -> MeansProposal:
    return build(
        MeansProposal,
        session=session,
        delivery_start=NOW_S + ahead_s,
        delivery_end=NOW_S + ahead_s + 900,
        before=(BEFORE,),
        losses_before_wh=1,
        plans=plans,
        checked=1,
        cut=(),
    )


def test_takes_what_removes_all_in_time_and_else_declines(tmp_path: Path) -> None:
    dso, steps = Dso(tmp_path), []
    solves, partial = plan(1), plan(2).model_copy(update={"leaves": (BEFORE,)})

    def step() -> None:
        steps.append(None)
        late = proposal(3, solves, ahead_s=NOTICE_S - 1)
        for found in (proposal(1, solves, partial), proposal(2, partial), late):
            dso.service.propose(found)

    settings, tokens = settings_of(PARTICIPANTS)
    with ExitStack() as exits:
        stage: Any = SimpleNamespace(
            dso=dso.service,
            dso_url=exits.enter_context(serve(create_app(dso.desks, settings))),
            token_of=tokens.__getitem__,
            exits=exits,
            operator=SimpleNamespace(now_s=lambda: NOW_S),
            case=SimpleNamespace(case=SimpleNamespace(slot_starts_s=(NOW_S, NOW_S + 2 * NOTICE_S))),
        )
        grid: Any = SimpleNamespace(step=step)
        operator = Operator(stage, grid)
        operator.step()
        decided = dso.service.own_means(NOW_S, NOW_S + 2 * NOTICE_S)
        assert {known.proposal.session: known.plan for known in decided} == {1: 1, 2: 0, 3: 0}
        assert len(steps) == 2, "the oracle goes on at once"
        operator.step()
        assert len(steps) == 3
    dso.store.close()
