"""Claims: what customers' PoDs earned in a session less what their penalties take, up to a hundred a leaf."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offchain.protocol.errors import InvalidInput
from offchain.protocol.keccak import keccak256
from offchain.protocol.leaves import CLAIM_NUMBER, CLAIM_TYPES
from offchain.protocol.lists import ListDocument, Record
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


def pair_origin(leaf: Record) -> bytes | None:
    """Hash by which a posted pair is demanded of the last leaf of its payer and payee (IDemands); None of any other."""
    if leaf.integer("nextForPair"):
        return None
    parties = ["0x" + leaf.word(name).hex() for name in ("payer", "payee")]
    sums = [leaf.integer(name) for name in ("pairPaymentUeur", "pairPenaltyUeur")]
    return keccak256(abi_encoded(["address", "address", "uint64", "uint64"], [*parties, *sums]))


def claim_origin(leaf: Record, customer: str) -> bytes | None:
    """Hash by which an entry of a claim is demanded of the last leaf of its PoD (IDemands); None of any other."""
    if leaf.integer("nextForPod"):
        return None
    net_ueur = leaf.integer("podRewardUeur") - leaf.integer("podRewardPenaltyUeur")
    values = [leaf.integer("claimPosition"), leaf.integer("claimIndex"), customer, net_ueur]
    return keccak256(abi_encoded(["uint32", "uint8", "address", "int256"], values))


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
