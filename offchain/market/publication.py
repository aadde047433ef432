"""Publication of validated outcomes: each participant's own part, on its own topic (D2.3, Tables 15 to 17 and 28)."""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from offchain.chain.client import ChainClient
from offchain.chain.market_view import MarketView
from offchain.messaging.mqtt import Message
from offchain.messaging.topics import DSO_OUTCOME, TSO_OUTCOME, aggregator_outcome
from offchain.protocol.cid import Cid
from offchain.protocol.documents.base import dump
from offchain.protocol.documents.outcome import Rejection, ValidatedRow, rejection_of, validated_outcome
from offchain.protocol.documents.time_frame import MarketType, ServiceType
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import OFFER, OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE
from offchain.protocol.lists import ListDocument, Record
from offchain.protocol.market_time import Window
from offchain.protocol.products import OfferStatus, Product, Side
from offchain.protocol.terms import Reveal, SessionTerms, request_owner
from offchain.store.documents import DocumentMissing, DocumentStore


class Publisher(Protocol):
    """The way to the participants."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Returns once the broker has them all. Raises MessagingUnavailable or MessagingRefused."""


@dataclass
class Part:
    """A participant's part of an outcome: `rows` hold or are rejected, `reserve` may be ordered."""

    rows: list[ValidatedRow] = field(default_factory=list)
    reserve: list[ValidatedRow] = field(default_factory=list)


class OutcomePublication:
    """Publishes each session's validated outcome once; killed in between, it publishes again, never less.

    `aggregators`: broker user of each aggregator by its address.
    """

    def __init__(
        self,
        chain: ChainClient,
        documents: DocumentStore,
        publisher: Publisher,
        aggregators: Mapping[str, str],
        journal: Path,
    ) -> None:
        self._chain = chain
        self._view = MarketView(chain)
        self._documents = documents
        self._publisher = publisher
        self._aggregators = aggregators
        journal.parent.mkdir(parents=True, exist_ok=True)
        self._journal = sqlite3.connect(journal, isolation_level=None)
        self._journal.execute("CREATE TABLE IF NOT EXISTS published (session INTEGER PRIMARY KEY)")

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def step(self) -> None:
        """Publish what has been validated since."""
        published = {session for (session,) in self._journal.execute("SELECT session FROM published")}
        for session in self._view.session_ids():
            if session in published or self._view.validated_outcome(session) is None:
                continue
            self._publisher.publish(self._messages(self._view.terms(session)))
            self._journal.execute("INSERT INTO published VALUES (?)", (session,))

    def _messages(self, terms: SessionTerms) -> list[Message]:
        posted = self._view.validated_outcome(terms.session)
        if posted is None:
            return []
        raw = self._documents.get(Cid(posted.cidCodec, posted.cidDigest))
        parts = parts_of(
            ListDocument.from_bytes(raw, joint=False),
            [entry.reveal for entry in self._view.book(terms.session)],
            self._offers(terms),
        )
        outcome_id = "0x" + posted.hash().hex()
        told = [
            (DSO_OUTCOME, parts[Side.DSO_REQUEST], ServiceType.DSO_REQUEST),
            (TSO_OUTCOME, parts[Side.TSO_REQUEST], ServiceType.TSO_REQUEST),
        ]
        for address, user in self._aggregators.items():
            told.append((aggregator_outcome(user), parts[address], ServiceType.OFFER))
        return [self._message(topic, terms, outcome_id, part, service) for topic, part, service in told]

    def _message(
        self, topic: str, terms: SessionTerms, outcome_id: str, part: Part, service: ServiceType
    ) -> Message:
        kind = MarketType.REAL_TIME if terms.marketType else MarketType.DAY_AHEAD
        window = Window(terms.deliveryStart, terms.slots)
        return Message(
            topic, dump(validated_outcome(outcome_id, kind, window, part.rows, service, part.reserve))
        )

    def _offers(self, terms: SessionTerms) -> dict[int, tuple[str, list[Record]]]:
        """By commitment: the aggregator and its offers; those of a document that can't be read are told to nobody."""
        out = {}
        for entry in self._view.book(terms.session):
            if entry.reveal.side is not Side.OFFER:
                continue
            try:
                document = ListDocument.from_bytes(self._documents.get(entry.cid), joint=True)
                offers = document.list_of(OFFER).records()
            except (DocumentMissing, InvalidInput):
                continue
            if len(offers) == entry.reveal.leaf_count:
                out[entry.reveal.commitment] = (entry.reveal.player, offers)
        return out


def parts_of(
    outcome: ListDocument,
    reveals: Sequence[Reveal],
    offers: Mapping[int, tuple[str, Sequence[Record]]],
) -> defaultdict[Side | str, Part]:
    """Each participant's part: an operator's by its side, an aggregator's (refused offers, too) by its address."""
    parts: defaultdict[Side | str, Part] = defaultdict(Part)
    by_offer = outcome.list_of(OUTCOME_BY_OFFER).records()
    for kind in (OUTCOME_BY_REQUEST, OUTCOME_RESERVE):
        for entry in outcome.list_of(kind).records():
            accepted_w, price = entry.integer("acceptedW"), entry.integer("priceUeurPerKw")
            side = request_owner(reveals, entry.integer("requestPosition")).side
            commitment = by_offer[entry.integer("offerPosition")].integer("commitment")
            row = _row(entry, accepted_w, price, None, commitment)
            for part in (parts[side], parts[offers[commitment][0]]):
                (part.rows if kind is OUTCOME_BY_REQUEST else part.reserve).append(row)
    for result in by_offer:
        if result.integer("acceptedW") == 0 and result.integer("commitment") in offers:
            commitment = result.integer("commitment")
            player, own = offers[commitment]
            offer = own[result.integer("offerPosition")]
            rejection = rejection_of(OfferStatus(result.integer("status")))
            parts[player].rows.append(_row(offer, 0, 0, rejection, commitment))
    return parts


def _row(
    record: Record, accepted_w: int, price: int, rejection: Rejection | None, commitment: int
) -> ValidatedRow:
    return ValidatedRow(
        pod="0x" + record.word("pod").hex(),
        slot=record.integer("slot"),
        product=Product(record.integer("product")),
        accepted_w=accepted_w,
        price_ueur_per_kw=price,
        rejection=rejection,
        player_service_id=str(commitment),
    )
