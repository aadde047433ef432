// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Leaves} from "../contracts/libraries/Leaves.sol";
import {IOutcomeBoard} from "./IOutcomeBoard.sol";
import {ISettlementLeaves} from "./ISettlementChallenges.sol";

/// @title Challenges of the deliveries that a settlement judges by
/// @notice A leaf names the anchored baseline and reading by which it was judged. An aggregator's baseline of a session is
/// the first that it notarised before the baseline gate; readings count if they were anchored by half-way between the end
/// of delivery and the settlement's deadline.
/// Nobody can be held to a document that was hidden from him: that something was left out can be shown here only of lists
/// that the settlement itself names elsewhere, and is else the arbiter's.
interface IDeliveryChallenges is ISettlementLeaves {
    /// @notice A leaf of a list of baselines.
    struct Baseline {
        Leaves.BaselineLeaf leaf;
        bytes32[] proof;
    }

    /// @notice A leaf of a batch of readings.
    struct Reading {
        Leaves.ReadingLeaf leaf;
        bytes32[] proof;
    }

    /// @notice A baseline that the PoD's aggregator didn't notarise before the baseline gate ("BaselineNotAnchored").
    function baselineNotAnchored(Posted calldata posted, Judged calldata judged) external;

    /// @notice Judged by another baseline than the aggregator's first ("BaselineChanged").
    /// @param first root that the aggregator notarised before the one that the leaf names
    function baselineChanged(Posted calldata posted, Judged calldata judged, bytes32 first) external;

    /// @notice Judged by a baseline of another PoD or slot, or by one beyond its list ("WrongBaseline").
    function wrongBaseline(Posted calldata posted, Judged calldata judged, Baseline calldata baseline) external;

    /// @notice Judged as without a baseline, though the settlement names a list that has one ("BaselineIgnored").
    /// @param witness leaf of the settlement that names the list
    function baselineIgnored(
        Posted calldata posted,
        Judged calldata judged,
        Judged calldata witness,
        Baseline calldata baseline
    ) external;

    /// @notice A batch that wasn't anchored in time ("ReadingNotAnchored").
    function readingNotAnchored(Posted calldata posted, Judged calldata judged) external;

    /// @notice Judged by a reading of another PoD or time, by one that its node didn't sign or whose key didn't serve then,
    /// or by one beyond its batch ("ReadingNotGenuine").
    function readingNotGenuine(Posted calldata posted, Judged calldata judged, Reading calldata reading) external;

    /// @notice Settled on another value than its baseline and reading give ("WrongDelivery"). Who lost by it is made good.
    function wrongDelivery(
        Posted calldata posted,
        IOutcomeBoard.Outcome calldata outcome,
        Judged calldata judged,
        Entry calldata entry,
        Baseline calldata baseline,
        Reading calldata reading
    ) external;

    /// @notice Judged as without a reading, though the settlement names a batch that has one ("ReadingIgnored").
    /// @param witness leaf of the settlement that names the batch
    function readingIgnored(
        Posted calldata posted,
        Judged calldata judged,
        Judged calldata witness,
        Reading calldata reading
    ) external;

    /// @notice Judged by a reading though the settlement names a batch with one of the same PoD and slot of which less was
    /// delivered ("HigherReadingTaken").
    /// @param witness leaf of the settlement that names the batch of `lower`
    function higherReadingTaken(
        Posted calldata posted,
        Judged calldata judged,
        Reading calldata taken,
        Judged calldata witness,
        Reading calldata lower
    ) external;
}
