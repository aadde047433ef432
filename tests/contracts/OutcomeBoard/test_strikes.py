"""Results that a challenge has proven false: who loses, who gets what, what may be posted again (SPECIFICATION.md 6.x)."""

from typing import Any

import pytest

from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import next_block_at, now_s, refused, speak_as, travel_to
from tests.contracts.conftest import BALANCE_UEUR
from tests.contracts.play import (
    DSO_REQUEST,
    EURO,
    MARKET,
    NOBODY,
    OFFER,
    SETTLEMENT,
    TECHNICAL,
    VALIDATED,
    Sealed,
    outcome,
    play_book,
    play_outcomes,
    post_market,
    post_settlement,
    post_technical,
    post_validated,
    sealed,
    settlement,
    technical_outcome,
)

BOND = 10 * EURO
FAULT = b"Lie".ljust(32, b"\0")


@pytest.fixture
def challenger(market: Any) -> Any:
    """A challenge contract, made to say what the test wants."""
    return speak_as(market.OutcomeChallenges.address)


@pytest.fixture
def documents(aggregator: Any, dso: Any) -> list[Sealed]:
    return [sealed(aggregator, OFFER, 100 * EURO), sealed(dso, DSO_REQUEST, 100 * EURO)]


@pytest.fixture
def complete(market: Any, terms: SessionTerms, documents: list[Sealed], grid_oracle: Any) -> SessionTerms:
    """The session, its book complete."""
    play_book(market, terms, documents, grid_oracle)
    return terms


def strike(market: Any, challenger: Any, session: int, stage: int, prize_to: Any, **loss: Any) -> Any:
    wronged, amount = loss.get("wronged", NOBODY), loss.get("loss_ueur", 0)
    arguments = (session, stage, FAULT, prize_to, wronged, amount)
    return market.OutcomeBoard.strike(*arguments, {"from": challenger})


def test_half_of_a_bond_to_who_proved_it_and_half_to_the_reserve(
    market: Any, complete: SessionTerms, challenger: Any, auditor: Any, clearing_oracle: Any, grid_oracle: Any
) -> None:
    play_outcomes(market, complete, clearing_oracle, grid_oracle)
    travel_to(complete.validatedOutcomeDeadline)
    vault, reserve = market.Vault, market.Vault.reserve()
    tx = strike(market, challenger, complete.session, VALIDATED, auditor)
    event = tx.events["ResultStruck"]
    assert (event["poster"], event["challenger"], event["prizeUeur"]) == (clearing_oracle, auditor, BOND // 2)
    assert vault.free(auditor) == BALANCE_UEUR + BOND // 2
    assert vault.free(reserve) == BOND // 2
    assert vault.bonded(clearing_oracle) == BOND
    with refused("OutcomeBoardBondGone", complete.session, VALIDATED):
        strike(market, challenger, complete.session, VALIDATED, auditor)


@pytest.mark.parametrize(
    ("loss_ueur", "compensation_ueur"),
    [(3 * EURO, 3 * EURO), (8 * EURO + 1, 8 * EURO), (2**64 - 1, 8 * EURO)],
)
def test_the_wronged_are_made_good_first_up_to_four_fifths(
    market: Any, complete: SessionTerms, challenger: Any, auditor: Any, aggregator: Any, clearing_oracle: Any,
    grid_oracle: Any, loss_ueur: int, compensation_ueur: int,
) -> None:  # fmt: skip
    play_outcomes(market, complete, clearing_oracle, grid_oracle)
    before = market.Vault.free(aggregator)
    strike(market, challenger, complete.session, VALIDATED, auditor, wronged=aggregator, loss_ueur=loss_ueur)
    assert market.Vault.free(aggregator) == before + compensation_ueur
    rest = BOND - compensation_ueur
    assert market.Vault.free(auditor) == BALANCE_UEUR + rest // 2
    assert market.Vault.free(market.Vault.reserve()) == rest - rest // 2


def test_before_its_time_a_false_outcome_goes_with_all_that_rests_on_it(
    market: Any, complete: SessionTerms, challenger: Any, auditor: Any, clearing_oracle: Any,
    other_clearing_oracle: Any, grid_oracle: Any,
) -> None:  # fmt: skip
    session = complete.session
    play_outcomes(market, complete, clearing_oracle, grid_oracle)
    tx = strike(market, challenger, session, MARKET, auditor)
    assert [event["stage"] for event in tx.events["ResultRemoved"]] == [TECHNICAL, VALIDATED]
    assert market.Vault.bonded(clearing_oracle) == market.Vault.bonded(grid_oracle) == 0
    assert market.Vault.free(grid_oracle) == BALANCE_UEUR
    travel_to(complete.marketOutcomeDeadline)
    again = outcome(session, bytes(market.CommitmentBook.seed(session)), totalUeur=1)
    with refused("OutcomeBoardStruckBefore", session, MARKET, clearing_oracle):
        post_market(market, complete, again, clearing_oracle)
    post_market(market, complete, again, other_clearing_oracle)
    technical = technical_outcome(session, again.hash())
    post_technical(market, complete, technical, grid_oracle)
    post_validated(market, complete, outcome(session, technical.hash()), clearing_oracle)
    assert not market.OutcomeBoard.isEnded(session)


def test_struck_and_nobody_posts_again_it_ends_empty(
    market: Any, complete: SessionTerms, challenger: Any, auditor: Any, clearing_oracle: Any, grid_oracle: Any
) -> None:
    play_outcomes(market, complete, clearing_oracle, grid_oracle)
    next_block_at(complete.validatedOutcomeDeadline - 1)
    strike(market, challenger, complete.session, VALIDATED, auditor)
    travel_to(complete.validatedOutcomeDeadline)
    assert market.OutcomeBoard.isEnded(complete.session)


def test_an_operative_outcome_stays_for_who_followed_it(
    market: Any, complete: SessionTerms, challenger: Any, auditor: Any, clearing_oracle: Any, grid_oracle: Any,
    settlement_oracle: Any,
) -> None:  # fmt: skip
    played = play_outcomes(market, complete, clearing_oracle, grid_oracle)
    travel_to(complete.validatedOutcomeDeadline)
    strike(market, challenger, complete.session, VALIDATED, auditor)
    assert bytes(market.OutcomeBoard.outcomeHash(complete.session, VALIDATED)) == played.validated
    post_settlement(played, settlement(played), [], settlement_oracle)


def test_a_struck_settlement_is_posted_anew_in_a_window_of_its_own(
    market: Any, complete: SessionTerms, challenger: Any, auditor: Any, clearing_oracle: Any, grid_oracle: Any,
    settlement_oracle: Any, other_settlement_oracle: Any,
) -> None:  # fmt: skip
    session = complete.session
    played = play_outcomes(market, complete, clearing_oracle, grid_oracle)
    made = settlement(played)
    post_settlement(played, made, [], settlement_oracle, complete.settlementDeadline - 1)
    struck = complete.settlementDeadline + 100
    next_block_at(struck)
    strike(market, challenger, session, SETTLEMENT, auditor)
    assert not market.OutcomeBoard.isUnsettled(session)
    with refused("OutcomeBoardStruckBefore", session, SETTLEMENT, settlement_oracle):
        post_settlement(played, made, [], settlement_oracle, struck + 1)
    end = struck + complete.challengeWindowS
    with refused("OutcomeBoardTooLate", session, end, end):
        post_settlement(played, made, [], other_settlement_oracle, end)
    assert market.OutcomeBoard.isUnsettled(session)


def test_what_can_be_challenged_and_until_when(
    market: Any, complete: SessionTerms, clearing_oracle: Any, grid_oracle: Any, stranger: Any
) -> None:
    board, session = market.OutcomeBoard, complete.session
    played = play_outcomes(market, complete, clearing_oracle, grid_oracle)
    board.requireChallengeable(session, VALIDATED, played.validated)
    with refused("OutcomeBoardNotChallengeable", session, VALIDATED, played.validated, FAULT):
        board.requireChallengeable(session, VALIDATED, FAULT)
    with refused("OutcomeBoardNotChallengeable", session, SETTLEMENT, bytes(32), bytes(32)):
        board.requireChallengeable(session, SETTLEMENT, bytes(32))
    end = board.posting(session, VALIDATED)["postedAt"] + complete.challengeWindowS
    travel_to(end - 1)
    board.requireChallengeable(session, VALIDATED, played.validated)
    travel_to(end)
    with refused("OutcomeBoardTooLate", session, end, end):
        board.requireChallengeable(session, VALIDATED, played.validated)


@pytest.mark.parametrize("finality", [True, False])
def test_a_held_bond_stays(
    market: Any,
    complete: SessionTerms,
    challenger: Any,
    clearing_oracle: Any,
    grid_oracle: Any,
    finality: bool,
) -> None:
    board, session = market.OutcomeBoard, complete.session
    play_outcomes(market, complete, clearing_oracle, grid_oracle)
    board.hold(session, VALIDATED, finality, {"from": challenger})
    travel_to(now_s() + complete.challengeWindowS)
    assert board.isFinal(session, VALIDATED) is not finality
    with refused("OutcomeBoardHeld", session, VALIDATED):
        board.releaseBond(session, VALIDATED, {"from": challenger})
    with refused("OutcomeBoardNotHeld", session, VALIDATED):
        board.unhold(session, VALIDATED, not finality, {"from": challenger})
    board.unhold(session, VALIDATED, finality, {"from": challenger})
    if finality:
        assert not board.isFinal(session, VALIDATED), "what was shown at last can be challenged for a while"
        travel_to(now_s() + complete.demandWindowS)
    assert board.isFinal(session, VALIDATED)
    board.releaseBond(session, VALIDATED, {"from": challenger})


def test_what_is_final_is_held_by_nobody(
    market: Any, complete: SessionTerms, challenger: Any, clearing_oracle: Any, grid_oracle: Any
) -> None:
    board, session = market.OutcomeBoard, complete.session
    play_outcomes(market, complete, clearing_oracle, grid_oracle)
    travel_to(now_s() + complete.challengeWindowS)
    with refused("OutcomeBoardFinal", session, VALIDATED):
        board.hold(session, VALIDATED, True, {"from": challenger})
    board.hold(session, VALIDATED, False, {"from": challenger})
    assert board.isFinal(session, VALIDATED)


def test_only_challenge_contracts_strike_and_hold(
    market: Any, complete: SessionTerms, admin: Any, challenger: Any, clearing_oracle: Any, grid_oracle: Any
) -> None:
    board, session = market.OutcomeBoard, complete.session
    play_outcomes(market, complete, clearing_oracle, grid_oracle)
    for call in (
        lambda: strike(market, admin, session, VALIDATED, admin),
        lambda: board.hold(session, VALIDATED, True, {"from": admin}),
        lambda: board.unhold(session, VALIDATED, True, {"from": admin}),
    ):
        with refused("OutcomeBoardNotAChallenger", admin):
            call()
    with refused("OutcomeBoardChallengersAlreadySet"):
        board.setChallengers([admin], {"from": admin})
    with refused("AccessManagedUnauthorized", challenger):
        board.setChallengers([admin], {"from": challenger})


def test_money_is_conserved_by_strikes(
    market: Any, complete: SessionTerms, challenger: Any, auditor: Any, aggregator: Any, clearing_oracle: Any,
    grid_oracle: Any,
) -> None:  # fmt: skip
    play_outcomes(market, complete, clearing_oracle, grid_oracle)
    people = (clearing_oracle, grid_oracle, auditor, aggregator, market.Vault.reserve())

    def held() -> int:
        return sum(market.Vault.free(account) + market.Vault.bonded(account) for account in people)

    before = held()
    strike(market, challenger, complete.session, MARKET, auditor, wronged=aggregator, loss_ueur=7)
    assert held() == before
