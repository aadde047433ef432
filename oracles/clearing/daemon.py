"""The clearing oracle's daemon: watches sessions, posts their market outcomes, round by round, and validated ones, each once."""

import logging
from collections.abc import Sequence

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView, Round, Stage
from offchain.chain.sessions import for_each_session
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.leaves import OUTCOME_BY_REQUEST, REFUSAL
from offchain.protocol.lists import ListDocument
from offchain.protocol.rounds import MOST_ROUNDS
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Outcome, TechnicalOutcome
from offchain.store.documents import DocumentStore
from offchain.store.lists import fetch_refusals
from offchain.store.receipts import Stores
from oracles.clearing.core.outcome import posted_outcome
from oracles.clearing.core.session import ClearedSession, clear_again, is_worthwhile, validate_session
from oracles.clearing.facts import as_standing, clear_from_chain
from oracles.on_dask import parts_on
from oracles.turns import Clock, clock_of, is_my_turn, last_part_s

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
            cleared = self._clear(terms)
            self._post_market_outcome(terms, cleared, self._view.seed(session))
        is_validated = any(self._view.posting(session, Stage.VALIDATED).hash)
        if not is_validated and clock.market_s < terms.validatedOutcomeDeadline:
            self._go_on(terms, clock, self._view.rounds(session))

    def _is_due(self, terms: SessionTerms, stage: Stage, clock: Clock) -> bool:
        return is_my_turn(terms, stage, self._view.posting(terms.session, stage), clock, self._chain.address)

    def _go_on(self, terms: SessionTerms, clock: Clock, rounds: Sequence[Round]) -> None:
        """After an assessment: another round where one is worthwhile and in time, else the validated outcome. A later round
        that nobody has assessed is waited for, and passed over in the last part of the window."""
        assessed = [(each.market, each.technical) for each in rounds if each.technical is not None]
        is_last_part = clock.market_s >= last_part_s(terms)
        if not assessed or (len(assessed) < len(rounds) and not is_last_part):
            return
        may_go_on = len(assessed) == len(rounds) < MOST_ROUNDS and not is_last_part
        next_is_due = may_go_on and self._is_due(terms, Stage.market_of(len(rounds) + 1), clock)
        validated_is_due = self._is_due(terms, Stage.VALIDATED, clock)
        if not next_is_due and not validated_is_due:
            return
        market, technical = assessed[-1]
        cleared = as_standing(self._documents, self._clear(terms, assessed[:-1]), market)
        if cleared.market.list_of(OUTCOME_BY_REQUEST).root != market.byRequestRoot:
            raise FlexledgerError(
                f"session {terms.session}: the posted market outcome isn't what the book gives"
            )
        refusals = fetch_refusals(self._documents, technical)
        if may_go_on and len(refusals.list_of(REFUSAL)):
            again = clear_again(cleared, refusals)
            if is_worthwhile(again, cleared, refusals):
                if next_is_due:
                    self._post_market_outcome(terms, again, technical.hash())
                return
        if validated_is_due:
            document = validate_session(cleared, refusals, self._chain.address)
            self._post(terms, "postValidatedOutcome", document, basis=technical.hash())
            logger.info("session %d: validated outcome posted", terms.session)

    def _clear(
        self, terms: SessionTerms, assessed: Sequence[tuple[Outcome, TechnicalOutcome]] = ()
    ) -> ClearedSession:
        return clear_from_chain(
            self._view, self._documents, terms, self._chain.address, assessed, self._map_parts
        )

    def _post_market_outcome(self, terms: SessionTerms, cleared: ClearedSession, basis: bytes) -> None:
        self._post(terms, "postMarketOutcome", cleared.market, basis)
        logger.info("session %d: market outcome of round %d posted", terms.session, cleared.round)

    def _post(self, terms: SessionTerms, function: str, document: ListDocument, basis: bytes) -> None:
        raw = document.to_bytes()
        cid = self._documents.put(raw)
        receipts = self._stores.receipts(raw, cid, terms, joint=False)
        self._chain.send("OutcomeBoard", function, posted_outcome(document, cid, basis), receipts)
