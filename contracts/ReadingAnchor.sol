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
    /// @dev One slot.
    struct Batch {
        uint48 at;
        uint32 length;
    }

    bytes32 private constant READING_TYPEHASH = keccak256(
        "Reading(bytes32 pod,uint64 startTime,uint32 periodS,uint32 absorbedActiveWh,uint32 injectedActiveWh,uint32 absorbedInductiveVarh,uint32 injectedInductiveVarh,uint32 absorbedCapacitiveVarh,uint32 injectedCapacitiveVarh,uint64 sequence)"
    );

    IParticipantRegistry public immutable participants;
    IPodRegistry public immutable pods;

    mapping(bytes32 root => Batch) private _batches;

    constructor(IParticipantRegistry participants_, IPodRegistry pods_) EIP712("flexledger ReadingAnchor", "1") {
        participants = participants_;
        pods = pods_;
    }

    /// @inheritdoc IReadingAnchor
    function anchor(bytes32 root, uint32 length, bytes32 cidDigest, uint8 cidCodec) external {
        participants.requireRole(msg.sender, IParticipantRegistry.Role.ANCHORING_ORACLE);
        if (root == 0 || length == 0) revert ReadingAnchorEmptyBatch(root, length);
        // INVARIANT: a batch's time is its first.
        uint48 known = _batches[root].at;
        if (known != 0) revert ReadingAnchorKnownRoot(root, known);
        Cids.requireKnown(cidCodec);
        uint48 at = uint48(block.timestamp);
        _batches[root] = Batch({at: at, length: length});
        emit BatchAnchored(root, msg.sender, length, cidDigest, cidCodec, at);
    }

    /// @inheritdoc IReadingAnchor
    function anchoredAt(bytes32 root) external view returns (uint48) {
        return _batches[root].at;
    }

    /// @inheritdoc IReadingAnchor
    function lengthOf(bytes32 root) external view returns (uint32) {
        return _batches[root].length;
    }

    /// @inheritdoc IReadingAnchor
    function verifyReading(bytes32 root, Leaves.ReadingLeaf calldata leaf, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        Batch memory batch = _batches[root];
        if (batch.at == 0 || leaf.length != batch.length || leaf.position >= leaf.length) return false;
        if (leaf.node == address(0) || pods.nodeOf(leaf.pod) != leaf.node) return false;
        if (!MerkleProof.verifyCalldata(proof, root, Leaves.hash(leaf))) return false;
        (address signer, ECDSA.RecoverError problem,) = ECDSA.tryRecover(hashReading(leaf), leaf.r, leaf.vs);
        return problem == ECDSA.RecoverError.NoError && signer == leaf.node;
    }

    /// @inheritdoc IReadingAnchor
    function hashReading(Leaves.ReadingLeaf calldata leaf) public view returns (bytes32) {
        bytes memory period = abi.encode(READING_TYPEHASH, leaf.pod, leaf.startTime, leaf.periodS);
        bytes memory energies = abi.encode(
            leaf.absorbedActiveWh,
            leaf.injectedActiveWh,
            leaf.absorbedInductiveVarh,
            leaf.injectedInductiveVarh,
            leaf.absorbedCapacitiveVarh,
            leaf.injectedCapacitiveVarh,
            leaf.sequence
        );
        return _hashTypedDataV4(keccak256(bytes.concat(period, energies)));
    }
}
