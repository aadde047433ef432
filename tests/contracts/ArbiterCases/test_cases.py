"""Cases that an arbiter decides."""

from dataclasses import replace
from typing import Any

import pytest

from offchain.protocol.keccak import keccak256
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Pair, Settlement
from scripts.deploy import CASE_BOND_UEUR, RULING_WINDOW_S
from tests.contracts.chain import next_block_at, now_s, refused, travel_to
from tests.contracts.conftest import BALANCE_UEUR, account_of
from tests.contracts.play import (
    CID,
    DSO_REQUEST,
    EURO,
    MARKET,
    NOBODY,
    OFFER,
    SETTLEMENT,
    VALIDATED,
    Played,
    play_book,
    play_outcomes,
    post_settlement,
    sealed,
    settlement,
)

OPEN, UPHELD, REJECTED, LAPSED = 1, 2, 3, 4
BOND = 30 * EURO
"""Of each result: a tenth of the request's escrow."""
EVIDENCE = (CID.digest, CID.codec)


@pytest.fixture
def played(
    market: Any, terms: SessionTerms, aggregator: Any, dso: Any, clearing_oracle: Any, grid_oracle: Any
) -> Played:
    documents = [sealed(aggregator, OFFER, 100 * EURO), sealed(dso, DSO_REQUEST, 300 * EURO)]
    play_book(market, terms, documents, grid_oracle)
    return play_outcomes(market, terms, clearing_oracle, grid_oracle, documents)


@pytest.fixture
def settled(market: Any, played: Played, aggregator: Any, dso: Any, settlement_oracle: Any) -> Settlement:
    made = settlement(played)
    post_settlement(played, made, pairs(dso, aggregator), settlement_oracle)
    return made


def pairs(dso: Any, aggregator: Any) -> list[Pair]:
    return [Pair(dso.address, aggregator.address, 70 * EURO, 3 * EURO)]


def open_case(
    played: Played, stage: int, found: bytes, opener: Any, items: list[tuple[int, int]] | None = None
) -> int:
    """Open a case; gives its id."""
    cases = played.market.ArbiterCases
    cases.open(played.session, stage, found, *EVIDENCE, items or [], {"from": opener})
    return int(cases.count())


def rule(market: Any, number: int, upheld: bool, arbiter: Any, wronged: Any = NOBODY, loss: int = 0) -> Any:
    return market.ArbiterCases.rule(number, upheld, *EVIDENCE, wronged, loss, {"from": arbiter})


def state(market: Any, number: int) -> int:
    return int(market.ArbiterCases.caseOf(number)["state"])


@pytest.mark.parametrize(("loss", "made_good"), [(10 * EURO, 10 * EURO), (1000 * EURO, 24 * EURO), (0, 0)])
def test_upheld_the_bond_makes_good_and_rewards(
    market: Any, played: Played, admin: Any, auditor: Any, arbiter: Any, tso: Any, clearing_oracle: Any,
    loss: int, made_good: int,
) -> None:  # fmt: skip
    vault, reserve = market.Vault, market.Vault.free(admin)
    number = open_case(played, VALIDATED, played.validated, auditor)
    assert vault.free(auditor) == BALANCE_UEUR - CASE_BOND_UEUR
    tx = rule(market, number, True, arbiter, tso, loss)
    assert tx.events["CaseUpheld"]["struck"] is True
    assert bytes(tx.events["ResultStruck"]["fault"]).rstrip(b"\0") == b"Arbiter"
    prize = (BOND - made_good) // 2
    assert vault.free(auditor) == BALANCE_UEUR + prize
    assert vault.free(tso) == BALANCE_UEUR + made_good
    assert vault.free(admin) == reserve + BOND - made_good - prize
    assert state(market, number) == UPHELD
    assert not market.OutcomeBoard.isFinal(played.session, VALIDATED)


def test_rejected_the_opener_pays_poster_and_reserve(
    market: Any, played: Played, admin: Any, auditor: Any, arbiter: Any, clearing_oracle: Any, stranger: Any
) -> None:
    vault, session = market.Vault, played.session
    reserve, free = vault.free(admin), vault.free(clearing_oracle)
    number = open_case(played, MARKET, market_hash(played), auditor)
    tx = rule(market, number, False, arbiter)
    assert tx.events["CaseRejected"]["arbiter"] == arbiter
    assert vault.free(auditor) == BALANCE_UEUR - CASE_BOND_UEUR
    assert vault.free(clearing_oracle) == free + CASE_BOND_UEUR // 2
    assert vault.free(admin) == reserve + CASE_BOND_UEUR // 2
    assert state(market, number) == REJECTED
    travel_to(now_s() + played.terms.challengeWindowS)
    market.OutcomeBoard.releaseBond(session, MARKET, {"from": stranger})


def market_hash(played: Played) -> bytes:
    return bytes(played.market.OutcomeBoard.outcomeHash(played.session, MARKET))


def test_unruled_it_falls_in_favour_of_the_result_and_costs_nobody(
    market: Any, played: Played, auditor: Any, arbiter: Any, stranger: Any
) -> None:
    cases, board, session = market.ArbiterCases, market.OutcomeBoard, played.session
    number = open_case(played, VALIDATED, played.validated, auditor)
    deadline = market.MarketSessions.marketTime(session) + RULING_WINDOW_S
    assert cases.caseOf(number)["deadline"] == deadline
    next_block_at(deadline - 1)
    with refused("ArbiterCasesTooEarly", number, deadline, deadline - 1):
        cases.lapse(number, {"from": stranger})
    assert board.isFinal(session, VALIDATED)
    with refused("OutcomeBoardHeld", session, VALIDATED):
        board.releaseBond(session, VALIDATED, {"from": stranger})
    next_block_at(deadline)
    with refused("ArbiterCasesTooLate", number, deadline, deadline):
        rule(market, number, True, arbiter)
    cases.lapse(number, {"from": stranger})
    assert market.Vault.free(auditor) == BALANCE_UEUR
    assert state(market, number) == LAPSED
    board.releaseBond(session, VALIDATED, {"from": stranger})
    for attempt in (
        lambda: cases.lapse(number, {"from": stranger}),
        lambda: rule(market, number, True, arbiter),
    ):
        with refused("ArbiterCasesNotOpen", number, LAPSED):
            attempt()


@pytest.mark.parametrize("upheld", [True, False])
def test_ruled_in_the_last_second_and_once(
    market: Any, played: Played, auditor: Any, arbiter: Any, stranger: Any, upheld: bool
) -> None:
    number = open_case(played, VALIDATED, played.validated, auditor)
    next_block_at(market.ArbiterCases.caseOf(number)["deadline"] - 1)
    rule(market, number, upheld, arbiter)
    decided = UPHELD if upheld else REJECTED
    with refused("ArbiterCasesNotOpen", number, decided):
        rule(market, number, not upheld, arbiter)
    with refused("ArbiterCasesNotOpen", number, decided):
        market.ArbiterCases.lapse(number, {"from": stranger})


def test_a_pause_lengthens_the_time_to_rule(
    market: Any, played: Played, admin: Any, auditor: Any, arbiter: Any, stranger: Any
) -> None:
    number = open_case(played, VALIDATED, played.validated, auditor)
    deadline = market.ArbiterCases.caseOf(number)["deadline"]
    next_block_at(deadline - 1)
    market.MarketSessions.pause({"from": admin})
    next_block_at(deadline + 5000)
    with refused("ArbiterCasesTooEarly", number, deadline, deadline - 1):
        market.ArbiterCases.lapse(number, {"from": stranger})
    rule(market, number, True, arbiter)


def test_nobody_rules_in_a_matter_of_its_own(
    market: Any, played: Played, admin: Any, auditor: Any, arbiter: Any, clearing_oracle: Any
) -> None:
    roles = {"auditor": 8, "clearing_oracle": 3}
    for name, role in roles.items():
        market.ParticipantRegistry.register(account_of(name), 1 << role | 1 << 10, name, {"from": admin})
    number = open_case(played, VALIDATED, played.validated, auditor)
    for partial in (auditor, clearing_oracle):
        with refused("ArbiterCasesPartial", number, partial):
            rule(market, number, True, partial)
    with refused("ArbiterCasesPartial", number, arbiter):
        rule(market, number, True, arbiter, arbiter, 1)


def test_only_an_active_arbiter_rules_for_a_participant(
    market: Any, played: Played, admin: Any, auditor: Any, arbiter: Any, operator: Any, stranger: Any
) -> None:
    number = open_case(played, VALIDATED, played.validated, auditor)
    with refused("ParticipantRegistryMissingRole", operator, 10):
        rule(market, number, True, operator)
    with refused("ArbiterCasesNotAParticipant", number, stranger):
        rule(market, number, True, arbiter, stranger, 1)
    with refused("CidsUnknownCodec", 1):
        market.ArbiterCases.rule(number, True, CID.digest, 1, NOBODY, 0, {"from": arbiter})
    market.ParticipantRegistry.suspend(arbiter, "took a bribe", {"from": admin})
    with refused("ParticipantRegistrySuspended", arbiter):
        rule(market, number, True, arbiter)


def test_only_participants_open_with_a_bond_while_it_can_be_challenged(
    market: Any, played: Played, auditor: Any, stranger: Any
) -> None:
    cases, session = market.ArbiterCases, played.session
    with refused("ParticipantRegistryUnknownAccount", stranger):
        open_case(played, VALIDATED, played.validated, stranger)
    other = keccak256(b"another outcome")
    with refused("OutcomeBoardNotChallengeable", session, VALIDATED, played.validated, other):
        open_case(played, VALIDATED, other, auditor)
    with refused("CidsUnknownCodec", 1):
        cases.open(session, VALIDATED, played.validated, CID.digest, 1, [], {"from": auditor})
    market.Vault.withdraw(BALANCE_UEUR - CASE_BOND_UEUR + 1, {"from": auditor})
    with refused("VaultInsufficientFree", auditor, CASE_BOND_UEUR - 1, CASE_BOND_UEUR):
        open_case(played, VALIDATED, played.validated, auditor)
    end = market.OutcomeBoard.posting(session, VALIDATED)["postedAt"] + played.terms.challengeWindowS
    next_block_at(end)
    with refused("OutcomeBoardTooLate", session, end, end):
        open_case(played, VALIDATED, played.validated, auditor)
    assert cases.count() == 0


def test_freezes_payments_of_settlements_only_and_50_at_most(
    market: Any, played: Played, settled: Settlement, auditor: Any, aggregator: Any, dso: Any
) -> None:
    found = settled.hash(pairs(dso, aggregator))
    with refused("ArbiterCasesTooManyItems", 51, 50):
        open_case(played, SETTLEMENT, found, auditor, [(0, 1)] * 51)
    tx = market.ArbiterCases.open(
        played.session, SETTLEMENT, found, *EVIDENCE, [(k, 1 + k) for k in range(50)], {"from": auditor}
    )
    assert tx.gas_used < 2_000_000
    posted_at = market.OutcomeBoard.posting(played.session, SETTLEMENT)["postedAt"]
    assert market.ArbiterCases.namedUeur(found, posted_at, 49) == 50
    assert market.ArbiterCases.isFrozen(found, posted_at)


def test_an_outcome_is_paid_as_it_says(market: Any, played: Played, auditor: Any) -> None:
    with refused("ArbiterCasesNothingToFreeze", played.session, VALIDATED):
        open_case(played, VALIDATED, played.validated, auditor, [(0, 1)])


def test_what_was_struck_meanwhile_is_struck_once(
    market: Any, played: Played, settled: Settlement, auditor: Any, arbiter: Any, tso: Any, aggregator: Any,
    dso: Any, other_settlement_oracle: Any, settlement_oracle: Any,
) -> None:  # fmt: skip
    posted = pairs(dso, aggregator)
    first = open_case(played, SETTLEMENT, settled.hash(posted), auditor)
    second = open_case(played, SETTLEMENT, settled.hash(posted), tso)
    rule(market, first, True, arbiter)
    assert market.OutcomeBoard.outcomeHash(played.session, SETTLEMENT) == "0x" + "00" * 32
    # The same settlement again, by another oracle: the second case was about the first one's.
    post_settlement(played, settled, posted, other_settlement_oracle, now_s() + 1)
    tx = rule(market, second, True, arbiter)
    assert tx.events["CaseUpheld"]["struck"] is False
    assert market.Vault.free(tso) == BALANCE_UEUR
    assert market.OutcomeBoard.posting(played.session, SETTLEMENT)["bondUeur"] == BOND


def test_the_poster_of_the_result_gets_its_part(
    market: Any, played: Played, settled: Settlement, auditor: Any, arbiter: Any, aggregator: Any, dso: Any,
    settlement_oracle: Any,
) -> None:  # fmt: skip
    other = replace(settled, rewardsUeur=1)
    with refused(
        "OutcomeBoardNotChallengeable",
        played.session,
        SETTLEMENT,
        settled.hash(pairs(dso, aggregator)),
        other.hash(pairs(dso, aggregator)),
    ):
        open_case(played, SETTLEMENT, other.hash(pairs(dso, aggregator)), auditor)
    number = open_case(played, SETTLEMENT, settled.hash(pairs(dso, aggregator)), auditor)
    rule(market, number, False, arbiter)
    assert market.Vault.free(settlement_oracle) == BALANCE_UEUR - BOND + CASE_BOND_UEUR // 2
