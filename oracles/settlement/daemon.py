"""The settlement oracle's daemon: settles sessions once their readings are in, then pays and rewards, each once."""

import logging

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView, Stage
from offchain.protocol.claims import claim_tree
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.terms import SessionTerms
from offchain.store.documents import DocumentStore
from offchain.store.receipts import Stores
from oracles.settlement.core.session import posted_settlement
from oracles.settlement.core.settle import SettlementResult
from oracles.settlement.facts import settle_from_chain

GATHERED_AT_ONCE = 100

logger = logging.getLogger(__name__)


class SettlementDaemon:
    """Posts settlements with the chain's account, which must be a registered settlement oracle.

    `step` may be called at any time and killed at any instant: what is on chain isn't posted, paid or claimed again.
    """

    def __init__(self, chain: ChainClient, documents: DocumentStore, stores: Stores) -> None:
        self._chain = chain
        self._view = MarketView(chain)
        self._documents = documents
        self._stores = stores

    def step(self) -> None:
        """One look at every session: post, finalise and claim what is due."""
        for session in self._view.session_ids():
            terms, now_s = self._view.terms(session), self._chain.now_s()
            posted = self._view.settlement(session)
            if posted is None:
                if terms.readings_deadline_s < now_s < terms.settlementDeadline:
                    self._post(terms)
            elif not self._chain.call("SettlementLedger", "isFinal", session):
                if self._is_final(session):
                    self._gather(session)
                    self._chain.send("SettlementLedger", "finalise", *posted)
                    logger.info("session %d: settlement final, payments credited", session)
            else:
                self._claim(terms)

    def _post(self, terms: SessionTerms) -> None:
        result = self._settle(terms)
        if result is None:
            return
        raw = result.document.to_bytes()
        cid = self._documents.put(raw)
        validated = self._view.validated_outcome(terms.session)
        if validated is None:
            raise FlexledgerError(f"session {terms.session}: its validated outcome is gone")
        settlement = posted_settlement(result, cid, validated.hash())
        receipts = self._stores.receipts(raw, cid, terms, joint=False)
        self._chain.send("OutcomeBoard", "postSettlement", settlement, result.pairs, receipts)
        logger.info("session %d: settlement posted", terms.session)

    def _is_final(self, session: int) -> bool:
        stages = (Stage.VALIDATED, Stage.SETTLEMENT)
        return all(self._chain.call("OutcomeBoard", "isFinal", session, int(stage)) for stage in stages)

    def _gather(self, session: int) -> None:
        """Move what covers the session's documents to where it is paid from, a batch a transaction."""
        due = []
        for entry in self._view.reveals(session):
            known = (session, entry.opening.player, entry.sealed_hash)
            gathered = self._chain.call("CommitmentBook", "entry", *known)[2]
            if not gathered:
                due.append(known[1:])
        for first in range(0, len(due), GATHERED_AT_ONCE):
            batch = due[first : first + GATHERED_AT_ONCE]
            players, hashes = [player for player, _ in batch], [sealed for _, sealed in batch]
            self._chain.send("CommitmentBook", "gather", session, players, hashes)

    def _claim(self, terms: SessionTerms) -> None:
        unclaimed = None
        posted = self._view.settlement(terms.session)
        if posted is None:
            return
        for position in range(posted[0].claimLength):
            if self._chain.call("SettlementLedger", "isClaimed", terms.session, position):
                continue
            unclaimed = unclaimed or self._settle(terms)
            if unclaimed is None:
                return
            claim, proof = unclaimed.claims[position], claim_tree(unclaimed.claims).proof(position)
            arguments = (
                terms.session,
                position,
                len(unclaimed.claims),
                claim.wallets,
                claim.amounts_ueur,
                proof,
            )
            self._chain.send("SettlementLedger", "claim", *arguments)
            logger.info("session %d: claim %d: %d customers", terms.session, position, len(claim.wallets))

    def _settle(self, terms: SessionTerms) -> SettlementResult | None:
        validated = self._view.validated_outcome(terms.session)
        if validated is None:
            return None
        return settle_from_chain(self._chain, self._documents, terms, validated, self._chain.address)
