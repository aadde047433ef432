// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IChallenges} from "./IChallenges.sol";
import {ICommitmentBook} from "./ICommitmentBook.sol";
import {IOutcomeBoard} from "./IOutcomeBoard.sol";
import {IBookLeaves} from "./IOutcomeChallenges.sol";

/// @title Challenges of how a market was cleared
/// @notice What is taken by the rules of its order, at which price, and which reason is given for what isn't. They show leaves
/// of the outcome and of the book.
interface IClearingChallenges is IChallenges, IBookLeaves {
    /// @notice An offer of the book and what an outcome says of it.
    struct Answered {
        Answer answer;
        BookOffer offer;
    }

    error ClearingChallengesNotForMethod(uint8 method);

    /// @notice Less accepted than an offer's minimum ("BelowMinimum").
    function belowMinimum(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata offer
    ) external;

    /// @notice A block (of several slots, or of one to be chosen) that isn't taken with the same power in each of its slots and
    /// only there, from the slot that its answer says ("BlockBroken").
    /// @param entry one of the block's
    function blockBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata offer,
        Entry calldata entry
    ) external;

    /// @notice A block of which an entry isn't followed by the next slot's ("BlockBroken").
    function blockSplit(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        BookOffer calldata offer,
        Entry calldata earlier,
        Entry calldata later
    ) external;

    /// @notice Two offers of one exclusive group, both taken ("GroupBroken").
    function groupBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answered calldata first,
        Answered calldata second
    ) external;

    /// @notice An offer taken without the one that it is linked to ("LinkBroken").
    /// @param parent the answer of the offer that it is linked to
    function linkBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answered calldata linked,
        Answer calldata parent
    ) external;

    /// @notice An offer that is called excluded by an entry which doesn't exclude it, or by none ("FalselyExcluded").
    /// Of blocks, and of offers with a group or a link, the arbiter decides.
    /// @param entry the one that the answer names; where it names none of the list, anything
    function falselyExcluded(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata offer,
        Entry calldata entry
    ) external;

    /// @notice Under price priority: a cheaper divisible offer refused as dearer, not needed or for its minimum, for a request
    /// for which a dearer one was taken ("CheaperRefused"). Cheaper is price and grid fee over effectiveness. The refused one's player
    /// is made good.
    /// @param taken an entry of the request
    /// @param refused the answer of the cheaper offer
    /// @param effectiveness of the cheaper offer's PoD for the request
    function cheaperRefused(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata taken,
        Answer calldata refused,
        BookOffer calldata offer,
        BookRequest calldata request,
        Effectiveness calldata effectiveness
    ) external;

    /// @notice Paid as cleared: an entry at another price than its request's, which is its marginal entry's price and grid fee over
    /// that one's effectiveness, times the entry's own, rounded down, less the entry's own fee ("WrongClearingPrice").
    /// @param marginal the request's last entry
    /// @param following the one after it; the same where that is the list's last
    function wrongClearingPrice(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        Entry calldata marginal,
        Entry calldata following
    ) external;

    /// @notice Paid as cleared: a request's marginal entry at another price than its offer's ("WrongMarginalPrice").
    /// @param marginal the request's last entry
    /// @param following the one after it; the same where that is the list's last
    function wrongMarginalPrice(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata marginal,
        Entry calldata following,
        BookOffer calldata offer
    ) external;

    /// @notice An entry, or a reserved one, at whose request's place in the book an effectiveness stands ("NotARequest").
    /// @param opening of the document that holds that place
    function notARequest(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        bool inReserve,
        ICommitmentBook.Opening calldata opening,
        Effectiveness calldata effectiveness
    ) external;

    /// @notice An entry, or a reserved one, at whose effectiveness's place in the book a request stands ("NotAnEffectiveness").
    function notAnEffectiveness(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        bool inReserve,
        BookRequest calldata request
    ) external;

    /// @notice An entry, or a reserved one, whose effectiveness's place isn't in its request's document ("NotAnEffectiveness").
    /// @param opening of the document that holds the request's place
    function anothersEffectiveness(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        bool inReserve,
        ICommitmentBook.Opening calldata opening
    ) external;
}
