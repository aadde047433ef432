"""Outcomes as lists that prove themselves: by offer, and by request and slot, with running sums (see protocol.md)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from offchain.protocol.cid import Cid
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import (
    OUTCOME_BY_OFFER,
    OUTCOME_BY_REQUEST,
    OUTCOME_RESERVE,
    REFUSAL,
    LeafKind,
    Value,
)
from offchain.protocol.lists import LeafList, ListDocument, next_positions, previous_positions
from offchain.protocol.pods import outcome_salt
from offchain.protocol.products import OfferStatus
from offchain.protocol.typed_data import Outcome
from offchain.protocol.units import payment_ueur
from oracles.clearing.core.book import Book, Offer
from oracles.clearing.core.reserve import reserve_left
from oracles.clearing.core.state import Acceptance, Clearing


@dataclass(frozen=True)
class Refused:
    """A quantity that the DSO refuses, of an entry of the market outcome's list by request."""

    by_request_position: int
    refused_w: int


def outcome_document(
    book: Book, clearing: Clearing, session: int, author: str, notes: Mapping[str, object] | None = None
) -> ListDocument:
    """The outcome as a document: a leaf for every offer of the book, and the accepted ones by request."""
    first_entry: dict[int, int] = {}
    for index, acceptance in enumerate(clearing.acceptances):
        first_entry.setdefault(acceptance.offer.position, index)
    accepted_w = accepted_by_offer(clearing.acceptances)
    by_offer: list[Sequence[Value]] = [
        (
            offer.position,
            len(book.offers),
            offer.commitment,
            offer.offer_position,
            offer.counted_w,
            accepted_w[offer.position],
            int(clearing.status[offer.position]),
            clearing.start_slots[offer.position],
            first_entry.get(offer.position, -1) + 1,
            clearing.because[offer.position],
            offer.cover_ueur,
            outcome_salt(offer.salt, OUTCOME_BY_OFFER.number, offer.position),
        )
        for offer in book.offers
    ]
    lists = (
        LeafList.of_rows(OUTCOME_BY_OFFER, by_offer),
        _entries(OUTCOME_BY_REQUEST, clearing.acceptances),
        _entries(OUTCOME_RESERVE, clearing.reserve, before=clearing.acceptances),
    )
    return ListDocument(session, author, lists, notes or {})


def accepted_by_offer(acceptances: Iterable[Acceptance]) -> dict[int, int]:
    """W taken of each offer by position: of a block, in each of its slots."""
    out: dict[int, int] = defaultdict(int)
    for entry in acceptances:
        if not entry.offer.is_block:
            out[entry.offer.position] += entry.accepted_w
        else:
            out[entry.offer.position] = entry.accepted_w
    return out


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


def _entries(kind: LeafKind, entries: Sequence[Acceptance], before: Sequence[Acceptance] = ()) -> LeafList:
    """The list by request, or the reserve, whose chains and sums of PoDs run on from what is taken `before` it."""
    joint, first = [*before, *entries], len(before)
    pod_total: dict[tuple[bytes, int, int], int] = defaultdict(int)
    for entry in joint:
        pod_total[_pod_key(entry)] += entry.accepted_w
    next_for_offer = next_positions([entry.offer.position for entry in joint])
    pod_keys = [_pod_key(entry) for entry in joint]
    next_for_pod, previous_for_pod = next_positions(pod_keys), previous_positions(pod_keys)
    request_sum: dict[int, int] = defaultdict(int)
    offer_sum: dict[tuple[int, int], int] = defaultdict(int)
    pod_sum: dict[tuple[bytes, int, int], int] = defaultdict(int)
    for entry in before:
        pod_sum[_pod_key(entry)] += entry.accepted_w
    document_sum: dict[int, int] = defaultdict(int)
    running_w = running_ueur = 0
    rows: list[Sequence[Value]] = []
    for position, entry in enumerate(entries):
        request, offer, pod_key = entry.request, entry.offer, _pod_key(entry)
        permille, effectiveness_position = request.effectiveness[offer.pod]
        request_sum[request.position] += entry.accepted_w * permille
        offer_sum[offer.position, request.slot] += entry.accepted_w
        pod_sum[pod_key] += entry.accepted_w
        paid_ueur = payment_ueur(entry.accepted_w, entry.price_ueur_per_kw)
        document_sum[request.document] += paid_ueur
        running_w += entry.accepted_w
        running_ueur += paid_ueur
        rows.append(
            (
                position,
                len(entries),
                request.position,
                effectiveness_position,
                offer.position,
                offer.pod,
                request.slot,
                int(request.product),
                entry.accepted_w,
                entry.price_ueur_per_kw,
                permille,
                request_sum[request.position],
                offer_sum[offer.position, request.slot],
                pod_sum[pod_key],
                pod_total[pod_key],
                next_for_offer[first + position],
                previous_for_pod[first + position],
                next_for_pod[first + position],
                running_w,
                running_ueur,
                document_sum[request.document],
                outcome_salt(offer.salt, kind.number, position),
            )
        )
    return LeafList.of_rows(kind, rows)


def _pod_key(entry: Acceptance) -> tuple[bytes, int, int]:
    return (entry.offer.pod, entry.request.slot, int(entry.request.product))


def after_refusals(clearing: Clearing, refusals: Sequence[Refused]) -> Clearing:
    """The clearing less what the DSO refused, in order of the refusals' list.

    Entries refused whole are gone. An offer of which less than its minimum is left isn't taken at all, nor a block that isn't
    refused evenly, nor an offer without the one that it is linked to. What a refusal cut says so: TEC where nothing is left,
    and `because`, position + 1 of the first refusal of the offer, or of the one that it is linked to. Of the reserve goes what is of
    a PoD of which anything was refused in that slot. Everything else stays as the market outcome has it: the `because` of
    COM_EXCLUDED, RESERVED and RESERVE_EXCLUDED is a position of the market outcome's lists.
    """
    status, because = list(clearing.status), list(clearing.because)
    left_w = [entry.accepted_w for entry in clearing.acceptances]
    first_refusal: dict[int, int] = {}
    for number, refused in enumerate(refusals, start=1):
        left_w[refused.by_request_position] -= refused.refused_w
        first_refusal.setdefault(clearing.acceptances[refused.by_request_position].offer.position, number)
    of_offer: dict[int, list[tuple[Offer, int]]] = defaultdict(list)
    for entry, remaining_w in zip(clearing.acceptances, left_w, strict=True):
        of_offer[entry.offer.position].append((entry.offer, remaining_w))
    taken = {position for position, parts in of_offer.items() if _is_enough(parts)}
    for position, parts in of_offer.items():
        parent = parts[0][0].parent
        if parent is not None and parent not in taken:
            taken.discard(position)
            first_refusal.setdefault(position, first_refusal[parent])
    kept = [
        replace(entry, accepted_w=remaining_w)
        for entry, remaining_w in zip(clearing.acceptances, left_w, strict=True)
        if remaining_w and entry.offer.position in taken
    ]
    for position, number in first_refusal.items():
        status[position] = OfferStatus.PARTLY_ACCEPTED if position in taken else OfferStatus.TEC
        because[position] = number
    refused_entries = [clearing.acceptances[refused.by_request_position] for refused in refusals]
    return replace(
        clearing,
        acceptances=tuple(kept),
        status=tuple(status),
        because=tuple(because),
        reserve=reserve_left(clearing.reserve, refused_entries),
    )


def _is_enough(parts: Sequence[tuple[Offer, int]]) -> bool:
    """Whether what is left of an offer, entry by entry, may be taken."""
    offer, left_w = parts[0][0], [part_w for _, part_w in parts]
    if offer.is_block:
        return len(set(left_w)) == 1 and left_w[0] >= max(1, offer.min_power_w)
    return sum(left_w) >= max(1, offer.min_power_w)


def refusals_of(technical: ListDocument, market: ListDocument) -> list[Refused]:
    """A technical outcome's refusals, held to the market outcome.

    Raises InvalidInput where one isn't of an entry, in the entries' order and once each, copies it wrongly, or refuses
    more than it has: no outcome follows from that, and each is a fraud proof.
    """
    entries = market.list_of(OUTCOME_BY_REQUEST).records()
    out: list[Refused] = []
    for index, leaf in enumerate(technical.list_of(REFUSAL).records()):
        position, amount_w = leaf.integer("byRequestPosition"), leaf.integer("refusedW")
        if position >= len(entries) or (out and position <= out[-1].by_request_position):
            rule = f"must be one of the outcome's {len(entries)} entries, after the one before"
            raise InvalidInput(f"RefusalLeaf[{index}].byRequestPosition", position, rule)
        entry = entries[position]
        for name in ("offerPosition", "slot", "product"):
            if leaf.integer(name) != entry.integer(name):
                rule = f"must be its entry's, {entry.integer(name)}"
                raise InvalidInput(f"RefusalLeaf[{index}].{name}", leaf.integer(name), rule)
        if not 0 < amount_w <= entry.integer("acceptedW"):
            rule = f"must be above 0 and at most what was accepted, {entry.integer('acceptedW')}"
            raise InvalidInput(f"RefusalLeaf[{index}].refusedW", amount_w, rule)
        out.append(Refused(position, amount_w))
    return out
