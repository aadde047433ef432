"""The benchmarks' city is a book as players' documents would make it."""

from oracles.clearing.core.assembly import assemble
from tests.benchmarks.city import CitySize, city_of

SMALL = CitySize(pods=300, secondary=12, primary=3, aggregators=4)


def test_the_book_is_what_the_documents_give() -> None:
    city = city_of(SMALL)
    assert assemble(city.documents, city.pods, city.terms) == city.book


def test_a_seed_gives_a_city() -> None:
    assert city_of(SMALL).book == city_of(SMALL).book
