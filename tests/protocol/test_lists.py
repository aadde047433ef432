"""Leaves and documents of lists: exact bytes, and what is refused."""

import json
from dataclasses import replace

import pytest
from eth_abi.abi import encode

from offchain.protocol.book_documents import (
    Area,
    BaselineEntry,
    OfferEntry,
    Relief,
    baseline_document,
    offers_document,
    request_document,
)
from offchain.protocol.book_rules import check_document, check_offers, most_ueur
from offchain.protocol.canonical_json import dumps
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import BASELINE, EFFECTIVENESS, KINDS, OFFER, REQUEST, LeafKind
from offchain.protocol.lists import LeafList, ListDocument, next_positions
from offchain.protocol.merkle import standard_leaf_hash, verify
from offchain.protocol.products import Product, Side
from tests.oracles.clearing.books import AGGREGATORS, DSO, TERMS, area, offer, pod, registry, salt

PODS = registry(8)


def offers(count: int = 3, **changes: object) -> ListDocument:
    entries = [
        OfferEntry(pod(2 * n), n, Product.ACTIVE_UP, 1000 + n, 10_000, **changes) for n in range(count)
    ]
    return offers_document(1, AGGREGATORS[0], entries, salt)


def raw_with(document: ListDocument, change: object) -> bytes:
    content = json.loads(document.to_bytes())
    change(content)
    return dumps(content, allow_floats=True)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_leafs_bytes_are_its_abi_encoding_at_the_limits_of_every_type(kind: LeafKind) -> None:
    for end in (0, 1):
        row = [f.bounds[end] if f.is_integer else bytes([255 * end]) * f.width_bytes for f in kind.fields]
        leaves = LeafList.of_rows(kind, [row])
        shown = ["0x" + v.hex() if f.type == "address" else v for f, v in zip(kind.fields, row, strict=True)]
        assert kind.encode(leaves.columns)[0].tobytes() == encode(kind.types, [kind.number, *shown])
        assert leaves.leaf_hashes[0].tobytes() == standard_leaf_hash(kind.types, [kind.number, *shown])
        assert leaves.row(0) == tuple(row)


def test_no_leaf_is_64_bytes_and_no_two_kinds_share_a_number() -> None:
    assert all(32 * (1 + len(kind.fields)) > 64 for kind in KINDS.values())
    assert len({kind.number for kind in KINDS.values()}) == len(KINDS)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("powerW", -1, "0 to 4294967295"),
        ("powerW", 2**32, "0 to 4294967295"),
        ("priceUeurPerKw", 2**53, "9007199254740991"),
        ("slot", True, "integer"),
        ("slot", 1.5, "integer"),
        ("salt", bytes(31), "32 bytes"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(name: str, value: object, rule: str) -> None:
    row = list(offers(1).lists[0].row(0))
    row[[f.name for f in OFFER.fields].index(name)] = value
    with pytest.raises(InvalidInput, match=rule) as refusal:
        LeafList.of_rows(OFFER, [row])
    assert refusal.value.field == f"OfferLeaf[0].{name}"


def test_negative_integers_are_sign_extended() -> None:
    document = baseline_document(1, DSO, [BaselineEntry(pod(0), 0, -5, -7)], salt)
    word = BASELINE.encode(document.lists[0].columns)[0].tobytes()[32 * 5 : 32 * 6]
    assert word == (-5).to_bytes(32, "big", signed=True)


def test_documents_of_the_book_share_one_tree_with_positions_running_on() -> None:
    document = request_document(1, DSO, [area(1000, {0: 1000, 1: 500}), area(2000, {1: 700})], salt)
    assert document.list_of(REQUEST).integers("position") == [0, 1]
    assert document.list_of(EFFECTIVENESS).integers("position") == [2, 3, 4]
    assert {
        *document.list_of(REQUEST).integers("length"),
        *document.list_of(EFFECTIVENESS).integers("length"),
    } == {5}
    tree = document.joint_tree
    leaf = document.list_of(EFFECTIVENESS).leaf_hashes[2].tobytes()
    assert verify(tree.root, leaf, tree.proof(4))
    assert not verify(tree.root, leaf, tree.proof(3))
    assert ListDocument.from_bytes(document.to_bytes(), joint=True).joint_tree.root == tree.root


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda d: d["lists"][0]["leaves"][1].__setitem__(0, 0), "OfferLeaf[1].position"),
        (lambda d: d["lists"][0]["leaves"][0].__setitem__(1, 4), "OfferLeaf[0].length"),
        (lambda d: d["lists"][0]["leaves"][2].__setitem__(9, -1), "OfferLeaf[2].priceUeurPerKw"),
        (lambda d: d["lists"][0]["leaves"][0].__setitem__(7, 1.5), "document.lists[0].leaves[0][7]"),
        (lambda d: d["lists"][0]["leaves"][0].__setitem__(2, "0xAB"), "OfferLeaf[0].pod"),
        (lambda d: d["lists"][0]["leaves"][0].pop(), "OfferLeaf[0]"),
        (lambda d: d["lists"][0].__setitem__("kind", "Leaf"), "lists[0].kind"),
        (lambda d: d.__setitem__("extra", 1), "document"),
        (lambda d: d.__setitem__("version", 2), "version"),
        (lambda d: d.__setitem__("author", "0x12"), "author"),
        (lambda d: d.__setitem__("session", -1), "session"),
    ],
)
def test_anything_that_is_not_exactly_a_document_is_refused(change: object, field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        ListDocument.from_bytes(raw_with(offers(), change), joint=True)
    assert refusal.value.field == field


def test_nan_and_other_spellings_are_refused() -> None:
    raw = offers().to_bytes()
    for broken in (raw.replace(b"10000", b"NaN", 1), raw.replace(b",", b", ", 1), raw + b" ", b"{", b"\xff"):
        with pytest.raises(InvalidInput):
            ListDocument.from_bytes(broken, joint=True)


def test_next_positions_chain_equal_keys() -> None:
    assert next_positions(["a", "b", "a", "a", "b"]) == [3, 5, 4, 0, 0]


@pytest.mark.parametrize(
    ("document", "side", "field"),
    [
        (
            offers_document(1, AGGREGATORS[0], [offer(0, 1, 1, slot=96)], salt),
            Side.OFFER,
            "OfferLeaf[0].slot",
        ),
        (offers_document(2, AGGREGATORS[0], [offer(0, 1, 1)], salt), Side.OFFER, "session"),
        (offers_document(1, AGGREGATORS[1], [offer(0, 1, 1)], salt), Side.OFFER, "author"),
        (offers_document(1, AGGREGATORS[0], [offer(0, 1, 1)], salt), Side.DSO_REQUEST, "lists"),
        (offers_document(1, AGGREGATORS[0], [offer(0, 10**6, 1)], salt), Side.OFFER, "capUeur"),
    ],
)
def test_a_document_that_cannot_stand_in_the_book_is_refused(
    document: ListDocument, side: Side, field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_document(document, side, AGGREGATORS[0], 1000, TERMS)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (OfferEntry(keccak256(b"unknown"), 0, Product.ACTIVE_UP, 1, 1), "OfferLeaf[1].pod"),
        (offer(1, 1000, 1), "OfferLeaf[1].pod"),
        (offer(2, 0, 1), "OfferLeaf[1].powerW"),
        (offer(2, 100_001, 1), "OfferLeaf[1].powerW"),
        (offer(2, 1000, 1, minimum_w=1001), "OfferLeaf[1].minPowerW"),
        (replace(offer(2, 1000, 1), payback_w=(0, -1001)), "OfferLeaf[1].payback"),
        (replace(offer(2, 1000, 1), payback_w=(-(2**31),)), "OfferLeaf[1].payback"),
        (replace(offer(2, 1000, 1), payback_w=(-900, 0, 101)), "OfferLeaf[1].payback"),
        (replace(offer(2, 1000, 1), duration_slots=2, payback_w=(-1000, -1001)), "OfferLeaf[1].payback"),
    ],
)
def test_an_offer_that_its_player_may_not_make_is_refused_by_its_place(entry: OfferEntry, field: str) -> None:
    document = offers_document(1, AGGREGATORS[0], [offer(0, 1000, 1), entry], salt)
    with pytest.raises(InvalidInput) as refusal:
        check_offers(document, AGGREGATORS[0], PODS, TERMS)
    assert refusal.value.field == field


def test_an_offer_may_pay_back_what_it_moves() -> None:
    single = replace(offer(0, 1000, 1), payback_w=(-900, 0, 0, 0, 0, 0, 0, 100))
    block = replace(offer(2, 1000, 1), duration_slots=2, payback_w=(-1000, -1000))
    check_offers(offers_document(1, AGGREGATORS[0], [single, block], salt), AGGREGATORS[0], PODS, TERMS)


def test_caps_are_rounded_up_leaf_by_leaf() -> None:
    assert (
        most_ueur(offers_document(1, DSO, [offer(0, 1, 1), offer(2, 1, 1)], salt), Side.OFFER, TERMS) == 200
    )
    needs = Area(
        bytes(32), Product.ACTIVE_UP, bytes(32), [Relief(0, 1, 1)], [(pod(0), 1000)], reserve_permille=1
    )
    assert most_ueur(request_document(1, DSO, [needs], salt), Side.DSO_REQUEST, TERMS) == 1
