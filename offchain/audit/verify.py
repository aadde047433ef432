"""Replay of a session: every document held to the chain, clearing, assessment and settlement computed again.

The first thing that differs ends the replay: what the chain has, what the replay gives, and where.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView
from offchain.protocol.cid import Cid
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.leaves import (
    OUTCOME_BY_OFFER,
    OUTCOME_BY_REQUEST,
    OUTCOME_RESERVE,
    REFUSAL,
    SETTLEMENT,
)
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Outcome, TechnicalOutcome, seed_share
from offchain.store.documents import DocumentStore
from oracles.clearing.core.outcome import posted_outcome
from oracles.clearing.core.session import ClearedSession, clear_session, validate_session
from oracles.grid.facts import assess_from_chain
from oracles.session_facts import baseline_documents, book_documents, fetch_list_document, reading_batches
from oracles.settlement.core.session import posted_settlement
from oracles.settlement.facts import genuine_of, settle_from_chain

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class ReplayDiffers(FlexledgerError):
    """The chain says something else than the replay."""

    def __init__(self, where: str, posted: object, replayed: object) -> None:
        super().__init__(f"{where}: the chain has {_shown(posted)}, the replay gives {_shown(replayed)}")


@dataclass(frozen=True)
class Check:
    """A step of the replay that held, and what it looked at."""

    name: str
    detail: str


class SessionReplay:
    """Replays one session; `checks` yields what holds and raises FlexledgerError at the first that doesn't."""

    def __init__(self, chain: ChainClient, documents: DocumentStore, session: int) -> None:
        self._chain = chain
        self._view = MarketView(chain)
        self._documents = documents
        self._session = session

    def checks(self) -> Iterator[Check]:
        """All checks in the order of the market day."""
        if self._session not in self._view.session_ids():
            raise FlexledgerError(f"session {self._session}: the deployment has none of that number")
        terms = self._view.terms(self._session)
        yield self._baselines(terms)
        yield self._book()
        market = self._view.market_outcome(self._session)
        if market is None:
            yield Check("market outcome", "none posted: the session ended empty")
            return
        cleared, check = self._market_outcome(terms, market)
        yield check
        technical = self._view.technical_outcome(self._session)
        validated = self._view.validated_outcome(self._session)
        if technical is None or validated is None:
            yield Check("validated outcome", "none posted: the session ended empty")
            return
        refusals, check = self._assessment(terms, technical, market)
        yield check
        yield self._validated_outcome(cleared, refusals, technical, validated)
        yield self._readings(terms)
        yield self._settlement(terms, validated)

    def _baselines(self, terms: SessionTerms) -> Check:
        documents = baseline_documents(self._view, self._documents, terms)
        leaves = sum(document.leaf_count for _, document in documents)
        return Check("baselines", f"{len(documents)} documents, {leaves} leaves, anchored before the gate")

    def _book(self) -> Check:
        seed, book = 0, self._view.book(self._session)
        for entry in self._view.reveals(self._session):
            seed ^= int.from_bytes(seed_share(entry.opening.player, entry.opening.salt), "big")
        for document in book:
            self._documents.get(document.cid)
        posted = self._view.seed(self._session)
        _same("session seed", posted, seed.to_bytes(32, "big"))
        return Check("book", f"{len(book)} documents, each with the revealed root; seed of all salts")

    def _market_outcome(self, terms: SessionTerms, posted: Outcome) -> tuple[ClearedSession, Check]:
        document = self._outcome_document("market outcome", posted)
        cleared = clear_session(
            book_documents(self._view, self._documents, self._session),
            self._view.pods_at_gate(terms),
            self._view.seed(self._session),
            terms,
            document.author,
        )
        _same_lists("market outcome", document, cleared.market)
        cid = Cid(posted.cidCodec, posted.cidDigest)
        replayed = posted_outcome(cleared.market, cid, self._view.seed(self._session))
        _same_fields("market outcome", posted, replayed)
        accepted = len(cleared.market.list_of(OUTCOME_BY_REQUEST))
        return cleared, Check(
            "clearing", f"{len(cleared.book.offers)} offers, {accepted} accepted quantities"
        )

    def _assessment(
        self, terms: SessionTerms, posted: TechnicalOutcome, market: Outcome
    ) -> tuple[ListDocument, Check]:
        _same("technical outcome: marketOutcomeHash", posted.marketOutcomeHash, market.hash())
        cid = Cid(posted.cidCodec, posted.cidDigest)
        document = fetch_list_document(
            self._documents, "technical outcome", cid, {REFUSAL: posted.refusalRoot}
        )
        market_document = self._outcome_document("market outcome", market)
        replayed = assess_from_chain(self._view, self._documents, terms, market_document, document.author)
        _same_lists("technical outcome", document, replayed)
        refused_w = sum(document.list_of(REFUSAL).integers("refusedW"))
        _same("technical outcome: refusedWSlots", posted.refusedWSlots, refused_w)
        return document, Check(
            "assessment", f"{len(document.list_of(REFUSAL))} refusals, power flow on the anchored model"
        )

    def _validated_outcome(
        self, cleared: ClearedSession, refusals: ListDocument, technical: TechnicalOutcome, posted: Outcome
    ) -> Check:
        document = self._outcome_document("validated outcome", posted)
        replayed = validate_session(cleared, refusals, document.author)
        _same_lists("validated outcome", document, replayed)
        cid = Cid(posted.cidCodec, posted.cidDigest)
        _same_fields("validated outcome", posted, posted_outcome(replayed, cid, technical.hash()))
        return Check(
            "validated outcome", f"{posted.totalUeur} µ€ for {posted.byRequestLength} accepted quantities"
        )

    def _readings(self, terms: SessionTerms) -> Check:
        genuine, batches = genuine_of(self._chain), reading_batches(self._view, self._documents, terms)
        held = [is_genuine for document in batches for is_genuine in genuine(document)]
        ignored = f"; {held.count(False)} that aren't don't count" if not all(held) else ""
        return Check(
            "readings",
            f"{held.count(True)} readings in {len(batches)} batches, each signed by its PoD's Light Node{ignored}",
        )

    def _settlement(self, terms: SessionTerms, validated: Outcome) -> Check:
        found = self._view.settlement(self._session)
        if found is None:
            return Check("settlement", "none posted yet")
        posted, pairs = found
        cid = Cid(posted.cidCodec, posted.cidDigest)
        document = fetch_list_document(
            self._documents, "settlement", cid, {SETTLEMENT: posted.settlementRoot}
        )
        result = settle_from_chain(self._chain, self._documents, terms, validated, document.author)
        _same_lists("settlement", document, result.document)
        _same("settlement: pairs", pairs, list(result.pairs))
        _same_fields("settlement", posted, posted_settlement(result, cid, validated.hash()))
        paid = sum(pair.paymentUeur for pair in pairs)
        return Check("settlement", f"{paid} µ€ paid, {posted.rewardsUeur} token units to customers")

    def _outcome_document(self, what: str, posted: Outcome) -> ListDocument:
        roots = {
            OUTCOME_BY_OFFER: posted.byOfferRoot,
            OUTCOME_BY_REQUEST: posted.byRequestRoot,
            OUTCOME_RESERVE: posted.reserveRoot,
        }
        return fetch_list_document(self._documents, what, Cid(posted.cidCodec, posted.cidDigest), roots)


def _same(where: str, posted: object, replayed: object) -> None:
    if posted != replayed:
        raise ReplayDiffers(where, posted, replayed)


def _same_fields(where: str, posted: "DataclassInstance", replayed: "DataclassInstance") -> None:
    theirs, ours = asdict(posted), asdict(replayed)
    for name in theirs:
        _same(f"{where}: {name}", theirs[name], ours[name])


def _same_lists(where: str, posted: ListDocument, replayed: ListDocument) -> None:
    for theirs, ours in zip(posted.lists, replayed.lists, strict=True):
        _same(f"{where}: {theirs.kind.name}: length", len(theirs), len(ours))
        _same_leaves(where, theirs, ours)


def _same_leaves(where: str, posted: LeafList, replayed: LeafList) -> None:
    if posted.kind.encode(posted.columns).tobytes() == replayed.kind.encode(replayed.columns).tobytes():
        return
    for index in range(len(posted)):
        for field, theirs, ours in zip(
            posted.kind.fields, posted.row(index), replayed.row(index), strict=True
        ):
            _same(f"{where}: {posted.kind.name}[{index}].{field.name}", theirs, ours)


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)


def run(replay: SessionReplay, say: Callable[[str], None]) -> bool:
    """Replay and say each check, then PASS or FAIL with the first difference; whether it passed."""
    try:
        for check in replay.checks():
            say(f"  {check.name}: {check.detail}")
    except FlexledgerError as difference:
        say(f"FAIL {difference}")
        return False
    say("PASS")
    return True
