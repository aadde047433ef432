// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title What the market keeps of every account
/// @notice One slot an account: a commitment checks role and nonce and locks its bond with one read and one write.
abstract contract Accounts {
    /// @param freeUeur what the account may withdraw or commit, 10^-6 euro
    /// @param nonce the next nonce of what it signs for the book
    /// @param roles mask of role bits
    /// @param suspended whether the roles don't count for now
    /// @param bondedUeur what stands behind results and receipts that it answers for, 10^-6 euro
    struct Account {
        uint96 freeUeur;
        uint64 nonce;
        uint16 roles;
        bool suspended;
        uint72 bondedUeur;
    }

    mapping(address account => Account) internal _accounts;
}
