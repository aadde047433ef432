"""A whole settlement: from the validated outcome and the anchored facts to what the ledger posts."""

from offchain.protocol.cid import Cid
from offchain.protocol.claims import claim_tree
from offchain.protocol.leaves import SETTLEMENT
from offchain.protocol.typed_data import Settlement
from oracles.settlement.core.settle import SettlementResult


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
