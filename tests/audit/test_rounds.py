"""Sessions of several rounds through the daemons: what the grid refuses is served by the next, replayed and challenged.

Every PoD hangs on a line of its own that carries a little more than 6 kW. The DSO needs 15 kW: PoD 0 is the cheapest, then PoD 2,
each with 10 kW, and both PoDs of the other aggregator. So PoD 0 is cut in round 1, PoD 2 in round 2, and round 3 serves the rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from offchain.audit.challenge import Challenger
from offchain.audit.explanation import explain
from offchain.audit.verify import SessionReplay, run
from offchain.chain.client import ChainClient
from offchain.chain.market_view import Stage
from offchain.protocol.book_documents import Area, OfferEntry
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, REFUSAL
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.products import OfferStatus, Product
from offchain.protocol.receipts import bundle, content
from offchain.protocol.roles import Role
from offchain.protocol.rounds import refusal_number
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import NoticeKind, Outcome, Receipt, TechnicalOutcome
from offchain.store.documents import FolderStore
from offchain.store.lists import fetch_refusals
from oracles.clearing.core.outcome import posted_outcome
from oracles.clearing.core.session import ClearedSession, clear_again, validate_session
from oracles.clearing.daemon import ClearingDaemon
from oracles.clearing.facts import clear_from_chain
from oracles.grid.core.documents import FORECAST_BEYOND_SLOTS
from oracles.grid.core.network import Document, Integers
from oracles.grid.daemon import GridDaemon, GridDaemonSettings
from oracles.grid.facts import assess_from_chain
from tests.audit.conftest import play_to_clearing
from tests.audit.test_lying_oracle import changed
from tests.chain.small_market import CAST, FIRST, PODS_AT_START, TERMS, SmallMarket, pod
from tests.market.desk import Desk, offers, open_desk, played, receipts_for, request
from tests.oracles.grid.small_grids import radial_document

CLEARING, GRID = CAST.oracles["clearing"], CAST.oracles["grid"]
RATING_KA = 0.009
LAST_PART_S = TERMS.validatedOutcomeDeadline - TERMS.takeoverS
NEEDED_W, OFFERED_W = 15_000, 10_000
CHEAPEST, SECOND = 0, 1
"""Offers of PoDs 0 and 2."""


@dataclass(frozen=True)
class ThinLines:
    """A transformer, and a line to each PoD."""

    def document(self) -> Document:
        return radial_document([1] * PODS_AT_START, [0.05] * PODS_AT_START, RATING_KA)

    def node_of(self, pseudonym: bytes) -> int:
        return 2 + [pod(number) for number in range(PODS_AT_START)].index(pseudonym)

    def background(self, terms: SessionTerms) -> tuple[Integers, Integers]:
        nothing = np.zeros((terms.slots + FORECAST_BEYOND_SLOTS, 2 + PODS_AT_START), dtype=np.int64)
        return nothing, nothing.copy()


class NoDesk:
    """The DSO's request is made by hand here."""

    def submit(self, terms: SessionTerms, areas: Sequence[Area]) -> None:
        raise AssertionError("nothing is violated without flexibility")


def grid_step(market: SmallMarket) -> None:
    """One step of a grid daemon that was just started."""
    chain, store = market.speaking_as(GRID), market.documents
    settings = GridDaemonSettings(90_000)
    GridDaemon(chain, store, market.stores, ThinLines(), NoDesk(), settings).step()


def clearing_step(market: SmallMarket) -> None:
    """One step of a clearing daemon that was just started."""
    ClearingDaemon(market.speaking_as(CLEARING), market.documents, market.stores).step()


def anchor_grid(market: SmallMarket) -> None:
    market.chain.advance_to(TERMS.baselineGate)
    grid_step(market)


def play_two_offers(desk: Desk) -> None:
    entries = [
        OfferEntry(pod(number), 0, Product.ACTIVE_UP, OFFERED_W, price)
        for number, price in ((0, 20_000), (2, 30_000))
    ]
    play_to_clearing(desk, of_first=offers(FIRST, entries), of_dso=request(NEEDED_W))


@pytest.fixture
def desk(original: Path, tmp_path: Path) -> Iterator[Desk]:
    with open_desk(played(original, "two-offers", play_two_offers, anchor_grid), tmp_path) as opened:
        yield opened


@pytest.fixture
def market(desk: Desk) -> SmallMarket:
    return desk.market


@pytest.fixture
def auditor(market: SmallMarket) -> ChainClient:
    person = CAST.auditor
    market.operator.send("ParticipantRegistry", "register", person.address, Role.AUDITOR.mask, person.name)
    chain = market.speaking_as(person)
    market.operator.send("Euro", "mint", person.address, 100_000_000)
    chain.send("Euro", "approve", chain.address_of("Vault"), 100_000_000)
    chain.send("Vault", "deposit", 100_000_000)
    return chain


def replayed(market: SmallMarket) -> tuple[bool, list[str]]:
    said: list[str] = []
    reader = ChainClient(market.chain.url, market.manifest)
    return run(SessionReplay(reader, market.documents, TERMS.session), said.append), said


def challenged(market: SmallMarket, auditor: ChainClient) -> tuple[bool, list[str]]:
    said: list[str] = []
    return Challenger(auditor, market.documents, TERMS.session, said.append).run(), said


def struck_for(auditor: ChainClient) -> list[tuple[Stage, str]]:
    return [
        (Stage(int(event.args["stage"])), bytes(event.args["fault"]).rstrip(b"\0").decode())
        for event in auditor.events("OutcomeBoard", "ResultStruck", session=TERMS.session)
    ]


def standing(market: SmallMarket) -> list[Stage]:
    return [stage for stage in Stage if any(market.view.posting(TERMS.session, stage).hash)]


def taken_w(document: ListDocument, numbers: Sequence[int]) -> list[int]:
    """W of each of these PoDs."""
    entries = document.list_of(OUTCOME_BY_REQUEST).records()
    by_pod = {entry.word("pod"): entry.integer("acceptedW") for entry in entries}
    return [by_pod.get(pod(number), 0) for number in numbers]


def validated_document(market: SmallMarket) -> ListDocument:
    posted = market.view.validated_outcome(TERMS.session)
    assert posted is not None
    replay = SessionReplay(market.operator, market.documents, TERMS.session)
    return replay.outcome_document(Stage.VALIDATED, posted)


def test_what_is_refused_is_served_by_the_next_round_by_round(
    market: SmallMarket, auditor: ChainClient
) -> None:
    """Each daemon is started anew for each step, and twice: it posts nothing twice, and nothing out of turn."""
    stages = [stage for stage in Stage if stage < Stage.SETTLEMENT]
    for count in range(1, len(stages) + 1):
        for step in (clearing_step, clearing_step) if count % 2 else (grid_step, grid_step):
            step(market)
        assert standing(market) == stages[:count]
    for _ in range(2):
        clearing_step(market)
        grid_step(market)
    assert standing(market) == stages
    cheapest, *others, second = taken_w(validated_document(market), (0, 1, 3, 2))
    assert cheapest + second + sum(others) == NEEDED_W
    assert 6_000 < cheapest < 6_500
    assert 6_000 < second < 6_500
    assert abs(others[0] - others[1]) <= 1
    passed, said = replayed(market)
    assert passed, said
    assert any(line.startswith("  clearing, round 3:") for line in said), said
    assert any(line.startswith("  assessment, round 3: 0 refusals") for line in said), said
    right, said = challenged(market, auditor)
    assert right, said
    assert struck_for(auditor) == []


def test_why_says_which_rounds_refusal_it_was(market: SmallMarket) -> None:
    for _ in range(4):
        clearing_step(market)
        grid_step(market)
    replay = SessionReplay(market.operator, market.documents, TERMS.session)
    for position, round_ in ((CHEAPEST, 1), (SECOND, 2)):
        leaf = validated_document(market).list_of(OUTCOME_BY_OFFER).records()[position]
        assert leaf.integer("because") == refusal_number(round_, 0)
        refusals = replay.assessed_rounds()[round_ - 1]
        (refused,) = replay.refusals(refusals.stage, refusals.technical).list_of(REFUSAL).records()
        found = explain(replay, market.view, position)
        assert (found.stage, found.status) == (Stage.VALIDATED, OfferStatus.PARTLY_ACCEPTED)
        told = f"the DSO refused {refused.integer('refusedW') / 1000:g} kW: "
        assert any(line.startswith(told) for line in found.lines), found.lines


def test_a_silent_grid_oracle_holds_nobody_up(market: SmallMarket) -> None:
    """Round 2 is passed over in the last part of the window: what was allowed in round 1 is ordered."""
    clearing_step(market)
    grid_step(market)
    clearing_step(market)
    market.chain.advance_to(LAST_PART_S - 10)
    clearing_step(market)
    assert standing(market) == [Stage.MARKET, Stage.TECHNICAL, Stage.MARKET_2]
    market.chain.advance_to(LAST_PART_S)
    clearing_step(market)
    grid_step(market)
    assert standing(market) == [Stage.MARKET, Stage.TECHNICAL, Stage.MARKET_2, Stage.VALIDATED]
    left_w = taken_w(validated_document(market), range(PODS_AT_START))
    assert 0 < sum(left_w) < NEEDED_W
    passed, said = replayed(market)
    assert passed, said


def test_with_no_time_left_nothing_is_cleared_again(market: SmallMarket) -> None:
    clearing_step(market)
    grid_step(market)
    market.chain.advance_to(LAST_PART_S)
    clearing_step(market)
    assert standing(market) == [Stage.MARKET, Stage.TECHNICAL, Stage.VALIDATED]
    assert replayed(market)[0]


class TestLies:
    """A liar before the honest clearing oracle, after an honest first round."""

    @pytest.fixture
    def first(self, market: SmallMarket) -> ClearedSession:
        clearing_step(market)
        grid_step(market)
        return clear_from_chain(market.view, market.documents, TERMS, CLEARING.address)

    def technical(self, market: SmallMarket, entry: int, refused_w: int, place: int = 0) -> ListDocument:
        """The posted refusals, as if there were only one, of another entry or quantity; `place`: after how many others."""
        posted = market.view.technical_outcome(TERMS.session)
        assert posted is not None
        refusals = fetch_refusals(market.documents, posted)
        first = clear_from_chain(market.view, market.documents, TERMS, CLEARING.address)
        of = first.market.list_of(OUTCOME_BY_REQUEST).records()[entry]
        row = list(refusals.list_of(REFUSAL).row(0))
        row[2:5], row[6:8] = [entry, of.integer("offerPosition"), of.integer("slot")], [refused_w, refused_w]
        rows = [list(refusals.list_of(REFUSAL).row(0)), row] if place else [row]
        for position, each in enumerate(rows):
            each[:2] = [position, len(rows)]
        return ListDocument(TERMS.session, GRID.address, (LeafList.of_rows(REFUSAL, rows),))

    def post(self, market: SmallMarket, document: ListDocument, function: str = "postMarketOutcome") -> None:
        posted = market.view.technical_outcome(TERMS.session)
        assert posted is not None
        cid = market.documents.put(document.to_bytes())
        outcome = posted_outcome(document, cid, posted.hash())
        receipts = receipts_for(market, document, cid)
        market.speaking_as(CLEARING).send("OutcomeBoard", function, outcome, receipts)

    @pytest.mark.parametrize(
        ("entry", "refused_w", "place", "named", "fault"),
        [
            (0, OFFERED_W, 0, 0, "TakenAway"),
            (0, 1, 0, 0, "RefusalIgnored"),
            (1, 5_000, 1, 0, "RefusedForAnother"),
            (1, 5_000, 1, 1, "NoSuchRefusal"),
        ],
    )
    def test_a_round_that_rests_on_other_refusals_costs_the_bond(
        self,
        market: SmallMarket,
        auditor: ChainClient,
        first: ClearedSession,
        entry: int,
        refused_w: int,
        place: int,
        named: int,
        fault: str,
    ) -> None:
        """It is cleared rightly, but for what it says that the grid refused. `named`: place of the refusal that it names."""
        lie = clear_again(first, self.technical(market, entry, refused_w, place)).market
        because = refusal_number(1, named)
        self.post(market, changed(lie, OUTCOME_BY_OFFER, "because", because, (CHEAPEST, SECOND)[entry]))
        passed, said = replayed(market)
        assert not passed
        assert said[-1].startswith("FAIL market outcome of round 2: "), said
        right, said = challenged(market, auditor)
        assert not right
        assert struck_for(auditor) == [(Stage.MARKET_2, fault)], said
        assert standing(market) == [Stage.MARKET, Stage.TECHNICAL]

    def test_a_round_that_is_skipped_is_said_so_and_brought_to_the_arbiter(
        self, market: SmallMarket, auditor: ChainClient, first: ClearedSession
    ) -> None:
        technical = market.view.technical_outcome(TERMS.session)
        assert technical is not None
        refusals = fetch_refusals(market.documents, technical)
        self.post(market, validate_session(first, refusals, CLEARING.address), "postValidatedOutcome")
        passed, said = replayed(market)
        assert not passed
        assert said[-1] == "FAIL validated outcome: rounds: the chain has 1, the replay gives 2"
        right, said = challenged(market, auditor)
        assert not right
        assert any(line.startswith("CASE 1 opened") for line in said), said
        assert struck_for(auditor) == []

    def test_a_hidden_round_is_demanded(
        self, market: SmallMarket, auditor: ChainClient, first: ClearedSession, tmp_path: Path
    ) -> None:
        clearing_step(market)
        grid_step(market)
        posted = market.view.technical_outcome(TERMS.session, 2)
        assert posted is not None
        empty = FolderStore(tmp_path / "empty")
        said: list[str] = []
        Challenger(auditor, empty, TERMS.session, said.append).run()
        stages = [int(event.args["stage"]) for event in auditor.events("Demands", "LeafDemanded")]
        assert stages == [Stage.MARKET, Stage.TECHNICAL, Stage.MARKET_2, Stage.TECHNICAL_2], said


def posted_assessment(market: SmallMarket) -> tuple[Outcome, ListDocument]:
    """The first round's market outcome and its honest technical outcome, not posted."""
    posted = market.view.market_outcome(TERMS.session)
    assert posted is not None
    replay = SessionReplay(market.operator, market.documents, TERMS.session)
    cleared = replay.outcome_document(Stage.MARKET, posted)
    honest = assess_from_chain(market.view, market.documents, TERMS, cleared, GRID.address)
    return posted, honest.document


def post_refusals(market: SmallMarket, outcome: Outcome, document: ListDocument, length: int) -> None:
    """Post a technical outcome that says to have so many refusals."""
    refusals = document.list_of(REFUSAL)
    cid = market.documents.put(document.to_bytes())
    technical = TechnicalOutcome(
        session=TERMS.session,
        marketOutcomeHash=outcome.hash(),
        refusalRoot=refusals.root,
        refusalLength=length,
        gridModel=market.view.notices(NoticeKind.GRID_MODEL, TERMS.session)[0].hash,
        cidDigest=cid.digest,
        cidCodec=cid.codec,
        refusedWSlots=sum(refusals.integers("refusedW")),
    )
    until_s = TERMS.settlementDeadline + TERMS.challengeWindowS
    domain = market.operator.domain("Availability")
    receipt = Receipt(content((refusals.root, length)), cid.digest, cid.codec, until_s)
    signed = [receipt.sign(domain, person.key) for person in CAST.stores[: TERMS.receipts]]
    receipts = bundle(receipt, domain, signed)
    market.speaking_as(GRID).send("OutcomeBoard", "postTechnicalOutcome", technical, receipts)


def test_refusals_of_another_number_than_posted_bind_nobody_and_cost_the_bond(
    market: SmallMarket, auditor: ChainClient
) -> None:
    """Who names the refusal would be told that there is none: the clearing oracle waits until it is struck."""
    clearing_step(market)
    outcome, honest = posted_assessment(market)
    post_refusals(market, outcome, honest, 0)
    with pytest.raises(FlexledgerError, match="refusalLength"):
        clearing_step(market)
    right, said = challenged(market, auditor)
    assert not right
    assert struck_for(auditor) == [(Stage.TECHNICAL, "MalformedRefusal")], said


@pytest.mark.parametrize(("by_w", "said_of_it"), [(2, ""), (-2, ""), (1_500, "more of it would fit")])
def test_another_machines_floats_make_no_honest_assessment_false(
    market: SmallMarket, auditor: ChainClient, by_w: int, said_of_it: str
) -> None:
    """A few W more or less are refused elsewhere; 1.5 kW more is a lie, for which the arbiter is asked."""
    clearing_step(market)
    outcome, honest = posted_assessment(market)
    row = list(honest.list_of(REFUSAL).row(0))
    row[6:8] = [row[6] + by_w, row[7] + by_w]
    other = replace(honest, lists=(LeafList.of_rows(REFUSAL, [row]),))
    post_refusals(market, outcome, other, 1)
    passed, said = replayed(market)
    assert passed == (not said_of_it), said
    assert said_of_it in said[-1]
    right, said = challenged(market, auditor)
    assert right == passed, said
    assert any(line.startswith("CASE 1 opened") for line in said) == (not passed), said
