"""The aggregator's part in real-time sessions, without anybody's hand: baselines, roll-over of what wasn't used day ahead,
and what it newly offers, as one sealed document a session.

A rolled-over offer is an offer of a document like any other: positions, cover, caps and proofs of the sealed book hold for it,
and no offer stands in two books with one collateral.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from offchain.aggregator.roll_over import Leftover, merged, rolled_over
from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView
from offchain.chain.sessions import for_each_session
from offchain.market.client import MarketClient
from offchain.market.service import DocumentKind
from offchain.protocol.book_documents import (
    BaselineEntry,
    OfferEntry,
    SaltOf,
    baseline_document,
    offers_document,
)
from offchain.protocol.book_rules import check_document, check_offer
from offchain.protocol.cid import Cid
from offchain.protocol.errors import FlexledgerError, InvalidInput
from offchain.protocol.leaves import BASELINE, OFFER, OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Product, Side
from offchain.protocol.real_time import SoldPlaces, sold_places
from offchain.protocol.terms import PodFacts, SessionTerms
from offchain.protocol.typed_data import BookState, NoticeKind, Outcome
from offchain.store.documents import DocumentMissing, DocumentStore

logger = logging.getLogger(__name__)


class RealTimePlans(Protocol):
    """What the aggregator's own forecasting says of a real-time session."""

    def baseline(self, terms: SessionTerms) -> Sequence[BaselineEntry]:
        """Net power that its PoDs would have in the session's slots."""

    def offers(self, terms: SessionTerms) -> Sequence[OfferEntry]:
        """What it newly offers, beside what rolls over."""

    def salts(self, terms: SessionTerms, purpose: str) -> SaltOf:
        """Salts of the leaves of its document of a purpose: "baseline" or "offers"."""


@dataclass(frozen=True)
class _Ahead:
    """The fixed day-ahead session, and its validated outcome: None where it ended empty."""

    terms: SessionTerms
    outcome: ListDocument | None

    def sold(self, terms: SessionTerms) -> SoldPlaces:
        return {} if self.outcome is None else sold_places(self.outcome, self.terms, terms)

    def accepted_w(self) -> list[int] | None:
        """By position of the day-ahead book."""
        return None if self.outcome is None else self.outcome.list_of(OUTCOME_BY_OFFER).integers("acceptedW")


class RealTimeDesk:
    """Acts with the aggregator's account. `step` may be called at any time and killed at any instant: what is done is on
    chain. In a session for which the aggregator itself has committed offers, or anchored a baseline, it does neither.
    """

    def __init__(
        self, chain: ChainClient, documents: DocumentStore, client: MarketClient, plans: RealTimePlans
    ) -> None:
        self._chain = chain
        self._view = MarketView(chain)
        self._documents = documents
        self._client = client
        self._plans = plans

    def step(self) -> None:
        """One look at every session: do what is due. A session's fault is raised when all have been looked at."""
        for_each_session(self._view.session_ids(), self._look_at)

    def _look_at(self, session: int) -> None:
        terms = self._view.terms(session)
        time_s = self._view.market_time_s(session)
        if terms.marketType == 0 or time_s >= terms.documentsDeadline:
            return
        if terms.gateClosure <= time_s:
            self._reveal(terms, time_s)
            return
        ahead = self._view.day_ahead_of(terms)
        if ahead is not None and self._view.market_time_s(ahead.session) < ahead.validatedOutcomeDeadline:
            return
        if time_s < terms.baselineGate:
            self._anchor_baseline(terms, ahead)
        elif terms.gateOpening <= time_s:
            self._commit(terms, ahead)

    def _anchor_baseline(self, terms: SessionTerms, ahead: SessionTerms | None) -> None:
        """Only where the PoD has something left to sell: for the rest the day-ahead baseline stands."""
        known = self._view.notices(NoticeKind.BASELINE, terms.session)
        if any(notice.author == self._client.player for notice in known):
            return
        sold, pods = self._outcome_of(ahead).sold(terms) if ahead else {}, self._view.pods()
        entries = [
            entry
            for entry in self._plans.baseline(terms)
            if _has_more_to_sell(entry, pods.get(entry.pod), sold)
        ]
        if not entries:
            return
        salts = self._plans.salts(terms, "baseline")
        document = baseline_document(terms.session, self._client.player, entries, salts)
        cid = self._client.bring(DocumentKind.BASELINE, document.to_bytes())
        notice = (NoticeKind.BASELINE, terms.session, document.list_of(BASELINE).root, cid.digest, cid.codec)
        self._chain.send("DataNotary", "notarise", *notice)
        logger.info("session %d: baseline of %d leaves anchored", terms.session, len(entries))

    def _commit(self, terms: SessionTerms, ahead: SessionTerms | None) -> None:
        made = self._view.commitments(terms.session)
        if any(entry.player == self._client.player for entry in made):
            return
        rolled = list(self._rolled_over(terms, self._outcome_of(ahead))) if ahead else []
        entries = merged([*rolled, self._plans.offers(terms)])
        if not entries:
            return
        salts = self._plans.salts(terms, "offers")
        document = offers_document(terms.session, self._client.player, entries, salts)
        sealed = self._client.commit(document, Side.OFFER, terms.gateClosure)
        self._client.look_after(sealed)
        logger.info(
            "session %d: %d offers committed, %d of them rolled over",
            terms.session,
            len(entries),
            sum(map(len, rolled)),
        )

    def _reveal(self, terms: SessionTerms, time_s: int) -> None:
        for sealed in self._client.pending(terms.session):
            state = self._client.look_after(sealed)
            may_be_revealed = state is BookState.COMMITTED and time_s < terms.revealDeadline
            if may_be_revealed or state is BookState.REVEALED:
                self._client.reveal(sealed)

    def _rolled_over(self, terms: SessionTerms, ahead: _Ahead) -> Iterator[list[OfferEntry]]:
        """What rolls over of each of its documents in the day-ahead book."""
        accepted_w, sold, pods = ahead.accepted_w(), ahead.sold(terms), self._view.pods()
        for entry in self._view.book(ahead.terms.session):
            reveal = entry.reveal
            if reveal.player != self._client.player or reveal.side is not Side.OFFER:
                continue
            try:
                document = ListDocument.from_bytes(self._documents.get(entry.cid), joint=True)
                check_document(document, Side.OFFER, reveal.player, reveal.cap_ueur, ahead.terms)
            except (DocumentMissing, InvalidInput) as problem:
                logger.warning("nothing rolls over of document %d: %s", reveal.commitment, problem)
                continue
            leaves = document.list_of(OFFER).records()
            first = reveal.first_position
            taken_w = [0] * len(leaves) if accepted_w is None else accepted_w[first : first + len(leaves)]
            leftovers = [Leftover(leaf, power_w) for leaf, power_w in zip(leaves, taken_w, strict=True)]
            barred = {
                place for place, each in enumerate(leftovers) if self._is_barred(each, pods, ahead.terms)
            }
            yield rolled_over(leftovers, ahead.terms, terms, sold, barred)

    def _is_barred(self, leftover: Leftover, pods: dict[bytes, PodFacts], ahead: SessionTerms) -> bool:
        """Whether the registry has changed so that the offer would be void now."""
        try:
            check_offer(leftover.leaf, self._client.player, pods, ahead)
        except InvalidInput:
            return True
        return False

    def _outcome_of(self, ahead: SessionTerms) -> _Ahead:
        posted = self._view.validated_outcome(ahead.session)
        return _Ahead(ahead, None if posted is None else self._document_of(posted))

    def _document_of(self, posted: Outcome) -> ListDocument:
        cid = Cid(posted.cidCodec, posted.cidDigest)
        document = ListDocument.from_bytes(self._documents.get(cid), joint=False)
        roots = (document.list_of(OUTCOME_BY_OFFER).root, document.list_of(OUTCOME_BY_REQUEST).root)
        if roots != (posted.byOfferRoot, posted.byRequestRoot):
            raise FlexledgerError(f"session {posted.session}: {cid} isn't the validated outcome's document")
        return document


def _has_more_to_sell(entry: BaselineEntry, facts: PodFacts | None, sold: SoldPlaces) -> bool:
    """Whether the PoD may be offered in the slot for a kind of power of which nothing was sold."""
    return facts is not None and any(
        facts.may_offer(product)
        and facts.limit_w(product)
        and (entry.pod, entry.slot, product.is_active) not in sold
        for product in Product
    )
