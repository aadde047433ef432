"""The sessions of a delivery day: one day ahead, six in real time, each with the deadlines that a market fixes for it."""

from dataclasses import dataclass
from datetime import date
from enum import IntEnum

from offchain.protocol.market_time import Window, day_window, real_time_windows
from offchain.protocol.terms import ANYBODY, SessionTerms

MINUTE_S = 60
HOUR_S = 3600


class SessionKind(IntEnum):
    """What `MarketSessions` calls market type: 0 day-ahead, 1 to 6 the real-time sessions of the day."""

    DAY_AHEAD = 0
    REAL_TIME_1 = 1
    REAL_TIME_2 = 2
    REAL_TIME_3 = 3
    REAL_TIME_4 = 4
    REAL_TIME_5 = 5
    REAL_TIME_6 = 6


@dataclass(frozen=True)
class Deadlines:
    """How long before delivery each deadline is, seconds."""

    baseline_gate_s: int
    gate_opening_s: int
    gate_closure_s: int
    reveal_s: int
    documents_s: int
    market_outcome_s: int
    validated_outcome_s: int
    takeover_s: int
    """How long before a deadline another oracle's turn comes."""


DAY_AHEAD = Deadlines(
    baseline_gate_s=14 * HOUR_S,
    gate_opening_s=13 * HOUR_S,
    gate_closure_s=9 * HOUR_S,
    reveal_s=8 * HOUR_S,
    documents_s=7 * HOUR_S,
    market_outcome_s=6 * HOUR_S,
    validated_outcome_s=4 * HOUR_S,
    takeover_s=15 * MINUTE_S,
)
"""Baselines by ten in the morning before, the gate open for four hours from eleven (D2.3), the result by eight in the evening."""

REAL_TIME = Deadlines(
    baseline_gate_s=3 * HOUR_S + 45 * MINUTE_S,
    gate_opening_s=3 * HOUR_S + 30 * MINUTE_S,
    gate_closure_s=1 * HOUR_S + 30 * MINUTE_S,
    reveal_s=1 * HOUR_S + 15 * MINUTE_S,
    documents_s=1 * HOUR_S,
    market_outcome_s=45 * MINUTE_S,
    validated_outcome_s=20 * MINUTE_S,
    takeover_s=5 * MINUTE_S,
)
"""The gate open for two hours (D2.3), set points a quarter of an hour before delivery. The first one's baselines are due a
quarter of an hour after the day-ahead result."""


@dataclass(frozen=True)
class MarketRules:
    """What a market fixes for all its sessions; see IMarketSessions.SessionTerms for each."""

    bond_permille: int = 20
    bond_floor_ueur: int = 1_000_000
    outcome_bond_permille: int = 100
    outcome_bond_ueur: int = 10_000_000
    tolerance_permille: int = 300
    penalty_ueur_per_kw: int = 30_000
    receipts: int = 2
    method: int = 0
    challenge_window_s: int = 6 * HOUR_S
    demand_window_s: int = 2 * HOUR_S
    settlement_s: int = 48 * HOUR_S
    """How long after delivery the settlement is due."""
    clearing_oracle: str = ANYBODY
    grid_oracle: str = ANYBODY
    settlement_oracle: str = ANYBODY


def sessions_of_day(day: date, rules: MarketRules | None = None) -> list[SessionTerms]:
    """Terms of a local day's seven sessions, by kind. Their numbers are 0: the contract gives them."""
    windows = (day_window(day), *real_time_windows(day))
    return [
        _terms(kind, window, rules or MarketRules())
        for kind, window in zip(SessionKind, windows, strict=True)
    ]


def _terms(kind: SessionKind, window: Window, rules: MarketRules) -> SessionTerms:
    before = DAY_AHEAD if kind is SessionKind.DAY_AHEAD else REAL_TIME
    start_s = window.start_s
    return SessionTerms(
        session=0,
        gateOpening=start_s - before.gate_opening_s,
        gateClosure=start_s - before.gate_closure_s,
        revealDeadline=start_s - before.reveal_s,
        bondPermille=rules.bond_permille,
        bondFloorUeur=rules.bond_floor_ueur,
        pausedBeforeS=0,
        documentsDeadline=start_s - before.documents_s,
        marketOutcomeDeadline=start_s - before.market_outcome_s,
        validatedOutcomeDeadline=start_s - before.validated_outcome_s,
        takeoverS=before.takeover_s,
        outcomeBondPermille=rules.outcome_bond_permille,
        slots=window.slots,
        marketType=int(kind),
        method=rules.method,
        receipts=rules.receipts,
        baselineGate=start_s - before.baseline_gate_s,
        deliveryStart=start_s,
        settlementDeadline=window.end_s + rules.settlement_s,
        challengeWindowS=rules.challenge_window_s,
        outcomeBondUeur=rules.outcome_bond_ueur,
        tolerancePermille=rules.tolerance_permille,
        clearingOracle=rules.clearing_oracle,
        penaltyUeurPerKw=rules.penalty_ueur_per_kw,
        demandWindowS=rules.demand_window_s,
        gridOracle=rules.grid_oracle,
        settlementOracle=rules.settlement_oracle,
    )
