"""A session cleared by several objectives: the operator's parameters stand on chain, and a replay takes the same."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from offchain.audit.challenge import Challenger
from offchain.audit.front import NoFront, draw_front, draw_fronts
from offchain.audit.verify import SessionReplay, run
from offchain.chain.client import ChainClient
from offchain.chain.market_view import Stage
from offchain.protocol.book_documents import OfferEntry
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, REFUSAL
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import ClearingMethod, OfferStatus, Product
from offchain.protocol.typed_data import NoticeKind, TechnicalOutcome
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.outcome import outcome_document
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.state import MarketState
from oracles.clearing.daemon import ClearingDaemon
from oracles.clearing.facts import clear_from_chain, clearing_parameters
from oracles.session_facts import book_documents
from scripts.demo.cast import Person
from tests.audit.conftest import play_to_clearing
from tests.audit.test_lying_oracle import ORACLE, changed, post
from tests.chain.small_market import ADMIN, CAST, FIRST, TERMS, SmallMarket, pod, prepared, small_market
from tests.chain.workers import shared_folder
from tests.market.desk import Desk, offers, open_desk, receipts_for
from tests.oracles.clearing.test_honest_outcomes import refusal_row, refusals_document

DEAR_ACTIVATIONS = ClearingParameters(activation_ueur=10_000_000)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    terms = replace(TERMS, method=int(ClearingMethod.EXACT))
    return prepared(shared_folder(tmp_path_factory) / "small-market-exact", terms)


@pytest.fixture
def market(original: Path, tmp_path: Path) -> Iterator[SmallMarket]:
    """The session, hours before its gate opens."""
    with small_market(original, tmp_path) as found:
        yield found


def notarise(market: SmallMarket, person: Person, raw: bytes) -> None:
    cid = market.documents.put(raw)
    arguments = (NoticeKind.CLEARING_PARAMETERS, TERMS.session, keccak256(raw), cid.digest, cid.codec)
    market.speaking_as(person).send("DataNotary", "notarise", *arguments)


def by_operator(market: SmallMarket) -> None:
    notarise(market, ADMIN, DEAR_ACTIVATIONS.to_bytes())


def in_parts() -> ListDocument:
    """15 kW in two parts at 30 ct each, or in one at 31."""
    entries = [OfferEntry(pod(0), 0, Product.ACTIVE_UP, w, 30_000, min_power_w=w) for w in (7_000, 8_000)]
    return offers(FIRST, [*entries, OfferEntry(pod(2), 0, Product.ACTIVE_UP, 15_000, 31_000)])


def parameters_of(market: SmallMarket) -> ClearingParameters:
    return clearing_parameters(market.view, market.documents, market.view.terms(TERMS.session))


def test_an_auditor_replays_it_with_the_operators_parameters(original: Path, tmp_path: Path) -> None:
    with open_desk(original, tmp_path, before_opening=by_operator) as desk:
        play_to_clearing(desk, of_first=in_parts())
        market = desk.market
        ClearingDaemon(market.speaking_as(ORACLE), market.documents, market.stores).step()
        terms = market.view.terms(TERMS.session)
        cleared = clear_from_chain(market.view, market.documents, terms, ORACLE.address)
        assert [entry.offer.position for entry in cleared.clearing.acceptances] == [2], "one activation"
        said: list[str] = []
        reader = ChainClient(market.chain.url, market.manifest)
        assert run(SessionReplay(reader, market.documents, TERMS.session), said.append), said
        assert draw_front(SessionReplay(reader, market.documents, TERMS.session), tmp_path / "front.svg") > 1
        assert Challenger(market.speaking_as(ADMIN), market.documents, TERMS.session, said.append).run(), said


class TestAnotherResult:
    """What an oracle posts whose build finds another result than the replay's."""

    ALIKE = (
        OfferEntry(pod(0), 0, Product.ACTIVE_UP, 15_000, 30_000),
        OfferEntry(pod(2), 0, Product.ACTIVE_UP, 15_000, 30_000),
        OfferEntry(pod(2), 0, Product.ACTIVE_UP, 15_000, 31_000),
    )
    MODEL = keccak256(b"model")

    @pytest.fixture
    def desk(self, original: Path, tmp_path: Path) -> Iterator[Desk]:
        def model(market: SmallMarket) -> None:
            cid = market.documents.put(b"model")
            arguments = (NoticeKind.GRID_MODEL, TERMS.session, self.MODEL, cid.digest, cid.codec)
            market.speaking_as(CAST.oracles["grid"]).send("DataNotary", "notarise", *arguments)

        with open_desk(original, tmp_path, before_opening=model) as opened:
            play_to_clearing(opened, of_first=offers(FIRST, list(self.ALIKE)))
            yield opened

    def outcome(self, desk: Desk, offer: int) -> ListDocument:
        """That this offer alone is taken."""
        view, documents = (
            desk.market.view,
            book_documents(desk.market.view, desk.market.documents, TERMS.session),
        )
        book = assemble(documents, view.pods_at_gate(TERMS), TERMS)
        state = MarketState(book, view.pods_at_gate(TERMS), view.seed(TERMS.session))
        accepted = list(state.take(book.offers[offer], 15_000, [book.requests[0]]))
        return outcome_document(book, state.finished(accepted), TERMS.session, ORACLE.address)

    def replay(self, desk: Desk) -> SessionReplay:
        reader = ChainClient(desk.market.chain.url, desk.market.manifest)
        return SessionReplay(reader, desk.market.documents, TERMS.session)

    def refuse(self, desk: Desk, market: ListDocument, refused_w: int) -> None:
        """As the DSO: refuse so much of the first entry."""
        entry = market.list_of(OUTCOME_BY_REQUEST).records()[0]
        refusals = refusals_document([refusal_row(0, refused_w, entry.values)])
        cid, board = desk.market.documents.put(refusals.to_bytes()), desk.market.view
        posted = board.market_outcome(TERMS.session)
        assert posted is not None
        made = TechnicalOutcome(
            session=TERMS.session,
            marketOutcomeHash=posted.hash(),
            refusalRoot=refusals.list_of(REFUSAL).root,
            refusalLength=1,
            gridModel=self.MODEL,
            cidDigest=cid.digest,
            cidCodec=cid.codec,
            refusedWSlots=refused_w,
        )
        chain = desk.market.speaking_as(CAST.oracles["grid"])
        chain.send("OutcomeBoard", "postTechnicalOutcome", made, receipts_for(desk.market, refusals, cid))

    @pytest.mark.parametrize("offer", [0, 1])
    def test_passes_and_what_the_dso_leaves_of_it_is_validated(self, desk: Desk, offer: int) -> None:
        market = desk.market
        document = self.outcome(desk, offer)
        post(desk, document)
        said: list[str] = []
        assert run(self.replay(desk), said.append), said
        own = clear_from_chain(market.view, market.documents, market.view.terms(1), ORACLE.address).clearing
        is_replayed = own.acceptances[0].offer.position == offer
        how = "leaf for leaf as replayed" if is_replayed else "another result than the replay's"
        assert any(how in line for line in said), said
        self.refuse(desk, document, 5_000)
        market.chain.advance_to(TERMS.validatedOutcomeDeadline - TERMS.takeoverS)
        ClearingDaemon(market.speaking_as(ORACLE), market.documents, market.stores).step()
        posted = market.view.validated_outcome(TERMS.session)
        assert posted is not None
        assert self.replay(desk).result(Stage.VALIDATED).name == "validated outcome"
        validated = self.replay(desk).outcome_document(Stage.VALIDATED, posted)
        assert validated.list_of(OUTCOME_BY_REQUEST).integers("offerPosition") == [offer]
        assert validated.list_of(OUTCOME_BY_REQUEST).integers("acceptedW") == [10_000]

    @pytest.mark.parametrize("offer", [0, 1])
    def test_is_what_the_next_round_rests_on(self, desk: Desk, offer: int) -> None:
        market = desk.market
        document = self.outcome(desk, offer)
        post(desk, document)
        self.refuse(desk, document, 5_000)
        ClearingDaemon(market.speaking_as(ORACLE), market.documents, market.stores).step()
        posted = market.view.market_outcome(TERMS.session, 2)
        assert posted is not None
        again = self.replay(desk).outcome_document(Stage.MARKET_2, posted)
        taken = again.list_of(OUTCOME_BY_OFFER).integers("acceptedW")
        assert taken[offer] <= 10_000, "no further than the DSO has left it"
        assert sum(taken) == 15_000
        assert self.replay(desk).result(Stage.MARKET_2).name == "clearing, round 2"

    def test_that_is_worse_fails_and_goes_to_the_arbiter(self, desk: Desk, auditor: ChainClient) -> None:
        post(desk, self.outcome(desk, 2))
        said: list[str] = []
        assert not run(self.replay(desk), said.append)
        assert said[-1] == "FAIL DSO_REQUEST: weighs 465000 µ€, where 450000 µ€ are possible"
        assert not Challenger(auditor, desk.market.documents, TERMS.session, said.append).run()
        assert said[-1].startswith("CASE 1 opened")

    def test_whose_leaves_arent_what_it_takes_fails(self, desk: Desk) -> None:
        own = clear_from_chain(
            desk.market.view, desk.market.documents, desk.market.view.terms(1), ORACLE.address
        )
        other = 1 - own.clearing.acceptances[0].offer.position
        post(desk, changed(self.outcome(desk, other), OUTCOME_BY_OFFER, "status", int(OfferStatus.TEC), 2))
        said: list[str] = []
        assert not run(self.replay(desk), said.append)
        assert said[-1].startswith("FAIL market outcome: OutcomeByOfferLeaf[2].status: the chain has ")

    def test_that_breaks_a_rule_fails(self, desk: Desk) -> None:
        post(desk, changed(self.outcome(desk, 0), OUTCOME_BY_REQUEST, "acceptedW", 15_001))
        said: list[str] = []
        assert not run(self.replay(desk), said.append)
        assert said[-1] == "FAIL offer 0: 15001 W taken for request 0, more than is left of it: 15000 W"


def test_a_session_without_an_outcome_has_no_front(market: SmallMarket, tmp_path: Path) -> None:
    replay = SessionReplay(ChainClient(market.chain.url, market.manifest), market.documents, TERMS.session)
    with pytest.raises(NoFront, match="no market outcome is posted"):
        draw_front(replay, tmp_path / "front.svg")


class TestFronts:
    """An outcome's notes, drawn."""

    def drawn(self, notes: dict[str, object], path: Path) -> int:
        return draw_fronts(ListDocument(1, FIRST.address, (), notes), path)

    def test_each_side_has_its_own(self, tmp_path: Path) -> None:
        front = {"chosen": [2, 0, 0, 1, 9], "points": [[2, 0, 0, 1, 9], [0, 5, 0, 0, 0]]}
        path = tmp_path / "front.svg"
        assert self.drawn({"fronts": [{"side": 1, **front}, {"side": 2, **front}]}, path) == 4
        assert path.read_text().count("<!-- ") > 10
        assert all(
            f"<!-- {side}, 2 points; red: less reliable, large: more CO₂ -->" in path.read_text()
            for side in ("DSO", "TSO")
        )

    def test_price_priority_has_none(self, tmp_path: Path) -> None:
        with pytest.raises(NoFront, match="price priority"):
            self.drawn({}, tmp_path / "front.svg")

    @pytest.mark.parametrize("front", [{"side": 1}, {"side": 9, "chosen": [1] * 5, "points": []}, 7])
    def test_what_isnt_a_front_is_refused_by_name(self, tmp_path: Path, front: object) -> None:
        with pytest.raises(InvalidInput, match=r"notes\.fronts"):
            self.drawn({"fronts": [front]}, tmp_path / "front.svg")


def test_without_parameters_the_default_ones_count(market: SmallMarket) -> None:
    assert parameters_of(market) == ClearingParameters()


def test_anothers_count_for_nothing(market: SmallMarket) -> None:
    notarise(market, FIRST, DEAR_ACTIVATIONS.to_bytes())
    assert parameters_of(market) == ClearingParameters()


def test_once_the_gate_is_open_it_is_too_late(market: SmallMarket) -> None:
    market.chain.advance_to(TERMS.gateOpening)
    by_operator(market)
    assert parameters_of(market) == ClearingParameters()


def test_what_isnt_a_document_of_parameters_counts_for_nothing(market: SmallMarket) -> None:
    notarise(market, ADMIN, b'{"weight":1}')
    assert parameters_of(market) == ClearingParameters()
    by_operator(market)
    assert parameters_of(market) == DEAR_ACTIVATIONS


def test_the_first_ones_count(market: SmallMarket) -> None:
    by_operator(market)
    notarise(market, ADMIN, ClearingParameters(activation_ueur=1).to_bytes())
    assert parameters_of(market) == DEAR_ACTIVATIONS
