"""Where offers cost grid fees the delivered price decides, and who clears without them, or with others, is struck
(SPECIFICATION.md 21.x)."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from offchain.protocol.book_documents import Area, Relief, request_document
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import ClearingMethod, OfferStatus, Product
from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import refused
from tests.contracts.OutcomeChallenges.conftest import ANSWER, ENTRY, accuse, posted, word
from tests.contracts.outcomes import (
    PODS,
    PRICES,
    RELIEF_W,
    SLOT,
    Posted,
    SmallBook,
    leaf_salt,
    with_document,
    with_lie,
)
from tests.contracts.play import as_struct, session_terms
from tests.contracts.reserves import with_reserve

FEES = {0: 25_000}
"""Offers of 5 kW at 20, 30, 40 and 50 ct are delivered at 45, 30, 40 and 50: of 12 kW the second and third are taken, and 2 of the
first."""


def with_fees(fees: Mapping[int, int], relief_w: int = RELIEF_W) -> Callable[[SmallBook], SmallBook]:
    """The small book, in which moving a kW costs grid fees at some PoDs."""

    def change(book: SmallBook) -> SmallBook:
        document = book.documents[2][1]
        area = Area(
            element=bytes(32),
            product=Product.ACTIVE_UP,
            grid_model=bytes(32),
            reliefs=[Relief(SLOT, relief_w, 90_000)],
            effectiveness=[(pod, 1000) for pod in PODS],
            grid_fees_ueur_per_kw={PODS[number]: fee for number, fee in fees.items()},
        )
        return with_document(book, 2, request_document(document.session, document.author, [area], leaf_salt))

    return change


@pytest.fixture
def fees() -> Mapping[int, int]:
    return FEES


@pytest.fixture
def book(play_book: Any, fees: Mapping[int, int]) -> SmallBook:
    return play_book(with_fees(fees))


def cleared_as(
    market: Any, book: SmallBook, oracle: Any, fees: Mapping[int, int], relief_w: int = RELIEF_W
) -> ListDocument:
    """The outcome that clearing would give with other fees, or another relief."""
    seed = bytes(market.CommitmentBook.seed(book.terms.session))
    return with_fees(fees, relief_w)(book).honest(oracle.address, seed)


def innocent(market: Any, made: Posted, auditor: Any, name: str, fault: str, *proofs: Any) -> None:
    with refused("ChallengesNotAFault", fault.encode().ljust(32, b"\0")):
        accuse(market, made, name, *proofs, sender=auditor)


def strike(market: Any, made: Posted, auditor: Any, name: str, fault: str, *proofs: Any) -> Any:
    tx = accuse(market, made, name, *proofs, sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word(fault)
    return tx.events["ResultStruck"]


def offer_of(book: SmallBook, document: ListDocument, entry: int) -> tuple[Any, ...]:
    position = document.list_of(ENTRY).integers("offerPosition")[entry]
    return book.offer(position // 2, position % 2)


def test_nothing_in_an_honest_outcome_is_a_fault(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    assert honest.list_of(ENTRY).integers("offerPosition") == [1, 2, 0]
    assert honest.list_of(ENTRY).integers("priceUeurPerKw") == [30_000, 40_000, 20_000]
    made = posted(market, book, honest, clearing_oracle)
    entries = [made.entry(index) for index in range(3)]
    for earlier, later in pairwise(entries):
        innocent(market, made, auditor, "sumBroken", "SumBroken", earlier, later)
    for index, entry in enumerate(entries):
        innocent(market, made, auditor, "notAsRequested", "NotAsRequested", entry, book.request())
        innocent(market, made, auditor, "notAsOffered", "NotAsOffered", entry, offer_of(book, honest, index))
        position = honest.list_of(ENTRY).integers("offerPosition")[index]
        shown = (entry, book.request(), book.effectiveness(position))
        innocent(market, made, auditor, "wrongEffectiveness", "WrongEffectiveness", *shown)
        dearest = (entry, made.answer(3), book.offer(1, 1), book.request(), book.effectiveness(3))
        innocent(market, made, auditor, "cheaperRefused", "CheaperRefused", *dearest)


def test_an_oracle_that_ignores_a_fee(
    market: Any, book: SmallBook, clearing_oracle: Any, auditor: Any
) -> None:
    """It clears by prices alone: what it copies of the PoD isn't what its leaf says."""
    made = posted(market, book, cleared_as(market, book, clearing_oracle, {}), clearing_oracle)
    shown = (made.entry(0), book.request(), book.effectiveness(0))
    strike(market, made, auditor, "wrongEffectiveness", "WrongEffectiveness", *shown)


def test_an_oracle_that_copies_a_fee_and_ignores_it(
    market: Any, book: SmallBook, clearing_oracle: Any, auditor: Any
) -> None:
    lie = with_lie(cleared_as(market, book, clearing_oracle, {}), ENTRY, 0, gridFeeUeurPerKw=FEES[0])
    made = posted(market, book, lie, clearing_oracle)
    strike(market, made, auditor, "sumBroken", "SumBroken", made.entry(0), made.entry(1))


class TestOfAnOfferThatIsCheaperDelivered:
    """5 kW are needed: the first offer is taken for its price, the second, cheaper with fees, is refused."""

    @pytest.fixture
    def book(self, play_book: Any) -> SmallBook:
        return play_book(with_fees(FEES, 5_000))

    def test_the_player_is_made_good(
        self, market: Any, book: SmallBook, clearing_oracle: Any, auditor: Any, aggregator: Any
    ) -> None:
        lie = cleared_as(market, book, clearing_oracle, {}, 5_000)
        made = posted(market, book, with_lie(lie, ENTRY, 0, gridFeeUeurPerKw=FEES[0]), clearing_oracle)
        shown = (made.entry(0), made.answer(1), book.offer(0, 1), book.request(), book.effectiveness(1))
        before = market.Vault.free(aggregator)
        assert (
            strike(market, made, auditor, "cheaperRefused", "CheaperRefused", *shown)["wronged"] == aggregator
        )
        assert market.Vault.free(aggregator) == before + 5_000 * PRICES[1] // 1000

    def test_the_fee_of_the_refused_one_counts_too(
        self, market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
    ) -> None:
        """The first asks less than the second, which is taken, and costs more."""
        made = posted(market, book, honest, clearing_oracle)
        shown = (made.entry(0), made.answer(0), book.offer(0, 0), book.request(), book.effectiveness(0))
        innocent(market, made, auditor, "cheaperRefused", "CheaperRefused", *shown)


class TestAFeeThatNobodyStated:
    """The book has none."""

    @pytest.fixture
    def fees(self) -> Mapping[int, int]:
        return {}

    def test_that_turns_the_order(
        self, market: Any, book: SmallBook, clearing_oracle: Any, auditor: Any
    ) -> None:
        made = posted(market, book, cleared_as(market, book, clearing_oracle, FEES), clearing_oracle)
        assert made.document.list_of(ENTRY).integers("offerPosition") == [1, 2, 0]
        shown = (made.entry(2), book.request(), book.effectiveness(0))
        strike(market, made, auditor, "wrongEffectiveness", "WrongEffectiveness", *shown)

    def test_that_isnt_said_in_its_own_entry(
        self, market: Any, book: SmallBook, clearing_oracle: Any, auditor: Any
    ) -> None:
        """Then the order itself is false."""
        lie = with_lie(cleared_as(market, book, clearing_oracle, FEES), ENTRY, 2, gridFeeUeurPerKw=0)
        made = posted(market, book, lie, clearing_oracle)
        strike(market, made, auditor, "sumBroken", "SumBroken", made.entry(1), made.entry(2))


class TestPaidAsCleared:
    """Delivered at 20, 35 and 42 ct: of the dearest's 42 the second gets 37, and the third its 40."""

    @pytest.fixture
    def fees(self) -> Mapping[int, int]:
        return {1: 5_000, 2: 2_000}

    @pytest.fixture
    def terms(self, market: Any, operator: Any) -> SessionTerms:
        terms = session_terms(method=int(ClearingMethod.PAY_AS_CLEAR))
        market.MarketSessions.create(as_struct(terms), {"from": operator})
        return replace(terms, session=market.MarketSessions.count())

    def test_nothing_in_an_honest_outcome_is_a_fault(
        self, market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
    ) -> None:
        assert honest.list_of(ENTRY).integers("priceUeurPerKw") == [42_000, 37_000, 40_000]
        made = posted(market, book, honest, clearing_oracle)
        last = made.entry(2)
        for index in range(3):
            shown = (made.entry(index), last, last)
            innocent(market, made, auditor, "wrongClearingPrice", "WrongClearingPrice", *shown)
            offer = offer_of(book, honest, index)
            innocent(market, made, auditor, "notAsOffered", "NotAsOffered", made.entry(index), offer)
            innocent(
                market, made, auditor, "notAsRequested", "NotAsRequested", made.entry(index), book.request()
            )
        innocent(
            market, made, auditor, "wrongMarginalPrice", "WrongMarginalPrice", last, last, book.offer(1, 0)
        )
        dearest = (made.entry(0), made.answer(3), book.offer(1, 1), book.request(), book.effectiveness(3))
        innocent(market, made, auditor, "cheaperRefused", "CheaperRefused", *dearest)

    @pytest.mark.parametrize(("entry", "price"), [(0, 40_000), (1, 42_000), (1, 40_000), (1, 36_999)])
    def test_another_price_than_the_delivered_one_less_the_fee(
        self, market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, entry: int,
        price: int,
    ) -> None:  # fmt: skip
        """As if the marginal one, or the entry itself, cost no fee."""
        made = posted(market, book, with_lie(honest, ENTRY, entry, priceUeurPerKw=price), clearing_oracle)
        shown = (made.entry(entry), made.entry(2), made.entry(2))
        strike(market, made, auditor, "wrongClearingPrice", "WrongClearingPrice", *shown)

    def test_an_entry_whose_fee_is_beyond_the_clearing_price(
        self, market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
    ) -> None:
        made = posted(market, book, with_lie(honest, ENTRY, 1, gridFeeUeurPerKw=2**52), clearing_oracle)
        shown = (made.entry(1), made.entry(2), made.entry(2))
        strike(market, made, auditor, "wrongClearingPrice", "WrongClearingPrice", *shown)

    def test_who_was_refused_is_made_good_at_the_clearing_price_less_its_own_fee(
        self, market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, aggregator: Any
    ) -> None:  # fmt: skip
        lie = with_lie(honest, ANSWER, 1, status=int(OfferStatus.COM_DEARER), acceptedW=0, firstByRequest=0)
        made = posted(market, book, lie, clearing_oracle)
        before = market.Vault.free(aggregator)
        shown = (made.entry(2), made.answer(1), book.offer(0, 1), book.request(), book.effectiveness(1))
        strike(market, made, auditor, "cheaperRefused", "CheaperRefused", *shown)
        assert market.Vault.free(aggregator) == before + 2_000 * 37_000 // 1000

    def test_a_fee_beyond_the_clearing_price_is_no_cheaper_offer(
        self, market: Any, play_book: Any, clearing_oracle: Any, auditor: Any
    ) -> None:
        """Nor does it break the challenge."""
        book = play_book(with_fees({0: 2**52}))
        honest = book.honest(clearing_oracle.address, bytes(market.CommitmentBook.seed(book.terms.session)))
        made = posted(market, book, honest, clearing_oracle)
        shown = (made.entry(0), made.answer(0), book.offer(0, 0), book.request(), book.effectiveness(0))
        innocent(market, made, auditor, "cheaperRefused", "CheaperRefused", *shown)


class TestTheReserve:
    """Beyond 12 kW of the first three, with fees the last PoD's is delivered cheaper than the rest of the third's."""

    @pytest.fixture
    def book(self, play_book: Any) -> SmallBook:
        return play_book(
            lambda book: with_reserve(book, grid_fees_ueur_per_kw={PODS[2]: 5_000, PODS[3]: 1_000})
        )

    def test_that_is_honest_stands(
        self, market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
    ) -> None:
        made = posted(market, book, honest, clearing_oracle)
        reserved = [made.reserved(index) for index in range(len(honest.lists[2]))]
        for earlier, later in pairwise(reserved):
            innocent(market, made, auditor, "reserveSumBroken", "SumBroken", earlier, later)
        for entry in reserved:
            innocent(market, made, auditor, "reserveNotAsRequested", "NotAsRequested", entry, book.request())
            effect = book.effectiveness(PODS.index(entry[0][5]))
            shown = (entry, book.request(), effect)
            innocent(market, made, auditor, "reserveWrongEffectiveness", "WrongEffectiveness", *shown)
            against = (made.answer(6), book.offer(1, 4), book.request(), book.effectiveness(3))
            innocent(market, made, auditor, "cheaperLeftOut", "CheaperLeftOut", entry, *against)

    def test_out_of_its_delivered_order(
        self, market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
    ) -> None:
        fee = honest.lists[2].integers("gridFeeUeurPerKw")[0]
        lie = with_lie(honest, honest.lists[2].kind, 0, gridFeeUeurPerKw=fee + 30_000)
        made = posted(market, book, lie, clearing_oracle)
        shown = (made.reserved(0), made.reserved(1))
        strike(market, made, auditor, "reserveSumBroken", "SumBroken", *shown)

    def test_that_has_a_dearer_one_by_its_fee(
        self, market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
    ) -> None:
        """Its entry says a fee by which the offer left out is cheaper."""
        lie = with_lie(honest, honest.lists[2].kind, 0, gridFeeUeurPerKw=30_000)
        made = posted(market, book, lie, clearing_oracle)
        against = (made.answer(6), book.offer(1, 4), book.request(), book.effectiveness(3))
        strike(market, made, auditor, "cheaperLeftOut", "CheaperLeftOut", made.reserved(0), *against)
