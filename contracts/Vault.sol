// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IVault} from "../interfaces/IVault.sol";
import {ParticipantRegistry} from "./ParticipantRegistry.sol";

/// @title The market's money: escrow, collateral and bonds
/// @dev INVARIANT: free, bonded and locked balances and what the book holds are together never above the token balance.
abstract contract Vault is IVault, ParticipantRegistry, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    uint8 private constant EURO_DECIMALS = 6;

    IERC20 private immutable _euro;
    /// @inheritdoc IVault
    address public immutable reserve;

    /// @inheritdoc IVault
    mapping(bytes32 key => mapping(address account => uint256)) public locked;
    /// @inheritdoc IVault
    mapping(address account => bool) public isController;
    bool private _controllersSet;

    modifier onlyController() {
        if (!isController[msg.sender]) revert VaultNotAController(msg.sender);
        _;
    }

    constructor(IERC20Metadata euro_, address reserve_) {
        // INVARIANT: the token's unit is 10^-6 euro, as everywhere in the market.
        uint8 decimals = euro_.decimals();
        if (decimals != EURO_DECIMALS) revert VaultWrongDecimals(address(euro_), decimals);
        if (reserve_ == address(0)) revert VaultZeroReserve();
        _euro = euro_;
        reserve = reserve_;
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
    function depositWithPermit(uint256 amountUeur, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external {
        // Whoever used the permit first has given the allowance: the deposit goes on with it.
        try IERC20Permit(address(_euro)).permit(msg.sender, address(this), amountUeur, deadline, v, r, s) {} catch {}
        _deposit(msg.sender, amountUeur);
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
    function release(bytes32 key, address account, uint256 amountUeur) external onlyController {
        _takeLocked(key, account, amountUeur);
        _giveFree(account, amountUeur);
        emit Released(key, account, amountUeur);
    }

    /// @inheritdoc IVault
    function move(bytes32 key, address from, address to, uint256 amountUeur) external onlyController {
        _takeLocked(key, from, amountUeur);
        _giveFree(to, amountUeur);
        emit Moved(key, from, to, amountUeur);
    }

    /// @inheritdoc IVault
    function bond(address account, Role role, uint256 amountUeur) external onlyController {
        Account memory known = _accounts[account];
        _requireRole(account, known, role);
        if (known.freeUeur < amountUeur) revert VaultInsufficientFree(account, known.freeUeur, amountUeur);
        unchecked {
            known.freeUeur -= uint96(amountUeur);
        }
        known.bondedUeur += SafeCast.toUint72(amountUeur);
        _accounts[account] = known;
        emit Bonded(account, amountUeur);
    }

    /// @inheritdoc IVault
    function unbond(address account, uint256 amountUeur) external onlyController {
        _takeBonded(account, amountUeur);
        _giveFree(account, amountUeur);
        emit Unbonded(account, amountUeur);
    }

    /// @inheritdoc IVault
    function slash(address from, uint256 amountUeur, Shares calldata shares) external onlyController {
        uint256 shared = uint256(shares.wrongedUeur) + shares.winnerUeur;
        if (shared > amountUeur) revert VaultSharesAboveBond(amountUeur, shared);
        _takeBonded(from, amountUeur);
        if (shares.wrongedUeur != 0) _giveFree(shares.wronged, shares.wrongedUeur);
        if (shares.winnerUeur != 0) _giveFree(shares.winner, shares.winnerUeur);
        // INVARIANT: catching oneself costs: what is left goes to nobody who had a part in it.
        if (amountUeur != shared) _giveFree(reserve, amountUeur - shared);
        emit Slashed(from, amountUeur, shares);
    }

    /// @inheritdoc IVault
    function free(address account) external view returns (uint256) {
        return _accounts[account].freeUeur;
    }

    /// @inheritdoc IVault
    function bonded(address account) external view returns (uint256) {
        return _accounts[account].bondedUeur;
    }

    /// @inheritdoc IVault
    function euro() external view returns (address) {
        return address(_euro);
    }

    function _lock(bytes32 key, address account, uint256 amountUeur) internal {
        locked[key][account] += amountUeur;
        emit Locked(key, account, amountUeur);
    }

    function _giveFree(address account, uint256 amountUeur) internal {
        if (account == address(0)) revert VaultZeroAccount();
        _accounts[account].freeUeur += SafeCast.toUint96(amountUeur);
    }

    function _deposit(address account, uint256 amountUeur) private nonReentrant {
        uint256 before = _euro.balanceOf(address(this));
        _euro.safeTransferFrom(msg.sender, address(this), amountUeur);
        // INVARIANT: what is credited is what arrived, whatever fee the token takes.
        uint256 arrived = _euro.balanceOf(address(this)) - before;
        if (arrived == 0) revert VaultNothingArrived(account, amountUeur);
        _giveFree(account, arrived);
        emit Deposited(account, msg.sender, arrived);
    }

    function _takeFree(address account, uint256 amountUeur) private {
        uint256 available = _accounts[account].freeUeur;
        // INVARIANT: nobody spends what isn't theirs and free.
        if (available < amountUeur) revert VaultInsufficientFree(account, available, amountUeur);
        // Narrowing is safe: less than what was there.
        _accounts[account].freeUeur = uint96(available - amountUeur);
    }

    function _takeBonded(address account, uint256 amountUeur) private {
        uint256 available = _accounts[account].bondedUeur;
        // INVARIANT: nobody loses more bond than stands there.
        if (available < amountUeur) revert VaultInsufficientBonded(account, available, amountUeur);
        // Narrowing is safe: less than what was there.
        _accounts[account].bondedUeur = uint72(available - amountUeur);
    }

    function _takeLocked(bytes32 key, address account, uint256 amountUeur) private {
        uint256 available = locked[key][account];
        // INVARIANT: what is locked under one key never pays for another.
        if (available < amountUeur) revert VaultInsufficientLocked(key, account, available, amountUeur);
        locked[key][account] = available - amountUeur;
    }
}
