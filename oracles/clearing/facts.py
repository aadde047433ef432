"""What a clearing rests on, fetched from chain and store: the same for the daemon and for `verify`."""

import logging

from offchain.chain.market_view import MarketView
from offchain.protocol.errors import InvalidInput
from offchain.protocol.roles import Role
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import NoticeKind
from offchain.store.documents import DocumentStore
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.session import ClearedSession, clear_session
from oracles.session_facts import book_documents, notarised_bytes

logger = logging.getLogger(__name__)


def clear_from_chain(
    view: MarketView, store: DocumentStore, terms: SessionTerms, author: str
) -> ClearedSession:
    """The session's clearing, as `author` would post it."""
    documents = book_documents(view, store, terms.session)
    pods, seed = view.pods_at_gate(terms), view.seed(terms.session)
    parameters = clearing_parameters(view, store, terms)
    return clear_session(documents, pods, seed, terms, author, parameters)


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
