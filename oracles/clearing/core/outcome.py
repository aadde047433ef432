"""Outcomes as lists that prove themselves: by offer, and by request and slot, with running sums (see protocol.md)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from offchain.protocol.cid import Cid
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE, REFUSAL, Value
from offchain.protocol.lists import LeafList, ListDocument, next_positions
from offchain.protocol.pods import outcome_salt
from offchain.protocol.products import OfferStatus
from offchain.protocol.typed_data import Outcome
from oracles.clearing.core.book import Book
from oracles.clearing.core.price_priority import Acceptance, Clearing


def outcome_document(book: Book, clearing: Clearing, session: int, author: str) -> ListDocument:
    """The outcome as a document: a leaf for every offer of the book, and the accepted ones by request."""
    by_request = _by_request(clearing.acceptances)
    first_entry: dict[int, int] = {}
    accepted_w: dict[int, int] = defaultdict(int)
    for index, acceptance in enumerate(clearing.acceptances):
        first_entry.setdefault(acceptance.offer.position, index)
        accepted_w[acceptance.offer.position] += acceptance.accepted_w
    by_offer: list[Sequence[Value]] = [
        (
            offer.position,
            len(book.offers),
            offer.commitment,
            offer.offer_position,
            accepted_w[offer.position],
            int(clearing.status[offer.position]),
            offer.slot,
            first_entry.get(offer.position, -1) + 1,
            outcome_salt(offer.salt, OUTCOME_BY_OFFER.number, offer.position),
        )
        for offer in book.offers
    ]
    lists = (
        LeafList.of_rows(OUTCOME_BY_OFFER, by_offer),
        LeafList.of_rows(OUTCOME_BY_REQUEST, by_request),
        LeafList.of_rows(OUTCOME_RESERVE, []),
    )
    return ListDocument(session, author, lists)


def posted_outcome(document: ListDocument, cid: Cid, basis: bytes) -> Outcome:
    """What the board holds of an outcome: roots, lengths, CID and totals, all from the document itself.

    `basis`: the session's seed for a market outcome, the technical outcome's hash for a validated one.
    """
    by_offer, by_request = document.list_of(OUTCOME_BY_OFFER), document.list_of(OUTCOME_BY_REQUEST)
    reserve = document.list_of(OUTCOME_RESERVE)
    money_ueur = by_request.integers("runningUeur")
    return Outcome(
        session=document.session,
        byOfferRoot=by_offer.root,
        byOfferLength=len(by_offer),
        byRequestRoot=by_request.root,
        byRequestLength=len(by_request),
        reserveRoot=reserve.root,
        reserveLength=len(reserve),
        cidDigest=cid.digest,
        cidCodec=cid.codec,
        acceptedWSlots=sum(by_request.integers("acceptedW")),
        totalUeur=money_ueur[-1] if money_ueur else 0,
        basis=basis,
    )


def _by_request(acceptances: Sequence[Acceptance]) -> list[Sequence[Value]]:
    pod_total: dict[tuple[bytes, int, int], int] = defaultdict(int)
    for entry in acceptances:
        pod_total[_pod_key(entry)] += entry.accepted_w
    next_for_offer = next_positions([entry.offer.position for entry in acceptances])
    next_for_pod = next_positions([_pod_key(entry) for entry in acceptances])
    request_sum: dict[int, int] = defaultdict(int)
    offer_sum: dict[int, int] = defaultdict(int)
    pod_sum: dict[tuple[bytes, int, int], int] = defaultdict(int)
    money = 0
    rows: list[Sequence[Value]] = []
    for position, entry in enumerate(acceptances):
        request, offer, pod_key = entry.request, entry.offer, _pod_key(entry)
        permille, effectiveness_position = request.effectiveness[offer.pod]
        request_sum[request.position] += entry.accepted_w * permille
        offer_sum[offer.position] += entry.accepted_w
        pod_sum[pod_key] += entry.accepted_w
        money += entry.accepted_w * offer.price_ueur_per_kw // 1000
        rows.append(
            (
                position,
                len(acceptances),
                request.position,
                effectiveness_position,
                offer.position,
                offer.pod,
                request.slot,
                int(request.product),
                entry.accepted_w,
                offer.price_ueur_per_kw,
                permille,
                request_sum[request.position],
                offer_sum[offer.position],
                pod_sum[pod_key],
                pod_total[pod_key],
                next_for_offer[position],
                next_for_pod[position],
                money,
                outcome_salt(offer.salt, OUTCOME_BY_REQUEST.number, position),
            )
        )
    return rows


def _pod_key(entry: Acceptance) -> tuple[bytes, int, int]:
    return (entry.offer.pod, entry.request.slot, int(entry.request.product))


def after_refusals(clearing: Clearing, refused_w: Mapping[int, int]) -> Clearing:
    """The clearing less what the DSO refused, by position in the market outcome's list by request.

    Entries refused whole are gone; a refused offer of which nothing is left says TEC.
    """
    status = list(clearing.status)
    kept = []
    left: dict[int, int] = defaultdict(int)
    refused_offers = set()
    for position, entry in enumerate(clearing.acceptances):
        remaining_w = entry.accepted_w - refused_w.get(position, 0)
        if remaining_w < entry.accepted_w:
            refused_offers.add(entry.offer.position)
        if remaining_w > 0:
            kept.append(replace(entry, accepted_w=remaining_w))
            left[entry.offer.position] += remaining_w
    for position in refused_offers:
        status[position] = OfferStatus.PARTLY_ACCEPTED if left[position] else OfferStatus.TEC
    return Clearing(tuple(kept), tuple(status))


def refused_w(technical: ListDocument, market: ListDocument) -> dict[int, int]:
    """Refused W by position in the market outcome's list by request; more than was accepted counts as all of it."""
    accepted = market.list_of(OUTCOME_BY_REQUEST).integers("acceptedW")
    refusals = technical.list_of(REFUSAL)
    out: dict[int, int] = defaultdict(int)
    for position, amount_w in zip(
        refusals.integers("byRequestPosition"), refusals.integers("refusedW"), strict=True
    ):
        if position < len(accepted):
            out[position] = min(accepted[position], out[position] + amount_w)
    return dict(out)
