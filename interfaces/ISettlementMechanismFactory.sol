// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Makes settlement mechanisms for aggregators
/// @notice Each mechanism is a contract of its own with its table in its code. Tables are 7 days (Monday first) of 96
/// quarter-hours.
interface ISettlementMechanismFactory {
    event MechanismCreated(address indexed mechanism, address indexed aggregator, string kind, string label);

    error SettlementMechanismFactoryValueAboveMost(uint256 dayOfWeek, uint256 interval, uint256 value, uint256 most);

    /// @notice A mechanism that pays a fixed price whatever the flexibility price is. By an AGGREGATOR.
    /// @param pricesUeurPerKw 10^-6 euro per kW (or kvar) and quarter-hour, by day and quarter-hour
    /// @param label the aggregator's name for it
    function createFixedPrice(uint32[96][7] calldata pricesUeurPerKw, string calldata label)
        external
        returns (address mechanism);

    /// @notice A mechanism that pays a share of the flexibility price, rounded down. By an AGGREGATOR.
    /// @param sharesBasisPoints 0 to 10,000 basis points, by day and quarter-hour
    /// @param label the aggregator's name for it
    function createPercentage(uint32[96][7] calldata sharesBasisPoints, string calldata label)
        external
        returns (address mechanism);

    /// @notice The mechanisms of an aggregator, oldest first.
    function mechanismsOf(address aggregator) external view returns (address[] memory);

    /// @notice The aggregator for whom a mechanism was made, zero for one that isn't the factory's.
    function aggregatorOf(address mechanism) external view returns (address);
}
