// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {ISessionRules} from "../interfaces/ISessionRules.sol";
import {CommitmentBook} from "./CommitmentBook.sol";
import {MarketSessions} from "./MarketSessions.sol";
import {Vault} from "./Vault.sol";

/// @title The market: participants, sessions, vault and sealed book at one address
/// @notice One address because a commitment needs all four, and each call between contracts costs a player as much as a
/// write. Everything else of the market stands apart and calls here.
contract Market is CommitmentBook {
    constructor(address manager, ISessionRules rules, IERC20Metadata euro, address reserve)
        AccessManaged(manager)
        MarketSessions(rules)
        Vault(euro, reserve)
    {}
}
