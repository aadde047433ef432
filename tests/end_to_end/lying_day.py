"""A demo day whose oracles lie first: an auditor's challenger takes each one's bond, then the honest one posts."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from offchain.audit.arbiter import ArbiterDesk
from offchain.audit.challenge import Challenger
from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView
from offchain.protocol.cid import Cid
from offchain.protocol.leaves import OFFER, OUTCOME_BY_REQUEST, REFUSAL, SETTLEMENT, Value
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.products import MarginUnit, Side
from offchain.protocol.roles import Role
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import NoticeKind, Outcome, Pair, TechnicalOutcome
from offchain.store.lists import fetch_list_document
from oracles.clearing.core.outcome import posted_outcome
from oracles.clearing.core.session import clear_session, validate_session
from oracles.grid.daemon import GridDaemon
from oracles.session_facts import book_documents
from oracles.settlement.core.session import posted_settlement
from oracles.settlement.core.settle import SettlementResult
from oracles.settlement.facts import settle_from_chain
from scripts.demo.cast import Person
from scripts.demo.day import FUNDS_UEUR, Day, DemoSettings, Progress
from scripts.demo.stage import Stage

GRID_LIARS = ("grid by another model", "grid by no physics")
LIARS = {
    "clearing": Role.CLEARING_ORACLE,
    **dict.fromkeys(GRID_LIARS, Role.GRID_ORACLE),
    "validation": Role.CLEARING_ORACLE,
    "settlement": Role.SETTLEMENT_ORACLE,
    "delivery": Role.SETTLEMENT_ORACLE,
    "invented payment": Role.SETTLEMENT_ORACLE,
}
RAISED_UEUR_PER_KW = 1_000
OTHER_MODEL = b"another model".ljust(32, b"\0")


@dataclass
class Lie:
    """What became of a liar: what the challenger said, and the bond before and after."""

    said: list[str] = field(default_factory=list)
    bonded_ueur: int = 0
    left_ueur: int = 0


class LyingDay(Day):
    """The day with a liar before each honest oracle; `lies` tells what became of each."""

    def __init__(self, stage: Stage, progress: Progress, settings: DemoSettings) -> None:
        super().__init__(stage, progress, settings)
        self.lies: dict[str, Lie] = {}
        self._view = MarketView(stage.operator)

    def liar(self, name: str) -> Person:
        """A liar, by what it lies about."""
        return self._cast.person(f"liar: {name}")

    def _register_participants(self) -> None:
        super()._register_participants()
        operator = self._stage.operator
        for name, role in LIARS.items():
            person = self.liar(name)
            operator.send("ParticipantRegistry", "register", person.address, role.mask, person.name)
            operator.send("Euro", "mint", person.address, FUNDS_UEUR)
            chain = self._stage.chain_as(person)
            chain.send("Euro", "approve", chain.address_of("Vault"), FUNDS_UEUR)
            chain.send("Vault", "deposit", FUNDS_UEUR)

    def _anchor_grid(self, grid: GridDaemon) -> None:
        """The liars anchor the true model and forecast: without, they couldn't post."""
        super()._anchor_grid(grid)
        for kind in (NoticeKind.GRID_MODEL, NoticeKind.FORECAST):
            known = self._view.notices(kind, self._terms.session)[0]
            for name in GRID_LIARS:
                chain = self._stage.chain_as(self.liar(name))
                place = (known.cid.digest, known.cid.codec)
                chain.send("DataNotary", "notarise", kind, self._terms.session, known.hash, *place)

    def _clear(self) -> None:
        """A friend's offers at a higher price than it asked for, all sums and links as they must be."""
        liar, terms = self.liar("clearing"), self._terms
        friend = self._cast.aggregators[0].address
        book = [
            (reveal, _dearer(document) if reveal.player == friend and reveal.side is Side.OFFER else document)
            for reveal, document in book_documents(self._view, self._stage.documents, terms.session)
        ]
        seed, pods = self._view.seed(terms.session), self._view.pods_at_gate(terms)
        lie = clear_session(book, pods, seed, terms, liar.address).market

        def post(chain: ChainClient, cid: Cid, receipts: object) -> None:
            chain.send("OutcomeBoard", "postMarketOutcome", posted_outcome(lie, cid, seed), receipts)

        self._lie("clearing", lie, post)
        super()._clear()

    def _assess(self, grid: GridDaemon) -> None:
        """The first entry refused: by a model that nobody anchored, then by the anchored one, but against its power flow."""
        market = self._view.market_outcome(self._terms.session)
        assert market is not None
        for name in GRID_LIARS:
            self._lie_about_the_grid(name, market)
        super()._assess(grid)
        self._lie_about_the_refusals(market)

    def _lie_about_the_refusals(self, market: Outcome) -> None:
        """What a rival was to deliver is taken away, as if the grid had refused it."""
        liar, terms = self.liar("validation"), self._terms
        technical = self._view.technical_outcome(terms.session)
        assert technical is not None
        seed, pods = self._view.seed(terms.session), self._view.pods_at_gate(terms)
        book = book_documents(self._view, self._stage.documents, terms.session)
        cleared = clear_session(book, pods, seed, terms, liar.address)
        invented = self._refusal_of_the_first(market, liar, technical.gridModel)
        lie = validate_session(cleared, invented, liar.address)

        def post(chain: ChainClient, cid: Cid, receipts: object) -> None:
            posted = posted_outcome(lie, cid, technical.hash())
            chain.send("OutcomeBoard", "postValidatedOutcome", posted, receipts)

        self._lie("validation", lie, post)

    def _refusal_of_the_first(self, market: Outcome, liar: Person, named_model: bytes) -> ListDocument:
        """The market outcome's first entry, refused in full."""
        cid, roots = Cid(market.cidCodec, market.cidDigest), {OUTCOME_BY_REQUEST: market.byRequestRoot}
        entries = fetch_list_document(self._stage.documents, "market outcome", cid, roots)
        entry = entries.list_of(OUTCOME_BY_REQUEST).records()[0]
        refused_w = entry.integer("acceptedW")
        row: list[Value] = [0, 1, 0, entry.integer("offerPosition"), entry.integer("slot")]
        row += [entry.integer("product"), refused_w, refused_w, b"a line".ljust(32, b"\0"), 1]
        row += [int(MarginUnit.LOADING_MILLIPERCENT), named_model, bytes(32)]
        return ListDocument(self._terms.session, liar.address, (LeafList.of_rows(REFUSAL, [row]),))

    def _lie_about_the_grid(self, name: str, market: Outcome) -> None:
        liar, session = self.liar(name), self._terms.session
        model = self._view.notices(NoticeKind.GRID_MODEL, session)[0].hash
        named_model = OTHER_MODEL if name == GRID_LIARS[0] else model
        lie = self._refusal_of_the_first(market, liar, named_model)
        refused_w = lie.list_of(REFUSAL).integers("refusedW")[0]

        def post(chain: ChainClient, cid: Cid, receipts: object) -> None:
            root = lie.list_of(REFUSAL).root
            posted = TechnicalOutcome(
                session, market.hash(), root, 1, model, cid.digest, cid.codec, refused_w
            )
            chain.send("OutcomeBoard", "postTechnicalOutcome", posted, receipts)

        self._lie(name, lie, post)

    def _post_settlement(self) -> None:
        """Nobody penalised for what it didn't deliver; then delivered what wasn't; then a payment for nothing."""
        terms, validated = self._terms, self._view.validated_outcome(self._terms.session)
        assert validated is not None
        self._settle_falsely(
            "settlement", validated, self._settled(replace(terms, penaltyUeurPerKw=0), validated)
        )
        right = self._settled(terms, validated)
        document = replace(right.document, lists=(_all_delivered(right.document.list_of(SETTLEMENT)),))
        self._settle_falsely("delivery", validated, replace(right, document=document))
        liar = self.liar("invented payment").address
        operator = self._stage.operator
        roles = Role.SETTLEMENT_ORACLE.mask | Role.AGGREGATOR.mask
        operator.send("ParticipantRegistry", "register", liar, roles, "an oracle that pays itself")
        invented = Pair(self._cast.tso.address, liar, 5_000_000, 0)
        pairs = sorted([*right.pairs, invented], key=lambda pair: (int(pair.payer, 16), int(pair.payee, 16)))
        self._settle_falsely("invented payment", validated, replace(right, pairs=tuple(pairs)))
        super()._post_settlement()

    def _settled(self, terms: SessionTerms, validated: Outcome) -> SettlementResult:
        stage = self._stage
        author = self.liar("settlement").address
        return settle_from_chain(stage.operator, stage.documents, terms, validated, author)

    def _settle_falsely(self, name: str, validated: Outcome, result: SettlementResult) -> None:
        def post(chain: ChainClient, cid: Cid, receipts: object) -> None:
            settlement = posted_settlement(result, cid, validated.hash())
            chain.send("OutcomeBoard", "postSettlement", settlement, result.pairs, receipts)

        self._lie(name, result.document, post)

    def _lie(
        self, name: str, document: ListDocument, post: Callable[[ChainClient, Cid, object], None]
    ) -> None:
        stage, liar = self._stage, self.liar(name)
        raw = document.to_bytes()
        cid = stage.documents.put(raw)
        receipts = stage.stores.receipts(raw, cid, self._terms, joint=False)
        post(stage.chain_as(liar), cid, receipts)
        lie = Lie(bonded_ueur=self._bonded(liar))
        auditor = stage.chain_as(self._cast.auditor)
        Challenger(auditor, stage.documents, self._terms.session, lie.said.append).run()
        cases = int(stage.operator.call("ArbiterCases", "count"))
        if any(line.startswith("CASE ") for line in lie.said):
            desk = ArbiterDesk(stage.chain_as(self._cast.arbiter), stage.documents)
            case = desk.case(cases)
            desk.rule(case, desk.opinion(case))
        if any(line.startswith("DEMANDED ") for line in lie.said):
            self._until(stage.operator.now_s() + self._terms.demandWindowS)
            Challenger(auditor, stage.documents, self._terms.session, lie.said.append).run()
        lie.left_ueur = self._bonded(liar)
        self.lies[name] = lie

    def _bonded(self, person: Person) -> int:
        return int(self._stage.operator.call("Vault", "bonded", person.address))


def _dearer(document: ListDocument | None) -> ListDocument | None:
    if document is None:
        return None
    offers = document.list_of(OFFER)
    columns = dict(offers.columns)
    columns["priceUeurPerKw"] = np.asarray(columns["priceUeurPerKw"][:]) + RAISED_UEUR_PER_KW
    return replace(document, lists=(LeafList(OFFER, columns),))


def _all_delivered(leaves: LeafList) -> LeafList:
    """As if everybody had delivered what was accepted of it."""
    columns = dict(leaves.columns)
    columns["deliveredW"] = columns["acceptedW"]
    return LeafList(SETTLEMENT, columns)
