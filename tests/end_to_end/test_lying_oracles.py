"""A whole day on which every oracle lies first: all lose their bonds to an auditor, and the day ends as it should."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pytest
from rich.console import Console

from offchain.audit.verify import SessionReplay, run
from offchain.chain.client import ChainClient
from offchain.protocol.market_time import day_start_s
from offchain.store.documents import FolderStore
from scripts.demo.case import DemoCase
from scripts.demo.cast import Cast
from scripts.demo.day import HOUR_S, DemoSettings, Progress, terms_of
from scripts.demo.stage import set_stage
from tests.end_to_end.lying_day import LIARS, Lie, LyingDay

DAY = date(2026, 9, 10)
FAULTS = [
    "NotAsOffered",
    "ModelNotAnchored",
    "Arbiter",
    "TakenWithoutRefusal",
    "WrongPenalty",
    "WrongDelivery",
    "Unanswered",
]


@dataclass(frozen=True)
class LiedOn:
    """A finished day: what became of each liar, and the chain that it was played on."""

    lies: dict[str, Lie]
    chain: ChainClient
    documents: FolderStore


@pytest.fixture(scope="module")
def lied_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiedOn]:
    folder = tmp_path_factory.mktemp("lying") / "demo"
    folder.mkdir()
    progress = Progress(Console(quiet=True), folder / "seconds.json")
    case, genesis_s = DemoCase("1-LV-rural1--2-no_sw", DAY, 12), day_start_s(DAY) - 18 * HOUR_S
    with set_stage(folder, Cast("lying day"), case, genesis_s, progress.say) as stage:
        day = LyingDay(stage, progress, DemoSettings(folder, day=DAY, pods=12))
        day.play()
        yield LiedOn(day.lies, stage.operator, stage.documents)
        stage.chain.stop()


@pytest.mark.parametrize("liar", LIARS)
def test_the_liar_loses_its_bond(lied_on: LiedOn, liar: str) -> None:
    lie = lied_on.lies[liar]
    assert lie.bonded_ueur >= terms_of(DAY).outcomeBondUeur
    assert lie.left_ueur == 0, lie.said


def test_each_lie_is_struck_for_what_it_is(lied_on: LiedOn) -> None:
    struck = lied_on.chain.events("OutcomeBoard", "ResultStruck", session=1)
    faults = [bytes(event.args["fault"]).rstrip(b"\0").decode() for event in struck]
    assert faults == FAULTS, [lie.said for lie in lied_on.lies.values()]


def test_the_day_ends_as_if_nobody_had_lied(lied_on: LiedOn) -> None:
    said: list[str] = []
    assert run(SessionReplay(lied_on.chain, lied_on.documents, 1), said.append), said
    assert lied_on.chain.call("SettlementLedger", "isFinal", 1)
