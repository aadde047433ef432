"""What an assessment rests on, fetched from chain and store: the same for the daemon and for `verify`."""

from dataclasses import dataclass

from offchain.chain.market_view import MarketView
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.leaves import OFFER
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Side
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import NoticeKind
from offchain.store.documents import DocumentStore
from oracles.grid.core.documents import (
    Forecast,
    assess_outcome,
    document_hash,
    forecast_of_bytes,
    grid_model_of_bytes,
    technical_outcome,
)
from oracles.grid.core.network import GridModel
from oracles.session_facts import book_documents, notarised_bytes


class GridDocumentMissing(FlexledgerError):
    """A session without an anchored grid model or forecast of its grid oracle."""


@dataclass(frozen=True, eq=False)
class AnchoredGrid:
    """A session's grid model and forecast, as one author anchored them before the gate opened."""

    model: GridModel
    model_hash: bytes
    forecast: Forecast


def anchored_grid(view: MarketView, store: DocumentStore, terms: SessionTerms, author: str) -> AnchoredGrid:
    """The grid model and forecast that an author anchored for a session: the first of each.

    Raises GridDocumentMissing where there is none, FlexledgerError where the bytes aren't what was anchored.
    """
    model_raw = _anchored(view, store, terms, NoticeKind.GRID_MODEL, author)
    model = grid_model_of_bytes(model_raw)
    forecast_raw = _anchored(view, store, terms, NoticeKind.FORECAST, author)
    forecast = forecast_of_bytes(forecast_raw, model.nodes, terms.slots)
    if forecast.grid_model != document_hash(model_raw):
        raise FlexledgerError(f"session {terms.session}: the forecast is for another grid model")
    return AnchoredGrid(model, document_hash(model_raw), forecast)


def assess_from_chain(
    view: MarketView, store: DocumentStore, terms: SessionTerms, market: ListDocument, author: str
) -> ListDocument:
    """The technical outcome of a market outcome on the grid that `author` anchored."""
    grid = anchored_grid(view, store, terms, author)
    minimum_w = _minima(view, store, terms.session)
    assessment = assess_outcome(grid.model, grid.forecast, market, minimum_w)
    return technical_outcome(assessment, market, grid.model_hash, author)


def _minima(view: MarketView, store: DocumentStore, session: int) -> list[int]:
    """Minimum acceptance of every offer of the book, by position; 0 for those of a void document."""
    out: list[int] = []
    for reveal, document in book_documents(view, store, session):
        if reveal.side is not Side.OFFER:
            continue
        if document is not None and [leaves.kind for leaves in document.lists] == [OFFER]:
            minima = document.list_of(OFFER).integers("minPowerW")
            out.extend(minima if len(minima) == reveal.leaf_count else [0] * reveal.leaf_count)
        else:
            out.extend([0] * reveal.leaf_count)
    return out


def _anchored(
    view: MarketView, store: DocumentStore, terms: SessionTerms, kind: NoticeKind, author: str
) -> bytes:
    for notice in view.notices(kind, terms.session):
        if notice.author.lower() == author.lower() and notice.at_s < terms.gateOpening:
            return notarised_bytes(store, notice, kind)
    raise GridDocumentMissing(
        f"session {terms.session}: {author} anchored no {kind.name} before the gate opened"
    )
