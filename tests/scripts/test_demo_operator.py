"""The demo's operator: takes own means over the DSO's API where they remove everything, and else asks the market."""

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from offchain.dso.api import create_app
from offchain.protocol.documents.base import build
from offchain.protocol.documents.own_means import MeansPlan, MeansProposal
from offchain.rest.server import serve
from scripts.demo.control_room import Operator
from tests.dso.conftest import NOW_S, PARTICIPANTS, Dso
from tests.dso.test_own_means import BEFORE, plan
from tests.rest.callers import settings_of


def proposal(session: int, *plans: MeansPlan) -> MeansProposal:
    return build(
        MeansProposal,
        session=session,
        delivery_start=NOW_S,
        delivery_end=NOW_S + 900,
        before=(BEFORE,),
        losses_before_wh=1,
        plans=plans,
        checked=1,
        cut=(),
    )


def test_takes_what_removes_all_and_else_declines(tmp_path: Path) -> None:
    dso, steps = Dso(tmp_path), []
    solves, partial = plan(1), plan(2).model_copy(update={"leaves": (BEFORE,)})

    def step() -> None:
        steps.append(None)
        for found in (proposal(1, solves, partial), proposal(2, partial)):
            dso.service.propose(found)

    settings, tokens = settings_of(PARTICIPANTS)
    with ExitStack() as exits:
        stage: Any = SimpleNamespace(
            dso=dso.service,
            dso_url=exits.enter_context(serve(create_app(dso.desks, settings))),
            token_of=tokens.__getitem__,
            exits=exits,
            case=SimpleNamespace(case=SimpleNamespace(slot_starts_s=(NOW_S, NOW_S + 900))),
        )
        grid: Any = SimpleNamespace(step=step)
        operator = Operator(stage, grid)
        operator.step()
        assert [known.plan for known in dso.service.own_means(NOW_S, NOW_S + 1)] == [1, 0]
        assert len(steps) == 2, "the oracle goes on at once"
        operator.step()
        assert len(steps) == 3
    dso.store.close()
