// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IMarketSessions} from "./IMarketSessions.sol";

/// @title What a session's terms must be
/// @notice A contract of its own because the market's code has a size limit. It keeps nothing.
interface ISessionRules {
    /// @notice Reverts with an error of IMarketSessions unless a session may be created with these terms now.
    function requireSound(IMarketSessions.SessionTerms calldata terms) external view;
}
