// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Leaves} from "../contracts/libraries/Leaves.sol";
import {IChallenges} from "./IChallenges.sol";
import {ICommitmentBook} from "./ICommitmentBook.sol";
import {IOutcomeBoard} from "./IOutcomeBoard.sol";

/// @title Leaves of the book with their proofs
interface IBookLeaves {
    /// @notice An offer of the book, with what proves its document.
    struct BookOffer {
        ICommitmentBook.Opening opening;
        Leaves.OfferLeaf leaf;
        bytes32[] proof;
    }

    /// @notice A request of the book, with what proves its document.
    struct BookRequest {
        ICommitmentBook.Opening opening;
        Leaves.RequestLeaf leaf;
        bytes32[] proof;
    }

    /// @notice A PoD's effectiveness and grid fee, of the same document as a request.
    struct Effectiveness {
        Leaves.EffectivenessLeaf leaf;
        bytes32[] proof;
    }
}

/// @title Challenges of market and validated outcomes
/// @notice They show leaves of the outcome and of the book.
interface IOutcomeChallenges is IChallenges, IBookLeaves {
    /// @notice The list by offer hasn't a leaf for every offer of the book ("OfferLeftOut").
    function offerLeftOut(IOutcomeBoard.Outcome calldata outcome, IOutcomeBoard.Stage stage) external;

    /// @notice An entry that can't be one by itself ("MalformedEntry"): another length, no such position, slot or product,
    /// nothing accepted, no effectiveness or above 1000 per mille, links that don't point forward and back within the list, a sum of
    /// its offer below its own quantity or above the PoD's sum, a first of a PoD whose sum isn't its own, a last whose sum isn't the
    /// total, a first of the list whose sums aren't its own.
    function malformedEntry(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry
    ) external;

    /// @notice An answer that can't be one by itself ("MalformedAnswer"): another length or no such position, more accepted
    /// than counted, accepted in name or amount only, no known status, or in a market outcome the DSO's refusal.
    function malformedAnswer(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer
    ) external;

    /// @notice Two different entries at one position ("Doubled").
    function entryDoubled(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata first,
        Entry calldata second
    ) external;

    /// @notice Two different answers at one position ("Doubled").
    function answerDoubled(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata first,
        Answer calldata second
    ) external;

    /// @notice Running sums of two neighbours that don't follow, requests out of order, or, under price priority, a dearer
    /// one before a cheaper one of the same request ("SumBroken").
    function sumBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata earlier,
        Entry calldata later
    ) external;

    /// @notice The last entry's sums aren't the posted totals ("TotalsDontAddUp").
    function totalsDontAddUp(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata last
    ) external;

    /// @notice An answer and an entry of its offer that contradict each other ("OfferChainBroken").
    function offerChainBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        Entry calldata entry
    ) external;

    /// @notice Two entries of one offer that don't chain: both followed by the same, or the later's sum doesn't follow, or
    /// its request isn't a later one ("OfferChainBroken").
    function offerSumBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata earlier,
        Entry calldata later
    ) external;

    /// @notice Two entries of one PoD, slot and product that don't chain, or name different totals ("PodChainBroken").
    function podSumBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata earlier,
        Entry calldata later
    ) external;

    /// @notice An entry of an offer or request that the book doesn't have ("NotInBook").
    function notInBook(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry
    ) external;

    /// @notice More accepted of a PoD than it may give ("PodExceeded").
    function podExceeded(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry
    ) external;

    /// @notice An answer that names another document, position or slot than its offer's, or says in part for whole or whole
    /// for in part ("WrongCopy").
    function wrongCopy(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata offer
    ) external;

    /// @notice An entry with another PoD, product or slot than its offer, more than offered, or not at its price: another one
    /// where it is paid as bid, a lower one where it is paid as cleared ("NotAsOffered").
    function notAsOffered(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        BookOffer calldata offer
    ) external;

    /// @notice An entry of another slot or product than its request, for more than its relief, or above its price cap with
    /// its grid fee ("NotAsRequested").
    function notAsRequested(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        BookRequest calldata request
    ) external;

    /// @notice More money for a document of requests than covers it ("EscrowExceeded").
    function escrowExceeded(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        ICommitmentBook.Opening calldata document
    ) external;

    /// @notice An entry whose effectiveness or grid fee isn't what its request's document says ("WrongEffectiveness").
    function wrongEffectiveness(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        BookRequest calldata request,
        Effectiveness calldata effectiveness
    ) external;

    /// @notice An offer void that breaks no rule, for the reason that its answer names ("FalselyVoid"). Whether a PoD was
    /// prequalified and not suspended is decided only while that hasn't changed since the gate.
    /// @param culprit the offer of the same document at `because` - 1
    function falselyVoid(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata culprit
    ) external;

    /// @notice An offer that was accepted, or is answered as reserved, though it breaks a rule ("TakenThoughVoid"): of its PoD (as
    /// above), of power and minimum, or of blocks and links (of no slot, beyond the session's end, to a later offer); or though a leaf of
    /// its document lies outside the session, which voids it all.
    /// @param culprit the offer that breaks the rule
    function takenThoughVoid(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata culprit
    ) external;

    /// @notice An offer that doesn't count as far as what covers its document says: with what the offers before it need, it
    /// counts for more or less W, needs another sum, or is called uncovered or not wrongly ("Miscounted").
    /// @param earlier the answer before, if the offer isn't its document's first; else anything
    function miscounted(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata earlier,
        Answer calldata answer,
        BookOffer calldata offer
    ) external;
}
