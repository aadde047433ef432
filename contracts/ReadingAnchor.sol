// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {IPodRegistry} from "../interfaces/IPodRegistry.sol";
import {IReadingAnchor} from "../interfaces/IReadingAnchor.sol";
import {Cids} from "./libraries/Cids.sol";
import {Leaves} from "./libraries/Leaves.sol";

/// @title Anchored batches of meter readings
contract ReadingAnchor is IReadingAnchor, EIP712 {
    /// @dev UTC Unix seconds. A whole word: 48 bits of one would be read again to be written.
    struct Batch {
        uint256 at;
    }

    bytes32 private constant READING_TYPEHASH = keccak256(
        "Reading(bytes32 pod,uint64 startTime,uint32 periodS,uint32 absorbedActiveWh,uint32 injectedActiveWh,uint32 absorbedInductiveVarh,uint32 injectedInductiveVarh,uint32 absorbedCapacitiveVarh,uint32 injectedCapacitiveVarh,uint64 sequence)"
    );
    uint256 private constant MAY_ANCHOR = (1 << uint8(IParticipantRegistry.Role.ANCHORING_ORACLE))
        | (1 << uint8(IParticipantRegistry.Role.AGGREGATOR));

    IParticipantRegistry public immutable participants;
    IPodRegistry public immutable pods;

    mapping(bytes32 root => Batch) private _batches;

    constructor(IParticipantRegistry participants_, IPodRegistry pods_) EIP712("flexledger ReadingAnchor", "1") {
        participants = participants_;
        pods = pods_;
    }

    /// @inheritdoc IReadingAnchor
    function anchor(bytes32 root, bytes32 cidDigest, uint8 cidCodec) external {
        (uint256 roles, bool suspended) = _sender();
        if (suspended || roles & MAY_ANCHOR == 0) revert ReadingAnchorNotAllowed(msg.sender);
        if (root == 0) revert ReadingAnchorZeroRoot();
        Cids.requireKnown(cidCodec);
        // INVARIANT: a batch's time is its first.
        Batch storage batch = _batches[root];
        if (batch.at == 0) batch.at = block.timestamp;
        emit BatchAnchored(root, cidDigest, cidCodec);
    }

    /// @inheritdoc IReadingAnchor
    function reportContradiction(Leaves.ReadingLeaf calldata first, Leaves.ReadingLeaf calldata second) external {
        bytes32 firstDigest = hashReading(first);
        bytes32 secondDigest = hashReading(second);
        if (
            first.pod != second.pod || first.node != second.node || first.startTime != second.startTime
                || first.periodS != second.periodS
        ) revert ReadingAnchorNotOnePeriod(firstDigest, secondDigest);
        // A packet sent again, under another sequence number, is no contradiction.
        if (_energies(first) == _energies(second)) revert ReadingAnchorSameEnergies(firstDigest, secondDigest);
        if (!_isGenuine(first, firstDigest)) revert ReadingAnchorNotGenuine(firstDigest);
        if (!_isGenuine(second, secondDigest)) revert ReadingAnchorNotGenuine(secondDigest);
        emit ContradictionReported(
            first.pod, first.node, first.startTime, first.periodS, firstDigest, secondDigest
        );
        pods.revokeContradicting(first.node);
    }

    /// @inheritdoc IReadingAnchor
    function anchoredAt(bytes32 root) external view returns (uint48) {
        // Narrowing is safe: block times fit for millions of years.
        return uint48(_batches[root].at);
    }

    /// @inheritdoc IReadingAnchor
    function verifyReading(bytes32 root, Leaves.ReadingLeaf calldata leaf, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return isAnchored(root, leaf, proof) && isGenuine(leaf);
    }

    /// @inheritdoc IReadingAnchor
    function isAnchored(bytes32 root, Leaves.ReadingLeaf calldata leaf, bytes32[] calldata proof)
        public
        view
        returns (bool)
    {
        if (_batches[root].at == 0 || leaf.position >= leaf.length) return false;
        return MerkleProof.verifyCalldata(proof, root, Leaves.hash(leaf));
    }

    /// @inheritdoc IReadingAnchor
    function isGenuine(Leaves.ReadingLeaf calldata leaf) public view returns (bool) {
        return _isGenuine(leaf, hashReading(leaf));
    }

    /// @inheritdoc IReadingAnchor
    function hashReading(Leaves.ReadingLeaf calldata leaf) public view returns (bytes32) {
        bytes memory period = abi.encode(READING_TYPEHASH, leaf.pod, leaf.startTime, leaf.periodS);
        return _hashTypedDataV4(keccak256(bytes.concat(period, _encodeEnergies(leaf), abi.encode(leaf.sequence))));
    }

    /// @dev `participants.participant(msg.sender)`. In assembly because the compiler's encoding costs 300 gas more, and
    /// with it `anchor` is beyond its limit. The registry is ours: it answers with two words or reverts.
    function _sender() private view returns (uint256 roles, bool suspended) {
        address registry = address(participants);
        bytes32 selector = IParticipantRegistry.participant.selector;
        assembly ("memory-safe") {
            mstore(0, selector)
            mstore(4, caller())
            if iszero(staticcall(gas(), registry, 0, 0x24, 0, 0x40)) { revert(0, 0) }
            roles := mload(0)
            suspended := mload(0x20)
        }
    }

    function _isGenuine(Leaves.ReadingLeaf calldata leaf, bytes32 digest) private view returns (bool) {
        // Zero, which ecrecover gives for no signer, never served.
        if (!pods.nodeServed(leaf.pod, leaf.node, uint256(leaf.startTime) + leaf.periodS)) return false;
        (address signer,,) = ECDSA.tryRecover(digest, leaf.r, leaf.vs);
        return signer == leaf.node;
    }

    function _energies(Leaves.ReadingLeaf calldata leaf) private pure returns (bytes32) {
        return keccak256(_encodeEnergies(leaf));
    }

    function _encodeEnergies(Leaves.ReadingLeaf calldata leaf) private pure returns (bytes memory) {
        return abi.encode(
            leaf.absorbedActiveWh,
            leaf.injectedActiveWh,
            leaf.absorbedInductiveVarh,
            leaf.injectedInductiveVarh,
            leaf.absorbedCapacitiveVarh,
            leaf.injectedCapacitiveVarh
        );
    }
}
