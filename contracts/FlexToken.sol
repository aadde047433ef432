// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {IFlexToken} from "../interfaces/IFlexToken.sol";

/// @title What customers earn: an ERC-20 token with permit and 6 decimals
contract FlexToken is IFlexToken, ERC20Permit, AccessManaged {
    uint8 private constant DECIMALS = 6;

    /// @inheritdoc IFlexToken
    address public minter;

    constructor(address manager)
        ERC20("Flexledger reward", "FLEX")
        ERC20Permit("Flexledger reward")
        AccessManaged(manager)
    {}

    /// @inheritdoc IFlexToken
    function setMinter(address minter_) external restricted {
        // INVARIANT: only one contract ever mints.
        if (minter != address(0)) revert FlexTokenMinterAlreadySet(minter);
        if (minter_ == address(0)) revert FlexTokenZeroMinter();
        minter = minter_;
        emit MinterSet(minter_);
    }

    /// @inheritdoc IFlexToken
    function mintBatch(address[] calldata wallets, uint64[] calldata amounts) external {
        if (msg.sender != minter) revert FlexTokenNotTheMinter(msg.sender);
        for (uint256 i = 0; i < wallets.length; ++i) {
            if (amounts[i] != 0) _mint(wallets[i], amounts[i]);
        }
    }

    /// @notice Token units are 10^-6.
    function decimals() public pure override returns (uint8) {
        return DECIMALS;
    }
}
