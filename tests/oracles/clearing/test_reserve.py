"""The reserve: what is picked beyond the requests, and what that leaves alone (SPECIFICATION.md 15.x)."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product as every
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.book_documents import Area, OfferEntry, Relief
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE
from offchain.protocol.products import ClearingMethod, OfferStatus, Product, Side
from oracles.clearing.core.assembly import assemble
from oracles.clearing.core.book import Ints, Offer, Offers
from oracles.clearing.core.parameters import ClearingParameters
from oracles.clearing.core.price_priority import clear
from oracles.clearing.core.reserve import with_reserve
from oracles.clearing.core.session import ClearedSession, clear_session, validate_session
from oracles.clearing.core.state import Acceptance
from tests.examples import examples
from tests.oracles.clearing.books import (
    ORACLE,
    SEED,
    TERMS,
    area,
    book_of,
    delivered_ueur_per_kw,
    offer,
    pod,
    registry,
    renumbered,
)
from tests.oracles.clearing.challenger import Challenger, Documents
from tests.oracles.clearing.test_honest_outcomes import (
    books,
    refusal_row,
    refusals_at_random,
    refusals_document,
)

LIMIT_W = 3000
PODS = registry(64, limit_w=LIMIT_W)
ALL = {0: 1000, 1: 1000, 2: 1000, 3: 1000}
DOWN = Product.ACTIVE_DOWN
QUICK = ClearingParameters(front_steps=1, population=8, generations=4)


def cleared(
    offers: Sequence[OfferEntry],
    dso: Sequence[Area],
    tso: Sequence[Area] = (),
    method: ClearingMethod = ClearingMethod.PAY_AS_BID,
) -> ClearedSession:
    return of_documents(book_of(offers, dso, tso), method)


def of_documents(documents: Documents, method: ClearingMethod = ClearingMethod.PAY_AS_BID) -> ClearedSession:
    return clear_session(documents, PODS, SEED, replace(TERMS, method=method), ORACLE, QUICK)


def by_price(entries: Sequence[Acceptance]) -> list[tuple[int, int]]:
    """(price of the offer, W) of entries, in their order."""
    return [(entry.offer.price_ueur_per_kw, entry.accepted_w) for entry in entries]


def picked(session: ClearedSession) -> list[tuple[int, int]]:
    return by_price(session.clearing.reserve)


def status_of(session: ClearedSession, price: int) -> tuple[OfferStatus, int]:
    """Status and `because` of the offer at a price."""
    (position,) = [each.position for each in session.book.offers if each.price_ueur_per_kw == price]
    return session.clearing.status[position], session.clearing.because[position]


THREE = [offer(0, 3000, 10_000), offer(1, 3000, 20_000), offer(2, 3000, 30_000)]


def test_what_is_left_of_the_marginal_offer_then_the_next_cheapest_up_to_the_margin() -> None:
    session = cleared(THREE, [area(4000, ALL, reserve_permille=750)])
    assert by_price(session.clearing.acceptances) == [(10_000, 3000), (20_000, 1000)]
    assert picked(session) == [(20_000, 2000), (30_000, 1000)]
    assert status_of(session, 20_000) == (OfferStatus.PARTLY_ACCEPTED, 0)
    assert status_of(session, 30_000) == (OfferStatus.RESERVED, 2)


def test_no_margin_no_reserve() -> None:
    session = cleared(THREE, [area(4000, ALL)])
    assert picked(session) == []
    assert status_of(session, 30_000) == (OfferStatus.COM_DEARER, 0)


def test_an_offer_of_which_the_reserve_has_nothing_is_dearer() -> None:
    session = cleared(THREE, [area(4000, ALL, reserve_permille=250)])
    assert picked(session) == [(20_000, 1000)]
    assert status_of(session, 30_000) == (OfferStatus.COM_DEARER, 0)


def test_amounts_count_times_effectiveness_and_merit_is_price_over_it() -> None:
    offers = [offer(0, 3000, 1_000), offer(1, 3000, 10_000), offer(2, 3000, 11_000)]
    session = cleared(offers, [area(3000, {0: 1000, 1: 500, 2: 1000}, reserve_permille=500)])
    assert picked(session) == [(11_000, 1500)]
    session = cleared(offers, [area(3000, {0: 1000, 1: 500, 2: 400}, reserve_permille=500)])
    assert picked(session) == [(10_000, 3000)]


def test_the_reserve_takes_nothing_that_a_later_request_needs() -> None:
    dso, tso = area(3000, {0: 1000, 1: 1000}, reserve_permille=1000), area(2000, {1: 1000})
    session = cleared(THREE, [dso], [tso])
    assert by_price(session.clearing.acceptances) == [(10_000, 3000), (20_000, 2000)]
    assert picked(session) == [(20_000, 1000)]


def test_the_dsos_reserve_comes_before_that_of_a_tso_that_committed_first() -> None:
    dso, tso = area(1000, {2: 1000}, reserve_permille=1000), area(1000, {2: 1000}, reserve_permille=1000)
    documents = book_of([offer(2, 2500, 30_000)], [dso], [replace(tso, element=bytes(32))])
    first = renumbered([documents[1], documents[0], *documents[2:]])
    for ordered in (documents, first):
        session = of_documents(ordered)
        sides = {entry.request.side: entry.accepted_w for entry in session.clearing.reserve}
        assert sides == {Side.DSO_REQUEST: 1000, Side.TSO_REQUEST: 500}
        positions = [entry.request.position for entry in session.clearing.reserve]
        assert positions == sorted(positions)


def test_a_pod_that_a_request_takes_the_opposite_way_is_left_out() -> None:
    offers = [offer(0, 1000, 10_000, product=DOWN), offer(0, 1000, 20_000), offer(1, 1000, 5_000)]
    areas = [area(1000, ALL, product=DOWN), area(1000, {0: 1000, 1: 1000}, reserve_permille=1000)]
    session = cleared(offers, areas)
    assert picked(session) == []
    assert status_of(session, 20_000)[0] is OfferStatus.COM_EXCLUDED


def test_the_reserve_takes_no_pod_both_ways_and_says_so() -> None:
    offers = [offer(0, 1000, 10_000), offer(0, 1000, 20_000, product=DOWN)]
    offers += [offer(1, 1000, 1_000), offer(3, 1000, 1_001, product=DOWN)]
    areas = [
        area(1000, {0: 1000, number: 1000}, product=product, reserve_permille=1000)
        for number, product in ((1, Product.ACTIVE_UP), (3, DOWN))
    ]
    session = cleared(offers, areas)
    assert picked(session) == [(10_000, 1000)]
    assert status_of(session, 20_000) == (OfferStatus.RESERVE_EXCLUDED, 1)


def test_a_pods_limit_holds_for_requests_and_reserve_together() -> None:
    """The request takes 1 kW of the PoD, the reserve the other two of its 3 kW: none is left for its dearest step."""
    offers = [offer(0, 2000, 10_000), offer(0, 2000, 20_000), offer(0, 500, 30_000), offer(1, 3000, 40_000)]
    session = cleared(offers, [area(1000, ALL, reserve_permille=4000)])
    assert picked(session) == [(10_000, 1000), (20_000, 1000), (40_000, 2000)]
    assert status_of(session, 30_000) == (OfferStatus.RESERVE_EXCLUDED, 1)
    (first, second, _) = session.market.list_of(OUTCOME_RESERVE).records()
    totals = [(leaf.integer("podRunningW"), leaf.integer("podTotalW")) for leaf in (first, second)]
    assert totals == [(2000, 3000), (3000, 3000)]
    assert [leaf.integer("previousForPod") for leaf in (first, second)] == [1, 2], (
        "it runs on from the request"
    )


def test_a_minimum_acceptance_holds_with_what_requests_take() -> None:
    offers = [offer(0, 3000, 10_000, minimum_w=2500), offer(1, 3000, 20_000)]
    assert picked(cleared(offers, [area(2600, ALL, reserve_permille=100)])) == [(10_000, 260)]
    assert picked(cleared(offers, [area(2000, ALL, reserve_permille=1000)])) == [(20_000, 1000)]
    assert picked(cleared(offers, [area(2000, ALL, reserve_permille=1250)])) == [(10_000, 2500)]


def test_a_minimum_acceptance_is_no_way_around_the_pods_limit() -> None:
    """1 kW of the PoD is taken, 2 kW are left: too few for the one offer, enough for the other."""
    for minimum_w, expected in ((2500, []), (2000, [(20_000, 2000)])):
        offers = [offer(0, 1000, 10_000), offer(0, 3000, 20_000, minimum_w=minimum_w)]
        assert picked(cleared(offers, [area(1000, ALL, reserve_permille=3000)])) == expected


def test_the_part_of_a_w_that_the_cheapest_cant_serve_goes_to_no_dearer_one() -> None:
    """Of a margin of 1.5 W one W is the second offer's; the half would be 1 W of the third, which relieves less and costs more."""
    offers = [offer(0, 1500, 10_000), offer(1, 3000, 20_000), offer(2, 3000, 30_000)]
    needs = area(1500, {0: 1000, 1: 1000, 2: 300}, reserve_permille=1)
    assert picked(cleared(offers, [needs])) == [(20_000, 1)]


@pytest.mark.parametrize(
    "order", [{"duration_slots": 2}, {"last_slot": 1}, {"exclusive_group": 1}, {"linked_to": 0}]
)
def test_blocks_groups_and_links_arent_picked(order: dict[str, int]) -> None:
    bound = replace(offer(0, 1000, 1_000), **order)
    offers = [offer(0, 1000, 500, slot=5), offer(2, 1000, 400), bound, offer(1, 3000, 20_000)]
    session = cleared(offers, [area(1000, ALL, reserve_permille=1000)])
    assert picked(session) == [(20_000, 1000)]


def test_nothing_is_picked_above_the_price_cap() -> None:
    session = cleared(THREE, [area(3000, ALL, cap=20_000, reserve_permille=2000)])
    assert picked(session) == [(20_000, 3000)]


def test_paid_as_cleared_the_reserve_still_has_its_offers_price() -> None:
    offers = [offer(0, 3000, 10_000), offer(1, 3000, 20_000)]
    needs = area(3500, ALL, reserve_permille=300)
    session = cleared(offers, [needs], method=ClearingMethod.PAY_AS_CLEAR)
    assert {entry.price_ueur_per_kw for entry in session.clearing.acceptances} == {20_000}
    session = cleared(offers, [area(1000, ALL, reserve_permille=3000)], method=ClearingMethod.PAY_AS_CLEAR)
    assert [entry.price_ueur_per_kw for entry in session.clearing.reserve] == [10_000, 20_000]


def test_what_ties_is_shared_whatever_came_first() -> None:
    needs = [area(1000, ALL, reserve_permille=1001)]
    offers = [offer(number, 1000 * (number + 1), 7) for number in range(2)]
    first, second = (cleared(order, needs) for order in (offers, offers[::-1]))
    shares = [
        sorted((entry.offer.pod, entry.accepted_w) for entry in each.clearing.reserve)
        for each in (first, second)
    ]
    assert shares[0] == shares[1]
    assert sum(amount_w for _, amount_w in shares[0]) == 1001
    assert len(shares[0]) == 2


def test_escrow_covers_relief_and_reserve_together() -> None:
    """It covers half of both: 1 kW of relief and 1 kW of reserve."""
    documents = book_of([offer(0, 3000, 100)], [area(2000, ALL, cap=100, reserve_permille=1000)])
    (reveal, document), *others = documents
    session = of_documents([(replace(reveal, coverage_ueur=200), document), *others])
    assert by_price(session.clearing.acceptances) == [(100, 1000)]
    assert picked(session) == [(100, 1000)]


def lists_without_reserve(session: ClearedSession) -> tuple[object, ...]:
    """The list by request, and of the list by offer all but the reasons that only a reserve gives."""
    by_offer = [
        {**leaf.values, "status": OfferStatus.COM_DEARER, "because": 0}
        if leaf.integer("status")
        in (OfferStatus.RESERVED, OfferStatus.RESERVE_EXCLUDED, OfferStatus.COM_MINIMUM)
        else dict(leaf.values)
        for leaf in session.market.list_of(OUTCOME_BY_OFFER).records()
    ]
    return session.market.list_of(OUTCOME_BY_REQUEST).root, by_offer


def without_margins(documents: Documents) -> Documents:
    """The same book, its requests without a margin."""
    out = []
    for reveal, document in documents:
        if reveal.side is not Side.OFFER and document is not None:
            needs, effects = document.lists
            columns = {**needs.columns, "reservePermille": needs.columns["reservePermille"] * 0}
            document = replace(document, lists=(replace(needs, columns=columns), effects))
        out.append((reveal, document))
    return out


@examples(150)
@given(books(), st.sampled_from([ClearingMethod.PAY_AS_BID, ClearingMethod.PAY_AS_CLEAR]))
def test_requests_get_the_same_with_a_reserve_and_without(
    documents: Documents, method: ClearingMethod
) -> None:
    documents = [
        (reveal if reveal.side is Side.OFFER else replace(reveal, coverage_ueur=10**15), document)
        for reveal, document in documents
    ]
    found = [
        lists_without_reserve(of_documents(each, method)) for each in (documents, without_margins(documents))
    ]
    assert found[0] == found[1]


@examples(15)
@given(books(), st.sampled_from([ClearingMethod.EXACT, ClearingMethod.NSGA2]))
def test_the_other_methods_have_a_reserve_too(documents: Documents, method: ClearingMethod) -> None:
    session, without = of_documents(documents, method), of_documents(without_margins(documents), method)
    terms = replace(TERMS, method=method)
    assert Challenger(session.market, documents, PODS, terms).faults() == []
    if all(reveal.coverage_ueur == 10**15 for reveal, _ in documents):
        assert lists_without_reserve(session) == lists_without_reserve(without)


@pytest.mark.parametrize("method", [ClearingMethod.EXACT, ClearingMethod.NSGA2])
def test_and_it_is_picked_by_price_priority(method: ClearingMethod) -> None:
    session = cleared(THREE, [area(4000, ALL, reserve_permille=750)], method=method)
    assert picked(session) == [(20_000, 2000), (30_000, 1000)]


@examples(150)
@given(books(), st.randoms(use_true_random=False))
def test_what_the_dso_refused_of_a_pod_takes_its_reserve_along_and_the_rest_stays(
    documents: Documents, chance: Random
) -> None:
    session = of_documents(documents)
    refusals = refusals_at_random(session.market, chance)
    validated = validate_session(session, refusals, ORACLE)
    entries = session.market.list_of(OUTCOME_BY_REQUEST).records()
    refused = {
        (entries[leaf.integer("byRequestPosition")].word("pod"), leaf.integer("slot"))
        for leaf in refusals.lists[0].records()
    }
    same = ("requestPosition", "offerPosition", "pod", "slot", "product", "acceptedW", "priceUeurPerKw")
    kept, before = (
        [tuple(leaf.values[name] for name in same) for leaf in document.list_of(OUTCOME_RESERVE).records()]
        for document in (validated, session.market)
    )
    assert kept == [entry for entry in before if (entry[2], entry[3]) not in refused]


def test_a_refusal_of_a_pod_takes_its_reserve_for_every_request() -> None:
    session = cleared(
        THREE, [area(4000, ALL, reserve_permille=500)], [area(500, {2: 1000}, reserve_permille=1000)]
    )
    assert picked(session) == [(20_000, 2000), (30_000, 500)]
    market = session.market.list_of(OUTCOME_BY_REQUEST).records()
    refusals = refusals_document([refusal_row(1, 1, market[1].values)])
    validated = validate_session(session, refusals, ORACLE)
    assert [leaf.integer("priceUeurPerKw") for leaf in validated.list_of(OUTCOME_RESERVE).records()] == [
        30_000
    ]


@st.composite
def small_books(draw: st.DrawFn) -> tuple[list[tuple[int, int, int]], int, int]:
    """(PoD, W, price) of up to four offers, and a relief with its margin in per mille."""
    offers = draw(
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from([1000, 2000, 3000])),
            min_size=1,
            max_size=4,
        )
    )
    return offers, draw(st.integers(1, 4)), draw(st.sampled_from([500, 1000, 2000]))


@examples(400)
@given(small_books(), st.sampled_from([0, 500, 1000]))
def test_no_other_choice_has_more_in_reserve_or_as_much_for_less(
    small: tuple[list[tuple[int, int, int]], int, int], fee: int
) -> None:
    """Against enumeration, of PoDs that may give 4 W, where one of them costs a grid fee."""
    offers, relief_w, permille = small
    documents = book_of(
        [offer(number, power_w, price) for number, power_w, price in offers],
        [area(relief_w, ALL, reserve_permille=permille, fees={0: fee})],
    )
    limit_w = 4
    pods = registry(64, limit_w=limit_w)
    session = clear_session(documents, pods, SEED, TERMS, ORACLE)
    taken = Counter({each.position: 0 for each in session.book.offers})
    for entry in session.clearing.acceptances:
        taken[entry.offer.position] += entry.accepted_w
    margin_w = relief_w * permille // 1000
    best = max(_choices(session, taken, margin_w, limit_w))
    reserve = session.clearing.reserve
    cost = sum(entry.accepted_w * delivered_ueur_per_kw(entry.offer, entry.request) for entry in reserve)
    assert (sum(entry.accepted_w for entry in reserve), -cost) == best


def _choices(
    session: ClearedSession, taken: Counter[int], margin_w: int, limit_w: int
) -> Iterator[tuple[int, int]]:
    """(W, less what they cost) of every way to choose from what is left."""
    offers = session.book.offers
    for amounts in every(*(range(each.counted_w - taken[each.position] + 1) for each in offers)):
        of_pod: Counter[bytes] = Counter()
        for each, amount_w in zip(offers, amounts, strict=True):
            of_pod[each.pod] += amount_w + taken[each.position]
        if sum(amounts) <= margin_w and max(of_pod.values()) <= limit_w:
            (request,) = session.book.requests
            prices = [delivered_ueur_per_kw(each, request) for each in offers]
            cost = sum(w * price for w, price in zip(amounts, prices, strict=True))
            yield sum(amounts), -cost


def test_a_request_of_several_slots_has_a_margin_in_each() -> None:
    needs = replace(
        area(0, ALL, reserve_permille=500), reliefs=[Relief(0, 2000, 10**6), Relief(1, 1000, 10**6)]
    )
    session = cleared([offer(0, 3000, 10, slot=0), offer(1, 3000, 20, slot=1)], [needs])
    assert [(entry.request.slot, entry.accepted_w) for entry in session.clearing.reserve] == [
        (0, 1000),
        (1, 500),
    ]


def test_a_villages_reserve_asks_nothing_of_the_rest_of_the_city(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at offers one by one but of the PoDs that a request with a margin names, in its slot."""
    offers = [offer(number, 3000, 10_000 + number, slot=slot) for number in range(12) for slot in (0, 1)]
    village = area(4000, ALL, reserve_permille=500)
    city = [area(9000, dict.fromkeys(range(4, 12), 1000), slot=slot) for slot in (0, 1)]
    book = assemble(book_of(offers, [village, *city]), PODS, TERMS)
    asked: set[tuple[bytes, int]] = set()
    made = Offers.at

    def at(offers_: Offers, positions: Ints) -> list[Offer]:
        found = made(offers_, positions)
        asked.update((each.pod, each.slot) for each in found)
        return found

    clearing = clear(book, PODS, SEED)
    monkeypatch.setattr(Offers, "at", at)
    found = with_reserve(clearing, book, PODS, SEED)
    assert by_price(found.reserve) == [(10_001, 2000)]
    assert asked == {(pod(number), 0) for number in range(4)}
