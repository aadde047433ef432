// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title Euro of local networks: anybody mints
contract TestEuro is ERC20Permit {
    constructor() ERC20("Test euro", "tEUR") ERC20Permit("Test euro") {}

    /// @param amountUeur 10^-6 euro
    function mint(address account, uint256 amountUeur) external {
        _mint(account, amountUeur);
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
