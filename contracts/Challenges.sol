// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IChallenges} from "../interfaces/IChallenges.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {Leaves} from "./libraries/Leaves.sol";
import {Proofs} from "./libraries/Proofs.sol";

/// @title What all challenges have in common
abstract contract Challenges is IChallenges {
    IMarket public immutable market;
    IOutcomeBoard public immutable board;

    constructor(IMarket market_, IOutcomeBoard board_) {
        market = market_;
        board = board_;
    }

    function _decide(uint64 session, IOutcomeBoard.Stage stage, bool fault, bytes32 name) internal {
        _decide(session, stage, fault, name, address(0), 0);
    }

    /// @dev INVARIANT: only a fault that is shown strikes.
    function _decide(
        uint64 session,
        IOutcomeBoard.Stage stage,
        bool fault,
        bytes32 name,
        address wronged,
        uint256 lossUeur
    ) internal {
        if (!fault) revert ChallengesNotAFault(name);
        // Narrowing is safe: only below what fits. The bond is far less.
        uint64 loss = lossUeur < type(uint64).max ? uint64(lossUeur) : type(uint64).max;
        board.strike(session, stage, name, msg.sender, wronged, loss);
    }

    /// @dev Reverts unless the sender may challenge, and this is what stands at a stage, open to challenges.
    function _requireOpen(uint64 session, IOutcomeBoard.Stage stage, bytes32 hash) internal view {
        market.requireParticipant(msg.sender);
        board.requireChallengeable(session, stage, hash);
    }

    function _requireIn(IOutcomeBoard.Outcome calldata outcome, Entry calldata entry) internal pure {
        Proofs.requireLeaf(outcome.byRequestRoot, Leaves.hash(entry.leaf), entry.proof);
    }

    function _requireIn(IOutcomeBoard.Outcome calldata outcome, Answer calldata answer) internal pure {
        Proofs.requireLeaf(outcome.byOfferRoot, Leaves.hash(answer.leaf), answer.proof);
    }

    function _requireIn(IOutcomeBoard.TechnicalOutcome calldata technical, Refusal calldata refusal) internal pure {
        Proofs.requireLeaf(technical.refusalRoot, Leaves.hash(refusal.leaf), refusal.proof);
    }

    /// @dev Whether an instant came before a deadline of a session, by the market's clock. That is never ahead of real time:
    /// only what looks late is looked up.
    function _isBefore(uint64 session, uint48 instant, uint48 deadline) internal view returns (bool) {
        return instant < deadline || market.marketTimeAt(session, instant) < deadline;
    }

    function _requirePosition(uint256 expected, uint256 given) internal pure {
        if (expected != given) revert ChallengesNotTheLeaf(expected, given);
    }

    function _requireBasis(bytes32 expected, bytes32 given) internal pure {
        if (expected != given) revert ChallengesNotTheBasis(expected, given);
    }
}
