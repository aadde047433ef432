"""A whole session: from its revealed documents to the market outcome, with the DSO's answer to the validated one, and to
another round where that answer leaves a request short."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import ClearingMethod
from offchain.protocol.real_time import SoldPlaces
from offchain.protocol.terms import PodFacts, Reveal, SessionTerms
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.book import Book
from oracles.clearing.core.outcome import Left, after_refusals, left_of, outcome_document, refusals_of
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.pod_table import PodTable
from oracles.clearing.core.posted import clearing_as_posted
from oracles.clearing.core.price_priority import clear
from oracles.clearing.core.pricing import pay_as_clear
from oracles.clearing.core.reserve import with_reserve
from oracles.clearing.core.rounds import as_left, naming_refusals, serves_more
from oracles.clearing.core.several_objectives import Front, clear_by_nsga2, clear_exactly, front_notes
from oracles.clearing.core.state import Clearing
from oracles.parallel import MapParts, in_threads

SEVERAL_OBJECTIVES = {ClearingMethod.EXACT: clear_exactly, ClearingMethod.NSGA2: clear_by_nsga2}

ClearBook = Callable[[Book], tuple[Clearing, tuple[Front, ...] | None]]
"""A session's method: a book's clearing, and its fronts if it has several objectives."""
ReadPosted = Callable[[Book, ListDocument], Clearing]
"""A book's clearing as a posted market outcome has it, held to the rules and to the optimum."""
LISTS = (OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE)


@dataclass(frozen=True)
class ClearedSession:
    """A session's book, how it was cleared, and the document that says so. `fronts`: of a clearing by several objectives.
    `left`: what the DSO has left of the offers that it refused in the rounds before this one, by their positions. `read_posted`:
    where another result may be as good."""

    book: Book
    clearing: Clearing
    market: ListDocument
    clear_book: ClearBook
    read_posted: ReadPosted | None = None
    fronts: tuple[Front, ...] = ()
    round: int = 1
    left: Mapping[int, Left] = field(default_factory=dict)


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
    a book that nothing binds to each other.

    Raises InvalidInput where the session names a method that this oracle doesn't know.
    """
    if terms.method not in list(ClearingMethod):
        known = [int(each) for each in ClearingMethod]
        raise InvalidInput("method", terms.method, f"must be one of {known}")
    method = ClearingMethod(terms.method)

    pods = PodTable.of(pods)

    def clear_book(book: Book) -> tuple[Clearing, tuple[Front, ...] | None]:
        fronts = None
        if method in SEVERAL_OBJECTIVES:
            weights = parameters or ClearingParameters()
            clearing, fronts = SEVERAL_OBJECTIVES[method](book, pods, seed, weights, reliability, map_parts)
        else:
            clearing = clear(book, pods, seed, map_parts)
        if method is ClearingMethod.PAY_AS_CLEAR:
            clearing = replace(clearing, acceptances=pay_as_clear(book, clearing.acceptances))
        return with_reserve(clearing, book, pods, seed), fronts

    def read_posted(book: Book, market: ListDocument) -> Clearing:
        weights = parameters or ClearingParameters()
        clearing = clearing_as_posted(book, pods, seed, weights, reliability or {}, market)
        return with_reserve(clearing, book, pods, seed)

    book = assemble(documents, pods, terms, sold)
    first = _cleared(book, clear_book, terms.session, author, 1, {})
    return replace(first, read_posted=read_posted) if method in SEVERAL_OBJECTIVES else first


def clear_again(cleared: ClearedSession, technical: ListDocument) -> ClearedSession:
    """The next round after the DSO's technical outcome of the last.

    Raises InvalidInput where the technical outcome isn't one of that market outcome.
    """
    refusals = refusals_of(technical, cleared.market)
    left = {**cleared.left, **left_of(cleared.clearing, refusals, cleared.round)}
    session, author = cleared.market.session, cleared.market.author
    again = _cleared(cleared.book, cleared.clear_book, session, author, cleared.round + 1, left)
    return replace(again, read_posted=cleared.read_posted)


def is_worthwhile(again: ClearedSession, cleared: ClearedSession, technical: ListDocument) -> bool:
    """Whether the next round serves any request more than the technical outcome leaves of the last."""
    refusals = refusals_of(technical, cleared.market)
    return serves_more(again.clearing, after_refusals(cleared.clearing, refusals, cleared.round))


def as_posted(cleared: ClearedSession, market: ListDocument) -> ClearedSession:
    """A round as a posted market outcome must have it; `cleared`: as this build clears it.

    By several objectives another result is as good, if it keeps to the rules and is within 0.1 % of the optimum: raises
    RuleBroken or WorseThanPossible if it doesn't. Posted leaves that aren't those of the round's `market` are false.
    """
    if cleared.read_posted is None:
        return cleared
    if all(market.list_of(kind).root == cleared.market.list_of(kind).root for kind in LISTS):
        return cleared
    found = cleared.read_posted(as_left(cleared.book, cleared.left), market)
    clearing = naming_refusals(found, cleared.left)
    document = outcome_document(cleared.book, clearing, market.session, market.author)
    return replace(cleared, clearing=clearing, market=document, fronts=())


def validate_session(cleared: ClearedSession, technical: ListDocument, author: str) -> ListDocument:
    """The validated outcome: the last round's market outcome less what the DSO's technical outcome refuses of it.

    Raises InvalidInput where the technical outcome isn't one of this market outcome.
    """
    kept = after_refusals(cleared.clearing, refusals_of(technical, cleared.market), cleared.round)
    return outcome_document(cleared.book, kept, cleared.market.session, author)


def _cleared(
    book: Book, clear_book: ClearBook, session: int, author: str, round_: int, left: Mapping[int, Left]
) -> ClearedSession:
    found, fronts = clear_book(as_left(book, left))
    clearing = naming_refusals(found, left)
    notes = None if fronts is None else {"fronts": front_notes(fronts)}
    market = outcome_document(book, clearing, session, author, notes)
    return ClearedSession(book, clearing, market, clear_book, None, fronts or (), round_, left)
