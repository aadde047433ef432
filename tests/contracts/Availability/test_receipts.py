"""Receipts of stores, and what stands behind them (SPECIFICATION.md 20.x)."""

from dataclasses import astuple, replace
from typing import Any

import pytest

from offchain.protocol.cid import DAG_PB, Cid
from offchain.protocol.keccak import keccak256
from offchain.protocol.receipts import bundle, content
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Receipt
from scripts.deploy import LEAST_STAKE_UEUR
from tests.contracts.chain import next_block_at, now_s, refused, travel_to
from tests.contracts.conftest import BALANCE_UEUR, account_of
from tests.contracts.play import (
    CID,
    EURO,
    OFFER,
    Sealed,
    certify,
    commit,
    domain,
    fund,
    key_of,
    receipts,
    reveal,
    sealed,
)

STORE_ROLE = 7
LONGEST_S = 400 * 86_400


@pytest.fixture
def offer(aggregator: Any) -> Sealed:
    return sealed(aggregator, OFFER, 100 * EURO)


@pytest.fixture
def revealed(market: Any, terms: SessionTerms, offer: Sealed) -> SessionTerms:
    """The session, an offer revealed."""
    travel_to(terms.gateOpening)
    commit(market, terms.session, offer)
    travel_to(terms.gateClosure)
    reveal(market, terms.session, offer)
    return terms


def certified_with(market: Any, terms: SessionTerms, offer: Sealed, held: tuple[int, bytes]) -> Any:
    opening = astuple(offer.opening(terms.session))
    return market.Availability.certify(opening, held, {"from": offer.player})


def receipt_of(terms: SessionTerms, offer: Sealed, **changes: Any) -> Receipt:
    until = terms.settlementDeadline + terms.challengeWindowS
    made = Receipt(content((offer.root, offer.leaf_count)), CID.digest, CID.codec, until)
    return replace(made, **changes)


def signed_by(market: Any, receipt: Receipt, *names: str) -> tuple[int, bytes]:
    where = domain(market.Availability)
    return astuple(bundle(receipt, where, [receipt.sign(where, key_of(account_of(name))) for name in names]))


def test_two_stores_put_a_document_into_the_book(
    market: Any, revealed: SessionTerms, offer: Sealed, stranger: Any
) -> None:
    receipt = receipt_of(revealed, offer)
    where = domain(market.Availability)
    assert bytes(market.Availability.hashReceipt(astuple(receipt))) == receipt.digest(where)
    certify(market, revealed, offer, stranger)
    assert market.CommitmentBook.tally(revealed.session)["offerLeaves"] == offer.leaf_count


def test_one_receipt_isnt_two(market: Any, revealed: SessionTerms, offer: Sealed, store: Any) -> None:
    receipt = receipt_of(revealed, offer)
    with refused("AvailabilityTooFewReceipts", 1, 2):
        certified_with(market, revealed, offer, signed_by(market, receipt, "store"))
    with refused("AvailabilityNotAscending", store):
        certified_with(market, revealed, offer, signed_by(market, receipt, "store", "store"))


def test_a_receipt_is_for_one_document(market: Any, revealed: SessionTerms, offer: Sealed) -> None:
    changes: list[dict[str, Any]] = [
        {"content": content((offer.root, offer.leaf_count + 1))},
        {"content": content((keccak256(b"other"), offer.leaf_count))},
        {"cidDigest": keccak256(b"elsewhere")},
        {"cidCodec": DAG_PB},
    ]
    for change in changes:
        until, signatures = signed_by(market, receipt_of(revealed, offer, **change), "store", "other_store")
        # What it recovers from a signature of something else is no store.
        with pytest.raises(Exception, match=r"Availability(StakeTooSmall|NotAscending)"):
            certified_with(market, revealed, offer, (until, signatures))
    certify(market, revealed, offer)


def test_a_receipt_of_another_contract_is_none(market: Any, revealed: SessionTerms, offer: Sealed) -> None:
    receipt = receipt_of(revealed, offer)
    where = domain(market.PodRegistry)
    keys = [key_of(account_of(name)) for name in ("store", "other_store")]
    foreign = astuple(bundle(receipt, where, [receipt.sign(where, key) for key in keys]))
    with pytest.raises(Exception, match=r"Availability(StakeTooSmall|NotAscending)"):
        certified_with(market, revealed, offer, foreign)


def test_a_receipt_binds_until_the_last_result_is_final(
    market: Any, revealed: SessionTerms, offer: Sealed
) -> None:
    needed = revealed.settlementDeadline + revealed.challengeWindowS
    early = receipt_of(revealed, offer, until=needed - 1)
    with refused("AvailabilityUntilTooEarly", needed - 1, needed):
        certified_with(market, revealed, offer, signed_by(market, early, "store", "other_store"))
    instant = now_s() + 5
    late = receipt_of(revealed, offer, until=instant + LONGEST_S + 1)
    next_block_at(instant)
    with refused("AvailabilityUntilTooEarly", late.until, needed):
        certified_with(market, revealed, offer, signed_by(market, late, "store", "other_store"))


def test_who_has_no_stake_is_no_store(
    market: Any, revealed: SessionTerms, offer: Sealed, admin: Any, auditor: Any
) -> None:
    market.ParticipantRegistry.register(auditor, 1 << STORE_ROLE, "auditor", {"from": admin})
    market.Availability.stake(LEAST_STAKE_UEUR - 1, {"from": auditor})
    held = signed_by(market, receipt_of(revealed, offer), "auditor", "store")
    with refused("AvailabilityStakeTooSmall", auditor, LEAST_STAKE_UEUR - 1, LEAST_STAKE_UEUR):
        certified_with(market, revealed, offer, held)
    market.Availability.stake(1, {"from": auditor})
    certified_with(market, revealed, offer, held)


def test_only_stores_stake(market: Any, aggregator: Any) -> None:
    with refused("ParticipantRegistryMissingRole", aggregator, STORE_ROLE):
        market.Availability.stake(1, {"from": aggregator})


def test_who_was_suspended_is_expelled_by_anyone(
    market: Any, revealed: SessionTerms, offer: Sealed, admin: Any, store: Any, stranger: Any
) -> None:
    with refused("AvailabilityIsAStore", store):
        market.Availability.expel(store, {"from": stranger})
    market.ParticipantRegistry.suspend(store, "lost its disks", {"from": admin})
    market.Availability.expel(store, {"from": stranger})
    with refused("AvailabilityStoreLeft", store):
        certify(market, revealed, offer)


def test_a_stake_stays_as_long_as_a_receipt_can_bind(
    market: Any, revealed: SessionTerms, offer: Sealed, store: Any
) -> None:
    availability = market.Availability
    with refused("AvailabilityStillBound", store, 2**256 - 1):
        availability.withdrawStake({"from": store})
    left = now_s() + 10
    next_block_at(left)
    availability.leave({"from": store})
    with refused("AvailabilityStoreLeft", store):
        certify(market, revealed, offer)
    with refused("AvailabilityStoreLeft", store):
        availability.stake(1, {"from": store})
    next_block_at(left + LONGEST_S - 1)
    with refused("AvailabilityStillBound", store, left + LONGEST_S):
        availability.withdrawStake({"from": store})
    next_block_at(left + LONGEST_S)
    availability.withdrawStake({"from": store})
    assert market.Vault.free(store) == BALANCE_UEUR
    with refused("AvailabilityNoStake", store):
        availability.withdrawStake({"from": store})


def test_only_the_slasher_takes_a_stake(market: Any, admin: Any, store: Any, stranger: Any, dso: Any) -> None:
    availability = market.Availability
    with refused("AccessManagedUnauthorized", stranger):
        availability.setSlasher(stranger, {"from": stranger})
    with refused("AvailabilityNotTheSlasher", stranger):
        availability.slashStake(store, stranger, {"from": stranger})


def test_a_forged_signature_is_named(market: Any, revealed: SessionTerms, offer: Sealed) -> None:
    until, signatures = receipts(market, revealed, content((offer.root, offer.leaf_count)))
    with refused("AvailabilityNotSigned", 0):
        certified_with(market, revealed, offer, (until, bytes(64) + signatures[64:]))


def test_another_document_needs_other_receipts(market: Any, revealed: SessionTerms, offer: Sealed) -> None:
    other = replace(offer, cid=Cid(CID.codec, keccak256(b"elsewhere")))
    with refused(
        "CommitmentBookNotInState", revealed.session, offer.player, other.hash(revealed.session), 4, 0
    ):
        certify(market, revealed, other)


def test_a_balance_doesnt_pay_twice(market: Any, store: Any) -> None:
    fund(market, store, 5)
    market.Availability.stake(5, {"from": store})
    assert market.Vault.bonded(store) == LEAST_STAKE_UEUR + 5
    assert market.Availability.stakeOf(store)["amountUeur"] == LEAST_STAKE_UEUR + 5
