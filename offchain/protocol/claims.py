"""Claims: what customers' PoDs earned in a session less what their penalties take, up to a hundred a leaf."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import CLAIM_NUMBER, CLAIM_TYPES
from offchain.protocol.lists import ListDocument
from offchain.protocol.merkle import MerkleTree, abi_encoded

CLAIMS_NOTE = "claims"
"""Where a settlement's document has its claims: [[wallets, amounts], ...]."""


@dataclass(frozen=True)
class Claim:
    """A claim leaf: up to 100 PoDs' wallets, and the net reward of each in token units (µ€), below 0 what is carried over."""

    wallets: tuple[str, ...]
    amounts_ueur: tuple[int, ...]


def claim_tree(claims: Sequence[Claim]) -> MerkleTree:
    """The tree of the claims, in their order."""
    hashes = [keccak256(keccak256(claim_leaf(claims, position))) for position in range(len(claims))]
    return MerkleTree(np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(hashes), 32))


def claim_leaf(claims: Sequence[Claim], position: int) -> bytes:
    """abi.encode(kind, fields...) of a claim leaf."""
    claim = claims[position]
    values = [CLAIM_NUMBER, position, len(claims), list(claim.wallets), list(claim.amounts_ueur)]
    return abi_encoded(CLAIM_TYPES, values)


def claims_note(claims: Sequence[Claim]) -> dict[str, object]:
    """The claims as a settlement's document notes them."""
    return {CLAIMS_NOTE: [[list(claim.wallets), list(claim.amounts_ueur)] for claim in claims]}


def claims_of(document: ListDocument) -> tuple[Claim, ...] | None:
    """The claims that a document notes, None if it isn't a settlement's. InvalidInput where they aren't claims."""
    noted = document.notes.get(CLAIMS_NOTE)
    if noted is None:
        return None
    try:
        return tuple(
            Claim(tuple(str(wallet) for wallet in wallets), tuple(int(amount) for amount in amounts))
            for wallets, amounts in noted  # type: ignore[attr-defined]  # refused below if it isn't a list
        )
    except (TypeError, ValueError):
        raise InvalidInput(CLAIMS_NOTE, noted, "must be an array of [wallets, amounts]") from None
