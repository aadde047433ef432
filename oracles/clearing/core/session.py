"""A whole session: from its revealed documents to the market outcome, and with the DSO's answer to the validated one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from offchain.protocol.lists import ListDocument
from offchain.protocol.terms import PodFacts, Reveal, SessionTerms
from oracles.clearing.core.book import Book, assemble
from oracles.clearing.core.outcome import after_refusals, outcome_document, refusals_of
from oracles.clearing.core.price_priority import Clearing, clear


@dataclass(frozen=True)
class ClearedSession:
    """A session's book, how it was cleared, and the document that says so."""

    book: Book
    clearing: Clearing
    market: ListDocument


def clear_session(
    documents: Iterable[tuple[Reveal, ListDocument | None]],
    pods: Mapping[bytes, PodFacts],
    seed: bytes,
    terms: SessionTerms,
    author: str,
) -> ClearedSession:
    """The market outcome of a session. `author`: the oracle that posts it."""
    book = assemble(documents, pods, terms)
    clearing = clear(book, pods, seed)
    return ClearedSession(book, clearing, outcome_document(book, clearing, terms.session, author))


def validate_session(cleared: ClearedSession, technical: ListDocument, author: str) -> ListDocument:
    """The validated outcome: the market outcome less what the DSO's technical outcome refuses.

    Raises InvalidInput where the technical outcome isn't one of this market outcome.
    """
    kept = after_refusals(cleared.clearing, refusals_of(technical, cleared.market))
    return outcome_document(cleared.book, kept, cleared.market.session, author)
