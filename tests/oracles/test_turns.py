"""Whose turn it is to post: to the second, as the board sees it."""

from dataclasses import replace

import pytest

from offchain.chain.market_view import Posting, Stage
from offchain.chain.sessions import for_each_session
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.terms import ANYBODY
from oracles.turns import Clock, deadline_of, is_my_turn
from tests.oracles.clearing.books import ORACLE, TERMS

NAMED = "0x" + "0d" * 20
NOTHING = Posting(bytes(32), ANYBODY, 1, 0)
STANDING = Posting(b"h" * 32, NAMED, 100, 5)
LAST_PART_S = TERMS.validatedOutcomeDeadline - TERMS.takeoverS
DEADLINES = {
    **dict.fromkeys(Stage, TERMS.validatedOutcomeDeadline),
    Stage.MARKET: TERMS.marketOutcomeDeadline,
    Stage.MARKET_2: LAST_PART_S,
    Stage.MARKET_3: LAST_PART_S,
    Stage.SETTLEMENT: TERMS.settlementDeadline,
}
TAKEN = replace(TERMS, clearingOracle=NAMED, gridOracle=NAMED, settlementOracle=NAMED)


def at(instant_s: int, *, paused: bool = False) -> Clock:
    return Clock(instant_s, min(instant_s, TERMS.deliveryStart - 900), paused)


@pytest.mark.parametrize("stage", Stage)
def test_anybody_posts_before_the_deadline_unless_something_stands_or_the_market_is_paused(
    stage: Stage,
) -> None:
    last_s = DEADLINES[stage] - 1
    assert is_my_turn(TERMS, stage, NOTHING, at(last_s), ORACLE)
    assert not is_my_turn(TERMS, stage, NOTHING, at(last_s + 1), ORACLE)
    assert not is_my_turn(TERMS, stage, STANDING, at(last_s), ORACLE)
    assert not is_my_turn(TERMS, stage, NOTHING, at(last_s, paused=True), ORACLE)


@pytest.mark.parametrize("stage", Stage)
def test_a_named_oracles_turn_ends_to_the_second(stage: Stage) -> None:
    takeover_s = DEADLINES[stage] - TERMS.takeoverS
    assert is_my_turn(TAKEN, stage, NOTHING, at(takeover_s - 1), NAMED)
    assert not is_my_turn(TAKEN, stage, NOTHING, at(takeover_s - 1), ORACLE)
    assert is_my_turn(TAKEN, stage, NOTHING, at(takeover_s), ORACLE)


@pytest.mark.parametrize("stage", Stage)
def test_who_was_struck_doesnt_post_again_but_another_does(stage: Stage) -> None:
    struck = Posting(bytes(32), NAMED, 100, 0)
    assert not is_my_turn(TERMS, stage, struck, at(DEADLINES[stage] - 1), NAMED)
    assert is_my_turn(TERMS, stage, struck, at(DEADLINES[stage] - 1), ORACLE)


def test_a_struck_result_may_come_later() -> None:
    struck = Posting(bytes(32), NAMED, TERMS.settlementDeadline, 0)
    assert deadline_of(TERMS, Stage.MARKET, struck) == TERMS.validatedOutcomeDeadline
    reopened_s = TERMS.settlementDeadline + TERMS.challengeWindowS
    assert deadline_of(TERMS, Stage.SETTLEMENT, struck) == reopened_s
    assert is_my_turn(TERMS, Stage.SETTLEMENT, struck, at(reopened_s - 1), ORACLE)


def test_set_points_need_their_fifteen_minutes_in_real_time() -> None:
    market_s = TERMS.validatedOutcomeDeadline - 1
    for real_s, posts in ((TERMS.deliveryStart - 900, True), (TERMS.deliveryStart - 899, False)):
        clock = Clock(market_s, real_s, paused=False)
        assert is_my_turn(TERMS, Stage.VALIDATED, NOTHING, clock, ORACLE) is posts


def test_one_sessions_fault_keeps_no_other_waiting_and_is_raised() -> None:
    seen = []

    def look_at(session: int) -> None:
        seen.append(session)
        if session == 1:
            raise FlexledgerError("of session 1")

    with pytest.raises(FlexledgerError, match="of session 1"):
        for_each_session([1, 2], look_at)
    assert seen == [1, 2]
