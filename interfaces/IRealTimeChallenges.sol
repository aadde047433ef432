// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IChallenges} from "./IChallenges.sol";
import {IOutcomeBoard} from "./IOutcomeBoard.sol";
import {IBookLeaves} from "./IOutcomeChallenges.sol";

/// @title Challenges of what a real-time session makes of the day-ahead result
/// @notice What was sold day ahead stands: a PoD isn't taken again in a quarter-hour in which the day-ahead session's validated
/// outcome has an entry of it, for the same kind of power (active or reactive, either way). The day-ahead session is the one
/// that delivers from the local midnight before (Europe/Rome); its outcome counts if it can't change any more when the
/// real-time session's book is complete.
interface IRealTimeChallenges is IChallenges, IBookLeaves {
    /// @notice An entry of a PoD, quarter-hour and kind of power that were sold day ahead ("SoldTwice").
    /// @param entry of the real-time outcome
    /// @param ahead the day-ahead session's validated outcome
    /// @param sold an entry of it
    function soldTwice(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        IOutcomeBoard.Outcome calldata ahead,
        Entry calldata sold
    ) external;

    /// @notice An offer that is called sold day ahead by an entry which isn't of its PoD, kind of power and one of its
    /// quarter-hours, or by none, or where no day-ahead outcome counts ("FalselySold"). Whether a block of which only some
    /// places were sold had another one, the arbiter decides.
    /// @param ahead the day-ahead session's validated outcome; where none counts, anything
    /// @param sold the entry that the answer names; where it names none of the list, anything
    function falselySold(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata offer,
        IOutcomeBoard.Outcome calldata ahead,
        Entry calldata sold
    ) external;
}
