"""Whose turn it is to post a result of a session, as the board sees it (IOutcomeBoard)."""

from dataclasses import dataclass

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView, Posting, Stage
from offchain.protocol.terms import ANYBODY, SessionTerms

SET_POINTS_S = 900
"""Set points leave so long before delivery."""


@dataclass(frozen=True)
class Clock:
    """A session's clocks: `market_s` stands still while the market is paused and is what deadlines go by; `real_s` is what
    delivery goes by."""

    market_s: int
    real_s: int
    paused: bool


def clock_of(chain: ChainClient, session: int) -> Clock:
    """The clocks of a session, by the chain."""
    paused = bool(chain.call("MarketSessions", "paused"))
    return Clock(MarketView(chain).market_time_s(session), chain.now_s(), paused)


def is_my_turn(terms: SessionTerms, stage: Stage, posting: Posting, clock: Clock, me: str) -> bool:
    """Whether `me` may post now: nothing stands, it isn't too late or paused, the named oracle's turn is over or mine, and
    mine wasn't struck. Results of the same book are alike, so that it does no harm if several find it their turn."""
    deadline_s = deadline_of(terms, stage, posting)
    if any(posting.hash) or posting.poster == me or clock.paused or clock.market_s >= deadline_s:
        return False
    if stage is Stage.VALIDATED and clock.real_s + SET_POINTS_S > terms.deliveryStart:
        return False
    named = terms.clearingOracle
    if stage is Stage.SETTLEMENT:
        named = terms.settlementOracle
    elif stage.is_technical:
        named = terms.gridOracle
    return named in (ANYBODY, me) or clock.market_s + terms.takeoverS >= deadline_s


def last_part_s(terms: SessionTerms) -> int:
    """Market time from which no other round is cleared, and one that nobody has assessed is passed over."""
    return terms.validatedOutcomeDeadline - terms.takeoverS


def deadline_of(terms: SessionTerms, stage: Stage, posting: Posting) -> int:
    """Market time before which a stage's result is posted; later where one was struck."""
    struck = posting.poster != ANYBODY and not any(posting.hash)
    if stage is Stage.SETTLEMENT:
        reopened_s = posting.posted_at_s + terms.challengeWindowS if struck else 0
        return max(terms.settlementDeadline, reopened_s)
    if stage is Stage.MARKET and not struck:
        return terms.marketOutcomeDeadline
    if stage.is_market and stage is not Stage.MARKET:
        return last_part_s(terms)
    return terms.validatedOutcomeDeadline
