"""What an assessment rests on, fetched from chain and store: the same for the daemon and for `verify`."""

from dataclasses import dataclass

from offchain.chain.market_view import MarketView, Notice
from offchain.protocol.errors import FlexledgerError
from offchain.protocol.lists import ListDocument
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
    assessment = assess_outcome(grid.model, grid.forecast, market)
    return technical_outcome(assessment, market, grid.model_hash, author)


def _anchored(
    view: MarketView, store: DocumentStore, terms: SessionTerms, kind: NoticeKind, author: str
) -> bytes:
    for notice in view.notices(kind, terms.session):
        if notice.author.lower() == author.lower() and notice.at_s < terms.gateOpening:
            return _held_to_its_hash(store, notice, kind)
    raise GridDocumentMissing(
        f"session {terms.session}: {author} anchored no {kind.name} before the gate opened"
    )


def _held_to_its_hash(store: DocumentStore, notice: Notice, kind: NoticeKind) -> bytes:
    raw = store.get(notice.cid)
    if document_hash(raw) != notice.hash:
        raise FlexledgerError(f"{kind.name} {notice.cid}: its bytes aren't those whose hash was notarised")
    return raw
