// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Keys under which the vault locks money
library VaultKeys {
    /// @notice Collateral and escrow of a session's revealed documents.
    function coverage(uint64 session) internal pure returns (bytes32) {
        return keccak256(abi.encode(session, "cover"));
    }
}
