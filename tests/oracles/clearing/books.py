"""Small books for the clearing tests: two aggregators' PoDs, offers and requests, built as players build them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from offchain.protocol.book_documents import Area, OfferEntry, Relief, offers_document, request_document
from offchain.protocol.book_rules import most_ueur
from offchain.protocol.keccak import keccak256
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import Product, Side
from offchain.protocol.terms import ANYBODY, PodFacts, Reveal, SessionTerms
from oracles.clearing.core.book import Offer, Request

DSO, TSO = "0x" + "d5" * 20, "0x" + "75" * 20
AGGREGATORS = ("0x" + "a1" * 20, "0x" + "a2" * 20)
ORACLE = "0x" + "0c" * 20
SEED = keccak256(b"seed")
START_S = 1_800_000_000 - 1_800_000_000 % 900
PLENTY_UEUR = 10**15

TERMS = SessionTerms(
    session=1,
    marketType=0,
    deliveryStart=START_S,
    slots=96,
    baselineGate=START_S - 40_000,
    gateOpening=START_S - 39_000,
    gateClosure=START_S - 30_000,
    revealDeadline=START_S - 29_000,
    documentsDeadline=START_S - 28_000,
    marketOutcomeDeadline=START_S - 20_000,
    validatedOutcomeDeadline=START_S - 10_000,
    settlementDeadline=START_S + 96 * 900 + 100_000,
    challengeWindowS=3600,
    penaltyUeurPerKw=100_000,
    tolerancePermille=300,
    bondPermille=20,
    bondFloorUeur=1_000_000,
    outcomeBondUeur=1_000_000,
    pausedBeforeS=0,
    takeoverS=1800,
    outcomeBondPermille=100,
    method=0,
    receipts=2,
    clearingOracle=ANYBODY,
    gridOracle=ANYBODY,
    settlementOracle=ANYBODY,
    demandWindowS=1800,
)


def pod(number: int) -> bytes:
    """Pseudonym of a numbered PoD."""
    return keccak256(b"pod %d" % number)


def salt(_: bytes, position: int) -> bytes:
    """Salt of a leaf, by its position only."""
    return keccak256(b"salt %d" % position)


def registry(count: int, limit_w: int = 100_000) -> dict[bytes, PodFacts]:
    """Numbered PoDs, even ones of the first aggregator, odd ones of the second."""
    return {
        pod(number): PodFacts(
            aggregator=AGGREGATORS[number % 2],
            customer="0x" + f"{number:040x}",
            node="0x" + f"{number + 2**32:040x}",
            mechanism="0x" + "33" * 20,
            max_up_w=limit_w,
            max_down_w=limit_w,
            max_up_var=limit_w,
            max_down_var=limit_w,
            products=0b1111,
        )
        for number in range(count)
    }


def offer(
    number: int,
    power_w: int,
    price: int,
    slot: int = 0,
    product: Product = Product.ACTIVE_UP,
    minimum_w: int = 0,
) -> OfferEntry:
    """An offer of a numbered PoD."""
    return OfferEntry(pod(number), slot, product, power_w, price, minimum_w)


def area(
    relief_w: int,
    effectiveness: dict[int, int],
    cap: int = 10**9,
    slot: int = 0,
    product: Product = Product.ACTIVE_UP,
    reserve_permille: int = 0,
    fees: Mapping[int, int] = MappingProxyType({}),
) -> Area:
    """A request of one slot for numbered PoDs with their per mille, and the grid fees of some."""
    return Area(
        element=keccak256(b"line"),
        product=product,
        grid_model=keccak256(b"model"),
        reliefs=[Relief(slot, relief_w, cap)],
        effectiveness=[(pod(number), permille) for number, permille in effectiveness.items()],
        reserve_permille=reserve_permille,
        grid_fees_ueur_per_kw={pod(number): fee for number, fee in fees.items()},
    )


def delivered_ueur_per_kw(offer_: Offer, request: Request) -> int:
    """Price and grid fee."""
    return offer_.price_ueur_per_kw + request.effectiveness[offer_.pod].grid_fee_ueur_per_kw


def reveal_of(
    commitment: int,
    player: str,
    side: Side,
    document: ListDocument,
    coverage_ueur: int = PLENTY_UEUR,
    first: int = 0,
) -> tuple[Reveal, ListDocument]:
    """A document of the book with the least cap that it may have; `first`: the book's position of its first leaf."""
    cap_ueur = most_ueur(document, side, TERMS)
    reveal = Reveal(commitment, player, side, document.leaf_count, first, cap_ueur, coverage_ueur)
    return reveal, document


def renumbered(
    documents: Sequence[tuple[Reveal, ListDocument | None]],
) -> list[tuple[Reveal, ListDocument | None]]:
    """The documents with the numbers and first positions that the book gives them in this order."""
    length = {True: 0, False: 0}
    out = []
    for number, (reveal, document) in enumerate(documents, start=1):
        of_offers = reveal.side is Side.OFFER
        out.append((replace(reveal, commitment=number, first_position=length[of_offers]), document))
        length[of_offers] += reveal.leaf_count
    return out


def book_of(
    offers: Sequence[OfferEntry], dso: Sequence[Area] = (), tso: Sequence[Area] = ()
) -> list[tuple[Reveal, ListDocument | None]]:
    """The book's documents: the DSO's, the TSO's, then each aggregator's own offers."""
    out: list[tuple[Reveal, ListDocument | None]] = []
    for player, side, areas in ((DSO, Side.DSO_REQUEST, dso), (TSO, Side.TSO_REQUEST, tso)):
        if areas:
            out.append(reveal_of(0, player, side, request_document(1, player, areas, salt)))
    facts = registry(64)
    for player in AGGREGATORS:
        own = [entry for entry in offers if facts[entry.pod].aggregator == player]
        if own:
            out.append(reveal_of(0, player, Side.OFFER, offers_document(1, player, own, salt)))
    return renumbered(out)
