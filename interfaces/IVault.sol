// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IParticipantRegistry} from "./IParticipantRegistry.sol";

/// @title The market's money: escrow, collateral and bonds
/// @notice Holds the euro token (6 decimals, so its unit is 10^-6 euro). An account's balance is free, or locked under a
/// key. Only controllers, the market's own contracts, lock, release and move; owners withdraw what is free.
interface IVault {
    /// @notice Who gets what of a lost bond; the rest is the reserve's.
    /// @param wronged who was harmed by what the bond stood behind; may be nobody where its share is 0
    struct Shares {
        address wronged;
        uint96 wrongedUeur;
        address winner;
        uint96 winnerUeur;
    }

    event Deposited(address indexed account, address indexed from, uint256 amountUeur);
    event Withdrawn(address indexed account, uint256 amountUeur);
    event Locked(bytes32 indexed key, address indexed account, uint256 amountUeur);
    event Released(bytes32 indexed key, address indexed account, uint256 amountUeur);
    event Moved(bytes32 indexed key, address indexed from, address indexed to, uint256 amountUeur);
    event Bonded(address indexed account, uint256 amountUeur);
    event Unbonded(address indexed account, uint256 amountUeur);
    event Slashed(address indexed from, uint256 amountUeur, Shares shares);
    event ControllersSet(address[] controllers);

    error VaultWrongDecimals(address token, uint8 decimals);
    error VaultNothingArrived(address account, uint256 amountUeur);
    error VaultNotAController(address sender);
    error VaultControllersAlreadySet();
    error VaultNoControllers();
    error VaultZeroAccount();
    error VaultZeroReserve();
    error VaultInsufficientFree(address account, uint256 freeUeur, uint256 neededUeur);
    error VaultInsufficientBonded(address account, uint256 bondedUeur, uint256 neededUeur);
    error VaultSharesAboveBond(uint256 amountUeur, uint256 sharedUeur);
    error VaultInsufficientLocked(bytes32 key, address account, uint256 lockedUeur, uint256 neededUeur);

    /// @notice Names the contracts that may lock, release and move. Once, by an administrator.
    function setControllers(address[] calldata controllers) external;

    /// @notice Takes tokens from the sender into its free balance. Credits what arrived.
    function deposit(uint256 amountUeur) external;

    /// @notice Takes tokens from the sender into another account's free balance. Credits what arrived.
    function depositFor(address account, uint256 amountUeur) external;

    /// @notice As `deposit`, with the owner's permit (ERC-2612); one that somebody else used first does no harm.
    function depositWithPermit(uint256 amountUeur, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;

    /// @notice Pays tokens out of the sender's free balance.
    function withdraw(uint256 amountUeur) external;

    /// @notice From free to locked under a key. Controllers only.
    function lock(bytes32 key, address account, uint256 amountUeur) external;

    /// @notice From locked back to free. Controllers only.
    function release(bytes32 key, address account, uint256 amountUeur) external;

    /// @notice From locked of one account to free of another. Controllers only.
    function move(bytes32 key, address from, address to, uint256 amountUeur) external;

    /// @notice From free to bonded, if the account holds the role and isn't suspended. Controllers only.
    function bond(address account, IParticipantRegistry.Role role, uint256 amountUeur) external;

    /// @notice From bonded back to free. Controllers only.
    function unbond(address account, uint256 amountUeur) external;

    /// @notice From bonded of one account to free of who shares in it. Controllers only.
    function slash(address from, uint256 amountUeur, Shares calldata shares) external;

    /// @notice What an account has behind results and receipts that it answers for, 10^-6 euro.
    function bonded(address account) external view returns (uint256);

    /// @notice The account that forfeits and the market's part of lost bonds go to.
    function reserve() external view returns (address);

    /// @notice The token held.
    function euro() external view returns (address);

    /// @notice What an account may withdraw or commit, 10^-6 euro.
    function free(address account) external view returns (uint256);

    /// @notice What an account has locked under a key, 10^-6 euro.
    function locked(bytes32 key, address account) external view returns (uint256);

    /// @notice Whether an address may lock, release and move.
    function isController(address account) external view returns (bool);
}
