"""The settlement oracle's daemon: settles sessions once their readings are in, then pays and rewards, each once."""

import logging
from collections.abc import Sequence

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView, Stage
from offchain.chain.sessions import for_each_session
from offchain.protocol.cid import Cid
from offchain.protocol.claims import claim_tree, claims_of
from offchain.protocol.leaves import SETTLEMENT
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Pair, Settlement
from offchain.store.documents import DocumentStore
from offchain.store.lists import fetch_list_document
from offchain.store.receipts import Stores
from oracles.settlement.core.session import posted_settlement
from oracles.settlement.facts import settle_from_chain
from oracles.turns import clock_of, is_my_turn

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
        """One look at every session: post, finalise and claim what is due. A session's fault is raised when all have been
        looked at."""
        for_each_session(self._view.session_ids(), self._look_at)

    def _look_at(self, session: int) -> None:
        terms, clock = self._view.terms(session), clock_of(self._chain, session)
        posting = self._view.posting(session, Stage.SETTLEMENT)
        if is_my_turn(terms, Stage.SETTLEMENT, posting, clock, self._chain.address):
            if clock.real_s > terms.readings_deadline_s:
                self._post(terms)
            return
        posted = self._view.settlement(session)
        if posted is None:
            return
        if self._chain.call("SettlementLedger", "isFinal", session):
            self._claim(*posted)
        elif self._is_final(session):
            self._gather(session)
            self._chain.send("SettlementLedger", "finalise", *posted)
            logger.info("session %d: settlement final, payments credited", session)

    def _post(self, terms: SessionTerms) -> None:
        validated = self._view.validated_outcome(terms.session)
        if validated is None:
            return
        result = settle_from_chain(self._chain, self._documents, terms, validated, self._chain.address)
        raw = result.document.to_bytes()
        cid = self._documents.put(raw)
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

    def _claim(self, settlement: Settlement, _pairs: Sequence[Pair]) -> None:
        """Mint what customers earned, by the posted document: whoever posted it."""
        session = settlement.session
        due = [
            position
            for position in range(settlement.claimLength)
            if not self._chain.call("SettlementLedger", "isClaimed", session, position)
        ]
        if not due:
            return
        cid, roots = Cid(settlement.cidCodec, settlement.cidDigest), {SETTLEMENT: settlement.settlementRoot}
        claims = claims_of(fetch_list_document(self._documents, "settlement", cid, roots)) or ()
        tree = claim_tree(claims)
        for position in due:
            claim = claims[position]
            amounts = (claim.wallets, claim.amounts_ueur, tree.proof(position))
            self._chain.send("SettlementLedger", "claim", session, position, len(claims), *amounts)
            logger.info("session %d: claim %d: %d PoDs", session, position, len(claim.wallets))
