"""The book of a session: its available documents in order of their numbers, as offers and requests with positions.

A position of the book counts over the documents of one side (offers; requests of DSO and TSO together): documents in
order of number, then the leaf's position in its document; the chain gives each its first. A document that breaks its
cap, or doesn't hold what its side holds, is void at its player's cost: its positions stay, its leaves count for nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from offchain.protocol.book_rules import (
    check_document,
    check_offer,
    leaf_outside_session,
    offer_penalty_ueur,
    request_cost_ueur,
)
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import EFFECTIVENESS, OFFER, REQUEST
from offchain.protocol.lists import LeafList, ListDocument, Record
from offchain.protocol.products import OfferStatus, Product, Side
from offchain.protocol.terms import PodFacts, Reveal, SessionTerms

MOST_PERMILLE = 1000


@dataclass(frozen=True)
class Offer:
    """An offer of the book. `counted_w`: as far as collateral lets it count. `cover_ueur`: collateral that its document
    needed up to and with this offer. `because`: of a void one, position + 1 in its document of the leaf that breaks a
    rule, its own or the one that voids the whole document; 0 where no leaf does (beyond its cap, not a document).
    `group`: of which at most one offer of its document is taken (0: none). `parent`: position of the offer without which
    it isn't taken."""

    position: int
    commitment: int
    offer_position: int
    player: str
    pod: bytes
    slot: int
    product: Product
    power_w: int
    min_power_w: int
    price_ueur_per_kw: int
    salt: bytes
    leaf_hash: bytes
    counted_w: int
    cover_ueur: int
    void: OfferStatus | None
    because: int
    last_slot: int = 0
    duration_slots: int = 1
    group: int = 0
    parent: int | None = None

    @property
    def is_block(self) -> bool:
        """Of several slots, or of one to be chosen: the same power in each, for one request a slot."""
        return self.duration_slots > 1 or self.last_slot > self.slot

    @property
    def is_single(self) -> bool:
        """Neither a block nor bound to other offers."""
        return not (self.is_block or self.group or self.parent is not None)

    @property
    def is_divisible(self) -> bool:
        """A single offer of which any part may be taken."""
        return self.is_single and self.min_power_w == 0


@dataclass(frozen=True)
class Request:
    """A request of the book. `document`: its document's number. `counted_w`: relief in W at effectiveness 1000, as far as
    escrow covers it; `reserve_permille` of it is wanted as a reserve beyond it."""

    position: int
    document: int
    area: int
    player: str
    side: Side
    slot: int
    product: Product
    relief_w: int
    price_cap_ueur_per_kw: int
    element: bytes
    grid_model: bytes
    counted_w: int
    reserve_permille: int
    effectiveness: Mapping[bytes, tuple[int, int]] = field(repr=False)
    """By PoD: per mille (the most of an area's leaves for it), and the position of the leaf that says so."""


@dataclass(frozen=True)
class Book:
    """All offers by position, and the requests by position (leaves of effectiveness have positions, too)."""

    offers: tuple[Offer, ...]
    requests: tuple[Request, ...]
    void_documents: Mapping[int, str]
    """Documents that are void, by number, and why."""


def within_cap(offer: Offer, request: Request) -> bool:
    """Whether a request pays as much as an offer of one of its PoDs asks."""
    permille = request.effectiveness[offer.pod][0]
    return offer.price_ueur_per_kw * 1000 <= request.price_cap_ueur_per_kw * permille


def assemble(
    documents: Iterable[tuple[Reveal, ListDocument | None]],
    pods: Mapping[bytes, PodFacts],
    terms: SessionTerms,
) -> Book:
    """The book of the available documents.

    `documents` in any order, None where one can't be read; `pods` is the registry at the gate. No document is an error
    for the others. Raises InvalidInput where the documents' first positions don't follow each other: one is missing.
    """
    offers: list[Offer] = []
    requests: list[Request] = []
    void: dict[int, str] = {}
    length = {True: 0, False: 0}
    for reveal, document in sorted(documents, key=lambda entry: entry[0].commitment):
        of_offers = reveal.side is Side.OFFER
        if reveal.first_position != length[of_offers]:
            rule = f"the documents before it end at {length[of_offers]}"
            raise InvalidInput(f"document {reveal.commitment}: first_position", reveal.first_position, rule)
        length[of_offers] += reveal.leaf_count
        problem = _problem(document, reveal, terms)
        if problem is not None:
            void[reveal.commitment] = problem
        if document is None or problem is not None:
            if of_offers:
                offers.extend(_void_offers(reveal, _because(document, reveal, terms)))
        elif of_offers:
            offers.extend(_offers(reveal, document.list_of(OFFER), pods, terms))
        else:
            requests.extend(_requests(reveal, document))
    return Book(tuple(offers), tuple(requests), void)


def _because(document: ListDocument | None, reveal: Reveal, terms: SessionTerms) -> int:
    """Position + 1 of the leaf that voids a whole document of offers, 0 if no leaf does."""
    if document is None or document.leaf_count != reveal.leaf_count or document.lists[0].kind is not OFFER:
        return 0
    outside = leaf_outside_session(document, terms)
    return 0 if outside is None else outside + 1


def _void_offers(reveal: Reveal, because: int) -> list[Offer]:
    return [
        Offer(
            position=reveal.first_position + index,
            commitment=reveal.commitment,
            offer_position=index,
            player=reveal.player,
            pod=bytes(32),
            slot=0,
            product=Product.ACTIVE_UP,
            power_w=0,
            min_power_w=0,
            price_ueur_per_kw=0,
            salt=bytes(32),
            leaf_hash=bytes(32),
            counted_w=0,
            cover_ueur=0,
            void=OfferStatus.VOID,
            because=because,
        )
        for index in range(reveal.leaf_count)
    ]


def _offers(
    reveal: Reveal,
    leaves: LeafList,
    pods: Mapping[bytes, PodFacts],
    terms: SessionTerms,
) -> list[Offer]:
    hashes, first = leaves.leaf_hashes, reveal.first_position
    left_ueur = reveal.coverage_ueur
    out = []
    for index, row in enumerate(leaves.records()):
        void = OfferStatus.VOID if _is_void(row, reveal.player, pods, terms) else None
        power_w, duration_slots = row.integer("powerW"), row.integer("durationSlots")
        counted_w = 0
        if void is None:
            penalty_ueur = offer_penalty_ueur(power_w, duration_slots, terms)
            counted_w = power_w
            if penalty_ueur > left_ueur:
                counted_w = left_ueur * 1000 // (terms.penaltyUeurPerKw * duration_slots)
                penalty_ueur = left_ueur
            left_ueur -= penalty_ueur
            if counted_w < max(1, row.integer("minPowerW")):
                counted_w, void = 0, OfferStatus.UNCOVERED
        out.append(
            Offer(
                position=first + index,
                commitment=reveal.commitment,
                offer_position=index,
                player=reveal.player,
                pod=row.word("pod"),
                slot=row.integer("slot"),
                product=Product(row.integer("product")),
                power_w=power_w,
                min_power_w=row.integer("minPowerW"),
                price_ueur_per_kw=row.integer("priceUeurPerKw"),
                salt=row.word("salt"),
                leaf_hash=hashes[index].tobytes(),
                counted_w=counted_w,
                cover_ueur=reveal.coverage_ueur - left_ueur,
                void=void,
                because=index + 1 if void is OfferStatus.VOID else 0,
                last_slot=row.integer("lastSlot"),
                duration_slots=duration_slots,
                group=row.integer("exclusiveGroup"),
                parent=first + linked_to - 1 if (linked_to := row.integer("linkedTo")) else None,
            )
        )
    return out


def _is_void(record: Record, player: str, pods: Mapping[bytes, PodFacts], terms: SessionTerms) -> bool:
    try:
        check_offer(record, player, pods, terms)
    except InvalidInput:
        return True
    return False


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


def _requests(reveal: Reveal, document: ListDocument) -> list[Request]:
    first = reveal.first_position
    needs, effects = document.list_of(REQUEST), document.list_of(EFFECTIVENESS)
    by_area: dict[int, dict[bytes, tuple[int, int]]] = {}
    columns = zip(
        effects.integers("area"),
        effects.words("pod"),
        effects.integers("effectivenessPermille"),
        effects.integers("position"),
        strict=True,
    )
    for area, pod, permille, position in columns:
        of_area = by_area.setdefault(area, {})
        # Above 1000 an area's leaf says nothing. Of several the most counts: no other of them makes an offer cheaper.
        if of_area.get(pod, (0, 0))[0] < permille <= MOST_PERMILLE:
            of_area[pod] = (permille, first + position)
    left_ueur = reveal.coverage_ueur
    out = []
    for row in needs.records():
        relief_w, cap = row.integer("reliefW"), row.integer("priceCapUeurPerKw")
        reserve = row.integer("reservePermille")
        counted_w = _covered_relief_w(relief_w, cap, reserve, left_ueur)
        left_ueur -= request_cost_ueur(counted_w, cap, reserve)
        out.append(
            Request(
                position=first + row.integer("position"),
                document=reveal.commitment,
                area=row.integer("area"),
                player=reveal.player,
                side=reveal.side,
                slot=row.integer("slot"),
                product=Product(row.integer("product")),
                relief_w=relief_w,
                price_cap_ueur_per_kw=cap,
                element=row.word("element"),
                grid_model=row.word("gridModel"),
                counted_w=counted_w,
                reserve_permille=reserve,
                effectiveness=by_area.get(row.integer("area"), {}),
            )
        )
    return out


def _covered_relief_w(relief_w: int, cap: int, reserve_permille: int, left_ueur: int) -> int:
    if request_cost_ueur(relief_w, cap, reserve_permille) <= left_ueur:
        return relief_w
    return left_ueur * 1_000_000 // (cap * (1000 + reserve_permille))
