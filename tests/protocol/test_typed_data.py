"""Typed data: digests as eth-account's, hashes as the ABI encoder's; the contracts' own are compared in tests/contracts."""

from dataclasses import astuple, fields, replace
from typing import Any

import pytest
from eth_abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data

from offchain.protocol.cid import DAG_PB, RAW, Cid
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.signatures import recover_address
from offchain.protocol.typed_data import (
    Commitment,
    NodeKey,
    Opening,
    Outcome,
    Pair,
    Reading,
    Receipt,
    Registration,
    RelayReceipt,
    Retraction,
    Revocation,
    SetPoints,
    Settlement,
    TechnicalOutcome,
    contract_domain,
    seed_share,
)

CHAIN_ID = 31337
CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
PLAYER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
OTHER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
KEY = keccak256(b"key")
WORDS = [keccak256(bytes([k])) for k in range(8)]

COMMITMENT = Commitment(7, PLAYER, 1, WORDS[0], 2**64 - 1, WORDS[4], 3, 2**48 - 1)
RETRACTION = Retraction(7, PLAYER, WORDS[0], 3, 2**48 - 1)
OPENING = Opening(7, PLAYER, WORDS[0], WORDS[1], 3, WORDS[2], RAW)
STORE_RECEIPT = Receipt(WORDS[5], WORDS[2], RAW, 1_800_000_000)
RECEIPT = RelayReceipt(7, WORDS[1], WORDS[4], 3, 1_800_000_000)
REGISTRATION = Registration(
    WORDS[2], PLAYER, OTHER, CONTRACT, PLAYER, 1, 2, 3, 2**32 - 1, WORDS[7], 0, 1_800_000_000
)
REVOCATION = Revocation(WORDS[2], 4, 1_800_000_000)
NODE_KEY = NodeKey(WORDS[2], OTHER, 1_800_000_000)
READING = Reading(WORDS[3], 1_800_000_000, 900, 1, 2, 3, 4, 5, 6, 2**53)
SET_POINTS = SetPoints(WORDS[4], WORDS[5], 1_800_000_000, WORDS[6], 1, 2, 3)
OUTCOME = Outcome(7, WORDS[0], 1, WORDS[1], 2, WORDS[2], 3, WORDS[3], RAW, 4, 5, WORDS[4])
TECHNICAL = TechnicalOutcome(7, WORDS[0], WORDS[1], 2, WORDS[2], WORDS[3], DAG_PB, 9)
SETTLEMENT = Settlement(7, WORDS[0], WORDS[1], 2, WORDS[2], 3, WORDS[3], RAW, 1000)


def types_of(struct: Any) -> list[tuple[str, str]]:
    """(type, name) of every member."""
    return [(kind, name) for kind, name in (member.split() for member in struct.MEMBERS.split(","))]


def peer_digest(struct: Any, contract: str) -> bytes:
    """The digest that eth-account makes of a struct."""
    domain = {
        "name": f"flexledger {contract}",
        "version": "1",
        "chainId": CHAIN_ID,
        "verifyingContract": CONTRACT,
    }
    members = [{"name": name, "type": kind} for kind, name in types_of(struct)]
    message = {field.name: getattr(struct, field.name) for field in fields(struct)}
    signable = encode_typed_data(domain, {type(struct).__name__: members}, message)
    return keccak256(b"\x19" + signable.version + signable.header + signable.body)


@pytest.mark.parametrize(
    "struct",
    [
        COMMITMENT,
        RETRACTION,
        OPENING,
        STORE_RECEIPT,
        RECEIPT,
        REGISTRATION,
        REVOCATION,
        NODE_KEY,
        READING,
        SET_POINTS,
        OUTCOME,
        TECHNICAL,
        SETTLEMENT,
    ],
)
def test_members_are_the_fields_in_order(struct: Any) -> None:
    assert [name for _, name in types_of(struct)] == [field.name for field in fields(struct)]


@pytest.mark.parametrize(
    ("struct", "contract"),
    [
        (COMMITMENT, "CommitmentBook"),
        (RETRACTION, "CommitmentBook"),
        (STORE_RECEIPT, "Availability"),
        (RECEIPT, "RelayStakes"),
        (REGISTRATION, "PodRegistry"),
        (REVOCATION, "PodRegistry"),
        (NODE_KEY, "PodRegistry"),
    ],
)
def test_digests_and_signatures_are_eth_accounts(struct: Any, contract: str) -> None:
    domain = contract_domain(contract, CHAIN_ID, CONTRACT)
    assert struct.digest(domain) == peer_digest(struct, contract)
    assert recover_address(struct.digest(domain), struct.sign(domain, KEY)) == Account.from_key(KEY).address


@pytest.mark.parametrize("struct", [READING, SET_POINTS])
def test_nodes_sign_for_the_reading_anchor(struct: Any) -> None:
    assert struct.digest(CHAIN_ID, CONTRACT) == peer_digest(struct, "ReadingAnchor")


def test_a_digest_is_for_one_deployment() -> None:
    digests = {
        READING.digest(CHAIN_ID, CONTRACT),
        READING.digest(CHAIN_ID + 1, CONTRACT),
        READING.digest(CHAIN_ID, PLAYER),
        COMMITMENT.digest(contract_domain("CommitmentBook", CHAIN_ID, CONTRACT)),
        COMMITMENT.digest(contract_domain("PodRegistry", CHAIN_ID, CONTRACT)),
    }
    assert len(digests) == 5


@pytest.mark.parametrize("struct", [OUTCOME, TECHNICAL])
def test_a_posted_hash_is_of_the_abi_encoding(struct: Any) -> None:
    types = [kind for kind, _ in types_of(struct)]
    assert struct.hash() == keccak256(encode(types, astuple(struct)))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_settlement_is_hashed_with_its_pairs(count: int) -> None:
    pairs = [Pair(PLAYER, OTHER, k, 10 * k) for k in range(count)]
    struct = f"({','.join(kind for kind, _ in types_of(SETTLEMENT))})"
    encoded = encode(
        [struct, "(address,address,uint64,uint64)[]"],
        [astuple(SETTLEMENT), [astuple(pair) for pair in pairs]],
    )
    assert SETTLEMENT.hash(pairs) == keccak256(encoded)


def test_a_sealed_hash_binds_all_that_it_hides() -> None:
    types = ["uint64", "address", "bytes32", "bytes32", "uint32", "bytes32", "uint8"]
    assert OPENING.hash() == keccak256(encode(types, [7, PLAYER, WORDS[0], WORDS[1], 3, WORDS[2], RAW]))
    assert OPENING.cid == Cid(RAW, WORDS[2])
    changes: list[dict[str, Any]] = [
        {"session": 8},
        {"player": OTHER},
        {"root": WORDS[3]},
        {"salt": WORDS[3]},
        {"leafCount": 4},
        {"cidDigest": WORDS[3]},
        {"cidCodec": DAG_PB},
    ]
    assert len({replace(OPENING, **change).hash() for change in changes} - {OPENING.hash()}) == 7


def test_a_seed_share_is_of_player_and_salt() -> None:
    assert seed_share(PLAYER, WORDS[0]) == keccak256(encode(["address", "bytes32"], [PLAYER, WORDS[0]]))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"session": 2**64}, "session"),
        ({"session": -1}, "session"),
        ({"player": PLAYER.replace("f", "F", 1)}, "player"),
        ({"side": 256}, "side"),
        ({"sealedHash": bytes(31)}, "sealedHash"),
        ({"capUeur": 1.5}, "capUeur"),
        ({"deadline": 2**48}, "deadline"),
    ],
)
def test_refuses_what_doesnt_fit(change: dict[str, Any], field: str) -> None:
    domain = contract_domain("CommitmentBook", CHAIN_ID, CONTRACT)
    with pytest.raises(InvalidInput) as refusal:
        replace(COMMITMENT, **change).digest(domain)
    assert refusal.value.field == field
