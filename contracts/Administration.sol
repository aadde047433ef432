// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";

/// @title Who administers the market
/// @notice OpenZeppelin's AccessManager as it is: the one place from which administrators of participants, vault and token
/// are named. It has no say in sessions, books, outcomes and settlements.
contract Administration is AccessManager {
    constructor(address initialAdmin) AccessManager(initialAdmin) {}
}
