// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

/// @title Leaves that are proven
library Proofs {
    error ProofsNotInList(bytes32 root, bytes32 leafHash);

    /// @notice Reverts unless a leaf lies under a root.
    function requireLeaf(bytes32 root, bytes32 leafHash, bytes32[] calldata proof) internal pure {
        if (!MerkleProof.verifyCalldata(proof, root, leafHash)) revert ProofsNotInList(root, leafHash);
    }
}
