"""An honest outcome of any book holds against every accusation; one that lies doesn't."""

from collections.abc import Mapping
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.book_documents import Area, Relief
from offchain.protocol.cid import cid_of
from offchain.protocol.leaves import OFFER, OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, REFUSAL, LeafKind, Value
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.products import ClearingMethod, OfferStatus, Product, Side
from offchain.protocol.terms import SessionTerms
from oracles.clearing.core.outcome import posted_outcome
from oracles.clearing.core.session import clear_session, validate_session
from tests.examples import examples
from tests.oracles.clearing.books import ORACLE, SEED, TERMS, area, book_of, offer, pod, registry
from tests.oracles.clearing.challenger import Challenger, Documents

AS_CLEARED = replace(TERMS, method=ClearingMethod.PAY_AS_CLEAR)
PODS = registry(64, limit_w=3000)
PODS[pod(5)] = replace(PODS[pod(5)], products=0b0001)

# Mostly one slot, direction and a few PoDs, so that offers compete; the least of each range is the rare one.
PRODUCTS = st.sampled_from([Product.REACTIVE_UP, Product.ACTIVE_DOWN, *[Product.ACTIVE_UP] * 6])
SINGLES = st.builds(
    offer,
    st.sampled_from([5, 4, 3, 2, 1, 1, 0, 0]),
    st.sampled_from([0, 3001, 3000, 1777, 1200, 999, 800, 1]),
    st.sampled_from([0, 10_000, 20_000, 20_000, 30_000]),
    st.sampled_from([TERMS.slots, 1, *[0] * 12]),
    PRODUCTS,
    st.sampled_from([3000, 500, 1, *[0] * 6]),
)
ORDERS: list[dict[str, int | tuple[int, ...]]] = [
    {"duration_slots": 2},
    {"duration_slots": 3, "last_slot": 1},
    {"last_slot": 2},
    {"duration_slots": 2, "last_slot": 1, "exclusive_group": 1},
    {"exclusive_group": 1},
    {"exclusive_group": 2},
    {"linked_to": 0},
    {"linked_to": 1},
    {"linked_to": 1, "duration_slots": 2},
    {"duration_slots": 97},
    {"duration_slots": 0},
    {"payback_w": (-100, 0, 7)},
    {"payback_w": (-(2**31),)},
    {"duration_slots": 3, "payback_w": (0, *[1_000] * 7)},
]
OFFERS = st.lists(
    st.builds(
        lambda single, order: replace(single, **order),
        SINGLES,
        st.sampled_from([*ORDERS, *[{}] * len(ORDERS)]),
    ),
    min_size=3,
    max_size=12,
)


def areas_of_slots(needs: Area, reliefs: list[int]) -> Area:
    """The area with a relief in each slot, at its price cap."""
    cap = needs.reliefs[0].price_cap_ueur_per_kw
    return replace(needs, reliefs=[Relief(slot, relief_w, cap) for slot, relief_w in enumerate(reliefs)])


FEES = st.sampled_from(
    [{0: 2**53 - 1, 1: 1}, {0: 5_000, 1: 10_000, 2: 1, 4: 7}, {2: 10_000, 3: 10_001}, {}, {}]
)
AREA = st.builds(
    area,
    st.sampled_from([0, 700, 2500, 6001]),
    st.dictionaries(st.integers(0, 5), st.sampled_from([0, 1001, 1, 333, 700, 1000, 1000]), min_size=3),
    st.sampled_from([0, 15_000, 40_000, 10**6]),
    st.sampled_from([1, 0, 0, 0]),
    PRODUCTS,
    st.sampled_from([1500, 300, 300, 0, 0]),
    FEES,
)
RELIEFS = st.lists(st.sampled_from([0, 700, 2500, 2500, 6001, 9001]), min_size=1, max_size=4)
AREAS = st.lists(
    st.one_of(AREA, st.builds(areas_of_slots, AREA, RELIEFS), st.builds(areas_of_slots, AREA, RELIEFS)),
    min_size=1,
    max_size=3,
)
COVERAGE = st.sampled_from([0, 123_457, 400_000, *[10**15] * 5])


@st.composite
def books(draw: st.DrawFn) -> Documents:
    """Books with blocks, groups and links, void offers and documents, scarce collateral and escrow, minima, limits and opposite
    directions."""
    documents = book_of(draw(OFFERS), draw(AREAS), draw(AREAS))
    out = []
    for reveal, document in documents:
        coverage_ueur = draw(COVERAGE)
        if reveal.side is Side.OFFER and draw(st.sampled_from([True, *[False] * 9])):
            document = None
        out.append((replace(reveal, coverage_ueur=coverage_ueur), document))
    return out


@examples(300)
@given(books(), st.sampled_from([TERMS, AS_CLEARED]), st.randoms(use_true_random=False))
def test_nothing_can_be_said_against_an_honest_outcome(
    documents: Documents, terms: SessionTerms, chance: Random
) -> None:
    cleared = clear_session(documents, PODS, SEED, terms, ORACLE)
    assert Challenger(cleared.market, documents, PODS, terms).faults() == []
    refusals = refusals_at_random(cleared.market, chance)
    validated = validate_session(cleared, refusals, ORACLE)
    assert Challenger(validated, documents, PODS, terms).faults(market=False) == []
    parents = {offer.position: offer.parent for offer in cleared.book.offers}
    assert answers_for_its_refusals(cleared.market, refusals, validated, parents)


def refusals_at_random(market: ListDocument, chance: Random) -> ListDocument:
    """A technical outcome that refuses some entries, in full or in part."""
    rows: list[list[Value]] = []
    for entry in market.list_of(OUTCOME_BY_REQUEST).records():
        if chance.random() < 0.5:
            refused_w = chance.randint(1, entry.integer("acceptedW"))
            rows.append(refusal_row(entry.integer("position"), refused_w, entry.values))
    return refusals_document(rows)


def refusal_row(position: int, refused_w: int, entry: Mapping[str, Value]) -> list[Value]:
    """A refusal of an entry, its position and length still open."""
    copied = [entry["offerPosition"], entry["slot"], entry["product"]]
    return [0, 0, position, *copied, refused_w, 0, b"e" * 32, 1, 0, bytes(32), bytes(32)]


def refusals_document(rows: list[list[Value]]) -> ListDocument:
    """A technical outcome of these rows."""
    running_w = 0
    for position, row in enumerate(rows):
        running_w += int(row[6])
        row[0], row[1], row[7] = position, len(rows), running_w
    return ListDocument(1, ORACLE, (LeafList.of_rows(REFUSAL, rows),))


def answers_for_its_refusals(
    market: ListDocument, refusals: ListDocument, validated: ListDocument, parents: Mapping[int, int | None]
) -> bool:
    """AcceptedMore, TakenWithoutRefusal, RefusalIgnored and WrongCopy of the validated outcome: none holds."""
    refused = refusals.list_of(REFUSAL).records()
    ours, theirs = (document.list_of(OUTCOME_BY_OFFER).records() for document in (validated, market))
    for after, before in zip(ours, theirs, strict=True):
        for name in ("commitment", "offerPosition", "countedW", "coverUeur", "startSlot"):
            assert after.integer(name) == before.integer(name)
        assert after.integer("acceptedW") <= before.integer("acceptedW")
        if after.integer("acceptedW") < before.integer("acceptedW"):
            named = refused[after.integer("because") - 1]
            assert after.integer("because") > 0
            first = after.integer("position") - after.integer("offerPosition")
            assert first <= named.integer("offerPosition") <= after.integer("position")
            if named.integer("offerPosition") != after.integer("position"):
                assert after.integer("acceptedW") == 0
                assert named.integer("offerPosition") == parents[after.integer("position")], (
                    "RefusedForAnother"
                )
    for leaf in refused:
        before, after = (rows[leaf.integer("offerPosition")] for rows in (theirs, ours))
        assert after.integer("acceptedW") <= before.integer("acceptedW") - leaf.integer("refusedW")
    return True


def changed(document: ListDocument, kind: LeafKind, position: int, **values: Value) -> ListDocument:
    """The document with fields of one leaf changed."""
    lists = []
    for leaves in document.lists:
        rows = [list(leaves.row(index)) for index in range(len(leaves))]
        if leaves.kind is kind:
            names = [field.name for field in leaves.kind.fields]
            for name, value in values.items():
                rows[position][names.index(name)] = value
        lists.append(LeafList.of_rows(leaves.kind, rows))
    return replace(document, lists=tuple(lists))


EVERYONE = {0: 1000, 1: 900, 2: 800}
HONEST = book_of(
    [
        offer(0, 2000, 10_000),
        offer(0, 2000, 20_000),
        offer(0, 1000, 30_000),
        offer(1, 2000, 15_000),
        offer(2, 2500, 90_000),
        offer(2, 500, 1_000, slot=1),
    ],
    dso=[area(4000, EVERYONE)],
    tso=[area(6400, EVERYONE, cap=200_000)],
)


@pytest.mark.parametrize(
    ("kind", "position", "values", "fault"),
    [
        (OUTCOME_BY_REQUEST, 1, {"runningW": 1}, "SumBroken: runningW at 1"),
        (OUTCOME_BY_REQUEST, 1, {"documentUeur": 1}, "SumBroken: documentUeur at 1"),
        (OUTCOME_BY_REQUEST, 2, {"previousForPod": 0}, "PodChainBroken: previousForPod"),
        (OUTCOME_BY_REQUEST, 0, {"nextForOffer": 3}, "OfferChainBroken"),
        (OUTCOME_BY_REQUEST, 0, {"priceUeurPerKw": 9_999}, "NotAsOffered: price"),
        (OUTCOME_BY_OFFER, 0, {"countedW": 1999}, "Uncounted or Overcounted"),
        (OUTCOME_BY_OFFER, 0, {"coverUeur": 1}, "Uncounted or Overcounted: coverUeur"),
        (OUTCOME_BY_OFFER, 0, {"status": int(OfferStatus.VOID), "because": 1}, "FalselyVoid"),
        (OUTCOME_BY_OFFER, 2, {"because": 0}, "FalselyExcluded: no reason"),
        (OUTCOME_BY_OFFER, 2, {"status": int(OfferStatus.COM_DEARER)}, "CheaperRefused"),
    ],
)
def test_a_lie_is_found(kind: LeafKind, position: int, values: dict[str, Value], fault: str) -> None:
    market = clear_session(HONEST, PODS, SEED, TERMS, ORACLE).market
    assert Challenger(market, HONEST, PODS, TERMS).faults() == []
    lie = changed(market, kind, position, **values)
    assert fault in Challenger(lie, HONEST, PODS, TERMS).faults()


@pytest.mark.parametrize(
    ("position", "price", "fault"),
    [
        (0, 20_001, "WrongClearingPrice"),
        (0, 9_999, "NotAsOffered: price"),
        (2, 20_001, "WrongMarginalPrice"),
    ],
)
def test_a_lie_about_the_clearing_price_is_found(position: int, price: int, fault: str) -> None:
    market = clear_session(HONEST, PODS, SEED, AS_CLEARED, ORACLE).market
    assert Challenger(market, HONEST, PODS, AS_CLEARED).faults() == []
    lie = changed(market, OUTCOME_BY_REQUEST, position, priceUeurPerKw=price)
    assert fault in Challenger(lie, HONEST, PODS, AS_CLEARED).faults()


def test_reasons_of_what_was_not_taken() -> None:
    cleared = clear_session(HONEST, PODS, SEED, TERMS, ORACLE)
    leaves = cleared.market.list_of(OUTCOME_BY_OFFER).records()
    documents = {reveal.commitment: document for reveal, document in HONEST}
    found = {}
    for leaf in leaves:
        document = documents[leaf.integer("commitment")]
        assert document is not None
        row = document.list_of(OFFER).records()[leaf.integer("offerPosition")]
        found[row.integer("priceUeurPerKw")] = OfferStatus(leaf.integer("status"))
    assert found[30_000] is OfferStatus.COM_EXCLUDED, (
        "the PoD's limit of 3000 W is used up by its cheaper steps"
    )
    assert found[1_000] is OfferStatus.COM_NOT_NEEDED, "nobody asked for its slot"
    assert posted_outcome(cleared.market, cid_of(b"outcome"), SEED).byOfferLength == 6
