// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";

/// @title Who takes part in the market, in which roles
contract ParticipantRegistry is IParticipantRegistry, AccessManaged {
    /// @dev One slot.
    struct Participant {
        uint16 roles;
        bool suspended;
    }

    uint16 private constant ALL_ROLES = uint16((1 << (uint8(type(Role).max) + 1)) - 1);

    mapping(address account => Participant) private _participants;

    constructor(address manager) AccessManaged(manager) {}

    /// @inheritdoc IParticipantRegistry
    function register(address account, uint16 roles, string calldata name) external restricted {
        if (account == address(0)) revert ParticipantRegistryZeroAccount();
        if (roles == 0 || roles > ALL_ROLES) revert ParticipantRegistryUnknownRoles(account, roles);
        _participants[account].roles = roles;
        emit ParticipantRegistered(account, roles, name);
    }

    /// @inheritdoc IParticipantRegistry
    function suspend(address account, string calldata reason) external restricted {
        Participant storage known = _known(account);
        if (known.suspended) revert ParticipantRegistrySuspended(account);
        known.suspended = true;
        emit ParticipantSuspended(account, reason);
    }

    /// @inheritdoc IParticipantRegistry
    function reinstate(address account) external restricted {
        Participant storage known = _known(account);
        if (!known.suspended) revert ParticipantRegistryNotSuspended(account);
        known.suspended = false;
        emit ParticipantReinstated(account);
    }

    /// @inheritdoc IParticipantRegistry
    function requireRole(address account, Role role) external view {
        Participant memory found = _participants[account];
        if (found.roles & _bit(role) == 0) revert ParticipantRegistryMissingRole(account, role);
        if (found.suspended) revert ParticipantRegistrySuspended(account);
    }

    /// @inheritdoc IParticipantRegistry
    function requireParticipant(address account) external view {
        Participant memory found = _participants[account];
        if (found.roles == 0) revert ParticipantRegistryUnknownAccount(account);
        if (found.suspended) revert ParticipantRegistrySuspended(account);
    }

    /// @inheritdoc IParticipantRegistry
    function isActive(address account, Role role) external view returns (bool) {
        Participant memory found = _participants[account];
        return !found.suspended && found.roles & _bit(role) != 0;
    }

    /// @inheritdoc IParticipantRegistry
    function hasRole(address account, Role role) external view returns (bool) {
        return _participants[account].roles & _bit(role) != 0;
    }

    /// @inheritdoc IParticipantRegistry
    function participant(address account) external view returns (uint16 roles, bool suspended) {
        Participant memory found = _participants[account];
        return (found.roles, found.suspended);
    }

    function _known(address account) private view returns (Participant storage known) {
        known = _participants[account];
        if (known.roles == 0) revert ParticipantRegistryUnknownAccount(account);
    }

    function _bit(Role role) private pure returns (uint16) {
        return uint16(1 << uint8(role));
    }
}
