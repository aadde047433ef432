// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Leaves} from "../contracts/libraries/Leaves.sol";

/// @title Anchored batches of meter readings
/// @notice A Light Node signs each reading (EIP-712, domain "flexledger ReadingAnchor" version "1"); an anchoring
/// oracle, or an aggregator for itself, anchors the Merkle root of many. Anyone can check a reading: its batch and its
/// inclusion (`isAnchored`), its signature and the service of the key that made it (`isGenuine`).
interface IReadingAnchor {
    /// @notice The time is the block's, the sender the transaction's: what these say isn't paid for again.
    event BatchAnchored(bytes32 indexed root, bytes32 cidDigest, uint8 cidCodec);
    /// @notice A key signed two readings of one period with different energies.
    event ContradictionReported(
        bytes32 indexed pod,
        address indexed node,
        uint64 indexed startTime,
        uint32 periodS,
        bytes32 firstDigest,
        bytes32 secondDigest
    );

    error ReadingAnchorNotAllowed(address sender);
    error ReadingAnchorZeroRoot();
    error ReadingAnchorNotOnePeriod(bytes32 firstDigest, bytes32 secondDigest);
    error ReadingAnchorSameEnergies(bytes32 firstDigest, bytes32 secondDigest);
    error ReadingAnchorNotGenuine(bytes32 digest);

    /// @notice Anchors a batch. By an ANCHORING_ORACLE or an AGGREGATOR. A root's time is its first; who anchors it
    /// again adds where the document is, so that nobody spoils another's batch by sending its root ahead with a false
    /// CID.
    /// @param root of the tree of ReadingLeaf; its leaves say how many they are
    /// @param cidDigest SHA-256 digest of the batch document's CID
    /// @param cidCodec codec of the CID: 0x55 raw or 0x70 dag-pb
    function anchor(bytes32 root, bytes32 cidDigest, uint8 cidCodec) external;

    /// @notice Shows that a Light Node's key contradicted itself: two genuine readings of one PoD and period, anchored
    /// or not, whose energies differ. The key is revoked. By anybody.
    function reportContradiction(Leaves.ReadingLeaf calldata first, Leaves.ReadingLeaf calldata second) external;

    /// @notice When a root was first anchored, 0 if it wasn't.
    function anchoredAt(bytes32 root) external view returns (uint48);

    /// @notice Whether a reading is in an anchored batch, at a position within the length that it states.
    function isAnchored(bytes32 root, Leaves.ReadingLeaf calldata leaf, bytes32[] calldata proof)
        external
        view
        returns (bool);

    /// @notice Whether a reading is signed by its `node`, low s only, and this key served its PoD when the period
    /// ended.
    function isGenuine(Leaves.ReadingLeaf calldata leaf) external view returns (bool);

    /// @notice Whether a reading is anchored and genuine.
    function verifyReading(bytes32 root, Leaves.ReadingLeaf calldata leaf, bytes32[] calldata proof)
        external
        view
        returns (bool);

    /// @notice The EIP-712 digest that a Light Node signs for a reading; the leaf's position, length and signature
    /// don't count.
    function hashReading(Leaves.ReadingLeaf calldata leaf) external view returns (bytes32);
}
