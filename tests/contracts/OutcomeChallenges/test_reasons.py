"""Why an offer wasn't taken: not covered, or its PoD taken otherwise, is said only where it is so."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from offchain.protocol.lists import ListDocument
from offchain.protocol.products import OfferStatus
from offchain.protocol.terms import SessionTerms
from tests.contracts.chain import refused
from tests.contracts.OutcomeChallenges.conftest import ANSWER, ENTRY, accuse, posted, word
from tests.contracts.outcomes import LIMIT_W, PODS, SmallBook, with_lie
from tests.contracts.play import as_struct, session_terms

RATE = 30_000
PENALTY_UEUR = 5 * RATE
"""For delivering none of an offer of 5 kW, at the rate of `session_terms`."""
BOND_UEUR = 200_000
"""Of a commitment of the small book: 2 % of its cap."""
UNCOVERED = int(OfferStatus.UNCOVERED)
REFUSED = {"acceptedW": 0, "firstByRequest": 0}
NOT_A_FAULT = "ChallengesNotAFault"


def miscounted(market: Any, made: Any, book: SmallBook, index: int, sender: Any) -> Any:
    earlier = made.answer(max(index - 1, 0))
    return accuse(
        market,
        made,
        "miscounted",
        earlier,
        made.answer(index),
        book.offer(index // 2, index % 2),
        sender=sender,
    )


def test_an_honest_count_is_no_fault(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    """Each document's first offer counts from nothing, the second from what the first one needs."""
    made = posted(market, book, honest, clearing_oracle)
    for index in range(4):
        with refused(NOT_A_FAULT, b"Miscounted".ljust(32, b"\0")):
            miscounted(market, made, book, index, auditor)


@pytest.mark.parametrize(
    ("index", "values"),
    [
        (0, {"status": UNCOVERED, "countedW": 0, **REFUSED}),
        (1, {"status": UNCOVERED, "countedW": 0, **REFUSED}),
        (1, {"countedW": 4_999}),
        (1, {"coverUeur": 2 * PENALTY_UEUR - 1}),
        (1, {"coverUeur": 2 * PENALTY_UEUR + 1}),
        (2, {"coverUeur": 3 * PENALTY_UEUR}),
        (3, {"status": int(OfferStatus.VOID)}),
        (3, {"status": int(OfferStatus.VOID), "countedW": 0}),
    ],
)
def test_another_count_than_what_covers_the_document_gives(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, index: int,
    values: dict[str, int],
) -> None:  # fmt: skip
    made = posted(market, book, with_lie(honest, ANSWER, index, **values), clearing_oracle)
    tx = miscounted(market, made, book, index, auditor)
    assert tx.events["ResultStruck"]["fault"] == word("Miscounted")


class TestHalfCovered:
    """Of the first aggregator's two offers its money covers one, and 2 kW of the other."""

    @pytest.fixture
    def terms(self, market: Any, operator: Any) -> SessionTerms:
        """A session where a commitment's bond is less than what its offers need."""
        terms = session_terms(bondFloorUeur=BOND_UEUR)
        market.MarketSessions.create(as_struct(terms), {"from": operator})
        return replace(terms, session=market.MarketSessions.count())

    @pytest.fixture
    def book(self, market: Any, play_book: Callable[..., SmallBook], aggregator: Any) -> SmallBook:
        def leave_too_little() -> None:
            """With the commitment's bond, which the reveal frees, just as much is left."""
            left_ueur = PENALTY_UEUR + 2 * RATE - BOND_UEUR
            market.Vault.withdraw(market.Vault.free(aggregator) - left_ueur, {"from": aggregator})

        return play_book(at_gate=leave_too_little)

    def half(self, honest: ListDocument, **values: int) -> ListDocument:
        """What clearing says of the second offer where 2 kW of it are covered, or with other values."""
        right = {"countedW": 2_000, "acceptedW": 2_000, "coverUeur": PENALTY_UEUR + 2 * RATE}
        return with_lie(honest, ANSWER, 1, **{**right, "status": 1, **values})

    def test_what_is_covered_counts(
        self, market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
    ) -> None:
        made = posted(market, book, self.half(honest), clearing_oracle)
        with refused(NOT_A_FAULT, b"Miscounted".ljust(32, b"\0")):
            miscounted(market, made, book, 1, auditor)

    @pytest.mark.parametrize(
        "values",
        [
            {"countedW": 5_000},
            {"countedW": 2_001},
            {"status": UNCOVERED, "countedW": 0, **REFUSED},
            {"coverUeur": PENALTY_UEUR},
        ],
    )
    def test_more_or_less_is_a_fault(
        self, market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any,
        values: dict[str, int],
    ) -> None:  # fmt: skip
        made = posted(market, book, self.half(honest, **values), clearing_oracle)
        miscounted(market, made, book, 1, auditor)


def test_the_earlier_answer_is_the_one_before(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    made = posted(market, book, honest, clearing_oracle)
    with refused("ChallengesNotTheLeaf", 1, 3):
        accuse(market, made, "miscounted", made.answer(0), made.answer(3), book.offer(1, 1), sender=auditor)


@pytest.mark.parametrize("because", [0, 1, 3, 99])
def test_excluded_by_nothing_that_excludes_it(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, because: int
) -> None:
    """By no entry, by another PoD's, by its own PoD's which has room left, by one that isn't there."""
    values = {"status": int(OfferStatus.COM_EXCLUDED), "because": because, **REFUSED}
    made = posted(market, book, with_lie(honest, ANSWER, 2, **values), clearing_oracle)
    entry = made.entry(min(max(because - 1, 0), 2))
    tx = accuse(market, made, "falselyExcluded", made.answer(2), book.offer(1, 0), entry, sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == word("FalselyExcluded")


@pytest.mark.parametrize("values", [{"podTotalW": LIMIT_W}, {"product": 1}])
def test_excluded_by_its_pods_own_entry(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, values: dict[str, int]
) -> None:  # fmt: skip
    """At its limit, or taken the opposite way: then it is so."""
    lie = with_lie(honest, ENTRY, 0, pod=PODS[3], **values)
    lie = with_lie(lie, ANSWER, 3, status=int(OfferStatus.COM_EXCLUDED), because=1)
    made = posted(market, book, lie, clearing_oracle)
    with refused(NOT_A_FAULT, b"FalselyExcluded".ljust(32, b"\0")):
        accuse(
            market, made, "falselyExcluded", made.answer(3), book.offer(1, 1), made.entry(0), sender=auditor
        )


@pytest.mark.parametrize(
    "values", [{"slot": 8, "product": 1}, {"product": 2}, {"pod": PODS[1], "product": 1}]
)
def test_excluded_by_an_entry_of_another_slot_kind_or_pod(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any, values: dict[str, Any]
) -> None:  # fmt: skip
    lie = with_lie(honest, ENTRY, 0, **{"pod": PODS[3], **values})
    lie = with_lie(lie, ANSWER, 3, status=int(OfferStatus.COM_EXCLUDED), because=1)
    made = posted(market, book, lie, clearing_oracle)
    accuse(market, made, "falselyExcluded", made.answer(3), book.offer(1, 1), made.entry(0), sender=auditor)


def test_an_offer_that_isnt_called_excluded_isnt_falsely(
    market: Any, book: SmallBook, honest: ListDocument, clearing_oracle: Any, auditor: Any
) -> None:
    made = posted(market, book, honest, clearing_oracle)
    with refused(NOT_A_FAULT, b"FalselyExcluded".ljust(32, b"\0")):
        accuse(
            market, made, "falselyExcluded", made.answer(3), book.offer(1, 1), made.entry(0), sender=auditor
        )
