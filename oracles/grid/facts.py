"""What an assessment rests on, fetched from chain and store: the same for the daemon and for `verify`."""

from dataclasses import dataclass
from functools import cached_property

from offchain.chain.market_view import MarketView
from offchain.protocol.book_documents import payback_of
from offchain.protocol.cid import Cid
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.leaves import OFFER, OUTCOME_BY_REQUEST
from offchain.protocol.lists import ListDocument
from offchain.protocol.market_time import local_date, real_time_windows
from offchain.protocol.metering import Net, PodSlot, baselines_of
from offchain.protocol.products import Product, Side
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import NoticeKind
from offchain.store.documents import DocumentStore
from offchain.store.lists import fetch_list_document
from oracles.grid.core.assessment import Assessment, Case, assess_case
from oracles.grid.core.documents import (
    Forecast,
    OfferTerms,
    forecast_of_bytes,
    grid_of_bytes,
    outcome_items,
    technical_outcome,
)
from oracles.grid.core.expected import DayAhead, Expected, expected_nets
from oracles.grid.core.posted import require_as_good
from oracles.grid.core.switched_grid import Grid, watch_of
from oracles.parallel import MapParts, in_threads
from oracles.session_facts import ahead_result, baseline_documents, book_documents, notarised_bytes


class GridDocumentMissing(FlexledgerError):
    """A session without an anchored grid model or forecast of its grid oracle."""


@dataclass(frozen=True, eq=False)
class AnchoredGrid:
    """A session's grid and forecast, as one author anchored them before the gate opened."""

    model: Grid
    model_hash: bytes
    forecast: Forecast


def anchored_grid(view: MarketView, store: DocumentStore, terms: SessionTerms, author: str) -> AnchoredGrid:
    """The first forecast that an author anchored for a session, and the grid model for which that is, anchored as well.

    A model of which no forecast came says nothing: whoever was stopped between the two may go on with another one. Raises
    GridDocumentMissing where there is no such pair, FlexledgerError where the bytes aren't what was anchored.
    """
    forecast = forecast_of_bytes(_anchored(view, store, terms, NoticeKind.FORECAST, author))
    named = forecast.grid_model
    model = grid_of_bytes(_anchored(view, store, terms, NoticeKind.GRID_MODEL, author, named), terms.slots)
    return AnchoredGrid(model, named, forecast.fitting(model.nodes, terms.slots))


@dataclass(frozen=True, eq=False)
class AssessedMarket:
    """A market outcome, what it accepts on the grid that an author anchored, and our own assessment of that."""

    market: ListDocument
    model_hash: bytes
    case: Case
    assessment: Assessment
    author: str

    @cached_property
    def document(self) -> ListDocument:
        """The technical outcome."""
        return technical_outcome(self.assessment, self.market, self.model_hash, self.author)

    def require_as_good(self, posted: ListDocument) -> None:
        """FalseAssessment unless a posted technical outcome is as good as `document`, where floats differ."""
        if posted.lists[0].root != self.document.lists[0].root or posted.notes != self.document.notes:
            require_as_good(self.case, self.assessment, self.market, self.model_hash, posted)


def expected_from_chain(view: MarketView, store: DocumentStore, terms: SessionTerms) -> Expected:
    """What the market's PoDs are expected to absorb in a session: baselines and, in real time, what was sold day ahead, of the
    PoDs that there were when its gate closed.

    Raises FlexledgerError where the day-ahead outcome's document can't be had or isn't what was posted.
    """
    ahead_terms = view.day_ahead_of(terms)
    ahead = None
    if ahead_terms is not None:
        result = ahead_result(view, store, terms)
        ahead = _day_ahead(view, store, ahead_terms, None if result is None else result.document)
    return expected_nets(terms, baselines_of(baseline_documents(view, store, terms), view.pods()), ahead)


def _day_ahead(
    view: MarketView, store: DocumentStore, terms: SessionTerms, outcome: ListDocument | None
) -> DayAhead:
    """A day-ahead session and its validated outcome, if any, of the PoDs that there were when its gate closed."""
    named = set(() if outcome is None else outcome.list_of(OUTCOME_BY_REQUEST).integers("offerPosition"))
    return DayAhead(
        terms=terms,
        baselines=baselines_of(baseline_documents(view, store, terms), view.pods_at_gate(terms)),
        outcome=outcome,
        offers=_offers(view, store, terms.session, named),
        replaced_by=view.replaced_pods(),
    )


def nets_of_day(view: MarketView, store: DocumentStore, ahead: SessionTerms) -> dict[PodSlot, Net]:
    """What the market's PoDs do in the slots of a day-ahead session as far as it is known: by their baselines, real time's where there
    are, less what was sold day ahead and since. Raises FlexledgerError where an outcome's document can't be had."""
    sold = _validated(view, store, ahead)
    nets = dict(expected_nets(ahead, {}, _day_ahead(view, store, ahead, sold)).nets)
    for kind, window in enumerate(real_time_windows(local_date(ahead.deliveryStart)), start=1):
        terms = view.session_at(kind, window.start_s)
        if terms is None or not terms.rests_on(ahead):
            continue
        first = ahead.slot_at(terms.deliveryStart)
        since = {
            (pod, first + slot): net
            for (pod, slot), net in expected_from_chain(view, store, terms).nets.items()
            if slot < terms.slots
        }
        nets |= since
        outcome = _validated(view, store, terms)
        for entry in () if outcome is None else outcome.list_of(OUTCOME_BY_REQUEST).records():
            place = entry.word("pod"), first + entry.integer("slot")
            if place in nets and entry.integer("product") <= max(Product):
                nets[place] = nets[place].moved(Product(entry.integer("product")), entry.integer("acceptedW"))
    return {place: net for place, net in nets.items() if place[1] < ahead.slots}


def _validated(view: MarketView, store: DocumentStore, terms: SessionTerms) -> ListDocument | None:
    posted = view.validated_outcome(terms.session)
    if posted is None:
        return None
    cid, roots = Cid(posted.cidCodec, posted.cidDigest), {OUTCOME_BY_REQUEST: posted.byRequestRoot}
    return fetch_list_document(store, "validated outcome", cid, roots)


def assess_from_chain(
    view: MarketView,
    store: DocumentStore,
    terms: SessionTerms,
    market: ListDocument,
    author: str,
    map_parts: MapParts = in_threads,
) -> AssessedMarket:
    """Assess a market outcome on the grid that `author` anchored."""
    grid = anchored_grid(view, store, terms, author)
    named = set(market.list_of(OUTCOME_BY_REQUEST).integers("offerPosition"))
    offers = _offers(view, store, terms.session, named)
    items = outcome_items(grid.forecast, market, offers, grid.model.slack)
    case = Case(watch_of(grid.model), grid.forecast.p_w, grid.forecast.q_var, items)
    return AssessedMarket(market, grid.model_hash, case, assess_case(case, map_parts), author)


def _offers(
    view: MarketView, store: DocumentStore, session: int, positions: set[int]
) -> dict[int, OfferTerms]:
    """The offers at some positions of the book; none of a void document's."""
    out: dict[int, OfferTerms] = {}
    for reveal, document in book_documents(view, store, session):
        if reveal.side is not Side.OFFER or document is None:
            continue
        if [leaves.kind for leaves in document.lists] != [OFFER] or document.leaf_count != reveal.leaf_count:
            continue
        leaves = document.list_of(OFFER)
        mine = range(reveal.first_position, reveal.first_position + reveal.leaf_count)
        for position in sorted(positions.intersection(mine)):
            leaf = leaves.record(position - reveal.first_position)
            payback_w = payback_of(leaf.word("payback"))
            out[position] = OfferTerms(leaf.integer("powerW"), leaf.integer("minPowerW"), payback_w)
    return out


def _anchored(
    view: MarketView,
    store: DocumentStore,
    terms: SessionTerms,
    kind: NoticeKind,
    author: str,
    hash_: bytes | None = None,
) -> bytes:
    """The first document of a kind, or the one of a hash, that an author anchored before the gate opened."""
    for notice in view.notices(kind, terms.session):
        if notice.author.lower() != author.lower() or hash_ not in (None, notice.hash):
            continue
        if view.is_before(terms, notice.at_s, terms.gateOpening):
            return notarised_bytes(store, notice, kind)
    which = "" if hash_ is None else f" 0x{hash_.hex()}, for which its forecast is,"
    raise GridDocumentMissing(
        f"session {terms.session}: {author} anchored no {kind.name}{which} before the gate opened"
    )
