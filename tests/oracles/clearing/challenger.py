"""Every accusation that an outcome's leaves allow, in Python: an honest outcome gives none (docs/trust.md)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import groupby, pairwise

from offchain.protocol.book_rules import check_offer
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import EFFECTIVENESS, OFFER, OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, REQUEST
from offchain.protocol.lists import ListDocument, Record
from offchain.protocol.products import ClearingMethod, OfferStatus, Product, Side
from offchain.protocol.terms import PodFacts, Reveal, SessionTerms

Documents = Sequence[tuple[Reveal, ListDocument | None]]
COMMERCIAL = (OfferStatus.COM_DEARER, OfferStatus.COM_NOT_NEEDED, OfferStatus.COM_MINIMUM)


class Challenger:
    """Looks for faults of a market or validated outcome, with the book, the registry and the terms at hand."""

    def __init__(
        self, outcome: ListDocument, documents: Documents, pods: Mapping[bytes, PodFacts], terms: SessionTerms
    ) -> None:
        self.by_offer = outcome.list_of(OUTCOME_BY_OFFER).records()
        self.entries = outcome.list_of(OUTCOME_BY_REQUEST).records()
        self.documents = documents
        self.pods, self.terms = pods, terms

    def faults(self, *, market: bool = True) -> list[str]:
        """What the contracts would strike the outcome for; `market`: also what only a market outcome answers for."""
        found = [*self._own_lists(), *self._offers(), *self._chains(), *self._requests(), *self._orders()]
        if market:
            of_method = {
                ClearingMethod.PAY_AS_BID: (self._merit_order, self._cheaper_refused),
                ClearingMethod.PAY_AS_CLEAR: (self._clearing_price, self._cheaper_refused),
            }
            for kind in (*of_method.get(ClearingMethod(self.terms.method), ()), self._falsely_excluded):
                found += kind()
        return found

    def _own_lists(self) -> Iterator[str]:
        for before, entry in pairwise([None, *self.entries]):
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
            total_w = sum(entry.integer("acceptedW") for entry in chain)
            if any(entry.integer("podTotalW") != total_w for entry in chain):
                yield "PodChainBroken: podTotalW"
            if total_w > self.pods[place[0]].limit_w(Product(place[2])):
                yield "PodExceeded"

    @staticmethod
    def _chain(
        chain: Sequence[Record], following: str, preceding: str | None, running: str, fault: str
    ) -> Iterator[str]:
        sums_w: Counter[int] = Counter()
        for index, entry in enumerate(chain):
            sums_w[entry.integer("slot")] += entry.integer("acceptedW")
            sum_w = sums_w[entry.integer("slot")]
            after = chain[index + 1].integer("position") + 1 if index + 1 < len(chain) else 0
            before = chain[index - 1].integer("position") + 1 if index else 0
            if entry.integer(running) != sum_w or entry.integer(following) != after:
                yield fault
            if preceding is not None and entry.integer(preceding) != before:
                yield f"{fault}: {preceding}"

    def _requests(self) -> Iterator[str]:
        for entry in self.entries:
            offer, request = self._offer(entry.integer("offerPosition")), self._request(entry)
            effect = self._request_leaf(entry.integer("effectivenessPosition"))
            for name in ("pod", "product"):
                if entry.values[name] != offer.values[name]:
                    yield f"NotAsOffered: {name}"
            last_slot = offer.integer("lastSlot") + offer.integer("durationSlots") - 1
            if not offer.integer("slot") <= entry.integer("slot") <= last_slot:
                yield "NotAsOffered: slot"
            paid, bid = entry.integer("priceUeurPerKw"), offer.integer("priceUeurPerKw")
            if paid < bid or (self.terms.method != ClearingMethod.PAY_AS_CLEAR and paid != bid):
                yield "NotAsOffered: price"
            if entry.integer("offerRunningW") > offer.integer("powerW"):
                yield "OfferExceeded"
            taken_w = self.by_offer[entry.integer("offerPosition")].integer("acceptedW")
            if taken_w < offer.integer("minPowerW"):
                yield "NotAsOffered: minimum"
            if (entry.integer("slot"), entry.integer("product")) != (
                request.integer("slot"),
                request.integer("product"),
            ):
                yield "NotAsRequested"
            if entry.integer("requestRunningWPermille") > request.integer("reliefW") * 1000:
                yield "NotAsRequested: relief"
            price, permille = entry.integer("priceUeurPerKw"), entry.integer("effectivenessPermille")
            if price * 1000 > request.integer("priceCapUeurPerKw") * permille:
                yield "NotAsRequested: cap"
            if (effect.word("pod"), effect.integer("area"), effect.integer("effectivenessPermille")) != (
                entry.word("pod"),
                request.integer("area"),
                permille,
            ):
                yield "WrongEffectiveness"
            reveal, _ = self._request_document(entry)
            if entry.integer("documentUeur") > reveal.coverage_ueur:
                yield "EscrowExceeded"

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
            of_marginal = marginal.integer("priceUeurPerKw"), marginal.integer("effectivenessPermille")
            if of_marginal[0] != self._offer(marginal.integer("offerPosition")).integer("priceUeurPerKw"):
                yield "WrongMarginalPrice"
            for entry in entries:
                price = of_marginal[0] * entry.integer("effectivenessPermille") // of_marginal[1]
                if entry.integer("priceUeurPerKw") != price:
                    yield "WrongClearingPrice"

    def _cheaper_refused(self) -> Iterator[str]:
        for leaf in self.by_offer:
            if leaf.integer("acceptedW") or leaf.integer("status") not in COMMERCIAL:
                continue
            offer = self._offer(leaf.integer("position"))
            if offer.integer("minPowerW") or not _is_single(offer):
                continue
            for entry in self.entries:
                if (offer.integer("slot"), offer.integer("product")) != (
                    entry.integer("slot"),
                    entry.integer("product"),
                ):
                    continue
                for effect in self._effects(entry, offer.word("pod")):
                    if Fraction(offer.integer("priceUeurPerKw"), effect) < _merit(entry):
                        yield "CheaperRefused"

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
            if (entry.word("pod"), entry.integer("slot")) != (offer.word("pod"), offer.integer("slot")):
                yield "FalselyExcluded: of another PoD or slot"
            product = Product(offer.integer("product"))
            if entry.integer("product") == product:
                if entry.integer("podTotalW") < self.pods[offer.word("pod")].limit_w(product):
                    yield "FalselyExcluded: room left"
            elif Product(entry.integer("product")).is_active != product.is_active:
                yield "FalselyExcluded: of another kind"

    def _effects(self, entry: Record, pod: bytes) -> list[int]:
        _, document = self._request_document(entry)
        area = self._request(entry).integer("area")
        return [
            leaf.integer("effectivenessPermille")
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
    return Fraction(entry.integer("priceUeurPerKw"), entry.integer("effectivenessPermille"))
