// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Kinds of documents that the notary knows
library NoticeKinds {
    uint16 internal constant BASELINE = 1;
    uint16 internal constant GRID_MODEL = 2;
    uint16 internal constant FORECAST = 3;
    uint16 internal constant FLEXIBILITY_SERVICE = 4;
    uint16 internal constant SET_POINTS = 5;
    uint16 internal constant ANOMALY = 6;
    uint16 internal constant MEASUREMENTS = 7;
    uint16 internal constant OTHER = 8;
    /// @notice Set points taken over by the EMS, as Light Nodes signed them.
    uint16 internal constant ACTIVATION = 9;
    /// @notice Which PoDs stand at which point of measure.
    uint16 internal constant POD_ASSOCIATION = 10;
    /// @notice A DSO's or TSO's signed order of reserve.
    uint16 internal constant RESERVE_ORDER = 11;
    /// @notice An aggregator's published prices, by which requests are sized.
    uint16 internal constant REFERENCE_PRICES = 12;
    uint16 internal constant WEATHER = 13;
    /// @notice Statements of a settlement, and an aggregator's own check of it.
    uint16 internal constant SETTLEMENT_REPORT = 14;
    /// @notice What is put before the arbiter, such as a better feasible solution.
    uint16 internal constant EVIDENCE = 15;
    /// @notice A flexibility contract's text.
    uint16 internal constant CONTRACT = 16;
    /// @notice Indicators of a period, computed from the market's data.
    uint16 internal constant KPI_REPORT = 17;
    /// @notice What the operator weighs against each other in a session cleared by several objectives.
    uint16 internal constant CLEARING_PARAMETERS = 18;

    /// @notice The greatest kind.
    uint16 internal constant LAST = CLEARING_PARAMETERS;
}
