// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IOutcomeBoard} from "../../interfaces/IOutcomeBoard.sol";

/// @title The rounds among a session's results
/// @notice Market and technical outcomes of up to three rounds stand in turns before the validated outcome.
library Stages {
    uint256 private constant ROUND_BITS = 30;

    /// @notice Whether it is a market outcome, of whichever round.
    function isMarket(IOutcomeBoard.Stage stage) internal pure returns (bool) {
        return stage < IOutcomeBoard.Stage.VALIDATED && uint8(stage) & 1 == 0;
    }

    /// @notice Whether it is a technical outcome, of whichever round.
    function isTechnical(IOutcomeBoard.Stage stage) internal pure returns (bool) {
        return stage < IOutcomeBoard.Stage.VALIDATED && uint8(stage) & 1 == 1;
    }

    /// @notice The result so many after it.
    function plus(IOutcomeBoard.Stage stage, uint8 places) internal pure returns (IOutcomeBoard.Stage) {
        return IOutcomeBoard.Stage(uint8(stage) + places);
    }

    /// @notice What an answer's `because` says of a refusal: its position + 1 in the first 30 bits, its round less one above.
    /// @return at the technical outcome of that round; SETTLEMENT if there is no such round
    function refusal(uint32 because) internal pure returns (IOutcomeBoard.Stage at, uint256 number) {
        at = IOutcomeBoard.Stage(2 * (because >> ROUND_BITS) + 1);
        number = because & ((1 << ROUND_BITS) - 1);
    }
}
