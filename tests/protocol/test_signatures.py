"""Signatures and EIP-712 digests against eth-account, and against what OpenZeppelin's ECDSA accepts."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.signatures import (
    CURVE_ORDER,
    address_of,
    checksum_address,
    domain_separator,
    from_compact,
    parse_address,
    recover_address,
    recover_addresses,
    sign_digest,
    struct_hash,
    to_compact,
    type_hash,
    typed_digest,
    typed_digests,
    typed_words,
)
from tests.examples import examples

KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
DIGEST = keccak256(b"a reading")
SIGNATURE = sign_digest(KEY, DIGEST)
CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
ORDER = (
    "Order(bytes32 pod,address node,uint16 slot,int32 powerW,"
    "int256 margin,uint256 money,uint8 kind,bool final)"
)
SHORT = {
    "Order": [
        {"name": name, "type": kind}
        for kind, name in (
            member.split() for member in ORDER.removeprefix("Order(").removesuffix(")").split(",")
        )
    ]
}

keys = st.integers(1, CURVE_ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
digests = st.binary(min_size=32, max_size=32)
orders = st.tuples(
    digests,
    st.binary(min_size=20, max_size=20),
    st.integers(0, 2**16 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**255), 2**255 - 1),
    st.integers(0, 2**256 - 1),
    st.integers(0, 255),
    st.booleans(),
)


def as_rows(items: list[bytes], width: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(items), dtype=np.uint8).reshape(-1, width)


def with_high_s(signature: bytes) -> bytes:
    """The other signature of the same digest and key, which the curve accepts and Ethereum doesn't."""
    s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


@examples(40)
@given(key=keys, digest=digests)
def test_agrees_with_eth_account(key: bytes, digest: bytes) -> None:
    account = Account.from_key(key)
    signature = sign_digest(key, digest)
    assert signature == account.unsafe_sign_hash(digest).signature
    assert recover_address(digest, signature) == account.address == address_of(key)
    assert from_compact(*to_compact(signature)) == signature


def test_known_address() -> None:
    assert address_of(KEY) == ADDRESS
    assert recover_address(DIGEST, SIGNATURE) == ADDRESS
    assert parse_address("node", ADDRESS) == parse_address("node", ADDRESS.lower())
    assert checksum_address(parse_address("node", ADDRESS)) == ADDRESS


def test_both_parities_survive_the_compact_form() -> None:
    signatures = [sign_digest(KEY, keccak256(bytes([k]))) for k in range(16)]
    assert {signature[64] for signature in signatures} == {27, 28}
    for signature in signatures:
        r, vs = to_compact(signature)
        assert len(r) == len(vs) == 32
        assert vs[0] >> 7 == signature[64] - 27
        assert from_compact(r, vs) == signature


REFUSED = {
    "too short": (SIGNATURE[:64], "signature = .*65 bytes"),
    "too long": (SIGNATURE + b"\0", "signature = .*65 bytes"),
    "empty": (b"", "signature = .*65 bytes"),
    "v 0": (SIGNATURE[:64] + b"\0", r"signature\.v = 0"),
    "v 26": (SIGNATURE[:64] + bytes([26]), r"signature\.v = 26"),
    "v 29": (SIGNATURE[:64] + bytes([29]), r"signature\.v = 29"),
    "high s": (with_high_s(SIGNATURE), r"signature\.s = .*lower half"),
    "s one too high": (
        SIGNATURE[:32] + (CURVE_ORDER // 2 + 1).to_bytes(32, "big") + b"\x1b",
        r"signature\.s = ",
    ),
}
OFF_THE_CURVE = {
    "r 0": bytes(32) + SIGNATURE[32:],
    "s 0": SIGNATURE[:32] + bytes(32) + SIGNATURE[64:],
    "r the order": CURVE_ORDER.to_bytes(32, "big") + SIGNATURE[32:],
    "r no point": (5).to_bytes(32, "big") + SIGNATURE[32:],
}


@pytest.mark.parametrize(("signature", "message"), REFUSED.values(), ids=REFUSED)
def test_what_openzeppelin_refuses_is_refused(signature: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        recover_address(DIGEST, signature)
    with pytest.raises(InvalidInput, match=message):
        to_compact(signature)


@pytest.mark.parametrize("signature", OFF_THE_CURVE.values(), ids=OFF_THE_CURVE)
def test_what_the_curve_refuses_is_refused(signature: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"signature = .*point of the curve"):
        recover_address(DIGEST, signature)


def test_the_greatest_low_s_is_accepted() -> None:
    signature = SIGNATURE[:32] + (CURVE_ORDER // 2).to_bytes(32, "big") + SIGNATURE[64:]
    assert from_compact(*to_compact(signature)) == signature


def test_the_high_s_twin_would_recover_the_same_signer() -> None:
    assert Account._recover_hash(DIGEST, signature=with_high_s(SIGNATURE)) == ADDRESS


def test_a_batch_gives_none_where_a_signature_is_refused_and_addresses_in_order() -> None:
    signers = [os.urandom(32) for _ in range(200)]
    many = [keccak256(signer) for signer in signers]
    signatures = [sign_digest(signer, digest) for signer, digest in zip(signers, many, strict=True)]
    expected: list[str | None] = [address_of(signer) for signer in signers]
    signatures[3] = with_high_s(signatures[3])
    signatures[150] = OFF_THE_CURVE["r no point"]
    signatures[199] = signatures[199][:64] + b"\x01"
    for place in (3, 150, 199):
        expected[place] = None
    assert recover_addresses(as_rows(many, 32), as_rows(signatures, 65)) == expected
    assert recover_addresses(as_rows([], 32), as_rows([], 65)) == []


def test_a_forged_digest_recovers_somebody_else() -> None:
    assert recover_address(keccak256(b"another reading"), SIGNATURE) != ADDRESS


def test_batches_of_other_shapes_are_refused() -> None:
    with pytest.raises(InvalidInput, match="digests"):
        recover_addresses(as_rows([SIGNATURE], 65), as_rows([SIGNATURE], 65))
    with pytest.raises(InvalidInput, match="signatures"):
        recover_addresses(as_rows([DIGEST], 32), as_rows([DIGEST], 32))
    with pytest.raises(InvalidInput, match="signatures = 1: must be as many"):
        recover_addresses(as_rows([DIGEST, DIGEST], 32), as_rows([SIGNATURE], 65))


@pytest.mark.parametrize(
    "key", [bytes(32), CURVE_ORDER.to_bytes(32, "big"), b"\xff" * 32, KEY[:31], KEY + b"\0", b""]
)
def test_bad_private_keys_are_refused_without_showing_them(key: bytes) -> None:
    for call in (lambda: sign_digest(key, DIGEST), lambda: address_of(key)):
        with pytest.raises(InvalidInput, match="private_key") as refusal:
            call()
        assert repr(key) not in str(refusal.value)


def test_digests_of_another_length_are_refused() -> None:
    with pytest.raises(InvalidInput, match="digest"):
        sign_digest(KEY, DIGEST[:31])
    with pytest.raises(InvalidInput, match="digest"):
        recover_address(DIGEST + b"\0", SIGNATURE)
    with pytest.raises(InvalidInput, match="vs"):
        from_compact(bytes(32), bytes(31))
    with pytest.raises(InvalidInput, match=r"signature\.s"):
        from_compact(bytes(32), b"\x7f" + b"\xff" * 31)


@examples(60)
@given(order=orders, chain_id=st.integers(0, 2**64), name=st.text(max_size=12))
def test_typed_data_equals_eth_accounts(order: tuple[Any, ...], chain_id: int, name: str) -> None:
    message = dict(zip([member["name"] for member in SHORT["Order"]], order, strict=True))
    domain = {"name": name, "version": "1", "chainId": chain_id, "verifyingContract": CONTRACT}
    signable = encode_typed_data(domain, SHORT, message)
    assert domain_separator(name, "1", chain_id, CONTRACT) == signable.header
    assert struct_hash(ORDER, order) == signable.body
    assert (
        typed_digest(signable.header, signable.body)
        == Account.sign_message(signable, KEY).message_hash
        == typed_digests(signable.header, type_hash(ORDER), as_rows([typed_words(ORDER, order)], 8 * 32))[
            0
        ].tobytes()
    )


def test_a_batch_of_typed_digests() -> None:
    domain = domain_separator("flexledger", "1", 1337, CONTRACT)
    rows = [typed_words("Slot(uint16 slot,int32 powerW)", (k, -k)) for k in range(50)]
    batch = typed_digests(domain, type_hash("Slot(uint16 slot,int32 powerW)"), as_rows(rows, 64))
    single = [typed_digest(domain, struct_hash("Slot(uint16 slot,int32 powerW)", (k, -k))) for k in range(50)]
    assert [digest.tobytes() for digest in batch] == single
    assert len(set(single)) == 50


def test_an_address_may_be_bytes_or_text() -> None:
    kind = "Node(address node)"
    assert typed_words(kind, [CONTRACT]) == typed_words(kind, [parse_address("node", CONTRACT)])
    assert domain_separator("a", "1", 1, CONTRACT) == domain_separator(
        "a", "1", 1, parse_address("c", CONTRACT)
    )


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint8", 256),
        ("uint8", -1),
        ("uint256", 2**256),
        ("int8", 128),
        ("int8", -129),
        ("uint8", True),
        ("uint8", 1.0),
        ("uint8", "1"),
        ("bool", 1),
        ("bytes32", bytes(31)),
        ("bytes32", "0x" + "00" * 32),
        ("address", bytes(32)),
        ("address", "0x" + "00" * 19),
        ("address", CONTRACT.swapcase().replace("X", "x")),
        ("address", "00" * 20),
        ("address", 1),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(kind: str, value: object) -> None:
    with pytest.raises(InvalidInput, match="powerW"):
        typed_words(f"Slot(uint16 slot,{kind} powerW)", (1, value))


def test_other_counts_of_values_are_refused() -> None:
    with pytest.raises(InvalidInput, match="must have 2 values"):
        struct_hash("Slot(uint16 slot,int32 powerW)", (1,))


@pytest.mark.parametrize(
    "type_string",
    [
        "",
        "Slot",
        "Slot()",
        "Slot(uint16)",
        "Slot(uint16 slot, int32 powerW)",
        "Slot(uint slot)",
        "Slot(uint12 slot)",
        "Slot(uint264 slot)",
        "Slot(uint016 slot)",
        "Slot(string slot)",
        "Slot(bytes slot)",
        "Slot(uint16[] slot)",
        "Slot(Other slot)Other(uint16 slot)",
        "Slot(uint16 slot)\n",
    ],
)
def test_types_that_are_not_static_structs_are_refused(type_string: str) -> None:
    with pytest.raises(InvalidInput, match="type"):
        type_hash(type_string)


def test_batches_of_words_of_other_shapes_are_refused() -> None:
    shapes: list[npt.NDArray[Any]] = [
        np.zeros((2, 33), dtype=np.uint8),
        np.zeros(64, dtype=np.uint8),
        np.zeros((2, 64)),
    ]
    for words in shapes:
        with pytest.raises(InvalidInput, match="words"):
            typed_digests(bytes(32), bytes(32), words)
    with pytest.raises(InvalidInput, match="type_hash"):
        typed_digests(bytes(32), bytes(31), np.zeros((2, 64), dtype=np.uint8))
    with pytest.raises(InvalidInput, match="domain_separator"):
        typed_digest(bytes(31), bytes(32))
