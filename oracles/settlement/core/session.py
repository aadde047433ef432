"""A whole settlement: from the validated outcome and the anchored facts to what the ledger posts."""

import numpy as np

from offchain.protocol.cid import Cid
from offchain.protocol.leaves import CLAIM_NUMBER, CLAIM_TYPES, SETTLEMENT
from offchain.protocol.merkle import MerkleTree, standard_leaf_hash
from offchain.protocol.typed_data import Settlement
from oracles.settlement.core.settle import Claim, SettlementResult


def claim_tree(claims: tuple[Claim, ...]) -> MerkleTree:
    """The tree of the claims, in their order."""
    hashes = [
        standard_leaf_hash(
            CLAIM_TYPES,
            [CLAIM_NUMBER, position, len(claims), list(claim.wallets), list(claim.amounts_ueur)],
        )
        for position, claim in enumerate(claims)
    ]
    return MerkleTree(np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(hashes), 32))


def posted_settlement(result: SettlementResult, cid: Cid, validated_outcome_hash: bytes) -> Settlement:
    """What the ledger holds of a settlement: roots, lengths, CID and the sum of the rewards."""
    leaves = result.document.list_of(SETTLEMENT)
    return Settlement(
        session=result.document.session,
        validatedOutcomeHash=validated_outcome_hash,
        settlementRoot=leaves.root,
        settlementLength=len(leaves),
        claimRoot=claim_tree(result.claims).root,
        claimLength=len(result.claims),
        cidDigest=cid.digest,
        cidCodec=cid.codec,
        rewardsUeur=result.rewards_ueur,
    )
