"""What was sold day ahead stands: no method takes it again, and what isn't sold clears as without."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.chain.market_view import MarketView
from offchain.protocol.book_documents import Area, OfferEntry
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST
from offchain.protocol.products import ClearingMethod, OfferStatus, Product
from offchain.protocol.real_time import SoldPlaces
from offchain.store.documents import FolderStore
from offchain.store.lists import RootMismatch
from oracles.clearing.core.outcome import posted_outcome
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.session import ClearedSession, clear_session
from oracles.session_facts import AheadResult, ahead_result
from tests.examples import examples
from tests.oracles.clearing.books import ORACLE, SEED, TERMS, area, book_of, offer, pod
from tests.oracles.clearing.challenger import Challenger, Documents
from tests.oracles.clearing.test_honest_outcomes import AREAS, EVERYONE, PODS, SINGLES, books
from tests.oracles.clearing.test_orders import needs

QUICK = ClearingParameters(front_steps=1, population=8, generations=3)
SOLD = st.dictionaries(
    st.builds(lambda number, slot, active: (pod(number), slot, active), *(
        st.integers(0, 5), st.sampled_from([0, 0, 0, 1, 2]), st.sampled_from([True, True, False])
    )),
    st.integers(0, 9),
    max_size=6,
)  # fmt: skip


def cleared(
    documents: Documents, sold: SoldPlaces | None = None, method: ClearingMethod = ClearingMethod.PAY_AS_BID
) -> ClearedSession:
    terms = replace(TERMS, method=int(method))
    return clear_session(documents, PODS, SEED, terms, ORACLE, QUICK, sold=sold)


def answer(made: ClearedSession, position: int) -> tuple[OfferStatus, int]:
    leaf = made.market.list_of(OUTCOME_BY_OFFER).records()[position]
    return OfferStatus(leaf.integer("status")), leaf.integer("because")


def places_taken(made: ClearedSession) -> set[tuple[bytes, int, bool]]:
    return {
        (entry.word("pod"), entry.integer("slot"), Product(entry.integer("product")).is_active)
        for entry in made.market.list_of(OUTCOME_BY_REQUEST).records()
    }


@examples(150)
@given(books(), SOLD, st.sampled_from(list(ClearingMethod)))
def test_no_sold_place_is_taken_and_every_reason_holds(
    documents: Documents, sold: SoldPlaces, method: ClearingMethod
) -> None:
    made = cleared(documents, sold, method)
    assert not places_taken(made) & set(sold)
    terms = replace(TERMS, method=int(method))
    assert Challenger(made.market, documents, PODS, terms).faults() == []
    for offer_ in made.book.offers:
        status, because = answer(made, offer_.position)
        if status is OfferStatus.COM_SOLD:
            slots = range(offer_.slot, offer_.last_slot + offer_.duration_slots)
            named = [sold.get((offer_.pod, slot, offer_.product.is_active)) for slot in slots]
            assert because - 1 in named
        elif offer_.void is None and offer_.is_single:
            assert (offer_.pod, offer_.slot, offer_.product.is_active) not in sold


@examples(100)
@given(books(), st.sampled_from([ClearingMethod.PAY_AS_BID, ClearingMethod.PAY_AS_CLEAR]))
def test_what_was_sold_elsewhere_changes_nothing(documents: Documents, method: ClearingMethod) -> None:
    """Places of PoDs that offer nothing, and of slots that nobody asks for."""
    elsewhere = {(pod(50), 0, True): 0, (pod(0), 90, True): 1, (pod(1), 91, False): 2}
    assert (
        cleared(documents, elsewhere, method).market.to_bytes()
        == cleared(documents, None, method).market.to_bytes()
    )


@examples(200)
@given(st.lists(SINGLES, min_size=3, max_size=12), AREAS, AREAS, SOLD)
def test_what_isnt_sold_clears_as_if_the_rest_were_offered_elsewhere(
    offers: list[OfferEntry], dso: list[Area], tso: list[Area], sold: SoldPlaces
) -> None:
    """Quantities and prices are those of a book whose sold offers stand in a slot that nobody asks for."""
    moved = [
        replace(entry, slot=90) if (entry.pod, entry.slot, entry.product.is_active) in sold else entry
        for entry in offers
    ]
    shown = [
        [
            (entry.offer.position, entry.request.position, entry.accepted_w, entry.price_ueur_per_kw)
            for entry in made.clearing.acceptances
        ]
        for made in (cleared(book_of(offers, dso, tso), sold), cleared(book_of(moved, dso, tso)))
    ]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("method", list(ClearingMethod))
class TestEveryMethod:
    """By every method alike."""

    def test_takes_the_next_one_instead(self, method: ClearingMethod) -> None:
        documents = book_of([offer(0, 2000, 10_000), offer(2, 2000, 20_000)], dso=[area(1000, EVERYONE)])
        assert answer(cleared(documents, None, method), 0)[0] is OfferStatus.PARTLY_ACCEPTED
        made = cleared(documents, {(pod(0), 0, True): 6}, method)
        assert answer(made, 0) == (OfferStatus.COM_SOLD, 7)
        assert places_taken(made) == {(pod(2), 0, True)}

    @pytest.mark.parametrize("product", [Product.ACTIVE_DOWN, Product.REACTIVE_UP])
    def test_the_other_way_is_sold_and_the_other_kind_isnt(
        self, method: ClearingMethod, product: Product
    ) -> None:
        documents = book_of(
            [offer(0, 1000, 10_000, product=product)], dso=[area(1000, EVERYONE, product=product)]
        )
        made = cleared(documents, {(pod(0), 0, True): 0}, method)
        expected = OfferStatus.COM_SOLD if product.is_active else OfferStatus.ACCEPTED
        assert answer(made, 0)[0] is expected

    def test_a_block_runs_where_nothing_was_sold(self, method: ClearingMethod) -> None:
        block = replace(offer(0, 1000, 10_000), last_slot=2, duration_slots=2)
        documents = book_of([block], dso=[needs(1000, 1000, 1000, 1000)])
        made = cleared(documents, {(pod(0), 1, True): 4}, method)
        assert places_taken(made) == {(pod(0), 2, True), (pod(0), 3, True)}
        made = cleared(documents, {(pod(0), 2, True): 4, (pod(0), 0, True): 5, (pod(0), 1, False): 1}, method)
        assert answer(made, 0) == (OfferStatus.COM_SOLD, 6), "the first sold slot of its first place"
        assert places_taken(made) == set()

    def test_what_is_linked_to_a_sold_one_isnt_taken_and_its_group_may_be(
        self, method: ClearingMethod
    ) -> None:
        offers = [
            replace(offer(0, 1000, 10_000), exclusive_group=1),
            replace(offer(0, 1000, 10_000, slot=1), linked_to=0),
            replace(offer(2, 1000, 10_000), exclusive_group=1),
        ]
        made = cleared(book_of(offers, dso=[needs(1000, 1000)]), {(pod(0), 0, True): 0}, method)
        assert [answer(made, position)[0] for position in range(3)] == [
            OfferStatus.COM_SOLD,
            OfferStatus.COM_EXCLUDED,
            OfferStatus.ACCEPTED,
        ]


def test_sold_comes_after_void_and_uncovered_and_before_any_other_reason() -> None:
    offers = [offer(0, 3001, 10_000), offer(0, 1000, 10_000), offer(0, 1000, 10_000, slot=90)]
    documents = book_of(offers, dso=[area(1000, EVERYONE)])
    sold = {(pod(0), slot, True): 0 for slot in (0, 90)}
    assert [answer(cleared(documents, sold), position)[0] for position in range(3)] == [
        OfferStatus.VOID,
        OfferStatus.COM_SOLD,
        OfferStatus.COM_SOLD,
    ]
    documents[1] = (replace(documents[1][0], coverage_ueur=0), documents[1][1])
    assert answer(cleared(documents, sold), 1)[0] is OfferStatus.UNCOVERED


def test_a_block_that_was_wanted_only_where_it_was_sold_isnt_needed() -> None:
    documents = book_of([replace(offer(0, 1000, 10_000), last_slot=1)], dso=[needs(1000)])
    assert answer(cleared(documents), 0)[0] is OfferStatus.ACCEPTED
    assert answer(cleared(documents, {(pod(0), 0, True): 0}), 0)[0] is OfferStatus.COM_NOT_NEEDED


class TestAheadResult:
    """The day-ahead outcome, as facts find it."""

    def found(self, tmp_path: Path, **changes: object) -> AheadResult | None:
        outcome = cleared(book_of([offer(0, 1000, 10_000)], dso=[area(1000, EVERYONE)])).market
        store = FolderStore(tmp_path)
        posted = replace(posted_outcome(outcome, store.put(outcome.to_bytes()), SEED), **changes)
        view = SimpleNamespace(day_ahead_of=lambda _: TERMS, validated_outcome=lambda _: posted)
        return ahead_result(cast("MarketView", view), store, TERMS)

    def test_is_what_was_posted(self, tmp_path: Path) -> None:
        found = self.found(tmp_path)
        assert found is not None
        assert len(found.document.list_of(OUTCOME_BY_REQUEST)) == 1

    @pytest.mark.parametrize("length", [0, 2])
    def test_of_another_length_than_was_posted_is_none(self, tmp_path: Path, length: int) -> None:
        """A reason that names a position beyond the posted length would be struck, honest or not."""
        with pytest.raises(InvalidInput, match="its document's list has 1 leaves"):
            self.found(tmp_path, byRequestLength=length)

    def test_with_another_root_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(RootMismatch):
            self.found(tmp_path, byRequestRoot=bytes(32))
