// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MechanismCalls} from "../libraries/MechanismCalls.sol";

/// @title Lets tests ask a mechanism as a settlement does
contract MechanismCallsHarness {
    function tryCustomerPrice(address mechanism, uint8 dayOfWeek, uint8 interval, uint64 price)
        external
        view
        returns (bool ok, uint64 customerPrice)
    {
        return MechanismCalls.tryCustomerPrice(mechanism, dayOfWeek, interval, price);
    }

    /// @return used gas of asking, whatever the answer
    function gasOfAsking(address mechanism) external view returns (uint256 used) {
        uint256 before = gasleft();
        MechanismCalls.tryCustomerPrice(mechanism, 6, 95, 1);
        return before - gasleft();
    }
}
