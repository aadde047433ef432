"""Commitments relayed over HTTP: what is taken, with which receipt, and what is refused."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from offchain.market.client import MarketRefused
from offchain.protocol.keccak import keccak256
from offchain.protocol.products import Side
from offchain.protocol.signatures import recover_address
from offchain.protocol.typed_data import RelayReceipt
from tests.chain.small_market import ADMIN, CAST, FIRST, SECOND, STRANGER, TERMS
from tests.market.desk import Desk, good_offers, request


def refusal(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])


def test_a_relayed_commitment_is_on_chain_with_a_signed_receipt(desk: Desk) -> None:
    made = desk.commitment(good_offers())
    answer = desk.post(desk.body(made))
    assert answer.status_code == 200, answer.text
    (entry,) = desk.market.view.commitments(TERMS.session)
    assert (entry.player, entry.side, entry.sealed_hash) == (FIRST.address, Side.OFFER, made.sealedHash)
    domain = desk.market.operator.domain("CommitmentBook")
    players = keccak256(made.sign(domain, FIRST.key))
    receipt = RelayReceipt(TERMS.session, made.digest(domain), players, made.nonce, made.deadline)
    signature = bytes.fromhex(answer.json()["receipt"][2:])
    domain = desk.market.operator.domain("RelayStakes")
    assert recover_address(receipt.digest(domain), signature) == ADMIN.address
    other = replace(receipt, nonce=made.nonce + 1)
    assert recover_address(other.digest(domain), signature) != ADMIN.address


def test_relayed_twice_it_is_refused_by_its_nonce(desk: Desk) -> None:
    body = desk.body(desk.commitment(good_offers()))
    assert desk.post(body).status_code == 200
    assert "CommitmentBookWrongNonce" in refusal(desk.post(body), 409)
    assert len(desk.market.view.commitments(TERMS.session)) == 1


def test_a_client_that_commits_again_sends_nothing(desk: Desk) -> None:
    document = good_offers()
    first = desk.client(FIRST).commit(document, Side.OFFER, TERMS.gateClosure)
    head = desk.market.operator.head()
    assert desk.client(FIRST).commit(document, Side.OFFER, TERMS.gateClosure) == first
    assert desk.market.operator.head() == head


def test_players_commit_at_the_same_time(desk: Desk) -> None:
    bodies = [
        (desk.body(desk.commitment(good_offers(FIRST), player=FIRST)), "AggOne"),
        (desk.body(desk.commitment(good_offers(SECOND), player=SECOND)), "AggTwo"),
        (desk.body(desk.commitment(request(), player=CAST.dso)), "dso"),
    ]
    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(lambda entry: desk.post(*entry), bodies))
    assert [answer.status_code for answer in answers] == [200] * 3, [answer.text for answer in answers]
    made = {entry.player for entry in desk.market.view.commitments(TERMS.session)}
    assert made == {FIRST.address, SECOND.address, CAST.dso.address}


def test_after_the_gate_it_is_refused(desk: Desk) -> None:
    body = desk.body(desk.commitment(good_offers()))
    desk.market.chain.advance_to(TERMS.gateClosure)
    assert "MarketSessionsNotInPhase" in refusal(desk.post(body), 409)
    with pytest.raises(MarketRefused, match=r"409.*MarketSessionsNotInPhase"):
        desk.client(FIRST).commit(good_offers(), Side.OFFER, TERMS.gateClosure)
    assert desk.market.view.commitments(TERMS.session) == []


def test_a_forged_signature_is_refused(desk: Desk) -> None:
    made = desk.commitment(good_offers())
    assert "CommitmentBookBadSignature" in refusal(desk.post(desk.body(made, key=STRANGER.key)), 409)
    changed = desk.body(made, capUeur=made.capUeur + 1)
    assert "CommitmentBookBadSignature" in refusal(desk.post(changed), 409)
    short = desk.body(made, signature="0x1234")
    assert "CommitmentBookBadSignature" in refusal(desk.post(short), 409)
    assert desk.post(desk.body(made)).status_code == 200, "the true one still goes"


def test_a_player_without_the_sides_role_is_refused(desk: Desk) -> None:
    made = desk.commitment(good_offers(), side=int(Side.DSO_REQUEST))
    assert "ParticipantRegistryMissingRole" in refusal(desk.post(desk.body(made)), 409)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"capUeur": -1}, "capUeur"),
        ({"capUeur": float("nan")}, "capUeur"),
        ({"capUeur": 1.5}, "capUeur"),
        ({"capUeur": 2**53}, "capUeur"),
        ({"nonce": "0"}, "nonce"),
        ({"deadline": 2**50}, "deadline"),
        ({"side": 3}, "side"),
        ({"sealedHash": "0x12"}, "sealedHash"),
        ({"signature": "none"}, "signature"),
        ({"player": "0x12"}, "player"),
        ({"extra": 1}, "extra"),
    ],
)
def test_bad_input_is_named(refusing_desk: Desk, changed: dict[str, Any], field: str) -> None:
    answer = refusing_desk.post(refusing_desk.body(refusing_desk.commitment(good_offers()), **changed))
    refusal(answer, 422)
    assert answer.json()["field"] == field
    assert answer.json()["rule"]
    assert answer.json()["value"] == repr(changed[field])


@pytest.mark.parametrize("session", [-1, 2**70, "one"])
def test_a_session_that_cant_be_is_named(refusing_desk: Desk, session: object) -> None:
    body = refusing_desk.body(refusing_desk.commitment(good_offers()))
    answer = refusing_desk.post(body, session=session)
    refusal(answer, 422)
    assert answer.json()["field"] == "session"


def test_an_unknown_session_is_refused(desk: Desk) -> None:
    made = desk.commitment(good_offers(), session=9)
    assert "MarketSessionsUnknownSession" in refusal(desk.post(desk.body(made), session=9), 409)


def test_only_players_commit(desk: Desk) -> None:
    body = desk.body(desk.commitment(good_offers()))
    refusal(desk.post(body, "nobody"), 401)
    refusal(desk.post(body, "customer_database"), 403)


def test_a_chain_that_is_away_is_said_so(desk: Desk) -> None:
    body = desk.body(desk.commitment(good_offers()))
    desk.market.chain.stop()
    assert "doesn't answer" in refusal(desk.post(body), 503)
