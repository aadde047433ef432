// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Keys under which the vault locks money
library VaultKeys {
    /// @notice Bonds of a session's unrevealed commitments.
    function bond(uint64 session) internal pure returns (bytes32) {
        return keccak256(abi.encode(session, "bond"));
    }

    /// @notice Collateral and escrow of a session's revealed documents.
    function coverage(uint64 session) internal pure returns (bytes32) {
        return keccak256(abi.encode(session, "cover"));
    }

    /// @notice Bond of an outcome; `stage` as in IOutcomeBoard.
    function outcome(uint64 session, uint8 stage) internal pure returns (bytes32) {
        return keccak256(abi.encode(session, "outcome", stage));
    }

    /// @notice Bond of a settlement.
    function settlement(uint64 session) internal pure returns (bytes32) {
        return keccak256(abi.encode(session, "settlement"));
    }
}
