// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Leaves} from "../contracts/libraries/Leaves.sol";
import {IChallenges} from "./IChallenges.sol";
import {IOutcomeBoard} from "./IOutcomeBoard.sol";
import {IBookLeaves} from "./IOutcomeChallenges.sol";

/// @title Challenges of what the grid refused, and of what was made of it
/// @notice They hold a technical outcome to the market outcome that it assesses, a validated outcome to both, and whatever comes
/// after a refusal to it: a validated outcome, and a later round's market outcome. What the power flow gives is the arbiter's.
/// Each takes the result with its stage, or the validated outcome with the market and technical outcome that it rests on.
interface IAssessmentChallenges is IChallenges, IBookLeaves {
    /// @notice A refusal by another grid model than the one that was anchored before the gate opened ("ModelNotAnchored").
    function modelNotAnchored(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Stage stage,
        Refusal calldata refusal
    ) external;

    /// @notice A refusal that can't be one by itself ("MalformedRefusal"): another length or no such position, nothing
    /// refused, no element, no margin or one of an unknown unit, a first whose sum isn't its own, a last whose sum isn't
    /// the posted total.
    function malformedRefusal(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Stage stage,
        Refusal calldata refusal
    ) external;

    /// @notice Two different refusals at one position ("Doubled").
    function refusalDoubled(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Stage stage,
        Refusal calldata first,
        Refusal calldata second
    ) external;

    /// @notice Neighbours whose sums don't follow, or that aren't in order of the entries that they refuse ("SumBroken").
    function refusalSumBroken(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Stage stage,
        Refusal calldata earlier,
        Refusal calldata later
    ) external;

    /// @notice A refusal of an entry that the market outcome doesn't have ("NotInOutcome").
    function notInOutcome(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Stage stage,
        Refusal calldata refusal,
        IOutcomeBoard.Outcome calldata market_
    ) external;

    /// @notice A refusal of more than the market accepted, or one that names another offer, slot or product than its
    /// entry's ("NotAsAccepted").
    function notAsAccepted(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Stage stage,
        Refusal calldata refusal,
        IOutcomeBoard.Outcome calldata market_,
        Entry calldata entry
    ) external;

    /// @notice An offer of which the validated outcome accepts more than the market did ("AcceptedMore").
    /// @param validated answer of the validated outcome, @param before the market outcome's
    function acceptedMore(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Answer calldata validated,
        Answer calldata before
    ) external;

    /// @notice An answer that isn't the market outcome's, in more than what a refusal changes ("AnswerChanged").
    function answerChanged(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
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
    /// @param technical the technical outcome of the round that the answer names
    /// @param named the refusal that the answer names
    function refusedForAnother(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Answer calldata answer,
        BookOffer calldata offer,
        Refusal calldata named
    ) external;

    /// @notice An offer that is called refused by a round that there wasn't before, or beyond that round's last refusal
    /// ("NoSuchRefusal").
    /// @param technical the technical outcome of the round that the answer names; where there was none, anything
    function noSuchRefusal(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Answer calldata answer
    ) external;

    /// @notice A divisible single offer that is called refused whole, though the refusal that it names leaves something of its
    /// entry ("TakenAway"). Its aggregator is made good.
    /// @param technical the technical outcome of the round that the answer names, @param market_ what that assessed
    /// @param entry the one that is refused
    function takenAway(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Outcome calldata market_,
        Answer calldata answer,
        BookOffer calldata offer,
        Refusal calldata named,
        Entry calldata entry
    ) external;

    /// @notice A refused offer of which more is taken than a refusal left, in whichever round before ("RefusalIgnored").
    /// @param technical the technical outcome that has the refusal, @param at its stage, @param market_ what it assessed
    /// @param answer of the judged outcome, @param before the same offer's in what was assessed
    function refusalIgnored(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Stage at,
        IOutcomeBoard.Outcome calldata market_,
        Refusal calldata refusal,
        Answer calldata answer,
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
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Entry calldata validated,
        Entry calldata before
    ) external;

    /// @notice An entry of an offer for a request for which the market didn't take it ("EntryInvented").
    /// @param earlier entry of the offer in the market outcome, @param later the next of that offer; the entry's request is
    /// between theirs. Both the same: its only, first or last one, and the request before or after it
    function entryInvented(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Entry calldata validated,
        Entry calldata earlier,
        Entry calldata later
    ) external;
}
