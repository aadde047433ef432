"""The book of a session, put together from its available documents: which of them are void, which offers are, and what collateral
covers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from offchain.protocol.book_rules import (
    are_void,
    check_document,
    exact,
    greatest,
    leaf_outside_session,
    offer_penalties_ueur,
    request_cost_ueur,
    stated_co2_g_per_kwh,
)
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import HASH_BYTES
from offchain.protocol.leaves import EFFECTIVENESS, OFFER, REQUEST
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.products import OfferStatus, Product, Side
from offchain.protocol.real_time import SoldPlaces
from offchain.protocol.terms import PodFacts, Reveal, SessionTerms
from oracles.clearing.core.book import (
    NOT_VOID,
    OFFER_DTYPES,
    Book,
    Effectiveness,
    OfferColumns,
    OfferDocument,
    Request,
)
from oracles.clearing.core.pod_table import NO_POD, Bytes, Names, PodTable

MOST_PERMILLE = 1000


def assemble(
    documents: Iterable[tuple[Reveal, ListDocument | None]],
    pods: Mapping[bytes, PodFacts],
    terms: SessionTerms,
    sold: SoldPlaces | None = None,
) -> Book:
    """The book of the available documents.

    `documents` in any order, None where one can't be read; `pods` is the registry at the gate; `sold`: what the day-ahead
    result has sold already. No document is an error for the others. Raises InvalidInput where the documents' first
    positions don't follow each other: one is missing.
    """
    registry, names = PodTable.of(pods), Names(PodTable.of(pods))
    parts: list[dict[str, npt.NDArray[Any]]] = []
    of_offers: list[OfferDocument] = []
    of_requests: list[Callable[[Bytes], list[Request]]] = []
    void: dict[int, str] = {}
    length = {True: 0, False: 0}
    for reveal, document in sorted(documents, key=lambda entry: entry[0].commitment):
        is_of_offers = reveal.side is Side.OFFER
        if reveal.first_position != length[is_of_offers]:
            rule = f"the documents before it end at {length[is_of_offers]}"
            raise InvalidInput(f"document {reveal.commitment}: first_position", reveal.first_position, rule)
        length[is_of_offers] += reveal.leaf_count
        problem = _problem(document, reveal, terms)
        if problem is not None:
            void[reveal.commitment] = problem
        if document is None or problem is not None:
            if is_of_offers:
                of_offers.append(OfferDocument(reveal, None, _because(document, reveal, terms)))
                parts.append(_void_columns(reveal.leaf_count))
        elif is_of_offers:
            leaves = document.list_of(OFFER)
            of_offers.append(OfferDocument(reveal, leaves, co2_g_per_kwh=_stated_co2(document)))
            parts.append(_offer_columns(reveal, leaves, registry, names, terms))
        else:
            of_requests.append(requests_of(reveal, document, names))
    columns = {
        name: np.concatenate([np.zeros(0, dtype), *(part[name] for part in parts)])
        for name, dtype in OFFER_DTYPES.items()
    }
    requests = [request for each in of_requests for request in each(names.all)]
    return Book(
        OfferColumns(**columns),
        tuple(of_offers),
        tuple(requests),
        names.all,
        terms.penaltyUeurPerKw,
        void,
        sold or {},
    )


def _because(document: ListDocument | None, reveal: Reveal, terms: SessionTerms) -> int:
    """Position + 1 of the leaf that voids a whole document of offers, 0 if no leaf does."""
    if document is None or document.leaf_count != reveal.leaf_count or document.lists[0].kind is not OFFER:
        return 0
    outside = leaf_outside_session(document, terms)
    return 0 if outside is None else outside + 1


def _stated_co2(document: ListDocument) -> Sequence[int | None]:
    """By offer; a statement that isn't one says nothing, and voids no offer."""
    try:
        return stated_co2_g_per_kwh(document)
    except InvalidInput:
        return ()


def _void_columns(count: int) -> dict[str, npt.NDArray[Any]]:
    out = {name: np.zeros(count, dtype) for name, dtype in OFFER_DTYPES.items()}
    out["pod"][:], out["duration_slots"][:], out["void"][:] = NO_POD, 1, OfferStatus.VOID
    return out


def _offer_columns(
    reveal: Reveal, leaves: LeafList, registry: PodTable, names: Names, terms: SessionTerms
) -> dict[str, npt.NDArray[Any]]:
    said = {name: column[:] for name, column in leaves.columns.items()}
    pod = names.indexes(said["pod"])
    registered = np.where(pod < len(registry), pod, 0)
    if len(registry):
        is_players = registry.are_of(reveal.player)[registered] & (pod < len(registry))
        products = registry.products[registered]
        limit_w = registry.limits_w[registered, said["product"]]
    else:
        is_players, products, limit_w = np.zeros(len(pod), dtype=bool), registered, registered
    is_void = are_void(said, is_players, products, limit_w, terms)
    counted_w = _counted_w(reveal, leaves, is_void, terms.penaltyUeurPerKw)
    uncovered = ~is_void & (counted_w < np.maximum(said["minPowerW"].astype(np.int64), 1))
    linked_to = said["linkedTo"].astype(np.int64)
    out = {
        "pod": pod,
        "slot": said["slot"],
        "last_slot": said["lastSlot"],
        "duration_slots": said["durationSlots"],
        "product": said["product"],
        "power_w": said["powerW"],
        "min_power_w": said["minPowerW"],
        "price_ueur_per_kw": said["priceUeurPerKw"],
        "group": said["exclusiveGroup"],
        "linked_to": np.where((linked_to > 0) & ~is_void, reveal.first_position + linked_to, 0),
        "counted_w": np.where(uncovered, 0, counted_w),
        "void": np.where(is_void, OfferStatus.VOID, np.where(uncovered, OfferStatus.UNCOVERED, NOT_VOID)),
    }
    return {name: np.asarray(out[name]).astype(dtype) for name, dtype in OFFER_DTYPES.items()}


def _counted_w(
    reveal: Reveal, leaves: LeafList, is_void: npt.NDArray[np.bool_], penalty_ueur_per_kw: int
) -> npt.NDArray[np.int64]:
    """What of each offer collateral covers, in order of position: the last that it reaches counts in part."""
    power_w, duration = leaves.columns["powerW"][:], leaves.columns["durationSlots"][:]
    penalties = offer_penalties_ueur(power_w, duration, penalty_ueur_per_kw) * ~is_void
    most = max(int(penalties.sum()), reveal.coverage_ueur) * 1000
    penalties = exact(penalties, most)
    left_ueur = np.maximum(reveal.coverage_ueur - (np.cumsum(penalties) - penalties), 0)
    rate = np.maximum(exact(duration, greatest(duration) * penalty_ueur_per_kw) * penalty_ueur_per_kw, 1)
    partly = left_ueur * 1000 // rate
    counted_w = np.where(penalties <= left_ueur, power_w.astype(np.int64), partly)
    return np.where(is_void, 0, counted_w).astype(np.int64)


def _problem(document: ListDocument | None, reveal: Reveal, terms: SessionTerms) -> str | None:
    if document is None:
        return "its bytes aren't a document with the revealed root"
    if document.leaf_count != reveal.leaf_count:
        return f"has {document.leaf_count} leaves, not the {reveal.leaf_count} revealed"
    try:
        check_document(document, reveal.side, reveal.player, reveal.cap_ueur, terms)
    except InvalidInput as refusal:
        return str(refusal)
    return None


def requests_of(reveal: Reveal, document: ListDocument, names: Names) -> Callable[[Bytes], list[Request]]:
    """A document's requests, to be given the names of all PoDs of the book.

    An area's PoDs stand in order of their first leaf that counts: above 1000 one says nothing. Of several the most counts:
    they state one grid fee (see `check_document`), so no other of them makes an offer cheaper.
    """
    said = {name: column[:] for name, column in document.list_of(EFFECTIVENESS).columns.items()}
    permille = said["effectivenessPermille"].astype(np.int32)
    rows = np.flatnonzero((permille > 0) & (permille <= MOST_PERMILLE))
    area, pod = said["area"][rows].astype(np.int64), names.indexes(said["pod"])[rows]
    permille, position = permille[rows], said["position"][rows].astype(np.int64) + reveal.first_position
    fee = said["gridFeeUeurPerKw"][rows].astype(np.int64)
    fee = fee if fee.any() else fee[:0]
    by_place = np.lexsort((position, -permille, pod, area))
    is_best = np.ones(len(rows), dtype=bool)
    is_best[1:] = (np.diff(area[by_place]) != 0) | (np.diff(pod[by_place]) != 0)
    best, starts = by_place[is_best], np.flatnonzero(is_best)
    first_named = np.minimum.reduceat(by_place, starts) if len(rows) else best
    best = best[np.lexsort((first_named, area[best]))]
    areas, firsts = np.unique(area[best], return_index=True)
    of_areas = np.split(best, firsts[1:]) if len(rows) else []

    def named(all_names: Bytes) -> list[Request]:
        by_area = {
            number: Effectiveness(
                all_names, pod[each], permille[each], position[each], fee[each] if len(fee) else fee
            )
            for number, each in zip(areas.tolist(), of_areas, strict=True)
        }
        return _requests(reveal, document, by_area)

    return named


def _requests(reveal: Reveal, document: ListDocument, by_area: Mapping[int, Effectiveness]) -> list[Request]:
    first = reveal.first_position
    nobody = Effectiveness(
        np.zeros((0, HASH_BYTES), np.uint8),
        np.zeros(0, np.int32),
        np.zeros(0, np.int32),
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
    )
    needs = document.list_of(REQUEST)
    names = ("position", "area", "slot", "product", "reliefW", "priceCapUeurPerKw", "reservePermille")
    integers = zip(*(needs.integers(name) for name in names), strict=True)
    words = zip(needs.words("element"), needs.words("gridModel"), strict=True)
    left_ueur = reveal.coverage_ueur
    out = []
    for (position, area, slot, product, relief_w, cap, reserve), (element, model) in zip(
        integers, words, strict=True
    ):
        counted_w = _covered_relief_w(relief_w, cap, reserve, left_ueur)
        left_ueur -= request_cost_ueur(counted_w, cap, reserve)
        out.append(
            Request(
                position=first + position,
                document=reveal.commitment,
                area=area,
                player=reveal.player,
                side=reveal.side,
                slot=slot,
                product=Product(product),
                relief_w=relief_w,
                price_cap_ueur_per_kw=cap,
                element=element,
                grid_model=model,
                counted_w=counted_w,
                reserve_permille=reserve,
                effectiveness=by_area.get(area, nobody),
            )
        )
    return out


def _covered_relief_w(relief_w: int, cap: int, reserve_permille: int, left_ueur: int) -> int:
    if request_cost_ueur(relief_w, cap, reserve_permille) <= left_ueur:
        return relief_w
    return left_ueur * 1_000_000 // (cap * (1000 + reserve_permille))
