// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MarketTime} from "../libraries/MarketTime.sol";
import {SettlementRules} from "../libraries/SettlementRules.sol";

/// @title Lets tests hold settlement's rules and the market's clock to Python's
contract RulesHarness {
    /// @return deliveredW share of what the PoD delivered
    /// @return paymentUeur its payment
    /// @return penaltyUeur its penalty
    function judge(
        uint256 acceptedW,
        uint256 podTotalW,
        uint256 podDeliveredW,
        uint256 priceUeurPerKw,
        uint256 tolerancePermille,
        uint256 penaltyUeurPerKw
    ) external pure returns (uint256 deliveredW, uint256 paymentUeur, uint256 penaltyUeur) {
        deliveredW = SettlementRules.shareW(podDeliveredW, acceptedW, podTotalW);
        paymentUeur = SettlementRules.moneyUeur(SettlementRules.paidW(deliveredW, acceptedW), priceUeurPerKw);
        uint256 penalisedW = SettlementRules.penalisedW(deliveredW, acceptedW, tolerancePermille);
        penaltyUeur = SettlementRules.moneyUeur(penalisedW, penaltyUeurPerKw);
    }

    function daysAndIntervals(uint256[] calldata instantsS) external pure returns (uint256[2][] memory found) {
        found = new uint256[2][](instantsS.length);
        for (uint256 i = 0; i < instantsS.length; ++i) {
            (found[i][0], found[i][1]) = MarketTime.dayAndInterval(instantsS[i]);
        }
    }

    function dayStarts(uint256[] calldata instantsS) external pure returns (uint256[] memory found) {
        found = new uint256[](instantsS.length);
        for (uint256 i = 0; i < instantsS.length; ++i) {
            found[i] = MarketTime.dayStart(instantsS[i]);
        }
    }
}
