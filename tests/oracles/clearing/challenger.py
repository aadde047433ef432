"""Every accusation that an outcome's leaves allow, in Python: an honest outcome gives none (docs/trust.md)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import groupby, pairwise
from math import floor

from offchain.protocol.book_rules import check_offer
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import (
    EFFECTIVENESS,
    OFFER,
    OUTCOME_BY_OFFER,
    OUTCOME_BY_REQUEST,
    OUTCOME_RESERVE,
    REQUEST,
)
from offchain.protocol.lists import ListDocument, Record
from offchain.protocol.products import ClearingMethod, OfferStatus, Product, Side
from offchain.protocol.terms import PodFacts, Reveal, SessionTerms

Documents = Sequence[tuple[Reveal, ListDocument | None]]
COMMERCIAL = (OfferStatus.COM_DEARER, OfferStatus.COM_NOT_NEEDED, OfferStatus.COM_MINIMUM)
BEYOND_REQUESTS = (OfferStatus.RESERVED, OfferStatus.RESERVE_EXCLUDED)


class Challenger:
    """Looks for faults of a market or validated outcome, with the book, the registry and the terms at hand."""

    def __init__(
        self, outcome: ListDocument, documents: Documents, pods: Mapping[bytes, PodFacts], terms: SessionTerms
    ) -> None:
        self.by_offer = outcome.list_of(OUTCOME_BY_OFFER).records()
        self.entries = outcome.list_of(OUTCOME_BY_REQUEST).records()
        self.reserve = outcome.list_of(OUTCOME_RESERVE).records()
        self.documents = documents
        self.pods, self.terms = pods, terms

    def faults(self, *, market: bool = True) -> list[str]:
        """What the contracts would strike the outcome for; `market`: also what only a market outcome answers for."""
        found = [*self._own_lists(self.entries), *self._offers(), *self._chains()]
        found += [*self._requests(), *self._orders(), *self._own_lists(self.reserve), *self._of_reserve()]
        if market:
            of_method = {
                ClearingMethod.PAY_AS_BID: (self._merit_order, self._cheaper_refused),
                ClearingMethod.PAY_AS_CLEAR: (self._clearing_price, self._cheaper_refused),
            }
            always = (self._falsely_excluded, self._reserve_reasons, self._cheaper_left_out)
            for kind in (*of_method.get(ClearingMethod(self.terms.method), ()), *always):
                found += kind()
        return found

    def _own_lists(self, entries: Sequence[Record]) -> Iterator[str]:
        for before, entry in pairwise([None, *entries]):
            if not isinstance(entry, Record):
                continue
            paid = entry.integer("acceptedW") * entry.integer("priceUeurPerKw") // 1000
            effect = entry.integer("acceptedW") * entry.integer("effectivenessPermille")
            same_request = before is not None and before.integer("requestPosition") == entry.integer(
                "requestPosition"
            )
            documents = [self._request_document(each)[0] for each in (before or entry, entry)]
            same_document = before is not None and documents[0] == documents[1]
            sums = {
                "runningW": (before is not None, entry.integer("acceptedW")),
                "runningUeur": (before is not None, paid),
                "requestRunningWPermille": (same_request, effect),
                "documentUeur": (same_document, paid),
            }
            for name, (goes_on, own) in sums.items():
                start = before.integer(name) if before is not None and goes_on else 0
                if entry.integer(name) != start + own:
                    yield f"SumBroken: {name} at {entry.integer('position')}"
            if before is not None and before.integer("requestPosition") > entry.integer("requestPosition"):
                yield "SumBroken: requestPosition"
            if entry.integer("acceptedW") == 0 or not 1 <= entry.integer("effectivenessPermille") <= 1000:
                yield "Malformed"

    def _offers(self) -> Iterator[str]:
        for reveal, document in self.documents:
            if reveal.side is not Side.OFFER:
                continue
            cover_ueur = 0
            for index in range(reveal.leaf_count):
                leaf = self.by_offer[reveal.first_position + index]
                if (leaf.integer("commitment"), leaf.integer("offerPosition")) != (reveal.commitment, index):
                    yield "WrongCopy"
                if leaf.integer("acceptedW") > leaf.integer("countedW"):
                    yield "Malformed: acceptedW above countedW"
                taken = leaf.integer("status") in (OfferStatus.ACCEPTED, OfferStatus.PARTLY_ACCEPTED)
                if taken != (leaf.integer("acceptedW") > 0):
                    yield "Malformed: status"
                offer = None if document is None else document.list_of(OFFER).records()[index]
                yield from self._void(reveal, document, leaf, offer)
                if leaf.integer("status") != OfferStatus.VOID and offer is not None:
                    yield from self._counted(reveal, leaf, offer, cover_ueur)
                elif leaf.integer("coverUeur") != cover_ueur or leaf.integer("countedW"):
                    yield "Overcounted: void"
                cover_ueur = leaf.integer("coverUeur")

    def _void(
        self, reveal: Reveal, document: ListDocument | None, leaf: Record, offer: Record | None
    ) -> Iterator[str]:
        breaks = offer is not None and self._breaks_a_rule(offer, reveal.player)
        if leaf.integer("status") != OfferStatus.VOID:
            if breaks:
                yield "VoidAccepted"
        elif leaf.integer("because"):
            named = document and document.list_of(OFFER).records()[leaf.integer("because") - 1]
            own = leaf.integer("because") == leaf.integer("offerPosition") + 1
            if not named or not (self._is_outside(named) or (own and breaks)):
                yield "FalselyVoid"

    def _breaks_a_rule(self, offer: Record, player: str) -> bool:
        if self._is_outside(offer):
            return True
        try:
            check_offer(offer, player, self.pods, self.terms)
        except InvalidInput:
            return True
        return False

    def _is_outside(self, offer: Record) -> bool:
        return offer.integer("slot") >= self.terms.slots or offer.integer("product") > max(Product)

    def _counted(self, reveal: Reveal, leaf: Record, offer: Record, before_ueur: int) -> Iterator[str]:
        power_w, left_ueur = offer.integer("powerW"), reveal.coverage_ueur - before_ueur
        rate = self.terms.penaltyUeurPerKw * offer.integer("durationSlots")
        whole_ueur = -(-power_w * rate // 1000)
        counted_w = power_w if whole_ueur <= left_ueur else left_ueur * 1000 // rate
        if counted_w < max(1, offer.integer("minPowerW")):
            counted_w = 0
        if leaf.integer("countedW") != counted_w:
            yield "Uncounted or Overcounted"
        if leaf.integer("coverUeur") != before_ueur + min(whole_ueur, left_ueur):
            yield "Uncounted or Overcounted: coverUeur"

    def _chains(self) -> Iterator[str]:
        for leaf in self.by_offer:
            chain = [e for e in self.entries if e.integer("offerPosition") == leaf.integer("position")]
            first = chain[0].integer("position") + 1 if chain else 0
            if leaf.integer("firstByRequest") != first:
                yield "OfferChainBroken: first"
            if chain and chain[-1].integer("offerRunningW") != leaf.integer("acceptedW"):
                yield "OfferChainBroken: last"
            yield from self._chain(chain, "nextForOffer", None, "offerRunningW", "OfferChainBroken")
        places = {_place(entry) for entry in self.entries}
        for place in places:
            chain = [entry for entry in self.entries if _place(entry) == place]
            yield from self._chain(chain, "nextForPod", "previousForPod", "podRunningW", "PodChainBroken")
            yield from self._total(place, chain, chain)

    def _total(
        self, place: tuple[bytes, int, int], chain: Sequence[Record], said_in: Sequence[Record]
    ) -> Iterator[str]:
        total_w = sum(entry.integer("acceptedW") for entry in chain)
        if any(entry.integer("podTotalW") != total_w for entry in said_in):
            yield "PodChainBroken: podTotalW"
        if total_w > self.pods[place[0]].limit_w(Product(place[2])):
            yield "PodExceeded"

    @staticmethod
    def _chain(
        chain: Sequence[Record],
        following: str,
        preceding: str | None,
        running: str,
        fault: str,
        *,
        first: int = 0,
        before: Sequence[Record] = (),
    ) -> Iterator[str]:
        """A chain of one list, whose positions begin at `first` and which runs on from entries `before` it."""
        sums_w: Counter[int] = Counter()
        for entry in before:
            sums_w[entry.integer("slot")] += entry.integer("acceptedW")
        start = before[-1].integer("position") + 1 if before else 0
        for index, entry in enumerate(chain):
            sums_w[entry.integer("slot")] += entry.integer("acceptedW")
            sum_w = sums_w[entry.integer("slot")]
            after = first + chain[index + 1].integer("position") + 1 if index + 1 < len(chain) else 0
            before_it = first + chain[index - 1].integer("position") + 1 if index else start
            if entry.integer(running) != sum_w or entry.integer(following) != after:
                yield fault
            if preceding is not None and entry.integer(preceding) != before_it:
                yield f"{fault}: {preceding}"

    def _requests(self) -> Iterator[str]:
        for entry in self.entries:
            yield from self._of_book(entry)
            offer, request = self._offer(entry.integer("offerPosition")), self._request(entry)
            paid, bid = entry.integer("priceUeurPerKw"), offer.integer("priceUeurPerKw")
            if paid < bid or (self.terms.method != ClearingMethod.PAY_AS_CLEAR and paid != bid):
                yield "NotAsOffered: price"
            taken_w = self.by_offer[entry.integer("offerPosition")].integer("acceptedW")
            if taken_w < offer.integer("minPowerW"):
                yield "NotAsOffered: minimum"
            if entry.integer("requestRunningWPermille") > request.integer("reliefW") * 1000:
                yield "NotAsRequested: relief"
            reveal, _ = self._request_document(entry)
            if entry.integer("documentUeur") > reveal.coverage_ueur:
                yield "EscrowExceeded"

    def _of_book(self, entry: Record) -> Iterator[str]:
        """An entry of either list, held to its offer and request."""
        offer, request = self._offer(entry.integer("offerPosition")), self._request(entry)
        effect = self._request_leaf(entry.integer("effectivenessPosition"))
        for name in ("pod", "product"):
            if entry.values[name] != offer.values[name]:
                yield f"NotAsOffered: {name}"
        last_slot = offer.integer("lastSlot") + offer.integer("durationSlots") - 1
        if not offer.integer("slot") <= entry.integer("slot") <= last_slot:
            yield "NotAsOffered: slot"
        if entry.integer("offerRunningW") > offer.integer("powerW"):
            yield "OfferExceeded"
        asked = (request.integer("slot"), request.integer("product"))
        if (entry.integer("slot"), entry.integer("product")) != asked:
            yield "NotAsRequested"
        price, permille = entry.integer("priceUeurPerKw"), entry.integer("effectivenessPermille")
        fee = entry.integer("gridFeeUeurPerKw")
        if (price + fee) * 1000 > request.integer("priceCapUeurPerKw") * permille:
            yield "NotAsRequested: cap"
        names = ("pod", "area", "effectivenessPermille", "gridFeeUeurPerKw")
        said = tuple(effect.values[name] for name in names)
        if said != (entry.word("pod"), request.integer("area"), permille, fee):
            yield "WrongEffectiveness"

    def _of_reserve(self) -> Iterator[str]:
        """What holds of the reserve, beside what holds of any list of entries."""
        length = len(self.entries)
        for position in {entry.integer("offerPosition") for entry in self.reserve}:
            chain = [entry for entry in self.reserve if entry.integer("offerPosition") == position]
            answer, offer = self.by_offer[position], self._offer(position)
            yield from self._chain(
                chain, "nextForOffer", None, "offerRunningW", "OfferChainBroken", first=length
            )
            picked_w, taken_w = chain[-1].integer("offerRunningW"), answer.integer("acceptedW")
            if picked_w + taken_w > answer.integer("countedW"):
                yield "ReserveBeyondOffer"
            if answer.integer("status") not in (OfferStatus.RESERVED, OfferStatus.PARTLY_ACCEPTED):
                yield "ReserveBeyondOffer: status"
            if not taken_w and picked_w < offer.integer("minPowerW"):
                yield "BelowMinimum: reserve"
            if not _is_single(offer) or chain[0].integer("priceUeurPerKw") != offer.integer("priceUeurPerKw"):
                yield "NotAsOffered: reserve"
        for place in {_place(entry) for entry in self.reserve}:
            before = [entry for entry in self.entries if _place(entry) == place]
            chain = [entry for entry in self.reserve if _place(entry) == place]
            names = ("nextForPod", "previousForPod", "podRunningW", "PodChainBroken: reserve")
            yield from self._chain(chain, *names, first=length, before=before)
            yield from self._total(place, [*before, *chain], chain)
            opposite = (*place[:2], place[2] ^ 1)
            if any(_place(entry) == opposite for entry in (*self.entries, *self.reserve)):
                yield "TakenBothWays"
        for before_it, entry in pairwise(self.reserve):
            same = before_it.integer("requestPosition") == entry.integer("requestPosition")
            if same and _merit(before_it) > _merit(entry):
                yield "NotInMeritOrder: reserve"
        for entry in self.reserve:
            yield from self._of_book(entry)
            request, (reveal, _) = self._request(entry), self._request_document(entry)
            most = request.integer("reliefW") * request.integer("reservePermille")
            if entry.integer("requestRunningWPermille") > most:
                yield "NotAsRequested: margin"
            taken_ueur = [
                other.integer("documentUeur")
                for other in self.entries
                if self._request_document(other)[0].commitment == reveal.commitment
            ]
            if entry.integer("documentUeur") + max(taken_ueur, default=0) > reveal.coverage_ueur:
                yield "EscrowExceeded: reserve"

    def _orders(self) -> Iterator[str]:
        """Blocks, exclusive groups and links."""
        groups: Counter[tuple[int, int]] = Counter()
        for leaf in self.by_offer:
            if not leaf.integer("acceptedW"):
                continue
            offer, start = self._offer(leaf.integer("position")), leaf.integer("startSlot")
            if not offer.integer("slot") <= start <= offer.integer("lastSlot"):
                yield "WrongCopy: startSlot"
            entries = [e for e in self.entries if e.integer("offerPosition") == leaf.integer("position")]
            slots = [entry.integer("slot") for entry in entries]
            if _is_block(offer):
                if slots != list(range(start, start + offer.integer("durationSlots"))):
                    yield "BlockBroken: slots"
                if any(entry.integer("acceptedW") != leaf.integer("acceptedW") for entry in entries):
                    yield "BlockBroken: power"
            elif set(slots) != {start}:
                yield "NotAsOffered: slot"
            groups[leaf.integer("commitment"), offer.integer("exclusiveGroup")] += 1
            parent = leaf.integer("position") - offer.integer("position") + offer.integer("linkedTo") - 1
            if offer.integer("linkedTo") and not self.by_offer[parent].integer("acceptedW"):
                yield "LinkBroken"
        if any(taken > 1 and group for (_, group), taken in groups.items()):
            yield "GroupBroken"

    def _merit_order(self) -> Iterator[str]:
        for before, entry in pairwise(self.entries):
            same = before.integer("requestPosition") == entry.integer("requestPosition")
            if same and _merit(before) > _merit(entry):
                yield "NotInMeritOrder"

    def _clearing_price(self) -> Iterator[str]:
        for _, group in groupby(self.entries, lambda entry: entry.integer("requestPosition")):
            entries = list(group)
            marginal = entries[-1]
            bid = self._offer(marginal.integer("offerPosition")).integer("priceUeurPerKw")
            if marginal.integer("priceUeurPerKw") != bid:
                yield "WrongMarginalPrice"
            for entry in entries:
                delivered = floor(_merit(marginal) * entry.integer("effectivenessPermille"))
                if entry.integer("priceUeurPerKw") != delivered - entry.integer("gridFeeUeurPerKw"):
                    yield "WrongClearingPrice"

    def _cheaper_refused(self) -> Iterator[str]:
        for leaf in self.by_offer:
            if leaf.integer("status") in (*COMMERCIAL, *BEYOND_REQUESTS) and self._is_cheaper(
                leaf, self.entries
            ):
                yield "CheaperRefused"

    def _cheaper_left_out(self) -> Iterator[str]:
        for leaf in self.by_offer:
            if leaf.integer("status") in COMMERCIAL and self._is_cheaper(leaf, self.reserve):
                yield "CheaperLeftOut"

    def _is_cheaper(self, leaf: Record, entries: Sequence[Record]) -> bool:
        """Whether an offer that isn't taken is cheaper than one of the entries, and could have stood there."""
        offer = self._offer(leaf.integer("position"))
        if leaf.integer("acceptedW") or offer.integer("minPowerW") or not _is_single(offer):
            return False
        place = (offer.integer("slot"), offer.integer("product"))
        return any(
            Fraction(offer.integer("priceUeurPerKw") + fee, permille) < _merit(entry)
            for entry in entries
            if place == (entry.integer("slot"), entry.integer("product"))
            for permille, fee in self._effects(entry, offer.word("pod"))
        )

    def _reserve_reasons(self) -> Iterator[str]:
        for leaf in self.by_offer:
            because = leaf.integer("because") - 1
            if leaf.integer("status") not in BEYOND_REQUESTS:
                continue
            if not 0 <= because < len(self.reserve):
                yield "FalselyReserved or FalselyKeptOut: no reason"
                continue
            entry, offer = self.reserve[because], self._offer(leaf.integer("position"))
            if leaf.integer("status") == OfferStatus.RESERVE_EXCLUDED:
                yield from self._excluding(entry, offer, "FalselyKeptOut")
            of_offer = [e for e in self.reserve if e.integer("offerPosition") == leaf.integer("position")]
            if leaf.integer("status") == OfferStatus.RESERVED and of_offer[:1] != [entry]:
                yield "FalselyReserved"

    def _falsely_excluded(self) -> Iterator[str]:
        for leaf in self.by_offer:
            if leaf.integer("status") != OfferStatus.COM_EXCLUDED:
                continue
            offer = self._offer(leaf.integer("position"))
            if not _is_single(offer):
                continue
            if leaf.integer("because") == 0:
                yield "FalselyExcluded: no reason"
                continue
            entry = self.entries[leaf.integer("because") - 1]
            yield from self._excluding(entry, offer, "FalselyExcluded")

    def _excluding(self, entry: Record, offer: Record, fault: str) -> Iterator[str]:
        """Whether an entry uses an offer's PoD to its limit, or the opposite way."""
        if (entry.word("pod"), entry.integer("slot")) != (offer.word("pod"), offer.integer("slot")):
            yield f"{fault}: of another PoD or slot"
        product = Product(offer.integer("product"))
        if entry.integer("product") == product:
            if entry.integer("podTotalW") < self.pods[offer.word("pod")].limit_w(product):
                yield f"{fault}: room left"
        elif Product(entry.integer("product")).is_active != product.is_active:
            yield f"{fault}: of another kind"

    def _effects(self, entry: Record, pod: bytes) -> list[tuple[int, int]]:
        """Per mille and grid fee by each leaf of a PoD for an entry's request."""
        _, document = self._request_document(entry)
        area = self._request(entry).integer("area")
        return [
            (leaf.integer("effectivenessPermille"), leaf.integer("gridFeeUeurPerKw"))
            for leaf in document.list_of(EFFECTIVENESS).records()
            if leaf.word("pod") == pod
            and leaf.integer("area") == area
            and 1 <= leaf.integer("effectivenessPermille") <= 1000
        ]

    def _request_document(self, entry: Record) -> tuple[Reveal, ListDocument]:
        position = entry.integer("requestPosition")
        for reveal, document in self.documents:
            first = reveal.first_position
            if reveal.side is not Side.OFFER and first <= position < first + reveal.leaf_count:
                assert document is not None
                return reveal, document
        raise AssertionError("NotInBook")

    def _request(self, entry: Record) -> Record:
        reveal, document = self._request_document(entry)
        return document.list_of(REQUEST).records()[entry.integer("requestPosition") - reveal.first_position]

    def _request_leaf(self, position: int) -> Record:
        for reveal, document in self.documents:
            place = position - reveal.first_position
            if reveal.side is not Side.OFFER and document is not None and 0 <= place < reveal.leaf_count:
                needs = document.list_of(REQUEST).records()
                return [*needs, *document.list_of(EFFECTIVENESS).records()][place]
        raise AssertionError("NotInBook")

    def _offer(self, position: int) -> Record:
        for reveal, document in self.documents:
            place = position - reveal.first_position
            if reveal.side is Side.OFFER and document is not None and 0 <= place < reveal.leaf_count:
                return document.list_of(OFFER).records()[place]
        raise AssertionError("NotInBook")


def _is_block(offer: Record) -> bool:
    return offer.integer("durationSlots") > 1 or offer.integer("lastSlot") > offer.integer("slot")


def _is_single(offer: Record) -> bool:
    return not (_is_block(offer) or offer.integer("exclusiveGroup") or offer.integer("linkedTo"))


def _place(entry: Record) -> tuple[bytes, int, int]:
    return entry.word("pod"), entry.integer("slot"), entry.integer("product")


def _merit(entry: Record) -> Fraction:
    delivered = entry.integer("priceUeurPerKw") + entry.integer("gridFeeUeurPerKw")
    return Fraction(delivered, entry.integer("effectivenessPermille"))
