"""Price priority in columns and offer by offer are one: the same outcome, leaf by leaf, of any book."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracles.clearing.core.book import Book, assemble
from oracles.clearing.core.outcome import outcome_document
from oracles.clearing.core.parts import Extract
from oracles.clearing.core.price_priority import clear, clear_one_by_one
from oracles.clearing.core.state import Clearing, areas_of
from tests.oracles.clearing.books import ORACLE, SEED, TERMS, book_of
from tests.oracles.clearing.challenger import Documents
from tests.oracles.clearing.test_honest_outcomes import AREAS, COVERAGE, OFFERS, PODS, books


def one_by_one(book: Book) -> Clearing:
    """The whole book cleared as one part, offer by offer."""
    return clear_one_by_one(Extract(list(book.offers), areas_of(book.requests), PODS, SEED))


PLAIN = OFFERS.map(
    lambda offers: [
        replace(each, min_power_w=0, duration_slots=1, last_slot=None, exclusive_group=0, linked_to=None)
        for each in offers
    ]
)


@st.composite
def plain_books(draw: st.DrawFn) -> Documents:
    """Books of divisible single offers only."""
    documents = book_of(draw(PLAIN) + draw(PLAIN), draw(AREAS), draw(AREAS))
    return [(replace(reveal, coverage_ueur=draw(COVERAGE)), document) for reveal, document in documents]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plain_books() | books())
def test_columns_give_the_same_as_offer_by_offer(documents: Documents) -> None:
    book = assemble(documents, PODS, TERMS)
    found, expected = clear(book, PODS, SEED), one_by_one(book)
    assert list(found.acceptances) == list(expected.acceptances)
    for name in ("status", "because", "start_slots"):
        assert list(getattr(found, name)) == list(getattr(expected, name)), name
    said, expected_said = (outcome_document(book, each, 1, ORACLE).to_bytes() for each in (found, expected))
    assert said == expected_said
