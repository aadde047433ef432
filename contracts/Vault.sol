// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IVault} from "../interfaces/IVault.sol";

/// @title The market's money: escrow, collateral and bonds
/// @dev INVARIANT: the sum of all free and locked balances is never above the token balance of this contract.
contract Vault is IVault, AccessManaged, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    uint8 private constant EURO_DECIMALS = 6;

    IERC20 private immutable _euro;

    /// @inheritdoc IVault
    mapping(address account => uint256) public free;
    /// @inheritdoc IVault
    mapping(bytes32 key => mapping(address account => uint256)) public locked;
    /// @inheritdoc IVault
    mapping(address account => bool) public isController;
    bool private _controllersSet;

    modifier onlyController() {
        if (!isController[msg.sender]) revert VaultNotAController(msg.sender);
        _;
    }

    constructor(address manager, IERC20Metadata euro_) AccessManaged(manager) {
        // INVARIANT: the token's unit is 10^-6 euro, as everywhere in the market.
        uint8 decimals = euro_.decimals();
        if (decimals != EURO_DECIMALS) revert VaultWrongDecimals(address(euro_), decimals);
        _euro = euro_;
    }

    /// @inheritdoc IVault
    function setControllers(address[] calldata controllers) external restricted {
        // INVARIANT: who may lock and move is known before the first deposit and never changes.
        if (_controllersSet) revert VaultControllersAlreadySet();
        if (controllers.length == 0) revert VaultNoControllers();
        _controllersSet = true;
        for (uint256 i = 0; i < controllers.length; ++i) {
            if (controllers[i] == address(0)) revert VaultZeroAccount();
            isController[controllers[i]] = true;
        }
        emit ControllersSet(controllers);
    }

    /// @inheritdoc IVault
    function deposit(uint256 amountUeur) external {
        _deposit(msg.sender, amountUeur);
    }

    /// @inheritdoc IVault
    function depositFor(address account, uint256 amountUeur) external {
        if (account == address(0)) revert VaultZeroAccount();
        _deposit(account, amountUeur);
    }

    /// @inheritdoc IVault
    function withdraw(uint256 amountUeur) external nonReentrant {
        _takeFree(msg.sender, amountUeur);
        emit Withdrawn(msg.sender, amountUeur);
        _euro.safeTransfer(msg.sender, amountUeur);
    }

    /// @inheritdoc IVault
    function lock(bytes32 key, address account, uint256 amountUeur) external onlyController {
        _takeFree(account, amountUeur);
        _lock(key, account, amountUeur);
    }

    /// @inheritdoc IVault
    function lockUpTo(bytes32 key, address account, uint256 limitUeur)
        external
        onlyController
        returns (uint256 lockedUeur)
    {
        uint256 available = free[account];
        lockedUeur = available < limitUeur ? available : limitUeur;
        free[account] = available - lockedUeur;
        _lock(key, account, lockedUeur);
    }

    /// @inheritdoc IVault
    function release(bytes32 key, address account, uint256 amountUeur) external onlyController {
        _takeLocked(key, account, amountUeur);
        free[account] += amountUeur;
        emit Released(key, account, amountUeur);
    }

    /// @inheritdoc IVault
    function move(bytes32 key, address from, address to, uint256 amountUeur) external onlyController {
        if (to == address(0)) revert VaultZeroAccount();
        _takeLocked(key, from, amountUeur);
        free[to] += amountUeur;
        emit Moved(key, from, to, amountUeur);
    }

    /// @inheritdoc IVault
    function euro() external view returns (address) {
        return address(_euro);
    }

    function _deposit(address account, uint256 amountUeur) private nonReentrant {
        uint256 before = _euro.balanceOf(address(this));
        _euro.safeTransferFrom(msg.sender, address(this), amountUeur);
        // INVARIANT: what is credited is what arrived, whatever fee the token takes.
        uint256 arrived = _euro.balanceOf(address(this)) - before;
        if (arrived == 0) revert VaultNothingArrived(account, amountUeur);
        free[account] += arrived;
        emit Deposited(account, msg.sender, arrived);
    }

    function _lock(bytes32 key, address account, uint256 amountUeur) private {
        locked[key][account] += amountUeur;
        emit Locked(key, account, amountUeur);
    }

    function _takeFree(address account, uint256 amountUeur) private {
        uint256 available = free[account];
        // INVARIANT: nobody spends what isn't theirs and free.
        if (available < amountUeur) revert VaultInsufficientFree(account, available, amountUeur);
        free[account] = available - amountUeur;
    }

    function _takeLocked(bytes32 key, address account, uint256 amountUeur) private {
        uint256 available = locked[key][account];
        // INVARIANT: what is locked under one key never pays for another.
        if (available < amountUeur) revert VaultInsufficientLocked(key, account, available, amountUeur);
        locked[key][account] = available - amountUeur;
    }
}
