"""A session with all its results, from real documents: baselines, readings, refusals and settlement, honest or with one lie.

Of 12 kW asked for in two slots, PoDs 0 and 1 give 5 kW each and PoD 2 the rest. The grid refuses 2 kW of PoD 1 in the first
slot. PoD 0 delivers, PoD 1 hardly, PoD 2 too much in the first slot, and has no reading of the second.
"""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from offchain.protocol.claims import claim_tree
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import (
    BASELINE,
    OUTCOME_BY_OFFER,
    OUTCOME_BY_REQUEST,
    OUTCOME_RESERVE,
    READING,
    REFUSAL,
    SETTLEMENT,
    LeafKind,
)
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.metering import baselines_of, readings_of
from offchain.protocol.signatures import parse_address, sign_digest, to_compact
from offchain.protocol.terms import SLOT_S, SessionTerms
from offchain.protocol.typed_data import NoticeKind, Outcome, Pair, Reading, Settlement, TechnicalOutcome
from oracles.clearing.core.outcome import posted_outcome
from oracles.clearing.core.session import ClearedSession, clear_again, validate_session
from oracles.settlement.core.session import posted_settlement
from oracles.settlement.core.settle import SettlementResult, settle
from tests.contracts.chain import next_block_at, now_s, travel_to
from tests.contracts.conftest import account_of
from tests.contracts.outcomes import PODS, SmallBook, register_pods, small_book, with_lie
from tests.contracts.play import (
    CHAIN_ID,
    CID,
    GRID_MODEL,
    Played,
    certify,
    commit,
    key_of,
    notarise_grid_model,
    post_market,
    post_settlement,
    post_technical,
    post_validated,
    reveal,
)

SLOTS = (7, 8)
BASELINE_W = 8_000
SHARE_BASIS_POINTS = 5_000
REFUSED_ENTRY, REFUSED_W = 1, 2_000
# PoD, slot (by place), net Wh: PoD 0 delivers 5 and 5.2 kW, PoD 1 1 kW and nothing, PoD 2 4 kW. The second batch has a
# reading of PoD 0 in the second slot that contradicts the first: 4 kW.
FIRST_BATCH = ((0, 0, 750), (0, 1, 700), (1, 0, 1_750))
SECOND_BATCH = ((0, 1, 1_000), (1, 1, 2_100), (2, 0, 1_000))


@dataclass(frozen=True)
class Roles:
    """Who plays the session."""

    aggregators: Sequence[Any]
    customer: Any
    dso: Any
    clearing_oracle: Any
    grid_oracle: Any
    settlement_oracle: Any
    anchoring_oracle: Any


@dataclass(frozen=True)
class Proven:
    """Lists of a document, whose leaves are shown with their proofs."""

    document: ListDocument

    def leaf(self, kind: LeafKind, index: int) -> tuple[Any, ...]:
        """A leaf's values and proof, as the contracts' structs of the two."""
        leaves = self.document.list_of(kind)
        return (leaves.row(index), leaves.tree.proof(index))


@dataclass
class Results:
    """A session's results as they are posted, step by step."""

    market: Any
    terms: SessionTerms
    roles: Roles
    book: SmallBook
    baselines: dict[str, ListDocument]
    batches: tuple[ListDocument, ...] = ()
    cleared: ClearedSession | None = None
    market_document: ListDocument | None = None
    market_outcome: Outcome | None = None
    technical: TechnicalOutcome | None = None
    refusals: ListDocument | None = None
    validated: Outcome | None = None
    validated_document: ListDocument | None = None
    before: "Results | None" = None

    @property
    def session(self) -> int:
        return self.terms.session

    # The market outcome

    def post_market(self, document: ListDocument | None = None) -> None:
        """Post the round's market outcome: the honest one, or a document with a lie."""
        basis = bytes(self.market.CommitmentBook.seed(self.session))
        if self.before is not None:
            basis = self.before.technical.hash()
        else:
            self.cleared = self.book.cleared(self.roles.clearing_oracle.address, basis)
        self.market_document = document or self.cleared.market
        self.market_outcome = posted_outcome(self.market_document, CID, basis)
        post_market(self.market, self.terms, self.market_outcome, self.roles.clearing_oracle)

    def next_round(self) -> "Results":
        """The same session, about to be cleared again after its technical outcome."""
        again = clear_again(self.cleared, self.refusals)
        return replace(self, before=self, cleared=again, market_outcome=None, technical=None, refusals=None)

    def market_entry(self, index: int) -> tuple[Any, ...]:
        return Proven(self.market_document).leaf(OUTCOME_BY_REQUEST, index)

    def market_answer(self, index: int) -> tuple[Any, ...]:
        return Proven(self.market_document).leaf(OUTCOME_BY_OFFER, index)

    def market_reserved(self, index: int) -> tuple[Any, ...]:
        return Proven(self.cleared.market).leaf(OUTCOME_RESERVE, index)

    # The technical outcome

    def refusals_of(self, refused: Sequence[tuple[int, int]]) -> ListDocument:
        """Refusals of so many W of entries of the market outcome."""
        rows, running = [], 0
        entries = self.cleared.market.list_of(OUTCOME_BY_REQUEST).records()
        for position, (entry, refused_w) in enumerate(refused):
            running += refused_w
            of = entries[entry]
            rows.append(
                (
                    position,
                    len(refused),
                    entry,
                    of.integer("offerPosition"),
                    of.integer("slot"),
                    of.integer("product"),
                    refused_w,
                    running,
                    keccak256(b"line"),
                    1_500,
                    0,
                    GRID_MODEL,
                    keccak256(b"refusal %d" % position),
                )
            )
        lists = (LeafList.of_rows(REFUSAL, rows),)
        return ListDocument(self.session, self.roles.grid_oracle.address, lists)

    def post_technical(self, document: ListDocument | None = None, **changes: Any) -> TechnicalOutcome:
        """Post refusals: the honest ones, or a document with a lie, or outcome fields that lie."""
        self.refusals = document or self.refusals_of([(REFUSED_ENTRY, REFUSED_W)])
        leaves = self.refusals.list_of(REFUSAL)
        made = TechnicalOutcome(
            session=self.session,
            marketOutcomeHash=self.market_outcome.hash(),
            refusalRoot=leaves.root,
            refusalLength=len(leaves),
            gridModel=GRID_MODEL,
            cidDigest=CID.digest,
            cidCodec=CID.codec,
            refusedWSlots=sum(leaves.integers("refusedW")),
        )
        self.technical = replace(made, **changes)
        post_technical(self.market, self.terms, self.technical, self.roles.grid_oracle)
        return self.technical

    def refusal(self, index: int) -> tuple[Any, ...]:
        """IAssessmentChallenges.Refusal."""
        return Proven(self.refusals).leaf(REFUSAL, index)

    # The validated outcome

    def honest_validated(self) -> ListDocument:
        return validate_session(self.cleared, self.refusals, self.roles.clearing_oracle.address)

    def post_validated(self, document: ListDocument | None = None) -> Outcome:
        """Post the validated outcome: the honest one, or a document with a lie."""
        self.validated_document = document or self.honest_validated()
        self.validated = posted_outcome(self.validated_document, CID, self.technical.hash())
        post_validated(self.market, self.terms, self.validated, self.roles.clearing_oracle)
        return self.validated

    def entry(self, index: int) -> tuple[Any, ...]:
        """IChallenges.Entry of the validated outcome."""
        return Proven(self.validated_document).leaf(OUTCOME_BY_REQUEST, index)

    def answer(self, index: int) -> tuple[Any, ...]:
        """IChallenges.Answer of the validated outcome."""
        return Proven(self.validated_document).leaf(OUTCOME_BY_OFFER, index)

    def reserved(self, index: int) -> tuple[Any, ...]:
        """IChallenges.Entry of the validated outcome's reserve."""
        return Proven(self.validated_document).leaf(OUTCOME_RESERVE, index)

    # Readings and settlement

    def anchor_readings(self) -> None:
        """Anchor both batches at the end of delivery."""
        travel_to(self.terms.delivery_end_s)
        self.batches = (self.batch(FIRST_BATCH), self.batch(SECOND_BATCH))
        for batch in self.batches:
            self.anchor(batch)

    def batch(self, readings: Sequence[tuple[int, int, int]], signer: Any = None) -> ListDocument:
        """Readings of PoDs by number, slots by place and net Wh, each signed by the PoD's node, or by `signer`."""
        rows = []
        for position, (number, place, net_wh) in enumerate(readings):
            node = account_of(f"node {number}")
            start_s = self.terms.slot_start_s(SLOTS[place])
            reading = Reading(PODS[number], start_s, SLOT_S, net_wh, 0, 0, 0, 0, 0, 1 + position)
            digest = reading.digest(CHAIN_ID, self.market.ReadingAnchor.address)
            r, vs = to_compact(sign_digest(key_of(signer or node), digest))
            pod, *rest = astuple(reading)
            rows.append((position, len(readings), pod, parse_address("node", node.address), *rest, r, vs))
        lists = (LeafList.of_rows(READING, rows),)
        return ListDocument(self.session, self.roles.anchoring_oracle.address, lists)

    def anchor(self, batch: ListDocument, at_s: int | None = None) -> None:
        """Anchor a batch, at an instant if one is given."""
        if at_s is not None:
            next_block_at(at_s)
        root = batch.list_of(READING).root
        sender = {"from": self.roles.anchoring_oracle}
        self.market.ReadingAnchor.anchor(root, CID.digest, CID.codec, sender)

    def settled(self, batches: Sequence[ListDocument] | None = None) -> SettlementResult:
        """The honest settlement."""
        documents = [(author, document) for author, document in self.baselines.items()]
        known = self.batches if batches is None else batches
        return settle(
            self.validated_document,
            lambda _: self.roles.dso.address,
            self.book.facts,
            baselines_of(documents, self.book.facts),
            readings_of(known, self.terms, lambda document: [True] * len(document.list_of(READING))),
            lambda _, __, price: price * SHARE_BASIS_POINTS // 10_000,
            self.terms,
            self.roles.settlement_oracle.address,
        )

    def post(
        self, result: SettlementResult, pairs: Sequence[Pair] | None = None, **changes: Any
    ) -> "Settled":
        """Post a settlement."""
        made = replace(posted_settlement(result, CID, self.validated.hash()), **changes)
        shown = list(result.pairs if pairs is None else pairs)
        played = Played(self.market, self.terms, self.validated.hash())
        at_s = self.terms.readings_deadline_s + 1
        post_settlement(played, made, shown, self.roles.settlement_oracle, at_s)
        return Settled(self, made, tuple(shown), result)

    def lie(self, index: int, **values: int | bytes) -> "Settled":
        """Post a settlement with some values of one leaf changed, anything else as it is right."""
        honest = self.settled()
        return self.post(replace(honest, document=with_lie(honest.document, SETTLEMENT, index, **values)))

    def baseline(self, aggregator: Any, index: int) -> tuple[Any, ...]:
        """IDeliveryChallenges.Baseline."""
        return Proven(self.baselines[aggregator.address]).leaf(BASELINE, index)

    def reading(self, batch: int, index: int) -> tuple[Any, ...]:
        """IDeliveryChallenges.Reading."""
        return Proven(self.batches[batch]).leaf(READING, index)


@dataclass(frozen=True)
class Settled:
    """A settlement that stands on the board, with its leaves."""

    results: Results
    settlement: Settlement
    pairs: tuple[Pair, ...]
    result: SettlementResult

    @property
    def posted(self) -> tuple[Any, ...]:
        """ISettlementLeaves.Posted."""
        return (astuple(self.settlement), [astuple(pair) for pair in self.pairs])

    def judged(self, index: int) -> tuple[Any, ...]:
        """ISettlementLeaves.Judged."""
        return Proven(self.result.document).leaf(SETTLEMENT, index)

    def claim(self, position: int) -> tuple[Any, ...]:
        """ISettlementChallenges.Claim."""
        claim, length = self.result.claims[position], len(self.result.claims)
        proof = claim_tree(self.result.claims).proof(position)
        return (position, length, list(claim.wallets), list(claim.amounts_ueur), proof)


def baselines_document(
    session: int, author: str, numbers: Sequence[int], power_w: int = BASELINE_W
) -> ListDocument:
    """Baselines of some PoDs, by number, in both slots."""
    places = [(number, slot) for number in numbers for slot in SLOTS]
    rows = [
        (position, len(places), PODS[number], slot, power_w, 0, keccak256(b"baseline %d" % position))
        for position, (number, slot) in enumerate(places)
    ]
    return ListDocument(session, author, (LeafList.of_rows(BASELINE, rows),))


def notarise_baseline(market: Any, document: ListDocument, author: Any, at_s: int | None = None) -> None:
    """Notarise baselines in their author's name, at an instant if one is given."""
    if at_s is not None:
        next_block_at(at_s)
    root = document.list_of(BASELINE).root
    notice = (NoticeKind.BASELINE, document.session, root, CID.digest, CID.codec)
    market.DataNotary.notarise(*notice, {"from": author})


def play_to_clearing(
    market: Any,
    terms: SessionTerms,
    before_gate: Callable[[], None] = lambda: None,
    mechanism: str | None = None,
    change: Callable[[SmallBook], SmallBook] = lambda book: book,
) -> Results:
    """Play a session until its market outcome is due. `before_gate` happens after its baselines are notarised. The PoDs'
    mechanism is one of the factory's that gives customers half of the price, or another. `change`: of the small book."""
    roles = Roles(
        aggregators=[account_of("aggregator"), account_of("other_aggregator")],
        customer=account_of("customer"),
        dso=account_of("dso"),
        clearing_oracle=account_of("clearing_oracle"),
        grid_oracle=account_of("grid_oracle"),
        settlement_oracle=account_of("settlement_oracle"),
        anchoring_oracle=account_of("anchoring_oracle"),
    )
    share = market.SettlementMechanismFactory.createPercentage(
        [[SHARE_BASIS_POINTS] * 96] * 7, "half", {"from": roles.aggregators[0]}
    ).return_value
    facts = register_pods(
        market, roles.aggregators, roles.customer, roles.dso, account_of, mechanism or share
    )
    baselines = {}
    for place, aggregator in enumerate(roles.aggregators):
        document = baselines_document(terms.session, aggregator.address, (2 * place, 2 * place + 1))
        notarise_baseline(market, document, aggregator)
        baselines[aggregator.address] = document
    notarise_grid_model(market, terms.session, roles.grid_oracle)
    before_gate()
    paused_s = now_s() - market.MarketSessions.marketTime(terms.session)
    book = change(small_book(terms, facts, roles.aggregators, roles.dso, SLOTS))
    travel_to(terms.gateOpening + paused_s)
    for document in book.sealed():
        commit(market, terms.session, document)
    travel_to(terms.gateClosure + paused_s)
    for document in book.sealed():
        reveal(market, terms.session, document)
        certify(market, terms, document)
    travel_to(terms.documentsDeadline + paused_s)
    return Results(market, terms, roles, book, baselines)


def play_to_settlement(market: Any, terms: SessionTerms, mechanism: str | None = None) -> Results:
    """Play a session with honest results until its settlement is due."""
    results = play_to_clearing(market, terms, mechanism=mechanism)
    results.post_market()
    results.post_technical()
    results.post_validated()
    results.anchor_readings()
    return results


def fault_word(fault: str) -> str:
    """A fault as brownie shows a bytes32."""
    return "0x" + fault.encode().ljust(32, b"\0").hex()
