"""The challenger: finds and sends what strikes a false outcome, demands what is hidden, leaves the truth alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from offchain.audit.arbiter import ArbiterDesk
from offchain.audit.challenge import Challenger, challenge
from offchain.chain.client import ChainClient
from offchain.chain.market_view import Stage
from offchain.protocol.book_documents import OfferEntry
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, LeafKind
from offchain.protocol.products import ClearingMethod, OfferStatus, Product
from offchain.protocol.roles import Role
from offchain.store.answers import Answers
from offchain.store.documents import FolderStore
from oracles.clearing.core.outcome import outcome_document
from oracles.clearing.core.session import clear_session
from oracles.clearing.core.state import Acceptance
from oracles.clearing.daemon import ClearingDaemon
from oracles.session_facts import book_documents
from tests.audit.conftest import play_to_clearing
from tests.audit.test_lying_oracle import ORACLE, changed, post, true_outcome
from tests.chain.small_market import CAST, FIRST, TERMS, pod, prepared
from tests.chain.workers import shared_folder
from tests.market.desk import Desk, offers, request


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
        (OUTCOME_BY_REQUEST, "effectivenessPosition", 0, "NotAnEffectiveness"),
        (OUTCOME_BY_REQUEST, "gridFeeUeurPerKw", 1, "WrongEffectiveness"),
        (OUTCOME_BY_REQUEST, "offerPosition", 99, "NotInBook"),
        (OUTCOME_BY_OFFER, "status", int(OfferStatus.TEC), "MalformedAnswer"),
        (OUTCOME_BY_OFFER, "commitment", 2, "WrongCopy"),
        (OUTCOME_BY_OFFER, "countedW", 9_999, "Miscounted"),
        (OUTCOME_BY_OFFER, "coverUeur", 1, "Miscounted"),
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


def test_an_effectiveness_named_as_a_request_costs_the_bond(revealed: Desk, auditor: ChainClient) -> None:
    """In all entries, so that they agree with each other."""
    lie = true_outcome(revealed)
    for index in range(len(lie.list_of(OUTCOME_BY_REQUEST))):
        lie = changed(lie, OUTCOME_BY_REQUEST, "requestPosition", 1, index)
    post(revealed, lie)
    right, said = challenged(revealed, auditor)
    assert not right
    assert struck_for(auditor) == ["NotARequest"], said


@pytest.mark.parametrize("because", [0, 1])
def test_a_reason_that_is_none_costs_the_bond(revealed: Desk, auditor: ChainClient, because: int) -> None:
    """An offer is called excluded by no entry, or by one of its PoD in another slot."""
    truth = true_outcome(revealed)
    index = truth.list_of(OUTCOME_BY_OFFER).integers("status").index(int(OfferStatus.COM_NOT_NEEDED))
    lie = changed(truth, OUTCOME_BY_OFFER, "status", int(OfferStatus.COM_EXCLUDED), index)
    post(revealed, changed(lie, OUTCOME_BY_OFFER, "because", because, index))
    right, said = challenged(revealed, auditor)
    assert not right
    assert struck_for(auditor) == ["FalselyExcluded"], said


def test_an_oracle_that_overlooks_a_suspension_loses_its_bond(desk: Desk, auditor: ChainClient) -> None:
    """Its outcome is right in everything else: nothing but the void offer itself shows the fault."""
    dso, view = desk.market.speaking_as(CAST.dso), desk.market.view
    before = view.pods()
    play_to_clearing(desk, lambda: dso.send("PodRegistry", "suspend", pod(0), "meter broken"))
    assert before != view.pods_at_gate(TERMS)
    book = book_documents(view, desk.market.documents, TERMS.session)
    lie = clear_session(book, before, view.seed(TERMS.session), TERMS, ORACLE.address).market
    post(desk, lie)
    right, said = challenged(desk, auditor)
    assert not right
    assert struck_for(auditor) == ["TakenThoughVoid"], said


@pytest.mark.parametrize(
    ("orders", "fault"),
    [
        ([{"duration_slots": 2}], "BlockBroken"),
        ([{"exclusive_group": 1}, {"exclusive_group": 1}], "GroupBroken"),
        ([{"exclusive_group": 1}, {"exclusive_group": 1}, {"linked_to": 1}], "LinkBroken"),
    ],
)
def test_an_order_that_is_broken_costs_the_bond(
    desk: Desk, auditor: ChainClient, orders: list[dict[str, int]], fault: str
) -> None:
    """The last of the orders gets a W of what another offer got, or gives a W of its first slot to nobody."""
    entries = [
        OfferEntry(pod(0), 0, Product.ACTIVE_UP, 10_000, 30_000 + place, **order)
        for place, order in enumerate(orders)
    ]
    play_to_clearing(desk, of_first=offers(FIRST, entries), of_dso=request(relief_w=15_000, slots=2))
    view = desk.market.view
    book = book_documents(view, desk.market.documents, TERMS.session)
    truth = clear_session(book, view.pods_at_gate(TERMS), view.seed(TERMS.session), TERMS, ORACLE.address)
    acceptances, status = list(truth.clearing.acceptances), list(truth.clearing.status)
    last = len(orders) - 1
    loser = 0 if last == 0 else next(i for i, entry in enumerate(acceptances) if entry.offer.position > last)
    acceptances[loser] = replace(acceptances[loser], accepted_w=acceptances[loser].accepted_w - 1)
    if last:
        offer, request_ = truth.book.offers[last], acceptances[loser].request
        acceptances.insert(loser, Acceptance(request_, offer, 1, offer.price_ueur_per_kw))
        status[last] = OfferStatus.PARTLY_ACCEPTED
    lie = replace(truth.clearing, acceptances=tuple(acceptances), status=tuple(status))
    post(desk, outcome_document(truth.book, lie, TERMS.session, ORACLE.address))
    right, said = challenged(desk, auditor)
    assert not right
    assert struck_for(auditor) == [fault], said


class TestPaidAsCleared:
    """Another session, whose entries all get their request's marginal price."""

    @pytest.fixture(scope="class")
    def original(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        terms = replace(TERMS, method=int(ClearingMethod.PAY_AS_CLEAR))
        return prepared(shared_folder(tmp_path_factory) / "small-market-paid-as-cleared", terms)

    def test_the_daemons_outcome_is_left_alone(self, revealed: Desk, auditor: ChainClient) -> None:
        market = revealed.market
        ClearingDaemon(market.speaking_as(ORACLE), market.documents, market.stores).step()
        right, said = challenged(revealed, auditor)
        assert right, said
        assert struck_for(auditor) == []

    @pytest.mark.parametrize(
        ("entries", "fault"), [([0], "WrongClearingPrice"), ([0, 1, 2, 3], "WrongMarginalPrice")]
    )
    def test_a_false_clearing_price_costs_the_bond(
        self, revealed: Desk, auditor: ChainClient, entries: list[int], fault: str
    ) -> None:
        """Its sums add up, nobody gets less than its bid, and the request's cap is kept."""
        market, view = revealed.market, revealed.market.view
        terms = view.terms(TERMS.session)
        book = book_documents(view, market.documents, terms.session)
        truth = clear_session(book, view.pods_at_gate(terms), view.seed(terms.session), terms, ORACLE.address)
        acceptances = list(truth.clearing.acceptances)
        for entry in entries:
            price = acceptances[entry].price_ueur_per_kw + 1
            acceptances[entry] = replace(acceptances[entry], price_ueur_per_kw=price)
        lie = replace(truth.clearing, acceptances=tuple(acceptances))
        post(revealed, outcome_document(truth.book, lie, terms.session, ORACLE.address))
        right, said = challenged(revealed, auditor)
        assert not right
        assert struck_for(auditor) == [fault], said


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
    assert len(auditor.events("Demands", "LeafDemanded")) == 1, "one leaf at a time"
    revealed.market.chain.advance_to(auditor.now_s() + TERMS.demandWindowS)
    challenged(revealed, auditor)
    assert struck_for(auditor) == ["Unanswered"]


def test_an_unknown_session_is_no_right_one(revealed: Desk, auditor: ChainClient) -> None:
    said: list[str] = []
    assert not challenge(Challenger(auditor, revealed.market.documents, 99, said.append), said.append)
    assert said == ["FAIL session 99: the deployment has none of that number"]


def test_too_late_is_said_so(revealed: Desk, auditor: ChainClient) -> None:
    post(revealed, true_outcome(revealed), totalUeur=1)
    posted_s = revealed.market.view.posting(TERMS.session, Stage.MARKET).posted_at_s
    revealed.market.chain.advance_to(posted_s + TERMS.challengeWindowS)
    right, said = challenged(revealed, auditor)
    assert not right
    assert "can't be challenged any more" in said[-1]
    assert struck_for(auditor) == []


def test_who_has_the_document_answers_and_the_truth_stands(
    revealed: Desk, auditor: ChainClient, tmp_path: Path
) -> None:
    """An auditor whose own copy is lost demands; a store shows the leaf, and has the fee for it."""
    market, store = revealed.market, CAST.stores[0]
    ClearingDaemon(market.speaking_as(ORACLE), market.documents, market.stores).step()
    said: list[str] = []
    Challenger(auditor, FolderStore(tmp_path / "empty"), TERMS.session, said.append).run()
    assert any(line.startswith("DEMANDED leaf ") for line in said), said
    answers = Answers(market.speaking_as(store), FolderStore(market.folder / "stores" / store.name))
    before_ueur = auditor.call("Vault", "free", store.address)
    assert (answers.step(), answers.step()) == (1, 0)
    assert auditor.call("Vault", "free", store.address) == before_ueur + auditor.call("Demands", "feeUeur")
    market.chain.advance_to(auditor.now_s() + TERMS.demandWindowS)
    assert challenged(revealed, auditor)[0]
    assert struck_for(auditor) == []


def test_a_tie_broken_in_a_friends_favour_is_brought_to_the_arbiter(
    revealed: Desk, auditor: ChainClient
) -> None:
    """Equal prices: shares and seed decide, which no leaf shows. The arbiter's own replay does."""
    market, person = revealed.market, CAST.person("arbiter")
    market.operator.send("ParticipantRegistry", "register", person.address, Role.ARBITER.mask, person.name)
    view, book = market.view, book_documents(market.view, market.documents, TERMS.session)
    pods = view.pods_at_gate(TERMS)
    lie = clear_session(book, pods, bytes([7] * 32), TERMS, ORACLE.address).market
    assert lie.to_bytes() != true_outcome(revealed).to_bytes()
    post(revealed, lie)
    right, said = challenged(revealed, auditor)
    assert not right
    assert any(line.startswith("CASE 1 opened") for line in said), said
    challenged(revealed, auditor)
    assert auditor.call("ArbiterCases", "count") == 1, "nothing is brought to the arbiter twice"
    desk = ArbiterDesk(market.speaking_as(person), market.documents)
    case = desk.case(1)
    opinion = desk.opinion(case)
    assert (case.stage, case.opener, opinion.upheld) == (Stage.MARKET, auditor.address, True)
    desk.rule(case, opinion)
    assert struck_for(auditor) == ["Arbiter"]
    assert auditor.call("Vault", "bonded", ORACLE.address) == 0
    with pytest.raises(FlexledgerError, match="doesn't stand any more"):
        desk.opinion(case)


def test_an_accuser_without_cause_loses_the_cases_bond(revealed: Desk, auditor: ChainClient) -> None:
    market, person = revealed.market, CAST.person("arbiter")
    market.operator.send("ParticipantRegistry", "register", person.address, Role.ARBITER.mask, person.name)
    ClearingDaemon(market.speaking_as(ORACLE), market.documents, market.stores).step()
    hash_ = market.view.posting(TERMS.session, Stage.MARKET).hash
    evidence = market.documents.put(b"{}")
    auditor.send("ArbiterCases", "open", TERMS.session, 0, hash_, evidence.digest, evidence.codec, [])
    free_ueur = auditor.call("Vault", "free", auditor.address)
    desk = ArbiterDesk(market.speaking_as(person), market.documents)
    opinion = desk.opinion(desk.case(1))
    assert not opinion.upheld
    desk.rule(desk.case(1), opinion)
    assert auditor.call("Vault", "free", auditor.address) == free_ueur, "its bond isn't given back"
    assert struck_for(auditor) == []
