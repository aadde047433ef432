// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Leaves} from "../contracts/libraries/Leaves.sol";
import {IChallenges} from "./IChallenges.sol";
import {IOutcomeBoard} from "./IOutcomeBoard.sol";
import {IBookLeaves} from "./IOutcomeChallenges.sol";

/// @title Challenges of what the grid refused, and of what was made of it
/// @notice They hold a technical outcome to the market outcome that it assesses, and a validated outcome to both. What the
/// power flow gives is the arbiter's.
interface IAssessmentChallenges is IChallenges, IBookLeaves {
    /// @notice A refusal by another grid model than the one that was anchored before the gate opened ("ModelNotAnchored").
    function modelNotAnchored(IOutcomeBoard.TechnicalOutcome calldata technical, Refusal calldata refusal) external;

    /// @notice A refusal that can't be one by itself ("MalformedRefusal"): another length or no such position, nothing
    /// refused, no element, no margin or one of an unknown unit, a first whose sum isn't its own, a last whose sum isn't
    /// the posted total.
    function malformedRefusal(IOutcomeBoard.TechnicalOutcome calldata technical, Refusal calldata refusal) external;

    /// @notice Two different refusals at one position ("Doubled").
    function refusalDoubled(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Refusal calldata first,
        Refusal calldata second
    ) external;

    /// @notice Neighbours whose sums don't follow, or that aren't in order of the entries that they refuse ("SumBroken").
    function refusalSumBroken(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Refusal calldata earlier,
        Refusal calldata later
    ) external;

    /// @notice A refusal of an entry that the market outcome doesn't have ("NotInOutcome").
    function notInOutcome(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Refusal calldata refusal,
        IOutcomeBoard.Outcome calldata market_
    ) external;

    /// @notice A refusal of more than the market accepted, or one that names another offer, slot or product than its
    /// entry's ("NotAsAccepted").
    function notAsAccepted(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Refusal calldata refusal,
        IOutcomeBoard.Outcome calldata market_,
        Entry calldata entry
    ) external;

    /// @notice An offer of which the validated outcome accepts more than the market did ("AcceptedMore").
    /// @param validated answer of the validated outcome, @param before the market outcome's
    function acceptedMore(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        Answer calldata validated,
        Answer calldata before
    ) external;

    /// @notice An answer that isn't the market outcome's, in more than what a refusal changes ("AnswerChanged").
    function answerChanged(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        Answer calldata validated,
        Answer calldata before
    ) external;

    /// @notice An offer of which less is left, though no refusal is of it or of one before it in its document, to which it may
    /// be linked ("TakenWithoutRefusal"). Its aggregator is made good.
    /// @param entry any entry of the offer in the market outcome
    /// @param named the refusal that the validated answer names; not looked at if it names none
    function takenWithoutRefusal(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Answer calldata validated,
        Answer calldata before,
        Entry calldata entry,
        Refusal calldata named
    ) external;

    /// @notice An offer that names a refusal which isn't of it, nor, where nothing of it is left, of the offer that it is linked
    /// to ("RefusedForAnother").
    /// @param named the refusal that the validated answer names
    function refusedForAnother(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Answer calldata validated,
        BookOffer calldata offer,
        Refusal calldata named
    ) external;

    /// @notice A refused offer of which more is left than the refusal leaves ("RefusalIgnored").
    function refusalIgnored(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Refusal calldata refusal,
        Answer calldata validated,
        Answer calldata before
    ) external;

    /// @notice A refused entry of which more or less is left than the refusal leaves ("RefusalIgnored").
    /// @param validated entry of the same offer and request, @param before the entry that is refused
    function refusalMisplaced(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Refusal calldata refusal,
        Entry calldata validated,
        Entry calldata before
    ) external;

    /// @notice An entry of which the validated outcome accepts more than the market did for the same request, or which it
    /// copies wrongly ("EntryChanged").
    function entryChanged(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        Entry calldata validated,
        Entry calldata before
    ) external;

    /// @notice An entry of an offer for a request for which the market didn't take it ("EntryInvented").
    /// @param earlier entry of the offer in the market outcome, @param later the next of that offer; the entry's request is
    /// between theirs. Both the same: its only, first or last one, and the request before or after it
    function entryInvented(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        Entry calldata validated,
        Entry calldata earlier,
        Entry calldata later
    ) external;
}
