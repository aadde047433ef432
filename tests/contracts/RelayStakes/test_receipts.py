"""A relayer's receipts and the stake behind them (SPECIFICATION.md 25.x)."""

from dataclasses import astuple, replace
from typing import Any

import pytest
from brownie import project

from offchain.protocol.keccak import keccak256
from offchain.protocol.terms import SessionTerms
from offchain.protocol.typed_data import Commitment, RelayReceipt
from scripts.deploy import RELAY_PENALTY_UEUR
from tests.contracts.chain import next_block_at, now_s, refused, travel_to
from tests.contracts.conftest import BALANCE_UEUR
from tests.contracts.play import EURO, OFFER, domain, fund, key_of, sealed

STAKE_UEUR = 5 * RELAY_PENALTY_UEUR
PLAYERS_UEUR = RELAY_PENALTY_UEUR * 80 // 100
BOUND_S = 30 * 24 * 3600
OPERATOR_ROLE = 9
Signed = tuple[Commitment, bytes]


@pytest.fixture
def relayer(market: Any, operator: Any) -> Any:
    """Who relays, with its stake."""
    market.RelayStakes.stake(STAKE_UEUR, {"from": operator})
    return operator


@pytest.fixture
def opened(terms: SessionTerms) -> SessionTerms:
    """The session, its gate open."""
    travel_to(terms.gateOpening)
    return terms


def signed(
    market: Any, terms: SessionTerms, player: Any, cap_ueur: int = 100 * EURO, **changes: Any
) -> Signed:
    """A player's commitment with its signature."""
    made = sealed(player, OFFER, cap_ueur).commitment(market, terms.session, **changes)
    return made, made.sign(domain(market.CommitmentBook), key_of(player))


def receipt_for(market: Any, given: Signed, **changes: Any) -> RelayReceipt:
    """What a relayer signs for a commitment."""
    made, signature = given
    digest = made.digest(domain(market.CommitmentBook))
    receipt = RelayReceipt(made.session, digest, keccak256(signature), made.nonce, made.deadline)
    return replace(receipt, **changes)


def slash(market: Any, given: Signed, relayer: Any, sender: Any, **changes: Any) -> Any:
    """Punish a relayer for a commitment."""
    receipt = receipt_for(market, given, **changes)
    signature = receipt.sign(domain(market.RelayStakes), key_of(relayer))
    return market.RelayStakes.slash(astuple(receipt), signature, astuple(given[0]), {"from": sender})


def bring(market: Any, given: Signed, sender: Any, **options: Any) -> Any:
    return market.RelayStakes.bring(astuple(given[0]), given[1], {"from": sender, **options})


def test_a_dropped_commitment_costs_its_relayer_the_penalty(
    market: Any, opened: SessionTerms, relayer: Any, aggregator: Any, stranger: Any
) -> None:
    given = signed(market, opened, aggregator)
    receipt = receipt_for(market, given)
    assert bytes(market.RelayStakes.hashReceipt(astuple(receipt))) == receipt.digest(
        domain(market.RelayStakes)
    )
    reserve = market.Vault.reserve()
    before = market.Vault.free(aggregator), market.Vault.free(reserve)
    travel_to(opened.gateClosure)
    tx = slash(market, given, relayer, stranger)
    assert tx.events["ReceiptSlashed"]["relayer"] == relayer
    assert tx.events["ReceiptSlashed"]["amountUeur"] == RELAY_PENALTY_UEUR
    after = market.Vault.free(aggregator), market.Vault.free(reserve)
    # Slashing oneself by the mouth of a player of one's own still costs a fifth.
    assert after == (before[0] + PLAYERS_UEUR, before[1] + RELAY_PENALTY_UEUR - PLAYERS_UEUR)
    assert market.RelayStakes.stakeOf(relayer)["amountUeur"] == STAKE_UEUR - RELAY_PENALTY_UEUR
    assert market.Vault.bonded(relayer) == STAKE_UEUR - RELAY_PENALTY_UEUR
    with refused("RelayStakesSlashedBefore", bytes(market.RelayStakes.hashReceipt(astuple(receipt)))):
        slash(market, given, relayer, stranger)


def test_nothing_is_dropped_before_the_gate_closes(
    market: Any, opened: SessionTerms, relayer: Any, aggregator: Any
) -> None:
    given = signed(market, opened, aggregator)
    next_block_at(opened.gateClosure - 1)
    with refused("RelayStakesGateStillOpen", opened.session, opened.gateClosure, opened.gateClosure - 1):
        slash(market, given, relayer, aggregator)


def test_a_relayed_commitment_costs_nothing(
    market: Any, opened: SessionTerms, relayer: Any, aggregator: Any
) -> None:
    given = signed(market, opened, aggregator)
    bring(market, given, relayer)
    assert market.CommitmentBook.nonces(aggregator) == 1
    travel_to(opened.gateClosure)
    with refused("RelayStakesNotNext", aggregator, 1, 0):
        slash(market, given, relayer, aggregator)


def test_a_player_who_used_the_nonce_otherwise_has_nothing_to_claim(
    market: Any, opened: SessionTerms, relayer: Any, aggregator: Any
) -> None:
    given = signed(market, opened, aggregator)
    other = sealed(aggregator, OFFER, 1 * EURO, "other").commitment(market, opened.session)
    market.CommitmentBook.commit(astuple(other), {"from": aggregator})
    travel_to(opened.gateClosure)
    with refused("RelayStakesNotNext", aggregator, 1, 0):
        slash(market, given, relayer, aggregator)


def test_a_player_who_never_used_the_nonce_before_has_nothing_to_claim(
    market: Any, opened: SessionTerms, relayer: Any, aggregator: Any
) -> None:
    given = signed(market, opened, aggregator, nonce=1)
    travel_to(opened.gateClosure)
    with refused("RelayStakesNotNext", aggregator, 0, 1):
        slash(market, given, relayer, aggregator)


def test_a_player_who_takes_its_money_away_traps_nobody(
    market: Any, opened: SessionTerms, relayer: Any, aggregator: Any, stranger: Any
) -> None:
    given = signed(market, opened, aggregator)
    market.Vault.withdraw(BALANCE_UEUR, {"from": aggregator})
    tx = bring(market, given, stranger)
    digest = given[0].digest(domain(market.CommitmentBook))
    assert tx.events["Brought"]["commitment"] == "0x" + digest.hex()
    selector = keccak256(b"VaultInsufficientFree(address,uint256,uint256)")[:4]
    assert bytes(tx.events["Brought"]["reason"])[:4] == selector
    assert market.RelayStakes.wasBrought(digest, keccak256(given[1]))
    travel_to(opened.gateClosure)
    with refused("RelayStakesWasBrought", digest):
        slash(market, given, relayer, aggregator)


def test_bringing_another_signature_excuses_nobody(
    market: Any, opened: SessionTerms, relayer: Any, aggregator: Any
) -> None:
    given = signed(market, opened, aggregator)
    forged = given[0].sign(domain(market.CommitmentBook), key_of(relayer))
    tx = bring(market, (given[0], forged), relayer)
    assert "Brought" in tx.events
    travel_to(opened.gateClosure)
    slash(market, given, relayer, aggregator)


def test_a_wallet_that_changes_its_mind_traps_nobody(
    market: Any, admin: Any, opened: SessionTerms, relayer: Any, aggregator: Any
) -> None:
    wallet = project.get_loaded_projects()[0].TestWallet.deploy(aggregator, {"from": admin})
    made = replace(signed(market, opened, aggregator)[0], player=wallet.address, nonce=0)
    given = made, b"the wallet took this one yesterday"
    bring(market, given, relayer)
    travel_to(opened.gateClosure)
    with refused("RelayStakesWasBrought", made.digest(domain(market.CommitmentBook))):
        slash(market, given, relayer, aggregator)


def test_only_a_try_that_could_succeed_excuses(
    market: Any, terms: SessionTerms, relayer: Any, aggregator: Any
) -> None:
    given = signed(market, terms, aggregator, deadline=terms.gateOpening + 10)
    gates = (terms.session, terms.gateOpening, terms.gateClosure)
    next_block_at(terms.gateOpening - 1)
    with refused("RelayStakesNotOpen", *gates, terms.gateOpening - 1):
        bring(market, given, relayer)
    travel_to(terms.gateOpening)
    with refused("RelayStakesNotNext", aggregator, 0, 1):
        bring(market, signed(market, terms, aggregator, nonce=1), relayer)
    next_block_at(terms.gateOpening + 11)
    with refused("RelayStakesExpired", terms.gateOpening + 10, terms.gateOpening + 11):
        bring(market, given, relayer)
    next_block_at(terms.gateClosure)
    with refused("RelayStakesNotOpen", *gates, terms.gateClosure):
        bring(market, signed(market, terms, aggregator), relayer)


def test_a_try_starved_of_gas_excuses_nobody(
    market: Any, opened: SessionTerms, relayer: Any, aggregator: Any
) -> None:
    given = signed(market, opened, aggregator)
    with pytest.raises(Exception, match="RelayStakesTooLittleGas"):
        bring(market, given, relayer, gas_limit=300_000)
    assert not market.RelayStakes.wasBrought(
        given[0].digest(domain(market.CommitmentBook)), keccak256(given[1])
    )
    bring(market, given, relayer, gas_limit=700_000)
    assert market.CommitmentBook.nonces(aggregator) == 1


def test_a_receipt_binds_to_nothing_but_what_it_names(
    market: Any, opened: SessionTerms, relayer: Any, aggregator: Any, stranger: Any
) -> None:
    given = signed(market, opened, aggregator)
    travel_to(opened.gateClosure)
    digest = given[0].digest(domain(market.CommitmentBook))
    with refused("RelayStakesNotOfTheReceipt", b"\1" * 32, digest):
        slash(market, given, relayer, aggregator, commitment=b"\1" * 32)
    for changes in ({"deadline": given[0].deadline - 1}, {"nonce": 1}, {"session": opened.session + 1}):
        with pytest.raises(Exception, match="RelayStakesNotOfTheReceipt"):
            slash(market, given, relayer, aggregator, **changes)
    with refused("RelayStakesNoStake", stranger):
        slash(market, given, stranger, aggregator)


def test_a_stake_stays_a_month_after_its_relayer_left(
    market: Any, opened: SessionTerms, relayer: Any, aggregator: Any
) -> None:
    stakes, given = market.RelayStakes, signed(market, opened, aggregator)
    with refused("RelayStakesStillBound", relayer, 2**256 - 1):
        stakes.withdrawStake({"from": relayer})
    stakes.leave({"from": relayer})
    left = now_s()
    for again in (lambda: stakes.leave({"from": relayer}), lambda: stakes.stake(1, {"from": relayer})):
        with refused("RelayStakesLeft", relayer):
            again()
    next_block_at(left + BOUND_S - 1)
    with refused("RelayStakesStillBound", relayer, left + BOUND_S):
        stakes.withdrawStake({"from": relayer})
    slash(market, given, relayer, aggregator)
    free = market.Vault.free(relayer)
    next_block_at(left + BOUND_S)
    stakes.withdrawStake({"from": relayer})
    assert market.Vault.free(relayer) == free + STAKE_UEUR - RELAY_PENALTY_UEUR
    with refused("RelayStakesNoStake", relayer):
        stakes.withdrawStake({"from": relayer})


def test_many_dropped_receipts_take_no_more_than_the_stake(
    market: Any, opened: SessionTerms, operator: Any, aggregator: Any, other_aggregator: Any
) -> None:
    market.RelayStakes.stake(RELAY_PENALTY_UEUR + 7, {"from": operator})
    travel_to(opened.gateClosure)
    slash(market, signed(market, opened, aggregator), operator, aggregator)
    tx = slash(market, signed(market, opened, other_aggregator), operator, aggregator)
    assert tx.events["ReceiptSlashed"]["amountUeur"] == 7
    assert market.Vault.bonded(operator) == 0


def test_only_operators_stake(market: Any, aggregator: Any, stranger: Any) -> None:
    with refused("ParticipantRegistryMissingRole", aggregator, OPERATOR_ROLE):
        market.RelayStakes.stake(1, {"from": aggregator})
    fund(market, stranger, EURO)
    with refused("RelayStakesNoStake", stranger):
        market.RelayStakes.leave({"from": stranger})
