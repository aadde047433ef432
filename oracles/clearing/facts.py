"""What a clearing rests on, fetched from chain and store: the same for the daemon and for `verify`."""

import logging
from collections.abc import Mapping

from offchain.chain.market_view import MarketView
from offchain.protocol.cid import Cid
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE, SETTLEMENT
from offchain.protocol.lists import ListDocument
from offchain.protocol.roles import Role
from offchain.protocol.terms import PodFacts, SessionTerms
from offchain.protocol.typed_data import NoticeKind
from offchain.store.documents import DocumentStore
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.parts import MapParts, in_threads
from oracles.clearing.core.reliability import DeliveryRecord
from oracles.clearing.core.session import (
    SEVERAL_OBJECTIVES,
    ClearedSession,
    clear_session,
    session_as_posted,
)
from oracles.session_facts import book_documents, fetch_list_document, notarised_bytes

HISTORY_S = 30 * 24 * 3600
"""Of deliveries that the index of reliability looks back on."""
logger = logging.getLogger(__name__)


def clear_from_chain(
    view: MarketView, store: DocumentStore, terms: SessionTerms, author: str, map_parts: MapParts = in_threads
) -> ClearedSession:
    """The session's clearing, as `author` would post it; `map_parts`: who clears the parts of its book."""
    documents = book_documents(view, store, terms.session)
    pods, seed = view.pods_at_gate(terms), view.seed(terms.session)
    if terms.method not in SEVERAL_OBJECTIVES:
        return clear_session(documents, pods, seed, terms, author, map_parts=map_parts)
    parameters = clearing_parameters(view, store, terms)
    reliability = record_at_gate(view, store, terms).index_of_pods(aggregators_of(pods))
    return clear_session(documents, pods, seed, terms, author, parameters, reliability)


def clear_as_posted(
    view: MarketView, store: DocumentStore, terms: SessionTerms, cleared: ClearedSession, market: ListDocument
) -> ClearedSession:
    """The session's clearing as a posted market outcome must have it: `cleared`, this build's own.

    By several objectives another result is as good, if it keeps to the rules and is within 0.1 % of the optimum: raises
    RuleBroken or WorseThanPossible if it doesn't. Posted leaves that aren't those of the clearing's `market` are false.
    """
    if terms.method not in SEVERAL_OBJECTIVES or _is_same(market, cleared.market):
        return cleared
    documents = book_documents(view, store, terms.session)
    pods, seed = view.pods_at_gate(terms), view.seed(terms.session)
    parameters = clearing_parameters(view, store, terms)
    reliability = record_at_gate(view, store, terms).index_of_pods(aggregators_of(pods))
    return session_as_posted(documents, pods, seed, terms, market, parameters, reliability)


def _is_same(posted: ListDocument, cleared: ListDocument) -> bool:
    kinds = (OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE)
    return all(posted.list_of(kind).root == cleared.list_of(kind).root for kind in kinds)


def aggregators_of(pods: Mapping[bytes, PodFacts]) -> dict[bytes, str]:
    """The registry's PoDs and their aggregators."""
    return {pod: facts.aggregator for pod, facts in pods.items()}


def record_at_gate(view: MarketView, store: DocumentStore, terms: SessionTerms) -> DeliveryRecord:
    """Who delivered what when a session's gate closed: over the sessions that were delivered in the days before, and whose
    settlement was final by then. Raises DocumentMissing or RootMismatch where one can't be had."""
    settlements = []
    for session in view.session_ids():
        earliest_s = terms.gateClosure - HISTORY_S
        finalised_s = view.settlement_finalised_s(session)
        is_recent = view.terms(session).deliveryStart >= earliest_s
        if is_recent and finalised_s is not None and finalised_s < terms.gateClosure:
            found = view.settlement(session)
            assert found is not None, "what is final stands"
            posted, _ = found
            cid = Cid(posted.cidCodec, posted.cidDigest)
            settlements.append(
                fetch_list_document(store, "settlement", cid, {SETTLEMENT: posted.settlementRoot})
            )
    return DeliveryRecord(settlements)


def clearing_parameters(view: MarketView, store: DocumentStore, terms: SessionTerms) -> ClearingParameters:
    """The first parameters that an operator notarised for a session before its gate opened, else the default ones.

    What isn't a document of parameters counts for nothing: an operator's slip stops no session. Raises DocumentMissing or
    FlexledgerError where the store doesn't have what was notarised.
    """
    for notice in view.notices(NoticeKind.CLEARING_PARAMETERS, terms.session):
        if notice.at_s < terms.gateOpening and view.had_role(notice.author, Role.OPERATOR, notice.at_s):
            raw = notarised_bytes(store, notice, NoticeKind.CLEARING_PARAMETERS)
            try:
                return ClearingParameters.from_bytes(raw)
            except InvalidInput as problem:
                logger.warning(
                    "session %d: %s aren't clearing parameters: %s", terms.session, notice.cid, problem
                )
    return ClearingParameters()
