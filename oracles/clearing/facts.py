"""What a clearing rests on, fetched from chain and store: the same for the daemon and for `verify`."""

import logging
from collections.abc import Mapping, Sequence

from offchain.chain.market_view import MarketView
from offchain.protocol.cid import Cid
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE, SETTLEMENT
from offchain.protocol.real_time import sold_places
from offchain.protocol.roles import Role
from offchain.protocol.terms import PodFacts, SessionTerms
from offchain.protocol.typed_data import NoticeKind, Outcome, TechnicalOutcome
from offchain.store.documents import DocumentStore
from offchain.store.lists import fetch_list_document, fetch_refusals
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.posted import WorseThanPossible
from oracles.clearing.core.reliability import DeliveryRecord
from oracles.clearing.core.service_program import RuleBroken
from oracles.clearing.core.session import (
    SEVERAL_OBJECTIVES,
    ClearedSession,
    as_posted,
    clear_again,
    clear_session,
)
from oracles.parallel import MapParts, in_threads
from oracles.session_facts import ahead_result, book_documents, notarised_bytes

HISTORY_S = 30 * 24 * 3600
"""Of deliveries that the index of reliability looks back on."""
logger = logging.getLogger(__name__)


def clear_from_chain(
    view: MarketView,
    store: DocumentStore,
    terms: SessionTerms,
    author: str,
    assessed: Sequence[tuple[Outcome, TechnicalOutcome]] = (),
    map_parts: MapParts = in_threads,
) -> ClearedSession:
    """The session's clearing in the round after those that were assessed, as `author` would post it; `map_parts`: who clears
    the parts of its book. A round that stands falsely counts as this build clears it: it is struck with all that rests on it."""
    cleared = _first_round(view, store, terms, author, map_parts)
    for market, technical in assessed:
        cleared = clear_again(as_standing_or_own(store, cleared, market), fetch_refusals(store, technical))
    return cleared


def as_standing(store: DocumentStore, cleared: ClearedSession, market: Outcome) -> ClearedSession:
    """A round as its market outcome that stands cleared it, see `as_posted`; `cleared`: as this build clears it.

    Raises DocumentMissing or RootMismatch where it is another, whose document can't be had.
    """
    roots = {
        OUTCOME_BY_OFFER: market.byOfferRoot,
        OUTCOME_BY_REQUEST: market.byRequestRoot,
        OUTCOME_RESERVE: market.reserveRoot,
    }
    if cleared.read_posted is None or all(
        cleared.market.list_of(kind).root == root for kind, root in roots.items()
    ):
        return cleared
    cid = Cid(market.cidCodec, market.cidDigest)
    return as_posted(cleared, fetch_list_document(store, "market outcome", cid, roots))


def as_standing_or_own(store: DocumentStore, cleared: ClearedSession, market: Outcome) -> ClearedSession:
    """As `as_standing`; what this build clears where the one that stands is false."""
    try:
        return as_standing(store, cleared, market)
    except (RuleBroken, WorseThanPossible):
        return cleared


def _first_round(
    view: MarketView, store: DocumentStore, terms: SessionTerms, author: str, map_parts: MapParts
) -> ClearedSession:
    documents = book_documents(view, store, terms.session)
    pods, seed, ahead = view.pods_at_gate(terms), view.seed(terms.session), ahead_result(view, store, terms)
    sold = None if ahead is None else sold_places(ahead.document, ahead.terms, terms)
    if terms.method not in SEVERAL_OBJECTIVES:
        return clear_session(documents, pods, seed, terms, author, sold=sold, map_parts=map_parts)
    parameters = clearing_parameters(view, store, terms)
    reliability = record_at_gate(view, store, terms).index_of_pods(aggregators_of(pods))
    return clear_session(documents, pods, seed, terms, author, parameters, reliability, sold)


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
        if is_recent and finalised_s is not None and view.is_before(terms, finalised_s, terms.gateClosure):
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
        if view.is_before(terms, notice.at_s, terms.gateOpening) and view.had_role(
            notice.author, Role.OPERATOR, notice.at_s
        ):
            raw = notarised_bytes(store, notice, NoticeKind.CLEARING_PARAMETERS)
            try:
                return ClearingParameters.from_bytes(raw)
            except InvalidInput as problem:
                logger.warning(
                    "session %d: %s aren't clearing parameters: %s", terms.session, notice.cid, problem
                )
    return ClearingParameters()
