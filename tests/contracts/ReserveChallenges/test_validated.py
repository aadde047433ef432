"""A validated outcome's reserve is the market outcome's, less that of PoDs of which something was refused (SPECIFICATION.md 22.x)."""

from dataclasses import astuple, replace
from itertools import pairwise
from typing import Any

import pytest

from offchain.protocol.leaves import OUTCOME_RESERVE
from offchain.protocol.terms import SessionTerms
from oracles.clearing.core.outcome import outcome_document
from tests.contracts.chain import refused
from tests.contracts.outcomes import with_lie
from tests.contracts.play import VALIDATED
from tests.contracts.reserves import with_reserve
from tests.contracts.results import Results, fault_word, play_to_clearing

REFUSED = (2, 500)
"""The market outcome's entry of PoD 2 in the first slot, and W: its two entries of the reserve go, one of PoD 3 stays first."""


@pytest.fixture
def results(market: Any, terms: SessionTerms) -> Results:
    """A session of two slots whose validated outcome is due."""
    made = play_to_clearing(market, terms, change=with_reserve)
    made.post_market()
    made.post_technical(made.refusals_of([REFUSED]))
    return made


def accuse(results: Results, name: str, *shown: Any, sender: Any) -> Any:
    outcomes = [astuple(each) for each in (results.validated, results.market_outcome, results.technical)]
    return getattr(results.market.ReserveChallenges, name)(*outcomes, *shown, {"from": sender})


def reserve_of(document: Any) -> list[tuple[int, int]]:
    leaves = document.list_of(OUTCOME_RESERVE)
    return list(zip(leaves.integers("slot"), leaves.integers("acceptedW"), strict=True))


def test_nothing_in_what_honestly_follows_is_a_fault(results: Results, auditor: Any) -> None:
    results.post_validated()
    assert reserve_of(results.cleared.market) == [
        (7, 3_000),
        (7, 5_000),
        (7, 1_000),
        (8, 3_000),
        (8, 5_000),
        (8, 1_000),
    ]
    assert reserve_of(results.validated_document) == [(7, 1_000), (8, 3_000), (8, 5_000), (8, 1_000)]

    def innocent(name: str, fault: str, *shown: Any) -> None:
        with refused("ChallengesNotAFault", fault.encode().ljust(32, b"\0")):
            accuse(results, name, *shown, sender=auditor)

    before = [results.market_reserved(index) for index in range(6)]
    for index, place in enumerate((2, 3, 4, 5)):
        kept = results.reserved(index)
        innocent("reserveChanged", "ReserveChanged", kept, before[place])
        for earlier, later in [*zip(before, before, strict=True), *pairwise(before)]:
            innocent("reserveInvented", "ReserveInvented", kept, earlier, later)
        refusal, taken = results.refusal(0), results.market_entry(REFUSED[0])
        innocent("reserveOfRefused", "ReserveOfRefused", refusal, taken, kept)
        for name, fault in (("malformedReserve", "MalformedReserve"), ("reservePodExceeded", "PodExceeded")):
            with refused("ChallengesNotAFault", fault.encode().ljust(32, b"\0")):
                challenge = getattr(results.market.ReserveChallenges, name)
                challenge(astuple(results.validated), VALIDATED, kept, {"from": auditor})


@pytest.mark.parametrize(
    "values",
    [
        {"acceptedW": 3_001},
        {"acceptedW": 2_999},
        {"effectivenessPosition": 3},
        {"pod": bytes(31) + b"\1"},
        {"slot": 9},
        {"product": 1},
        {"priceUeurPerKw": 40_001},
        {"effectivenessPermille": 999},
        {"gridFeeUeurPerKw": 1},
    ],
)
def test_an_entry_that_was_changed(results: Results, auditor: Any, values: dict[str, Any]) -> None:
    results.post_validated(with_lie(results.honest_validated(), OUTCOME_RESERVE, 1, **values))
    tx = accuse(results, "reserveChanged", results.reserved(1), results.market_reserved(3), sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == fault_word("ReserveChanged")


@pytest.mark.parametrize(
    ("values", "earlier", "later"),
    [
        ({"priceUeurPerKw": 45_000}, 1, 2),
        ({"priceUeurPerKw": 39_000}, 0, 0),
        ({"priceUeurPerKw": 40_500, "requestPosition": 1}, 3, 4),
        ({"priceUeurPerKw": 51_000, "requestPosition": 1}, 5, 5),
        ({"priceUeurPerKw": 51_000}, 2, 3),
        # The marginal offer of the first slot has no place for the second one's request, whatever it costs.
        ({"requestPosition": 1, "offerPosition": 4, "priceUeurPerKw": 40_000}, 0, 0),
    ],
)
def test_an_entry_that_the_market_outcome_hasnt(
    results: Results, auditor: Any, values: dict[str, Any], earlier: int, later: int
) -> None:
    results.post_validated(with_lie(results.honest_validated(), OUTCOME_RESERVE, 0, **values))
    shown = (results.reserved(0), results.market_reserved(earlier), results.market_reserved(later))
    tx = accuse(results, "reserveInvented", *shown, sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == fault_word("ReserveInvented")


def test_an_entry_where_the_market_outcome_has_none(market: Any, terms: SessionTerms, auditor: Any) -> None:
    results = play_to_clearing(market, terms, change=lambda book: with_reserve(book, reserve_permille=0))
    results.post_market()
    results.post_technical()
    taken = results.cleared.clearing.acceptances[:1]
    lie = replace(results.cleared.clearing, reserve=taken)
    results.post_validated(
        outcome_document(results.cleared.book, lie, results.session, results.roles.clearing_oracle.address)
    )
    anything = results.reserved(0)
    tx = accuse(results, "reserveInvented", results.reserved(0), anything, anything, sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == fault_word("ReserveInvented")


@pytest.mark.parametrize("index", [0, 1])
def test_the_reserve_of_a_pod_of_which_something_was_refused(
    results: Results, auditor: Any, index: int
) -> None:
    """Of the offer that was refused in part, and of the PoD's next one."""
    results.post_validated(
        outcome_document(
            results.cleared.book,
            results.cleared.clearing,
            results.session,
            results.roles.clearing_oracle.address,
        )
    )
    shown = (results.refusal(0), results.market_entry(REFUSED[0]), results.reserved(index))
    tx = accuse(results, "reserveOfRefused", *shown, sender=auditor)
    assert tx.events["ResultStruck"]["fault"] == fault_word("ReserveOfRefused")


def test_another_entry_than_the_refused_one_shows_nothing(results: Results, auditor: Any) -> None:
    results.post_validated()
    with refused("ChallengesNotTheLeaf", REFUSED[0], 5):
        shown = (results.refusal(0), results.market_entry(5), results.reserved(1))
        accuse(results, "reserveOfRefused", *shown, sender=auditor)
