// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token for tests: calls somebody back in the middle of its next transfer, and may hold money of its own
contract ReentrantEuro is ERC20 {
    address private _target;
    bytes private _data;
    /// @notice Calls made back, and how many of them went through.
    uint256 public calls;
    uint256 public successes;

    constructor() ERC20("Reentrant euro", "rEUR") {}

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function arm(address target, bytes calldata data) external {
        (_target, _data) = (target, data);
    }

    function execute(address target, bytes calldata data) external {
        (bool success,) = target.call(data);
        require(success, "ReentrantEuro: call failed");
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        address target = _target;
        if (from == address(0) || target == address(0)) return;
        _target = address(0);
        ++calls;
        (bool success,) = target.call(_data);
        if (success) ++successes;
    }
}
