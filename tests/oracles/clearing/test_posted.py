"""A posted outcome of several objectives: another result passes if it keeps to every rule and is nearly as good."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product as every

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from offchain.protocol.book_documents import OfferEntry
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import ClearingMethod, Product
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.book import Book, Offer, Request
from oracles.clearing.core.outcome import outcome_document
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.posted import WorseThanPossible, clearing_as_posted
from oracles.clearing.core.reserve import with_reserve
from oracles.clearing.core.service_program import RuleBroken
from oracles.clearing.core.session import clear_session
from oracles.clearing.core.state import MarketState
from tests.examples import examples
from tests.oracles.clearing.books import ORACLE, SEED, TERMS, area, book_of, offer, pod
from tests.oracles.clearing.challenger import Documents
from tests.oracles.clearing.test_honest_outcomes import books
from tests.oracles.clearing.test_orders import block, needs
from tests.oracles.clearing.test_several_objectives import (
    EFFECTS,
    EXACT,
    PODS,
    QUICK,
    WHOLE,
    keeps_to_the_rules,
    legal,
    one_area,
    possible_runs,
)

NSGA2 = replace(TERMS, method=ClearingMethod.NSGA2)
SMALL = replace(QUICK, population=8, generations=2)
Take = tuple[int, int, list[int]]
"""Position of an offer, W, positions of the requests."""


def posted(book: Book, takes: Iterable[tuple[Offer, int, list[Request]]]) -> ListDocument:
    """The outcome of an oracle that takes these, whatever the rules say."""
    state = MarketState(book, PODS, SEED)
    accepted = [entry for each, amount_w, run in takes for entry in state.take(each, amount_w, run)]
    return outcome_document(book, state.finished(accepted), TERMS.session, ORACLE)


def as_read(
    documents: Documents,
    market: ListDocument,
    parameters: ClearingParameters,
    reliability: dict[bytes, int] | None = None,
) -> ListDocument:
    """A posted outcome as its leaves must be."""
    book = assemble(documents, PODS, TERMS)
    clearing = clearing_as_posted(book, PODS, SEED, parameters, reliability or {}, market)
    return outcome_document(book, with_reserve(clearing, book, PODS, SEED), TERMS.session, market.author)


def read(
    documents: Documents, takes: Iterable[Take], reliability: dict[bytes, int] | None = None
) -> ListDocument:
    """The outcome of these takes, if it passes, as its leaves must be."""
    book = assemble(documents, PODS, TERMS)
    requests = {request.position: request for request in book.requests}
    market = posted(book, [(book.offers[o], w, [requests[r] for r in served]) for o, w, served in takes])
    found = as_read(documents, market, QUICK, reliability)
    assert found.lists[1].root == market.lists[1].root, "every accepted quantity, in order, with its sums"
    return market


class TestHonestOnes:
    @pytest.mark.parametrize("terms", [EXACT, NSGA2])
    @examples(40)
    @given(documents=books())
    def test_pass_whatever_the_book(self, terms: object, documents: Documents) -> None:
        """What NSGA-II finds as well: it keeps the exact optimum with which it is seeded."""
        market = clear_session(documents, PODS, SEED, terms, ORACLE, SMALL).market
        found = as_read(documents, market, SMALL)
        assert [leaves.root for leaves in found.lists] == [leaves.root for leaves in market.lists]

    def test_another_optimum_passes(self) -> None:
        """Two offers are as good: the replay takes one of them, either may be posted."""
        offers = [offer(0, 1000, 10_000), offer(2, 1000, 10_000)]
        documents = book_of(offers, dso=[needs(1000)])
        for takes in ([(0, 1000, [0])], [(1, 1000, [0])], [(0, 400, [0]), (1, 600, [0])]):
            read(documents, takes)

    def test_so_does_one_within_a_thousandth(self) -> None:
        """300 of 300,000 µ€, and 1,000 for the W that a quantity may lose to whole ones."""

        def second_instead(price: int) -> ListDocument:
            offers = [offer(0, 3000, 100_000), offer(2, 3000, price)]
            return read(book_of(offers, dso=[needs(3000)]), [(1, 3000, [0])])

        assert second_instead(100_433)
        with pytest.raises(WorseThanPossible, match="weighs 301302 µ€, where 300000 µ€ are possible"):
            second_instead(100_434)


class TestWorseOnes:
    def test_dearer(self) -> None:
        offers = [offer(0, 3000, 10_000), offer(2, 3000, 12_000)]
        with pytest.raises(
            WorseThanPossible, match="DSO_REQUEST: weighs 36000 µ€, where 30000 µ€ are possible"
        ):
            read(book_of(offers, dso=[needs(3000)]), [(1, 3000, [0])])

    def test_unserved(self) -> None:
        with pytest.raises(WorseThanPossible, match="DSO_REQUEST: weighs 109000 µ€"):
            read(book_of([offer(0, 1000, 10_000)], dso=[needs(1000)]), [(0, 900, [0])])

    def test_of_pods_that_rarely_deliver(self) -> None:
        documents = book_of([offer(0, 1000, 10_000), offer(2, 1000, 10_000)], dso=[needs(1000)])
        minding = replace(QUICK, unreliability_ueur_per_kw=20_000)
        book, reliability = assemble(documents, PODS, TERMS), {pod(0): 500}
        for taken, is_worse in ((0, True), (1, False)):
            market = posted(book, [(book.offers[taken], 1000, [book.requests[0]])])
            try:
                clearing_as_posted(book, PODS, SEED, minding, reliability, market)
            except WorseThanPossible:
                assert is_worse
            else:
                assert not is_worse

    def test_for_the_tso_by_what_the_dsos_result_leaves(self) -> None:
        """Two ways to serve the DSO are as good; the TSO's optimum is that of the posted one."""
        offers = [offer(0, 1000, 10_000), offer(2, 1000, 10_000), offer(4, 1000, 30_000)]
        tso = replace(needs(1000), effectiveness=area(0, {0: 1000, 4: 1000}).effectiveness)
        dso = replace(needs(1000), effectiveness=area(0, {0: 1000, 2: 1000}).effectiveness)
        documents = book_of(offers, dso=[dso], tso=[tso])
        of_tso = assemble(documents, PODS, TERMS).requests[1].position
        read(documents, [(0, 1000, [0])])
        read(documents, [(1, 1000, [0]), (0, 1000, [of_tso])])
        with pytest.raises(WorseThanPossible, match="TSO_REQUEST"):
            read(documents, [(1, 1000, [0]), (2, 1000, [of_tso])])


# What each rule says when it is broken. Offers of pods 0, 2, 4, 6: request 0 is of slot 0, request 1 of slot 1; 0 to 6 kW.
OFFERS = [
    offer(0, 2000, 10_000),
    offer(0, 2000, 20_000),
    offer(0, 2000, 20_000, product=Product.ACTIVE_DOWN),
    offer(2, 2000, 10_000, minimum_w=1000),
    block(2, 1000, 10_000, 2),
    replace(offer(4, 1000, 10_000), exclusive_group=1),
    replace(offer(4, 1000, 10_000, slot=1), exclusive_group=1),
    replace(offer(6, 1000, 10_000), linked_to=0),
    offer(6, 2000, 90_000),
    offer(8, 1000, 10_000),
    offer(4, 4000, 10_000),
    replace(offer(6, 1000, 10_000), linked_to=7),
]
AREA = replace(
    needs(5000, 5000, cap=80_000), effectiveness=area(0, dict.fromkeys((0, 2, 4, 6), 1000)).effectiveness
)
DOWN = replace(needs(5000), product=Product.ACTIVE_DOWN)


@pytest.mark.parametrize(
    ("takes", "says"),
    [
        ([(0, 2001, [0])], "offer 0: 2001 W taken for request 0, more than is left of it: 2000 W"),
        (
            [(0, 2000, [0]), (1, 1001, [0])],
            "offer 1: 1001 W taken for request 0, more than its PoD may give: 1000 W",
        ),
        (
            [(0, 2000, [0]), (3, 2000, [0]), (8, 1, [0])],
            "offer 8 is taken for request 0, beyond its price cap",
        ),
        (
            [(0, 1000, [0]), (2, 1000, [2])],
            "offer 2: 1000 W taken for request 2, whose PoD is taken the opposite way",
        ),
        ([(0, 1500, [0]), (3, 2000, [0]), (5, 1000, [0]), (7, 501, [0])], "more than is needed: 500 W"),
        ([(3, 999, [0])], "offer 3: 999 W taken, below its minimum"),
        ([(4, 1000, [0])], "offer 4 is taken for request 0, where nothing of it may be taken"),
        ([(4, 1000, [0]), (4, 1000, [0])], "offer 4 is taken for request 0, 0, where nothing"),
        (
            [(4, 1000, [0]), (4, 999, [1])],
            "offer 4 is a block, taken with another power in some of its slots",
        ),
        ([(5, 1000, [0]), (6, 1000, [1])], "offer 6 is taken, and so is offer 5 of its group"),
        ([(7, 1000, [0])], "offer 7 is taken, without offer 0, to which it is linked"),
        (
            [(0, 1, [0]), (7, 1, [0]), (11, 1, [0])],
            "offer 11 is taken for request 0, where nothing of it may be taken",
        ),
        ([(0, 1000, [1])], "offer 0 is taken for request 1, which is of another slot or product"),
        ([(0, 1000, [2])], "offer 0 is taken for request 2, which is of another slot or product"),
        ([(9, 1000, [0])], "offer 9 is taken for request 0, whose area its PoD isn't in"),
        ([(10, 1000, [0])], "offer 10 is taken for request 0, and counts for nothing: VOID"),
        ([(0, 500, [0]), (0, 500, [0])], "offer 0 is taken twice for request 0"),
    ],
)
def test_a_broken_rule_is_named(takes: list[Take], says: str) -> None:
    documents = book_of(OFFERS, dso=[replace(AREA, name="up"), replace(DOWN, name="down")])
    book = assemble(documents, PODS, TERMS)
    state = MarketState(book, PODS, SEED)
    requests = {request.position: request for request in book.requests}
    accepted = []
    for place, amount_w, served in takes:
        found = replace(book.offers[place])
        state.left_w[place] = max(state.left_w[place], amount_w + 1)
        effects = {found.pod: (1000, 3)}
        run = [replace(requests[r], effectiveness={**effects, **requests[r].effectiveness}) for r in served]
        accepted += list(state.take(found, amount_w, run))
    market = outcome_document(book, replace(state.finished([]), acceptances=tuple(accepted)), 1, ORACLE)
    with pytest.raises(RuleBroken) as refusal:
        as_read(documents, market, QUICK)
    assert says in str(refusal.value)


def test_what_isnt_in_the_book_is_named() -> None:
    """An outcome of another book, with an offer or a request more."""
    own, other = offer(0, 1000, 10_000), offer(2, 1000, 10_000)
    documents = book_of([own], dso=[needs(1000)])
    for more in (book_of([own, other], dso=[needs(1000)]), book_of([own], dso=[needs(1000), needs(1000)])):
        book = assemble(more, PODS, TERMS)
        market = posted(book, [(book.offers[len(book.offers) - 1], 1000, [book.requests[-1]])])
        with pytest.raises(RuleBroken, match="isn't in the book"):
            as_read(documents, market, QUICK)


@examples(25)
@given(WHOLE, EFFECTS, st.lists(st.sampled_from([0, 1500, 3000]), min_size=2, max_size=3))
def test_passes_what_enumeration_allows_and_nothing_else(
    offers: list[OfferEntry], effects: dict[int, int], reliefs_w: list[int]
) -> None:
    """Every way to take or leave whole offers breaks a rule exactly where plain reasoning says so."""
    assume(legal(offers))
    book = assemble(book_of(offers, dso=[one_area(effects, reliefs_w)]), PODS, TERMS)
    for choice in every(*[[None, *possible_runs(book, each)] for each in book.offers]):
        took = [(each, run) for each, run in zip(book.offers, choice, strict=True) if run is not None]
        market = posted(book, [(each, each.power_w, run) for each, run in took])
        try:
            clearing_as_posted(book, PODS, SEED, QUICK, {}, market)
        except RuleBroken:
            assert not keeps_to_the_rules(took)
        except WorseThanPossible:
            assert keeps_to_the_rules(took)
        else:
            assert keeps_to_the_rules(took)
