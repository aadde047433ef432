"""Reveals over HTTP: what isn't what it must be is refused by name, and the session goes on for everybody else."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from offchain.chain.client import ChainRefused
from offchain.protocol.book_documents import OfferEntry
from offchain.protocol.cid import Cid, cid_of
from offchain.protocol.errors import FlexledgerError, InvalidInput
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST
from offchain.protocol.lists import ListDocument
from offchain.protocol.products import OfferStatus, Product, Side
from offchain.protocol.typed_data import Opening, Outcome
from offchain.store.lists import fetch_list_document
from oracles.clearing.core.outcome import posted_outcome
from oracles.clearing.core.session import clear_session
from oracles.clearing.daemon import ClearingDaemon
from oracles.session_facts import book_documents
from tests.chain.small_market import CAST, FIRST, SECOND, TERMS, pod
from tests.market.desk import (
    SALT,
    Content,
    Desk,
    Sealed,
    baseline,
    good_offers,
    offers,
    receipts_for,
    request,
    tampered,
)

PRICE, SLOT, POSITION = 9, 3, 0
"""Places in an offer leaf."""


def one_offer(**changed: Any) -> ListDocument:
    """A document of one offer of the first aggregator."""
    return offers(FIRST, [replace(OfferEntry(pod(0), 0, Product.ACTIVE_UP, 10_000, 40_000), **changed)])


def of_good(change: Callable[[Content], None]) -> tuple[ListDocument, bytes, Content]:
    return good_offers(), tampered(good_offers(), change), {}


def true_bytes(document: ListDocument, **changed: Any) -> tuple[ListDocument, bytes, Content]:
    return document, document.to_bytes(), changed


def leaf(place: int, value: object, index: int = 0) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        content["lists"][0]["leaves"][index][place] = value

    return change


def nan() -> tuple[ListDocument, bytes, Content]:
    raw = good_offers().to_bytes()
    return good_offers(), raw.replace(b",40000,", b",NaN,", 1), {}


BAD: dict[str, tuple[Callable[[], tuple[ListDocument, bytes, Content]], str, str, str]] = {
    "a negative price": (
        lambda: of_good(leaf(PRICE, -1)),
        "OfferLeaf[0].priceUeurPerKw",
        "-1",
        "must be",
    ),
    "a price with a fraction": (
        lambda: of_good(leaf(PRICE, "0.5")),
        "OfferLeaf[0].priceUeurPerKw",
        "'0.5'",
        "",
    ),
    "a 97th slot": (lambda: true_bytes(one_offer(slot=96)), "OfferLeaf[0].slot", "96", "0 to 95"),
    "a doubled position": (
        lambda: of_good(leaf(POSITION, 0, index=1)),
        "OfferLeaf[1].position",
        "0",
        "must be 1",
    ),
    "more money than its cap": (lambda: true_bytes(good_offers(), capUeur=1), "capUeur", "1", "may cost"),
    "NaN": (nan, "leaves[0][9]", "nan", "finite"),
    "another author": (lambda: true_bytes(good_offers(SECOND)), "author", "", "player"),
    "a request as an offer": (lambda: true_bytes(request()), "lists", "", "exactly OfferLeaf"),
}

NO_DOCUMENTS = {
    "nothing": b"",
    "an object": b"{}",
    "an array": b"[]",
    "no text": b"\xff\xfe",
    "nested": b"[" * 100_000,
    "no lists": tampered(good_offers(), lambda content: content.update(lists=[])),
    "no leaves": tampered(good_offers(), lambda content: content["lists"][0].update(leaves=[])),
    "not canonical": good_offers().to_bytes() + b" ",
}


def seal(desk: Desk, name: str) -> Sealed:
    document, raw, changed = BAD[name][0]()
    return desk.commit(document, raw, **changed)


@pytest.fixture(scope="module")
def sealed_bad(refusing_desk: Desk) -> dict[str, Sealed]:
    """All of them committed to, and the gate closed."""
    sealed = {name: seal(refusing_desk, name) for name in BAD}
    sealed |= {name: refusing_desk.commit(good_offers(), raw) for name, raw in NO_DOCUMENTS.items()}
    refusing_desk.market.chain.advance_to(TERMS.gateClosure)
    return sealed


@pytest.mark.parametrize("name", BAD)
def test_a_bad_document_is_refused_by_name(
    refusing_desk: Desk, sealed_bad: dict[str, Sealed], name: str
) -> None:
    _, field, value, rule = BAD[name]
    answer = refusing_desk.reveal(sealed_bad[name])
    assert answer.status_code == 422, answer.text
    said = answer.json()
    assert field in said["field"], said
    assert value in said["value"] + said["rule"], said
    assert rule in said["rule"], said
    assert refusing_desk.market.view.reveals(TERMS.session) == []
    assert not refusing_desk.market.documents.has(cid_of(sealed_bad[name].raw))


VOID = {
    "an unknown PoD": ({"pod": pod(99)}, "pod", repr("0x" + pod(99).hex()), "PoD registry"),
    "another aggregator's PoD": ({"pod": pod(1)}, "pod", repr("0x" + pod(1).hex()), SECOND.address),
    "more than the PoD's limit": ({"power_w": 100_001}, "powerW", "100001", "limit"),
}


@pytest.mark.parametrize("name", VOID)
def test_a_void_offer_is_named_and_keeps_no_other_out(desk: Desk, name: str) -> None:
    changed, field, value, rule = VOID[name]
    good = OfferEntry(pod(0), 0, Product.ACTIVE_UP, 10_000, 40_000)
    document = offers(FIRST, [good, replace(good, slot=1, **changed)])
    sealed = desk.commit(document)
    desk.market.chain.advance_to(TERMS.gateClosure)
    answer = desk.reveal(sealed)
    assert answer.status_code == 200, answer.text
    (said,) = answer.json()["void"]
    assert (said["field"], said["value"]) == (f"OfferLeaf[1].{field}", value)
    assert rule in said["rule"]
    assert [entry.reveal.player for entry in desk.market.view.book(TERMS.session)] == [FIRST.address]


def test_a_pod_suspended_after_the_commitment_costs_its_aggregator_no_other_offer(desk: Desk) -> None:
    sealed = desk.commit(good_offers())
    desk.market.speaking_as(CAST.dso).send("PodRegistry", "suspend", pod(0), "meter broken")
    desk.market.chain.advance_to(TERMS.gateClosure)
    answer = desk.reveal(sealed)
    assert answer.status_code == 200, answer.text
    assert [said["field"] for said in answer.json()["void"]] == [
        f"OfferLeaf[{index}].product" for index in (0, 1)
    ]
    assert [entry.reveal.leaf_count for entry in desk.market.view.book(TERMS.session)] == [4]


@pytest.mark.parametrize("name", NO_DOCUMENTS)
def test_bytes_that_are_no_document_are_refused(
    refusing_desk: Desk, sealed_bad: dict[str, Sealed], name: str
) -> None:
    answer = refusing_desk.reveal(sealed_bad[name])
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"]
    assert answer.json()["rule"]


def test_what_wasnt_committed_is_refused(desk: Desk) -> None:
    sealed = desk.commit(good_offers())
    desk.market.chain.advance_to(TERMS.gateClosure)
    for answer in (
        desk.reveal(sealed, raw=one_offer().to_bytes()),
        desk.reveal(sealed, salt=bytes(32)),
    ):
        assert answer.status_code == 422, answer.text
        assert answer.json()["field"] == "document"
        assert "isn't what was committed" in answer.json()["rule"]
    unknown = desk.reveal(Sealed(bytes(32), sealed.raw))
    assert unknown.status_code == 422
    assert unknown.json()["field"] == "sealedHash"
    assert desk.reveal(sealed).status_code == 200


def test_revealed_again_it_does_no_harm(desk: Desk) -> None:
    sealed = desk.commit(good_offers())
    desk.market.chain.advance_to(TERMS.gateClosure)
    first = desk.reveal(sealed)
    head = desk.market.operator.head()
    again = desk.reveal(sealed)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json() == {"cid": str(cid_of(sealed.raw)), "void": []}
    assert desk.market.operator.head() == head


def test_before_the_gate_nothing_is_taken_and_after_the_deadline_nothing_is_revealed(desk: Desk) -> None:
    sealed = desk.commit(good_offers())
    early = desk.reveal(sealed)
    assert (early.status_code, early.json()["field"]) == (422, "session")
    assert not desk.market.documents.has(cid_of(sealed.raw)), "what is sealed isn't kept by anybody else"
    desk.market.chain.advance_to(TERMS.revealDeadline)
    late = desk.reveal(sealed)
    assert late.status_code == 409, late.text
    assert "MarketSessionsNotInPhase" in late.json()["error"]
    assert desk.market.view.reveals(TERMS.session) == []


def test_a_revealed_document_stands_in_the_book_on_the_stores_receipts(desk: Desk) -> None:
    sealed = desk.commit(good_offers())
    desk.market.chain.advance_to(TERMS.gateClosure)
    assert desk.reveal(sealed).status_code == 200
    (entry,) = desk.market.view.book(TERMS.session)
    assert (entry.reveal.commitment, entry.reveal.first_position, entry.reveal.leaf_count) == (1, 0, 4)
    assert [desk.market.keeper(store).get(entry.cid) for store in CAST.stores[:2]] == [sealed.raw] * 2


def test_a_pod_removed_after_the_gate_stays_in_the_book(desk: Desk) -> None:
    sealed = desk.commit(good_offers())
    desk.market.chain.advance_to(TERMS.gateClosure)
    desk.market.speaking_as(FIRST).send("PodRegistry", "remove", pod(0))
    assert desk.reveal(sealed).status_code == 200


def cleared(desk: Desk) -> tuple[Outcome, ListDocument]:
    desk.market.chain.advance_to(TERMS.documentsDeadline)
    chain = desk.market.speaking_as(CAST.oracles["clearing"])
    ClearingDaemon(chain, desk.market.shared_documents, desk.market.stores).step()
    posted = desk.market.view.market_outcome(TERMS.session)
    assert posted is not None
    cid = Cid(posted.cidCodec, posted.cidDigest)
    roots = {OUTCOME_BY_OFFER: posted.byOfferRoot, OUTCOME_BY_REQUEST: posted.byRequestRoot}
    return posted, fetch_list_document(desk.market.documents, "market outcome", cid, roots)


def test_the_session_goes_on_for_everybody_else(desk: Desk) -> None:
    bad = [seal(desk, name) for name in BAD]
    mine = desk.client(SECOND).commit(good_offers(SECOND), Side.OFFER, TERMS.gateClosure)
    asked = desk.client(CAST.dso).commit(request(), Side.DSO_REQUEST, TERMS.gateClosure)
    desk.market.chain.advance_to(TERMS.gateClosure)
    assert [desk.reveal(sealed).status_code for sealed in bad] == [422] * len(bad)
    desk.client(SECOND).reveal(mine)
    desk.client(CAST.dso).reveal(asked)
    posted, outcome = cleared(desk)
    accepted = outcome.list_of(OUTCOME_BY_REQUEST).records()
    assert sum(record.integer("acceptedW") for record in accepted) == 15_000 == posted.acceptedWSlots
    assert {record.word("pod") for record in accepted} == {pod(1), pod(3)}
    assert len(outcome.list_of(OUTCOME_BY_OFFER)) == 4


def reveal_alone(desk: Desk, document: ListDocument, raw: bytes) -> Opening:
    """A player reveals by himself what the market doesn't take; the others reveal as they should."""
    desk.commit(document, raw)
    mine = desk.client(SECOND).commit(good_offers(SECOND), Side.OFFER, TERMS.gateClosure)
    asked = desk.client(CAST.dso).commit(request(), Side.DSO_REQUEST, TERMS.gateClosure)
    desk.market.chain.advance_to(TERMS.gateClosure)
    root, leaves, cid = document.joint_tree.root, document.leaf_count, cid_of(raw)
    opening = Opening(TERMS.session, FIRST.address, root, SALT, leaves, cid.digest, cid.codec)
    desk.market.speaking_as(FIRST).send("CommitmentBook", "reveal", opening)
    desk.client(SECOND).reveal(mine)
    desk.client(CAST.dso).reveal(asked)
    return opening


def test_a_bad_document_that_its_player_brings_into_the_book_is_void_and_nothing_else(desk: Desk) -> None:
    bad = one_offer(slot=96)
    opening = reveal_alone(desk, bad, bad.to_bytes())
    receipts = desk.market.stores.receipts(bad.to_bytes(), opening.cid, TERMS, joint=True)
    desk.market.speaking_as(FIRST).send("Availability", "certify", opening, receipts)
    _, outcome = cleared(desk)
    leaves = outcome.list_of(OUTCOME_BY_OFFER).records()
    assert [
        (leaf.integer("status"), leaf.integer("because")) for leaf in leaves if leaf.integer("because")
    ] == [(OfferStatus.VOID, 1)]
    assert sum(outcome.list_of(OUTCOME_BY_REQUEST).integers("acceptedW")) == 15_000


@pytest.mark.parametrize("raw", NO_DOCUMENTS.values(), ids=NO_DOCUMENTS)
def test_bytes_that_no_store_signs_for_are_not_in_the_book(desk: Desk, raw: bytes) -> None:
    opening = reveal_alone(desk, good_offers(), raw)
    with pytest.raises(FlexledgerError):
        desk.market.stores.receipts(raw, opening.cid, TERMS, joint=True)
    for store in CAST.stores:
        with pytest.raises(InvalidInput):
            desk.market.keeper(store).keep(TERMS.session, raw, joint=True)
    _, outcome = cleared(desk)
    assert len(outcome.list_of(OUTCOME_BY_OFFER)) == 4
    assert sum(outcome.list_of(OUTCOME_BY_REQUEST).integers("acceptedW")) == 15_000


@pytest.mark.parametrize("player", [FIRST, CAST.dso, CAST.oracles["settlement"], CAST.operator])
def test_an_outcome_by_one_who_isnt_the_oracle_is_refused(desk: Desk, player: Any) -> None:
    asked = desk.client(CAST.dso).commit(request(), Side.DSO_REQUEST, TERMS.gateClosure)
    desk.market.chain.advance_to(TERMS.gateClosure)
    desk.client(CAST.dso).reveal(asked)
    posted, outcome = cleared_by_hand(desk, player.address)
    receipts = receipts_for(desk.market, outcome, Cid(posted.cidCodec, posted.cidDigest))
    with pytest.raises(ChainRefused) as caught:
        desk.market.speaking_as(player).send("OutcomeBoard", "postMarketOutcome", posted, receipts)
    clearing_role = 3
    assert caught.value.error == "ParticipantRegistryMissingRole"
    assert caught.value.arguments == (player.address.lower(), clearing_role)
    assert desk.market.view.market_outcome(TERMS.session) is None
    assert cleared(desk)[0].byOfferRoot == outcome.list_of(OUTCOME_BY_OFFER).root


def cleared_by_hand(desk: Desk, author: str) -> tuple[Outcome, ListDocument]:
    """The true outcome, computed by somebody."""
    desk.market.chain.advance_to(TERMS.documentsDeadline)
    view, store = desk.market.view, desk.market.documents
    book = book_documents(view, store, TERMS.session)
    seed = view.seed(TERMS.session)
    document = clear_session(book, view.pods_at_gate(TERMS), seed, TERMS, author).market
    return posted_outcome(document, store.put(document.to_bytes()), seed), document


def test_only_a_baseline_is_taken_as_one(desk: Desk) -> None:
    client = desk.http["AggOne"]
    assert client.post("/documents?kind=baseline", content=baseline().to_bytes()).status_code == 200
    answer = client.post("/documents?kind=baseline", content=b'{"baseline":1}')
    assert answer.status_code == 422
    assert answer.json()["field"] == "document"
    unknown = client.post("/documents?kind=poem", content=baseline().to_bytes())
    assert (unknown.status_code, unknown.json()["field"]) == (422, "kind")


def test_documents_are_read_by_those_who_may(desk: Desk) -> None:
    raw = baseline().to_bytes()
    cid = desk.http["AggOne"].post("/documents?kind=baseline", content=raw).json()["cid"]
    assert desk.http["dso"].get(f"/documents/{cid}").content == raw
    assert desk.http["AggTwo"].get(f"/documents/{cid}").status_code == 403
    assert desk.http["nobody"].get(f"/documents/{cid}").status_code == 401
    missing = desk.http["dso"].get(f"/documents/{cid_of(b'never brought')}")
    assert missing.status_code == 404
    assert str(cid_of(b"never brought")) in missing.json()["error"]
    assert desk.http["dso"].get("/documents/nonsense").status_code == 422
