"""A session runs by time alone (SPECIFICATION.md 3.x)."""

from typing import Any

import pytest

from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import refused, travel_to
from tests.contracts.play import EURO

ANNOUNCED = 1


def test_every_phase_starts_in_its_first_second(market: Any, terms: SessionTerms) -> None:
    phase = market.MarketSessions.phase
    starts = (
        terms.gateOpening,
        terms.gateClosure,
        terms.revealDeadline,
        terms.documentsDeadline,
        terms.marketOutcomeDeadline,
        terms.validatedOutcomeDeadline,
        terms.deliveryStart,
        terms.delivery_end_s,
        terms.settlementDeadline,
    )
    for before, start in enumerate(starts, start=ANNOUNCED):
        travel_to(start - 1)
        assert phase(terms.session) == before
        travel_to(start)
        assert phase(terms.session) == before + 1


def test_unknown_sessions(market: Any, terms: SessionTerms) -> None:
    sessions, unknown = market.MarketSessions, terms.session + 1
    assert sessions.phase(unknown) == 0
    for view in (
        lambda: sessions.terms(unknown),
        lambda: sessions.marketTime(unknown),
        lambda: sessions.tooLateForSetPoints(unknown),
        lambda: sessions.resultTerms(unknown, 3),
        lambda: sessions.bondUeur(unknown, 0),
        lambda: sessions.deliveryEnd(unknown),
    ):
        with refused("MarketSessionsUnknownSession", unknown):
            view()


@pytest.mark.parametrize(
    ("cap_ueur", "bond_ueur"),
    [(0, EURO), (50 * EURO, EURO), (50 * EURO + 1, EURO + 1), (1000 * EURO, 20 * EURO), (2**64 - 1, 368934881474191033)],
)  # fmt: skip
def test_a_bond_is_a_share_rounded_up_with_a_floor(
    market: Any, terms: SessionTerms, cap_ueur: int, bond_ueur: int
) -> None:
    assert market.MarketSessions.bondUeur(terms.session, cap_ueur) == bond_ueur
