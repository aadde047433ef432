// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title What customers earn: an ERC-20 token with permit and 6 decimals
/// @notice Not the euro token that operators escrow and aggregators are paid in.
interface IFlexToken is IERC20 {
    event MinterSet(address indexed minter);

    error FlexTokenNotTheMinter(address sender);
    error FlexTokenMinterAlreadySet(address minter);
    error FlexTokenZeroMinter();

    /// @notice Names the settlement ledger as the one that mints. Once, by an administrator.
    function setMinter(address minter) external;

    /// @notice Mints to many wallets; where the amount is 0, nothing happens. By the minter.
    /// @param wallets as many as amounts
    /// @param amounts token units (10^-6)
    function mintBatch(address[] calldata wallets, uint64[] calldata amounts) external;

    /// @notice Who mints, zero until set.
    function minter() external view returns (address);
}
