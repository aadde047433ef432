// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {Accounts} from "./Accounts.sol";

/// @title Who takes part in the market, in which roles
abstract contract ParticipantRegistry is IParticipantRegistry, Accounts, AccessManaged {
    uint16 private constant ALL_ROLES = uint16((1 << (uint8(type(Role).max) + 1)) - 1);

    /// @inheritdoc IParticipantRegistry
    function register(address account, uint16 roles, string calldata name) external restricted {
        if (account == address(0)) revert ParticipantRegistryZeroAccount();
        if (roles == 0 || roles > ALL_ROLES) revert ParticipantRegistryUnknownRoles(account, roles);
        _accounts[account].roles = roles;
        emit ParticipantRegistered(account, roles, name);
    }

    /// @inheritdoc IParticipantRegistry
    function suspend(address account, string calldata reason) external restricted {
        Account storage known = _known(account);
        if (known.suspended) revert ParticipantRegistrySuspended(account);
        known.suspended = true;
        emit ParticipantSuspended(account, reason);
    }

    /// @inheritdoc IParticipantRegistry
    function reinstate(address account) external restricted {
        Account storage known = _known(account);
        if (!known.suspended) revert ParticipantRegistryNotSuspended(account);
        known.suspended = false;
        emit ParticipantReinstated(account);
    }

    /// @inheritdoc IParticipantRegistry
    function requireRole(address account, Role role) external view {
        _requireRole(account, _accounts[account], role);
    }

    /// @inheritdoc IParticipantRegistry
    function requireParticipant(address account) external view {
        Account storage found = _accounts[account];
        if (found.roles == 0) revert ParticipantRegistryUnknownAccount(account);
        if (found.suspended) revert ParticipantRegistrySuspended(account);
    }

    /// @inheritdoc IParticipantRegistry
    function isActive(address account, Role role) external view returns (bool) {
        Account storage found = _accounts[account];
        return !found.suspended && found.roles & _bit(role) != 0;
    }

    /// @inheritdoc IParticipantRegistry
    function hasRole(address account, Role role) external view returns (bool) {
        return _accounts[account].roles & _bit(role) != 0;
    }

    /// @inheritdoc IParticipantRegistry
    function participant(address account) external view returns (uint16 roles, bool suspended) {
        Account storage found = _accounts[account];
        return (found.roles, found.suspended);
    }

    /// @dev With the account in memory, so that who needs more of it reads its slot once.
    function _requireRole(address account, Account memory found, Role role) internal pure {
        if (found.roles & _bit(role) == 0) revert ParticipantRegistryMissingRole(account, role);
        if (found.suspended) revert ParticipantRegistrySuspended(account);
    }

    function _known(address account) private view returns (Account storage known) {
        known = _accounts[account];
        if (known.roles == 0) revert ParticipantRegistryUnknownAccount(account);
    }

    function _bit(Role role) private pure returns (uint16) {
        return uint16(1 << uint8(role));
    }
}
