// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Leaves} from "../libraries/Leaves.sol";
import {Proofs} from "../libraries/Proofs.sol";

/// @title Lets tests call the hashes of the leaves and the check of their proofs
contract LeavesHarness {
    function requireLeaf(bytes32 root, bytes32 leafHash, bytes32[] calldata proof) external pure {
        Proofs.requireLeaf(root, leafHash, proof);
    }

    function hashOffer(Leaves.OfferLeaf calldata leaf) external pure returns (bytes32) {
        return Leaves.hash(leaf);
    }

    function hashRequest(Leaves.RequestLeaf calldata leaf) external pure returns (bytes32) {
        return Leaves.hash(leaf);
    }

    function hashEffectiveness(Leaves.EffectivenessLeaf calldata leaf) external pure returns (bytes32) {
        return Leaves.hash(leaf);
    }

    function hashBaseline(Leaves.BaselineLeaf calldata leaf) external pure returns (bytes32) {
        return Leaves.hash(leaf);
    }

    function hashOutcomeByOffer(Leaves.OutcomeByOfferLeaf calldata leaf) external pure returns (bytes32) {
        return Leaves.hash(leaf);
    }

    function hashOutcomeByRequest(Leaves.OutcomeByRequestLeaf calldata leaf) external pure returns (bytes32) {
        return Leaves.hash(leaf);
    }

    function hashOutcomeReserve(Leaves.OutcomeByRequestLeaf calldata leaf) external pure returns (bytes32) {
        return Leaves.hashReserve(leaf);
    }

    function hashRefusal(Leaves.RefusalLeaf calldata leaf) external pure returns (bytes32) {
        return Leaves.hash(leaf);
    }

    function hashReading(Leaves.ReadingLeaf calldata leaf) external pure returns (bytes32) {
        return Leaves.hash(leaf);
    }

    function hashSettlement(Leaves.SettlementLeaf calldata leaf) external pure returns (bytes32) {
        return Leaves.hash(leaf);
    }

    function hashClaim(uint32 position, uint32 length, address[] calldata wallets, int64[] calldata amounts)
        external
        pure
        returns (bytes32)
    {
        return Leaves.hashClaim(position, length, wallets, amounts);
    }
}
