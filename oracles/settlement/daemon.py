"""The settlement oracle's daemon: settles sessions once their readings are in, then pays and rewards, each once."""

import logging

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.terms import SessionTerms
from offchain.store.documents import DocumentStore
from oracles.settlement.core.session import claim_tree, posted_settlement
from oracles.settlement.core.settle import SettlementResult
from oracles.settlement.facts import settle_from_chain

logger = logging.getLogger(__name__)


class SettlementDaemon:
    """Posts settlements with the chain's account, which must be a registered settlement oracle.

    `step` may be called at any time and killed at any instant: what is on chain isn't posted, paid or claimed again.
    """

    def __init__(self, chain: ChainClient, documents: DocumentStore) -> None:
        self._chain = chain
        self._view = MarketView(chain)
        self._documents = documents

    def step(self) -> None:
        """One look at every session: post, finalise and claim what is due."""
        for session in self._view.session_ids():
            terms, now_s = self._view.terms(session), self._chain.now_s()
            posted = self._view.settlement(session)
            if posted is None:
                if terms.readings_deadline_s < now_s < terms.settlementDeadline:
                    self._post(terms)
            elif not self._chain.call("SettlementLedger", "isFinal", session):
                if self._chain.call("SettlementLedger", "canFinalise", session):
                    self._chain.send("SettlementLedger", "finalise", *posted)
                    logger.info("session %d: settlement final, payments credited", session)
            else:
                self._claim(terms)

    def _post(self, terms: SessionTerms) -> None:
        result = self._settle(terms)
        if result is None:
            return
        cid = self._documents.put(result.document.to_bytes())
        validated = self._view.validated_outcome(terms.session)
        if validated is None:
            raise FlexledgerError(f"session {terms.session}: its validated outcome is gone")
        settlement = posted_settlement(result, cid, validated.hash())
        self._chain.send("SettlementLedger", "postSettlement", settlement, result.pairs)
        logger.info("session %d: settlement posted", terms.session)

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
