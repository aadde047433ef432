// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title Who takes part in the market, in which roles
/// @notice Roles are bits of one mask per account, so that hot paths check them with one storage read.
/// Light Node keys are not here: they stand with their PoD in the PoD registry.
interface IParticipantRegistry {
    /// @notice Roles; a role's number is its bit in a mask of roles.
    enum Role {
        DSO,
        TSO,
        AGGREGATOR,
        CLEARING_ORACLE,
        GRID_ORACLE,
        SETTLEMENT_ORACLE,
        ANCHORING_ORACLE,
        STORE,
        AUDITOR,
        OPERATOR,
        ARBITER
    }

    event ParticipantRegistered(address indexed account, uint16 roles, string name);
    event ParticipantSuspended(address indexed account, string reason);
    event ParticipantReinstated(address indexed account);

    error ParticipantRegistryZeroAccount();
    error ParticipantRegistryUnknownRoles(address account, uint16 roles);
    error ParticipantRegistryUnknownAccount(address account);
    error ParticipantRegistryMissingRole(address account, Role role);
    error ParticipantRegistrySuspended(address account);
    error ParticipantRegistryNotSuspended(address account);

    /// @notice Registers an account or replaces its roles; a suspension stays. Administrators only.
    /// @param roles mask of role bits, at least one and none beyond ARBITER
    /// @param name what people call the participant
    function register(address account, uint16 roles, string calldata name) external;

    /// @notice Takes every role from an account until it is reinstated; what it is owed it keeps. Administrators only.
    function suspend(address account, string calldata reason) external;

    /// @notice Ends a suspension. Administrators only.
    function reinstate(address account) external;

    /// @notice Reverts unless the account holds the role and isn't suspended.
    function requireRole(address account, Role role) external view;

    /// @notice Reverts unless the account holds any role and isn't suspended.
    function requireParticipant(address account) external view;

    /// @notice Whether the account holds the role and isn't suspended.
    function isActive(address account, Role role) external view returns (bool);

    /// @notice Whether the account holds the role, suspended or not: who is owed money stays payable.
    function hasRole(address account, Role role) external view returns (bool);

    /// @notice Mask of an account's roles, and whether it is suspended.
    function participant(address account) external view returns (uint16 roles, bool suspended);
}
