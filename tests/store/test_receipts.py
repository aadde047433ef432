"""Stores: what they sign for, what they refuse, and how enough receipts are found though some of them fail."""

from dataclasses import replace

import pytest

from offchain.protocol import lists
from offchain.protocol.cid import Cid, cid_of
from offchain.protocol.errors import FlexledgerError, InvalidInput
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE, REFUSAL, LeafKind
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.receipts import StoreReceipts, content_of
from offchain.protocol.signatures import from_compact, recover_address
from offchain.protocol.typed_data import Opening, Receipt
from offchain.rest.server import serve
from offchain.rest.settings import Role
from offchain.store.api import create_app
from offchain.store.client import StoreClient, StoreRefused
from offchain.store.documents import DocumentMissing, FolderStore, StoreUnavailable
from offchain.store.lists import fetch_list_document
from offchain.store.receipts import Keeper, Store, Stores, TooFewReceipts
from scripts.demo.cast import Person
from tests.chain.small_market import CAST, FIRST, SECOND, TERMS
from tests.market.desk import SALT, Desk, Sealed, good_offers
from tests.protocol.test_columns import random_columns
from tests.rest.callers import settings_of

DEAD_URL = "http://127.0.0.1:9"
OUTCOME_LISTS = (OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, OUTCOME_RESERVE)


def reveal(desk: Desk) -> Opening:
    """The document's reveal by its player alone: no store has it yet."""
    document, cid = good_offers(), cid_of(good_offers().to_bytes())
    root, leaves = document.joint_tree.root, document.leaf_count
    opening = Opening(TERMS.session, FIRST.address, root, SALT, leaves, cid.digest, cid.codec)
    desk.market.speaking_as(FIRST).send("CommitmentBook", "reveal", opening)
    return opening


def result(author: str, kinds: tuple[LeafKind, ...] = OUTCOME_LISTS, session: int = 1) -> ListDocument:
    """A result of empty lists."""
    return ListDocument(session, author, tuple(LeafList.of_rows(kind, []) for kind in kinds))


def signers(desk: Desk, document: ListDocument, receipts: StoreReceipts, *, joint: bool) -> list[str]:
    """Who signed the receipts for a document."""
    cid = cid_of(document.to_bytes())
    receipt = Receipt(content_of(document, joint=joint), cid.digest, cid.codec, receipts.until)
    digest = receipt.digest(desk.market.operator.domain("Availability"))
    each = [receipts.signatures[first : first + 64] for first in range(0, len(receipts.signatures), 64)]
    return [recover_address(digest, from_compact(made[:32], made[32:])) for made in each]


def test_a_revealed_document_is_kept_signed_for_and_stands_in_the_book(desk: Desk, sealed: Sealed) -> None:
    opening, market = reveal(desk), desk.market
    receipts = market.stores.receipts(sealed.raw, opening.cid, TERMS, joint=True)
    found = signers(desk, good_offers(), receipts, joint=True)
    assert found == sorted(found, key=lambda address: int(address, 16))
    assert set(found) == {store.address for store in CAST.stores[:2]}
    assert market.keeper(CAST.stores[0]).get(opening.cid) == sealed.raw
    market.operator.send("Availability", "certify", opening, receipts)
    assert [entry.opening for entry in market.view.book(TERMS.session)] == [opening]


def test_what_was_not_revealed_is_refused_and_not_kept(desk: Desk, sealed: Sealed) -> None:
    keeper = desk.market.keeper(CAST.stores[0])
    with pytest.raises(InvalidInput, match="isn't one that was revealed"):
        keeper.keep(TERMS.session, sealed.raw, joint=True)
    with pytest.raises(DocumentMissing):
        keeper.get(cid_of(sealed.raw))
    reveal(desk)
    keeper.keep(TERMS.session, sealed.raw, joint=True)
    with pytest.raises(InvalidInput, match="isn't one that was revealed"):
        keeper.keep(TERMS.session, good_offers(SECOND).to_bytes(), joint=True)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (result(FIRST.address), "author"),
        (result(CAST.oracles["grid"].address), "author"),
        (result(CAST.oracles["clearing"].address, (REFUSAL,)), "author"),
        (result(CAST.oracles["clearing"].address, session=2), "session"),
        (result(CAST.oracles["clearing"].address, (OUTCOME_RESERVE,)), "lists"),
    ],
)
def test_a_result_by_one_who_isnt_its_oracle_is_refused(
    desk: Desk, document: ListDocument, field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        desk.market.keeper(CAST.stores[0]).keep(TERMS.session, document.to_bytes(), joint=False)
    assert caught.value.field == field
    with pytest.raises(DocumentMissing):
        desk.market.keeper(CAST.stores[0]).get(cid_of(document.to_bytes()))


def test_a_result_of_its_oracle_is_signed_for(desk: Desk) -> None:
    document = result(CAST.oracles["clearing"].address)
    raw = document.to_bytes()
    receipts = desk.market.stores.receipts(raw, cid_of(raw), TERMS, joint=False)
    assert set(signers(desk, document, receipts, joint=False)) == {store.address for store in CAST.stores[:2]}


def test_a_result_in_columns_is_kept_and_signed_for_as_one_in_json(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    author, market = CAST.oracles["clearing"].address, desk.market
    made = tuple(
        LeafList(kind, random_columns(kind, count))
        for kind, count in zip(OUTCOME_LISTS, (40, 9, 0), strict=True)
    )
    document = ListDocument(1, author, made)
    told = document.to_bytes()
    monkeypatch.setattr(lists, "COLUMNAR_FROM", 10)
    raw = document.to_bytes()
    assert (told[:1], raw[:8]) == (b"{", b"FLEXCOL1")
    for each in (raw, told):
        receipts = market.stores.receipts(each, cid_of(each), TERMS, joint=False)
        assert len(receipts.signatures) == 2 * 64
        assert market.stores.get(cid_of(each)) == each
        fetched = fetch_list_document(
            market.stores, "outcome", cid_of(each), {leaves.kind: leaves.root for leaves in made}
        )
        assert fetched.lists[0].records() == made[0].records()
    for broken in (raw[:-1], raw[:-9] + b"0" + raw[-8:]):
        with pytest.raises(InvalidInput):
            market.keeper(CAST.stores[0]).keep(TERMS.session, broken, joint=False)


class Faulty:
    """A store that fails in a way of its own."""

    def __init__(self, address: str, answer: bytes | FlexledgerError) -> None:
        self.address = address
        self._answer = answer

    def keep(self, session: int, raw: bytes, *, joint: bool) -> bytes:
        if isinstance(self._answer, FlexledgerError):
            raise self._answer
        return self._answer

    def get(self, cid: Cid) -> bytes:
        return b"something else"


def faulty(desk: Desk, store: Person) -> dict[str, Store]:
    """Stores that are no use, each in place of one that is."""
    other = result(CAST.oracles["clearing"].address, session=1)
    signed_by_another = Receipt(content_of(other, joint=False), bytes(32), 0x55, 0).sign(
        desk.market.operator.domain("Availability"), store.key
    )
    left = CAST.person("store without a stake")
    return {
        "away": StoreClient(DEAD_URL, "token", store.address, timeout_s=1),
        "refusing": Faulty(store.address, StoreUnavailable("the disk is full")),
        "signing something else": Faulty(store.address, signed_by_another),
        "signing nothing": Faulty(store.address, b""),
        "without a stake": Keeper(
            desk.market.operator, FolderStore(desk.market.folder / "left"), left.key, left.address
        ),
    }


@pytest.mark.parametrize(
    "kind", ["away", "refusing", "signing something else", "signing nothing", "without a stake"]
)
def test_a_store_that_fails_is_passed_over_and_too_few_is_said_so(desk: Desk, kind: str) -> None:
    market, bad = desk.market, faulty(desk, CAST.stores[0])[kind]
    raw = result(CAST.oracles["clearing"].address).to_bytes()
    good = [market.keeper(store) for store in CAST.stores[1:]]
    receipts = Stores([bad, *good], market.operator).receipts(raw, cid_of(raw), TERMS, joint=False)
    found = signers(desk, result(CAST.oracles["clearing"].address), receipts, joint=False)
    assert set(found) == {store.address for store in CAST.stores[1:]}
    with pytest.raises(TooFewReceipts, match=f"1 receipts of 2.*{bad.address}"):
        Stores([bad, good[0]], market.operator).receipts(raw, cid_of(raw), TERMS, joint=False)


def test_a_store_that_has_left_does_not_count(desk: Desk) -> None:
    market = desk.market
    market.speaking_as(CAST.stores[0]).send("Availability", "leave")
    raw = result(CAST.oracles["clearing"].address).to_bytes()
    receipts = market.stores.receipts(raw, cid_of(raw), TERMS, joint=False)
    found = signers(desk, result(CAST.oracles["clearing"].address), receipts, joint=False)
    assert set(found) == {store.address for store in CAST.stores[1:]}


def test_documents_come_from_whichever_store_has_them_sound(desk: Desk) -> None:
    market, raw = desk.market, result(CAST.oracles["clearing"].address).to_bytes()
    market.keeper(CAST.stores[2]).keep(TERMS.session, raw, joint=False)
    lying = Faulty(CAST.stores[0].address, b"")
    stores = Stores([lying, market.keeper(CAST.stores[1]), market.keeper(CAST.stores[2])], market.operator)
    assert stores.get(cid_of(raw)) == raw
    with pytest.raises(DocumentMissing):
        stores.get(cid_of(b"never brought"))


def test_a_store_behind_its_api_is_as_good_as_one_at_hand(desk: Desk) -> None:
    roles = {"clearing": Role.ORACLE, "AggOne": Role.AGGREGATOR, "scd": Role.CUSTOMER_DATABASE}
    settings, tokens = settings_of(roles)
    person, raw = CAST.stores[0], result(CAST.oracles["clearing"].address).to_bytes()
    with serve(create_app(desk.market.keeper(person), settings)) as url:
        clients = {name: StoreClient(url, token, person.address) for name, token in tokens.items()}
        clients["nobody"] = StoreClient(url, "none", person.address)
        oracle = clients["clearing"]
        stores = Stores([oracle, desk.market.keeper(CAST.stores[1])], desk.market.operator)
        receipts = stores.receipts(raw, cid_of(raw), TERMS, joint=False)
        assert len(receipts.signatures) == 2 * 64
        assert oracle.get(cid_of(raw)) == raw
        with pytest.raises(DocumentMissing):
            oracle.get(cid_of(b"never brought"))
        with pytest.raises(DocumentMissing):
            clients["AggOne"].get(cid_of(raw))
        for name, status in (("scd", 403), ("nobody", 401)):
            with pytest.raises(StoreRefused, match=str(status)):
                clients[name].keep(TERMS.session, raw, joint=False)
        with pytest.raises(StoreRefused, match=r"422.*author"):
            oracle.keep(TERMS.session, replace(result(FIRST.address)).to_bytes(), joint=False)
        with pytest.raises(StoreRefused, match=r"409.*UnknownSession"):
            oracle.keep(9, raw, joint=False)
        for client in clients.values():
            client.close()
