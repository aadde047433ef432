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
}
