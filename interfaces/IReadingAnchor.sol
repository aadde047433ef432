// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Leaves} from "../contracts/libraries/Leaves.sol";

/// @title Anchored batches of meter readings
/// @notice A Light Node signs each reading (EIP-712, domain "flexledger ReadingAnchor" version "1"); an anchoring oracle
/// anchors the Merkle root of many. Anyone can check a reading: its batch, its inclusion, and its node's signature.
interface IReadingAnchor {
    event BatchAnchored(
        bytes32 indexed root, address indexed anchoredBy, uint32 length, bytes32 cidDigest, uint8 cidCodec, uint48 at
    );

    error ReadingAnchorEmptyBatch(bytes32 root, uint32 length);
    error ReadingAnchorKnownRoot(bytes32 root, uint48 anchoredAt);

    /// @notice Anchors a batch. By an ANCHORING_ORACLE.
    /// @param root of the tree of ReadingLeaf
    /// @param length number of leaves
    /// @param cidDigest SHA-256 digest of the batch document's CID
    /// @param cidCodec codec of the CID: 0x55 raw or 0x70 dag-pb
    function anchor(bytes32 root, uint32 length, bytes32 cidDigest, uint8 cidCodec) external;

    /// @notice When a root was anchored, 0 if it wasn't.
    function anchoredAt(bytes32 root) external view returns (uint48);

    /// @notice Number of leaves of an anchored batch, 0 if it isn't anchored.
    function lengthOf(bytes32 root) external view returns (uint32);

    /// @notice Whether a reading is in an anchored batch and signed by the Light Node registered for its PoD.
    function verifyReading(bytes32 root, Leaves.ReadingLeaf calldata leaf, bytes32[] calldata proof)
        external
        view
        returns (bool);

    /// @notice The EIP-712 digest that a Light Node signs for a reading; the leaf's position, length and signature don't count.
    function hashReading(Leaves.ReadingLeaf calldata leaf) external view returns (bytes32);
}
