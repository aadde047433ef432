"""CO2 where offers state it: what it does where the operator minds, and that silence doesn't pay."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from offchain.protocol.book_documents import OfferEntry, offers_document
from offchain.protocol.book_rules import check_offers
from offchain.protocol.cid import cid_of
from offchain.protocol.errors import InvalidInput
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import ClearingMethod, Product
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.session import clear_session
from oracles.clearing.core.several_objectives import Front, clear_by_nsga2, clear_exactly
from oracles.clearing.core.state import Clearing
from tests.oracles.clearing.books import AGGREGATORS, ORACLE, SEED, TERMS, book_of, offer, registry, salt
from tests.oracles.clearing.challenger import Documents
from tests.oracles.clearing.test_orders import block, needs

PODS = registry(64)
METHODS = [clear_exactly, clear_by_nsga2]
MINDING = ClearingParameters(co2_ueur_per_kg=100_000, front_steps=4, population=24, generations=10)
"""10 ct a kg. A kW in a slot is a quarter of a kWh: a kg per kWh costs 25,000 µ€ a kW and slot."""


def emitting(
    number: int, price: int, co2_g_per_kwh: int | None, product: Product = Product.ACTIVE_UP
) -> OfferEntry:
    return replace(offer(number, 1000, price, product=product), co2_g_per_kwh=co2_g_per_kwh)


def taken(clearing: Clearing) -> dict[int, int]:
    return {entry.offer.position: entry.accepted_w for entry in clearing.acceptances}


def cleared(
    offers: Sequence[OfferEntry], parameters: ClearingParameters = MINDING, clear: object = clear_exactly
) -> tuple[dict[int, int], Front]:
    product = offers[0].product
    book = assemble(book_of(offers, dso=[replace(needs(1000), product=product)]), PODS, TERMS)
    clearing, (front,) = clear(book, PODS, SEED, parameters)
    return taken(clearing), front


@pytest.mark.parametrize("clear", METHODS)
def test_the_cleaner_is_taken_as_far_as_the_operator_minds(clear: object) -> None:
    """200 g cost 5,000 µ€ a kW and slot, 900 g 22,500: the first may be dearer by less than the difference."""
    for clean_price, chosen in ((27_499, 0), (27_501, 1)):
        found, front = cleared([emitting(0, clean_price, 200), emitting(2, 10_000, 900)], clear=clear)
        assert found == {chosen: 1000}
        assert front.chosen.co2_g == (50, 225)[chosen]


def test_where_nobody_minds_it_costs_nothing() -> None:
    careless = replace(MINDING, co2_ueur_per_kg=0)
    found, front = cleared([emitting(0, 20_000, 0), emitting(2, 10_000, 900)], careless)
    assert found == {1: 1000}
    assert all(point.co2_g == 0 for point in front.points)


@pytest.mark.parametrize("default_g", [0, 600, 1000])
def test_who_says_nothing_counts_at_the_operators_figure(default_g: int) -> None:
    """So it is as if it had stated that."""
    silent = replace(MINDING, co2_default_g_per_kwh=default_g)
    for stated_g in (default_g - 1, default_g + 1):
        if stated_g >= 0:
            found, _ = cleared([emitting(0, 10_000, None), emitting(2, 10_000, stated_g)], silent)
            assert found == {int(stated_g < default_g): 1000}


def test_reactive_power_emits_nothing() -> None:
    offers = [emitting(0, 20_000, 0, Product.REACTIVE_UP), emitting(2, 10_000, 900, Product.REACTIVE_UP)]
    found, front = cleared(offers)
    assert (found, front.chosen.co2_g) == ({1: 1000}, 0)


def test_a_block_emits_in_each_of_its_slots() -> None:
    offers = [replace(block(0, 1000, 10_000, 3), co2_g_per_kwh=400)]
    book = assemble(book_of(offers, dso=[needs(1000, 1000, 1000)]), PODS, TERMS)
    _, (front,) = clear_exactly(book, PODS, SEED, MINDING)
    assert front.chosen.co2_g == 300


@pytest.mark.parametrize("clear", METHODS)
def test_the_front_shows_what_less_of_it_costs(clear: object) -> None:
    """All relief at 10,000 µ€ and 225 g, or at 30,000 and none, and something between."""
    _, front = cleared([emitting(0, 30_000, 0), emitting(2, 10_000, 900)], clear=clear)
    served = {point.co2_g: point.cost_ueur for point in front.points if point.unserved_w == 0}
    assert served[225] == 10_000
    assert served[0] == 30_000
    assert any(0 < grams < 225 for grams in served)


def documents_with(note: object) -> Documents:
    """A book whose offers' document says this of its CO2."""
    documents = book_of([emitting(0, 10_000, None), emitting(2, 10_000, 500)], dso=[needs(1000)])
    reveal, document = documents[1]
    assert document is not None
    return [documents[0], (reveal, replace(document, notes={"co2GPerKwh": note}))]


class TestStatements:
    def document(self, note: object) -> ListDocument:
        made = offers_document(1, AGGREGATORS[0], [emitting(0, 1, None), emitting(2, 1, 7)], salt)
        return made if note is None else replace(made, notes={"co2GPerKwh": note})

    def test_stand_in_the_notes_and_so_in_the_committed_bytes(self) -> None:
        made = self.document(None)
        assert made.notes == {"co2GPerKwh": [None, 7]}
        assert ListDocument.from_bytes(made.to_bytes(), joint=True).notes == made.notes
        other = self.document([None, 6])
        assert cid_of(other.to_bytes()) != cid_of(made.to_bytes())

    def test_a_document_that_states_nothing_has_no_notes(self) -> None:
        assert offers_document(1, AGGREGATORS[0], [emitting(0, 1, None)], salt).notes == {}

    @pytest.mark.parametrize(
        ("note", "where"),
        [
            ([500], r"notes\.co2GPerKwh"),
            ({}, r"notes\.co2GPerKwh"),
            ([None, -1], r"co2GPerKwh\[1\]"),
            ([10_001, None], r"co2GPerKwh\[0\]"),
            ([True, None], r"co2GPerKwh\[0\]"),
            (["500", None], r"co2GPerKwh\[0\]"),
        ],
    )
    def test_that_are_none_are_refused_by_the_client_and_say_nothing(self, note: object, where: str) -> None:
        """In the book they void no offer: no leaf would show why."""
        with pytest.raises(InvalidInput, match=where):
            check_offers(self.document(note), AGGREGATORS[0], PODS, TERMS)
        book = assemble(documents_with(note), PODS, TERMS)
        assert [(each.void, each.co2_g_per_kwh) for each in book.offers] == [(None, None)] * 2

    def test_that_are_some_count(self) -> None:
        book = assemble(documents_with([0, None]), PODS, TERMS)
        assert [each.co2_g_per_kwh for each in book.offers] == [0, None]
        terms = replace(TERMS, method=ClearingMethod.EXACT)
        market = clear_session(documents_with([0, None]), PODS, SEED, terms, ORACLE, MINDING).market
        assert market.notes["fronts"][0]["chosen"] == [10_000, 0, 0, 1, 0]
