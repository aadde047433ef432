// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IChallenges} from "./IChallenges.sol";
import {ICommitmentBook} from "./ICommitmentBook.sol";
import {IOutcomeBoard} from "./IOutcomeBoard.sol";
import {IBookLeaves} from "./IOutcomeChallenges.sol";

/// @title Challenges of the reserve
/// @notice What is picked beyond the requests, of a market or validated outcome. A *reserved* entry is a leaf of its list (kind 7),
/// a *taken* one of the list by request. Sums and chains of PoDs run on from that list into the reserve.
interface IReserveChallenges is IChallenges, IBookLeaves {
    /// @notice A reserved entry that can't be one by itself ("MalformedReserve"): as IOutcomeChallenges.malformedEntry.
    function malformedReserve(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved
    ) external;

    /// @notice Two different reserved entries at one position ("Doubled").
    function reserveDoubled(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata first,
        Entry calldata second
    ) external;

    /// @notice Running sums of two neighbours that don't follow, requests out of order, or a dearer one before a cheaper one of the
    /// same request ("SumBroken").
    function reserveSumBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata earlier,
        Entry calldata later
    ) external;

    /// @notice Two reserved entries of one offer that don't chain ("OfferChainBroken").
    function reserveOfferSumBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata earlier,
        Entry calldata later
    ) external;

    /// @notice Two reserved entries of one PoD, slot and product that don't chain, or name different totals ("PodChainBroken").
    function reservePodSumBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata earlier,
        Entry calldata later
    ) external;

    /// @notice A reserved entry that doesn't run on from what requests took of its PoD, slot and product, or runs on from something
    /// else ("PodChainBroken").
    function reserveNotContinued(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata taken,
        Entry calldata reserved
    ) external;

    /// @notice A reserved entry, and another one or a taken one that uses its PoD in its slot the opposite way ("TakenBothWays").
    /// @param inReserve whether the other one is a reserved one, too
    function reservedBothWays(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved,
        Entry calldata other,
        bool inReserve
    ) external;

    /// @notice A reserved entry of an offer or request that the book doesn't have ("NotInBook").
    function reserveNotInBook(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved
    ) external;

    /// @notice More taken and reserved of a PoD than it may give ("PodExceeded").
    function reservePodExceeded(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved
    ) external;

    /// @notice A reserved entry with another PoD, product, slot or price than its offer, of more than offered, or of an offer that
    /// is a block, in a group, or linked ("NotAsOffered").
    function reserveNotAsOffered(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved,
        BookOffer calldata offer
    ) external;

    /// @notice A reserved entry of another slot or product than its request, for more than its margin, or above its price cap with
    /// its grid fee ("NotAsRequested").
    function reserveNotAsRequested(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved,
        BookRequest calldata request
    ) external;

    /// @notice A reserved entry whose effectiveness or grid fee isn't what its request's document says ("WrongEffectiveness").
    function reserveWrongEffectiveness(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved,
        BookRequest calldata request,
        Effectiveness calldata effectiveness
    ) external;

    /// @notice A reserved entry of an offer that hasn't so much left by its answer, that is answered neither as taken in part nor as
    /// reserved, or whose answer names a later entry as its first ("ReserveBeyondOffer").
    function reserveBeyondOffer(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        Entry calldata reserved
    ) external;

    /// @notice Less than an offer's minimum reserved of it, and nothing taken ("BelowMinimum").
    /// @param reserved the offer's last one
    function reserveBelowMinimum(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata offer,
        Entry calldata reserved
    ) external;

    /// @notice More money for a document of requests, taken and reserved together, than covers it ("EscrowExceeded").
    /// @param taken one of the same document; one of length 0 where there is none
    function reserveEscrowExceeded(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved,
        Entry calldata taken,
        ICommitmentBook.Opening calldata document
    ) external;

    /// @notice A cheaper divisible offer neither taken nor reserved, as dearer, not needed or for its minimum, for a request for
    /// which a dearer one was reserved ("CheaperLeftOut"). Its player is made good for the availability.
    /// @param reserved an entry of the request
    /// @param effectiveness of the cheaper offer's PoD for the request
    function cheaperLeftOut(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved,
        Answer calldata answer,
        BookOffer calldata offer,
        BookRequest calldata request,
        Effectiveness calldata effectiveness
    ) external;

    /// @notice An offer answered as reserved, though the entry that it names is another one's, or is none ("FalselyReserved").
    /// @param reserved the one that the answer names; where it names none of the list, anything
    function falselyReserved(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        Entry calldata reserved
    ) external;

    /// @notice An offer said to be kept out of the reserve by an entry that doesn't exclude it, or by none ("FalselyKeptOut").
    /// @param reserved the one that the answer names; where it names none of the list, anything
    function falselyKeptOut(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata offer,
        Entry calldata reserved
    ) external;

    /// @notice A validated outcome's reserved entry that isn't the market outcome's of the same offer and request
    /// ("ReserveChanged").
    function reserveChanged(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Entry calldata validated,
        Entry calldata before
    ) external;

    /// @notice A validated outcome's reserved entry that the market outcome's reserve hasn't ("ReserveInvented"): it would stand
    /// between two neighbours, before the first or after the last of that list, or of its offer's entries there.
    /// @param earlier, @param later two of the market outcome that follow each other; twice the same where it is the first or
    /// last; anything where there is none
    function reserveInvented(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Entry calldata validated,
        Entry calldata earlier,
        Entry calldata later
    ) external;

    /// @notice A validated outcome's reserved entry of a PoD of which the DSO refused something in the same slot
    /// ("ReserveOfRefused").
    /// @param taken the market outcome's entry that was refused
    function reserveOfRefused(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Refusal calldata refusal,
        Entry calldata taken,
        Entry calldata reserved
    ) external;
}
