"""Outcomes as lists that prove themselves: by offer, and by request and slot, with running sums (see protocol.md)."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from offchain.protocol.book_rules import exact, greatest
from offchain.protocol.cid import Cid
from offchain.protocol.columns import Coded, Constant, Counting, Runs
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import (
    OUTCOME_BY_OFFER,
    OUTCOME_BY_REQUEST,
    OUTCOME_RESERVE,
    REFUSAL,
    Columns,
    LeafKind,
)
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.pods import OutcomeSalts
from offchain.protocol.products import OfferStatus
from offchain.protocol.rounds import refusal_number
from offchain.protocol.typed_data import Outcome
from oracles.clearing.core.book import Book, Offer, OfferSalts
from oracles.clearing.core.reserve import reserve_left
from oracles.clearing.core.state import Acceptance, Clearing, Entries

Array = npt.NDArray[Any]


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
    entries = Entries.of(book, clearing.acceptances)
    reserve = Entries.of(book, clearing.reserve)
    lists = (
        LeafList.of_columns(OUTCOME_BY_OFFER, _by_offer(book, clearing, entries)),
        LeafList.of_columns(OUTCOME_BY_REQUEST, _of_entries(OUTCOME_BY_REQUEST, book, entries, entries)),
        LeafList.of_columns(
            OUTCOME_RESERVE, _of_entries(OUTCOME_RESERVE, book, reserve, reserve.after(entries))
        ),
    )
    return ListDocument(session, author, lists, notes or {})


def posted_outcome(document: ListDocument, cid: Cid, basis: bytes) -> Outcome:
    """What the board holds of an outcome: roots, lengths, CID and totals, all from the document itself.

    `basis`: the session's seed for a market outcome, the technical outcome's hash for a validated one.
    """
    by_offer, by_request = document.list_of(OUTCOME_BY_OFFER), document.list_of(OUTCOME_BY_REQUEST)
    reserve = document.list_of(OUTCOME_RESERVE)
    money_ueur = by_request.columns["runningUeur"][-1:]
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
        acceptedWSlots=int(by_request.columns["acceptedW"][:].sum(dtype=np.int64)),
        totalUeur=int(money_ueur[0]) if len(money_ueur) else 0,
        basis=basis,
    )


def _by_offer(book: Book, clearing: Clearing, entries: Entries) -> Columns:
    count = len(book.columns)
    position = Counting(0, count)
    lengths = [document.reveal.leaf_count for document in book.documents]
    offer_position = np.empty(count, dtype=np.uint32)
    for document in book.documents:
        offer_position[document.part] = np.arange(document.reveal.leaf_count)
    first_entry = np.zeros(count, dtype=np.uint32)
    first_entry[entries.offer[::-1]] = np.arange(len(entries), 0, -1)
    return {
        "position": position,
        "length": Constant(count, count),
        "commitment": Runs(np.array([each.reveal.commitment for each in book.documents], np.int64), lengths),
        "offerPosition": offer_position,
        "countedW": book.columns.counted_w,
        "acceptedW": accepted_by_offer(book, entries),
        "status": np.asarray(clearing.status, dtype=np.uint8),
        "startSlot": np.asarray(clearing.start_slots, dtype=np.uint16),
        "firstByRequest": first_entry,
        "because": np.asarray(clearing.because, dtype=np.uint32),
        "coverUeur": book.cover_ueur,
        "salt": OutcomeSalts(OfferSalts(book), OUTCOME_BY_OFFER.number, position),
    }


def accepted_by_offer(book: Book, entries: Entries) -> npt.NDArray[np.uint32]:
    """W taken of each offer by position: of a block, in each of its slots."""
    out = np.zeros(len(book.columns), dtype=np.uint32)
    is_block = book.columns.are_blocks(entries.offer)
    np.add.at(out, entries.offer[~is_block], entries.accepted_w[~is_block].astype(np.uint32))
    out[entries.offer[is_block]] = entries.accepted_w[is_block]
    return out


class _Groups:
    """Entries of a list with the same key, in the list's order."""

    def __init__(self, keys: Array) -> None:
        self._order = np.argsort(keys, kind="stable")
        begins = np.ones(len(keys), dtype=bool)
        begins[1:] = np.diff(keys[self._order]) != 0
        self._first = np.flatnonzero(begins)
        self._group = np.cumsum(begins) - 1
        self._begins = begins

    def running(self, values: Array) -> Array:
        """Sum over each entry's group up to and with it."""
        sums = np.cumsum(values[self._order], dtype=values.dtype)
        before = (sums - values[self._order])[self._first]
        return self._listed(sums - before[self._group])

    def total(self, values: Array) -> Array:
        """Sum over each entry's group."""
        sums = np.add.reduceat(values[self._order], self._first) if len(values) else values
        return self._listed(sums[self._group])

    @property
    def following(self) -> Array:
        """Position + 1 of the next entry of the group, 0 for the last: a leaf's `next...`."""
        out = np.zeros(len(self._order), dtype=np.int64)
        is_last = np.append(self._begins[1:], True)[: len(out)]
        out[:-1] = self._order[1:] + 1
        return self._listed(np.where(is_last, 0, out))

    @property
    def previous(self) -> Array:
        """As `following`, of the entry before, 0 for the first: a leaf's `previous...`."""
        out = np.zeros(len(self._order), dtype=np.int64)
        out[1:] = self._order[:-1] + 1
        return self._listed(np.where(self._begins, 0, out))

    def _listed(self, values: Array) -> Array:
        out = np.empty_like(values)
        out[self._order] = values
        return out


def _of_entries(kind: LeafKind, book: Book, entries: Entries, joint: Entries) -> Columns:
    """The list by request, or the reserve, whose chains and sums of PoDs run on from that list. `joint`: the entries, after all
    that their chains run on from."""
    requests, count, position = book.requests, len(entries), Counting(0, len(entries))
    own = slice(len(joint) - count, None)
    facts = [(each.position, each.slot, int(each.product), each.document) for each in requests]
    of_requests = np.array(facts, dtype=np.int64).reshape(-1, 4)[joint.request]
    _, joint_slot, joint_product, _ = of_requests.T
    request_position, slot, product, document = of_requests[own].T
    joint_pod = book.columns.pod[joint.offer]
    pod = joint_pod[own]
    permille, effectiveness_position, fee = entries.effectiveness
    accepted_w = entries.accepted_w.astype(np.int64)
    joint_w = joint.accepted_w.astype(np.int64)
    in_slot = (joint_slot.max(initial=0) + 1).astype(np.int64)
    of_request, of_document = _Groups(entries.request), _Groups(document)
    of_offer, of_slot = _Groups(joint.offer), _Groups(entries.offer * in_slot + slot)
    of_pod = _Groups((joint_pod.astype(np.int64) * in_slot + joint_slot) * 4 + joint_product)
    price = entries.price_ueur_per_kw
    most_ueur = greatest(accepted_w) * greatest(price) * max(1, count)
    paid_ueur = exact(accepted_w, most_ueur) * exact(price, most_ueur) // 1000
    return {
        "position": position,
        "length": Constant(count, count),
        "requestPosition": request_position,
        "effectivenessPosition": effectiveness_position,
        "offerPosition": entries.offer,
        "pod": Coded(book.pods, pod),
        "slot": slot,
        "product": product,
        "acceptedW": accepted_w,
        "priceUeurPerKw": price.astype(np.int64),
        "effectivenessPermille": permille,
        "gridFeeUeurPerKw": fee,
        "requestRunningWPermille": of_request.running(accepted_w * permille),
        "offerRunningW": of_slot.running(accepted_w),
        "podRunningW": of_pod.running(joint_w)[own],
        "podTotalW": of_pod.total(joint_w)[own],
        "nextForOffer": of_offer.following[own],
        "previousForPod": of_pod.previous[own],
        "nextForPod": of_pod.following[own],
        "runningW": np.cumsum(accepted_w),
        "runningUeur": np.cumsum(paid_ueur).astype(np.int64),
        "documentUeur": of_document.running(paid_ueur).astype(np.int64),
        "salt": OutcomeSalts(Coded(OfferSalts(book), entries.offer), kind.number, position),
    }


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
    it is linked to. Of the reserve goes what is of a PoD of which anything was refused in that slot. Everything else stays as
    the market outcome has it: the `because` of COM_EXCLUDED, RESERVED and RESERVE_EXCLUDED is a position of the market
    outcome's lists.
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
    refused_entries = [clearing.acceptances[refused.by_request_position] for refused in refusals]
    return replace(
        clearing,
        acceptances=tuple(kept),
        status=tuple(status),
        because=tuple(because),
        reserve=reserve_left(clearing.reserve, refused_entries),
    )


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
