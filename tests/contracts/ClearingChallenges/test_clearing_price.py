"""Paid as cleared: an entry's price is its request's, and that is the marginal offer's (SPECIFICATION.md 21.x)."""

from dataclasses import replace
from typing import Any

import pytest

from offchain.protocol.lists import ListDocument
from offchain.protocol.products import ClearingMethod, OfferStatus
from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import refused
from tests.contracts.OutcomeChallenges.conftest import ANSWER, ENTRY, accuse, posted, word
from tests.contracts.outcomes import PRICES, SmallBook, with_lie
from tests.contracts.play import as_struct, session_terms

SLOTS = (7, 8)
"""Two requests: in each, offers of 5, 5 and 2 kW are taken at 20, 30 and 40 ct; the one at 50 isn't."""
MARGINAL = 2
CLEARING_PRICE = PRICES[MARGINAL]


@pytest.fixture
def terms(market: Any, operator: Any) -> SessionTerms:
    """A session that is paid as cleared."""
    terms = session_terms(method=int(ClearingMethod.PAY_AS_CLEAR))
    market.MarketSessions.create(as_struct(terms), {"from": operator})
    return replace(terms, session=market.MarketSessions.count())


@pytest.fixture
def book(play_book: Any) -> SmallBook:
    return play_book(slots=SLOTS)


def test_nothing_in_an_honest_outcome_is_a_fault(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    made = posted(market, book, honest, clearing_oracle)
    assert honest.list_of(ENTRY).integers("priceUeurPerKw") == [CLEARING_PRICE] * 6

    def innocent(name: str, fault: str, *proofs: Any) -> None:
        with refused("ChallengesNotAFault", fault.encode().ljust(32, b"\0")):
            accuse(market, made, name, *proofs, sender=auditor)

    offers = {entry: honest.list_of(ENTRY).integers("offerPosition")[entry] for entry in range(6)}
    for first, following in ((0, 3), (3, 5)):
        marginal = first + MARGINAL
        shown = (made.entry(marginal), made.entry(following))
        for entry in range(6):
            innocent("wrongClearingPrice", "WrongClearingPrice", made.entry(entry), *shown)
        offer = book.offer(offers[marginal] // 4, offers[marginal] % 4)
        innocent("wrongMarginalPrice", "WrongMarginalPrice", *shown, offer)
    for entry in range(6):
        innocent(
            "notAsOffered",
            "NotAsOffered",
            made.entry(entry),
            book.offer(offers[entry] // 4, offers[entry] % 4),
        )
        if entry % 3:
            innocent("sumBroken", "SumBroken", made.entry(entry - 1), made.entry(entry))
    dearer = next(index for index in range(8) if honest.list_of(ANSWER).integers("acceptedW")[index] == 0)
    proofs = (
        made.entry(0),
        made.answer(dearer),
        book.offer(1, dearer - 4),
        book.request(),
        book.effectiveness(3),
    )
    innocent("cheaperRefused", "CheaperRefused", *proofs)


@pytest.mark.parametrize("price", [CLEARING_PRICE - 1, CLEARING_PRICE + 1, PRICES[0]])
@pytest.mark.parametrize(("entry", "following"), [(0, 3), (4, 5)])
def test_another_price_than_the_requests(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, price: int, entry: int,
    following: int,
) -> None:  # fmt: skip
    """In the first request, and in the one that ends the list."""
    made = posted(market, book, with_lie(honest, ENTRY, entry, priceUeurPerKw=price), clearing_oracle)
    marginal = entry // 3 * 3 + MARGINAL
    proofs = (made.entry(entry), made.entry(marginal), made.entry(following))
    tx = accuse(market, made, "wrongClearingPrice", *proofs, sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("WrongClearingPrice")


def test_less_than_an_offers_own_price(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    lie = with_lie(honest, ENTRY, 1, priceUeurPerKw=PRICES[1] - 1)
    made = posted(market, book, lie, clearing_oracle)
    position = honest.list_of(ENTRY).integers("offerPosition")[1]
    tx = accuse(market, made, "notAsOffered", made.entry(1), book.offer(0, position), sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("NotAsOffered")


@pytest.mark.parametrize("price", [CLEARING_PRICE + 1, PRICES[3]])
def test_a_marginal_price_that_nobody_asked(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, price: int
) -> None:
    """All of the request at a price beyond its dearest offer's: they agree with each other, not with the book."""
    lie = honest
    for entry in range(3):
        lie = with_lie(lie, ENTRY, entry, priceUeurPerKw=price)
    made = posted(market, book, lie, clearing_oracle)
    shown = (made.entry(MARGINAL), made.entry(3))
    with refused("ChallengesNotAFault", b"WrongClearingPrice".ljust(32, b"\0")):
        accuse(market, made, "wrongClearingPrice", made.entry(0), *shown, sender=auditor)
    position = honest.list_of(ENTRY).integers("offerPosition")[MARGINAL]
    offer = book.offer(position // 4, position % 4)
    tx = accuse(market, made, "wrongMarginalPrice", *shown, offer, sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("WrongMarginalPrice")


def test_only_a_requests_last_entry_is_marginal(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    """Else the price of any entry could be held against the others."""
    made = posted(market, book, with_lie(honest, ENTRY, 1, priceUeurPerKw=PRICES[3]), clearing_oracle)
    with refused("ChallengesNotTheLeaf", 5, 1):
        proofs = (made.entry(0), made.entry(1), made.entry(2))
        accuse(market, made, "wrongClearingPrice", *proofs, sender=auditor)
    with refused("ChallengesNotTheLeaf", 3, 4):
        proofs = (made.entry(0), made.entry(MARGINAL), made.entry(4))
        accuse(market, made, "wrongClearingPrice", *proofs, sender=auditor)


def test_a_cheaper_offer_refused_is_made_good_for_at_the_clearing_price(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, aggregator: Any
) -> None:
    """2 kW of it stood against the marginal one: it would have been paid the marginal price."""
    lie = with_lie(honest, ANSWER, 0, status=int(OfferStatus.COM_DEARER), acceptedW=0, firstByRequest=0)
    made = posted(market, book, lie, clearing_oracle)
    before = market.Vault.free(aggregator)
    proofs = (made.entry(MARGINAL), made.answer(0), book.offer(0, 0), book.request(), book.effectiveness(0))
    accuse(market, made, "cheaperRefused", *proofs, sender=auditor)
    assert market.Vault.free(aggregator) == before + 2_000 * CLEARING_PRICE // 1000


class TestClearedBySeveralObjectives:
    """Paid as bid as well, whatever is taken."""

    @pytest.fixture
    def terms(self, market: Any, operator: Any) -> SessionTerms:
        terms = session_terms(method=int(ClearingMethod.EXACT))
        market.MarketSessions.create(as_struct(terms), {"from": operator})
        return replace(terms, session=market.MarketSessions.count())

    @pytest.mark.parametrize("difference", [-1, 1])
    def test_another_price_than_the_offers_is_a_fault(
        self, market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, difference: int
    ) -> None:  # fmt: skip
        lie = with_lie(honest, ENTRY, 1, priceUeurPerKw=PRICES[1] + difference)
        made = posted(market, book, lie, clearing_oracle)
        position = honest.list_of(ENTRY).integers("offerPosition")[1]
        tx = accuse(market, made, "notAsOffered", made.entry(1), book.offer(0, position), sender=auditor)
        assert tx.events["ResultStruck"]["fault"] == word("NotAsOffered")


class TestPaidAsBid:
    """A session that is paid as bid has no clearing price."""

    @pytest.fixture
    def terms(self, market: Any, operator: Any) -> SessionTerms:
        terms = session_terms()
        market.MarketSessions.create(as_struct(terms), {"from": operator})
        return replace(terms, session=market.MarketSessions.count())

    def test_its_entries_have_no_common_price(
        self, market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
    ) -> None:
        made = posted(market, book, honest, clearing_oracle)
        shown = (made.entry(MARGINAL), made.entry(3))
        with refused("ClearingChallengesNotForMethod", 0):
            accuse(market, made, "wrongClearingPrice", made.entry(0), *shown, sender=auditor)
        with refused("ClearingChallengesNotForMethod", 0):
            accuse(market, made, "wrongMarginalPrice", *shown, book.offer(1, 0), sender=auditor)
