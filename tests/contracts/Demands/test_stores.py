"""Leaves demanded of the stores that signed for them."""

from dataclasses import astuple, replace
from typing import Any

import pytest

from offchain.protocol import leaves
from offchain.protocol.keccak import keccak256
from offchain.protocol.receipts import content
from offchain.protocol.signatures import to_compact
from offchain.protocol.typed_data import Receipt
from scripts.deploy import DEMAND_FEE_UEUR, LEAST_STAKE_UEUR, STORE_WINDOW_S
from tests.contracts.chain import next_block_at, now_s, refused, travel_to
from tests.contracts.conftest import BALANCE_UEUR
from tests.contracts.Demands.lists import listed
from tests.contracts.play import CID, domain, key_of

OFFERS, REQUESTS = listed(leaves.OFFER), listed(leaves.REQUEST, 3)
ROOTS = [OFFERS.tree.root, REQUESTS.tree.root]
LENGTHS = [5, 3]
CONTENT = content(*zip(ROOTS, LENGTHS, strict=True))
NONE, OPEN = range(2)


@pytest.fixture
def receipt(market: Any) -> Receipt:
    return Receipt(CONTENT, CID.digest, CID.codec, now_s() + 10 * STORE_WINDOW_S)


def ask(market: Any, receipt: Receipt, store: Any, sender: Any, tree: int = 1, position: int = 2) -> Any:
    """Demand a leaf of a store that signed this receipt."""
    r, vs = to_compact(receipt.sign(domain(market.Availability), key_of(store)))
    arguments = (astuple(receipt), r, vs, ROOTS, LENGTHS, tree, position)
    return market.Demands.demandFromStore(*arguments, {"from": sender})


def number_of(market: Any, store: Any, tree: int = 1, position: int = 2) -> bytes:
    return bytes(market.Demands.idOfStore(store, ROOTS[tree], position))


@pytest.mark.parametrize(("tree", "position"), [(0, 4), (1, 2)])
def test_a_store_that_answers_earns_the_fee(
    market: Any, receipt: Receipt, store: Any, auditor: Any, tree: int, position: int
) -> None:
    number, free = number_of(market, store, tree, position), market.Vault.free(store)
    tx = ask(market, receipt, store, auditor, tree, position)
    assert tx.events["LeafDemanded"]["store"] == store
    next_block_at(market.Demands.demand(number)["deadline"] - 1)
    shown = (OFFERS, REQUESTS)[tree].shown(position)
    market.Demands.answer(number, *shown, {"from": store})
    assert market.Vault.free(store) == free + DEMAND_FEE_UEUR
    assert market.Vault.free(auditor) == BALANCE_UEUR - DEMAND_FEE_UEUR
    assert market.Availability.stakeOf(store)["amountUeur"] == LEAST_STAKE_UEUR


def test_a_silent_store_loses_its_whole_stake(
    market: Any, receipt: Receipt, admin: Any, store: Any, auditor: Any, stranger: Any
) -> None:
    demands, number, reserve = market.Demands, number_of(market, store), market.Vault.free(admin)
    ask(market, receipt, store, auditor)
    deadline = demands.demand(number)["deadline"]
    assert deadline == now_s() + STORE_WINDOW_S
    next_block_at(deadline - 1)
    with refused("DemandsTooEarly", number, deadline, deadline - 1):
        demands.expire(number, {"from": stranger})
    next_block_at(deadline)
    with refused("DemandsTooLate", number, deadline, deadline):
        demands.answer(number, *REQUESTS.shown(2), {"from": store})
    demands.expire(number, {"from": stranger})
    assert market.Availability.stakeOf(store)["amountUeur"] == 0
    assert market.Vault.bonded(store) == 0
    assert market.Vault.free(auditor) == BALANCE_UEUR + LEAST_STAKE_UEUR // 2
    assert market.Vault.free(admin) == reserve + LEAST_STAKE_UEUR // 2
    with refused("DemandsNotOpen", number, NONE):
        demands.expire(number, {"from": stranger})
    with refused("DemandsNoStake", store):
        ask(market, receipt, store, auditor)


def test_who_left_or_was_suspended_still_answers(
    market: Any, receipt: Receipt, admin: Any, store: Any, auditor: Any, stranger: Any
) -> None:
    market.Availability.leave({"from": store})
    market.ParticipantRegistry.suspend(store, "lost its disks", {"from": admin})
    ask(market, receipt, store, auditor)
    travel_to(now_s() + STORE_WINDOW_S)
    market.Demands.expire(number_of(market, store), {"from": stranger})
    assert market.Availability.stakeOf(store)["amountUeur"] == 0


def test_not_longer_than_it_signed(market: Any, receipt: Receipt, store: Any, auditor: Any) -> None:
    last = receipt.until - STORE_WINDOW_S
    next_block_at(last)
    ask(market, receipt, store, auditor, position=0)
    next_block_at(last + 1)
    with refused("DemandsReceiptOver", receipt.until, receipt.until + 1):
        ask(market, receipt, store, auditor)


def test_only_for_what_a_staked_store_signed(
    market: Any, receipt: Receipt, store: Any, auditor: Any, stranger: Any
) -> None:
    with refused("DemandsNoStake", stranger):
        ask(market, receipt, stranger, auditor)
    other = replace(receipt, content=keccak256(b"another document"))
    with refused("DemandsWrongContent", other.content, CONTENT):
        ask(market, other, store, auditor)
    with refused("DemandsNoSuchPosition", 3, 3):
        ask(market, receipt, store, auditor, 1, 3)
    with refused("DemandsWrongTrees", 2, 2, 2):
        ask(market, receipt, store, auditor, 2, 0)
    with refused("ParticipantRegistryUnknownAccount", stranger):
        ask(market, receipt, store, stranger)
    with refused("AvailabilityNotTheSlasher", auditor):
        market.Availability.slashStake(store, auditor, {"from": auditor})


def test_a_leaf_is_demanded_of_a_store_once(
    market: Any, receipt: Receipt, store: Any, auditor: Any, dso: Any
) -> None:
    ask(market, receipt, store, auditor)
    with refused("DemandsAskedBefore", number_of(market, store), OPEN):
        ask(market, replace(receipt, until=receipt.until + 1), store, dso)
