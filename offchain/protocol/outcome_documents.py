"""A session's outcomes as D2.3's documents (Tables 9 to 17), from the lists of leaves that are anchored."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from offchain.protocol.documents.base import Document
from offchain.protocol.documents.outcome import (
    AcceptedRow,
    MarketOutcome,
    MatchedRow,
    Rejection,
    TechnicalOutcome,
    ValidatedOutcome,
    ValidatedRow,
    market_outcome,
    rejection_of,
    technical_outcome,
    validated_outcome,
)
from offchain.protocol.documents.time_frame import MarketType, ServiceType
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE, REFUSAL
from offchain.protocol.lists import ListDocument, Record
from offchain.protocol.market_time import Window
from offchain.protocol.products import OfferStatus, Product, Side
from offchain.protocol.terms import Reveal, SessionTerms, request_owner


def outcome_id(posted_hash: bytes) -> str:
    """What documents call an outcome: the hash under which it stands on chain, which fixes its roots and content id."""
    return "0x" + posted_hash.hex()


def matched_document(terms: SessionTerms, posted_hash: bytes, market: ListDocument) -> MarketOutcome:
    """Table 9 of a market outcome: what is to be validated, the first in order of merit first. Raises InvalidInput."""
    rows = [
        MatchedRow(
            pod=_pod(entry),
            slot=entry.integer("slot"),
            product=_product(entry),
            matched_w=entry.integer("acceptedW"),
            priority=entry.integer("position") + 1,
        )
        for entry in market.list_of(OUTCOME_BY_REQUEST).records()
    ]
    kind, window = _frame(terms)
    return market_outcome(outcome_id(posted_hash), str(terms.session), kind, window, rows)


def accepted_document(
    terms: SessionTerms, posted_hash: bytes, market: ListDocument, refusals: ListDocument
) -> TechnicalOutcome:
    """Table 12: OK and how much of it, or KO, for each quantity of the market outcome `posted_hash`. Raises InvalidInput."""
    refused_w: dict[int, int] = defaultdict(int)
    for refusal in refusals.list_of(REFUSAL).records():
        refused_w[refusal.integer("byRequestPosition")] += refusal.integer("refusedW")
    rows = [
        AcceptedRow(
            pod=_pod(entry),
            slot=entry.integer("slot"),
            product=_product(entry),
            accepted_w=entry.integer("acceptedW") - refused_w[entry.integer("position")],
        )
        for entry in market.list_of(OUTCOME_BY_REQUEST).records()
    ]
    kind, window = _frame(terms)
    return technical_outcome(outcome_id(posted_hash), kind, window, rows)


@dataclass
class Part:
    """A participant's part of an outcome: `rows` hold or are rejected, `reserve` may be ordered."""

    rows: list[ValidatedRow] = field(default_factory=list)
    reserve: list[ValidatedRow] = field(default_factory=list)


def parts_of(
    outcome: ListDocument,
    reveals: Sequence[Reveal],
    offers: Mapping[int, tuple[str, Sequence[Record]]],
) -> defaultdict[Side | str, Part]:
    """Each participant's part: an operator's by its side, an aggregator's (refused offers, too) by its address. `offers`: by
    commitment, whose and which. Raises InvalidInput."""
    parts: defaultdict[Side | str, Part] = defaultdict(Part)
    by_offer = outcome.list_of(OUTCOME_BY_OFFER).records()
    for kind in (OUTCOME_BY_REQUEST, OUTCOME_RESERVE):
        for entry in outcome.list_of(kind).records():
            accepted_w, price = entry.integer("acceptedW"), entry.integer("priceUeurPerKw")
            side = request_owner(reveals, entry.integer("requestPosition")).side
            position = entry.integer("offerPosition")
            if position >= len(by_offer) or by_offer[position].integer("commitment") not in offers:
                raise InvalidInput("offerPosition", position, "the book has no readable offer there")
            commitment = by_offer[position].integer("commitment")
            row = _row(entry, accepted_w, price, None, commitment)
            for part in (parts[side], parts[offers[commitment][0]]):
                (part.rows if kind is OUTCOME_BY_REQUEST else part.reserve).append(row)
    for result in by_offer:
        if result.integer("acceptedW") == 0 and result.integer("commitment") in offers:
            commitment = result.integer("commitment")
            player, own = offers[commitment]
            position, status = result.integer("offerPosition"), result.integer("status")
            if position >= len(own) or status > max(OfferStatus):
                raise InvalidInput(
                    "byOffer", (position, status), "must be of an offer of its document, with a status"
                )
            offer, rejection = own[position], rejection_of(OfferStatus(status))
            parts[player].rows.append(_row(offer, 0, 0, rejection, commitment))
    return parts


def part_document(
    terms: SessionTerms, posted_hash: bytes, part: Part, service: ServiceType
) -> ValidatedOutcome:
    """Table 15 of a participant's part. Raises InvalidInput."""
    kind, window = _frame(terms)
    return validated_outcome(outcome_id(posted_hash), kind, window, part.rows, service, part.reserve)


def require_alike(told: Document, anchored: Document) -> None:
    """Raises InvalidInput at the first field in which a document that somebody sent isn't what is anchored."""
    found = _difference("", told, anchored)
    if found is not None:
        place, value, expected = found
        raise InvalidInput(place, value, f"must be {expected!r}, as anchored")


def _difference(place: str, told: object, anchored: object) -> tuple[str, object, object] | None:
    if isinstance(told, Document) and isinstance(anchored, Document):
        for name, info in type(anchored).model_fields.items():
            inner = f"{place}.{info.alias}" if place else str(info.alias)
            found = _difference(inner, getattr(told, name), getattr(anchored, name))
            if found is not None:
                return found
        return None
    if isinstance(told, tuple) and isinstance(anchored, tuple):
        for index, (one, other) in enumerate(zip(told, anchored, strict=False)):
            found = _difference(f"{place}[{index}]", one, other)
            if found is not None:
                return found
        return None if len(told) == len(anchored) else (f"{place}.length", len(told), len(anchored))
    return None if told == anchored else (place, told, anchored)


def _row(
    record: Record, accepted_w: int, price: int, rejection: Rejection | None, commitment: int
) -> ValidatedRow:
    return ValidatedRow(
        pod=_pod(record),
        slot=record.integer("slot"),
        product=_product(record),
        accepted_w=accepted_w,
        price_ueur_per_kw=price,
        rejection=rejection,
        player_service_id=str(commitment),
    )


def _pod(record: Record) -> str:
    return "0x" + record.word("pod").hex()


def _product(record: Record) -> Product:
    number = record.integer("product")
    if number > max(Product):
        raise InvalidInput("product", number, f"must be at most {max(Product)}")
    return Product(number)


def _frame(terms: SessionTerms) -> tuple[MarketType, Window]:
    kind = MarketType.REAL_TIME if terms.marketType else MarketType.DAY_AHEAD
    return kind, Window(terms.deliveryStart, terms.slots)
