"""The challenger: finds and sends what strikes a false outcome, demands what is hidden, leaves the truth alone."""

from dataclasses import replace

import pytest

from offchain.audit.challenge import Challenger
from offchain.chain.client import ChainClient
from offchain.chain.market_view import Stage
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, LeafKind
from offchain.protocol.products import OfferStatus
from offchain.protocol.roles import Role
from oracles.clearing.daemon import ClearingDaemon
from tests.audit.test_lying_oracle import ORACLE, changed, post, true_outcome
from tests.chain.small_market import CAST, TERMS
from tests.market.desk import Desk


@pytest.fixture
def auditor(revealed: Desk) -> ChainClient:
    """An auditor, with what a demand or a case costs in the vault."""
    market, person = revealed.market, CAST.auditor
    market.operator.send("ParticipantRegistry", "register", person.address, Role.AUDITOR.mask, person.name)
    chain = market.speaking_as(person)
    market.operator.send("Euro", "mint", person.address, 100_000_000)
    chain.send("Euro", "approve", chain.address_of("Vault"), 100_000_000)
    chain.send("Vault", "deposit", 100_000_000)
    return chain


def challenged(desk: Desk, auditor: ChainClient) -> tuple[bool, list[str]]:
    said: list[str] = []
    right = Challenger(auditor, desk.market.documents, TERMS.session, said.append).run()
    return right, said


def struck_for(auditor: ChainClient) -> list[str]:
    events = auditor.events("OutcomeBoard", "ResultStruck", session=TERMS.session)
    return [bytes(event.args["fault"]).rstrip(b"\0").decode() for event in events]


def test_the_daemons_outcome_is_left_alone(revealed: Desk, auditor: ChainClient) -> None:
    market = revealed.market
    ClearingDaemon(market.speaking_as(ORACLE), market.documents, market.stores).step()
    right, said = challenged(revealed, auditor)
    assert right, said
    assert struck_for(auditor) == []


@pytest.mark.parametrize(
    ("kind", "field", "value", "fault"),
    [
        (OUTCOME_BY_REQUEST, "priceUeurPerKw", 39_999, "MalformedEntry"),
        (OUTCOME_BY_REQUEST, "podTotalW", 1, "MalformedEntry"),
        (OUTCOME_BY_REQUEST, "effectivenessPosition", 2, "WrongEffectiveness"),
        (OUTCOME_BY_REQUEST, "offerPosition", 99, "NotInBook"),
        (OUTCOME_BY_OFFER, "status", int(OfferStatus.TEC), "MalformedAnswer"),
        (OUTCOME_BY_OFFER, "commitment", 2, "WrongCopy"),
    ],
)
def test_a_false_leaf_costs_the_bond(
    revealed: Desk, auditor: ChainClient, kind: LeafKind, field: str, value: int, fault: str
) -> None:
    truth = true_outcome(revealed)
    index = next(place for place, found in enumerate(truth.list_of(kind).integers(field)) if found != value)
    post(revealed, changed(truth, kind, field, value, index))
    bonded_ueur = auditor.call("Vault", "bonded", ORACLE.address)
    assert bonded_ueur >= TERMS.outcomeBondUeur
    right, said = challenged(revealed, auditor)
    assert not right
    assert struck_for(auditor) == [fault], said
    assert auditor.call("Vault", "bonded", ORACLE.address) == 0
    assert not any(revealed.market.view.posting(TERMS.session, Stage.MARKET).hash)


def test_totals_that_dont_add_up_cost_the_bond(revealed: Desk, auditor: ChainClient) -> None:
    post(revealed, true_outcome(revealed), totalUeur=1)
    challenged(revealed, auditor)
    assert struck_for(auditor) == ["TotalsDontAddUp"]


def test_a_hidden_document_is_demanded_and_costs_the_bond(revealed: Desk, auditor: ChainClient) -> None:
    truth = true_outcome(revealed)
    post(revealed, truth)
    documents = revealed.market.documents
    documents.path_of(documents.put(truth.to_bytes())).unlink()
    right, said = challenged(revealed, auditor)
    assert not right
    assert said[-1].startswith("DEMANDED leaf ")
    challenged(revealed, auditor)
    assert len(auditor.events("Demands", "LeafDemanded")) <= 2, "of each list, one leaf at a time"
    revealed.market.chain.advance_to(auditor.now_s() + TERMS.demandWindowS)
    challenged(revealed, auditor)
    assert struck_for(auditor) == ["Unanswered"]


def test_too_late_is_said_so(revealed: Desk, auditor: ChainClient) -> None:
    post(revealed, replace(true_outcome(revealed)), totalUeur=1)
    posted_s = revealed.market.view.posting(TERMS.session, Stage.MARKET).posted_at_s
    revealed.market.chain.advance_to(posted_s + TERMS.challengeWindowS)
    right, said = challenged(revealed, auditor)
    assert not right
    assert "can't be challenged any more" in said[-1]
    assert struck_for(auditor) == []
