// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title What a delivery earns and costs
/// @notice The same as `judge` in `oracles/settlement/core/settle.py`, to the unit.
library SettlementRules {
    /// @notice A PoD's delivery is split over its accepted quantities in proportion, rounded down; at most what a leaf can
    /// say, so that no meter's nonsense stops a settlement. W.
    function shareW(uint256 podDeliveredW, uint256 acceptedW, uint256 podTotalW) internal pure returns (uint256) {
        uint256 share = podDeliveredW * acceptedW / podTotalW;
        return share < type(uint32).max ? share : type(uint32).max;
    }

    /// @notice Paid is the lesser of delivered and accepted. W.
    function paidW(uint256 deliveredW, uint256 acceptedW) internal pure returns (uint256) {
        return deliveredW < acceptedW ? deliveredW : acceptedW;
    }

    /// @notice Within the tolerance nothing is penalised; beyond it, either way, the whole deviation, at most as for
    /// delivering nothing. W.
    function penalisedW(uint256 deliveredW, uint256 acceptedW, uint256 tolerancePermille)
        internal
        pure
        returns (uint256)
    {
        uint256 deviationW = deliveredW < acceptedW ? acceptedW - deliveredW : deliveredW - acceptedW;
        if (deviationW * 1000 <= tolerancePermille * acceptedW) return 0;
        return deviationW < acceptedW ? deviationW : acceptedW;
    }

    /// @notice Money for a quantity, rounded down. 10^-6 euro.
    function moneyUeur(uint256 powerW, uint256 priceUeurPerKw) internal pure returns (uint256) {
        return powerW * priceUeurPerKw / 1000;
    }
}
