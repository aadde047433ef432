// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ISettlementMechanism} from "../../interfaces/ISettlementMechanism.sol";
import {TableMechanism} from "./TableMechanism.sol";

/// @title A share of the flexibility price per day of the week and quarter-hour
contract PercentageMechanism is TableMechanism {
    uint256 private constant WHOLE_BASIS_POINTS = 10_000;

    /// @inheritdoc ISettlementMechanism
    function customerPriceUeurPerKw(uint8 dayOfWeek, uint8 interval, uint64 flexibilityPriceUeurPerKw)
        external
        view
        returns (uint64)
    {
        // Narrowing is safe: the factory takes no share above the whole.
        return uint64(uint256(flexibilityPriceUeurPerKw) * tableValue(dayOfWeek, interval) / WHOLE_BASIS_POINTS);
    }

    /// @inheritdoc ISettlementMechanism
    function kind() external pure returns (string memory) {
        return "percentage";
    }
}
