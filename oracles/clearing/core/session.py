"""A whole session: from its revealed documents to the market outcome, and with the DSO's answer to the validated one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from offchain.protocol.errors import InvalidInput
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import ClearingMethod
from offchain.protocol.real_time import SoldPlaces
from offchain.protocol.terms import PodFacts, Reveal, SessionTerms
from oracles.clearing.core.book import Book, assemble
from oracles.clearing.core.outcome import after_refusals, outcome_document, refusals_of
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.parts import MapParts, in_threads
from oracles.clearing.core.price_priority import clear
from oracles.clearing.core.pricing import pay_as_clear
from oracles.clearing.core.several_objectives import Front, clear_by_nsga2, clear_exactly, front_notes
from oracles.clearing.core.state import Clearing

SEVERAL_OBJECTIVES = {ClearingMethod.EXACT: clear_exactly, ClearingMethod.NSGA2: clear_by_nsga2}


@dataclass(frozen=True)
class ClearedSession:
    """A session's book, how it was cleared, and the document that says so. `fronts`: of a clearing by several objectives."""

    book: Book
    clearing: Clearing
    market: ListDocument
    fronts: tuple[Front, ...] = ()


def clear_session(
    documents: Iterable[tuple[Reveal, ListDocument | None]],
    pods: Mapping[bytes, PodFacts],
    seed: bytes,
    terms: SessionTerms,
    author: str,
    parameters: ClearingParameters | None = None,
    reliability: Mapping[bytes, int] | None = None,
    sold: SoldPlaces | None = None,
    map_parts: MapParts = in_threads,
) -> ClearedSession:
    """The market outcome of a session. `author`: the oracle that posts it; `parameters`, `reliability` (per mille by PoD): of
    several objectives; `sold`: places that the day-ahead result has sold, which stands; `map_parts`: who clears the parts of
    a book by price priority.

    Raises InvalidInput where the session names a method that this oracle doesn't know.
    """
    if terms.method not in list(ClearingMethod):
        known = [int(each) for each in ClearingMethod]
        raise InvalidInput("method", terms.method, f"must be one of {known}")
    method = ClearingMethod(terms.method)
    book = assemble(documents, pods, terms, sold)
    if method in SEVERAL_OBJECTIVES:
        clearing, fronts = SEVERAL_OBJECTIVES[method](
            book, pods, seed, parameters or ClearingParameters(), reliability
        )
        document = outcome_document(book, clearing, terms.session, author, {"fronts": front_notes(fronts)})
        return ClearedSession(book, clearing, document, fronts)
    clearing = clear(book, pods, seed, map_parts)
    if method is ClearingMethod.PAY_AS_CLEAR:
        clearing = replace(clearing, acceptances=pay_as_clear(book, clearing.acceptances))
    return ClearedSession(book, clearing, outcome_document(book, clearing, terms.session, author))


def validate_session(cleared: ClearedSession, technical: ListDocument, author: str) -> ListDocument:
    """The validated outcome: the market outcome less what the DSO's technical outcome refuses.

    Raises InvalidInput where the technical outcome isn't one of this market outcome.
    """
    kept = after_refusals(cleared.clearing, refusals_of(technical, cleared.market))
    return outcome_document(cleared.book, kept, cleared.market.session, author)
