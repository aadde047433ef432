// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {ISettlementLeaves} from "../interfaces/ISettlementChallenges.sol";
import {Challenges} from "./Challenges.sol";
import {Leaves} from "./libraries/Leaves.sol";
import {Proofs} from "./libraries/Proofs.sol";

/// @title What challenges of settlements have in common
abstract contract SettlementProofs is Challenges, ISettlementLeaves {
    function _decide(Posted calldata posted, bool fault, bytes32 name) internal {
        _decide(posted.settlement.session, IOutcomeBoard.Stage.SETTLEMENT, fault, name);
    }

    /// @dev Makes good whoever lost by a wrong amount: `creditor` if it is too low, `debtor` if too high.
    function _decideAmount(
        Posted calldata posted,
        uint256 given,
        uint256 right,
        address creditor,
        address debtor,
        bytes32 name
    ) internal {
        (address wronged, uint256 loss) = given < right ? (creditor, right - given) : (debtor, given - right);
        _decide(posted.settlement.session, IOutcomeBoard.Stage.SETTLEMENT, given != right, name, wronged, loss);
    }

    function _begin(Posted calldata posted) internal view {
        bytes32 hash = keccak256(abi.encode(posted.settlement, posted.pairs));
        _requireOpen(posted.settlement.session, IOutcomeBoard.Stage.SETTLEMENT, hash);
    }

    function _begin(Posted calldata posted, Judged calldata judged) internal view {
        _begin(posted);
        _requireIn(posted, judged);
    }

    function _requireIn(Posted calldata posted, Judged calldata judged) internal pure {
        Proofs.requireLeaf(posted.settlement.settlementRoot, Leaves.hash(judged.leaf), judged.proof);
    }

    /// @dev The entry that a leaf settles: at its position of the validated outcome.
    function _requireEntry(
        Posted calldata posted,
        IOutcomeBoard.Outcome calldata outcome,
        Judged calldata judged,
        Entry calldata entry
    ) internal pure {
        _requireBasis(posted.settlement.validatedOutcomeHash, keccak256(abi.encode(outcome)));
        _requireIn(outcome, entry);
        _requirePosition(judged.leaf.position, entry.leaf.position);
    }
}
