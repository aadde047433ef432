// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ISettlementMechanism} from "./ISettlementMechanism.sol";

/// @title A settlement mechanism made by the factory
/// @notice Its table, a value per day of the week and quarter-hour, is part of its code: nobody can change it.
interface ITableMechanism is ISettlementMechanism {
    error TableMechanismUnknownDay(uint8 dayOfWeek);
    error TableMechanismUnknownInterval(uint8 interval);

    /// @notice The table's value: 10^-6 euro per kW and quarter-hour, or basis points (10^-4) of the flexibility price.
    /// @param dayOfWeek 0 Monday to 6 Sunday
    /// @param interval 0 to 95
    function tableValue(uint8 dayOfWeek, uint8 interval) external view returns (uint32);
}
