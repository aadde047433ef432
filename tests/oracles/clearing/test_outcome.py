"""Outcomes as lists that prove themselves: positions, running sums, chains, and what refusals leave of them."""

from collections import defaultdict

import pytest
from hypothesis import given

from offchain.protocol.cid import cid_of
from offchain.protocol.errors import InvalidInput
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE, REFUSAL
from offchain.protocol.lists import LeafList, ListDocument, Record
from offchain.protocol.merkle import EMPTY_ROOT
from offchain.protocol.products import OfferStatus
from oracles.clearing.core.outcome import posted_outcome
from oracles.clearing.core.session import ClearedSession, clear_session, validate_session
from tests.examples import examples
from tests.oracles.clearing.books import ORACLE, SEED, TERMS, area, book_of, offer, registry
from tests.oracles.clearing.test_price_priority import AREAS, OFFERS

PODS = registry(64)


def cleared(offers: list, dso: list = (), tso: list = ()) -> ClearedSession:
    return clear_session(book_of(offers, dso, tso), PODS, SEED, TERMS, ORACLE)


def entries(document: ListDocument) -> list[Record]:
    return document.list_of(OUTCOME_BY_REQUEST).records()


def refusal(market: ListDocument, position: int, refused_w: int, /, **changed: int) -> ListDocument:
    """A technical outcome that refuses W of the entry at a position, copied from it but for what is changed."""
    values = {"position": 0, "length": 1, "byRequestPosition": position, "refusedW": refused_w}
    values |= {"runningW": refused_w, "margin": 1, "marginUnit": 0}
    if position < len(entries(market)):
        copied = entries(market)[position]
        values |= {name: copied.integer(name) for name in ("offerPosition", "slot", "product")}
    values |= changed
    row = [values.get(field.name, bytes(32) if field.type == "bytes32" else 0) for field in REFUSAL.fields]
    return ListDocument(1, ORACLE, (LeafList.of_rows(REFUSAL, [row]),))


def test_every_offer_has_its_leaf_at_the_books_position() -> None:
    session = cleared([offer(0, 4000, 20_000), offer(1, 4000, 10_000)], [area(6000, {0: 1000, 1: 1000})])
    leaves = session.market.list_of(OUTCOME_BY_OFFER).records()
    assert [leaf.integer("position") for leaf in leaves] == [0, 1]
    assert [leaf.integer("acceptedW") for leaf in leaves] == [2000, 4000]
    assert [leaf.integer("status") for leaf in leaves] == [OfferStatus.PARTLY_ACCEPTED, OfferStatus.ACCEPTED]
    first = [leaf.integer("firstByRequest") for leaf in leaves]
    for leaf, position in zip(leaves, first, strict=True):
        assert entries(session.market)[position - 1].integer("offerPosition") == leaf.integer("position")


@examples(80)
@given(OFFERS, AREAS, AREAS)
def test_running_sums_and_chains_hold_for_any_book(offers: list, dso: list, tso: list) -> None:
    session = cleared(offers, dso, tso)
    of_request: dict = defaultdict(int)
    of_offer: dict = defaultdict(int)
    of_pod: dict = defaultdict(int)
    last_of_pod: dict = {}
    money = 0
    for place, entry in enumerate(entries(session.market)):
        amount_w, permille = entry.integer("acceptedW"), entry.integer("effectivenessPermille")
        pod = (entry.word("pod"), entry.integer("slot"), entry.integer("product"))
        of_request[entry.integer("requestPosition")] += amount_w * permille
        of_offer[entry.integer("offerPosition")] += amount_w
        of_pod[pod] += amount_w
        money += amount_w * entry.integer("priceUeurPerKw") // 1000
        assert entry.integer("requestRunningWPermille") == of_request[entry.integer("requestPosition")]
        assert entry.integer("offerRunningW") == of_offer[entry.integer("offerPosition")]
        assert entry.integer("podRunningW") == of_pod[pod]
        assert entry.integer("runningUeur") == money
        if pod in last_of_pod:
            assert last_of_pod[pod].integer("nextForPod") == place + 1
        last_of_pod[pod] = entry
    for pod, last in last_of_pod.items():
        assert last.integer("nextForPod") == 0
        assert last.integer("podTotalW") == of_pod[pod]
    positions = [entry.integer("requestPosition") for entry in entries(session.market)]
    assert positions == sorted(positions)


def test_what_is_posted_follows_from_the_document() -> None:
    session = cleared([offer(0, 4000, 20_000)], [area(3000, {0: 1000})])
    posted = posted_outcome(session.market, cid_of(session.market.to_bytes()), SEED)
    assert (posted.acceptedWSlots, posted.totalUeur) == (3000, 60_000)
    assert (posted.byOfferLength, posted.byRequestLength, posted.reserveLength) == (1, 1, 0)
    assert posted.reserveRoot == session.market.list_of(OUTCOME_RESERVE).root == EMPTY_ROOT


def test_a_refusal_in_full_says_tec_and_frees_the_money() -> None:
    session = cleared([offer(0, 4000, 20_000), offer(1, 4000, 10_000)], [area(8000, {0: 1000, 1: 1000})])
    (position,) = [
        e.integer("position") for e in entries(session.market) if e.integer("priceUeurPerKw") == 10_000
    ]
    validated = validate_session(session, refusal(session.market, position, 4000), ORACLE)
    assert [entry.integer("priceUeurPerKw") for entry in entries(validated)] == [20_000]
    statuses = [leaf.integer("status") for leaf in validated.list_of(OUTCOME_BY_OFFER).records()]
    assert sorted(statuses) == [OfferStatus.ACCEPTED, OfferStatus.TEC]
    assert entries(validated)[0].integer("runningUeur") == 80_000


def test_a_refusal_in_part_leaves_the_rest() -> None:
    session = cleared([offer(0, 4000, 20_000)], [area(4000, {0: 1000})])
    validated = validate_session(session, refusal(session.market, 0, 1500), ORACLE)
    assert [entry.integer("acceptedW") for entry in entries(validated)] == [2500]
    assert validated.list_of(OUTCOME_BY_OFFER).integers("status") == [OfferStatus.PARTLY_ACCEPTED]


def test_an_offer_of_which_less_than_its_minimum_is_left_is_not_taken() -> None:
    session = cleared([offer(0, 4000, 20_000, minimum_w=3000)], [area(4000, {0: 1000})])
    validated = validate_session(session, refusal(session.market, 0, 1001), ORACLE)
    assert entries(validated) == []
    (leaf,) = validated.list_of(OUTCOME_BY_OFFER).records()
    assert (leaf.integer("status"), leaf.integer("because")) == (OfferStatus.TEC, 1)
    kept = validate_session(session, refusal(session.market, 0, 1000), ORACLE)
    assert [entry.integer("acceptedW") for entry in entries(kept)] == [3000]


@pytest.mark.parametrize(
    ("position", "refused_w", "changed", "field"),
    [
        (0, 1, {"position": 1}, "position"),
        (0, 1, {"length": 2}, "length"),
        (0, 4001, {}, "refusedW"),
        (0, 0, {}, "refusedW"),
        (1, 1, {}, "byRequestPosition"),
        (0, 1, {"offerPosition": 1}, "offerPosition"),
        (0, 1, {"slot": 1}, "slot"),
        (0, 1, {"product": 1}, "product"),
    ],
)
def test_no_outcome_follows_from_refusals_that_the_market_outcome_does_not_bear(
    position: int, refused_w: int, changed: dict[str, int], field: str
) -> None:
    session = cleared([offer(0, 4000, 20_000)], [area(4000, {0: 1000})])
    with pytest.raises(InvalidInput) as caught:
        validate_session(session, refusal(session.market, position, refused_w, **changed), ORACLE)
    assert caught.value.field == f"RefusalLeaf[0].{field}"


def test_an_entry_is_refused_once() -> None:
    session = cleared([offer(0, 4000, 20_000)], [area(4000, {0: 1000})])
    (row,) = (refusal(session.market, 0, 100).list_of(REFUSAL).row(0),)
    rows = [[position, 2, *row[2:]] for position in range(2)]
    twice = ListDocument(1, ORACLE, (LeafList.of_rows(REFUSAL, rows),))
    with pytest.raises(InvalidInput) as caught:
        validate_session(session, twice, ORACLE)
    assert caught.value.field == "RefusalLeaf[1].byRequestPosition"


def test_documents_survive_their_bytes() -> None:
    session = cleared([offer(0, 4000, 20_000)], [area(3000, {0: 1000})])
    again = ListDocument.from_bytes(session.market.to_bytes(), joint=False)
    assert [leaves.root for leaves in again.lists] == [leaves.root for leaves in session.market.lists]
    assert again.to_bytes() == session.market.to_bytes()
