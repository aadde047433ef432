// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Leaves} from "../contracts/libraries/Leaves.sol";
import {IChallenges} from "./IChallenges.sol";
import {ICommitmentBook} from "./ICommitmentBook.sol";
import {IOutcomeBoard} from "./IOutcomeBoard.sol";

/// @title What challenges of settlements show
interface ISettlementLeaves is IChallenges {
    /// @notice A settlement as it was posted.
    struct Posted {
        IOutcomeBoard.Settlement settlement;
        IOutcomeBoard.Pair[] pairs;
    }

    /// @notice A leaf of the settlement.
    struct Judged {
        Leaves.SettlementLeaf leaf;
        bytes32[] proof;
    }
}

/// @title Challenges of what a settlement pays, penalises and rewards
/// @notice They hold each leaf to the validated outcome, to the settlement's rules and mechanisms, and to its neighbours;
/// and pairs and claims to the leaves. From what was delivered on: IDeliveryChallenges is about deliveries.
interface ISettlementChallenges is ISettlementLeaves {
    /// @notice A leaf of the claims.
    struct Claim {
        uint32 position;
        uint32 length;
        address[] wallets;
        int64[] amounts;
        bytes32[] proof;
    }

    error SettlementChallengesOthersMechanism(address mechanism);

    /// @notice Not as many leaves as the validated outcome has entries ("WrongLength").
    function wrongLength(Posted calldata posted, IOutcomeBoard.Outcome calldata outcome) external;

    /// @notice Pairs that aren't in order of payer, then payee, each once ("PairsNotSorted").
    /// @param later index of a pair that doesn't come after the one before it
    function pairsNotSorted(Posted calldata posted, uint256 later) external;

    /// @notice A leaf that can't be one by itself ("MalformedLeaf"): another length, no such position, status or place in the
    /// claims, links that don't point forward and back, a first of a pair or PoD whose sums aren't its own, delivered
    /// without reading or baseline, measured without reading, not measured with one.
    function malformedLeaf(Posted calldata posted, Judged calldata judged) external;

    /// @notice Two different leaves at one position ("Doubled").
    function leafDoubled(Posted calldata posted, Judged calldata first, Judged calldata second) external;

    /// @notice A leaf with another PoD, slot, product or amount than its entry, or another payee than the PoD's aggregator
    /// ("WrongCopy").
    function wrongEntry(
        Posted calldata posted,
        IOutcomeBoard.Outcome calldata outcome,
        Judged calldata judged,
        Entry calldata entry
    ) external;

    /// @notice Another payer than who made the request ("WrongPayer").
    /// @param document opening of the document of requests that holds the entry's
    function wrongPayer(
        Posted calldata posted,
        IOutcomeBoard.Outcome calldata outcome,
        Judged calldata judged,
        Entry calldata entry,
        ICommitmentBook.Opening calldata document
    ) external;

    /// @notice Not the payment of what was delivered at the entry's price ("WrongPayment"). Who lost by it is made good.
    function wrongPayment(
        Posted calldata posted,
        IOutcomeBoard.Outcome calldata outcome,
        Judged calldata judged,
        Entry calldata entry
    ) external;

    /// @notice Not the penalty of what was delivered ("WrongPenalty"). Who lost by it is made good. Where a leaf is excused
    /// there is no penalty: whether rightly so is the arbiter's.
    function wrongPenalty(Posted calldata posted, Judged calldata judged) external;

    /// @notice Not the reward, or its penalty, that the PoD's mechanism gives for what was delivered ("WrongReward"). The
    /// customer is made good. Only for the factory's mechanisms, which can't change their answer; others' are the arbiter's.
    function wrongReward(
        Posted calldata posted,
        IOutcomeBoard.Outcome calldata outcome,
        Judged calldata judged,
        Entry calldata entry
    ) external;

    /// @notice Two leaves of one payer and payee that don't chain, or of others that do ("PairChainBroken").
    function pairSumBroken(Posted calldata posted, Judged calldata earlier, Judged calldata later) external;

    /// @notice Two leaves of one PoD that don't chain, place its claim differently, or of two PoDs that chain or have one
    /// place ("PodChainBroken").
    function podSumBroken(Posted calldata posted, Judged calldata earlier, Judged calldata later) external;

    /// @notice The last leaf of a payer and payee whose sums aren't the posted pair's ("WrongPair").
    function wrongPair(Posted calldata posted, Judged calldata last) external;

    /// @notice The last leaf of a PoD whose claim isn't its customer's, or not its rewards less penalties ("WrongClaim").
    function wrongClaim(Posted calldata posted, Judged calldata last, Claim calldata claim) external;

    /// @notice A claim leaf with no wallets, more than 100, or not an amount for each ("MalformedClaim").
    function malformedClaim(Posted calldata posted, Claim calldata claim) external;

    /// @notice Claims of which the amounts above 0 are together more than the posted sum of rewards ("RewardsDontAddUp").
    /// @param claims of increasing positions
    function rewardsDontAddUp(Posted calldata posted, Claim[] calldata claims) external;
}
