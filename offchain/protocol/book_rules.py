"""What a document must be to stand in the book, and what it may cost at most.

The player's client asks before it seals a document, the market before it takes one, and the clearing oracle when it
assembles the book: the same rules for all three. What is wrong with a whole document voids it; what is wrong with one
offer voids that offer.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from offchain.protocol.book_documents import CO2_NOTE, payback_of
from offchain.protocol.columns import Column
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import PART_ROWS, as_words
from offchain.protocol.leaves import EFFECTIVENESS, OFFER, REQUEST, Columns
from offchain.protocol.lists import ListDocument, Record
from offchain.protocol.products import Product, Side
from offchain.protocol.terms import PodFacts, SessionTerms

Numbers = npt.NDArray[Any]
"""A column of integers: of any width, or Python's where 64 bits don't do."""
_INT64_RANGE = 2**63
MOST_CO2_G_PER_KWH = 10_000
"""Ten times what a diesel generator emits."""


def exact(column: Numbers, most: int) -> Numbers:
    """A column as int64, or as Python's integers where something that is reckoned with it may be as great as `most`."""
    return column.astype(np.int64 if most < _INT64_RANGE else object)


def greatest(column: Numbers) -> int:
    """Greatest value of a column, 0 of an empty one."""
    return int(column.max()) if len(column) else 0


def offer_penalties_ueur(power_w: Numbers, duration_slots: Numbers, penalty_ueur_per_kw: int) -> Numbers:
    """Penalty of each offer for delivering nothing of it in any of its slots, rounded up: what collateral must cover.

    Exact, and so are sums of them.
    """
    most = (greatest(power_w) * greatest(duration_slots) * penalty_ueur_per_kw + 1) * max(1, len(power_w))
    power, duration = exact(power_w, most), exact(duration_slots, most)
    return -(-power * duration * penalty_ueur_per_kw // 1000)


def request_cost_ueur(relief_w: int, price_cap_ueur_per_kw: int, reserve_permille: int) -> int:
    """Most that a request can cost, reserve included, rounded up: what escrow must cover.

    The cap is a delivered price at effectiveness 1000, so a PoD that relieves less is paid less per kW and the sum holds.
    """
    return -(-relief_w * (1000 + reserve_permille) * price_cap_ueur_per_kw // 1_000_000)


def most_ueur(document: ListDocument, side: Side, terms: SessionTerms) -> int:
    """Sum over a document's offers of their penalties, or over its requests of their costs, in µ€: its least cap."""
    if side is Side.OFFER:
        offers = document.list_of(OFFER).columns
        penalties = offer_penalties_ueur(
            offers["powerW"][:], offers["durationSlots"][:], terms.penaltyUeurPerKw
        )
        return int(penalties.sum())
    return sum(
        request_cost_ueur(
            record.integer("reliefW"), record.integer("priceCapUeurPerKw"), record.integer("reservePermille")
        )
        for record in document.list_of(REQUEST).records()
    )


def check_document(
    document: ListDocument, side: Side, player: str, cap_ueur: int, terms: SessionTerms
) -> None:
    """Refuse a document that can't stand in the session's book for this player, side and cap.

    Raises InvalidInput: lists of the wrong kind, another session or author, a slot or product that the session
    doesn't have, more money than the cap, two grid fees of one PoD in an area.
    """
    kinds = (OFFER,) if side is Side.OFFER else (REQUEST, EFFECTIVENESS)
    names = [leaves.kind.name for leaves in document.lists]
    if tuple(leaves.kind for leaves in document.lists) != kinds:
        raise InvalidInput("lists", names, f"must be exactly {', '.join(kind.name for kind in kinds)}")
    if document.session != terms.session:
        raise InvalidInput("session", document.session, f"must be the commitment's, {terms.session}")
    if document.author.lower() != player.lower():
        raise InvalidInput("author", document.author, f"must be the commitment's player, {player}")
    outside = leaf_outside_session(document, terms)
    if outside is not None:
        leaf = document.lists[0].records()[outside]
        where, most_product = f"{kinds[0].name}[{outside}]", int(max(Product))
        if leaf.integer("slot") >= terms.slots:
            rule = f"the session has slots 0 to {terms.slots - 1}"
            raise InvalidInput(f"{where}.slot", leaf.integer("slot"), rule)
        raise InvalidInput(f"{where}.product", leaf.integer("product"), f"must be at most {most_product}")
    if side is not Side.OFFER:
        _check_fees(document)
    most = most_ueur(document, side, terms)
    if most > cap_ueur:
        raise InvalidInput("capUeur", cap_ueur, f"the document may cost {most} µ€")


def _check_fees(document: ListDocument) -> None:
    """An area states one grid fee of a PoD: of two, none would be the cheaper one for every offer."""
    effects = document.list_of(EFFECTIVENESS).columns
    fees = effects["gridFeeUeurPerKw"][:].astype(np.int64)
    if not fees.any():
        return
    areas, names = effects["area"][:].astype(np.int64), as_words(effects["pod"][:])
    order = np.lexsort((*names.T, areas))
    same = (np.diff(areas[order]) == 0) & (names[order[1:]] == names[order[:-1]]).all(axis=1)
    differ = np.flatnonzero(same & (np.diff(fees[order]) != 0))
    if len(differ):
        index = int(order[differ[0] + 1])
        rule = "must be the one that its area states of the PoD elsewhere"
        raise InvalidInput(f"{EFFECTIVENESS.name}[{index}].gridFeeUeurPerKw", int(fees[index]), rule)


def leaf_outside_session(document: ListDocument, terms: SessionTerms) -> int | None:
    """Index of the first offer or request whose slot or product the session doesn't have, None if there is none: one such
    leaf voids its whole document."""
    columns = document.lists[0].columns
    slot, product = columns["slot"][:].astype(np.int64), columns["product"][:].astype(np.int64)
    outside = np.flatnonzero((slot >= terms.slots) | (product > max(Product)))
    return int(outside[0]) if len(outside) else None


def are_void(
    offers: Columns,
    is_players: npt.NDArray[np.bool_],
    products: Numbers,
    limit_w: Numbers,
    terms: SessionTerms,
) -> npt.NDArray[np.bool_]:
    """Which offers of a document `check_offer` refuses; slots and products are the session's.

    By offer: `is_players`: its PoD is registered, and its aggregator's is the document; `products`: mask of what the PoD
    may be offered for; `limit_w`: most that it can give of the offer's product.
    """
    names = ("product", "powerW", "minPowerW", "slot", "lastSlot", "durationSlots", "linkedTo", "position")
    product, power_w, minimum_w, slot, last, duration, linked_to, position = (
        offers[name][:].astype(np.int64) for name in names
    )
    broken: npt.NDArray[np.bool_] = (
        ~is_players
        | ((products >> product) & 1 == 0)
        | (power_w <= 0)
        | (power_w > limit_w)
        | (minimum_w > power_w)
        | (duration < 1)
        | (slot > last)
        | (last > terms.slots - duration)
        | (linked_to > position)
    )
    return broken | _pay_back_too_much(offers["payback"], power_w, duration)


def _pay_back_too_much(payback: Column, power_w: Numbers, duration: Numbers) -> npt.NDArray[np.bool_]:
    """Which offers state a payback above their power in some slot, or more of it in all than they move. Most state none: a
    part at a time is looked through for those that do."""
    out = np.zeros(len(power_w), dtype=bool)
    for first in range(0, len(power_w), PART_ROWS):
        words = payback[first : first + PART_ROWS]
        some = np.flatnonzero(as_words(words).any(axis=1))
        size_w = np.abs(np.ascontiguousarray(words[some]).view(">i4").astype(np.int64))
        rows = first + some
        moved_w = power_w[rows] * duration[rows]
        out[rows] = (size_w > power_w[rows, None]).any(axis=1) | (size_w.sum(axis=1) > moved_w)
    return out


def check_offer(record: Record, player: str, pods: Mapping[bytes, PodFacts], terms: SessionTerms) -> None:
    """Refuse an offer that its player may not make.

    Raises InvalidInput: an unknown or another aggregator's PoD, one not prequalified for the product, no power or more
    than the PoD's limit, a minimum above the power, a block that ends after the session, a link to a later offer, a payback
    above its power in a slot or, in all, of more energy than it moves.
    """
    pod, power_w = record.word("pod"), record.integer("powerW")
    facts = pods.get(pod)
    if facts is None:
        raise InvalidInput("pod", "0x" + pod.hex(), "isn't in the PoD registry")
    if facts.aggregator.lower() != player.lower():
        raise InvalidInput("pod", "0x" + pod.hex(), f"is offered by its aggregator only, {facts.aggregator}")
    product = Product(record.integer("product"))
    if not facts.may_offer(product):
        raise InvalidInput(
            "product", int(product), "isn't one that the PoD is prequalified for, or it is suspended"
        )
    limit_w = facts.limit_w(product)
    if not 0 < power_w <= limit_w:
        raise InvalidInput("powerW", power_w, f"must be above 0 and within the PoD's limit of {limit_w}")
    if record.integer("minPowerW") > power_w:
        raise InvalidInput("minPowerW", record.integer("minPowerW"), f"must be at most powerW, {power_w}")
    _check_order(record, terms)


def _check_order(record: Record, terms: SessionTerms) -> None:
    slot, last, duration = (record.integer(name) for name in ("slot", "lastSlot", "durationSlots"))
    if duration < 1:
        raise InvalidInput("durationSlots", duration, "must be at least 1")
    if not slot <= last <= terms.slots - duration:
        rule = f"must be from slot, {slot}, to {terms.slots - duration}, so that it ends with the session"
        raise InvalidInput("lastSlot", last, rule)
    if record.integer("linkedTo") > record.integer("position"):
        rule = f"must name an offer before it in its document: at most {record.integer('position')}"
        raise InvalidInput("linkedTo", record.integer("linkedTo"), rule)
    _check_payback(payback_of(record.word("payback")), record.integer("powerW"), duration)


def _check_payback(payback_w: tuple[int, ...], power_w: int, duration: int) -> None:
    """What pays back is what was moved: nobody makes room on the grid, or takes it, by words."""
    if max(map(abs, payback_w)) > power_w:
        rule = f"must be at most powerW, {power_w}, in each slot, either way"
        raise InvalidInput("payback", list(payback_w), rule)
    if sum(map(abs, payback_w)) > power_w * duration:
        rule = f"must be at most {power_w * duration} over all slots: what the offer moves"
        raise InvalidInput("payback", list(payback_w), rule)


def stated_co2_g_per_kwh(document: ListDocument) -> list[int | None]:
    """What each kWh of the document's offers emits, None for one that states nothing; empty where none states any.

    InvalidInput where the statement isn't one.
    """
    offers, stated = len(document.list_of(OFFER)), document.notes.get(CO2_NOTE)
    if stated is None:
        return []
    if not isinstance(stated, list) or len(stated) != offers:
        rule = f"must be an array of one value for each of {offers} offers"
        raise InvalidInput(f"notes.{CO2_NOTE}", stated, rule)
    for index, value in enumerate(stated):
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (is_integer and 0 <= value <= MOST_CO2_G_PER_KWH):
            rule = f"must be null or an integer from 0 to {MOST_CO2_G_PER_KWH}"
            raise InvalidInput(f"notes.{CO2_NOTE}[{index}]", value, rule)
    return list(stated)


def check_offers(
    document: ListDocument, player: str, pods: Mapping[bytes, PodFacts], terms: SessionTerms
) -> None:
    """Refuse a document with an offer that would be void, or never taken, or whose statement of CO2 would count for nothing;
    the error names the first one's position.

    Never taken is an offer that is linked to one which is linked itself.
    """
    for refusal in void_offers(document, player, pods, terms):
        raise refusal
    links = document.list_of(OFFER).integers("linkedTo")
    for index, linked_to in enumerate(links):
        if linked_to and links[linked_to - 1]:
            rule = "must name an offer that isn't linked itself"
            raise InvalidInput(f"OfferLeaf[{index}].linkedTo", linked_to, rule)
    stated_co2_g_per_kwh(document)


def void_offers(
    document: ListDocument, player: str, pods: Mapping[bytes, PodFacts], terms: SessionTerms
) -> Iterator[InvalidInput]:
    """Why offers of a document are void, each by its position."""
    for index, record in enumerate(document.list_of(OFFER).records()):
        try:
            check_offer(record, player, pods, terms)
        except InvalidInput as refusal:
            yield InvalidInput(f"OfferLeaf[{index}].{refusal.field}", refusal.value, refusal.rule)
