// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title How a customer is rewarded
/// @notice One contract per mechanism. It must read neither time nor other contracts, so that a settlement can be replayed.
interface ISettlementMechanism {
    /// @notice What the customer earns for flexibility delivered in a quarter-hour.
    /// @param dayOfWeek local day of the quarter-hour: 0 Monday to 6 Sunday
    /// @param interval quarter-hour of the local day by the clock on the wall: 0 to 95
    /// @param flexibilityPriceUeurPerKw what the aggregator is paid, 10^-6 euro per kW (or kvar) and quarter-hour
    /// @return customer's price in the same unit
    function customerPriceUeurPerKw(uint8 dayOfWeek, uint8 interval, uint64 flexibilityPriceUeurPerKw)
        external
        view
        returns (uint64);

    /// @notice Short name of the rule, such as "fixed-price" or "percentage".
    function kind() external view returns (string memory);
}
