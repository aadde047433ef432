// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Leaves} from "../contracts/libraries/Leaves.sol";
import {IOutcomeBoard} from "./IOutcomeBoard.sol";

/// @title What all challenges have in common
/// @notice Each is one transaction by any active participant: leaves of the result and of what it rests on, with their
/// proofs. If they show the fault the result is struck (see IOutcomeBoard.strike), else the call reverts and nothing has
/// changed.
/// An *entry* is a leaf of an outcome's list by request, an *answer* one of its list by offer.
interface IChallenges {
    /// @notice A leaf of an outcome's list by request.
    struct Entry {
        Leaves.OutcomeByRequestLeaf leaf;
        bytes32[] proof;
    }

    /// @notice A leaf of an outcome's list by offer.
    struct Answer {
        Leaves.OutcomeByOfferLeaf leaf;
        bytes32[] proof;
    }

    /// @notice A leaf of a technical outcome.
    struct Refusal {
        Leaves.RefusalLeaf leaf;
        bytes32[] proof;
    }

    error ChallengesNotAFault(bytes32 fault);
    error ChallengesNotTheLeaf(uint256 expected, uint256 given);
    error ChallengesNotTheBasis(bytes32 expected, bytes32 given);
    error ChallengesWrongStage(IOutcomeBoard.Stage stage);
}
