"""What every oracle, and `verify`, needs of a session: its documents, fetched from the store and held to the chain."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from offchain.chain.client import ChainClient
from offchain.chain.market_view import Batch, BookDocument, MarketView, Notice
from offchain.protocol.cid import Cid
from offchain.protocol.errors import FlexledgerError, InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import (
    BASELINE,
    OUTCOME_BY_OFFER,
    OUTCOME_BY_REQUEST,
    READING,
)
from offchain.protocol.lists import ListDocument
from offchain.protocol.publication import published_document
from offchain.protocol.reading_signatures import genuine_readings
from offchain.protocol.terms import Reveal, SessionTerms
from offchain.protocol.typed_data import NoticeKind, Outcome
from offchain.store.documents import DocumentMissing, DocumentStore
from offchain.store.lists import RootMismatch, fetch_list_document

logger = logging.getLogger(__name__)


def fetch_book_document(store: DocumentStore, cid: Cid, root: bytes) -> ListDocument | None:
    """A document of the book, or None where its bytes aren't a document with that root, or were never brought to the store:
    void at its player's cost, so that a player who reveals by himself can't keep the session from the others.

    Raises DocumentCorrupt where the store's bytes have been changed: that is no player's doing.
    """
    try:
        document = ListDocument.from_bytes(store.get(cid), joint=True)
    except (DocumentMissing, InvalidInput) as problem:
        logger.warning("a revealed document is void: %s", problem)
        return None
    return document if document.joint_tree.root == root else None


def notarised_bytes(store: DocumentStore, notice: Notice, kind: NoticeKind) -> bytes:
    """The bytes of a notarised document. Raises FlexledgerError where they aren't those whose hash was notarised."""
    raw = store.get(notice.cid)
    if keccak256(raw) != notice.hash:
        raise FlexledgerError(f"{kind.name} {notice.cid}: its bytes aren't those whose hash was notarised")
    return raw


def book_documents(
    view: MarketView, store: DocumentStore, session: int
) -> list[tuple[Reveal, ListDocument | None]]:
    """The documents of the session's book in order of their numbers: from the store, or from calldata where the player
    had to publish it there. None: void at its player's cost."""
    return [(entry.reveal, _book_document(view, store, entry)) for entry in view.book(session)]


def _book_document(view: MarketView, store: DocumentStore, entry: BookDocument) -> ListDocument | None:
    document = fetch_book_document(store, entry.cid, entry.root)
    if document is not None:
        return document
    parts = view.published_parts(entry.opening)
    if not parts:
        return None
    reveal = entry.reveal
    try:
        return published_document(entry.opening.session, reveal.player, reveal.side, reveal.leaf_count, parts)
    except InvalidInput as problem:
        logger.warning("a published document is void: %s", problem)
        return None


def baseline_documents(
    view: MarketView, store: DocumentStore, terms: SessionTerms
) -> list[tuple[str, ListDocument]]:
    """Each author's first baseline of the session anchored before its baseline gate, oldest first, with who anchored it.

    What an author anchors after that counts for nothing, readable or not: nobody chooses later among several. One whose bytes were never brought, or aren't what was anchored, counts for nothing: a bad document of one player
    stops nobody else. Raises DocumentCorrupt where the store's bytes have been changed.
    """
    out, authors = [], set()
    for notice in view.notices(NoticeKind.BASELINE, terms.session):
        if notice.author in authors or not view.is_before(terms, notice.at_s, terms.baselineGate):
            continue
        authors.add(notice.author)
        try:
            document = fetch_list_document(store, "baseline", notice.cid, {BASELINE: notice.hash})
        except (DocumentMissing, RootMismatch, InvalidInput) as problem:
            logger.warning("session %d: baseline of %s ignored: %s", terms.session, notice.author, problem)
            continue
        out.append((notice.author, document))
    return out


def reading_batches(view: MarketView, store: DocumentStore, terms: SessionTerms) -> list[ListDocument]:
    """Batches of readings anchored by the session's deadline for readings, oldest first.

    Anybody with a role can anchor a root that stands for nothing: one whose bytes are nowhere, or aren't what was
    anchored, counts for nothing.
    """
    out = []
    for batch in view.anchored_batches(until_s=terms.readings_deadline_s):
        document = batch_document(store, batch)
        if document is not None:
            out.append(document)
    return out


def batch_document(store: DocumentStore, batch: Batch) -> ListDocument | None:
    """An anchored batch's readings, held to its root; None where no bytes that were named for it are they."""
    for cid in batch.cids:
        try:
            return fetch_list_document(store, "readings", cid, {READING: batch.root})
        except (DocumentMissing, RootMismatch, InvalidInput) as problem:
            logger.warning("readings at %s ignored: %s", cid, problem)
    return None


def genuine_of(chain: ChainClient) -> Callable[[ListDocument], list[bool]]:
    """Which leaves of a batch of readings are genuine, by the chain's record of keys and services."""
    domain, service = chain.domain("ReadingAnchor"), cache(MarketView(chain).node_service)

    def served(pod: bytes, node: str, instant_s: int) -> bool:
        return service(pod, node).covers(instant_s)

    return lambda document: genuine_readings(document, served, domain)


@dataclass(frozen=True, eq=False)
class AheadResult:
    """A day-ahead session and its validated outcome, on which a real-time session rests."""

    terms: SessionTerms
    outcome: Outcome
    document: ListDocument


def ahead_result(view: MarketView, store: DocumentStore, terms: SessionTerms) -> AheadResult | None:
    """The day-ahead result that counts for a real-time session: none where the day has no day-ahead session whose result is
    fixed by then, or where that ended empty. Raises FlexledgerError where its document can't be had or isn't what was posted.
    """
    ahead = view.day_ahead_of(terms)
    posted = None if ahead is None else view.validated_outcome(ahead.session)
    if ahead is None or posted is None:
        return None
    cid = Cid(posted.cidCodec, posted.cidDigest)
    roots = {OUTCOME_BY_OFFER: posted.byOfferRoot, OUTCOME_BY_REQUEST: posted.byRequestRoot}
    document = fetch_list_document(store, "day-ahead outcome", cid, roots)
    # A position beyond the posted length can't be named as a reason: no outcome then, rather than one that can be struck.
    found = len(document.list_of(OUTCOME_BY_REQUEST))
    if found != posted.byRequestLength:
        rule = f"its document's list has {found} leaves"
        raise InvalidInput(f"session {ahead.session}: byRequestLength", posted.byRequestLength, rule)
    return AheadResult(ahead, posted, document)
