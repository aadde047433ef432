"""The clearing oracle's daemon: watches sessions, posts their market and validated outcomes, each once."""

import logging

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView, Stage
from offchain.chain.sessions import for_each_session
from offchain.protocol.cid import Cid
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.leaves import OUTCOME_BY_REQUEST, REFUSAL
from offchain.protocol.lists import ListDocument
from offchain.protocol.terms import SessionTerms
from offchain.store.documents import DocumentStore
from offchain.store.receipts import Stores
from oracles.clearing.core.outcome import posted_outcome
from oracles.clearing.core.session import ClearedSession, validate_session
from oracles.clearing.facts import clear_from_chain
from oracles.clearing.on_dask import parts_on
from oracles.session_facts import fetch_list_document
from oracles.turns import Clock, clock_of, is_my_turn

logger = logging.getLogger(__name__)


class ClearingDaemon:
    """Posts outcomes with the chain's account, which must be a registered clearing oracle.

    `step` may be called at any time and killed at any instant: what is on chain isn't posted again. `scheduler`: address of a
    Dask scheduler whose workers clear the parts of a book; without one, threads of this process do.
    """

    def __init__(
        self, chain: ChainClient, documents: DocumentStore, stores: Stores, scheduler: str | None = None
    ) -> None:
        self._chain = chain
        self._view = MarketView(chain)
        self._documents = documents
        self._stores = stores
        self._map_parts = parts_on(scheduler)

    def step(self) -> None:
        """One look at every session: post what is due. A session's fault is raised when all have been looked at."""
        for_each_session(self._view.session_ids(), self._look_at)

    def _look_at(self, session: int) -> None:
        terms, clock = self._view.terms(session), clock_of(self._chain, session)
        if clock.market_s < terms.documentsDeadline:
            return
        if self._is_due(terms, Stage.MARKET, clock):
            self._post_market_outcome(terms)
        if self._is_due(terms, Stage.VALIDATED, clock):
            self._post_validated_outcome(terms)

    def _is_due(self, terms: SessionTerms, stage: Stage, clock: Clock) -> bool:
        return is_my_turn(terms, stage, self._view.posting(terms.session, stage), clock, self._chain.address)

    def _post_market_outcome(self, terms: SessionTerms) -> None:
        document = self._clear(terms).market
        self._post(terms, "postMarketOutcome", document, basis=self._view.seed(terms.session))
        logger.info("session %d: market outcome posted", terms.session)

    def _post_validated_outcome(self, terms: SessionTerms) -> None:
        technical = self._view.technical_outcome(terms.session)
        market = self._view.market_outcome(terms.session)
        if technical is None or market is None:
            return
        cleared = self._clear(terms)
        if cleared.market.list_of(OUTCOME_BY_REQUEST).root != market.byRequestRoot:
            raise FlexledgerError(
                f"session {terms.session}: the posted market outcome isn't what the book gives"
            )
        cid = Cid(technical.cidCodec, technical.cidDigest)
        roots = {REFUSAL: technical.refusalRoot}
        refusals = fetch_list_document(self._documents, "technical outcome", cid, roots)
        document = validate_session(cleared, refusals, self._chain.address)
        self._post(terms, "postValidatedOutcome", document, basis=technical.hash())
        logger.info("session %d: validated outcome posted", terms.session)

    def _clear(self, terms: SessionTerms) -> ClearedSession:
        return clear_from_chain(self._view, self._documents, terms, self._chain.address, self._map_parts)

    def _post(self, terms: SessionTerms, function: str, document: ListDocument, basis: bytes) -> None:
        raw = document.to_bytes()
        cid = self._documents.put(raw)
        receipts = self._stores.receipts(raw, cid, terms, joint=False)
        self._chain.send("OutcomeBoard", function, posted_outcome(document, cid, basis), receipts)
