"""secp256k1 signatures of 32-byte digests, and the EIP-712 digests that are signed.

A signature is 65 bytes, r || s || v, with s in the lower half of the curve's order and v 27 or 28: what
OpenZeppelin's `ECDSA.recover` accepts on chain, no more and no less. Its compact form (EIP-2098) is two
words, r and vs, as `ECDSA.recover(hash, r, vs)` takes them.

Typed data here has static types only (uintN, intN, address, bool, bytes32), so that a contract hashes the
same words without parsing anything. Values are ints, bools, bytes, and for an address also its hex text.
"""

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
from coincurve import PrivateKey, PublicKey

from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import HASH_BYTES, keccak256, keccak256_rows

SIGNATURE_BYTES = 65
WORD_BYTES = 32
ADDRESS_BYTES = 20
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_GREATEST_S = (CURVE_ORDER // 2).to_bytes(32, "big")
_V_OF_PARITY_0 = 27
_SIGNATURES_WORTH_A_THREAD = 64
_DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_STRUCT = re.compile(r"([A-Za-z_]\w*)\((.*)\)", re.ASCII)
_MEMBER = re.compile(r"(address|bool|bytes32|u?int(\d+)) ([A-Za-z_]\w*)", re.ASCII)


def sign_digest(private_key: bytes, digest: bytes) -> bytes:
    """Signature of a digest, 65 bytes; the same each time (RFC 6979).

    Raises InvalidInput for a key that isn't 32 bytes between 1 and the curve's order, or a digest not of 32
    bytes.
    """
    _require_length("digest", digest, HASH_BYTES)
    signature = _key(private_key).sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes((signature[64] + _V_OF_PARITY_0,))


def address_of(private_key: bytes) -> str:
    """Checksummed address of a private key. Raises InvalidInput as sign_digest does."""
    return _address_of_public(_key(private_key).public_key)


def recover_address(digest: bytes, signature: bytes) -> str:
    """Checksummed address of who signed the digest.

    Raises InvalidInput for a signature that OpenZeppelin's ECDSA refuses: not 65 bytes, v not 27 or 28, s in
    the upper half of the order, or no such point on the curve; and for a digest not of 32 bytes.
    """
    _require_length("digest", digest, HASH_BYTES)
    _require_well_formed(signature)
    try:
        public_key = PublicKey.from_signature_and_message(
            signature[:64] + bytes((signature[64] - _V_OF_PARITY_0,)), digest, hasher=None
        )
    except ValueError as error:
        raise InvalidInput("signature", signature, "must belong to a point of the curve") from error
    return _address_of_public(public_key)


def recover_addresses(digests: npt.NDArray[np.uint8], signatures: npt.NDArray[np.uint8]) -> list[str | None]:
    """Who signed each of many digests: uint8 arrays of shape (n, 32) and (n, 65).

    A signature that recover_address refuses gives None at its place. Raises InvalidInput for other shapes.
    """
    _require_shape("digests", digests, HASH_BYTES)
    _require_shape("signatures", signatures, SIGNATURE_BYTES)
    count = len(digests)
    if len(signatures) != count:
        raise InvalidInput("signatures", len(signatures), f"must be as many as the digests, {count}")

    def recover(first: int, last: int) -> list[str | None]:
        found: list[str | None] = []
        for digest, signature in zip(digests[first:last], signatures[first:last], strict=True):
            try:
                found.append(recover_address(digest.tobytes(), signature.tobytes()))
            except InvalidInput:
                found.append(None)
        return found

    # libsecp256k1 runs without the GIL, so threads count: 1.9 times the speed on two cores.
    parts = max(1, min(os.cpu_count() or 1, count // _SIGNATURES_WORTH_A_THREAD))
    cuts = [count * part // parts for part in range(parts + 1)]
    with ThreadPoolExecutor(parts) as pool:
        return [address for part in pool.map(recover, cuts[:-1], cuts[1:]) for address in part]


def to_compact(signature: bytes) -> tuple[bytes, bytes]:
    """The words r and vs of a signature (EIP-2098). Raises InvalidInput as recover_address does."""
    _require_well_formed(signature)
    s = bytearray(signature[32:64])
    s[0] |= (signature[64] - _V_OF_PARITY_0) << 7
    return signature[:32], bytes(s)


def from_compact(r: bytes, vs: bytes) -> bytes:
    """The 65-byte signature of the words r and vs. Raises InvalidInput as recover_address does."""
    _require_length("r", r, WORD_BYTES)
    _require_length("vs", vs, WORD_BYTES)
    signature = r + bytes((vs[0] & 0x7F,)) + vs[1:] + bytes((_V_OF_PARITY_0 + (vs[0] >> 7),))
    _require_well_formed(signature)
    return signature


@lru_cache(maxsize=65_536)
def checksum_address(address: bytes) -> str:
    """The text of a 20-byte address with its checksum in the letters' case (EIP-55). Raises InvalidInput."""
    _require_length("address", address, ADDRESS_BYTES)
    text = address.hex()
    digest = keccak256(text.encode()).hex()
    return "0x" + "".join(
        letter.upper() if nibble > "7" else letter for letter, nibble in zip(text, digest, strict=False)
    )


def parse_address(field: str, text: str) -> bytes:
    """The 20 bytes of an address's text, all lower case or checksummed.

    Raises InvalidInput naming the field.
    """
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise InvalidInput(field, text, "must be an address: 0x and 40 hex digits")
    address = bytes.fromhex(text[2:])
    if text != text.lower() and text != checksum_address(address):
        raise InvalidInput(field, text, "must have the right checksum in the case of its letters (EIP-55)")
    return address


def domain_separator(name: str, version: str, chain_id: int, verifying_contract: str | bytes) -> bytes:
    """EIP-712 domain separator, as OpenZeppelin's EIP712 computes it.

    Raises InvalidInput for a bad id or address.
    """
    return keccak256(
        keccak256(_DOMAIN_TYPE.encode())
        + keccak256(name.encode())
        + keccak256(version.encode())
        + _word("chain_id", "uint256", chain_id)
        + _word("verifying_contract", "address", verifying_contract)
    )


def type_hash(type_string: str) -> bytes:
    """Hash of a struct's type, such as "Order(bytes32 pod,uint16 slot)".

    Raises InvalidInput unless it is static.
    """
    _members(type_string)
    return keccak256(type_string.encode())


def typed_words(type_string: str, values: Sequence[object]) -> bytes:
    """A struct's values in the order of its type, 32 bytes each.

    Raises InvalidInput, naming the member, for a value that doesn't fit, and for more or fewer values than
    members.
    """
    members = _members(type_string)
    if len(values) != len(members):
        raise InvalidInput(type_string, len(values), f"must have {len(members)} values")
    return b"".join(_word(name, kind, value) for (kind, name), value in zip(members, values, strict=True))


def struct_hash(type_string: str, values: Sequence[object]) -> bytes:
    """EIP-712 hash of a struct. Raises InvalidInput as typed_words does."""
    return keccak256(type_hash(type_string) + typed_words(type_string, values))


def typed_digest(domain_separator: bytes, struct_hash: bytes) -> bytes:
    """The digest that is signed for a struct in a domain. Raises InvalidInput unless both have 32 bytes."""
    _require_length("domain_separator", domain_separator, HASH_BYTES)
    _require_length("struct_hash", struct_hash, HASH_BYTES)
    return keccak256(b"\x19\x01" + domain_separator + struct_hash)


def typed_digests(
    domain_separator: bytes, type_hash: bytes, words: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """The digests that are signed for many structs of one type: uint8 (n, 32 * members) to uint8 (n, 32).

    `words`: each row as typed_words gives it. Raises InvalidInput for other lengths.
    """
    _require_length("domain_separator", domain_separator, HASH_BYTES)
    _require_length("type_hash", type_hash, HASH_BYTES)
    if words.dtype != np.uint8 or words.ndim != 2 or words.shape[1] % WORD_BYTES:
        shown = f"{words.dtype} array of shape {words.shape}"
        raise InvalidInput("words", shown, f"must be uint8 of shape (n, {WORD_BYTES} * members)")
    structs = keccak256_rows(_prefixed(type_hash, words))
    return keccak256_rows(_prefixed(b"\x19\x01" + domain_separator, structs))


def _prefixed(prefix: bytes, rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    out = np.empty((len(rows), len(prefix) + rows.shape[1]), dtype=np.uint8)
    out[:, : len(prefix)] = np.frombuffer(prefix, dtype=np.uint8)
    out[:, len(prefix) :] = rows
    return out


@cache
def _members(type_string: str) -> tuple[tuple[str, str], ...]:
    """Type and name of every member of a struct's type string."""
    rule = "must be Name(type name,type name,...) with static types: uintN, intN, address, bool, bytes32"
    struct = _STRUCT.fullmatch(type_string)
    if struct is None:
        raise InvalidInput("type", type_string, rule)
    members = []
    for entry in struct[2].split(","):
        member = _MEMBER.fullmatch(entry)
        if member is None or (member[2] and member[2] not in {str(bits) for bits in range(8, 257, 8)}):
            raise InvalidInput("type", type_string, rule)
        members.append((member[1], member[3]))
    return tuple(members)


def _word(name: str, kind: str, value: object) -> bytes:
    """A value as the 32-byte word of its Solidity type."""
    if kind == "bool":
        if not isinstance(value, bool):
            raise InvalidInput(name, value, "must be true or false (bool)")
        return int(value).to_bytes(WORD_BYTES, "big")
    if kind == "address":
        address = parse_address(name, value) if isinstance(value, str) else value
        return _require_bytes(name, address, ADDRESS_BYTES).rjust(WORD_BYTES, b"\0")
    if kind == "bytes32":
        return _require_bytes(name, value, WORD_BYTES)
    bits = int(kind.removeprefix("u").removeprefix("int"))
    low, high = (0, 2**bits) if kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value < high:
        raise InvalidInput(name, value, f"must be an integer that fits {kind}")
    return value.to_bytes(WORD_BYTES, "big", signed=value < 0)


def _key(private_key: bytes) -> PrivateKey:
    rule = "must be 32 bytes that read as a number from 1 to below the curve's order"
    # The key itself never goes into an error's message.
    if len(private_key) != WORD_BYTES:
        raise InvalidInput("private_key", f"{len(private_key)} bytes", rule)
    if not 0 < int.from_bytes(private_key, "big") < CURVE_ORDER:
        raise InvalidInput("private_key", "a number out of range", rule)
    return PrivateKey(private_key)


def _address_of_public(public_key: PublicKey) -> str:
    return checksum_address(keccak256(public_key.format(compressed=False)[1:])[12:])


def _require_well_formed(signature: bytes) -> None:
    _require_length("signature", signature, SIGNATURE_BYTES)
    if signature[64] not in (_V_OF_PARITY_0, _V_OF_PARITY_0 + 1):
        raise InvalidInput("signature.v", signature[64], "must be 27 or 28")
    if signature[32:64] > _GREATEST_S:
        raise InvalidInput("signature.s", signature[32:64], "must be in the lower half of the curve's order")


def _require_length(field: str, value: bytes, length: int) -> None:
    if len(value) != length:
        raise InvalidInput(field, value, f"must be {length} bytes")


def _require_bytes(field: str, value: object, length: int) -> bytes:
    if not isinstance(value, bytes) or len(value) != length:
        raise InvalidInput(field, value, f"must be {length} bytes")
    return value


def _require_shape(field: str, rows: npt.NDArray[np.uint8], width: int) -> None:
    if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != width:
        raise InvalidInput(
            field, f"{rows.dtype} array of shape {rows.shape}", f"must be uint8 of shape (n, {width})"
        )
