"""PoDs: their ids, their pseudonyms, and the salts that hide their leaves (protocol.md, Who may read).

A pseudonym is keccak256(abi.encode(string id, bytes32 secret salt)), new with each flexibility contract. A
leaf's salt is keccak256(abi.encode(bytes32 key, uint256 position)), its key keccak256(PoD's secret ++ id of
the document): once the secret is erased, neither id nor values can be linked to a leaf any more.
"""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from eth_abi.abi import encode

from offchain.protocol.columns import Column, Positions, Rows
from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import Messages, as_words, in_parallel, keccak256

WORD_BYTES = 32
_POD_ID = re.compile(r"IT[0-9]{3}E[0-9A-Z]{8}[0-9A-Z]?", re.ASCII)
_PSEUDONYM = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_ID_RULE = "must be a PoD id: IT, 3 digits, E, 8 digits or capitals, and perhaps a check character"


def check_pod_id(field: str, text: str) -> str:
    """A PoD id, such as IT001E00000042: country, distributor, E for electricity, number.

    Raises InvalidInput naming the field.
    """
    if not _POD_ID.fullmatch(text):
        raise InvalidInput(field, text, _ID_RULE)
    return text


def check_pod_reference(field: str, text: str) -> str:
    """What names a PoD in a document of D2.3: its id or its pseudonym (0x-hex). Raises InvalidInput."""
    if not _POD_ID.fullmatch(text) and not _PSEUDONYM.fullmatch(text):
        raise InvalidInput(field, text, f"{_ID_RULE}; or a pseudonym: 0x and 64 lower-case hex digits")
    return text


def pod_pseudonym(pod_id: str, secret_salt: bytes) -> bytes:
    """Pseudonym of a PoD, 32 bytes. Raises InvalidInput for a malformed id, or a salt that isn't 32 bytes."""
    check_pod_id("pod_id", pod_id)
    _require_word("secret_salt", secret_salt)
    return keccak256(encode(["string", "bytes32"], [pod_id, secret_salt]))


def document_key(pod_secret: bytes, document_id: bytes) -> bytes:
    """Key of a PoD's leaves in one document, from two times 32 bytes."""
    _require_word("pod_secret", pod_secret)
    _require_word("document_id", document_id)
    return keccak256(pod_secret + document_id)


def leaf_salt(key: bytes, position: int) -> bytes:
    """Salt of the leaf at a position, from the key of its PoD and document."""
    _require_word("key", key)
    return keccak256(key + _word("position", position))


def leaf_salts(keys: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """leaf_salt of every row: keys uint8 (n, 32), positions (n,); gives uint8 (n, 32)."""
    return _salts(Messages(bytes(2 * WORD_BYTES), [0, 1, 2, 3, 7]), "keys", keys, positions)


def outcome_salt(offer_salt: bytes, kind_number: int, position: int) -> bytes:
    """Salt of an outcome's, refusal's or settlement's leaf: keccak256(offer's salt, kind of leaf, position).

    So whoever knows the salt of an offer's leaf knows those of all leaves that followed from it.
    """
    _require_word("offer_salt", offer_salt)
    return keccak256(offer_salt + _word("kind_number", kind_number) + _word("position", position))


def outcome_salts(
    offer_salts: npt.NDArray[np.uint8], kind_number: int, positions: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """outcome_salt of every row: salts uint8 (n, 32), positions (n,); gives uint8 (n, 32)."""
    _require_words("offer_salts", offer_salts, len(positions))
    kind = _word("kind_number", kind_number)
    messages = Messages(bytes(WORD_BYTES) + kind + bytes(WORD_BYTES), [0, 1, 2, 3, 11])
    return _salts(messages, "offer_salts", offer_salts, positions)


@dataclass(frozen=True)
class OutcomeSalts:
    """Column of the outcome_salt of every leaf, made where it is read: 32 bytes a leaf need not be held twice.

    `offer_salts`: of the leaves' offers; `positions`: of the leaves themselves.
    """

    offer_salts: Column
    kind_number: int
    positions: Column

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, rows: slice | Positions, /) -> Rows:
        return outcome_salts(self.offer_salts[rows], self.kind_number, self.positions[rows].astype(np.int64))


def _word(field: str, value: int) -> bytes:
    if not 0 <= value < 2**63:
        raise InvalidInput(field, value, "must be 0 to 2**63 - 1")
    return value.to_bytes(WORD_BYTES, "big")


def _salts(
    messages: Messages, field: str, secrets: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Hashes of messages that begin with a secret and end with a position, and differ in nothing else."""
    if positions.dtype != np.int64 or positions.ndim != 1:
        shown = f"{positions.dtype} array of shape {positions.shape}"
        raise InvalidInput("positions", shown, "must be int64 of shape (n,)")
    if np.any(positions < 0):
        raise InvalidInput("positions", int(positions.min()), "must be 0 to 2**63 - 1")
    _require_words(field, secrets, len(positions))
    out = np.empty((len(positions), WORD_BYTES), dtype=np.uint8)

    def work(first: int, last: int) -> None:
        lanes = messages.lanes(last - first)
        lanes[:4, : last - first] = as_words(secrets[first:last]).T
        lanes[4, : last - first] = positions[first:last].byteswap()
        out[first:last] = messages.hashes(lanes, last - first)

    in_parallel(work, 0, len(positions))
    return out


def _require_word(field: str, value: bytes) -> None:
    # Keys and salts are secrets: only their length goes into an error's message.
    if len(value) != WORD_BYTES:
        raise InvalidInput(field, f"{len(value)} bytes", f"must be {WORD_BYTES} bytes")


def _require_words(field: str, rows: npt.NDArray[np.uint8], count: int) -> None:
    if rows.dtype != np.uint8 or rows.shape != (count, WORD_BYTES):
        shown = f"{rows.dtype} array of shape {rows.shape}"
        raise InvalidInput(field, shown, f"must be uint8 of shape ({count}, {WORD_BYTES})")
