"""What became of an offer and why, in words, from the posted outcomes and the book: what a player may ask."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice

from offchain.audit.verify import SessionReplay
from offchain.chain.market_view import MarketView, Stage
from offchain.protocol.book_rules import check_offer
from offchain.protocol.errors import FlexledgerError, InvalidInput
from offchain.protocol.leaves import (
    OFFER,
    OUTCOME_BY_OFFER,
    OUTCOME_BY_REQUEST,
    OUTCOME_RESERVE,
    REFUSAL,
)
from offchain.protocol.lists import ListDocument, Record
from offchain.protocol.products import MarginUnit, OfferStatus, Product, Side
from offchain.protocol.rounds import refusal_named
from offchain.protocol.terms import PodFacts, Reveal, SessionTerms
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.book import Offer, Request, within_cap
from oracles.grid.core.documents import ELEMENTS_NOTE, SENSITIVITIES_NOTE, SLOTS_NOTE
from oracles.session_facts import AheadResult, ahead_result, book_documents

MARGINS = {
    MarginUnit.LOADING_MILLIPERCENT: (1000, "% of loading"),
    MarginUnit.VOLTAGE_MICRO_PU: (1_000_000, "pu of voltage"),
}


class NothingToExplain(FlexledgerError):
    """No outcome is posted, or the book has no such offer."""


@dataclass(frozen=True)
class Explanation:
    """An offer's fate: `stage` of the outcome that says it, and lines in words."""

    stage: Stage
    status: OfferStatus
    lines: tuple[str, ...]


def explain(replay: SessionReplay, view: MarketView, position: int) -> Explanation:
    """Why an offer, by its position in the session's book, was taken or not. Raises NothingToExplain."""
    replay.require_session()
    terms = replay.terms
    market_stage, market_posted, validated_posted = replay.last_outcomes()
    if market_posted is None:
        raise NothingToExplain(f"session {terms.session}: no market outcome is posted")
    market = replay.outcome_document(market_stage, market_posted)
    validated = replay.outcome_document(Stage.VALIDATED, validated_posted) if validated_posted else None
    outcome, stage = (validated, Stage.VALIDATED) if validated else (market, market_stage)
    teller = Teller(
        book_documents(view, replay.documents, terms.session),
        outcome,
        market,
        [replay.refusals(each.stage, each.technical) for each in replay.assessed_rounds()],
        view.pods_at_gate(terms),
        terms,
        ahead_result(view, replay.documents, terms),
    )
    return Explanation(stage, *teller.tell(position))


class Teller:
    """An outcome and what it rests on, told offer by offer. `outcome`: the last market outcome, or the validated one;
    `refusals`: the technical outcomes' documents, round by round; `ahead`: of a real-time session, the day-ahead result."""

    def __init__(
        self,
        documents: Sequence[tuple[Reveal, ListDocument | None]],
        outcome: ListDocument,
        market: ListDocument,
        refusals: Sequence[ListDocument],
        pods: Mapping[bytes, PodFacts],
        terms: SessionTerms,
        ahead: AheadResult | None = None,
    ) -> None:
        self._ahead = ahead
        self._book, self._pods, self._terms = assemble(documents, pods, terms), pods, terms
        self._documents = {reveal.commitment: document for reveal, document in documents}
        self._answers = outcome.list_of(OUTCOME_BY_OFFER).records()
        self._entries = outcome.list_of(OUTCOME_BY_REQUEST).records()
        self._reserve = outcome.list_of(OUTCOME_RESERVE).records()
        self._market_reserve = market.list_of(OUTCOME_RESERVE).records()
        self._market_entries = market.list_of(OUTCOME_BY_REQUEST).records()
        self._refusals = refusals
        self._requests = {request.position: request for request in self._book.requests}

    def tell(self, position: int) -> tuple[OfferStatus, tuple[str, ...]]:
        """Status of an offer by position, and the lines about it. Raises NothingToExplain."""
        if not 0 <= position < len(self._answers):
            raise NothingToExplain(f"offer {position}: the session's book has {len(self._answers)}")
        answer = self._answers[position]
        status = OfferStatus(answer.integer("status"))
        return status, tuple(self._lines(self._book.offers[position], status, answer))

    def _lines(self, offer: Offer, status: OfferStatus, answer: Record) -> Iterator[str]:
        taken_w, position = answer.integer("acceptedW"), offer.position
        if status is OfferStatus.VOID:
            yield f"offer {position} is void: {self._rule_of(answer, offer)}"
            return
        yield (
            f"offer {position}: {_kw(offer.power_w, offer.product)} {_way(offer.product)} at "
            f"{_euro(offer.price_ueur_per_kw)} per {_unit(offer.product)}, {status.name}, {_kw(taken_w, offer.product)} taken"
        )
        if answer.integer("countedW") < offer.power_w:
            yield f"collateral covers {_kw(answer.integer('countedW'), offer.product)} of it"
        for entry in self._entries:
            if entry.integer("offerPosition") == position:
                yield self._taken(entry)
        for entry in self._reserve:
            if entry.integer("offerPosition") == position:
                yield self._reserved(entry)
        yield from self._reason(offer, status, answer.integer("because"))

    def _taken(self, entry: Record) -> str:
        same = [e for e in self._entries if e.integer("requestPosition") == entry.integer("requestPosition")]
        place = [e.integer("position") for e in same].index(entry.integer("position")) + 1
        request = self._requests[entry.integer("requestPosition")]
        product = Product(entry.integer("product"))
        return (
            f"{_kw(entry.integer('acceptedW'), product)} in slot {entry.integer('slot')} for the {_whose(request)}'s request "
            f"{request.position}, {place} of {len(same)} in its list, at {_price(entry)}"
        )

    def _reserved(self, entry: Record) -> str:
        request, product = self._requests[entry.integer("requestPosition")], Product(entry.integer("product"))
        return (
            f"{_kw(entry.integer('acceptedW'), product)} in slot {entry.integer('slot')} in reserve beyond the {_whose(request)}'s "
            f"request {request.position}: moves only on an order, then at {_price(entry)}"
        )

    def _reason(self, offer: Offer, status: OfferStatus, because: int) -> Iterator[str]:
        if status in (OfferStatus.COM_DEARER, OfferStatus.RESERVED, OfferStatus.RESERVE_EXCLUDED):
            dearest = [entry for entry in self._market_entries if self._could_serve(offer, entry)]
            if dearest:
                last = max(dearest, key=_merit)
                yield f"the dearest that was taken instead costs {_price(last)}"
                yield from _own_fee(offer, self._requests[last.integer("requestPosition")])
            yield from self._beyond(offer, status, because)
        elif status is OfferStatus.COM_NOT_NEEDED:
            yield "no request names its PoD, slot and product at a price cap that takes it"
            named = (each for each in self._book.requests if _names(each, offer))
            yield from islice(chain.from_iterable(_own_fee(offer, each) for each in named), 1)
        elif status is OfferStatus.COM_MINIMUM:
            yield f"less was still needed than its minimum of {_kw(offer.min_power_w, offer.product)}"
        elif status is OfferStatus.COM_EXCLUDED and because:
            other = self._market_entries[because - 1].integer("offerPosition")
            yield f"offer {other} was taken instead: of its group, or of its PoD"
        elif status is OfferStatus.COM_EXCLUDED:
            yield f"offer {offer.parent}, to which it is linked, wasn't taken"
        elif status is OfferStatus.COM_SOLD and self._ahead is not None:
            yield from self._sold(self._ahead, because - 1)
        elif status is OfferStatus.UNCOVERED:
            yield "nothing of the aggregator's collateral was left for its penalty"
        elif because and status in (OfferStatus.TEC, OfferStatus.PARTLY_ACCEPTED):
            round_, index = refusal_named(because)
            yield self._refused(self._refusals[round_ - 1], index, offer)

    def _beyond(self, offer: Offer, status: OfferStatus, because: int) -> Iterator[str]:
        """Why the reserve hasn't, or hasn't any more, an offer that the requests refused."""
        if status is OfferStatus.RESERVE_EXCLUDED:
            other = self._market_reserve[because - 1].integer("offerPosition")
            yield f"the reserve has offer {other} of its PoD instead: to the PoD's limit, or the opposite way"
        gone = all(entry.integer("offerPosition") != offer.position for entry in self._reserve)
        if status is OfferStatus.RESERVED and gone:
            yield "it was in reserve until the DSO refused something of its PoD in that slot"

    def _sold(self, ahead: AheadResult, position: int) -> Iterator[str]:
        entries = ahead.document.list_of(OUTCOME_BY_REQUEST).records()
        if position < len(entries):
            entry = entries[position]
            slot = self._terms.slot_at(ahead.terms.slot_start_s(entry.integer("slot")))
            product = Product(entry.integer("product"))
            yield (
                f"{_kw(entry.integer('acceptedW'), product)} {_way(product)} of its PoD were sold day ahead in slot {slot}: entry "
                f"{position} of session {ahead.terms.session}, which stands"
            )

    def _refused(self, refusals: ListDocument, index: int, offer: Offer) -> str:
        leaf = refusals.list_of(REFUSAL).records()[index]
        element, slot, per_mw = (
            _noted(refusals, name, index) for name in (ELEMENTS_NOTE, SLOTS_NOTE, SENSITIVITIES_NOTE)
        )
        if element is None:
            element = "0x" + leaf.word("element").hex()
        parts, unit = MARGINS[MarginUnit(leaf.integer("marginUnit"))]
        of_parent = (
            "" if leaf.integer("offerPosition") == offer.position else ", for the offer that it is linked to"
        )
        elsewhere = "" if slot in (None, leaf.integer("slot")) else f" in slot {slot}"
        product = Product(leaf.integer("product"))
        rise = (
            f", which moves by {per_mw / parts:g} {unit} per M{_unit(product)[1:]} of it"
            if isinstance(per_mw, int)
            else ""
        )
        return (
            f"the DSO refused {_kw(leaf.integer('refusedW'), product)}{of_parent}: {element} would be "
            f"{leaf.integer('margin') / parts:g} {unit} beyond its limit{elsewhere}{rise}, by grid model "
            f"0x{leaf.word('gridModel').hex()}"
        )

    def _rule_of(self, answer: Record, offer: Offer) -> str:
        whole = self._book.void_documents.get(offer.commitment)
        if whole is not None:
            return f"its document isn't one of the session's: {whole}"
        document = self._documents[offer.commitment]
        assert document is not None, "an unreadable document is void as a whole"
        try:
            check_offer(
                document.list_of(OFFER).records()[offer.offer_position], offer.player, self._pods, self._terms
            )
        except InvalidInput as refusal:
            return str(refusal)
        return f"the outcome says so because of leaf {answer.integer('because') - 1} of its document, which breaks no rule"

    def _could_serve(self, offer: Offer, entry: Record) -> bool:
        request = self._requests[entry.integer("requestPosition")]
        return _names(request, offer) and within_cap(offer, request)


def _names(request: Request, offer: Offer) -> bool:
    """Whether a request is for an offer's PoD, product and slots."""
    return (
        request.product is offer.product
        and offer.slot <= request.slot < offer.last_slot + offer.duration_slots
        and offer.pod in request.effectiveness
    )


def _merit(entry: Record) -> Fraction:
    """Delivered price over effectiveness."""
    delivered = entry.integer("priceUeurPerKw") + entry.integer("gridFeeUeurPerKw")
    return Fraction(delivered, entry.integer("effectivenessPermille"))


def _price(entry: Record) -> str:
    fee = entry.integer("gridFeeUeurPerKw")
    return _euro(entry.integer("priceUeurPerKw")) + (f" and {_euro(fee)} of grid fees" if fee else "")


def _own_fee(offer: Offer, request: Request) -> Iterator[str]:
    fee = request.effectiveness[offer.pod].grid_fee_ueur_per_kw
    if fee:
        yield (
            f"for the {_whose(request)}'s request {request.position} moving a {_unit(offer.product)} of its PoD costs "
            f"{_euro(fee)} of grid fees, beside its price"
        )


def _noted(refusals: ListDocument, name: str, index: int) -> object:
    """What a technical outcome's notes say of a refusal; None where they don't."""
    found = refusals.notes.get(name)
    return found[index] if isinstance(found, list) and index < len(found) else None


def _whose(request: Request) -> str:
    return "DSO" if request.side is Side.DSO_REQUEST else "TSO"


def _way(product: Product) -> str:
    return "up" if product.sign > 0 else "down"


def _unit(product: Product) -> str:
    return "kW" if product.is_active else "kvar"


def _kw(power_w: int, product: Product) -> str:
    return f"{power_w / 1000:g} {_unit(product)}"


def _euro(price_ueur: int) -> str:
    return f"{price_ueur / 1_000_000:g} €"
