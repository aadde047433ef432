"""What arbiter cases freeze of a settlement."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import permutations
from typing import Any

import pytest

from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Pair, Settlement
from scripts.deploy import CASE_BOND_UEUR
from tests.contracts.chain import refused, travel_to
from tests.contracts.conftest import BALANCE_UEUR, ROLES, account_of
from tests.contracts.play import (
    CID,
    DSO_REQUEST,
    EURO,
    NOBODY,
    OFFER,
    SETTLEMENT,
    TSO_REQUEST,
    Played,
    finalise,
    play_book,
    play_outcomes,
    post_settlement,
    sealed,
    settlement,
)

Items = Sequence[tuple[int, int]]
EVIDENCE = (CID.digest, CID.codec)
ALL = 2**64 - 1
LAPSE = None


@dataclass(frozen=True)
class Posted:
    """A session whose settlement is posted."""

    played: Played
    made: Settlement
    pairs: list[Pair]

    @property
    def session(self) -> int:
        return self.played.session

    def open(self, items: Items, opener: Any) -> int:
        """Open a case against it."""
        cases, found = self.played.market.ArbiterCases, self.made.hash(self.pairs)
        cases.open(self.session, SETTLEMENT, found, *EVIDENCE, list(items), {"from": opener})
        return int(cases.count())

    def settle(self, number: int, items: Items, sender: Any) -> Any:
        """Release what a case froze."""
        structs = [astuple(pair) for pair in self.pairs]
        ledger = self.played.market.SettlementLedger
        return ledger.settleFrozen(number, list(items), astuple(self.made), structs, {"from": sender})


@pytest.fixture
def posted(
    market: Any, terms: SessionTerms, aggregator: Any, other_aggregator: Any, dso: Any, tso: Any,
    clearing_oracle: Any, grid_oracle: Any, settlement_oracle: Any,
) -> Posted:  # fmt: skip
    documents = [
        sealed(aggregator, OFFER, 100 * EURO),
        sealed(other_aggregator, OFFER, 40 * EURO),
        sealed(dso, DSO_REQUEST, 300 * EURO),
        sealed(tso, TSO_REQUEST, 50 * EURO),
    ]
    play_book(market, terms, documents, grid_oracle)
    played = play_outcomes(market, terms, clearing_oracle, grid_oracle, documents)
    return post(played, usual_pairs(dso, tso, aggregator, other_aggregator), settlement_oracle)


def usual_pairs(dso: Any, tso: Any, aggregator: Any, other_aggregator: Any) -> list[Pair]:
    return [
        Pair(dso.address, aggregator.address, 100 * EURO, 3 * EURO),
        Pair(dso.address, other_aggregator.address, 20 * EURO, 0),
        Pair(tso.address, aggregator.address, 7, 5),
    ]


def post(played: Played, pairs: list[Pair], oracle: Any) -> Posted:
    made = settlement(played)
    post_settlement(played, made, pairs, oracle)
    return Posted(played, made, pairs)


def decide(market: Any, number: int, upheld: bool | None, arbiter: Any) -> None:
    """Rule a case, or let it lapse."""
    if upheld is LAPSE:
        deadline = market.ArbiterCases.caseOf(number)["deadline"]
        travel_to(deadline)
        market.ArbiterCases.lapse(number, {"from": arbiter})
    else:
        market.ArbiterCases.rule(number, upheld, *EVIDENCE, NOBODY, 0, {"from": arbiter})


def require_conserved(market: Any, session: int, sender: Any, *payers: Any) -> None:
    """Nothing is withheld, and every micro-euro of the vault belongs to somebody."""
    ledger, vault = market.SettlementLedger, market.Vault
    for payer in payers:
        assert ledger.withheldUeur(session, payer) == 0
        ledger.releaseCoverage(session, payer, {"from": sender})
    names = [*ROLES, "admin"]
    total = sum(vault.free(account_of(name)) + vault.bonded(account_of(name)) for name in names)
    assert total == market.Euro.balanceOf(market.Vault) == len(ROLES) * BALANCE_UEUR


@pytest.mark.parametrize(("upheld", "to_payee"), [(True, 0), (False, 60 * EURO), (LAPSE, 60 * EURO)])
def test_only_what_a_case_names_waits_for_its_ruling(
    market: Any, posted: Posted, aggregator: Any, other_aggregator: Any, dso: Any, tso: Any, auditor: Any,
    arbiter: Any, stranger: Any, upheld: bool | None, to_payee: int,
) -> None:  # fmt: skip
    ledger, vault, session, items = market.SettlementLedger, market.Vault, posted.session, [(0, 60 * EURO)]
    number = posted.open(items, auditor)
    tx = finalise(posted.played, posted.made, posted.pairs, stranger)
    assert [event["amountUeur"] for event in tx.events["Paid"]] == [40 * EURO, 20 * EURO, 7]
    assert [event["amountUeur"] for event in tx.events["Withheld"]] == [60 * EURO]
    assert "FellShort" not in tx.events
    assert ledger.withheldUeur(session, dso) == 60 * EURO
    ledger.releaseCoverage(session, dso, {"from": stranger})
    assert vault.free(dso) == BALANCE_UEUR - 120 * EURO + 3 * EURO
    with refused("SettlementLedgerNothingToRelease", session, dso):
        ledger.releaseCoverage(session, dso, {"from": stranger})
    with refused("SettlementLedgerCaseUndecided", number):
        posted.settle(number, items, stranger)
    decide(market, number, upheld, arbiter)
    free = vault.free(aggregator)
    tx = posted.settle(number, items, stranger)
    assert vault.free(aggregator) == free + to_payee
    name = "Spared" if upheld else "Paid"
    assert [event["amountUeur"] for event in tx.events[name]] == [60 * EURO]
    with refused("SettlementLedgerCaseSettled", number):
        posted.settle(number, items, stranger)
    if not upheld:
        with refused("SettlementLedgerNothingToRelease", session, dso):
            ledger.releaseCoverage(session, dso, {"from": stranger})
    else:
        ledger.releaseCoverage(session, dso, {"from": stranger})
    require_conserved(market, session, stranger, tso, aggregator, other_aggregator)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_cases_that_name_the_same_money_freeze_it_once(
    market: Any, posted: Posted, aggregator: Any, other_aggregator: Any, dso: Any, tso: Any, auditor: Any,
    arbiter: Any, stranger: Any, order: tuple[int, ...],
) -> None:  # fmt: skip
    named: list[Items] = [[(0, 60 * EURO), (1, 1)], [(0, 30 * EURO)], [(0, ALL), (1, 5 * EURO)]]
    openers = (auditor, other_aggregator, tso)
    numbers = [posted.open(items, opener) for items, opener in zip(named, openers, strict=True)]
    finalise(posted.played, posted.made, posted.pairs, stranger)
    assert market.SettlementLedger.withheldUeur(posted.session, dso) == 105 * EURO + 1
    rulings = (True, False, False)
    free = market.Vault.free(aggregator)
    for place in order:
        decide(market, numbers[place], rulings[place], arbiter)
        posted.settle(numbers[place], named[place], stranger)
    # In whatever order: 60 euro and 1 stay with the payer, the rest of what was withheld goes to the payees.
    assert market.Vault.free(aggregator) == free + 40 * EURO
    require_conserved(market, posted.session, stranger, dso, tso, aggregator, other_aggregator)


def test_decided_before_the_settlement_is_final(
    market: Any, posted: Posted, aggregator: Any, other_aggregator: Any, dso: Any, tso: Any, auditor: Any,
    arbiter: Any, stranger: Any,
) -> None:  # fmt: skip
    items = [(1, ALL), (2, 3)]
    number = posted.open(items, auditor)
    decide(market, number, False, arbiter)
    with refused("SettlementLedgerNotFinal", posted.session):
        posted.settle(number, items, stranger)
    finalise(posted.played, posted.made, posted.pairs, stranger)
    posted.settle(number, items, stranger)
    assert market.Vault.free(other_aggregator) == BALANCE_UEUR - 40 * EURO + 20 * EURO
    require_conserved(market, posted.session, stranger, dso, tso, aggregator, other_aggregator)


def hash_of(posted: Posted) -> bytes:
    return posted.made.hash(posted.pairs)


def test_who_is_short_of_money_pays_first_what_is_undisputed(
    market: Any, posted: Posted, settlement_oracle: Any, other_settlement_oracle: Any, arbiter: Any,
    aggregator: Any, other_aggregator: Any, dso: Any, tso: Any, auditor: Any, stranger: Any,
) -> None:  # fmt: skip
    items = [(0, 200 * EURO)]
    # Strike what was posted, to post one that owes more than is locked.
    decide(market, posted.open([], auditor), True, arbiter)
    pairs = [
        Pair(dso.address, aggregator.address, 280 * EURO, 0),
        Pair(dso.address, other_aggregator.address, 250 * EURO, 0),
    ]
    made = settlement(posted.played)
    post_settlement(
        posted.played, made, pairs, other_settlement_oracle, posted.played.terms.delivery_end_s + 99
    )
    again = Posted(posted.played, made, pairs)
    number = again.open(items, tso)
    tx = finalise(again.played, made, pairs, stranger)
    assert [event["amountUeur"] for event in tx.events["Paid"]] == [80 * EURO, 20 * EURO]
    assert [event["amountUeur"] for event in tx.events["Withheld"]] == [200 * EURO]
    assert [event["missingUeur"] for event in tx.events["FellShort"]] == [230 * EURO]
    decide(market, number, False, arbiter)
    again.settle(number, items, stranger)
    assert market.Vault.free(aggregator) == BALANCE_UEUR - 100 * EURO + 280 * EURO
    for payer in (aggregator, other_aggregator, tso):
        market.SettlementLedger.releaseCoverage(posted.session, payer, {"from": stranger})
    require_conserved(market, posted.session, stranger)


def test_more_frozen_than_is_locked(
    market: Any, posted: Posted, settlement_oracle: Any, other_settlement_oracle: Any, arbiter: Any,
    aggregator: Any, tso: Any, auditor: Any, stranger: Any,
) -> None:  # fmt: skip
    decide(market, posted.open([], auditor), True, arbiter)
    pairs = [Pair(tso.address, aggregator.address, 90 * EURO, 0)]
    made = settlement(posted.played)
    post_settlement(
        posted.played, made, pairs, other_settlement_oracle, posted.played.terms.delivery_end_s + 99
    )
    again = Posted(posted.played, made, pairs)
    first, second = again.open([(0, 45 * EURO)], auditor), again.open([(0, 45 * EURO)], aggregator)
    tx = finalise(again.played, made, pairs, stranger)
    assert [event["amountUeur"] for event in tx.events["Withheld"]] == [50 * EURO]
    assert [event["missingUeur"] for event in tx.events["FellShort"]] == [40 * EURO]
    for number in (first, second):
        decide(market, number, False, arbiter)
        again.settle(number, [(0, 45 * EURO)], stranger)
    assert market.SettlementLedger.withheldUeur(posted.session, tso) == 0
    assert market.Vault.free(tso) == BALANCE_UEUR - 50 * EURO


def test_what_isnt_there_freezes_nothing(
    market: Any, posted: Posted, auditor: Any, arbiter: Any, aggregator: Any, other_aggregator: Any, dso: Any,
    tso: Any, stranger: Any,
) -> None:  # fmt: skip
    items = [(3, ALL), (2**32 - 1, 1), (2, 0)]
    number = posted.open(items, auditor)
    tx = finalise(posted.played, posted.made, posted.pairs, stranger)
    assert "Withheld" not in tx.events
    decide(market, number, False, arbiter)
    posted.settle(number, items, stranger)
    require_conserved(market, posted.session, stranger, dso, tso, aggregator, other_aggregator)


def test_releases_exactly_what_the_case_named(
    market: Any, posted: Posted, auditor: Any, tso: Any, arbiter: Any, stranger: Any
) -> None:
    items = [(0, 5)]
    number, other = posted.open(items, auditor), posted.open([(0, 9)], tso)
    finalise(posted.played, posted.made, posted.pairs, stranger)
    decide(market, number, False, arbiter)
    expected = bytes(market.ArbiterCases.caseOf(number)["itemsHash"])
    given = bytes(market.ArbiterCases.caseOf(other)["itemsHash"])
    with refused("SettlementLedgerWrongItems", number, expected, given):
        posted.settle(number, [(0, 9)], stranger)
    forged = Posted(posted.played, posted.made, posted.pairs[:1])
    with refused("SettlementLedgerWrongSettlement", posted.session, hash_of(posted), hash_of(forged)):
        forged.settle(number, items, stranger)
    with refused("SettlementLedgerCaseUndecided", other):
        posted.settle(other, [(0, 9)], stranger)
    with refused("SettlementLedgerCaseUndecided", 99):
        posted.settle(99, [], stranger)


def test_upheld_after_the_money_moved_takes_only_bond_and_frozen(
    market: Any, posted: Posted, auditor: Any, arbiter: Any, aggregator: Any, stranger: Any
) -> None:
    items = [(0, 60 * EURO)]
    number = posted.open(items, auditor)
    finalise(posted.played, posted.made, posted.pairs, stranger)
    free = market.Vault.free(aggregator)
    decide(market, number, True, arbiter)
    assert market.Vault.free(auditor) == BALANCE_UEUR + 35 * EURO // 2
    posted.settle(number, items, stranger)
    assert market.Vault.free(aggregator) == free
    assert market.SettlementLedger.isFinal(posted.session)


def test_200_pairs_all_frozen_are_final_below_16_million_gas(
    market: Any, posted: Posted, aggregator: Any, dso: Any, auditor: Any, arbiter: Any,
    other_settlement_oracle: Any, stranger: Any,
) -> None:  # fmt: skip
    decide(market, posted.open([], auditor), True, arbiter)
    pairs = [Pair(dso.address, aggregator.address, 2, 1)] * 200
    made = settlement(posted.played)
    post_settlement(
        posted.played, made, pairs, other_settlement_oracle, posted.played.terms.delivery_end_s + 99
    )
    again = Posted(posted.played, made, pairs)
    named = [[(first + k, 1) for k in range(50)] for first in range(0, 200, 50)]
    numbers = [again.open(items, auditor) for items in named]
    tx = finalise(again.played, made, pairs, stranger)
    assert tx.gas_used < 16_000_000
    assert market.SettlementLedger.withheldUeur(posted.session, dso) == 200
    free = market.Vault.free(aggregator)
    for number, items in zip(numbers, named, strict=True):
        decide(market, number, False, arbiter)
        assert again.settle(number, items, stranger).gas_used < 16_000_000
    assert market.Vault.free(aggregator) == free + 200
    assert market.Vault.free(auditor) == BALANCE_UEUR + 35 * EURO // 2 - 4 * CASE_BOND_UEUR


def test_a_pause_stops_no_release(
    market: Any, posted: Posted, admin: Any, auditor: Any, arbiter: Any, aggregator: Any, stranger: Any
) -> None:
    items = [(0, 60 * EURO)]
    number = posted.open(items, auditor)
    finalise(posted.played, posted.made, posted.pairs, stranger)
    market.MarketSessions.pause({"from": admin})
    decide(market, number, False, arbiter)
    free = market.Vault.free(aggregator)
    posted.settle(number, items, stranger)
    assert market.Vault.free(aggregator) == free + 60 * EURO


def test_a_case_about_what_was_struck_freezes_nothing_of_what_came_after(
    market: Any,
    posted: Posted,
    auditor: Any,
    tso: Any,
    arbiter: Any,
    other_settlement_oracle: Any,
    stranger: Any,
) -> None:
    first, items = posted.open([], auditor), [(0, ALL)]
    second = posted.open(items, tso)
    decide(market, first, True, arbiter)
    made, at_s = settlement(posted.played, rewardsUeur=1), posted.played.terms.delivery_end_s + 99
    post_settlement(posted.played, made, posted.pairs, other_settlement_oracle, at_s)
    again = Posted(posted.played, made, posted.pairs)
    tx = finalise(again.played, made, again.pairs, stranger)
    assert "Withheld" not in tx.events
    decide(market, second, True, arbiter)
    with refused("SettlementLedgerWrongSettlement", posted.session, hash_of(posted), hash_of(again)):
        again.settle(second, items, stranger)
    with refused("SettlementLedgerWrongSettlement", posted.session, hash_of(again), hash_of(posted)):
        posted.settle(second, items, stranger)


def test_a_case_about_an_earlier_posting_of_the_same_settlement_freezes_nothing(
    market: Any,
    posted: Posted,
    auditor: Any,
    tso: Any,
    arbiter: Any,
    other_settlement_oracle: Any,
    stranger: Any,
) -> None:
    first, items = posted.open([], auditor), [(0, ALL)]
    second = posted.open(items, tso)
    before = market.OutcomeBoard.posting(posted.session, SETTLEMENT)["postedAt"]
    decide(market, first, True, arbiter)
    at_s = posted.played.terms.delivery_end_s + 99
    post_settlement(posted.played, posted.made, posted.pairs, other_settlement_oracle, at_s)
    tx = finalise(posted.played, posted.made, posted.pairs, stranger)
    assert "Withheld" not in tx.events
    decide(market, second, False, arbiter)
    with refused("SettlementLedgerWrongPosting", second, before, at_s):
        posted.settle(second, items, stranger)
