"""Leaves of results, demanded, shown or not."""

from dataclasses import astuple, dataclass, replace
from typing import Any

import pytest

from offchain.protocol import leaves
from offchain.protocol.keccak import keccak256
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Outcome, Settlement, TechnicalOutcome
from scripts.deploy import DEMAND_FEE_UEUR
from tests.contracts.chain import next_block_at, now_s, refused, travel_to
from tests.contracts.conftest import BALANCE_UEUR
from tests.contracts.Demands.lists import Listed, listed
from tests.contracts.play import (
    DSO_REQUEST,
    EURO,
    MARKET,
    SETTLEMENT,
    TECHNICAL,
    VALIDATED,
    Played,
    outcome,
    play_book,
    post_market,
    post_settlement,
    post_technical,
    post_validated,
    sealed,
    settlement,
    technical_outcome,
)

BY_OFFER, BY_REQUEST, RESERVE, REFUSALS, SETTLED, CLAIMS, DOCUMENT = range(7)
NONE, OPEN, ANSWERED = range(3)
BOND = 10 * EURO
"""A tenth of the request's escrow."""


@dataclass(frozen=True)
class Results:
    """A session with its three outcomes, whose lists are at hand."""

    played: Played
    market_outcome: Outcome
    technical: TechnicalOutcome
    validated: Outcome
    lists: dict[int, Listed]

    @property
    def session(self) -> int:
        return self.played.session

    def ask(self, stage: int, kind: int, position: int, sender: Any) -> Any:
        """Demand a leaf of an outcome."""
        demands = self.played.market.Demands
        if stage == TECHNICAL:
            return demands.demandRefusal(astuple(self.technical), TECHNICAL, position, {"from": sender})
        made = self.market_outcome if stage == MARKET else self.validated
        return demands.demandOutcome(astuple(made), stage, kind, position, {"from": sender})

    def id(self, stage: int, kind: int, position: int) -> bytes:
        """Id of a demand."""
        root = self.lists[kind].tree.root
        return bytes(self.played.market.Demands.idOf(self.session, stage, root, position))


@pytest.fixture
def results(market: Any, terms: SessionTerms, dso: Any, clearing_oracle: Any, grid_oracle: Any) -> Results:
    document = sealed(dso, DSO_REQUEST, 100 * EURO)
    play_book(market, terms, [document], grid_oracle)
    travel_to(terms.documentsDeadline)
    kinds = (leaves.OUTCOME_BY_OFFER, leaves.OUTCOME_BY_REQUEST, leaves.OUTCOME_RESERVE, leaves.REFUSAL)
    lists = {number: listed(kind) for number, kind in enumerate(kinds)}
    roots: dict[str, Any] = {"byOfferLength": 5, "byRequestLength": 5, "reserveLength": 5}
    roots |= {"byOfferRoot": lists[BY_OFFER].tree.root, "byRequestRoot": lists[BY_REQUEST].tree.root}
    roots |= {"reserveRoot": lists[RESERVE].tree.root}
    first = outcome(terms.session, bytes(market.CommitmentBook.seed(terms.session)), **roots)
    post_market(market, terms, first, clearing_oracle)
    refusals = {"refusalRoot": lists[REFUSALS].tree.root, "refusalLength": 5}
    technical = technical_outcome(terms.session, first.hash(), **refusals)
    post_technical(market, terms, technical, grid_oracle)
    validated = outcome(terms.session, technical.hash(), **roots)
    post_validated(market, terms, validated, clearing_oracle)
    return Results(Played(market, terms, validated.hash(), (document,)), first, technical, validated, lists)


@dataclass(frozen=True)
class Settled:
    """A posted settlement, whose lists are at hand."""

    made: Settlement
    lists: dict[int, Listed]


@pytest.fixture
def settled(market: Any, results: Results, settlement_oracle: Any) -> Settled:
    lists = {SETTLED: listed(leaves.SETTLEMENT), CLAIMS: listed(replace(leaves.SETTLEMENT, number=11))}
    made = settlement(
        results.played,
        settlementRoot=lists[SETTLED].tree.root,
        settlementLength=5,
        claimRoot=lists[CLAIMS].tree.root,
        claimLength=5,
    )
    post_settlement(results.played, made, [], settlement_oracle)
    return Settled(made, lists)


@pytest.mark.parametrize(
    ("stage", "kind"),
    [(stage, kind) for stage in (MARKET, VALIDATED) for kind in (BY_OFFER, BY_REQUEST, RESERVE)]
    + [(TECHNICAL, REFUSALS)],
)
def test_who_shows_the_leaf_earns_the_fee(
    market: Any, results: Results, auditor: Any, stranger: Any, stage: int, kind: int
) -> None:
    demands, vault, number = market.Demands, market.Vault, results.id(stage, kind, 3)
    tx = results.ask(stage, kind, 3, auditor)
    assert tx.gas_used < 300_000
    assert tx.events["LeafDemanded"]["id"] == "0x" + number.hex()
    assert tx.events["LeafDemanded"]["root"] == "0x" + results.lists[kind].tree.root.hex()
    assert vault.free(auditor) == BALANCE_UEUR - DEMAND_FEE_UEUR
    asked_at = market.MarketSessions.marketTime(results.session)
    assert demands.demand(number)["deadline"] == asked_at + results.played.terms.demandWindowS
    leaf, proof = results.lists[kind].shown(3)
    tx = demands.answer(number, leaf, proof, {"from": stranger})
    assert tx.events["LeafShown"]["leaf"] == "0x" + leaf.hex()
    assert vault.free(stranger) == DEMAND_FEE_UEUR
    assert demands.demand(number)["state"] == ANSWERED
    travel_to(now_s() + results.played.terms.challengeWindowS)
    assert market.OutcomeBoard.isFinal(results.session, stage)
    market.OutcomeBoard.releaseBond(results.session, stage, {"from": stranger})


@pytest.mark.parametrize("kind", [SETTLED, CLAIMS])
def test_a_settlement_waits_for_its_demands(
    market: Any, results: Results, settled: Settled, auditor: Any, stranger: Any, kind: int
) -> None:
    session, board, window = results.session, market.OutcomeBoard, results.played.terms.challengeWindowS
    posted = board.posting(session, SETTLEMENT)["postedAt"]
    market.CommitmentBook.gather(
        session, [d.player for d in results.played.documents], [d.hash(session) for d in results.played.documents],
        {"from": stranger},
    )  # fmt: skip
    next_block_at(posted + window - 1)
    market.Demands.demandSettlement(astuple(settled.made), [], kind, 4, {"from": auditor})
    travel_to(posted + window)
    assert not board.isFinal(session, SETTLEMENT)
    with refused("SettlementLedgerStillOpen", session):
        market.SettlementLedger.finalise(astuple(settled.made), [], {"from": stranger})
    with refused("OutcomeBoardHeld", session, SETTLEMENT):
        board.releaseBond(session, SETTLEMENT, {"from": stranger})
    number = market.Demands.idOf(session, SETTLEMENT, settled.lists[kind].tree.root, 4)
    market.Demands.answer(number, *settled.lists[kind].shown(4), {"from": stranger})
    # What was shown at the last second can be challenged as long as a demand would have waited, and nothing be demanded.
    shown, hash_ = now_s(), market.OutcomeBoard.outcomeHash(session, SETTLEMENT)
    over = shown + results.played.terms.demandWindowS
    travel_to(over - 2)
    board.requireChallengeable(session, SETTLEMENT, hash_)
    assert not board.isFinal(session, SETTLEMENT)
    next_block_at(over - 1)
    with refused("OutcomeBoardTooLate", session, posted + window, over - 1):
        market.Demands.demandSettlement(astuple(settled.made), [], kind, 3, {"from": auditor})
    travel_to(over)
    assert board.isFinal(session, SETTLEMENT)
    market.SettlementLedger.finalise(astuple(settled.made), [], {"from": stranger})
    board.releaseBond(session, SETTLEMENT, {"from": stranger})


def test_a_settlement_with_a_hidden_leaf_never_pays(
    market: Any, results: Results, settled: Settled, auditor: Any, dso: Any, stranger: Any
) -> None:
    session, terms = results.session, results.played.terms
    posted = market.OutcomeBoard.posting(session, SETTLEMENT)["postedAt"]
    next_block_at(posted + terms.challengeWindowS - 1)
    market.Demands.demandSettlement(astuple(settled.made), [], CLAIMS, 0, {"from": auditor})
    struck = posted + terms.challengeWindowS - 1 + terms.demandWindowS
    next_block_at(struck)
    number = market.Demands.idOf(session, SETTLEMENT, settled.lists[CLAIMS].tree.root, 0)
    market.Demands.expire(number, {"from": stranger})
    with refused("SettlementLedgerNotPosted", session):
        market.SettlementLedger.finalise(astuple(settled.made), [], {"from": stranger})
    # Another one may be posted: what covers the session stays until nobody can any more.
    over = max(terms.settlementDeadline, struck + terms.challengeWindowS)
    market.CommitmentBook.gather(
        session, [dso], [results.played.documents[0].hash(session)], {"from": stranger}
    )
    next_block_at(over - 1)
    with refused("SettlementLedgerCoverageStillNeeded", session, dso):
        market.SettlementLedger.releaseCoverage(session, dso, {"from": stranger})
    next_block_at(over)
    market.SettlementLedger.releaseCoverage(session, dso, {"from": stranger})
    assert market.Vault.free(dso) == BALANCE_UEUR


@pytest.mark.parametrize("before_s", [1, 0])
def test_the_deadline_itself_is_too_late(
    market: Any, results: Results, auditor: Any, stranger: Any, before_s: int
) -> None:
    demands, number = market.Demands, results.id(VALIDATED, BY_OFFER, 0)
    results.ask(VALIDATED, BY_OFFER, 0, auditor)
    deadline = demands.demand(number)["deadline"]
    if before_s:
        next_block_at(deadline - 2)
        with refused("DemandsTooEarly", number, deadline, deadline - 2):
            demands.expire(number, {"from": stranger})
    next_block_at(deadline - before_s)
    if before_s:
        demands.answer(number, *results.lists[BY_OFFER].shown(0), {"from": stranger})
        return
    with refused("DemandsTooLate", number, deadline, deadline):
        demands.answer(number, *results.lists[BY_OFFER].shown(0), {"from": stranger})
    demands.expire(number, {"from": stranger})


@pytest.mark.parametrize(
    ("stage", "kind"), [(MARKET, BY_OFFER), (TECHNICAL, REFUSALS), (VALIDATED, BY_REQUEST)]
)
def test_silence_strikes_the_result(
    market: Any, results: Results, admin: Any, auditor: Any, stranger: Any, stage: int, kind: int
) -> None:
    demands, board, vault, session = market.Demands, market.OutcomeBoard, market.Vault, results.session
    results.ask(stage, kind, 2, auditor)
    number = results.id(stage, kind, 2)
    reserve = vault.free(admin)
    next_block_at(demands.demand(number)["deadline"])
    tx = demands.expire(number, {"from": stranger})
    struck = tx.events["ResultStruck"]
    assert (struck["stage"], struck["challenger"]) == (stage, auditor)
    assert bytes(struck["fault"]).rstrip(b"\0") == b"Unanswered"
    assert tx.events["DemandExpired"]["held"] is True
    assert board.outcomeHash(session, stage) == "0x" + "00" * 32
    assert vault.free(auditor) == BALANCE_UEUR + BOND // 2
    assert vault.free(admin) == reserve + BOND // 2
    assert demands.demand(number)["state"] == NONE
    with refused("DemandsNotOpen", number, NONE):
        demands.expire(number, {"from": stranger})


def test_a_demand_about_what_was_struck_holds_nobody_else(
    market: Any, results: Results, auditor: Any, dso: Any, other_clearing_oracle: Any, stranger: Any
) -> None:
    demands, board, session = market.Demands, market.OutcomeBoard, results.session
    results.ask(MARKET, BY_OFFER, 0, auditor)
    first, second = (results.id(MARKET, BY_OFFER, position) for position in (0, 1))
    next_block_at(demands.demand(first)["deadline"] - 1)
    results.ask(MARKET, BY_OFFER, 1, dso)
    free = market.Vault.free(dso)
    next_block_at(demands.demand(first)["deadline"])
    demands.expire(first, {"from": stranger})
    post_market(market, results.played.terms, results.market_outcome, other_clearing_oracle)
    tx = demands.expire(second, {"from": stranger})
    assert tx.events["DemandExpired"]["held"] is False
    assert "ResultStruck" not in tx.events
    assert market.Vault.free(dso) == free + DEMAND_FEE_UEUR
    assert board.posting(session, MARKET)["bondUeur"] == BOND
    travel_to(now_s() + results.played.terms.challengeWindowS)
    assert board.isFinal(session, MARKET)


def test_a_leaf_is_demanded_once(
    market: Any, results: Results, auditor: Any, dso: Any, stranger: Any
) -> None:
    number = results.id(MARKET, BY_OFFER, 0)
    results.ask(MARKET, BY_OFFER, 0, auditor)
    with refused("DemandsAskedBefore", number, OPEN):
        results.ask(MARKET, BY_OFFER, 0, dso)
    # The same list was posted as validated outcome too: that one has to answer for itself.
    results.ask(VALIDATED, BY_OFFER, 0, dso)
    shown = results.lists[BY_OFFER].shown(0)
    market.Demands.answer(number, *shown, {"from": stranger})
    with refused("DemandsAskedBefore", number, ANSWERED):
        results.ask(MARKET, BY_OFFER, 0, dso)
    with refused("DemandsNotOpen", number, ANSWERED):
        market.Demands.answer(number, *shown, {"from": stranger})
    with refused("DemandsNotOpen", number, ANSWERED):
        market.Demands.expire(number, {"from": stranger})


def test_only_leaves_that_must_exist(market: Any, results: Results, settled: Settled, auditor: Any) -> None:
    demands, sender = market.Demands, {"from": auditor}
    made, technical = astuple(results.market_outcome), astuple(results.technical)
    settlement_ = astuple(settled.made)
    for stage, kind in ((MARKET, REFUSALS), (TECHNICAL, BY_OFFER), (SETTLEMENT, RESERVE)):
        with refused("DemandsNoSuchList", stage, kind):
            demands.demandOutcome(made, stage, kind, 0, sender)
    with refused("DemandsNoSuchList", SETTLEMENT, REFUSALS):
        demands.demandSettlement(settlement_, [], REFUSALS, 0, sender)
    with refused("DemandsNoSuchPosition", 5, 5):
        demands.demandSettlement(settlement_, [], CLAIMS, 5, sender)
    window = results.played.terms.challengeWindowS
    end = market.OutcomeBoard.posting(results.session, TECHNICAL)["postedAt"] + window
    with refused("OutcomeBoardTooLate", results.session, end, now_s() + 1):
        next_block_at(now_s() + 1)
        demands.demandRefusal(technical, TECHNICAL, 0, sender)


def test_only_what_stands_posted(market: Any, results: Results, auditor: Any) -> None:
    forged = replace(results.market_outcome, byOfferRoot=keccak256(b"another list"))
    expected = results.market_outcome.hash()
    with refused("OutcomeBoardNotChallengeable", results.session, MARKET, expected, forged.hash()):
        market.Demands.demandOutcome(astuple(forged), MARKET, BY_OFFER, 0, {"from": auditor})


def test_only_participants_with_the_fee(market: Any, results: Results, auditor: Any, stranger: Any) -> None:
    with refused("ParticipantRegistryUnknownAccount", stranger):
        results.ask(MARKET, BY_OFFER, 0, stranger)
    market.Vault.withdraw(BALANCE_UEUR - DEMAND_FEE_UEUR + 1, {"from": auditor})
    with refused("VaultInsufficientFree", auditor, DEMAND_FEE_UEUR - 1, DEMAND_FEE_UEUR):
        results.ask(MARKET, BY_OFFER, 0, auditor)
    assert not market.OutcomeBoard.isFinal(results.session, MARKET)


def test_only_the_leaf_itself_answers(market: Any, results: Results, auditor: Any, stranger: Any) -> None:
    demands, number, sender = market.Demands, results.id(MARKET, BY_OFFER, 1), {"from": stranger}
    results.ask(MARKET, BY_OFFER, 1, auditor)
    shown, name = results.lists[BY_OFFER].shown, number
    leaf, proof = shown(1)
    with refused("DemandsWrongLeaf", name, 5, 2, 5):
        demands.answer(number, *shown(2), sender)
    with refused("DemandsWrongLeaf", name, 6, 1, 5):
        demands.answer(number, *results.lists[BY_REQUEST].shown(1), sender)
    with refused("DemandsWrongLeaf", name, 5, 1, 6):
        demands.answer(number, *listed(leaves.OUTCOME_BY_OFFER, 6).shown(1), sender)
    root = results.lists[BY_OFFER].tree.root
    for words, path in (
        (leaf[:-1] + b"\xff", proof),
        (leaf, proof[:-1]),
        (leaf[:96], proof),
        (leaf + b"\0", proof),
    ):
        with refused("DemandsNotInList", name, root):
            demands.answer(number, words, path, sender)
    with refused("DemandsLeafTooShort", name, 95):
        demands.answer(number, leaf[:95], proof, sender)
    # A node of the tree is no leaf: 64 bytes hashed once.
    with refused("DemandsLeafTooShort", name, 64):
        demands.answer(number, bytes(64), proof, sender)
    demands.answer(number, leaf, proof, sender)


def test_a_pause_lengthens_the_window_and_stops_no_answer(
    market: Any, results: Results, admin: Any, auditor: Any, dso: Any, stranger: Any
) -> None:
    demands, number = market.Demands, results.id(MARKET, BY_OFFER, 0)
    results.ask(MARKET, BY_OFFER, 0, auditor)
    deadline = demands.demand(number)["deadline"]
    next_block_at(deadline - 10)
    market.MarketSessions.pause({"from": admin})
    next_block_at(deadline + 1000)
    with refused("DemandsTooEarly", number, deadline, deadline - 10):
        demands.expire(number, {"from": stranger})
    results.ask(MARKET, BY_OFFER, 1, dso)
    demands.answer(number, *results.lists[BY_OFFER].shown(0), {"from": stranger})
    next_block_at(deadline + 2000)
    market.MarketSessions.resume({"from": admin})
    last = demands.demand(results.id(MARKET, BY_OFFER, 1))["deadline"]
    assert last == deadline - 10 + results.played.terms.demandWindowS


def test_many_small_demands_pay_who_answers_them(
    market: Any, results: Results, auditor: Any, clearing_oracle: Any
) -> None:
    free = market.Vault.free(clearing_oracle)
    for kind in (BY_OFFER, BY_REQUEST, RESERVE):
        for position in range(5):
            results.ask(MARKET, kind, position, auditor)
            number = results.id(MARKET, kind, position)
            market.Demands.answer(number, *results.lists[kind].shown(position), {"from": clearing_oracle})
    assert market.Vault.free(clearing_oracle) == free + 15 * DEMAND_FEE_UEUR
    assert market.Vault.free(auditor) == BALANCE_UEUR - 15 * DEMAND_FEE_UEUR
