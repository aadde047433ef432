"""The replay of a session whose clearing oracle lies: PASS for the truth, else FAIL with the first difference."""

from dataclasses import replace

import numpy as np
import pytest

from offchain.audit.verify import SessionReplay, run
from offchain.chain.client import ChainClient
from offchain.protocol.cid import Cid
from offchain.protocol.leaves import OUTCOME_BY_OFFER, OUTCOME_BY_REQUEST, LeafKind
from offchain.protocol.lists import LeafList, ListDocument
from offchain.protocol.products import OfferStatus
from oracles.clearing.core.outcome import posted_outcome
from oracles.clearing.core.session import clear_session
from oracles.clearing.daemon import ClearingDaemon
from oracles.session_facts import book_documents
from tests.chain.small_market import CAST, TERMS
from tests.market.desk import Desk, receipts_for

ORACLE = CAST.oracles["clearing"]


def replayed(desk: Desk) -> tuple[bool, list[str]]:
    said: list[str] = []
    reader = ChainClient(desk.market.chain.url, desk.market.manifest)
    passed = run(SessionReplay(reader, desk.market.documents, TERMS.session), said.append)
    return passed, said


def true_outcome(desk: Desk) -> ListDocument:
    view = desk.market.view
    book = book_documents(view, desk.market.documents, TERMS.session)
    cleared = clear_session(book, view.pods_at_gate(TERMS), view.seed(TERMS.session), TERMS, ORACLE.address)
    return cleared.market


def changed(document: ListDocument, kind: LeafKind, field: str, value: int, index: int = 0) -> ListDocument:
    """The document with one value of one leaf changed: all its roots are those of the lie."""
    lists = []
    for leaves in document.lists:
        columns = dict(leaves.columns)
        if leaves.kind is kind:
            column = np.array(columns[field][:])
            column[index] = value
            columns[field] = column
        lists.append(LeafList(leaves.kind, columns))
    return replace(document, lists=tuple(lists))


def post(desk: Desk, document: ListDocument, **other: int | bytes) -> None:
    store, chain = desk.market.documents, desk.market.speaking_as(ORACLE)
    cid, seed = store.put(document.to_bytes()), desk.market.view.seed(TERMS.session)
    outcome = replace(posted_outcome(document, cid, seed), **other)
    receipts = receipts_for(desk.market, document, Cid(outcome.cidCodec, outcome.cidDigest))
    chain.send("OutcomeBoard", "postMarketOutcome", outcome, receipts)


def test_before_anything_is_posted_there_is_nothing_to_deny(revealed: Desk) -> None:
    passed, said = replayed(revealed)
    assert passed
    assert said[-1] == "PASS"
    assert "none posted" in said[-2]


def test_the_daemons_outcome_passes(revealed: Desk) -> None:
    ClearingDaemon(
        revealed.market.speaking_as(ORACLE), revealed.market.documents, revealed.market.stores
    ).step()
    passed, said = replayed(revealed)
    assert passed, said
    assert any("8 offers" in line for line in said)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (OUTCOME_BY_REQUEST, "priceUeurPerKw", 39_999),
        (OUTCOME_BY_REQUEST, "acceptedW", 9_999),
        (OUTCOME_BY_OFFER, "status", int(OfferStatus.TEC)),
        (OUTCOME_BY_OFFER, "commitment", 2),
    ],
)
def test_a_leaf_that_isnt_what_the_book_gives_is_named(
    revealed: Desk, kind: LeafKind, field: str, value: int
) -> None:
    truth = true_outcome(revealed)
    index = next(place for place, found in enumerate(truth.list_of(kind).integers(field)) if found != value)
    post(revealed, changed(truth, kind, field, value, index))
    passed, said = replayed(revealed)
    assert not passed
    true_value = truth.list_of(kind).integers(field)[index]
    place = f"{kind.name}[{index}].{field}"
    assert said[-1] == f"FAIL market outcome: {place}: the chain has {value}, the replay gives {true_value}"


@pytest.mark.parametrize("total", ["totalUeur", "acceptedWSlots"])
def test_totals_that_dont_add_up_are_named(revealed: Desk, total: str) -> None:
    post(revealed, true_outcome(revealed), **{total: 1})
    passed, said = replayed(revealed)
    assert not passed
    assert said[-1].startswith(f"FAIL market outcome: {total}: the chain has 1, the replay gives ")


def test_a_document_with_other_leaves_than_the_posted_root_is_named(revealed: Desk) -> None:
    truth = true_outcome(revealed)
    cid = revealed.market.documents.put(changed(truth, OUTCOME_BY_REQUEST, "acceptedW", 1).to_bytes())
    post(revealed, truth, cidDigest=cid.digest)
    passed, said = replayed(revealed)
    assert not passed
    assert said[-1].startswith(f"FAIL market outcome {cid}: its leaves give root 0x")


def test_a_document_that_isnt_there_is_named(revealed: Desk) -> None:
    truth = true_outcome(revealed)
    post(revealed, truth)
    posted = revealed.market.documents.put(truth.to_bytes())
    revealed.market.documents.path_of(posted).unlink()
    passed, said = replayed(revealed)
    assert not passed
    assert said[-1].startswith(f"FAIL document {posted}: not found")
