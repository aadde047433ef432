"""Outcomes as lists that prove themselves: by offer, and by request and slot, with running sums (see protocol.md)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from offchain.protocol.cid import Cid
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE, REFUSAL, Value
from offchain.protocol.lists import LeafList, ListDocument, next_positions, previous_positions
from offchain.protocol.pods import outcome_salt
from offchain.protocol.products import OfferStatus
from offchain.protocol.rounds import refusal_number
from offchain.protocol.typed_data import Outcome
from offchain.protocol.units import payment_ueur
from oracles.clearing.core.book import Book, Offer
from oracles.clearing.core.state import Acceptance, Clearing


@dataclass(frozen=True)
class Refused:
    """A quantity that the DSO refuses, of an entry of the market outcome's list by request."""

    by_request_position: int
    refused_w: int


@dataclass(frozen=True)
class Left:
    """What the DSO has left of an offer: W in all, of a block in each slot, 0 where that may not be taken. `because`: the
    refusal that an answer names for it (see `refusal_number`)."""

    power_w: int
    because: int


def outcome_document(
    book: Book, clearing: Clearing, session: int, author: str, notes: Mapping[str, object] | None = None
) -> ListDocument:
    """The outcome as a document: a leaf for every offer of the book, and the accepted ones by request."""
    by_request = _by_request(clearing.acceptances)
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
        LeafList.of_rows(OUTCOME_BY_REQUEST, by_request),
        LeafList.of_rows(OUTCOME_RESERVE, []),
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


def _by_request(acceptances: Sequence[Acceptance]) -> list[Sequence[Value]]:
    pod_total: dict[tuple[bytes, int, int], int] = defaultdict(int)
    for entry in acceptances:
        pod_total[_pod_key(entry)] += entry.accepted_w
    next_for_offer = next_positions([entry.offer.position for entry in acceptances])
    pod_keys = [_pod_key(entry) for entry in acceptances]
    next_for_pod, previous_for_pod = next_positions(pod_keys), previous_positions(pod_keys)
    request_sum: dict[int, int] = defaultdict(int)
    offer_sum: dict[tuple[int, int], int] = defaultdict(int)
    pod_sum: dict[tuple[bytes, int, int], int] = defaultdict(int)
    document_sum: dict[int, int] = defaultdict(int)
    running_w = running_ueur = 0
    rows: list[Sequence[Value]] = []
    for position, entry in enumerate(acceptances):
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
                len(acceptances),
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
                next_for_offer[position],
                previous_for_pod[position],
                next_for_pod[position],
                running_w,
                running_ueur,
                document_sum[request.document],
                outcome_salt(offer.salt, OUTCOME_BY_REQUEST.number, position),
            )
        )
    return rows


def _pod_key(entry: Acceptance) -> tuple[bytes, int, int]:
    return (entry.offer.pod, entry.request.slot, int(entry.request.product))


def left_of(clearing: Clearing, refusals: Sequence[Refused], round_: int = 1) -> dict[int, Left]:
    """What a round's refusals leave of each offer that they name, by its position.

    Nothing of an offer of which less than its minimum is left, nor of a block that isn't refused evenly.
    """
    first_refusal: dict[int, int] = {}
    for place, refused in enumerate(refusals):
        offer = clearing.acceptances[refused.by_request_position].offer.position
        first_refusal.setdefault(offer, refusal_number(round_, place))
    parts: dict[int, list[tuple[Offer, int]]] = defaultdict(list)
    for entry, remaining_w in _less(clearing, refusals):
        if entry.offer.position in first_refusal:
            parts[entry.offer.position].append((entry.offer, remaining_w))
    return {
        position: Left(_whole_w(of_offer) if _is_enough(of_offer) else 0, first_refusal[position])
        for position, of_offer in parts.items()
    }


def after_refusals(clearing: Clearing, refusals: Sequence[Refused], round_: int = 1) -> Clearing:
    """A round's clearing less what the DSO refused, in order of the refusals' list.

    Entries refused whole are gone, and so is an offer of which nothing may be taken any more, and what is linked to it.
    What a refusal cut says so: TEC where nothing is left, and `because`, the first refusal of the offer, or of the one that
    it is linked to. Everything else stays as the market outcome has it: the `because` of COM_EXCLUDED is a position of
    the market outcome's list.
    """
    left = left_of(clearing, refusals, round_)
    for entry in clearing.acceptances:
        parent = left.get(entry.offer.parent) if entry.offer.parent is not None else None
        if parent is not None and parent.power_w == 0:
            own = left.get(entry.offer.position, parent)
            left[entry.offer.position] = Left(0, own.because)
    kept = [
        replace(entry, accepted_w=remaining_w)
        for entry, remaining_w in _less(clearing, refusals)
        if remaining_w and (entry.offer.position not in left or left[entry.offer.position].power_w)
    ]
    status, because = list(clearing.status), list(clearing.because)
    for position, part in left.items():
        status[position] = OfferStatus.PARTLY_ACCEPTED if part.power_w else OfferStatus.TEC
        because[position] = part.because
    return replace(clearing, acceptances=tuple(kept), status=tuple(status), because=tuple(because))


def _less(clearing: Clearing, refusals: Sequence[Refused]) -> Iterator[tuple[Acceptance, int]]:
    """Each acceptance, and the W that are left of it."""
    left_w = [entry.accepted_w for entry in clearing.acceptances]
    for refused in refusals:
        left_w[refused.by_request_position] -= refused.refused_w
    return zip(clearing.acceptances, left_w, strict=True)


def _whole_w(parts: Sequence[tuple[Offer, int]]) -> int:
    return parts[0][1] if parts[0][0].is_block else sum(part_w for _, part_w in parts)


def _is_enough(parts: Sequence[tuple[Offer, int]]) -> bool:
    """Whether what is left of an offer, entry by entry, may be taken."""
    offer, left_w = parts[0][0], [part_w for _, part_w in parts]
    if offer.is_block:
        return len(set(left_w)) == 1 and left_w[0] >= max(1, offer.min_power_w)
    return sum(left_w) >= max(1, offer.min_power_w)


def refusals_of(technical: ListDocument, market: ListDocument) -> list[Refused]:
    """A technical outcome's refusals, held to the market outcome.

    Raises InvalidInput where one isn't at its position, or isn't of an entry, in the entries' order and once each, copies
    it wrongly, or refuses more than it has: no outcome follows from that, and each is a fraud proof.
    """
    entries, refusals = market.list_of(OUTCOME_BY_REQUEST).records(), technical.list_of(REFUSAL).records()
    out: list[Refused] = []
    for index, leaf in enumerate(refusals):
        for name, value in (("position", index), ("length", len(refusals))):
            if leaf.integer(name) != value:
                # Who names a refusal by its position would be taken at its word.
                raise InvalidInput(f"RefusalLeaf[{index}].{name}", leaf.integer(name), f"must be {value}")
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
