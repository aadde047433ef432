// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ISettlementMechanism} from "../../interfaces/ISettlementMechanism.sol";
import {TableMechanism} from "./TableMechanism.sol";

/// @title A fixed price per day of the week and quarter-hour
contract FixedPriceMechanism is TableMechanism {
    /// @inheritdoc ISettlementMechanism
    function customerPriceUeurPerKw(uint8 dayOfWeek, uint8 interval, uint64) external view returns (uint64) {
        return tableValue(dayOfWeek, interval);
    }

    /// @inheritdoc ISettlementMechanism
    function kind() external pure returns (string memory) {
        return "fixed-price";
    }
}
